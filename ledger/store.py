"""Where final blocks are kept: SQLite (WAL, synchronous FULL) or PostgreSQL behind SQLAlchemy Core.

Knows tables and bytes (those of the state map are in mapstore); must not know what a block, receipt or state value
means. Must always hold: blocks are appended one height after the other and never changed; what one certificate makes
final (mostly one block) is one database transaction, so block, receipts, entries, state, pages and index are there
together or not at all, and the last stored block always has its own certificate; whatever is read back is checked
against a digest that binds it to its place, and damage raises StoreError instead of being served.

A block is one row of bytes plus one row of small facts (`spine`); state is folded, one row a key. The same
writer does both. `transactions` is a narrow index: an answer from it is confirmed by the receipts it points at.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, func, select

from ledger.database import Bulk, PointRead, open_engine, translated
from ledger.errors import StoreError
from ledger.mapstore import MapStore
from ledger.parts import join_parts
from ledger.state import Versioned
from ledger.storetables import (
    SCHEMA_VERSION,
    FinalBlockRecord,
    MapRecord,
    SpineRow,
    bodies,
    decode_changes,
    encode_changes,
    metadata,
    network,
    open_parts,
    seal_state,
    spine,
    state,
    transactions,
    upsert_state,
)

CHECK_BYTES = 8
"""A truncated SHA-256 tells damage apart from data; it is no defence against an owner who rewrites his own disk."""
MAX_RANGE = 1_000
"""Rows of one range read; a caller that wants more asks again from where it stopped."""

Sealed: TypeAlias = bytes


class Store:
    """One node's final blocks. `append` has one caller (node.chain); reads may come from any thread."""

    def __init__(self, url: str, chain: bytes) -> None:
        """Open or create. Raises StoreError `schema`, `other_network`, `damaged` or `database`."""
        self._engine = open_engine(url)
        with translated():
            metadata.create_all(self._engine)
            with self._engine.begin() as connection:
                _check_network(connection, chain)
                row = connection.execute(select(func.max(spine.c.height))).scalar()
                count = connection.execute(select(func.count()).select_from(spine)).scalar()
        self._height = row or 0
        if count != self._height:
            raise StoreError("damaged", f"{count} blocks are stored up to height {self._height}")
        self._index_transactions = Bulk(self._engine, transactions.insert(), tuple(transactions.c.keys()))
        self._read_state = PointRead(self._engine, select(state).where(state.c.key == bindparam("of")), ("of",))
        self.map = MapStore(self._engine)
        self._fold_state = Bulk(self._engine, upsert_state(self._engine.dialect.name), tuple(state.c.keys()))

    @property
    def height(self) -> int:
        """The last stored height, 0 for an empty store."""
        return self._height

    def close(self) -> None:
        """Release every connection."""
        self._read_state.close()
        self.map.close()
        self._engine.dispose()

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
        with translated():
            connection = self._engine.connect()
            try:
                for record in records:
                    self._append_one(connection, record)
                if state_map is not None:
                    self.map.write(connection, state_map)
            except BaseException:
                connection.close()  # rolls back
                raise
        return PreparedAppend(self, connection, records[-1].height)

    def _append_one(self, connection: Connection, record: FinalBlockRecord) -> None:
        height = record.height
        connection.execute(spine.insert(), _spine_values(record))
        connection.execute(bodies.insert(), _body_values(record))
        self._index_transactions(connection, [(tx, height, at) for at, tx in enumerate(record.transactions)])
        self._fold_state(connection, [_state_values(key, item) for key, item in record.changes.items()])

    def set_height(self, height: int) -> None:
        """Called by a committed PreparedAppend."""
        self._height = height

    def spine(self, height: int) -> SpineRow:
        """Small facts of one block. Raises StoreError `unknown_height`, `damaged`."""
        return self._spine_row(spine.c.height == height, f"height {height}")

    def spine_of(self, header_hash: bytes) -> SpineRow | None:
        """Small facts of the block with this header hash, None if it is not stored."""
        with translated(), self._engine.connect() as connection:
            row = connection.execute(select(spine).where(spine.c.header_hash == header_hash)).first()
        return None if row is None else _open_spine(row)

    def spines_down(self, from_height: int) -> Iterator[SpineRow]:
        """Small facts of every block from `from_height` down to 1, newest first, read in bounded pieces."""
        while from_height > 0:
            query = select(spine).where(spine.c.height <= from_height).order_by(spine.c.height.desc()).limit(MAX_RANGE)
            with translated(), self._engine.connect() as connection:
                rows = connection.execute(query).all()
            yield from (_open_spine(row) for row in rows)
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

    def all_leaf_hashes(self) -> Iterator[bytes]:
        """Every leaf hash of the log, in order."""
        for height in range(1, self._height + 1):
            yield from self.leaf_hashes(height)

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
        found = _open_spine(row)
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
        return _open_state(rows[0])[1] if rows else None

    def state_rows(self) -> Iterator[tuple[str, Versioned]]:
        """All state, in no particular order: what a start loads."""
        with translated(), self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=MAX_RANGE).execute(select(state)):
                yield _open_state(row)

    def _spine_row(self, condition: Any, what: str) -> SpineRow:
        with translated(), self._engine.connect() as connection:
            row = connection.execute(select(spine).where(condition)).first()
        if row is None:
            raise StoreError("unknown_height", f"no block at {what}; the last one is {self._height}")
        return _open_spine(row)

    def _body(self, height: int, column: str) -> bytes:
        with translated(), self._engine.connect() as connection:
            sealed = connection.execute(select(bodies.c[column]).where(bodies.c.height == height)).scalar()
        if sealed is None:
            raise StoreError("unknown_height", f"no block at height {height}; the last one is {self._height}")
        return _unseal(f"{column}/{height}", sealed)


