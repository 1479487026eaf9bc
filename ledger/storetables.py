"""The tables of the store and the bytes inside their columns.

Knows names, types and layouts; opens no database. Must always hold: every layout is length-prefixed, so that
two different contents never give the same bytes, and a change of any layout raises SCHEMA_VERSION.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.dialects import postgresql, sqlite

from ledger.errors import DecodeError, StoreError
from ledger.merkle import leaf_hash
from ledger.parts import join_parts, part_at, split_parts
from ledger.state import Versioned

SCHEMA_VERSION = 4
CHECK_BYTES = 8
"""A truncated SHA-256 tells damage apart from data; it is no defence against an owner who rewrites his own disk."""

metadata = MetaData()
network = Table(
    "network",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("chain", LargeBinary, nullable=False),
)
spine = Table(
    "spine",
    metadata,
    Column("height", BigInteger, primary_key=True, autoincrement=False),
    Column("view", BigInteger, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("header_hash", LargeBinary, nullable=False, unique=True),
    Column("first_leaf", BigInteger, nullable=False, index=True),
    Column("leaf_count", BigInteger, nullable=False),
    Column("certificate", LargeBinary, nullable=True),
    Column("tx_ids", LargeBinary, nullable=False),
    Column("peaks", LargeBinary, nullable=False),
    Column("seal", LargeBinary, nullable=False),
)
bodies = Table(
    "bodies",
    metadata,
    Column("height", BigInteger, ForeignKey("spine.height"), primary_key=True, autoincrement=False),
    Column("block", LargeBinary, nullable=False),
    Column("receipts", LargeBinary, nullable=False),
    Column("entries", LargeBinary, nullable=False),
    Column("leaves", LargeBinary, nullable=False),
    Column("changes", LargeBinary, nullable=False),
)
state = Table(
    "state",
    metadata,
    Column("key", String(180), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=True),
    Column("seal", LargeBinary, nullable=False),
)
earlier_state = Table(
    "earlier_state",
    metadata,
    Column("key", String(180), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=True),
    Column("seal", LargeBinary, nullable=False),
)
transactions = Table(
    "transactions",
    metadata,
    Column("tx_id", LargeBinary, primary_key=True),
    Column("height", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
map_pages = Table(
    "map_pages",
    metadata,
    Column("path", LargeBinary, primary_key=True),
    Column("height", BigInteger, primary_key=True, autoincrement=False),
    Column("page", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
map_roots = Table(
    "map_roots",
    metadata,
    Column("height", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("page", LargeBinary, nullable=True),
)
log_tiles = Table(
    "log_tiles",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
log_positions = Table(
    "log_positions",
    metadata,
    Column("leaf", LargeBinary, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
base = Table(
    "base",
    metadata,
    Column("height", BigInteger, primary_key=True, autoincrement=False),
    Column("tail", LargeBinary, nullable=False),
)
stubs = Table(
    "stubs",
    metadata,
    Column("height", BigInteger, primary_key=True, autoincrement=False),
    Column("header", LargeBinary, nullable=False),
    Column("leaves", LargeBinary, nullable=False),
)
kept_entries = Table(
    "kept_entries",
    metadata,
    Column("leaf", LargeBinary, primary_key=True),
    Column("entry", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class MapRecord:
    """Pages of the state map that are new at a height; once all are written also the map's root and top page (None
    for an empty map). Versions of a page that only heights below `keep_from` need are dropped."""

    height: int
    top: tuple[bytes, bytes | None] | None
    pages: tuple[tuple[bytes, bytes], ...]
    keep_from: int


@dataclass(frozen=True, slots=True)
class FinalBlockRecord:
    """Everything that one final block leaves on disk. `certificate` is None if a descendant's made it final;
    `view` is the view it was ordered in; `peaks` are the perfect subtrees of the log after it, largest first."""

    height: int
    view: int
    time_ms: int
    header_hash: bytes
    block: bytes
    certificate: bytes | None
    receipts: bytes
    transactions: tuple[bytes, ...]
    first_leaf: int
    entries: tuple[bytes, ...]
    leaves: tuple[bytes, ...]
    peaks: tuple[bytes, ...]
    changes: Mapping[str, Versioned]


@dataclass(frozen=True, slots=True)
class SpineRow:
    """The small facts of one block."""

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "height",
        "view",
        "time_ms",
        "header_hash",
        "first_leaf",
        "leaf_count",
        "certificate",
        "tx_ids",
        "peaks",
    )
    height: int
    view: int
    time_ms: int
    header_hash: bytes
    first_leaf: int
    leaf_count: int
    certificate: bytes | None
    transactions: tuple[bytes, ...]
    peaks: tuple[bytes, ...]

    def columns(self) -> dict[str, Any]:
        """As the columns of the table, without the seal."""
        packed = {"tx_ids": b"".join(self.transactions), "peaks": b"".join(self.peaks)}
        return {name: packed[name] if name in packed else getattr(self, name) for name in self.COLUMNS}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "SpineRow":
        """From the columns of the table."""
        plain = {name: values[name] for name in cls.COLUMNS if name not in ("tx_ids", "peaks")}
        return cls(**plain, transactions=_hashes(values["tx_ids"]), peaks=_hashes(values["peaks"]))


def upsert_state(dialect: str, table: Table = state) -> Any:
    """Insert a state row or replace the one with its key, in the dialect's words."""
    names = ("version", "entry", "value", "seal")
    if dialect == "sqlite":
        lite = sqlite.insert(table)
        return lite.on_conflict_do_update(index_elements=["key"], set_={name: lite.excluded[name] for name in names})
    if dialect == "postgresql":
        post = postgresql.insert(table)
        return post.on_conflict_do_update(index_elements=["key"], set_={name: post.excluded[name] for name in names})
    raise StoreError("database", f"{dialect} is not supported; use SQLite or PostgreSQL")


