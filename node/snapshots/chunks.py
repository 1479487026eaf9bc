"""What stands in a snapshot's chunks: state rows with the entries that prove them, blocks of the replay window.

Knows bytes, hashes and order; must not know where chunks come from. Must always hold: what is given out matches its
chunk's hash, ascends without repeats and is proved link by link: a row's value by the digest in its entry and the entry
by the map, which the caller rebuilds; a block by its transactions' root and the next one's parent, up to the header.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from ledger.blocks import Block, decode_block, header_hash
from ledger.errors import LedgerError
from ledger.merkle import leaf_hash
from ledger.parts import join_parts, split_parts
from ledger.state import Entry, Versioned, map_key, map_value, value_digest
from ledger.transactions import MAX_LIFETIME_MS
from node.errors import SnapshotRefused
from node.snapshots.manifest import CHUNK_BYTES, MAX_CHUNK_BYTES, Chunk, Manifest

ROW_PARTS: Final = 3
MIN_ROW_BYTES: Final = 64
"""No row is shorter, so a chunk has a bounded number of parts."""
ReadChunk = Callable[[int], bytes]
"""number -> the bytes of that chunk, unchecked."""
_entry_decoder = msgspec.json.Decoder(Entry)


@dataclass(frozen=True, slots=True)
class Row:
    """One key of state, the entry that wrote it, and its leaf in the map."""

    key: str
    item: Versioned
    entry: bytes
    place: bytes
    leaf: bytes


def pack(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Parts (each a row or block, joined) as chunks of a bounded size."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= CHUNK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def encode_row(key: str, entry: bytes, value: bytes) -> bytes:
    """A row as it stands in a chunk."""
    return join_parts((key.encode("ascii"), entry, value))


def check_chunk(chunk: Chunk, data: bytes, number: int) -> bytes:
    """`data` if it is this chunk. Raises SnapshotRefused `chunk`."""
    if len(data) != chunk.size or hashlib.sha256(data).hexdigest() != chunk.sha256:
        raise SnapshotRefused("chunk", f"chunk {number} is not the one that the manifest names: {len(data)} bytes")
    return data


def check_rows(manifest: Manifest, read: ReadChunk) -> Iterator[Row]:
    """Every row of state. Raises SnapshotRefused `chunk`, `row`, `order`, `rows`."""
    count, last = 0, b""
    for number, chunk in enumerate(manifest.chunks):
        if chunk.kind != "state":
            continue
        for row in decode_rows(check_chunk(chunk, read(number), number)):
            if row.place <= last:
                raise SnapshotRefused("order", f"row {count} is out of order or doubled")
            count, last = count + 1, row.place
            yield row
    if count != manifest.rows:
        raise SnapshotRefused("rows", f"{count} rows, the manifest says {manifest.rows}")


def decode_rows(data: bytes) -> Iterator[Row]:
    """The rows of one chunk, each value compared with what its entry says. Raises SnapshotRefused `row`."""
    try:
        parts = split_parts(data, most=MAX_CHUNK_BYTES // MIN_ROW_BYTES)
        for at in range(0, len(parts), ROW_PARTS):
            yield _row(*parts[at : at + ROW_PARTS])
    except (LedgerError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError, ValueError) as error:
        raise SnapshotRefused("row", f"a row that cannot be read: {type(error).__name__}") from None


def _row(raw_key: bytes, entry: bytes, value: bytes) -> Row:
    key = raw_key.decode("ascii")
    digest = value_digest(value).hex()
    for write in _entry_decoder.decode(entry).writes:
        if write.key == key and write.digest == digest:
            item = Versioned(write.version, leaf_hash(entry), value)
            return Row(key, item, entry, map_key(key), map_value(item))
    raise SnapshotRefused("row", "a value is not what its log entry wrote")


def check_blocks(manifest: Manifest, read: ReadChunk) -> Iterator[Block]:
    """The replay window, ascending to the certified header. Raises SnapshotRefused `chunk`, `block`, `window`."""
    before = manifest.before
    parent = manifest.genesis if before is None else header_hash(before).hex()
    if before is not None and before.time_ms >= manifest.header.time_ms - MAX_LIFETIME_MS:
        raise SnapshotRefused("window", "the replay window begins later than 48 hours before its end")
    height = 0 if before is None else before.height
    for number, chunk in enumerate(manifest.chunks):
        if chunk.kind != "blocks":
            continue
        for block in decode_blocks(check_chunk(chunk, read(number), number)):
            header = block.header
            if header.parent != parent or header.height != height + 1:
                raise SnapshotRefused("window", f"block {header.height} does not link to the one before")
            parent, height = header_hash(header).hex(), header.height
            yield block
    if parent != header_hash(manifest.header).hex():
        raise SnapshotRefused("window", "the blocks do not lead to the certified header")


def decode_blocks(data: bytes) -> Iterator[Block]:
    """The blocks of one chunk. Raises SnapshotRefused `block`."""
    try:
        yield from map(decode_block, split_parts(data, most=MAX_CHUNK_BYTES // MIN_ROW_BYTES))
    except LedgerError as error:
        raise SnapshotRefused("block", str(error)) from None
