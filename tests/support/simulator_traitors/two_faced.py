"""B22: more than f conspire: each honest validator is shown its own block, and gets the votes that make it final.

Two of these are enough to break four validators; the test is about what the honest ones notice afterwards.
"""

from msgspec.structs import replace

from consensus.messages import Certified, Proposal, VoteCast, encode_message
from tests.support.simulator_app import digest_of
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, another_block, halves, open_words, sign


class TwoFaced(Traitor):
    """Conspirators share `shown`: view and listener, to the digest that the listener was shown."""

    fault = "B22"

    def __init__(self, shown: dict[tuple[int, str], str], dupe: str) -> None:
        self.shown, self.dupe = shown, dupe

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, payload = open_words(data)
        names = [to] if to is not None else [name for half in halves(node) for name in half]
        if isinstance(message, Certified):
            known = message.certificate
            is_for_dupe = self.shown.get((known.view, self.dupe)) == known.digest
            return [(name, data) for name in names if name != self.dupe and not is_for_dupe]
        if isinstance(message, Proposal):
            other = another_block(payload)
            self.shown[(message.vote.view, self.dupe)] = digest_of(other).hex()
            twin = sign(node, replace(message.vote.subject, digest=digest_of(other).hex()))
            second = encode_message(Proposal(twin, message.parent, message.nullifications), other)
            return [(name, second if name == self.dupe else data) for name in names]
        if isinstance(message, VoteCast) and message.vote.kind != "nullify":
            return [(name, self._vote_for(name, node, message, data)) for name in names]
        return [(to, data)]

    def _vote_for(self, name: str, node: Node, message: VoteCast, data: bytes) -> bytes:
        digest = self.shown.get((message.vote.view, name))
        if digest is None:
            return data
        return encode_message(VoteCast(sign(node, replace(message.vote.subject, digest=digest))))
