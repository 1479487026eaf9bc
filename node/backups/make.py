"""A backup from the folder of a node, also of one that runs.

Knows the folder's files and SQLite's online copy; must not know tables beyond the last header. Must always hold: each
database is copied at one moment, the vault before its ciphertexts and both before the ledger, so that a restored node
knows no event above its own ledger; what binds to this host (journal, guard, finality key) is not read at all.
"""

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from contracts.genesis import decode_genesis, genesis_hash
from ledger.crypto.keys import load_key, read_secret_file
from ledger.encoding import encode
from ledger.errors import StoreError
from ledger.storeview import StoreView
from node.assembly import GENESIS_NAME, read_genesis
from node.backups.archive import (
    BLOCK,
    KIND,
    LEDGER_NAME,
    MANIFEST_NAME,
    MAX_FILES,
    MAX_MANIFEST_BYTES,
    MAX_SEALED_BYTES,
    SEALED_NAME,
    FileEntry,
    Manifest,
    Scrypt,
    Subject,
    is_kept,
    padding,
    write_header,
)
from node.backups.sealing import KEY_FILE, seal_keys
from node.config import CONFIG_NAME, NodeConfig, load_config
from node.errors import SnapshotRefused
from node.identity import FINALITY, KEYS, SIGNING, vote_key_id
from node.snapshots.make import sync_folder

CHUNK: Final = 2**20
BUSY_S: Final = 10.0
"""How long a copy waits for the node's own checkpoint."""


def check_store(config: NodeConfig) -> None:
    """Raise SnapshotRefused `not_supported` unless the store is the folder's own file."""
    if config.store.url_file is not None or config.store.url.startswith("postgresql"):
        raise SnapshotRefused(
            "not_supported",
            "the store is on a database server: back it up with pg_dump; this command copies SQLite only",
        )
    if config.store.url != "sqlite":
        raise SnapshotRefused(
            "not_supported", "[store] names a file outside of the folder; only data/ledger.db is copied"
        )


def make_backup(folder: Path, out: Path, passphrase: bytes | None) -> Manifest:
    """Write the new file `out` (mode 0600) from the node in `folder`; without a passphrase it holds no keys.

    Raises SnapshotRefused `not_supported`, `exists`, `too_many`, `keys`; ConfigError, KeyFileError,
    StoreError, OSError.
    """
    config = load_config(folder)
    check_store(config)
    genesis = read_genesis(folder)
    if not (folder / LEDGER_NAME).is_file():
        raise StoreError("no_store", f"{folder / LEDGER_NAME} does not exist: this node has no block yet")
    if out.exists():
        raise SnapshotRefused("exists", f"{out} exists; a backup is never overwritten")
    stage = Path(tempfile.mkdtemp(dir=out.absolute().parent, prefix=f".{out.name}."))  # mode 0700
    try:
        _copy_data(folder, stage)
        (stage / GENESIS_NAME).write_bytes(genesis)
        (stage / CONFIG_NAME).write_bytes((folder / CONFIG_NAME).read_bytes())
        keys = None if passphrase is None else read_key_files(folder / KEYS)
        subject = _subject(stage / LEDGER_NAME, genesis, config.participant, _vote_keys(folder / KEYS))
        parameters: Scrypt | None = None
        if keys is not None and passphrase is not None:
            parameters, sealed = seal_keys(keys, passphrase, subject)
            if len(sealed) > MAX_SEALED_BYTES:
                raise SnapshotRefused("keys", f"the key files have more than {MAX_SEALED_BYTES} bytes together")
            (stage / SEALED_NAME).write_bytes(sealed)
        manifest = Manifest(1, KIND, subject, parameters, tuple(_entries(stage)))
        _write(stage, manifest, out)
    finally:
        shutil.rmtree(stage)
    return manifest


def read_key_files(keys: Path) -> dict[str, bytes]:
    """The key files that a backup takes, by name. Raises KeyFileError."""
    return {path.name: read_secret_file(path) for path in sorted(keys.iterdir()) if KEY_FILE.match(path.name)}


