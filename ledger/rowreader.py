"""Every row of a store as it stands on disk, for an audit: read only, also of a node that runs, and also damaged.

Knows tables, checksums and places; must not know what a value means. Must always hold: nothing is written, not even a
schema; every row that cannot be read raises StoreError with its place, and reading goes on with the next one.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Select, Table, bindparam, func, select

from ledger.database import open_engine, translated
from ledger.errors import StoreError
from ledger.logstore import PREFIX_BYTES
from ledger.logtiles import TILE_BYTES, Tile
from ledger.merkle import leaf_hash
from ledger.state import Versioned
from ledger.storerows import open_spine, open_state
from ledger.storetables import (
    SpineRow,
    base,
    bodies,
    earlier_state,
    kept_entries,
    log_positions,
    log_tiles,
    map_pages,
    map_roots,
    network,
    spine,
    state,
    stubs,
    transactions,
    unseal,
)

MANY: Final = 500
"""Values of one `in (...)`; SQLite's oldest limit for a statement is 999."""
PIECE: Final = 1_000
"""Rows fetched at once."""
BODY_COLUMNS: Final = ("block", "receipts", "entries", "leaves", "changes")
TABLES: Final[dict[str, Table]] = {
    table.name: table for table in (spine, bodies, state, transactions, map_pages, map_roots, log_tiles, log_positions)
}

_PAGE_VERSIONS: Final = (
    select(map_pages).where(map_pages.c.path == bindparam("path")).order_by(map_pages.c.height.desc())
)


def read_only_url(path: Path) -> str:
    """The URL of a SQLite file that is never written through it."""
    return f"sqlite:///file:{quote(str(path.absolute()))}?mode=ro&uri=true"


