"""Making a snapshot of a store, also of one that a running node writes to meanwhile.

Knows views of the store and files; must not know consensus. Must always hold: everything is of one height whose block
has a finalization of its own; the folder appears under its name only when it is whole and on disk; two nodes at one
height make the same chunks, so that who fetches can go on at another node.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from contracts.execution import ChainState, genesis_state
from contracts.validators import build_validators, read_epoch
from ledger.blocks import Header, header_hash
from ledger.certificates import decode_certificate
from ledger.encoding import decode_as, encode
from ledger.errors import StoreError
from ledger.parts import join_parts, split_parts
from ledger.state import Versioned, map_key
from ledger.store import Store
from ledger.storeview import StoreView
from ledger.transactions import MAX_LIFETIME_MS
from node.errors import SnapshotRefused
from node.snapshots.chunks import encode_row, pack
from node.snapshots.manifest import KIND, Chunk, EpochClose, Manifest

MANIFEST_NAME: Final = "manifest.json"
BUCKETS: Final = 64
"""Rows are sorted in so many files by the first bits of their place, so that memory holds one of them."""


def chunk_name(number: int) -> str:
    """The file of a chunk."""
    return f"{number:06d}.chunk"


def make_snapshot(
    url: str, genesis: bytes, out: Path, *, height: int | None = None, on_pinned: Callable[[], None] | None = None
) -> Manifest:
    """Write the folder `out` with the state of the store's last block, which must be `height` if one is given.

    `on_pinned` is called once that moment is held. Raises SnapshotRefused `exists`, `boundary` (the last block closed
    an epoch: try again after the next one), `missed` (another block is the last one), StoreError, OSError.
    """
    if out.exists():
        raise SnapshotRefused("exists", f"{out} is there already; a snapshot is never written over another")
    start = genesis_state(genesis)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    view = StoreView(url, start.chain)
    try:
        if height not in (None, view.last.height):
            raise SnapshotRefused("missed", f"block {view.last.height} is the last one, not {height}")
        if on_pinned is not None:
            on_pinned()
        store = Store(url, start.chain, read_only=True)
        try:
            manifest = _write(view, store, start, partial)
        finally:
            store.close()
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        view.close()
    os.replace(partial, out)
    sync_folder(out.parent)
    return manifest


def _write(view: StoreView, store: Store, start: ChainState, out: Path) -> Manifest:
    row = view.last
    header = _header(store, row.height)
    if row.certificate is None or decode_certificate(row.certificate).digest != row.header_hash.hex():
        raise SnapshotRefused("boundary", f"block {row.height} closed an epoch: take the snapshot after the next block")
    chunks: list[Chunk] = []
    with tempfile.TemporaryDirectory(dir=out, prefix=".sort-") as scratch:
        rows = _sort_rows(view, Path(scratch))
        for data in pack(_sorted_rows(Path(scratch))):
            chunks.append(_write_chunk(out, len(chunks), "state", data))
    before = _find_before(store, header)
    lowest = before.height + 1 if before else 1
    for data in pack(join_parts((store.block(height),)) for height in range(lowest, row.height + 1)):
        chunks.append(_write_chunk(out, len(chunks), "blocks", data))
    manifest = Manifest(
        v=1,
        kind=KIND,
        network=start.genesis.network,
        genesis=start.chain.hex(),
        header=header,
        certificate=decode_certificate(row.certificate),
        epochs=_epochs(view, store, start, header.epoch),
        before=before,
        log_tail=tuple(item.hex() for item in store.tail_at(row.height).partial),
        rows=rows,
        blocks=row.height - lowest + 1,
        chunks=tuple(chunks),
    )
    write_file(out / MANIFEST_NAME, encode(manifest))
    return manifest


def _header(store: Store, height: int) -> Header:
    return decode_as(store.header(height), Header)


def _epochs(view: StoreView, store: Store, start: ChainState, last: int) -> tuple[EpochClose, ...]:
    """The ends of all epochs before the last one, out of state as the view has it."""

    def read(key: str) -> Versioned | None:
        return view.state_value(key) or start.read(key)

    found = []
    for number in range(start.validators.epoch + 1, last + 1):
        state = read_epoch(read, number)
        if state is None:
            raise StoreError("damaged", f"state does not hold epoch {number}")
        height = state.from_height - 1
        certificate = store.certificate_at(height)
        if certificate is None:
            raise StoreError("damaged", f"the last block of epoch {number - 1} ({height}) has no certificate")
        members = build_validators(state).validators
        found.append(EpochClose(_header(store, height), decode_certificate(certificate), members))
    return tuple(found)


def _find_before(store: Store, header: Header) -> Header | None:
    """The newest header that is older than the replay window."""
    for row in store.spines_down(header.height - 1):
        if row.time_ms < header.time_ms - MAX_LIFETIME_MS:
            found = _header(store, row.height)
            assert header_hash(found) == row.header_hash
            return found
    return None


def _sort_rows(view: StoreView, scratch: Path) -> int:
    """Every row into the file of its bucket; gives their number."""
    files: list[BinaryIO] = [open(scratch / f"{number:02d}", "wb") for number in range(BUCKETS)]  # noqa: SIM115
    count = 0
    try:
        for key, item, entry in view.state_with_entries():
            if item.value is None:
                raise SnapshotRefused("unsupported", f"{key.split('/')[0]} holds a deleted key, which no root proves")
            place = map_key(key)
            files[place[0] * BUCKETS // 256].write(join_parts((place, encode_row(key, entry, item.value))))
            count += 1
    finally:
        for file in files:
            file.close()
    if count != view.count_state():
        raise StoreError("damaged", f"{count} state rows have their entry, {view.count_state()} are stored")
    return count


def _sorted_rows(scratch: Path) -> Iterator[bytes]:
    for number in range(BUCKETS):
        parts = split_parts((scratch / f"{number:02d}").read_bytes())
        pairs = sorted(zip(parts[::2], parts[1::2], strict=True))
        yield from (row for _, row in pairs)


def _write_chunk(out: Path, number: int, kind: str, data: bytes) -> Chunk:
    write_file(out / chunk_name(number), data)
    return Chunk("state" if kind == "state" else "blocks", len(data), hashlib.sha256(data).hexdigest())


def write_file(path: Path, *parts: bytes) -> None:
    """A new file that is on disk when this returns."""
    with open(path, "wb") as stream:
        write_all(stream, parts)


def write_all(stream: BinaryIO, parts: Iterable[bytes]) -> None:
    """All parts, on disk when this returns."""
    for part in parts:
        stream.write(part)
    stream.flush()
    os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
