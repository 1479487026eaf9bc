"""B17, the impersonator: own signatures under another's name, or under that of nobody."""

from msgspec.structs import replace

from consensus.messages import VoteCast, encode_message
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, open_words


class Impersonator(Traitor):
    """Each vote twice: as the neighbour's, and as that of a seat that does not exist."""

    fault = "B17"

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        message, _ = open_words(data)
        if not isinstance(message, VoteCast):
            return [(to, data)]
        n = len(node.config.validators)
        names = ((message.vote.signer + 1) % n, n)
        return [(to, encode_message(VoteCast(replace(message.vote, signer=name)))) for name in names]
