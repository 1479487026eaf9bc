"""The pages of the state map between memory and the store: read when a path leads through them, written now and then.

Knows pages and the store; must not know blocks or state values. Must always hold: what is remembered as the page of a
place is the newest one in the store, so a map written from here can always be read back. Pages are written every
WRITE_KEYS changed keys and not with every block: the upper ones change with each block and would be most of its bytes.
What lies between is in the blocks' changes, from which a start makes it again. One commit writes a bounded number of
pages, lower ones first, so that no block waits for a whole map; the root is recorded when nothing is left to write.
"""

from ledger.errors import StoreError
from ledger.mappages import decode_page, paged_map, top_page, trim, write_pages
from ledger.statemap import Node, StateMap
from ledger.store import Store
from ledger.storetables import MapRecord

CACHED_PAGES = 16_384
"""Pages held in memory, twice that in all, about 3 kB each: those above the last level of 10^6 keys."""
WRITE_KEYS = 16_384
"""Keys that blocks may change before their pages are written: about 60 MB of nodes, a second of a start."""
COMMIT_PAGES = 2_000
"""Pages that one block's commit writes at first, some tens of milliseconds; half more with each block until all are."""
RETAINED_HEIGHTS = 10_000
"""Heights below the last one for which proofs can still be made; older versions of a page go when it is written."""

_Remembered = tuple[bytes, Node]


class _Enough(Exception):
    """One commit has its share of pages."""


class StatePages:
    """Reads and writes pages. Used from one event loop."""

    def __init__(
        self, store: Store, write_keys: int = WRITE_KEYS, retained: int = RETAINED_HEIGHTS, every: int = 0
    ) -> None:
        """`every`: so many heights after the last time the map is written in any case, for who prunes; 0: not."""
        self._store = store
        self._write_keys = write_keys
        self._retained = retained
        self._young: dict[bytes, _Remembered] = {}
        self._old: dict[bytes, _Remembered] = {}
        self._changed = 0
        self._limit = COMMIT_PAGES
        self.every = every
        found = store.map.root(store.height)
        self._written_at = found[0] if found else 0

    def load(self, path: bytes, digest: bytes) -> Node:
        """The inner node of a page. Raises StoreError `damaged` if no kept version of it has this hash."""
        found = self._find(path)
        if found is not None and found[0] == digest:
            return found[1]
        newest = True
        for page in self._store.map.versions(path):
            try:
                node = decode_page(path, digest, page)
            except StoreError:
                newest = False
                continue
            if newest:
                self._keep(path, (digest, node))
            return node
        raise StoreError("damaged", f"no page {path.hex()} of the state map has the hash {digest.hex()}")

    def is_kept(self, path: bytes, digest: bytes) -> bool:
        """Whether the newest page of this place is known to be this one."""
        found = self._find(path)
        return found is not None and found[0] == digest

    def due(self, changed: int, height: int = 0, *, is_large: bool = True) -> bool:
        """Whether pages should be written with the block of a height that changed so many keys; of a map that is not
        large only for who prunes."""
        self._changed += changed
        if self.every and height - self._written_at >= self.every:
            return True
        return is_large and self._changed >= self._write_keys

    def record(self, state_map: StateMap, height: int) -> tuple[MapRecord, list[tuple[bytes, Node]]]:
        """What to write of this map, and what to `remember` once it is durable."""
        pages: list[tuple[bytes, bytes]] = []
        nodes: list[tuple[bytes, Node]] = []

        def emit(path: bytes, node: Node, page: bytes) -> None:
            if len(pages) >= self._limit:
                raise _Enough
            pages.append((path, page))
            nodes.append((path, node))

        top = None
        try:
            write_pages(state_map, self.is_kept, emit)
            top = (state_map.root, top_page(state_map))
        except _Enough:
            self._limit += self._limit // 2 + 1
        return MapRecord(height, top, tuple(pages), height - self._retained), nodes

    def remember(self, record: MapRecord, nodes: list[tuple[bytes, Node]]) -> None:
        """These pages are durable now, and the newest of their places."""
        for path, node in nodes:
            self._keep(path, (node[0], node))
        if record.top is not None:
            self._changed = 0
            self._written_at = record.height
            self._limit = COMMIT_PAGES

    def trim(self, state_map: StateMap) -> StateMap:
        """The same map without the nodes that can be read again."""
        return trim(state_map, self.is_kept, self.load)

    def at(self, height: int) -> tuple[int, StateMap] | None:
        """(height, map) as last written at or below `height`. None if nothing was. Raises StoreError `damaged`."""
        found = self._store.map.root(height)
        return None if found is None else (found[0], paged_map(found[1], self.load, found[2]))

    def _find(self, path: bytes) -> _Remembered | None:
        found = self._young.get(path)
        if found is None:
            found = self._old.get(path)
            if found is not None:
                self._keep(path, found)
        return found

    def _keep(self, path: bytes, item: _Remembered) -> None:
        if len(self._young) >= CACHED_PAGES:
            self._young, self._old = {}, self._young
        self._young[path] = item
