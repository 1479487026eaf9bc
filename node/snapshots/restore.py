"""A store from a snapshot: everything fetched and checked first, then put in place in one step.

Knows files, sources and the store; must not know peers. Must always hold: nothing is in use before the rebuilt map
has the certified state root and a chain has opened on the finished store; a process that dies before leaves the node's
folder as it was, but for files in data/joining that the next attempt takes up or removes.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from contracts.execution import ChainState, genesis_state
from ledger.blocks import Header, header_hash
from ledger.certificates import encode_certificate
from ledger.encoding import decode_as, encode
from ledger.errors import LedgerError, StoreError
from ledger.mappages import TOP_PATH, build_map, top_page
from ledger.mapstore import MapStore
from ledger.statemap import Node, StateMap
from ledger.store import Store
from ledger.storefill import StoreFill
from ledger.storetables import SpineRow
from ledger.transactions import certified_transaction_id
from node.chain import Chain
from node.errors import SnapshotRefused
from node.snapshots.chunks import check_blocks, check_chunk, check_rows
from node.snapshots.make import MANIFEST_NAME, chunk_name, sync_folder, write_file
from node.snapshots.manifest import MAX_MANIFEST_BYTES, CheckedManifest, Manifest, check_manifest
from node.snapshots.sources import FolderSource, Source

JOINING: Final = "joining"
"""Folder below data/ for what is fetched and not in use."""
LEDGER: Final = "ledger.db"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a node begins with."""

    height: int
    header_hash: str
    state_root: str
    rows: int
    blocks: int


def join_from(sources: Sequence[Source], genesis: bytes, data: Path) -> Restored:
    """Make data/ledger.db from the first source that holds; chunks fetched before are not fetched again.

    Raises SnapshotRefused: the code of the last source's fault, `older` (the node's own store is not below it),
    StoreError `other_network`, OSError.
    """
    start = genesis_state(genesis)
    own = _own_height(data / LEDGER, start)
    folder = data / JOINING
    folder.mkdir(mode=0o700, exist_ok=True)
    checked = fetch(sources, start, folder, own)
    restored = build_ledger(checked, genesis, folder, folder / LEDGER)
    _put_in_place(folder / LEDGER, data / LEDGER)
    shutil.rmtree(folder)
    return restored


def fetch(sources: Sequence[Source], start: ChainState, folder: Path, own: int) -> CheckedManifest:
    """Manifest and chunks into `folder`, from one source after the other. Raises SnapshotRefused.

    What an earlier source or attempt brought stays, so a later one only gives what is missing of the same height.
    """
    fault: SnapshotRefused | None = None
    for source in sources:
        try:
            data = source.manifest(_begun(folder))
            checked = check_manifest(data, start)
            if checked.header.height <= own:
                raise SnapshotRefused("older", f"the snapshot is of height {checked.header.height}, the store of {own}")
            missing = [
                number
                for number in range(len(checked.manifest.chunks))
                if not _has_chunk(checked.manifest, folder, number)
            ]
            _check_space(checked.manifest, missing, folder)
            write_file(folder / MANIFEST_NAME, data)
            for number in missing:
                data = check_chunk(checked.manifest.chunks[number], source.chunk(number), number)
                (folder / chunk_name(number)).write_bytes(data)  # not durable: the next attempt hashes what it finds
        except SnapshotRefused as error:
            fault = error
            continue
        return checked
    raise fault or SnapshotRefused("source", "no source of a snapshot was named")


def _begun(folder: Path) -> int | None:
    """The height of the manifest that was fetched for last; unchecked, it only says what to ask for."""
    try:
        data = FolderSource(folder).manifest()
        return decode_as(data, Manifest, limit=MAX_MANIFEST_BYTES).header.height
    except (SnapshotRefused, LedgerError):
        return None


def _check_space(manifest: Manifest, missing: Sequence[int], folder: Path) -> None:
    """A list of chunks is nobody's signed word: what it asks for must fit, with the store that is made of it."""
    needed = sum(manifest.chunks[number].size for number in missing) + sum(chunk.size for chunk in manifest.chunks)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SnapshotRefused("space", f"the snapshot needs {needed} bytes in {folder}, {free} are free")


