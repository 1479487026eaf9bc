"""Blocks below a height lose their bodies, a slice at a time, each slice one transaction of the store's writer.

Knows tables and bytes; must not know how far pruning may go (node.pruning decides) nor what a value means. Must always
hold: a slice is done whole or not at all, in ascending order; header, leaf hashes, certificate, transaction ids and the
log's tiles stay; every log entry stays in which a current value stands, or one as of the height pruned to
(`earlier_state`): with them and state, the state at that height can be made again, and all blocks above it executed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from ledger.database import Bulk, translated
from ledger.errors import DecodeError, StoreError
from ledger.merkle import HASH_BYTES
from ledger.parts import first_part
from ledger.remains import seal_stub
from ledger.state import Entry, Versioned
from ledger.store import Store
from ledger.storerows import open_state, state_values
from ledger.storetables import (
    bodies,
    decode_changes,
    earlier_state,
    kept_entries,
    open_parts,
    state,
    stubs,
    unseal,
    upsert_state,
)
from ledger.writer import PreparedWrite

SLICE_BLOCKS: Final = 64
"""Blocks of one slice at most."""
SLICE_ENTRIES: Final = 120
"""Log entries after which a slice ends. At 70 us an entry: 10 ms, or 35 ms for one block of 500 entries."""
KEYS: Final = 400
"""Keys of one question; SQLite takes 999 parameters at least."""
KeepWhole: TypeAlias = Callable[[int, Mapping[str, Versioned]], bool]
"""(height, what the block wrote) -> whether its body stays."""
_entry_decoder = msgspec.json.Decoder(Entry)


@dataclass(slots=True)
class Slice:
    """What one slice did. `last`: every height up to it was looked at; `size`: bytes of the bodies that went."""

    last: int
    blocks: int = 0
    kept: int = 0
    size: int = 0


def prepare_slice(store: Store, after: int, until: int, keep: KeepWhole) -> tuple[PreparedWrite, Slice]:
    """The next slice of the heights above `after` up to `until`: commit it, or drop it. One for a store at a time, and
    none beside an append. Raises StoreError; nothing was written then.
    """
    store.remains.has_entries = True
    if not until < store.height:
        raise StoreError("height", f"block {until} is not below the last one, {store.height}, which stays whole")
    done = Slice(after)
    return store.change(lambda connection: _Pruning(connection, keep, done).run(until)), done


def prune(store: Store, after: int, until: int, keep: KeepWhole, progress: Callable[[Slice], None]) -> None:
    """All slices, for a store that nobody else writes to. Raises StoreError: what was told to `progress` is done."""
    while after < until:
        prepared, done = prepare_slice(store, after, until, keep)
        prepared.commit()
        progress(done)
        after = done.last


def lowest_whole(store: Store) -> int:
    """The lowest height whose body is here, 0 for none."""
    with translated(), store.connect() as connection:
        return int(connection.execute(select(func.min(bodies.c.height))).scalar() or 0)


def compact(store: Store) -> None:
    """Give free pages of a stopped node's database back to the file system. Needs the room of a second copy of what
    stays. Without it they are filled by later blocks. Raises StoreError `no_space`, `database`.
    """
    with translated(), store.connect() as connection:
        plain = connection.execution_options(isolation_level="AUTOCOMMIT")
        is_file = plain.engine.dialect.name == "sqlite"
        plain.exec_driver_sql("VACUUM" if is_file else f"VACUUM FULL {bodies.name}")


class _Pruning:
    """One slice inside its transaction."""

    def __init__(self, connection: Connection, keep: KeepWhole, done: Slice) -> None:
        engine = connection.engine
        dialect: Any = sqlite if engine.dialect.name == "sqlite" else postgresql
        self._connection = connection
        self._keep = keep
        self._done = done
        self._folded = connection.execute(select(func.max(stubs.c.height))).scalar() or 0
        once = dialect.insert(kept_entries).on_conflict_do_nothing()
        self._add_entries = Bulk(engine, once, tuple(kept_entries.c.keys()))
        self._fold = Bulk(engine, upsert_state(engine.dialect.name, earlier_state), tuple(earlier_state.c.keys()))

    def run(self, until: int) -> None:
        """Take blocks until the slice is full."""
        query = select(bodies.c.height).where(bodies.c.height > self._done.last, bodies.c.height <= until)
        heights = list(self._connection.execute(query.order_by(bodies.c.height).limit(SLICE_BLOCKS)).scalars())
        entries = 0
        for height in heights:
            entries += self._take(height)
            self._done.last = height
            if entries >= SLICE_ENTRIES:
                return
        if len(heights) < SLICE_BLOCKS:
            self._done.last = until

    def _take(self, height: int) -> int:
        """One block; gives the number of its entries. Raises StoreError `damaged`: damage is never pruned away."""
        row = self._connection.execute(select(bodies).where(bodies.c.height == height)).one()
        block, entries, leaves, packed = (
            unseal(f"{name}/{height}", getattr(row, name)) for name in ("block", "entries", "leaves", "changes")
        )
        changes = decode_changes(packed)
        if height > self._folded:
            superseded = self._fold_state(changes)
            self._keep_entries(leaves, open_parts(entries), changes)
            self._drop_entries(superseded)
            self._connection.execute(stubs.insert(), seal_stub(height, _header(height, block), leaves))
        if self._keep(height, changes):
            self._done.kept += 1
        else:
            self._connection.execute(bodies.delete().where(bodies.c.height == height))
            self._done.blocks += 1
            self._done.size += sum(len(getattr(row, column.name)) for column in bodies.c if column.name != "height")
        return len(leaves) // HASH_BYTES

    def _fold_state(self, changes: Mapping[str, Versioned]) -> set[bytes]:
        """State as of this block, where it is not today's; gives the entries of the values that it replaced."""
        today, before = self._values(state, changes), self._values(earlier_state, changes)
        current = {key for key, item in changes.items() if key in today and today[key].entry == item.entry}
        self._fold(self._connection, [state_values(key, changes[key]) for key in changes if key not in current])
        for key in current & before.keys():
            self._connection.execute(earlier_state.delete().where(earlier_state.c.key == key))
        return {item.entry for key, item in before.items() if item.entry != changes[key].entry}

    def _keep_entries(self, leaves: bytes, entries: tuple[bytes, ...], changes: Mapping[str, Versioned]) -> None:
        """Those in which a value of today stands, or one as of the height pruned to."""
        named = self._named(changes)
        hashes = (leaves[at : at + HASH_BYTES] for at in range(0, len(leaves), HASH_BYTES))
        kept = {leaf: entry for leaf, entry in zip(hashes, entries, strict=True) if leaf in named}
        self._add_entries(self._connection, list(kept.items()))

    def _drop_entries(self, leaves: set[bytes]) -> None:
        """Kept entries in which no such value stands any more."""
        for leaf in leaves:
            row = self._connection.execute(select(kept_entries.c.entry).where(kept_entries.c.leaf == leaf)).first()
            if row is None:
                continue
            written = [write.key for write in _entry_decoder.decode(bytes(row.entry)).writes]
            if leaf not in self._named(written):
                self._connection.execute(kept_entries.delete().where(kept_entries.c.leaf == leaf))

    def _named(self, keys: Iterable[str]) -> set[bytes]:
        wanted = list(keys)
        found = (*self._values(state, wanted).values(), *self._values(earlier_state, wanted).values())
        return {item.entry for item in found}

    def _values(self, table: Any, keys: Iterable[str]) -> dict[str, Versioned]:
        wanted, found = list(keys), dict[str, Versioned]()
        for at in range(0, len(wanted), KEYS):
            query: Any = select(table).where(table.c.key.in_(wanted[at : at + KEYS]))
            found |= dict(open_state(row) for row in self._connection.execute(query))
        return found


def _header(height: int, block: bytes) -> bytes:
    try:
        return first_part(block)
    except DecodeError:
        raise StoreError("damaged", f"block {height} does not begin with a header") from None
