"""B23: as leader, leaves one half of all clients out."""

from tests.support.simulator_app import transactions_of
from tests.support.simulator_node import Node
from tests.support.simulator_traitors.traitor import Traitor, with_transactions


class Censor(Traitor):
    """Never includes a transaction of an even number. Its blocks are valid: the next honest leader includes them."""

    fault = "B23"

    def forge(self, node: Node, payload: bytes) -> bytes:
        return with_transactions(node, payload, b"".join(tx for tx in transactions_of(payload) if tx[3] % 2))
