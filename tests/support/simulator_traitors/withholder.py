"""B5, N12, the withholder: names a block and gives other bytes, or gives them only to some."""

from consensus.messages import Payload, Proposal, encode_message
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, open_words


class Withholder(Traitor):
    """Bytes of another name in proposals and answers."""

    fault = "B5"

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, _ = open_words(data)
        if isinstance(message, (Proposal, Payload)):
            return [(to, encode_message(message, b"these bytes have another name" * 3))]
        return [(to, data)]


class HalfLeader(Traitor):
    """N12: as leader, reaches only f+1 or q-1 of the others, in turns, and answers nobody who asks for the rest."""

    fault = "N12"

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, _ = open_words(data)
        if isinstance(message, Payload):
            return []
        if not isinstance(message, Proposal):
            return [(to, data)]
        n, quorum = len(node.config.validators), node.config.validators.quorum
        reached = (n - 1) // 3 + 1 if message.vote.view % 2 else quorum - 2
        names = [one.name for one in node.cluster.nodes if one is not node]
        start = message.vote.view % len(names)
        return [(name, data) for name in (names[start:] + names[:start])[:reached]]
