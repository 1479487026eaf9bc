"""X1: every message cut, flipped or prolonged by the seeded chance."""

from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, Words


class Garbler(Traitor):
    fault = "X1"

    def speak(self, node: Node, to: str | None, data: bytes) -> Words:
        chance = node.cluster.chance
        at = chance.randrange(len(data))
        what = chance.randrange(3)
        if what == 0:
            return [(to, data[:at])]
        if what == 1:
            return [(to, data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :])]
        return [(to, data + b"\x00" * at)]
