"""B14, N3, the outdated replayer: says the truth, and again what it said long ago, also when that epoch is over.

Its votes come moved to the epoch before and to another chain as well: validly signed, and worth nothing here.
"""

from msgspec.structs import replace

from consensus.messages import VoteCast, encode_message
from ledger.crypto.hashing import tagged_hash
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, open_words, sign

OTHER_CHAIN = tagged_hash("genesis", b"another network")
KEPT = 200


class OutdatedReplayer(Traitor):
    """With each word one of the last two hundred and the very first, which outlives its epoch."""

    fault = "B14"

    def __init__(self) -> None:
        self.past: list[bytes] = []
        self.first = b""

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        chance = node.cluster.chance
        self.past, self.first = [*self.past[-KEPT:], data], self.first or data
        words: Words = [(to, data), (to, chance.choice(self.past)), (to, self.first)]
        message, _ = open_words(data)
        if isinstance(message, VoteCast):
            earlier = sign(node, replace(message.vote.subject, epoch=message.vote.epoch - 1))
            elsewhere = sign(node, message.vote.subject, OTHER_CHAIN)
            words += [(to, encode_message(VoteCast(one))) for one in (earlier, elsewhere)]
        return words
