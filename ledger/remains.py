"""What a store keeps of blocks that are not in it whole: of pruned ones, and of those below a snapshot.

Knows four tables: the base (the block that a snapshot was of, with the log's partial tiles after it), stubs (header
and leaf hashes; the body of a pruned block is gone, of some it stays), entries kept because a state value stands in
them, and the values as of the last stub that state has newer ones of (`earlier_state`). Must not know what a header or
entry means. Must always hold: what is missing on purpose is answered with `pruned`, never as if it had not been.
"""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Engine, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from ledger.database import Bulk, PointRead, translated
from ledger.errors import DecodeError, StoreError
from ledger.logtiles import TILE_HEIGHT, Tail
from ledger.merkle import HASH_BYTES, leaf_hash
from ledger.parts import join_parts, split_parts
from ledger.state import Versioned
from ledger.storerows import open_state
from ledger.storetables import base, earlier_state, kept_entries, seal, state, stubs, unseal

SIZE_BYTES: Final = 8
PIECE: Final = 1_000
"""Rows fetched at once."""


class Remains:
    """Reads of the three tables. The base never changes while a store is open."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        """Raises StoreError `damaged`."""
        self._engine = engine
        row = connection.execute(select(base)).first()
        self.base_height: int = 0 if row is None else row.height
        """The height of the snapshot that the store began with, 0 for one that began at genesis."""
        self.has_entries = connection.execute(select(kept_entries.c.leaf).limit(1)).first() is not None
        """Whether log entries are kept apart from blocks; pruning sets it."""
        self._base = Tail() if row is None else decode_tail(unseal(f"base/{row.height}", row.tail))
        one = select(stubs.c.header, stubs.c.leaves).where(stubs.c.height == bindparam("at"))
        self._read_stub = PointRead(engine, one, ("at",))
        entry = select(kept_entries.c.entry).where(kept_entries.c.leaf == bindparam("of"))
        self._read_entry = PointRead(engine, entry, ("of",))

    def close(self) -> None:
        """Give connections back."""
        self._read_stub.close()
        self._read_entry.close()

    @property
    def base_size(self) -> int:
        """Entries of the log up to the base, of which only the last hashes are here."""
        return self._base.size

    def header(self, height: int) -> bytes | None:
        """The header of a block whose body is not here."""
        rows = self._read_stub(height)
        return unseal(f"stub/{height}", bytes(rows[0][0])) if rows else None

    def leaves(self, height: int) -> bytes | None:
        """The leaf hashes of a pruned block; none of one below a snapshot."""
        rows = self._read_stub(height)
        return unseal(f"leaves/{height}", bytes(rows[0][1])) if rows else None

    def entry(self, leaf: bytes) -> bytes:
        """A log entry that was kept. Raises StoreError `pruned`, `damaged`."""
        rows = self._read_entry(leaf)
        if not rows:
            raise self.pruned(f"the log entry with leaf hash {leaf.hex()}")
        found = bytes(rows[0][0])
        if leaf_hash(found) != leaf:
            raise StoreError("damaged", f"the kept log entry with leaf hash {leaf.hex()} does not match it")
        return found

    def earlier_rows(self) -> Iterator[tuple[str, Versioned]]:
        """State as of the last stub, where state has newer values. Raises StoreError `damaged`."""
        with translated(), self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=PIECE).execute(select(earlier_state)):
                yield open_state(row)

    def base_leaves(self) -> list[bytes]:
        """The leaf hashes of the last, partial tile at the base."""
        hashes = self._base.partial[0] if self._base.partial else b""
        return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]

    def tile_root(self, level: int, index: int) -> bytes | None:
        """The root of a full tile below the base that is still part of a partial one above."""
        first = self._base.size >> TILE_HEIGHT * (level + 1) & ~0xFF
        above = self._base.partial[level + 1] if level + 1 < len(self._base.partial) else b""
        at = (index - first) * HASH_BYTES
        return above[at : at + HASH_BYTES] if 0 <= at < len(above) else None

    def pruned(self, what: str) -> StoreError:
        """The error for something that is missing on purpose."""
        begin = f"; this node began with the snapshot of height {self.base_height}" if self.base_height else ""
        return StoreError("pruned", f"{what} is not kept here{begin}: ask a node or an auditor that keeps whole blocks")


def keep_earlier(engine: Engine) -> Bulk:
    """The statement with which an append keeps a key's value that stands in a kept entry before it is replaced, so
    that state as of the last stub can be made again. For rows of (key,)."""
    dialect: Any = sqlite if engine.dialect.name == "sqlite" else postgresql
    standing = state.join(kept_entries, kept_entries.c.leaf == state.c.entry)
    rows = select(state).select_from(standing).where(state.c.key == bindparam("of"))
    insert = dialect.insert(earlier_state).from_select(list(state.c.keys()), rows).on_conflict_do_nothing()
    return Bulk(engine, insert, ("of",))


def encode_tail(tail: Tail) -> bytes:
    """A tail as bytes of a column."""
    return join_parts((tail.size.to_bytes(SIZE_BYTES, "big"), *tail.partial))


def decode_tail(data: bytes) -> Tail:
    """What `encode_tail` wrote. Raises StoreError `damaged`."""
    try:
        size, *partial = split_parts(data)
    except (DecodeError, ValueError):
        raise StoreError("damaged", "the base's partial tiles cannot be read back") from None
    return Tail(int.from_bytes(size, "big"), tuple(partial))


def seal_stub(height: int, header: bytes, leaves: bytes) -> dict[str, object]:
    """The row of a block without its body."""
    return {"height": height, "header": seal(f"stub/{height}", header), "leaves": seal(f"leaves/{height}", leaves)}