def seal_state(key: str, item: Versioned) -> bytes:
    """Digest that binds a state row's value to its key and version."""
    value = b"\0" if item.value is None else b"\1" + item.value
    return hashlib.sha256(join_parts((key.encode(), item.version.to_bytes(8, "big"), item.entry, value))).digest()


def open_parts(data: bytes) -> tuple[bytes, ...]:
    """`split_parts` of a column. Raises StoreError `damaged`."""
    try:
        return split_parts(data)
    except DecodeError as error:
        raise StoreError("damaged", error.detail) from None


def open_entry(sealed: object, number: int, leaf: bytes) -> bytes:
    """Entry `number` of a block's column, which has this leaf hash in the log. Raises StoreError `damaged`.

    The hash binds it, so neither the other entries nor the checksum over all of them are looked at.
    """
    found = part_at(sealed[CHECK_BYTES:], number) if isinstance(sealed, bytes) else None
    if found is None or leaf_hash(found) != leaf:
        raise StoreError("damaged", f"log entry with leaf hash {leaf.hex()}: its block holds another one in its place")
    return found


def encode_changes(changes: Mapping[str, Versioned]) -> bytes:
    """A state diff: key, version, entry and value of every written key."""
    parts = []
    for key, item in changes.items():
        value = b"\0" if item.value is None else b"\1" + item.value
        parts += [key.encode("ascii"), item.version.to_bytes(8, "big"), item.entry, value]
    return join_parts(parts)


def decode_changes(data: bytes) -> dict[str, Versioned]:
    """What `encode_changes` wrote. Raises StoreError `damaged`."""
    parts = open_parts(data)
    if len(parts) % 4:
        raise StoreError("damaged", "a state diff with a part missing")
    changes = {}
    for at in range(0, len(parts), 4):
        key, version, entry, value = parts[at : at + 4]
        if not key.isascii():
            raise StoreError("damaged", "a state diff with a key that is none")
        content = value[1:] if value[:1] == b"\1" else None
        changes[key.decode("ascii")] = Versioned(int.from_bytes(version, "big"), entry, content)
    return changes


def _hashes(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[at : at + 32] for at in range(0, len(data), 32))


def seal(place: str, data: bytes) -> bytes:
    """Bytes of a column behind a checksum that binds them to their place."""
    return hashlib.sha256(place.encode() + b"\0" + data).digest()[:CHECK_BYTES] + data


def unseal(place: str, sealed: bytes) -> bytes:
    """What `seal` was given. Raises StoreError `damaged`."""
    data = sealed[CHECK_BYTES:] if isinstance(sealed, bytes) else b""
    if seal(place, data) != sealed:
        raise StoreError("damaged", f"{place} does not match its checksum; restore this node from its peers")
    return data
