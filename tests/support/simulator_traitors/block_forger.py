"""B7, B24: as leader, blocks that are well signed and wrong inside, or from another time."""

from typing import ClassVar

from tests.support.simulator_app import HEADER_BYTES, root_after, time_of
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor

HOUR_MS = 3_600_000


class BlockForger(Traitor):
    """Each kind of wrongness in turn: parent, root, a transaction twice, a final transaction again, length, size."""

    fault = "B7"

    def __init__(self) -> None:
        self.turn = 0

    def forge(self, node: Node, payload: bytes) -> bytes:
        self.turn += 1
        final = sorted(node.final_transactions())[:1]
        wrong = [
            bytes(32) + payload[32:],
            payload[:48] + bytes(32) + payload[80:],
            payload + b"12345678" * 2,
            _with(payload, node, b"".join([*final, b"87654321"])),
            payload + b"odd",
            payload[: HEADER_BYTES - 1],
            _with(payload, node, b"".join(i.to_bytes(8, "big") for i in range(2**40, 2**40 + 300))),
        ]
        return wrong[self.turn % len(wrong)]


class TimeMover(Traitor):
    """B24: an hour ahead, at the edge of what is tolerated, at the parent's time, before it, at the end of time."""

    fault = "B24"
    times: ClassVar[tuple[int, ...]] = (HOUR_MS, 2_500, 1_900, -HOUR_MS, 0)

    def __init__(self) -> None:
        self.turn = 0

    def forge(self, node: Node, payload: bytes) -> bytes:
        self.turn += 1
        end_of_time = self.turn % 6 == 5
        moved = 2**63 - 1 if end_of_time else max(0, time_of(payload) + self.times[self.turn % 6])
        return payload[:32] + moved.to_bytes(8, "big") + payload[40:]


class Censor(Traitor):
    """B23: as leader, never includes a transaction whose last byte is even."""

    fault = "B23"

    def forge(self, node: Node, payload: bytes) -> bytes:
        kept = b"".join(payload[i : i + 8] for i in range(HEADER_BYTES, len(payload), 8) if payload[i + 7] % 2)
        return _with(payload, node, kept)


def _with(payload: bytes, node: Node, transactions: bytes) -> bytes:
    """The same block with these transactions and the root that they give."""
    before = node.executed[payload[:32]]
    return payload[:48] + root_after(before.root, transactions) + transactions
