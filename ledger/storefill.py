"""A new store from the parts of a snapshot: rows, pages, stubs and the base, in the caller's transaction.

Knows tables; must not know what was checked (node.snapshots checks before it adds). Must always hold: rows are gathered
up to a bound and written in batches; the base is written last, so a store without it began at genesis.
"""

from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from ledger.database import Bulk
from ledger.logtiles import Tail
from ledger.mapstore import MapStore
from ledger.remains import encode_tail, seal_stub
from ledger.state import Versioned
from ledger.storerows import spine_values, state_values
from ledger.storetables import MapRecord, SpineRow, base, kept_entries, seal, spine, state, stubs, transactions

BATCH: Final = 2_000
"""Rows written at a time: some megabytes."""
CACHE_KB: Final = 256 * 1024
"""Rows come in the order of the map, their indexes have others: SQLite's own 2 MB would write the same pages again and
again. For the time of the fill; a million keys need 130 MB."""


class StoreFill:
    """Adds to the tables of an empty store. Used inside `Store.fill`."""

    def __init__(self, connection: Connection, pages: MapStore, height: int) -> None:
        self._connection = connection
        self._pages = pages
        self._height = height
        engine = connection.engine
        dialect = sqlite if engine.dialect.name == "sqlite" else postgresql
        if dialect is sqlite:
            connection.exec_driver_sql(f"PRAGMA cache_size=-{CACHE_KB}")
        once: Any = dialect.insert(kept_entries).on_conflict_do_nothing()
        self._insert_state = Bulk(engine, state.insert(), tuple(state.c.keys()))
        self._insert_entries = Bulk(engine, once, tuple(kept_entries.c.keys()))
        self._insert_ids = Bulk(engine, transactions.insert(), tuple(transactions.c.keys()))
        self._states: list[tuple[Any, ...]] = []
        self._entries: dict[bytes, bytes] = {}
        self._map_pages: list[tuple[bytes, bytes]] = []

    def add_state(self, key: str, item: Versioned, entry: bytes) -> None:
        """One key, and the log entry that wrote it."""
        self._states.append(state_values(key, item))
        self._entries[item.entry] = entry
        if len(self._states) >= BATCH:
            self._flush_state()

    def add_page(self, path: bytes, page: bytes) -> None:
        """A page of the state map."""
        self._map_pages.append((path, page))
        if len(self._map_pages) >= BATCH:
            self._flush_pages(None)

    def add_block(self, row: SpineRow, header: bytes) -> None:
        """A block of which only facts and header are known."""
        self._connection.execute(spine.insert(), spine_values(row))
        self._connection.execute(stubs.insert(), seal_stub(row.height, header, b""))
        self._insert_ids(self._connection, [(tx, row.height, at) for at, tx in enumerate(row.transactions)])

    def finish(self, top: tuple[bytes, bytes | None], tail: Tail) -> None:
        """What is left, the map's root and the base."""
        self._flush_state()
        self._flush_pages(top)
        record = seal(f"base/{self._height}", encode_tail(tail))
        self._connection.execute(base.insert(), {"height": self._height, "tail": record})

    def _flush_state(self) -> None:
        self._insert_state(self._connection, self._states)
        self._insert_entries(self._connection, list(self._entries.items()))
        self._states, self._entries = [], {}

    def _flush_pages(self, top: tuple[bytes, bytes | None] | None) -> None:
        self._pages.write(self._connection, MapRecord(self._height, top, tuple(self._map_pages), 0))
        self._map_pages = []
