"""B7: as leader, blocks that are well signed and wrong inside."""

from tests.support.simulator_app import HEADER_BYTES, TX_BYTES, build_transaction
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, with_transactions

OWN_CLIENT = 2**31
"""Transactions from this number on come from a client of the traitor."""


class BlockForger(Traitor):
    """Each kind of wrongness in turn: parent, root, a transaction twice, a final transaction again, one that nobody
    signed, length, size."""

    fault = "B7"

    def __init__(self) -> None:
        self.turn = 0

    def forge(self, node: Node, payload: bytes) -> bytes:
        self.turn += 1
        final = sorted(node.final_transactions())[:1]
        own = [build_transaction(OWN_CLIENT + i) for i in range(300)]
        wrong = [
            bytes(32) + payload[32:],
            payload[:48] + bytes(32) + payload[80:],
            with_transactions(node, payload, own[0] * 2),
            with_transactions(node, payload, b"".join([*final, *final[:1], own[1], own[1]])),
            with_transactions(node, payload, b"x" * TX_BYTES),
            payload + b"odd",
            payload[: HEADER_BYTES - 1],
            with_transactions(node, payload, b"".join(own)),
        ]
        if final:
            wrong.append(with_transactions(node, payload, b"".join([*final, own[2]])))
        return wrong[self.turn % len(wrong)]
