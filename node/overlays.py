"""State above the last final block: one layer a block, over the folded final state.

Knows readers and recent transaction ids; must not know consensus or the store. Must always hold: a layer's answer
never changes while its block is not final, whatever is finalized below it; folding moves a layer's changes into
the final map and empties the layer in one step. Only `node.chain` folds.
"""

from collections import deque
from collections.abc import Callable, ItemsView, Iterable, Mapping

from ledger.state import Reader, Versioned
from ledger.transactions import MAX_LIFETIME_MS

MAX_RECENT = 1_000_000
"""Transaction ids of the replay window held in memory, about 150 MB; older ones are looked up in the store."""


class FinalState:
    """The folded state of the last final block, on top of genesis."""

    __slots__ = ("_genesis", "_values")

    def __init__(self, genesis: Reader, rows: Iterable[tuple[str, Versioned]] = ()) -> None:
        self._genesis = genesis
        self._values: dict[str, Versioned] = dict(rows)

    def read(self, key: str) -> Versioned | None:
        """The current version of a key."""
        found = self._values.get(key)
        return self._genesis(key) if found is None else found

    def fold(self, changes: Mapping[str, Versioned]) -> None:
        """Make a block's changes final."""
        self._values.update(changes)

    def items(self) -> ItemsView[str, Versioned]:
        """Every key written since genesis."""
        return self._values.items()


class RecentIds:
    """Final transaction ids of the last 48 hours of block time: the replay window."""

    def __init__(self, lookup: Callable[[str], bool], capacity: int = MAX_RECENT) -> None:
        """`lookup` asks the store; it is used only while ids of the window had to leave memory."""
        self._lookup = lookup
        self._capacity = capacity
        self._ids: set[str] = set()
        self._blocks: deque[tuple[int, tuple[str, ...]]] = deque()
        self._spilled_ms = -1

    def add(self, time_ms: int, tx_ids: tuple[str, ...]) -> None:
        """The ids of the next final block."""
        if tx_ids:
            self._blocks.append((time_ms, tx_ids))
            self._ids.update(tx_ids)
        while self._blocks and self._blocks[0][0] < time_ms - MAX_LIFETIME_MS:
            self._ids.difference_update(self._blocks.popleft()[1])
        while len(self._ids) > self._capacity and len(self._blocks) > 1:
            self.spill(*self._blocks.popleft())
        if time_ms - MAX_LIFETIME_MS > self._spilled_ms:
            self._spilled_ms = -1

    def spill(self, time_ms: int, tx_ids: tuple[str, ...]) -> None:
        """These are not in memory although the window covers them: ask the store from now on."""
        self._ids.difference_update(tx_ids)
        self._spilled_ms = max(self._spilled_ms, time_ms)

    def contains(self, tx_id: str) -> bool:
        """Whether a final block of the window holds it."""
        return tx_id in self._ids or (self._spilled_ms >= 0 and self._lookup(tx_id))

    def __len__(self) -> int:
        return len(self._ids)


class Layer:
    """One executed block that is not final yet, on top of its parent's layer or of the final state (None)."""

    __slots__ = ("_base", "_changes", "_ids", "_parent", "_recent")

    def __init__(
        self,
        base: FinalState,
        recent: RecentIds,
        parent: "Layer | None",
        changes: Mapping[str, Versioned],
        tx_ids: Iterable[str],
    ) -> None:
        self._base = base
        self._recent = recent
        self._parent = parent
        self._changes: Mapping[str, Versioned] = changes
        self._ids = frozenset(tx_ids)

    def read(self, key: str) -> Versioned | None:
        """The version of a key as this block leaves it."""
        layer: Layer | None = self
        while layer is not None:
            found = layer._changes.get(key)
            if found is not None:
                return found
            layer = layer._parent
        return self._base.read(key)

    def is_recent(self, tx_id: str) -> bool:
        """Whether this block or its ancestry of the last 48 hours holds the transaction."""
        layer: Layer | None = self
        while layer is not None:
            if tx_id in layer._ids:
                return True
            layer = layer._parent
        return self._recent.contains(tx_id)

    def descends_from(self, other: "Layer") -> bool:
        """Whether `other` is this layer or one below it."""
        layer: Layer | None = self
        while layer is not None:
            if layer is other:
                return True
            layer = layer._parent
        return False

    def fold(self) -> None:
        """This block is final and everything below it was folded before: its changes move down."""
        assert self._parent is None or not self._parent._changes, "layers are folded from the oldest up"
        self._base.fold(self._changes)
        self._changes, self._ids, self._parent = {}, frozenset(), None
