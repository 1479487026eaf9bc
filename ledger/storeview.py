"""One moment of a store that may be written meanwhile: what a snapshot is made from.

Knows tables and bytes; must not know what an entry means beyond the keys it writes. Must always hold: everything is
read in one database transaction, so height, state rows and entries belong together whatever the node does; each state
row is given with the log entry that wrote it, from the block's body or from the entries that were kept.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select

from ledger.database import open_engine, translated
from ledger.errors import StoreError
from ledger.merkle import HASH_BYTES, leaf_hash
from ledger.schema import check_schema
from ledger.state import Entry, Versioned
from ledger.storerows import open_spine, open_state
from ledger.storetables import SpineRow, bodies, decode_changes, kept_entries, open_parts, spine, state, stubs, unseal

RANGE: Final = 50
"""Bodies read at a time: at full load some tens of megabytes."""
KEYS: Final = 400
"""Keys of one question; SQLite takes 999 parameters at least."""
_entry_decoder = msgspec.json.Decoder(Entry)


class StoreView:
    """Opened for one pass; close it soon: the database keeps what this view still sees."""

    def __init__(self, url: str, chain: bytes) -> None:
        """Raises StoreError `no_store`, `schema`, `other_network`, `empty`, `no_connection`, `database`."""
        self._engine = open_engine(url)
        with translated():
            check_schema(self._engine, chain, None)
            self._connection = self._begin()
            row = self._connection.execute(select(spine).order_by(spine.c.height.desc()).limit(1)).first()
        if row is None:
            self.close()
            raise StoreError("empty", "no block is final in this store yet")
        self.last: SpineRow = open_spine(row)

    def close(self) -> None:
        """End the transaction."""
        self._connection.close()
        self._engine.dispose()

    def count_state(self) -> int:
        """How many keys were written since genesis."""
        with translated():
            return int(self._connection.execute(select(func.count()).select_from(state)).scalar() or 0)

    def state_value(self, key: str) -> Versioned | None:
        """One key, None if it was not written since genesis."""
        return next((item for _, item in self._rows([key])), None)

    def state_with_entries(self) -> Iterator[tuple[str, Versioned, bytes]]:
        """(key, current value, the log entry that wrote it), in no particular order. Raises StoreError `damaged`."""
        for changes, entry_of in self._bodies():
            yield from self._current(changes, entry_of)
        for changes, entry_of in self._kept():
            yield from self._current(changes, entry_of)

    def _begin(self) -> Connection:
        connection = self._engine.connect()
        if self._engine.dialect.name == "postgresql":
            return connection.execution_options(isolation_level="REPEATABLE READ")
        connection.exec_driver_sql("BEGIN")
        return connection

    def _bodies(self) -> Iterator[tuple[dict[str, bytes], dict[bytes, bytes]]]:
        columns = (bodies.c.height, bodies.c.entries, bodies.c.leaves, bodies.c.changes)
        with translated():  # up to the last stub entries are kept apart, also those of blocks that stayed whole
            after = self._connection.execute(select(func.max(stubs.c.height))).scalar() or 0
        while True:
            query = select(*columns).where(bodies.c.height > after).order_by(bodies.c.height).limit(RANGE)
            with translated():
                rows = self._connection.execute(query).all()
            for height, entries, leaves, changes in rows:
                hashes = unseal(f"leaves/{height}", leaves)
                parts = open_parts(unseal(f"entries/{height}", entries))
                written = decode_changes(unseal(f"changes/{height}", changes))
                places = (hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES))
                yield {key: item.entry for key, item in written.items()}, dict(zip(places, parts, strict=True))
            if not rows:
                return
            after = rows[-1].height

    def _kept(self) -> Iterator[tuple[dict[str, bytes], dict[bytes, bytes]]]:
        after = b""
        while True:
            query = select(kept_entries).where(kept_entries.c.leaf > after).order_by(kept_entries.c.leaf).limit(KEYS)
            with translated():
                rows = self._connection.execute(query).all()
            found = {bytes(leaf): bytes(entry) for leaf, entry in rows}
            for leaf, entry in found.items():
                yield dict.fromkeys(keys_written(entry, leaf), leaf), found
            if not rows:
                return
            after = bytes(rows[-1].leaf)

    def _current(
        self, written: dict[str, bytes], entry_of: dict[bytes, bytes]
    ) -> Iterator[tuple[str, Versioned, bytes]]:
        for key, item in self._rows(written):
            if item.entry == written[key]:
                entry = entry_of.get(item.entry)
                if entry is None:
                    raise StoreError("damaged", f"the log entry that wrote {key.split('/')[0]} is not in its block")
                yield key, item, entry

    def _rows(self, keys: Iterable[str]) -> Iterator[tuple[str, Versioned]]:
        wanted = list(keys)
        for at in range(0, len(wanted), KEYS):
            query: Any = select(state).where(state.c.key.in_(wanted[at : at + KEYS]))
            with translated():
                rows = self._connection.execute(query).all()
            yield from (open_state(row) for row in rows)


def keys_written(entry: bytes, leaf: bytes) -> list[str]:
    """The keys that a kept entry writes. Raises StoreError `damaged` if it is not the one with this leaf hash."""
    if leaf_hash(entry) != leaf:
        raise StoreError("damaged", f"the kept log entry with leaf hash {leaf.hex()} does not match it")
    return [write.key for write in _entry_decoder.decode(entry).writes]
