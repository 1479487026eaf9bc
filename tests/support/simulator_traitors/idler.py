"""B4: silent, always giving up, or voting only when everybody else is about to give up."""

from consensus.messages import Proposal, VoteCast, encode_message
from ledger.certificates import Subject
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, open_words, sign


class Silent(Traitor):
    fault = "B4"

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        return []


class NullifyOnly(Traitor):
    """Every vote becomes a nullify vote."""

    fault = "B4"

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, _ = open_words(data)
        if isinstance(message, (VoteCast, Proposal)):
            gives_up = sign(node, Subject("nullify", message.vote.epoch, message.vote.view, 0, None))
            return [(to, encode_message(VoteCast(gives_up)))]
        return [(to, data)]


class Dawdler(Traitor):
    """Says everything just before the deadline."""

    fault = "B4"

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        late = 3 * node.config.timing.base - 60
        node.cluster.after(late, lambda: node.cluster.post(node.name, to, data))
        return []
