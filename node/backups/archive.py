"""The form of a backup: a tar whose first member is a manifest that names every other member with size and digest.

Knows names, sizes and digests; must not know what a file is for, nor open one. Must always hold: no name leads out of
the folder that is restored, and none is that of a journal, a vote guard, a lock or a key in clear; members are plain
files in the manifest's order, so that no other feature of tar (links, sparse files, long headers) is ever read.
"""

import re
import tarfile
from typing import Annotated, BinaryIO, Final, Literal

from msgspec import Meta, Struct

from ledger.encoding import decode_as
from ledger.errors import DecodeError
from ledger.types import Count, Height, Hex32, NetworkId, OrgId
from node.errors import SnapshotRefused

KIND: Final = "claimnode-backup"
MANIFEST_NAME: Final = "manifest.json"
SEALED_NAME: Final = "keys.sealed"
LEDGER_NAME: Final = "data/ledger.db"
BLOCK: Final = 512
MAX_FILES: Final = 200_000
"""About 160 bytes each: the manifest stays below its bound. A vault has one file for each document."""
MAX_MANIFEST_BYTES: Final = 64 * 2**20
MAX_NAME: Final = 100
"""What one tar header holds; the longest name of a node's folder has 89 characters."""
MAX_SEALED_BYTES: Final = 2**20
"""Key files have a few kilobytes, and there are a few dozen at most."""
_PART: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_NAME: Final = re.compile(rf"\A(?:node\.toml|genesis\.json|keys\.sealed|data(?:/{_PART}){{1,5}})\Z")
_BOUND: Final = re.compile(
    r"\A(?:journal|guard|finality|lock|joining|snapshots)|\.log\Z|-(?:wal|shm|lock|journal)\Z|\.(?:new|tmp)\Z"
)
"""Files that bind to one host, or to one moment of it: never in a backup, by name, wherever they lie below data/."""


class FileEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One member."""

    path: Annotated[str, Meta(max_length=MAX_NAME)]
    size: Count
    sha256: Hex32


class Scrypt(Struct, frozen=True, forbid_unknown_fields=True):
    """How the key of `keys.sealed` comes from the passphrase (RFC 7914), and the nonce of AES-256-GCM."""

    log_n: Annotated[int, Meta(ge=14, le=20)]
    """Memory is 2^log_n kilobytes: a foreign file cannot ask for more than 1 GB."""
    r: Literal[8]
    p: Literal[1]
    salt: Hex32
    nonce: Annotated[str, Meta(pattern=r"\A[0-9a-f]{24}\Z")]


class Subject(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose backup, of which moment; bound into the sealed keys. `vote_keys`: ids that a restored node must not use."""

    network: NetworkId
    genesis: Hex32
    participant: OrgId
    height: Height
    header_hash: Hex32
    vote_keys: Annotated[
        tuple[Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")], ...], Meta(min_length=1, max_length=2)
    ]


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole description. `keys` is null for a backup without keys."""

    v: Literal[1]
    kind: Literal["claimnode-backup"]
    subject: Subject
    keys: Scrypt | None
    files: Annotated[tuple[FileEntry, ...], Meta(max_length=MAX_FILES)]


def is_kept(path: str) -> bool:
    """Whether a file of this name may stand in a backup."""
    return (
        len(path) <= MAX_NAME
        and _NAME.match(path) is not None
        and not any(_BOUND.search(part) for part in path.split("/"))
    )


def decode_manifest(data: bytes) -> Manifest:
    """A manifest whose names can be used. Raises SnapshotRefused `manifest`, `path`."""
    try:
        manifest = decode_as(data, Manifest, limit=MAX_MANIFEST_BYTES)
    except DecodeError as error:
        raise SnapshotRefused("manifest", f"the first member is no manifest of a backup ({error.code})") from None
    names = [entry.path for entry in manifest.files]
    if not all(is_kept(name) for name in names):
        raise SnapshotRefused("path", "the manifest names a file that no backup holds")
    folders = {name.rsplit("/", depth)[0] for name in names for depth in range(1, 1 + name.count("/"))}
    if names != sorted(set(names)) or folders & set(names):
        raise SnapshotRefused("path", "the manifest's names are not in order, or stand there twice")
    if not {"node.toml", "genesis.json", LEDGER_NAME} <= set(names):
        raise SnapshotRefused("manifest", "node.toml, genesis.json or the ledger is missing")
    if (SEALED_NAME in names) != (manifest.keys is not None):
        raise SnapshotRefused("manifest", "sealed keys and their parameters do not stand together")
    return manifest


def write_header(stream: BinaryIO, name: str, size: int) -> None:
    """The header of a plain file of mode 0600."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    stream.write(info.tobuf(tarfile.GNU_FORMAT))


def padding(size: int) -> int:
    """Zero bytes that follow a member of this size."""
    return -size % BLOCK


def read_header(stream: BinaryIO) -> tuple[str, int]:
    """Name and size of the next member. Raises SnapshotRefused `truncated`, `archive`."""
    data = stream.read(BLOCK)
    if len(data) != BLOCK:
        raise SnapshotRefused("truncated", "the file ends where a member should begin")
    try:
        info = tarfile.TarInfo.frombuf(data, "utf-8", "strict")
    except (tarfile.HeaderError, ValueError):
        raise SnapshotRefused("archive", "this is no backup: a tar header does not read") from None
    if info.type != tarfile.REGTYPE or info.size < 0:
        raise SnapshotRefused("archive", "a member is no plain file")
    return info.name, info.size


def check_end(stream: BinaryIO) -> None:
    """Two empty blocks and nothing else. Raises SnapshotRefused `truncated`, `archive`."""
    data = stream.read(2 * BLOCK + 1)
    if len(data) < 2 * BLOCK:
        raise SnapshotRefused("truncated", "the end of the archive is missing")
    if data != bytes(2 * BLOCK):
        raise SnapshotRefused("archive", "something follows that the manifest does not name")
