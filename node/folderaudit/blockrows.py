"""The rows of one block against what the block is: its own execution, or, without one, what binds the rows together.

Knows rows and receipts; must not know where a replay stands. Must always hold: every column of every row that belongs
to the block is looked at, and each that cannot be read or differs is a fault of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from contracts.execution import ExecutedBlock
from contracts.receipts import Receipt, receipts_root
from ledger.blocks import Block, decode_block, header_hash
from ledger.encoding import decode_as, encode_trusted
from ledger.errors import LedgerError, StoreError
from ledger.logstore import PREFIX_BYTES
from ledger.merkle import leaf_hash
from ledger.parts import join_parts
from ledger.rowreader import BODY_COLUMNS, StoreRows
from ledger.state import Entry, Versioned, value_digest
from ledger.storetables import SpineRow, decode_changes, encode_changes, open_parts
from node.folderaudit.faults import Faults

MAX_ENTRY_BYTES: Final = 4 * 2**20
_receipts = msgspec.json.Decoder(tuple[Receipt, ...])


@dataclass(frozen=True, slots=True)
class BlockRows:
    """What could be read of one block; None for a column that could not, which is a fault already."""

    height: int
    spine: SpineRow | None
    bodies: Mapping[str, bytes | None]

    @property
    def block(self) -> bytes | None:
        return self.bodies["block"]

    @property
    def leaves(self) -> tuple[bytes, ...] | None:
        data = self.bodies["leaves"]
        return None if data is None else tuple(data[at : at + 32] for at in range(0, len(data), 32))


def read_block_rows(rows: StoreRows, height: int, faults: Faults) -> BlockRows:
    """The rows of a height, each column opened by itself."""
    spine = _try(lambda: rows.spine(height), faults, "spine", str(height))
    bodies = {
        name: _try(lambda name=name: rows.body(height, name), faults, "bodies", f"{height}/{name}")  # type: ignore[misc]
        for name in BODY_COLUMNS
    }
    return BlockRows(height, spine, bodies)


def _try(read: Callable[[], Any], faults: Faults, table: str, place: str) -> Any:
    try:
        return read()
    except StoreError as error:
        faults.add(table, place, error.code, error.detail)
        return None


def check_executed(stored: BlockRows, executed: ExecutedBlock, faults: Faults) -> None:
    """Every column is what executing the block gives."""
    after = executed.after
    leaves = [leaf_hash(entry) for entry in executed.entries]
    bodies = {
        "receipts": encode_trusted(executed.receipts),
        "entries": join_parts(executed.entries),
        "leaves": b"".join(leaves),
    }
    for name, known in bodies.items():
        if stored.bodies[name] not in (None, known):
            faults.add("bodies", f"{stored.height}/{name}", "differs", "not what executing the block gives")
    _check_changes(stored, executed.changes, faults)
    if stored.spine is not None:
        facts = {
            "time_ms": after.time_ms,
            "header_hash": executed.header_hash,
            "first_leaf": after.frontier.size - len(leaves),
            "leaf_count": len(leaves),
            "transactions": tuple(bytes.fromhex(item.tx_id) for item in executed.transactions),
            "peaks": after.frontier.peaks,
        }
        _check_facts(stored.spine, facts, faults)


def _check_changes(stored: BlockRows, changes: Mapping[str, Versioned], faults: Faults) -> None:
    data = stored.bodies["changes"]
    if data is None or data == encode_changes(dict(changes)):
        return
    try:
        listed = decode_changes(data)
    except StoreError as error:
        faults.add("bodies", f"{stored.height}/changes", error.code, error.detail)
        return
    keys = [key for key in sorted(listed.keys() | changes.keys()) if listed.get(key) != changes.get(key)]
    first = f": first key {keys[0]}" if keys else " in their order"
    faults.add("bodies", f"{stored.height}/changes", "differs", f"{len(keys)} values differ from execution{first}")


def _check_facts(spine: SpineRow, facts: Mapping[str, Any], faults: Faults) -> None:
    names = [name for name, known in facts.items() if getattr(spine, name) != known]
    if names:
        faults.add("spine", str(spine.height), "differs", f"{', '.join(names)}: not those of the block")


def check_stated(stored: BlockRows, parent: bytes | None, faults: Faults) -> None:
    """What can be said without executing: header, transactions, receipts, entries and changes bind each other.

    `parent`: the hash of the header below, None if it is not known.
    """
    try:
        block = None if stored.block is None else decode_block(stored.block)
    except LedgerError as error:
        faults.add("bodies", f"{stored.height}/block", error.code, error.detail)
        block = None
    if block is not None:
        _check_header(stored, block, parent, faults)
    _check_entries(stored, faults)


def _check_header(stored: BlockRows, block: Block, parent: bytes | None, faults: Faults) -> None:
    header = block.header
    place = f"{stored.height}/block"
    if header.height != stored.height:
        faults.add("bodies", place, "height", f"the header says {header.height}")
    if parent is not None and header.parent != parent.hex():
        faults.add("bodies", place, "parent", "the header names another parent than the block below")
    if stored.spine is not None:
        facts = {"height": header.height, "time_ms": header.time_ms, "header_hash": header_hash(header)}
        _check_facts(stored.spine, facts, faults)
    receipts = stored.bodies["receipts"]
    if receipts is not None and not _has_root(receipts, header.receipts_root):
        faults.add("bodies", f"{stored.height}/receipts", "differs", "they do not have the root that the header names")


def _has_root(receipts: bytes, root: str) -> bool:
    try:
        return receipts_root(_receipts.decode(receipts)).hex() == root
    except msgspec.MsgspecError:
        return False


def _check_entries(stored: BlockRows, faults: Faults) -> None:
    entries, leaves, changes = (stored.bodies[name] for name in ("entries", "leaves", "changes"))
    if entries is None:
        return
    try:
        listed = open_parts(entries)
        if leaves is not None and b"".join(leaf_hash(item) for item in listed) != leaves:
            faults.add("bodies", f"{stored.height}/leaves", "differs", "not the hashes of the block's log entries")
        if changes is not None:
            _check_writes(stored.height, listed[1:], decode_changes(changes), faults)
    except LedgerError as error:
        faults.add("bodies", f"{stored.height}/entries", error.code, error.detail)


def _check_writes(height: int, entries: Sequence[bytes], changes: Mapping[str, Versioned], faults: Faults) -> None:
    named: dict[str, tuple[int, bytes, str | None]] = {}
    for data in entries:
        entry = decode_as(data, Entry, limit=MAX_ENTRY_BYTES)
        named |= {write.key: (write.version, leaf_hash(data), write.digest) for write in entry.writes}
    stated = {key: (item.version, item.entry, digest_of(item)) for key, item in changes.items()}
    differing = [key for key in sorted(named.keys() | stated.keys()) if named.get(key) != stated.get(key)]
    if differing:
        detail = f"{len(differing)} values are not those of the log entries: first key {differing[0]}"
        faults.add("bodies", f"{height}/changes", "differs", detail)


def digest_of(item: Versioned) -> str | None:
    """What a log entry says about this value."""
    return None if item.value is None else value_digest(item.value).hex()


def check_indexes(
    rows: StoreRows, height: int, tx_ids: Sequence[bytes], first_leaf: int, leaves: Sequence[bytes], faults: Faults
) -> None:
    """The index of transactions and that of leaves lead to this block."""
    indexed = rows.indexed(tx_ids)
    for at, tx_id in enumerate(tx_ids):
        if indexed.get(tx_id) != (height, at):
            found = indexed.get(tx_id)
            detail = f"must lead to {height}/{at}, leads to {found[0]}/{found[1]}" if found else "it is not there"
            faults.add("transactions", tx_id.hex(), "differs" if found else "missing", detail)
    places = rows.positions(leaves)
    for at, leaf in enumerate(leaves, start=first_leaf):
        if (leaf[:PREFIX_BYTES], at) not in places:
            faults.add(
                "log_positions", f"{leaf[:PREFIX_BYTES].hex()}/{at}", "missing", f"leaf {at} is not found by hash"
            )