def copy_database(source: Path, target: Path) -> None:
    """One moment of a SQLite file that may be written meanwhile. Raises StoreError `database`."""
    url = f"file:{quote(str(source.absolute()))}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(url, uri=True, timeout=BUSY_S)) as reader,
            closing(sqlite3.connect(target)) as writer,
        ):
            reader.backup(writer)  # all pages in one step: a single read transaction, which disturbs no writer
    except sqlite3.Error as error:
        raise StoreError("database", f"{source} was not copied: {error}") from None


def _copy_data(folder: Path, stage: Path) -> None:
    for name in (item for item in _names(folder) if item.endswith(".db")):
        copy_database(folder / name, _place(stage, name))
    for name in (
        item for item in _names(folder) if not item.endswith(".db")
    ):  # listed anew: what the vault names is there
        _copy_file(folder / name, _place(stage, name))
    copy_database(folder / LEDGER_NAME, _place(stage, LEDGER_NAME))


def _names(folder: Path) -> list[str]:
    """What is kept of data/, without the ledger."""
    found = (path.relative_to(folder).as_posix() for path in (folder / "data").rglob("*") if path.is_file())
    return sorted(name for name in found if is_kept(name) and name != LEDGER_NAME)


def _place(stage: Path, name: str) -> Path:
    target = stage / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return target


def _copy_file(source: Path, target: Path) -> None:
    try:
        data = source.read_bytes()
    except FileNotFoundError:  # erased since the folder was listed
        return
    if source.suffix == ".jsonl":  # a line on its way to the disk is left to the next backup
        data = data[: data.rfind(b"\n") + 1]
    target.write_bytes(data)


def _subject(ledger: Path, genesis: bytes, participant: str, vote_keys: tuple[str, ...]) -> Subject:
    view = StoreView(f"sqlite:///{ledger}", genesis_hash(genesis))
    try:
        height, digest = view.last.height, view.last.header_hash
    finally:
        view.close()
    return Subject(
        decode_genesis(genesis).network,
        genesis_hash(genesis).hex(),
        participant,
        height,
        digest.hex(),
        vote_keys,
    )


def _vote_keys(keys: Path) -> tuple[str, ...]:
    """The pair of keys that votes here, and the signing key alone, as a restored folder will have it."""
    signing = load_key(keys / SIGNING, "ed25519").public
    path = keys / FINALITY
    pairs = {vote_key_id(signing, load_key(path, "bls12-381").public)} if path.exists() else set()
    return tuple(sorted(pairs | {vote_key_id(signing, b"")}))


def _entries(stage: Path) -> Iterator[FileEntry]:
    paths = {path.relative_to(stage).as_posix(): path for path in stage.rglob("*") if path.is_file()}
    names = sorted(name for name in paths if is_kept(name))
    if len(names) > MAX_FILES:
        raise SnapshotRefused("too_many", f"{len(names)} files, at most {MAX_FILES}: copy data/vault by other means")
    for name in names:
        with open(paths[name], "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        yield FileEntry(name, paths[name].stat().st_size, digest)


def _write(stage: Path, manifest: Manifest, out: Path) -> None:
    """Whole or not at all, and never over another file."""
    head = encode(manifest)
    if len(head) > MAX_MANIFEST_BYTES:
        raise SnapshotRefused("too_many", "the manifest is larger than a restore reads")
    scratch = stage / ".archive"
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        write_header(stream, MANIFEST_NAME, len(head))
        stream.write(head + bytes(padding(len(head))))
        for entry in manifest.files:
            write_header(stream, entry.path, entry.size)
            _pour(stage / entry.path, stream)
            stream.write(bytes(padding(entry.size)))
        stream.write(bytes(2 * BLOCK))
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(scratch, out)  # unlike a rename, fails when the name is taken
    except FileExistsError:
        raise SnapshotRefused("exists", f"{out} exists; a backup is never overwritten") from None
    sync_folder(out.absolute().parent)


def _pour(path: Path, stream: BinaryIO) -> None:
    with open(path, "rb") as source:
        shutil.copyfileobj(source, stream, CHUNK)