def build_ledger(checked: CheckedManifest, genesis: bytes, folder: Path, path: Path) -> Restored:
    """A new SQLite store at `path` from the chunks in `folder`.

    Raises SnapshotRefused: what the chunks' checks find, `state_root`.
    """
    start = genesis_state(genesis)
    for suffix in ("", "-wal", "-shm", "-lock"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    store = Store(f"sqlite:///{path}", start.chain)
    try:
        store.fill(lambda connection: _fill(connection, store.map, checked, start, folder))
    finally:
        store.close()
    store = Store(f"sqlite:///{path}", start.chain)
    try:
        chain = Chain(store, genesis)  # compares disk and header once more, as every start does
        following = chain.final.validators.hash.hex()
        chain.close()
    finally:
        store.close()
    if following != checked.header.next_validator_set_hash:
        raise SnapshotRefused("validator_set", "state holds another set than the one that the header hands over to")
    manifest = checked.manifest
    return Restored(
        manifest.header.height,
        header_hash(manifest.header).hex(),
        manifest.header.state_root,
        manifest.rows,
        manifest.blocks,
    )


def _fill(connection: Connection, pages: MapStore, checked: CheckedManifest, start: ChainState, folder: Path) -> None:
    manifest, read = checked.manifest, FolderSource(folder).chunk
    fill = StoreFill(connection, pages, manifest.header.height)

    def rows() -> Iterator[tuple[bytes, bytes]]:
        for row in check_rows(manifest, read):
            fill.add_state(row.key, row.item, row.entry)
            yield row.place, row.leaf

    top: list[bytes] = []

    def emit(path: bytes, _node: Node, page: bytes) -> None:
        fill.add_page(path, page)
        if path == TOP_PATH:
            top.append(page)

    built = build_map(_over_genesis(rows(), start.state_map), emit, _no_pages)
    if built.root.hex() != manifest.header.state_root:
        raise SnapshotRefused(
            "state_root", f"the rows give the root {built.root.hex()}, the header says {manifest.header.state_root}"
        )
    for spine, header in _blocks(checked, folder):
        fill.add_block(spine, header)
    fill.finish((built.root, top[0] if top else top_page(built)), checked.tail)


def _over_genesis(rows: Iterator[tuple[bytes, bytes]], genesis: StateMap) -> Iterator[tuple[bytes, bytes]]:
    """All leaves ascending: a row takes the place of genesis' own."""
    first = sorted(genesis.items(), reverse=True)
    for leaf in rows:
        while first and first[-1][0] < leaf[0]:
            yield first.pop()
        if first and first[-1][0] == leaf[0]:
            first.pop()
        yield leaf
    yield from reversed(first)


def _no_pages(path: bytes, _digest: bytes) -> Node:
    raise StoreError("damaged", f"page {path.hex()} is asked for while the map is made")


def _blocks(checked: CheckedManifest, folder: Path) -> Iterator[tuple[SpineRow, bytes]]:
    """Facts and headers of the ends of epochs and of the replay window, ascending; the last one is the base."""
    manifest = checked.manifest
    closing = {close.header.height: close for close in manifest.epochs}
    lowest = manifest.header.height - manifest.blocks + 1
    for height, close in closing.items():
        if height < lowest:
            encoded = encode_certificate(close.certificate)
            yield _facts(close.header, close.certificate.view, encoded, (), ()), encode(close.header)
    for block in check_blocks(manifest, FolderSource(folder).chunk):
        header = block.header
        known = closing.get(header.height)
        certificate = known.certificate if known else None
        peaks: tuple[bytes, ...] = ()
        if header.height == manifest.header.height:
            certificate, peaks = manifest.certificate, checked.peaks
        ids = tuple(certified_transaction_id(item) for item in block.transactions)
        encoded_certificate = encode_certificate(certificate) if certificate else None
        yield _facts(header, certificate.view if certificate else 0, encoded_certificate, ids, peaks), encode(header)


def _facts(
    header: Header, view: int, certificate: bytes | None, ids: tuple[bytes, ...], peaks: tuple[bytes, ...]
) -> SpineRow:
    return SpineRow(
        height=header.height,
        view=view,
        time_ms=header.time_ms,
        header_hash=header_hash(header),
        first_leaf=header.log_size,
        leaf_count=0,
        certificate=certificate,
        transactions=ids,
        peaks=peaks,
    )


def _has_chunk(manifest: Manifest, folder: Path, number: int) -> bool:
    path, chunk = folder / chunk_name(number), manifest.chunks[number]
    if not path.is_file() or path.stat().st_size != chunk.size:
        return False
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == chunk.sha256


def _own_height(path: Path, start: ChainState) -> int:
    if not path.is_file():
        return 0
    store = Store(f"sqlite:///{path}", start.chain)
    height = store.height
    store.close()
    return height


def _put_in_place(new: Path, path: Path) -> None:
    with open(new, "rb") as stream:
        os.fsync(stream.fileno())
    for suffix in ("-wal", "-shm"):  # of the store that is replaced; opening it above has emptied them
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.replace(new, path)
    sync_folder(path.parent)
