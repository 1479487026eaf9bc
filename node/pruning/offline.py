"""Pruning of a stopped node: what it would take, and doing it.

Knows the folder's store and its owner; asks nobody. Must always hold: nothing is written before the caller has seen the
losses, but for the state map as of the limit; whatever was done when the process dies is a whole store.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.genesis import genesis_hash
from ledger.errors import StoreError
from ledger.pruning import Slice, compact, prune
from ledger.store import Store
from node.assembly import read_genesis
from node.chain import Chain
from node.config import load_config
from node.main import locked_folder
from node.pruning.limits import Kept, find_limit, mapped_height, write_map
from node.pruning.losses import Losses, find_losses, needed_heights
from node.pruning.needed import changes_members
from node.storeurl import store_url


@dataclass(frozen=True, slots=True)
class Plan:
    """What pruning would take, and what it must not."""

    losses: Losses
    needed: frozenset[int]


class StoppedNode:
    """One stopped node's chain."""

    def __init__(self, chain: Chain, participant: str, kept: Kept) -> None:
        self._chain = chain
        self._me = participant
        self._kept = kept

    def plan(self, below: int) -> Plan:
        """For bodies below a height. Raises StoreError."""
        needed, count = needed_heights(self._chain, self._me)
        limit = find_limit(self._chain, below - 1, self._kept)
        return Plan(find_losses(self._chain, self._me, limit, needed, count), needed)

    def prune(self, plan: Plan, progress: Callable[[Slice], None] = lambda done: None) -> Slice:
        """Do it. Raises StoreError: what was told to `progress` is done and durable."""
        total, until = Slice(plan.losses.last), plan.losses.last
        if not plan.losses.blocks:
            return total
        if mapped_height(self._chain, self._kept) < until:
            write_map(self._chain, until)

        def add(done: Slice) -> None:
            total.blocks, total.kept, total.size = (
                total.blocks + done.blocks,
                total.kept + done.kept,
                total.size + done.size,
            )
            progress(done)

        keep = plan.needed.__contains__
        prune(self._chain.store, 0, until, lambda height, changes: keep(height) or changes_members(changes), add)
        return total

    def compact(self) -> None:
        """Give free pages back to the file system. Raises StoreError `no_space`, `database`."""
        compact(self._chain.store)


@contextmanager
def stopped_node(folder: Path, kept: Kept | None = None) -> Iterator[StoppedNode]:
    """Open the store of the node in `folder`, which must not run, and compare every root as a start does.

    Raises ConfigError `locked`, StoreError `locked`, `empty`, and what a start raises.
    """
    config, genesis = load_config(folder), read_genesis(folder)
    with locked_folder(folder):
        store = Store(store_url(folder, config.store), genesis_hash(genesis))
        try:
            if not store.height:
                raise StoreError("empty", "no block is final in this store yet")
            chain = Chain(store, genesis)
            try:
                yield StoppedNode(chain, config.participant, kept or Kept())
            finally:
                chain.close()
        finally:
            store.close()
