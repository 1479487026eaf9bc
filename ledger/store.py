"""Where final blocks are kept: SQLite (WAL, synchronous FULL) or PostgreSQL (synchronous commit), behind SQLAlchemy.

Knows tables and bytes (those of the state map and the log are in mapstore and logstore); must not know what a
block, receipt or state value means. Must always hold: blocks are appended one height after the other and never
changed; what one certificate makes final (mostly one block) is one database transaction, so block, receipts, entries,
state, pages, tiles and index are there together or not at all, and the last stored block always has its own
certificate; whatever is read back is checked against a digest that binds it to its place, and damage raises
StoreError instead of being served.

A block is one row of bytes plus one row of small facts (`spine`); state is folded, one row a key. The same
writer does both. `transactions` is a narrow index: an answer from it is confirmed by the receipts it points at.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from ledger.database import Bulk, PointRead, open_engine, translated
from ledger.errors import StoreError
from ledger.logstore import LogStore
from ledger.logtiles import TILE_WIDTH, Tail, read_tail
from ledger.mapstore import MapStore
from ledger.merkle import HASH_BYTES
from ledger.parts import join_parts
from ledger.schema import check_schema
from ledger.state import Versioned
from ledger.storetables import (
    CHECK_BYTES,
    FinalBlockRecord,
    MapRecord,
    SpineRow,
    bodies,
    decode_changes,
    encode_changes,
    open_parts,
    seal,
    seal_state,
    spine,
    state,
    transactions,
    unseal,
    upsert_state,
)
from ledger.writer import Writer

MAX_RANGE = 1_000
"""Rows of one range read; a caller that wants more asks again from where it stopped."""


class Store:
    """One node's final blocks. `append` has one caller (node.chain); reads may come from any thread."""

    def __init__(
        self,
        url: str,
        chain: bytes,
        *,
        read_only: bool = False,
        on_upgrade: Callable[[int, int], None] = lambda old, new: None,
    ) -> None:
        """Open; unless `read_only`, take the writer's lock, create or upgrade the tables (after `on_upgrade` was told
        both versions). Raises StoreError `schema`, `other_network`, `damaged`, `locked`, `no_store`, `driver`,
        `not_durable`, `no_connection` or `database`.
        """
        self._engine = open_engine(url)
        self._writer: Writer | None = None
        try:
            self._writer = None if read_only else Writer(self._engine)
            with translated():
                check_schema(self._engine, chain, None if read_only else on_upgrade)
                self._height = self._stored_height()
        except BaseException:
            self._end()
            raise
        self._index_transactions = Bulk(self._engine, transactions.insert(), tuple(transactions.c.keys()))
        self._read_state = PointRead(self._engine, select(state).where(state.c.key == bindparam("of")), ("of",))
        self.map = MapStore(self._engine)
        self.log = LogStore(self._engine)
        self._tail: Tail | None = None
        self._fold_state = Bulk(self._engine, upsert_state(self._engine.dialect.name), tuple(state.c.keys()))

    @property
    def height(self) -> int:
        """The last stored height, 0 for an empty store."""
        return self._height

    def close(self) -> None:
        """Release every connection."""
        self._read_state.close()
        self.map.close()
        self.log.close()
        self._end()

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._engine.dispose()

    def _stored_height(self) -> int:
        with self._engine.connect() as connection:
            height = connection.execute(select(func.max(spine.c.height))).scalar() or 0
            count = connection.execute(select(func.count()).select_from(spine)).scalar()
        if count != height:
            raise StoreError("damaged", f"{count} blocks are stored up to height {height}")
        return int(height)

    def append(self, *records: FinalBlockRecord, state_map: MapRecord | None = None) -> None:
        """Make final blocks durable, in ascending order, in one transaction: the last one carries its certificate.

        Raises StoreError `height` (not the next one), `certificate` (the last one has none, so a restart could
        not prove it), `no_space`, `read_only`, `no_descriptors` (nothing was written; try again later) or `database`.
        """
        self.prepare(*records, state_map=state_map).commit()

    def prepare(self, *records: FinalBlockRecord, state_map: MapRecord | None = None) -> "PreparedAppend":
        """The first half of `append`: everything but the commit, which is the part that waits for the disk.

        Its result is committed (in any thread) before anything else is appended, or dropped. Raises as `append`.
        """
        for offset, record in enumerate(records, start=1):
            if record.height != self._height + offset:
                raise StoreError("height", f"height {record.height} after {self._height + offset - 1}")
        if not records or records[-1].certificate is None:
            raise StoreError("certificate", "the last block of a batch brings the certificate that makes it final")
        assert self._writer is not None, "a store opened to read is not written"
        tail = self._log_tail()
        with translated():
            connection = self._writer.connect()
            try:
                if self._writer.is_new and self._is_stored(connection, records):
                    return PreparedAppend(self, self._writer, connection, records[-1].height, None)
                for record in records:
                    tail = self._append_one(connection, record, tail)
                if state_map is not None:
                    self.map.write(connection, state_map)
            except BaseException:
                self._writer.release(connection)
                raise
        return PreparedAppend(self, self._writer, connection, records[-1].height, tail)

    def _is_stored(self, connection: Connection, records: Sequence[FinalBlockRecord]) -> bool:
        """After a lost connection: whether the commit that it interrupted was done, so that it is not done twice.

        Raises StoreError `other_writer` if what is stored is neither what was there before nor that.
        """
        row = connection.execute(select(spine).order_by(spine.c.height.desc()).limit(1)).first()
        stored = 0 if row is None else row.height
        if stored == self._height:
            return False
        if row is not None and (stored, row.header_hash) == (records[-1].height, records[-1].header_hash):
            return True
        raise StoreError("other_writer", f"height {stored} is stored, this process wrote up to {self._height}")

    def _append_one(self, connection: Connection, record: FinalBlockRecord, tail: Tail) -> Tail:
        height = record.height
        connection.execute(spine.insert(), _spine_values(record))
        connection.execute(bodies.insert(), _body_values(record))
        self._index_transactions(connection, [(tx, height, at) for at, tx in enumerate(record.transactions)])
        self._fold_state(connection, [_state_values(key, item) for key, item in record.changes.items()])
        longer, tiles = tail.extend(record.leaves)
        self.log.write(connection, tiles, record.first_leaf, record.leaves)
        return longer

    def set_last(self, height: int, tail: Tail | None) -> None:
        """Called by a committed PreparedAppend; without a tail it is read again."""
        self._height, self._tail = height, tail

    def spine(self, height: int) -> SpineRow:
        """Small facts of one block. Raises StoreError `unknown_height`, `damaged`."""
        return self._spine_row(spine.c.height == height, f"height {height}")

    def spine_of(self, header_hash: bytes) -> SpineRow | None:
        """Small facts of the block with this header hash, None if it is not stored."""
        with translated(), self._engine.connect() as connection:
            row = connection.execute(select(spine).where(spine.c.header_hash == header_hash)).first()
        return None if row is None else open_spine(row)

    def spines_down(self, from_height: int) -> Iterator[SpineRow]:
        """Small facts of every block from `from_height` down to 1, newest first, read in bounded pieces."""
        while from_height > 0:
            query = select(spine).where(spine.c.height <= from_height).order_by(spine.c.height.desc()).limit(MAX_RANGE)
            with translated(), self._engine.connect() as connection:
                rows = connection.execute(query).all()
            yield from (open_spine(row) for row in rows)
            from_height -= MAX_RANGE

    def block(self, height: int) -> bytes:
        """The block's bytes."""
        return self._body(height, "block")

    def receipts(self, height: int) -> bytes:
        """The receipts, as the writer gave them."""
        return self._body(height, "receipts")

    def entries(self, height: int) -> tuple[bytes, ...]:
        """The log entries that the block added, in order."""
        return open_parts(self._body(height, "entries"))

    def leaf_hashes(self, height: int) -> tuple[bytes, ...]:
        """The leaf hashes of those entries."""
        data = self._body(height, "leaves")
        return tuple(data[at : at + 32] for at in range(0, len(data), 32))

    def changes(self, height: int) -> dict[str, Versioned]:
        """What the block wrote into state."""
        return decode_changes(self._body(height, "changes"))

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of a tile of the log, fewer than 256 of the last one.

        Raises StoreError `unknown_tile`, `damaged`.
        """
        partial = self._log_tail().tile(level, index)
        return self.log.tile(level, index) if partial is None else partial

    def leaf_position(self, leaf: bytes) -> int:
        """The index of the log entry with this leaf hash, the first of several. Raises StoreError `unknown_entry`."""
        for position in self.log.positions(leaf):
            at = position % TILE_WIDTH * HASH_BYTES
            if self.tile(0, position // TILE_WIDTH)[at : at + HASH_BYTES] == leaf:
                return position
        raise StoreError("unknown_entry", f"no log entry has the leaf hash {leaf.hex()}")

    def _log_tail(self) -> Tail:
        """The partial tiles; the first time from the last blocks' leaves and the full tiles."""
        if self._tail is None:
            self._tail = self._load_tail()
        return self._tail

    def _load_tail(self) -> Tail:
        leaves: list[bytes] = []
        size = wanted = 0
        for row in self.spines_down(self._height):
            if row.height == self._height:
                size = row.first_leaf + row.leaf_count
                wanted = size % TILE_WIDTH
            if len(leaves) >= wanted:
                break
            leaves = [*self.leaf_hashes(row.height), *leaves]
        return read_tail(size, leaves[len(leaves) - wanted :], self.log.tile)

    def height_of_entry(self, index: int) -> int:
        """The block that added log entry `index` (0-based). Raises StoreError `unknown_entry`."""
        query = select(func.max(spine.c.height)).where(spine.c.first_leaf <= index)
        with translated(), self._engine.connect() as connection:
            height = connection.execute(query).scalar()
        if index < 0 or height is None:
            raise StoreError("unknown_entry", f"no log entry {index}")
        row = self.spine(height)
        if index >= row.first_leaf + row.leaf_count:
            raise StoreError("unknown_entry", f"no log entry {index} yet")
        return row.height

    def entry(self, index: int) -> bytes:
        """Log entry `index` (0-based). Raises StoreError `unknown_entry`, `damaged`."""
        height = self.height_of_entry(index)
        return self.entries(height)[index - self.spine(height).first_leaf]

    def certificate_at(self, height: int) -> bytes | None:
        """The certificate of exactly this block; None if a descendant's certificate made it final."""
        return self.spine(height).certificate

    def certificate_from(self, height: int) -> tuple[int, bytes] | None:
        """(height, certificate) nearest at or above `height`: what proves it final. None above the last one."""
        query = (
            select(spine)
            .where(spine.c.height >= height, spine.c.certificate.is_not(None))
            .order_by(spine.c.height)
            .limit(1)
        )
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        found = open_spine(row)
        return (found.height, found.certificate) if found.certificate is not None else None

    def transaction(self, tx_id: str) -> tuple[int, int] | None:
        """(height, position in the block), None if it is not in a final block."""
        key = bytes.fromhex(tx_id)
        query = select(transactions.c.height, transactions.c.position).where(transactions.c.tx_id == key)
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.height, row.position)

    def state_value(self, key: str) -> Versioned | None:
        """The folded state of one key, None if it was never written."""
        rows = self._read_state(key)
        return open_state(rows[0])[1] if rows else None

    def state_rows(self) -> Iterator[tuple[str, Versioned]]:
        """All state, in no particular order: what a start loads."""
        with translated(), self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=MAX_RANGE).execute(select(state)):
                yield open_state(row)

    def _spine_row(self, condition: Any, what: str) -> SpineRow:
        with translated(), self._engine.connect() as connection:
            row = connection.execute(select(spine).where(condition)).first()
        if row is None:
            raise StoreError("unknown_height", f"no block at {what}; the last one is {self._height}")
        return open_spine(row)

    def _body(self, height: int, column: str) -> bytes:
        with translated(), self._engine.connect() as connection:
            sealed = connection.execute(select(bodies.c[column]).where(bodies.c.height == height)).scalar()
        if sealed is None:
            raise StoreError("unknown_height", f"no block at height {height}; the last one is {self._height}")
        return unseal(f"{column}/{height}", sealed)


