"""Backups: what is in the file and what never is, one moment of a growing ledger, and what a restore refuses."""

import asyncio
import hashlib
import shutil
import stat
import tarfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from ledger.crypto.keys import generate_key, save_key
from ledger.encoding import encode
from node.backups import sealing
from node.backups.archive import BLOCK, MANIFEST_NAME, decode_manifest, is_kept, padding, write_header
from node.backups.make import copy_database, make_backup
from node.backups.restore import restore_backup
from node.errors import SnapshotRefused
from node.identity import create_identity, load_identity
from node.peers.frames import Lane
from node.vault.vault import Vault
from tests.support.chain_world import NOW, World, open_chain, policy
from tests.support.cluster import Cluster, build_network

PASSPHRASE = b"a long enough passphrase"
NEVER = (b"journal", b"guard", b"finality")


@pytest.fixture(autouse=True)
def _quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least work that a restore accepts."""
    seal = sealing.seal_keys
    monkeypatch.setattr("node.backups.make.seal_keys", lambda *given: seal(*given, log_n=14))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A node's folder with two blocks, real keys, a vault, and files that bind it to its host."""
    folder = tmp_path / "own"
    data = folder / "data"
    data.mkdir(parents=True)
    network = build_network(tmp_path / "nodes", time_ms=NOW)
    create_identity(folder, "insurer-1", validator=True)
    (folder / "keys" / "vault.key").write_bytes(b"v" * 32)
    (folder / "keys" / "vault.key").chmod(0o600)
    vault = Vault(data / "vault", b"v" * 32, now_ms=lambda: 0, durable=False)
    vault.close()
    (data / "vault" / "envelopes" / "ab").mkdir()
    (data / "vault" / "envelopes" / "ab" / ("ab" * 32)).write_bytes(b"ciphertext")
    (data / "evidence.jsonl").write_bytes(b'{"proof":1}\n{"cut')
    for name in ("data/journal-0123", "data/lock", "data/node.log", "keys/guard-0123", "keys/finality.next.json"):
        (folder / name).write_bytes(b"bound to this host")
    (folder / "node.toml").write_text('participant = "insurer-1"\n')
    (folder / "genesis.json").write_bytes(network.genesis)
    world = World(data, network, open_chain(data, network))
    world.grow(policy())
    world.grow(policy())
    return world


def made(world: World, passphrase: bytes | None = PASSPHRASE) -> Path:
    out = world.folder.parent.parent / "backup"
    make_backup(world.folder.parent, out, passphrase)
    return out


def refused(code: str, backup: Path, passphrase: bytes | None = PASSPHRASE) -> None:
    """With this code, and nothing is left of the attempt."""
    before = set(backup.parent.iterdir())
    with pytest.raises(SnapshotRefused) as caught:
        restore_backup(backup, backup.parent / "restored", passphrase)
    assert caught.value.code == code
    assert set(backup.parent.iterdir()) == before


def members(backup: Path) -> dict[str, bytes]:
    with tarfile.open(backup) as archive:
        return {item.name: archive.extractfile(item).read() for item in archive}  # type: ignore[union-attr]


def pack(backup: Path, files: dict[str, bytes]) -> None:
    """An archive of these members, whatever they are."""
    with open(backup, "wb") as stream:
        for name, data in files.items():
            write_header(stream, name, len(data))
            stream.write(data + bytes(padding(len(data))))
        stream.write(bytes(2 * BLOCK))


