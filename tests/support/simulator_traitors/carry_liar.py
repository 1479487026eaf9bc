"""B8: proposals without the proofs of their ancestry, or that leave out a view nobody nullified."""

from consensus.messages import Proposal, encode_message
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, open_words, sign


class CarryLiar(Traitor):
    fault = "B8"

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, payload = open_words(data)
        if not isinstance(message, Proposal):
            return [(to, data)]
        if message.vote.view % 2:
            return [(to, encode_message(Proposal(message.vote, None, ()), payload))]
        subject = message.vote.subject
        older = max(subject.parent_view - 1, 0)
        skipping = sign(node, type(subject)(subject.kind, subject.epoch, subject.view, older, subject.digest))
        return [(to, encode_message(Proposal(skipping, message.parent, message.nullifications), payload))]