class PreparedAppend:
    """Blocks written and not yet durable. Exactly one of them exists at a time."""

    __slots__ = ("_connection", "_height", "_store", "_tail", "_writer")

    def __init__(self, store: Store, writer: Writer, connection: Connection, height: int, tail: Tail | None) -> None:
        self._store = store
        self._writer = writer
        self._connection = connection
        self._height = height
        self._tail = tail

    def commit(self) -> None:
        """Make them durable. Raises StoreError `no_space` or `database`: nothing was written; `no_connection`: that is
        not known, and the same append finds it out."""
        with translated():
            try:
                self._connection.commit()
            finally:
                self._writer.release(self._connection)
        self._store.set_last(self._height, self._tail)


def _spine_values(record: FinalBlockRecord) -> dict[str, Any]:
    row = SpineRow(
        height=record.height,
        view=record.view,
        time_ms=record.time_ms,
        header_hash=record.header_hash,
        first_leaf=record.first_leaf,
        leaf_count=len(record.leaves),
        certificate=record.certificate,
        transactions=record.transactions,
        peaks=record.peaks,
    )
    values = row.columns()
    return values | {"seal": _spine_seal(values)}


def _spine_seal(values: Mapping[str, Any]) -> bytes:
    parts = [values[name] for name in SpineRow.COLUMNS]
    plain = [part if isinstance(part, bytes) else repr(part).encode() for part in parts]
    return hashlib.sha256(join_parts(plain)).digest()[:CHECK_BYTES]


