"""B12, B13: finality shares that do not verify, alone or in pairs whose errors cancel."""

from msgspec.structs import replace

from consensus.messages import VoteCast, encode_message
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, open_words


class Spoiler(Traitor):
    fault = "B12"

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, _ = open_words(data)
        if isinstance(message, VoteCast) and message.vote.kind == "finalize":
            return [(to, encode_message(VoteCast(replace(message.vote, signature="5a" * 96))))]
        return [(to, data)]
