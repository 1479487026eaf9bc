"""B2, the conflicter: beside each notarize and finalize vote one of the same kind for something else."""

from msgspec.structs import replace

from consensus.messages import VoteCast, encode_message
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, open_words, sign


class Conflicter(Traitor):
    """Both go to everybody who hears the first, so each listener has the proof."""

    fault = "B2"
    is_provable = True

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, _ = open_words(data)
        if not isinstance(message, VoteCast) or message.vote.kind == "nullify":
            return [(to, data)]
        other = sign(node, replace(message.vote.subject, digest="ab" * 32))
        return [(to, data), (to, encode_message(VoteCast(other)))]
