"""B1, the equivocator: as leader, one block to one half and another to the other half."""

from msgspec.structs import replace

from consensus.messages import Proposal, encode_message
from tests.support.simulator_app import digest_of
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, another_block, halves, open_words, sign


class Equivocator(Traitor):
    """Both blocks are valid; the halves stay the same, so each half may notarize only with the other's votes."""

    fault = "B1"
    is_provable = True

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, payload = open_words(data)
        if not isinstance(message, Proposal):
            return [(to, data)]
        other = another_block(payload)
        twin = sign(node, replace(message.vote.subject, digest=digest_of(other).hex()))
        second = encode_message(Proposal(twin, message.parent, message.nullifications), other)
        first, rest = halves(node)
        return [*((name, data) for name in first), *((name, second) for name in rest)]
