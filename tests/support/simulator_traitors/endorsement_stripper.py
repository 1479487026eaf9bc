"""B7, the endorsement stripper: as leader, takes the second party's endorsement off a transaction and orders the rest.

The author's signature covers the endorsement, so what is left has another name and no valid signature: honest
validators refuse the block, and the whole transaction becomes final under the next honest leader, once.
"""

from tests.support.simulator_app import strip_endorsement, transactions_of
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, with_transactions


class EndorsementStripper(Traitor):
    """Strips the first transaction of each block; every second time the whole one stays beside the stripped."""

    fault = "B7"

    def __init__(self) -> None:
        self.turn = 0

    def forge(self, node: Node, payload: bytes) -> bytes:
        carried = transactions_of(payload)
        if not carried:
            return payload
        self.turn += 1
        kept = carried if self.turn % 2 else carried[1:]
        return with_transactions(node, payload, b"".join([strip_endorsement(carried[0]), *kept]))
