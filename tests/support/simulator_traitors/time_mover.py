"""B24, the time-mover: as leader, blocks from another time, at and beyond the edges of what is tolerated."""

from typing import ClassVar

from tests.support.simulator_app import time_of
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor

HOUR_MS = 3_600_000


class TimeMover(Traitor):
    """In turn: an hour ahead, just too far, just tolerated, before the parent, honest, at the end of time. The first
    ones are held by honest voters until their clocks get there or the view ends; none becomes final early."""

    fault = "B24"
    times: ClassVar[tuple[int, ...]] = (HOUR_MS, 2_500, 1_900, -HOUR_MS, 0)

    def __init__(self) -> None:
        self.turn = 0

    def forge(self, node: Node, payload: bytes) -> bytes:
        self.turn += 1
        end_of_time = self.turn % 6 == 5
        moved = 2**63 - 1 if end_of_time else max(0, time_of(payload) + self.times[self.turn % 6])
        return payload[:32] + moved.to_bytes(8, "big") + payload[40:]
