"""Rows of the store from records and back, each behind a checksum that binds it to its place.

Knows columns and checksums; opens no database. Must always hold: a row that does not match its checksum raises
StoreError `damaged`, whatever types a damaged database gives back.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from ledger.errors import StoreError
from ledger.parts import join_parts
from ledger.state import Versioned
from ledger.storetables import CHECK_BYTES, FinalBlockRecord, SpineRow, encode_changes, seal, seal_state


def record_spine(record: FinalBlockRecord) -> SpineRow:
    """The small facts of a block."""
    return SpineRow(
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


def spine_values(row: SpineRow) -> dict[str, Any]:
    """The columns of those facts, with their checksum."""
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


def body_values(record: FinalBlockRecord) -> dict[str, Any]:
    """The columns of a block's bytes, each with its checksum."""
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


def state_values(key: str, item: Versioned) -> tuple[Any, ...]:
    """The columns of one key's value, with their checksum."""
    return key, item.version, item.entry, item.value, seal_state(key, item)[:CHECK_BYTES]


def open_state(row: Any) -> tuple[str, Versioned]:
    """A row of the table as (key, value). Raises StoreError `damaged` unless it matches its checksum."""
    key, version, entry, value, seal = row
    item = Versioned(version=version, entry=entry, value=value)
    if not _has_types(key, item) or seal_state(key, item)[:CHECK_BYTES] != seal:
        raise StoreError("damaged", f"the state row of {key} does not match its checksum")
    return key, item
