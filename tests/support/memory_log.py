"""A log in memory as it is published: entries in, tiles out; any of them can be spoilt."""

from collections.abc import Iterable

from ledger.errors import StoreError
from ledger.logtiles import Tail
from ledger.merkle import Log, leaf_hash


class MemoryLog:
    """Implements node.witnessing.log.LogSource over a list of entries."""

    def __init__(self, entries: Iterable[bytes] = ()) -> None:
        self.items: list[bytes] = []
        self.spoilt: dict[tuple[int, int], bytes] = {}
        self._tail = Tail()
        self._full: dict[tuple[int, int], bytes] = {}
        self._log = Log()
        self.add(entries)

    def add(self, entries: Iterable[bytes]) -> None:
        """Append entries."""
        fresh = list(entries)
        leaves = [leaf_hash(entry) for entry in fresh]
        self.items += fresh
        self._log.extend(leaves)
        self._tail, full = self._tail.extend(leaves)
        self._full |= {(level, index): tile for level, index, tile in full}

    def head(self) -> tuple[int, bytes]:
        return len(self.items), self._log.root()

    def tile(self, level: int, index: int) -> bytes:
        if (level, index) in self.spoilt:
            return self.spoilt[level, index]
        partial = self._tail.tile(level, index)
        found = self._full.get((level, index)) if partial is None else partial
        if found is None:
            raise StoreError("unknown_tile", f"no tile {level}/{index}")
        return found

    def entries(self, first: int, count: int) -> tuple[bytes, ...]:
        return tuple(self.items[first : first + count])
