"""Contract state as versioned bytes, and the log entries that every change leaves behind.

A state key is a readable string (`claim/<id>`); its value is canonical JSON. Every operation appends one
entry to the log: what was done, by whom, with which result, and for each key it wrote the new version, the
entry that wrote the version before, and the digest of the new value. The state map holds, per key, the hash
of the latest entry. So one path through the log proves any past value, and the chain of `prev` fields proves
that no version is left out.

Purity: a `Scope` reads through to a base and collects writes; nothing here touches a store.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from ledger.crypto.hashing import tagged_hash
from ledger.encoding import encode_trusted
from ledger.merkle import leaf_hash
from ledger.types import Count, Height, Hex16, Hex32, OrgId

StateKey: TypeAlias = Annotated[str, Meta(pattern=r"\A[a-z-]+/[A-Za-z0-9._/-]{1,160}\Z")]


class Versioned(Struct, frozen=True):
    """The current value of one key: how often it was written, the leaf hash of the last entry, the bytes.

    `value` is None after a deletion; version numbers go on, so history cannot be restarted.
    """

    version: int
    entry: bytes
    value: bytes | None


class Write(Struct, frozen=True, forbid_unknown_fields=True):
    """One key written by an operation. `prev` is the leaf hash of the entry before, null for the first."""

    key: StateKey
    version: Count
    prev: Hex32 | None
    digest: Hex32 | None


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """A leaf of the log: one operation of one transaction. `code` is `ok` or the refusal code."""

    height: Height
    index: Count
    op: Count
    tx_id: Hex32
    kind: str
    author: OrgId
    key_id: Hex16
    code: str
    writes: tuple[Write, ...]


Reader: TypeAlias = Callable[[str], Versioned | None]


class Scope:
    """Writes of one operation on top of `read`. Dropped whole if the operation is refused."""

    __slots__ = ("_read", "writes")

    def __init__(self, read: Reader) -> None:
        self._read = read
        self.writes: dict[str, bytes | None] = {}

    def get(self, key: str) -> bytes | None:
        """The value as this operation sees it; None if absent or deleted."""
        if key in self.writes:
            return self.writes[key]
        found = self._read(key)
        return found.value if found else None

    def put(self, key: str, value: bytes | None) -> None:
        """Write canonical bytes, or None to delete."""
        self.writes[key] = value


class Overlay:
    """Committed writes of one block on top of a parent reader (another overlay or the final state)."""

    __slots__ = ("_parent", "changes")

    def __init__(self, parent: Reader) -> None:
        self._parent = parent
        self.changes: dict[str, Versioned] = {}

    def read(self, key: str) -> Versioned | None:
        """The latest version of `key`, deletions included (value None)."""
        found = self.changes.get(key)
        return found if found is not None else self._parent(key)

    def planned(self, writes: dict[str, bytes | None]) -> tuple[Write, ...]:
        """The `writes` part of the entry for these values, ascending by key."""
        return tuple(self._plan(key, writes[key]) for key in sorted(writes))

    def _plan(self, key: str, value: bytes | None) -> Write:
        before = self.read(key)
        return Write(
            key=key,
            version=before.version + 1 if before else 1,
            prev=before.entry.hex() if before else None,
            digest=None if value is None else value_digest(value).hex(),
        )

    def apply(self, entry: Entry, writes: dict[str, bytes | None]) -> bytes:
        """Make the writes of `entry` current. Returns the entry's canonical bytes."""
        encoded = encode_trusted(entry)
        leaf = leaf_hash(encoded)
        for write in entry.writes:
            self.changes[write.key] = Versioned(version=write.version, entry=leaf, value=writes[write.key])
        return encoded

    def map_changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """(map key, map value hash) of every key this block changed."""
        for key, item in self.changes.items():
            yield map_key(key), None if item.value is None else map_value(item)


def value_digest(value: bytes) -> bytes:
    """What an entry says about a value: a tagged hash of its canonical bytes."""
    return tagged_hash("state-value", value)


def map_key(key: str) -> bytes:
    """Position of a state key in the sparse Merkle map."""
    return tagged_hash("state-key", key.encode("ascii"))


def map_value(item: Versioned) -> bytes:
    """Leaf value of the map: binds the latest entry and the version number."""
    return tagged_hash("state-leaf", item.entry + item.version.to_bytes(8, "big"))
