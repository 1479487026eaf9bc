"""The one history of a simulated network: final blocks in order, the sets that follow, and who delivered what.

Judges by certificates and bytes alone and shares no code with the rules. Must always hold, else AssertionError: of two
final blocks one is the other's ancestor; each epoch ends with the block that closes it; honest nodes deliver the same
blocks in the same order, each once, with equal roots.
"""

from typing import TYPE_CHECKING

from consensus.effects import Block
from ledger.certificates import Certificate
from tests.support.simulator_app import (
    MAX_DRIFT_MS,
    Executed,
    boundary_under,
    is_signed,
    parent_of,
    time_of,
    transactions_of,
)
from tests.support.simulator_epochs import Epoch

if TYPE_CHECKING:
    from tests.support.simulator import Cluster
    from tests.support.simulator_node import Node


class History:
    """What became final."""

    def __init__(self, cluster: "Cluster", first: Epoch) -> None:
        self.cluster, self.root = cluster, first.root
        self.epochs: dict[int, Epoch] = {1: first}
        self.epoch = 1
        """The newest epoch that a final block opened."""
        self.top = (1, 0)
        """The highest final view that anybody knows of: below it, bytes of skipped blocks may go."""
        self.payloads: dict[str, bytes] = {}
        """Bytes that were durable somewhere."""
        self.final: list[str] = []
        """Digests of final blocks in order, by certificates."""
        self.epoch_at: list[int] = []
        self.position: dict[str, int] = {first.root.hex(): -1}
        self.chain: list[bytes] = []
        """Digests of delivered blocks in order."""
        self.roots: dict[bytes, Executed] = {}
        self.transactions: set[bytes] = set()
        """Those of the delivered blocks."""
        self.highest_wall = 0

    def block_of(self, digest: str) -> str:
        """The block itself, or the boundary that a tail block of this name stands for."""
        boundary = boundary_under(bytes.fromhex(digest), self.payloads.get(digest, b""))
        return digest if boundary is None else boundary.hex()

    # --- certificates -----------------------------------------------------------------------------------------------

    def extend(self, certificate: Certificate) -> None:
        """A new finalization: its block descends from the last final one, and nothing follows the end of an epoch."""
        assert certificate.digest is not None
        self.top = max(self.top, (certificate.epoch, certificate.view))
        path, digest = [], self.block_of(certificate.digest)
        while digest not in self.position:
            assert digest in self.payloads, f"final view {certificate.view}: an ancestor's bytes were never durable"
            path.append(digest)
            digest = parent_of(self.payloads[digest]).hex()
        assert not path or self.position[digest] == len(self.final) - 1, (
            f"final view {certificate.view} does not descend from the last final block"
        )
        for one in reversed(path):
            assert certificate.epoch == self.epoch, f"epoch {certificate.epoch} goes on after its end"
            self.position[one] = len(self.final)
            self.final.append(one)
            self.epoch_at.append(self.epoch)
            after = self.cluster.membership.following(self.epochs[self.epoch], bytes.fromhex(one), self.payloads[one])
            self.epochs[after.number], self.epoch = after, after.number

    # --- blocks -----------------------------------------------------------------------------------------------------

    def check_parent(self, node: "Node", block: Block) -> None:
        """Prefix: each block stands on the one that this node stored before."""
        expected = node.disk.blocks[-1].ref.digest if node.disk.blocks else self.root
        assert parent_of(block.payload) == expected, f"{node.name} got view {block.ref.view} on another parent"

    def check_delivered(self, node: "Node", block: Block, certificate: Certificate, after: Executed) -> None:
        """Agreement, no gap, no repetition, equal roots, proven final, in the right epoch."""
        height, digest = len(node.disk.blocks), block.ref.digest  # height of the new block, counted from 0
        assert certificate.kind == "finalize"
        assert certificate.view >= block.ref.view, f"{node.name} was given view {block.ref.view} before it was final"
        assert self.position.get(digest.hex()) == height, f"{node.name} got view {block.ref.view} at {height + 1}"
        assert certificate.epoch == self.epoch_at[height], f"{node.name} stores height {height + 1} in another epoch"
        if height == len(self.chain):
            self._append(digest, block.payload)
        assert self.chain[height] == digest, f"{node.name} disagrees at height {height + 1}"
        assert self.roots.setdefault(digest, after) == after, f"{node.name} computed another state at {height + 1}"

    def _append(self, digest: bytes, payload: bytes) -> None:
        """A time that some honest clock allowed; transactions that their authors signed, each once for ever."""
        self.chain.append(digest)
        self.highest_wall = max([self.highest_wall, *(one.wall for one in self.cluster.honest())])
        assert time_of(payload) <= self.highest_wall + MAX_DRIFT_MS, "a block from the future is final"
        carried = transactions_of(payload)
        assert all(is_signed(tx) for tx in carried), "a transaction is final that its author never signed like this"
        assert not self.transactions.intersection(carried), "a transaction is final twice"
        self.transactions.update(carried)