class PreparedAppend:
    """Blocks written and not yet durable. Exactly one of them exists at a time."""

    __slots__ = ("_connection", "_height", "_store")

    def __init__(self, store: Store, connection: Connection, height: int) -> None:
        self._store = store
        self._connection = connection
        self._height = height

    def commit(self) -> None:
        """Make them durable. Raises StoreError `no_space` or `database`; nothing was written then."""
        with translated():
            try:
                self._connection.commit()
            finally:
                self._connection.close()
        self._store.set_height(self._height)


def _check_network(connection: Connection, chain: bytes) -> None:
    row = connection.execute(select(network)).first()
    if row is None:
        connection.execute(network.insert(), {"version": SCHEMA_VERSION, "chain": chain})
    elif row.version != SCHEMA_VERSION:
        raise StoreError("schema", f"the store has version {row.version}, this program reads {SCHEMA_VERSION}")
    elif row.chain != chain:
        raise StoreError("other_network", "the store belongs to a network with another genesis")


def _seal(place: str, data: bytes) -> Sealed:
    return hashlib.sha256(place.encode() + b"\0" + data).digest()[:CHECK_BYTES] + data


def _unseal(place: str, sealed: Sealed) -> bytes:
    data = sealed[CHECK_BYTES:] if isinstance(sealed, bytes) else b""
    if _seal(place, data) != sealed:
        raise StoreError("damaged", f"{place} does not match its checksum; restore this node from its peers")
    return data


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


def _open_spine(row: Any) -> SpineRow:
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
    sealed = {name: _seal(f"{name}/{record.height}", data) for name, data in parts.items()}
    return {"height": record.height} | sealed


def _has_types(key: Any, item: Versioned) -> bool:
    """SQLite gives back what stands in a damaged row, of whatever type."""
    typed = isinstance(key, str) and isinstance(item.entry, bytes) and isinstance(item.value, bytes | None)
    return typed and isinstance(item.version, int) and 0 <= item.version < 2**63


def _state_values(key: str, item: Versioned) -> tuple[Any, ...]:
    return key, item.version, item.entry, item.value, seal_state(key, item)[:CHECK_BYTES]


def _open_state(row: Any) -> tuple[str, Versioned]:
    key, version, entry, value, seal = row
    item = Versioned(version=version, entry=entry, value=value)
    if not _has_types(key, item) or seal_state(key, item)[:CHECK_BYTES] != seal:
        raise StoreError("damaged", f"the state row of {key} does not match its checksum")
    return key, item