class StoreRows:
    """The tables of one store. Used from one thread."""

    def __init__(self, url: str) -> None:
        """Raises StoreError `damaged` (not a database) or `database`."""
        self._engine = open_engine(url)
        with translated():
            self._connection: Connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._is_sqlite = self._streams = self._engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Release the connection."""
        self._connection.close()
        self._engine.dispose()

    def begin(self) -> None:
        """From here on every answer is of one moment: what a running node appends later is not seen."""
        with translated():
            self._connection.close()
            level = "AUTOCOMMIT" if self._is_sqlite else "REPEATABLE READ"
            self._connection = self._engine.connect().execution_options(isolation_level=level)
            if self._is_sqlite:
                self._connection.exec_driver_sql("BEGIN")
            self._streams = True
            self.last()

    def check_pages(self, most: int) -> list[str]:
        """What SQLite itself finds wrong with the pages of its file, at most `most` lines. Empty for PostgreSQL."""
        if not self._is_sqlite:
            return []
        with translated():
            rows = self._connection.exec_driver_sql(f"PRAGMA integrity_check({most})").all()
        return [str(line) for (text,) in rows for line in str(text).splitlines() if line != "ok"][:most]

    def chain(self) -> tuple[int, bytes]:
        """(version of the schema, genesis hash) of the network that the store belongs to."""
        row = self._one(select(network))
        if row is None:
            raise StoreError("missing", "network has no row")
        return row.version, row.chain

    def first(self) -> int:
        """The lowest height whose block is here whole: 1, or the one above a snapshot and what was pruned."""
        below = self._scalar(select(func.max(base.c.height))), self._scalar(select(func.max(stubs.c.height)))
        return max(below) + 1

    def last(self) -> int:
        """The highest stored height, 0 for an empty store."""
        return self._scalar(select(func.max(spine.c.height))) or 0

    def count(self, table: str) -> int:
        """Rows of a table."""
        return self._scalar(select(func.count()).select_from(TABLES[table])) or 0

    def spine(self, height: int) -> SpineRow:
        """Raises StoreError `missing`, `damaged`."""
        row = self._one(select(spine).where(spine.c.height == height))
        if row is None:
            raise StoreError("missing", f"no row for height {height}")
        try:
            return open_spine(row)
        except TypeError:
            raise StoreError("damaged", "a column of another type") from None

    def body(self, height: int, column: str) -> bytes:
        """Raises StoreError `missing`, `damaged`."""
        row = self._one(select(bodies.c[column]).where(bodies.c.height == height))
        if row is None:
            raise StoreError("missing", f"no row for height {height}")
        return unseal(f"{column}/{height}", row[0])

    def state_rows(self) -> Iterator[tuple[str, Versioned | None, str]]:
        """(key, value, "") of every row; (key, None, what is wrong) of one that does not match its checksum."""
        for row in self._all(select(state)):
            try:
                yield (*open_state(row), "")
            except (StoreError, TypeError, AttributeError, OverflowError):
                yield str(row.key), None, "the row does not match its checksum"

    def state_row(self, key: str) -> Versioned | None:
        """One row, None if it is not there. Raises StoreError `damaged`."""
        row = self._one(select(state).where(state.c.key == key))
        return None if row is None else open_state(row)[1]

    def earlier_rows(self) -> Iterator[tuple[str, Versioned]]:
        """State as of the last block that is not whole, where state has newer values. Raises StoreError `damaged`."""
        return (open_state(row) for row in self._all(select(earlier_state)))

    def kept_entry(self, leaf: bytes) -> bytes:
        """A log entry kept apart from blocks. Raises StoreError `missing`, `damaged`."""
        row = self._one(select(kept_entries.c.entry).where(kept_entries.c.leaf == leaf))
        if row is None:
            raise StoreError("missing", f"the entry with leaf hash {leaf.hex()} is not kept")
        if leaf_hash(row.entry) != leaf:
            raise StoreError("damaged", f"the kept entry with leaf hash {leaf.hex()} does not match it")
        return bytes(row.entry)

    def stub_header(self, height: int) -> bytes:
        """The header of a block that is not whole. Raises StoreError `missing`, `damaged`."""
        row = self._one(select(stubs.c.header).where(stubs.c.height == height))
        if row is None:
            raise StoreError("missing", f"no stub of height {height}")
        return unseal(f"stub/{height}", row.header)

    @property
    def is_from_snapshot(self) -> bool:
        """Whether the store began with a snapshot."""
        return bool(self._scalar(select(func.max(base.c.height))))

    def indexed(self, tx_ids: Iterable[bytes]) -> dict[bytes, tuple[int, int]]:
        """Which of these transactions the index knows: (height, position)."""
        table = transactions.c
        return {row.tx_id: (row.height, row.position) for row in self._among(select(transactions), table.tx_id, tx_ids)}

    def index_rows(self) -> Iterator[tuple[bytes, int, int]]:
        """(id, height, position) of the whole index of transactions."""
        return ((row.tx_id, row.height, row.position) for row in self._all(select(transactions)))

    def positions(self, leaves: Iterable[bytes]) -> set[tuple[bytes, int]]:
        """(beginning of the leaf hash, position) of every leaf that begins like one of these."""
        wanted = {leaf[:PREFIX_BYTES] for leaf in leaves}
        found = self._among(select(log_positions), log_positions.c.leaf, wanted)
        return {(row.leaf, row.position) for row in found}

    def position_rows(self) -> Iterator[tuple[bytes, int]]:
        """The whole index of leaves."""
        return ((row.leaf, row.position) for row in self._all(select(log_positions)))

    def height_of_leaf(self, position: int) -> int:
        """The block that added this log entry, 0 if none did."""
        return self._scalar(select(func.max(spine.c.height)).where(spine.c.first_leaf <= position))

    def tile(self, level: int, index: int) -> bytes:
        """A full tile of the log. Raises StoreError `missing`, `damaged`."""
        at = (log_tiles.c.level == level) & (log_tiles.c.number == index)
        row = self._one(select(log_tiles.c.hashes).where(at))
        if row is None:
            raise StoreError("missing", "no such row")
        tile = unseal(f"tile/{level}/{index}", row[0])
        if len(tile) != TILE_BYTES:
            raise StoreError("damaged", "no full tile")
        return tile

    def tile_places(self) -> Iterator[tuple[int, int]]:
        """(level, index) of every stored tile."""
        return ((row.level, row.number) for row in self._all(select(log_tiles.c.level, log_tiles.c.number)))

    def map_roots(self) -> list[tuple[int, Any, Any]]:
        """(height, root, top page) of every writing of the state map that is kept, oldest first."""
        rows = self._all(select(map_roots).order_by(map_roots.c.height))
        return [(row.height, row.root, row.page) for row in rows]

    def map_page(self, path: bytes) -> list[tuple[int, Any]]:
        """(height, bytes) of every kept version of a page, newest first."""
        with translated():
            return [(row.height, row.page) for row in self._connection.execute(_PAGE_VERSIONS, {"path": path})]

    def _one(self, query: Select[Any]) -> Any:
        with translated():
            return self._connection.execute(query).first()

    def _scalar(self, query: Select[Any]) -> int:
        row = self._one(query)
        return row[0] if row and isinstance(row[0], int) else 0

    def _all(self, query: Select[Any]) -> Iterator[Any]:
        """Piece by piece; a server does that in a transaction only (`begin`), before it all at once."""
        with translated():
            yield from self._connection.execute(query.execution_options(yield_per=PIECE) if self._streams else query)

    def _among(self, query: Select[Any], column: Any, wanted: Iterable[bytes]) -> Iterator[Any]:
        values = iter(wanted)
        while some := list(islice(values, MANY)):
            yield from self._all(query.where(column.in_(some)))


def missing_tiles(rows: StoreRows, tiles: Sequence[Tile]) -> Iterator[tuple[str, str, str]]:
    """(place, code, detail) of each of these tiles that is not stored as it is here."""
    for level, index, tile in tiles:
        try:
            stored = rows.tile(level, index)
        except StoreError as error:
            yield f"{level}/{index}", error.code, error.detail
            continue
        if stored != tile:
            yield f"{level}/{index}", "differs", "the hashes are not those of the leaves below"


__all__ = ["BODY_COLUMNS", "StoreRows", "missing_tiles", "read_only_url"]
