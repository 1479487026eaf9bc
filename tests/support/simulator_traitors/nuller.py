"""B3, the nuller: nullify beside finalize of the same view."""

from consensus.messages import VoteCast, encode_message
from ledger.certificates import Subject
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, open_words, sign


class Nuller(Traitor):
    """Without it a view could be both given up and final; each listener has the proof."""

    fault = "B3"
    is_provable = True

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, _ = open_words(data)
        if not isinstance(message, VoteCast) or message.vote.kind != "finalize":
            return [(to, data)]
        both = sign(node, Subject("nullify", message.vote.epoch, message.vote.view, 0, None))
        return [(to, data), (to, encode_message(VoteCast(both)))]
