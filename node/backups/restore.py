"""A node's folder from a backup: read and checked in a folder beside, which then takes its name in one step.

Knows the archive and the folder's files; must not know peers. Must always hold: nothing stands under the folder's name
before every digest, the ledger and the keys were checked; the restored keys are marked before that, so that no vote is
ever signed with them: the journal of what they have signed is not in a backup.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO, Final

from contracts.genesis import MAX_GENESIS_BYTES, genesis_hash
from ledger.crypto.keys import load_key, write_secret_file
from ledger.errors import LedgerError
from ledger.store import Store
from node.assembly import GENESIS_NAME, read_genesis
from node.backups.archive import (
    LEDGER_NAME,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    MAX_SEALED_BYTES,
    SEALED_NAME,
    FileEntry,
    Manifest,
    check_end,
    decode_manifest,
    padding,
    read_header,
)
from node.backups.make import check_store
from node.backups.sealing import open_keys
from node.chain import Chain
from node.config import BANK_HELD, CONFIG_NAME, MAX_CONFIG_BYTES, load_config
from node.errors import SnapshotRefused
from node.identity import KEYS, SIGNING, vote_key_id
from node.ordering.guardfile import GUARD, GuardFile
from node.snapshots.make import sync_folder

RESTORED: Final = "journal_restored"
"""The code of the mark, see node.ordering.stopping."""
CHUNK: Final = 2**20
_BOUNDS: Final = {CONFIG_NAME: MAX_CONFIG_BYTES, GENESIS_NAME: MAX_GENESIS_BYTES, SEALED_NAME: MAX_SEALED_BYTES}
"""Files that are read whole into memory."""


def restore_backup(file: Path, out: Path, passphrase: bytes | None) -> Manifest:
    """Make the folder `out`, which must not exist or be empty. Without a passphrase keys stay sealed and are left out.

    Raises SnapshotRefused: `exists`, what the archive's checks find (`archive`, `manifest`, `path`, `truncated`,
    `size`, `digest`), `other_network`, `participant`, `ledger`, `passphrase`, `keys`; OSError.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SnapshotRefused("exists", f"{out} is not empty; name a new folder with --out")
    target = out.absolute()
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.restoring-"))  # mode 0700
    try:
        with open(file, "rb") as stream:
            manifest = _unpack(stream, scratch)
        _check_settings(scratch, manifest)
        _check_ledger(scratch, manifest)
        _put_keys(scratch, manifest, passphrase)
        (scratch / BANK_HELD).touch(mode=0o600)
        _sync_all(scratch)
        try:
            os.rename(scratch, target)  # onto nothing, or onto an empty folder
        except OSError as error:
            raise SnapshotRefused("exists", f"{out} was not made: {error.strerror}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sync_folder(target.parent)
    return manifest


def read_manifest(stream: BinaryIO) -> Manifest:
    """The first member. Raises SnapshotRefused `archive`, `truncated`, `size`, `manifest`, `path`."""
    name, size = read_header(stream)
    if name != MANIFEST_NAME:
        raise SnapshotRefused("archive", "this is no backup: its first member is not the manifest")
    if size > MAX_MANIFEST_BYTES:
        raise SnapshotRefused("size", f"the manifest has {size} bytes, at most {MAX_MANIFEST_BYTES}")
    data = stream.read(size)
    if len(data) != size or len(stream.read(padding(size))) != padding(size):
        raise SnapshotRefused("truncated", "the file ends in the manifest")
    return decode_manifest(data)


def _unpack(stream: BinaryIO, folder: Path) -> Manifest:
    status = os.fstat(stream.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise SnapshotRefused("archive", "a backup is a plain file")
    manifest = read_manifest(stream)
    if sum(entry.size for entry in manifest.files) > status.st_size:
        raise SnapshotRefused("truncated", "the manifest names more bytes than the file has")
    for entry in manifest.files:
        name, size = read_header(stream)
        if name != entry.path:
            raise SnapshotRefused("archive", "the members are not those of the manifest, in its order")
        if size != entry.size or size > _BOUNDS.get(name, size):
            raise SnapshotRefused("size", f"{name} has not the size of the manifest, or more than such a file has")
        _unpack_file(stream, entry, folder / name)
    check_end(stream)
    return manifest


def _unpack_file(stream: BinaryIO, entry: FileEntry, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), entry.size
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while left:
            data = stream.read(min(left, CHUNK))
            if not data:
                raise SnapshotRefused("truncated", f"the file ends in {entry.path}")
            digest.update(data)
            out.write(data)
            left -= len(data)
    if len(stream.read(padding(entry.size))) != padding(entry.size):
        raise SnapshotRefused("truncated", f"the file ends after {entry.path}")
    if digest.hexdigest() != entry.sha256:
        raise SnapshotRefused("digest", f"{entry.path} is damaged: its SHA-256 is not the manifest's")


def _check_settings(folder: Path, manifest: Manifest) -> None:
    config = load_config(folder)
    check_store(config)
    if config.participant != manifest.subject.participant:
        raise SnapshotRefused("participant", "node.toml and the manifest name different participants")
    if genesis_hash(read_genesis(folder)).hex() != manifest.subject.genesis:
        raise SnapshotRefused("other_network", "genesis.json is not the genesis of the manifest")


def _check_ledger(folder: Path, manifest: Manifest) -> None:
    """Open the store as a start does, comparing its maps and log with its last header."""
    genesis = read_genesis(folder)
    path = folder / LEDGER_NAME
    try:
        store = Store(f"sqlite:///{path}", genesis_hash(genesis))
        try:
            chain = Chain(store, genesis)
            height, digest = chain.final.height, chain.final.header_hash.hex()
            chain.close()
        finally:
            store.close()
    except LedgerError as error:
        raise SnapshotRefused("ledger", f"the ledger of the backup does not open: {error}") from None
    path.with_name(path.name + "-lock").unlink(missing_ok=True)
    if (height, digest) != (manifest.subject.height, manifest.subject.header_hash):
        raise SnapshotRefused("ledger", f"the ledger ends at height {height} with another header than the manifest's")


def _put_keys(folder: Path, manifest: Manifest, passphrase: bytes | None) -> None:
    """Key files, and before them the marks: in the manifest's ids and in that of the key as it lies there now."""
    keys, subject = folder / KEYS, manifest.subject
    keys.mkdir(mode=0o700)
    marked = set(subject.vote_keys)
    sealed_path = folder / SEALED_NAME
    if manifest.keys is not None:
        if passphrase is not None:
            files = open_keys(manifest.keys, sealed_path.read_bytes(), passphrase, subject)
            for name, data in files.items():
                write_secret_file(keys / name, data)
            marked.add(vote_key_id(load_key(keys / SIGNING, "ed25519").public, b""))
        sealed_path.unlink()
    elif passphrase is not None:
        raise SnapshotRefused("keys", "this backup was made without keys; put the key files into keys/ yourself")
    detail = f"restored from a backup of height {subject.height}: what this key signed since is not known here"
    for key in marked:
        GuardFile(keys / f"{GUARD}-{key}").refuse(RESTORED, detail)


def _sync_all(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_folder(folder)
