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

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from sqlalchemy import Connection, Select, bindparam, func, select

from ledger.database import Bulk, PointRead, open_engine, translated
from ledger.errors import StoreError
from ledger.logstore import LogStore
from ledger.logtiles import TILE_WIDTH, Tail, read_tail
from ledger.mapstore import MapStore
from ledger.merkle import HASH_BYTES
from ledger.parts import first_part
from ledger.remains import Remains, keep_earlier
from ledger.schema import check_schema
from ledger.state import Versioned
from ledger.storerows import body_values, open_spine, open_state, record_spine, spine_values, state_values
from ledger.storetables import (
    FinalBlockRecord,
    MapRecord,
    SpineRow,
    bodies,
    decode_changes,
    open_entry,
    open_parts,
    spine,
    state,
    stubs,
    transactions,
    unseal,
    upsert_state,
)
from ledger.writer import PreparedWrite, Writer

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
        self._read_body = {
            column.name: PointRead(self._engine, select(column).where(bodies.c.height == bindparam("at")), ("at",))
            for column in bodies.c
            if column.name != "height"
        }
        self._read_place = PointRead(self._engine, _place_of_entry(), ("at",))
        self._read_state = PointRead(self._engine, select(state).where(state.c.key == bindparam("of")), ("of",))
        self._keep_earlier = keep_earlier(self._engine)
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
        for read in (*self._read_body.values(), self._read_place):
            read.close()
        self._read_state.close()
        self.map.close()
        self.log.close()
        self.remains.close()
        self._end()

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._engine.dispose()

    def _stored_height(self) -> int:
        with self._engine.connect() as connection:
            self.remains = Remains(self._engine, connection)
            height = connection.execute(select(func.max(spine.c.height))).scalar() or 0
            above = spine.c.height > self.remains.base_height
            count = connection.execute(select(func.count()).select_from(spine).where(above)).scalar()
        if self.remains.base_height + (count or 0) != height:
            raise StoreError("damaged", f"{count} blocks are stored up to height {height}")
        return int(height)

    def append(self, *records: FinalBlockRecord, state_map: MapRecord | None = None) -> None:
        """Make final blocks durable, in ascending order, in one transaction: the last one carries its certificate.

        Raises StoreError `height` (not the next one), `certificate` (the last one has none, so a restart could
        not prove it), `no_space`, `read_only`, `no_descriptors` (nothing was written; try again later) or `database`.
        """
        self.prepare(*records, state_map=state_map).commit()

    def prepare(self, *records: FinalBlockRecord, state_map: MapRecord | None = None) -> PreparedWrite:
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
                    return PreparedWrite(self._writer, connection, partial(self._set_last, records[-1].height, None))
                for record in records:
                    tail = self._append_one(connection, record, tail)
                if state_map is not None:
                    self.map.write(connection, state_map)
            except BaseException:
                self._writer.release(connection)
                raise
        return PreparedWrite(self._writer, connection, partial(self._set_last, records[-1].height, tail))

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
        connection.execute(spine.insert(), spine_values(record_spine(record)))
        connection.execute(bodies.insert(), body_values(record))
        self._index_transactions(connection, [(tx, height, at) for at, tx in enumerate(record.transactions)])
        if self.remains.has_entries:
            self._keep_earlier(connection, [(key,) for key in record.changes])
        self._fold_state(connection, [state_values(key, item) for key, item in record.changes.items()])
        longer, tiles = tail.extend(record.leaves)
        self.log.write(connection, tiles, record.first_leaf, record.leaves)
        return longer

    def fill(self, work: Callable[[Connection], None]) -> None:
        """Write what a snapshot brings into an empty store, in one transaction; then close and open it again.

        Raises StoreError `not_empty`, and whatever `work` raises: nothing was written then.
        """
        if self._height:
            raise StoreError("not_empty", f"the store is at height {self._height}")
        self.change(work).commit()

    def change(self, work: Callable[[Connection], None]) -> PreparedWrite:
        """Statements that add no block, as the first half of a transaction; see `prepare`. Raises as `work`."""
        assert self._writer is not None, "a store opened to read is not written"
        with translated():
            connection = self._writer.connect()
            try:
                stored = connection.execute(select(func.max(spine.c.height))).scalar() if self._writer.is_new else None
                if stored is not None and stored != self._height:
                    self._writer.doubt()
                    raise StoreError("no_connection", "an append that was interrupted comes first")
                work(connection)
            except BaseException:
                self._writer.release(connection)
                raise
        return PreparedWrite(self._writer, connection)

    def _set_last(self, height: int, tail: Tail | None) -> None:
        """After a commit; without a tail it is read again."""
        self._height, self._tail = height, tail

    def spine(self, height: int) -> SpineRow:
        """Small facts of one block. Raises StoreError `unknown_height`, `pruned`, `damaged`."""
        with translated(), self._engine.connect() as connection:
            row = connection.execute(select(spine).where(spine.c.height == height)).first()
        if row is None:
            raise self._absent(height)
        return open_spine(row)

    def spine_of(self, header_hash: bytes) -> SpineRow | None:
        """Small facts of the block with this header hash, None if it is not stored."""
        with translated(), self._engine.connect() as connection:
            row = connection.execute(select(spine).where(spine.c.header_hash == header_hash)).first()
        return None if row is None else open_spine(row)

    def spines_down(self, from_height: int) -> Iterator[SpineRow]:
        """Small facts of every stored block from `from_height` down, newest first, read in bounded pieces."""
        while from_height > 0:
            query = select(spine).where(spine.c.height <= from_height).order_by(spine.c.height.desc()).limit(MAX_RANGE)
            with translated(), self._engine.connect() as connection:
                rows = connection.execute(query).all()
            yield from (open_spine(row) for row in rows)
            from_height = rows[-1].height - 1 if rows else 0

    def block(self, height: int) -> bytes:
        """The block's bytes. Raises StoreError `pruned`, `unknown_height`, `damaged`, as all reads of one block."""
        return self._body(height, "block")

    def header(self, height: int) -> bytes:
        """The header's bytes, also of a block of which only the header is left."""
        try:
            return first_part(self._body(height, "block"))
        except StoreError as error:
            left = self.remains.header(height) if error.code == "pruned" else None
            if left is None:
                raise
            return left

    def receipts(self, height: int) -> bytes:
        """The receipts, as the writer gave them."""
        return self._body(height, "receipts")

    def entries(self, height: int) -> tuple[bytes, ...]:
        """The log entries that the block added, in order."""
        return open_parts(self._body(height, "entries"))

    def leaf_hashes(self, height: int) -> tuple[bytes, ...]:
        """The leaf hashes of those entries."""
        data = self.remains.leaves(height)
        if data is None:
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
            self._tail = self.tail_at(self._height)
        return self._tail

    def tail_at(self, height: int) -> Tail:
        """The log's partial tiles after a stored block that is not far below the last one."""
        leaves: list[bytes] = []
        size = wanted = 0
        for row in self.spines_down(height):
            if row.height == height:
                size = row.first_leaf + row.leaf_count
                wanted = size % TILE_WIDTH
            if len(leaves) >= wanted or row.height <= self.remains.base_height:
                break
            leaves = [*self.leaf_hashes(row.height), *leaves]
        if len(leaves) < wanted:
            leaves = [*self.remains.base_leaves(), *leaves]
        return read_tail(size, leaves[len(leaves) - wanted :], self.log.tile, self.remains.tile_root)

    def height_of_entry(self, index: int) -> int:
        """The block that added log entry `index` (0-based). Raises StoreError `unknown_entry`."""
        if 0 <= index < self.remains.base_size:
            raise self.remains.pruned(f"log entry {index}")
        return self._place_of(index)[0]

    def _place_of(self, index: int) -> tuple[int, int]:
        """(height, first leaf) of the block that added log entry `index`."""
        rows = self._read_place(index) if index >= 0 else []
        if not rows:
            raise StoreError("unknown_entry", f"no log entry {index}")
        height, first_leaf, leaf_count = rows[0]
        if index >= first_leaf + leaf_count:
            raise StoreError("unknown_entry", f"no log entry {index} yet")
        return height, first_leaf

    def entry(self, index: int) -> bytes:
        """Log entry `index` (0-based), bound by its leaf of the log. Raises StoreError `unknown_entry`, `damaged`."""
        if 0 <= index < self.remains.base_size:
            raise self.remains.pruned(f"log entry {index}")
        height, first_leaf = self._place_of(index)
        at = index % TILE_WIDTH * HASH_BYTES
        leaf = self.tile(0, index // TILE_WIDTH)[at : at + HASH_BYTES]
        rows = self._read_body["entries"](height)
        return open_entry(rows[0][0], index - first_leaf, leaf) if rows else self.remains.entry(leaf)

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

    def state_family(self, family: str) -> list[tuple[str, Versioned]]:
        """The state of all keys that begin with `family` and a slash."""
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(select(state).where(state.c.key.like(f"{family}/%"))).all()
        return [open_state(row) for row in rows]

    def is_whole(self, height: int) -> bool:
        """Whether a stored block is here with its body."""
        return bool(self._read_body["leaves"](height))

    def connect(self) -> Connection:
        """A connection of its own, to read (ledger.pruning). Close it soon."""
        return self._engine.connect()

    def whole_above(self) -> int:
        """The height above which every block is here whole; 0 for a store that was never pruned nor began with a
        snapshot."""
        with translated(), self._engine.connect() as connection:
            return int(connection.execute(select(func.max(stubs.c.height))).scalar() or 0)

    def state_rows(self) -> Iterator[tuple[str, Versioned]]:
        """All state, in no particular order: what a start loads."""
        with translated(), self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=MAX_RANGE).execute(select(state)):
                yield open_state(row)

    def _body(self, height: int, column: str) -> bytes:
        rows = self._read_body[column](height)
        if not rows or rows[0][0] is None:
            raise self._absent(height)
        return unseal(f"{column}/{height}", rows[0][0])

    def _absent(self, height: int) -> StoreError:
        if 0 < height < self.remains.base_height or self.remains.header(height) is not None:
            return self.remains.pruned(f"block {height}")
        return StoreError("unknown_height", f"no block at height {height}; the last one is {self._height}")


def _place_of_entry() -> Select[tuple[int, int, int]]:
    """The block whose first leaf is the last one at or before an index; every block has a leaf."""
    last = select(func.max(spine.c.first_leaf)).where(spine.c.first_leaf <= bindparam("at")).scalar_subquery()
    return select(spine.c.height, spine.c.first_leaf, spine.c.leaf_count).where(spine.c.first_leaf == last)
