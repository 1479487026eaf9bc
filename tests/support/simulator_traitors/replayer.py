"""B14, N3: says the truth, and again what it and others said long ago, also of another epoch and another chain."""

from msgspec.structs import replace

from consensus.messages import VoteCast, encode_message
from ledger.crypto.hashing import tagged_hash
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words, open_words, sign

OTHER_CHAIN = tagged_hash("genesis", b"another network")
KEPT = 200


class Replayer(Traitor):
    fault = "B14"

    def __init__(self) -> None:
        self.past: list[bytes] = []

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        chance = node.cluster.chance
        self.past = [*self.past[-KEPT:], data]
        words: Words = [(to, data), (to, chance.choice(self.past)), (to, self.past[0])]
        message, _ = open_words(data)
        if isinstance(message, VoteCast):
            earlier = sign(node, replace(message.vote.subject, epoch=0))
            elsewhere = sign(node, message.vote.subject, OTHER_CHAIN)
            words += [(to, encode_message(VoteCast(one))) for one in (earlier, elsewhere)]
        return words
