"""State above the last final block: one layer a block, over the folded final state.

Knows readers and recent transaction ids; must not know consensus or the store. Must always hold: a layer's answer
never changes while its block is not final, whatever is finalized below it; folding moves a layer's changes into
the final map and empties the layer in one step. Only `node.chain` folds.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from ledger.state import Reader, Versioned
from ledger.transactions import MAX_LIFETIME_MS

MAX_RECENT = 1_000_000
"""Transaction ids of the replay window held in memory, about 150 MB; older ones are looked up in the store."""
MAX_STATE_KEYS = 200_000
"""State keys held in memory, twice that in all, about 1 kB each; a network with fewer never reads one from disk."""


class FinalState:
    """The folded state of the last final block, on top of genesis; all of it in memory while it is small.

    Beyond `capacity` keys the ones not used lately are read from the store when they are asked for.
    """

    __slots__ = ("_capacity", "_genesis", "_lookup", "_old", "_pinned", "_whole", "_young")

    def __init__(
        self,
        genesis: Reader,
        rows: Iterable[tuple[str, Versioned]] = (),
        lookup: Reader = lambda key: None,
        capacity: int = MAX_STATE_KEYS,
    ) -> None:
        """`rows` are all keys of the store, `lookup` reads one of them."""
        self._genesis = genesis
        self._lookup = lookup
        self._capacity = capacity
        self._young: dict[str, Versioned] = {}
        self._old: dict[str, Versioned] = {}
        self._pinned: dict[str, Versioned | None] = {}
        self._whole = True
        for key, item in rows:
            self._keep(key, item)
            if not self._whole:
                break

    def read(self, key: str) -> Versioned | None:
        """The current version of a key."""
        found = self._young.get(key)
        if found is not None:
            return found
        if key in self._pinned:
            return self._pinned[key]
        found = self._old.get(key)
        if found is None and not self._whole:
            found = self._lookup(key)
        if found is None:
            return self._genesis(key)
        self._keep(key, found)
        return found

    def whole(self) -> Mapping[str, Versioned] | None:
        """Every key written since genesis, None if some are not in memory."""
        return self._young if self._whole else None

    def pin(self, changes: Iterable[str]) -> None:
        """The store is about to hold other versions of these keys: until `fold`, what is current now stays."""
        if not self._whole:
            self._pinned = {key: self.read(key) for key in changes}

    def fold(self, changes: Mapping[str, Versioned]) -> None:
        """Make a block's changes final."""
        for key, item in changes.items():
            self._keep(key, item)
            self._pinned.pop(key, None)

    def unpin(self) -> None:
        """What was to be written was not, or is folded."""
        self._pinned = {}

    def _keep(self, key: str, item: Versioned) -> None:
        if len(self._young) >= self._capacity and key not in self._young:
            self._young, self._old = {}, self._young
            self._whole = False
        self._young[key] = item


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