def open_spine(row: Any) -> SpineRow:
    """A row of the table as facts. Raises StoreError `damaged` unless it matches its checksum."""
    values = {name: getattr(row, name) for name in SpineRow.COLUMNS}
    if _spine_seal(values) != row.seal:
        raise StoreError("damaged", f"spine/{row.height} does not match its checksum")
    return SpineRow.of(values)


def _body_values(record: FinalBlockRecord) -> dict[str, Any]:
    parts = {
        "block": record.block,
        "receipts": record.receipts,
        "entries": join_parts(record.entries),
        "leaves": b"".join(record.leaves),
        "changes": encode_changes(record.changes),
    }
    sealed = {name: seal(f"{name}/{record.height}", data) for name, data in parts.items()}
    return {"height": record.height} | sealed


def _has_types(key: Any, item: Versioned) -> bool:
    """SQLite gives back what stands in a damaged row, of whatever type."""
    typed = isinstance(key, str) and isinstance(item.entry, bytes) and isinstance(item.value, bytes | None)
    return typed and isinstance(item.version, int) and 0 <= item.version < 2**63


def _state_values(key: str, item: Versioned) -> tuple[Any, ...]:
    return key, item.version, item.entry, item.value, seal_state(key, item)[:CHECK_BYTES]


def open_state(row: Any) -> tuple[str, Versioned]:
    """A row of the table as (key, value). Raises StoreError `damaged` unless it matches its checksum."""
    key, version, entry, value, seal = row
    item = Versioned(version=version, entry=entry, value=value)
    if not _has_types(key, item) or seal_state(key, item)[:CHECK_BYTES] != seal:
        raise StoreError("damaged", f"the state row of {key} does not match its checksum")
    return key, item
