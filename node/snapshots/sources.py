"""Where a snapshot comes from: a folder, one file, or a node that serves it. Nothing here is trusted.

Knows places and bounds of size; must not know contents. Must always hold: no more is read than the bound, and what
goes wrong with a source is SnapshotRefused `source` (unreachable, missing, cut off), after which another may be tried.

One file is u32be length and bytes of the manifest, then every chunk, one after the other.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta, Struct

from ledger.encoding import decode_as
from ledger.errors import LedgerError
from node.errors import SnapshotRefused
from node.snapshots.make import MANIFEST_NAME, chunk_name, write_all
from node.snapshots.manifest import MAX_CHUNK_BYTES, MAX_MANIFEST_BYTES, Manifest

MAGIC: Final = b"claimnode-snapshot-1\n"
MAX_LIST_BYTES: Final = 64 * 1024
"""A list of the 100 snapshots that a node may keep has 20 kB."""


class _Height(Struct):
    height: Annotated[int, Meta(ge=1, le=2**53 - 1)]


class _Listed(Struct):
    snapshots: Annotated[tuple[_Height, ...], Meta(max_length=100)]


class Source(Protocol):
    """Gives the parts of one snapshot, unchecked. Both raise SnapshotRefused `source`."""

    def manifest(self, begun: int | None = None) -> bytes:
        """The manifest's bytes. `begun` is the height of which chunks are here already: who has several gives that
        one."""
        ...

    def chunk(self, number: int) -> bytes:
        """The bytes of a chunk."""
        ...


class FolderSource:
    """A folder as `make_snapshot` writes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def manifest(self, begun: int | None = None) -> bytes:
        return _read(self._folder / MANIFEST_NAME, MAX_MANIFEST_BYTES)

    def chunk(self, number: int) -> bytes:
        return _read(self._folder / chunk_name(number), MAX_CHUNK_BYTES)


class FileSource:
    """One file as `pack_file` writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: list[tuple[int, int]] = []

    def manifest(self, begun: int | None = None) -> bytes:
        head = _read(self._path, len(MAGIC) + 4, cut=True)
        size = int.from_bytes(head[len(MAGIC) :], "big")
        if not head.startswith(MAGIC) or size > MAX_MANIFEST_BYTES:
            raise SnapshotRefused("source", f"{self._path} is no snapshot")
        data = _read(self._path, size, at=len(head), cut=True)
        at = len(head) + size
        try:
            chunks = decode_as(data, Manifest, limit=MAX_MANIFEST_BYTES).chunks
        except LedgerError as error:
            raise SnapshotRefused("manifest", f"no manifest of a snapshot: {error}") from None
        self._places = []
        for chunk in chunks:
            self._places.append((at, chunk.size))
            at += chunk.size
        return data

    def chunk(self, number: int) -> bytes:
        if not self._places:
            self.manifest()
        at, size = self._places[number]
        return _read(self._path, size, at=at, cut=True)


class ServedSource:
    """Snapshots that a node serves (`/v1/snapshots`). `get(path, most)` gives an answer of at most so many bytes and
    raises SnapshotRefused `source`."""

    def __init__(self, get: Callable[[str, int], bytes], height: int | None = None) -> None:
        """`height`: the only one to take. Default: the one begun before if it is still there, else the newest."""
        self._get = get
        self._fixed = height
        self._height = height or 0

    def manifest(self, begun: int | None = None) -> bytes:
        self._height = self._fixed or self._choose(begun)
        return self._get(f"/v1/snapshots/{self._height}/manifest", MAX_MANIFEST_BYTES)

    def chunk(self, number: int) -> bytes:
        return self._get(f"/v1/snapshots/{self._height}/chunks/{number}", MAX_CHUNK_BYTES)

    def _choose(self, begun: int | None) -> int:
        data = self._get("/v1/snapshots", MAX_LIST_BYTES)
        try:
            listed = msgspec.json.decode(data, type=_Listed).snapshots
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise SnapshotRefused("source", "what the node answers is no list of snapshots") from None
        heights = [item.height for item in listed]
        if not heights:
            raise SnapshotRefused("source", "the node keeps no snapshot")
        return begun if begun in heights else max(heights)


def pack_file(folder: Path, out: Path) -> None:
    """A snapshot's folder as one file. Raises SnapshotRefused `exists`, `source`, OSError."""
    source = FolderSource(folder)
    data = source.manifest()
    manifest = decode_as(data, Manifest, limit=MAX_MANIFEST_BYTES)
    chunks = (source.chunk(number) for number in range(len(manifest.chunks)))
    try:
        with open(out, "xb") as stream:
            write_all(stream, (MAGIC, len(data).to_bytes(4, "big"), data))
            write_all(stream, chunks)
    except FileExistsError:
        raise SnapshotRefused("exists", f"{out} is there already") from None


def _read(path: Path, most: int, *, at: int = 0, cut: bool = False) -> bytes:
    """At most so many bytes; more is refused, unless `cut`, where exactly so many must be there."""
    try:
        with open(path, "rb") as stream:
            stream.seek(at)
            data = stream.read(most if cut else most + 1)
    except OSError as error:
        raise SnapshotRefused("source", f"{path}: not readable ({error.strerror})") from None
    if len(data) > most:
        raise SnapshotRefused("source", f"{path}: larger than {most} bytes")
    if cut and len(data) < most:
        raise SnapshotRefused("source", f"{path}: cut off")
    return data