def changed(backup: Path, change: Callable[[dict[str, bytes]], object], **subject: object) -> None:
    """The archive with changed files (and subject) and a manifest that agrees with them."""
    files = members(backup)
    manifest = decode_manifest(files.pop(MANIFEST_NAME))
    change(files)
    files = dict(sorted(files.items()))
    entries = [{"path": n, "size": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in files.items()]
    value = msgspec.to_builtins(manifest) | {"files": entries}
    value["subject"] |= subject
    pack(backup, {MANIFEST_NAME: encode(value)} | files)


def test_what_is_in_it_and_what_never_is(world: World) -> None:
    """P12: neither journal nor guard nor finality key, by name or by secret; no other secret in clear."""
    backup = made(world)
    names = list(members(backup))
    assert names == [
        MANIFEST_NAME, "data/evidence.jsonl", "data/ledger.db", f"data/vault/envelopes/ab/{'ab' * 32}",
        "data/vault/vault.db", "genesis.json", "keys.sealed", "node.toml",
    ]  # fmt: skip
    raw = backup.read_bytes()
    identity = load_identity(world.folder.parent, "insurer-1")
    assert identity.finality is not None
    for key in (identity.finality, identity.signing, identity.envelope, identity.note):
        assert key.secret not in raw
        assert key.secret.hex().encode() not in raw
    manifest = decode_manifest(members(backup)[MANIFEST_NAME])
    assert manifest.keys is not None
    opened = sealing.open_keys(manifest.keys, members(backup)["keys.sealed"], PASSPHRASE, manifest.subject)
    assert not [name for name in opened if any(word.decode() in name for word in NEVER)]
    assert all(identity.finality.secret.hex().encode() not in data for data in opened.values())
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert manifest.subject.height == 2
    world.close()


def test_a_restored_folder_is_the_same_ledger_with_marked_keys(world: World) -> None:
    backup, own = made(world), world.folder.parent
    out = own.parent / "restored"
    out.mkdir()  # an empty folder may stand there
    manifest = restore_backup(backup, out, PASSPHRASE)
    before, after = load_identity(own, "insurer-1"), load_identity(out, "insurer-1")
    assert after.signing == before.signing
    assert after.finality is None
    for key in (before.vote_key_id, after.vote_key_id):
        assert (out / "keys" / f"guard-{key}.refused").read_bytes().startswith(b'{"code":"journal_restored"')
    assert (out / "data" / "evidence.jsonl").read_bytes() == b'{"proof":1}\n'
    restored = open_chain(out / "data", world.network)
    assert restored.final.header_hash == world.chain.final.header_hash
    assert restored.final.header_hash.hex() == manifest.subject.header_hash
    restored.close()
    restored.store.close()
    assert not [path for path in out.rglob("*") if stat.S_IMODE(path.stat().st_mode) & 0o077 and path.is_file()
                and path.parent.name == "keys"]  # fmt: skip
    Vault(out / "data" / "vault", b"v" * 32, now_ms=lambda: 0, durable=False).close()
    world.close()


def test_without_keys(world: World) -> None:
    """Marks are there all the same: keys that come from elsewhere do not vote either."""
    backup, own = made(world, None), world.folder.parent
    refused("keys", backup)
    restore_backup(backup, own.parent / "restored", None)
    identity = load_identity(own, "insurer-1")
    left = {path.name for path in (own.parent / "restored" / "keys").iterdir()}
    assert f"guard-{identity.vote_key_id}.refused" in left
    assert len(left) == 2
    assert "keys.sealed" not in members(backup)
    world.close()


def test_a_copy_while_the_chain_grows(world: World, tmp_path: Path) -> None:
    """Each copy is one moment: it opens with all roots, whatever was committed meanwhile."""
    stop = threading.Event()
    copies: list[Path] = []

    def copy() -> None:
        while not stop.is_set() and len(copies) < 20:
            copies.append(tmp_path / f"copy-{len(copies)}")
            copies[-1].mkdir()
            copy_database(world.folder / "ledger.db", copies[-1] / "ledger.db")

    thread = threading.Thread(target=copy)
    thread.start()
    try:
        for _ in range(15):
            world.grow(policy())
    finally:
        stop.set()
        thread.join()
    backup = made(world)
    assert copies
    for folder in copies:
        chain = open_chain(folder, world.network)
        assert 2 <= chain.final.height <= 17
        chain.close()
        chain.store.close()
    assert decode_manifest(members(backup)[MANIFEST_NAME]).subject.height == 17
    world.close()


def test_damage_and_wrong_files_are_refused(world: World) -> None:
    backup = made(world)
    good = backup.read_bytes()
    manifest = decode_manifest(members(backup)[MANIFEST_NAME])
    at = good.index(b"ciphertext")
    cases = [
        ("digest", good[:at] + b"C" + good[at + 1 :]),
        ("truncated", good[: len(good) // 2]),
        ("truncated", good[: -2 * BLOCK]),
        ("truncated", b""),
        ("archive", b"no tar at all".ljust(BLOCK)),
        ("archive", good + b"more"),
        ("manifest", good.replace(b'"kind":"claimnode-backup"', b'"kind":"claimnode-backap"', 1)),
        ("truncated", good[: BLOCK + 10]),
    ]
    for code, data in cases:
        backup.write_bytes(data)
        refused(code, backup)
    pack(backup, {"data/x": b"", MANIFEST_NAME: b"{}"})
    refused("archive", backup)
    pack(backup, {MANIFEST_NAME: encode(manifest), "data/other": b""})
    refused("truncated", backup)
    backup.write_bytes(good)
    refused("passphrase", backup, b"another passphrase")
    world.close()


def test_a_link_is_no_member(world: World) -> None:
    backup = made(world)
    head = members(backup)[MANIFEST_NAME]
    with tarfile.open(backup, "w") as archive:
        info = tarfile.TarInfo(MANIFEST_NAME)
        info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0
        archive.addfile(info)
    assert head
    refused("archive", backup)
    world.close()


@pytest.mark.parametrize(
    "name",
    ["../outside", "/etc/passwd", "data/../../x", "data/journal-0123", "data/guard-0123", "keys/finality.json",
     "keys/signing.json", "data/lock", "data/ledger.db-wal", "data//x", "data/.hidden", "data/finality.json"],
)  # fmt: skip
def test_names_that_no_backup_holds(world: World, name: str) -> None:
    assert not is_kept(name)
    backup = made(world)
    changed(backup, lambda files: files.update({name: b"x"}))
    refused("path", backup)
    world.close()


def test_a_manifest_that_agrees_with_changed_files(world: World) -> None:
    """Digests that were made anew do not help: ledger, settings and sealed keys are looked at themselves."""
    backup = made(world)
    good = backup.read_bytes()
    other = "00" * 32
    cases: list[tuple[str, Callable[[dict[str, bytes]], object], dict[str, object]]] = [
        ("ledger", lambda files: None, {"height": 1}),
        ("ledger", lambda files: None, {"header_hash": other}),
        ("ledger", lambda files: files.update({"data/ledger.db": b"no database" * 100}), {}),
        ("passphrase", lambda files: None, {"vote_keys": ["ab" * 8]}),
        ("participant", lambda files: None, {"participant": "hospital-0"}),
        ("other_network", lambda files: None, {"genesis": other}),
        ("manifest", lambda files: files.pop("genesis.json"), {}),
        ("size", lambda files: files.update({"node.toml": b"#" * 300_000}), {}),
        ("not_supported", lambda files: files.update({"node.toml": _postgresql().encode()}), {}),
    ]
    for code, change, subject in cases:
        backup.write_bytes(good)
        changed(backup, change, **subject)
        refused(code, backup)
    world.close()


def _postgresql() -> str:
    return 'participant = "insurer-1"\n[store]\nurl = "postgresql+psycopg://me@db/ledger"\n'


def test_nothing_is_overwritten(world: World) -> None:
    backup, own = made(world), world.folder.parent
    with pytest.raises(SnapshotRefused, match="exists"):
        make_backup(own, backup, None)
    with pytest.raises(SnapshotRefused, match="not empty"):
        restore_backup(backup, own, PASSPHRASE)
    world.close()


def test_a_database_server_is_refused(world: World) -> None:
    (world.folder.parent / "node.toml").write_text(_postgresql())
    with pytest.raises(SnapshotRefused, match="pg_dump"):
        made(world)
    world.close()


def test_sealed_key_files_are_those_of_the_list() -> None:
    for name in ("finality.json", "signing.next.json", "../x", "guard-0123.refused"):
        with pytest.raises(SnapshotRefused, match="no backup holds"):
            sealing.decode_keys(encode({"files": {name: ""}}))


def test_a_restored_validator_follows_and_does_not_vote(tmp_path: Path) -> None:
    """P12: made while the node runs and votes; restored, it follows, also with its finality key put back by hand."""

    async def story() -> None:
        cluster = Cluster(build_network(tmp_path))
        name = "tpa-3"
        folder = tmp_path / name
        try:
            await cluster.start()
            await cluster.commit_one("hospital-0")
            identity = cluster.network.identities[name]
            assert identity.finality is not None
            save_files(folder, cluster, name)
            await asyncio.to_thread(make_backup, folder, tmp_path / "backup", PASSPHRASE)
            await cluster.commit_one("hospital-0")
            await cluster.kill(name)
            shutil.rmtree(folder)
            restore_backup(tmp_path / "backup", folder, PASSPHRASE)
            for finality, codes in ((None, {"keys_not_in_set"}), (identity.finality, {"journal_restored"})):
                cluster.network.identities[name] = replace(identity, finality=finality)
                sent: list[bytes] = []
                cluster.links.on_send = keeping_votes(name, sent)
                await cluster.start(name)
                node = cluster.nodes[name]
                await cluster.until(lambda node=node, codes=codes: node.status()["not_voting"] in codes)  # type: ignore[misc]
                height = await cluster.commit_one("hospital-0")
                await cluster.until(lambda node=node, height=height: node.chain.height >= height)  # type: ignore[misc]
                assert not sent
                assert not node.status()["voting"]
                await cluster.kill(name)
            cluster.check_agreement()
        finally:
            await cluster.stop()

    asyncio.run(story())


def keeping_votes(name: str, sent: list[bytes]) -> Callable[[str, str, Lane, bytes], bool]:
    """Hands every message on, and keeps the votes of one member."""

    def look(sender: str, _to: str, _lane: Lane, data: bytes) -> bool:
        if sender == name and b'"type":"vote"' in data:
            sent.append(data)
        return True

    return look


def save_files(folder: Path, cluster: Cluster, name: str) -> None:
    """What a node in memory has no files of."""
    identity = cluster.network.identities[name]
    (folder / "node.toml").write_text(f'participant = "{name}"\n')
    (folder / "genesis.json").write_bytes(cluster.network.genesis)
    assert identity.finality is not None
    save_key(folder / "keys" / "signing.json", identity.signing)
    save_key(folder / "keys" / "finality.json", identity.finality)
    save_key(folder / "keys" / "note.json", generate_key("ed25519"))
