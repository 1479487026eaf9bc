"""Malicious snapshots: every field of the manifest and every kind of false chunk, refused before anything is used."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.encoding import encode
from ledger.parts import join_parts, split_parts
from node.errors import SnapshotRefused
from node.snapshots.chunks import encode_row
from node.snapshots.make import MANIFEST_NAME, chunk_name
from tests.support.chain_world import NOW, policy
from tests.support.snapshot_world import FinalWorld, final_world, join

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> FinalWorld:
    made = final_world(tmp_path_factory.mktemp("honest"))
    made.grow(policy(), policy())
    made.grow(policy())
    made.close()
    made.snapshot()
    return made


def _copy(world: FinalWorld, tmp_path: Path) -> Path:
    folder = tmp_path / "tampered"
    shutil.copytree(world.folder / "snapshot", folder)
    return folder


def _change(folder: Path, change: Change) -> None:
    path = folder / MANIFEST_NAME
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_bytes(encode(manifest))


def _replace(folder: Path, number: int, data: bytes) -> None:
    """A chunk with a manifest that agrees."""
    (folder / chunk_name(number)).write_bytes(data)

    def rename(manifest: dict[str, Any]) -> None:
        manifest["chunks"][number] |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    _change(folder, rename)


def _refused(world: FinalWorld, folder: Path, tmp_path: Path) -> str:
    data = tmp_path / "data"
    with pytest.raises(SnapshotRefused) as caught:
        join(data, world, folder)
    assert not (data / "ledger.db").exists(), "something of it is in use"
    return caught.value.code


def _flip(path: str) -> Change:
    """Another digit in the hexadecimal field at a path."""

    def change(manifest: dict[str, Any]) -> None:
        *steps, last = path.split(".")
        place: Any = manifest
        for step in steps:
            place = place[int(step)] if isinstance(place, list) else place[step]
        key: Any = int(last) if isinstance(place, list) else last
        old = place[key]
        place[key] = old + 1 if isinstance(old, int) else ("1" if old[0] == "0" else "0") + old[1:]

    return change


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("v", "manifest"),
        ("kind", "manifest"),
        ("genesis", "other_network"),
        ("header.epoch", "epochs"),
        ("header.height", "certificate"),
        ("header.parent", "certificate"),
        ("header.time_ms", "certificate"),
        ("header.tx_root", "certificate"),
        ("header.log_size", "certificate"),
        ("header.log_root", "certificate"),
        ("header.state_root", "certificate"),
        ("header.receipts_root", "certificate"),
        ("header.validator_set_hash", "validator_set"),
        ("header.next_validator_set_hash", "certificate"),
        ("certificate.view", "certificate"),
        ("certificate.digest", "certificate"),
        ("certificate.signers", "certificate"),
        ("certificate.signatures.0", "certificate"),
        ("log_tail.0", "log_root"),
        ("rows", "rows"),
        ("blocks", "window"),
        ("chunks.0.size", "chunk"),
        ("chunks.0.sha256", "chunk"),
        ("chunks.1.sha256", "chunk"),
    ],
)
def test_every_field_of_the_manifest_is_bound(world: FinalWorld, tmp_path: Path, path: str, code: str) -> None:
    """B19: one changed field, one refusal with a stable code."""
    folder = _copy(world, tmp_path)
    _change(folder, _flip(path))
    assert _refused(world, folder, tmp_path) == code


def test_a_set_of_the_forgers_own(world: FinalWorld, tmp_path: Path) -> None:
    """B19: an epoch that ends in a set of nobody's choosing is not proved final by the genesis' validators."""
    folder = _copy(world, tmp_path)

    def change(manifest: dict[str, Any]) -> None:
        header = manifest["header"] | {"next_validator_set_hash": "ab" * 32}
        validator = {"id": "forger", "signing_key": "ab" * 32, "finality_key": "ab" * 48}
        manifest["epochs"] = [{"header": header, "certificate": manifest["certificate"], "validators": [validator] * 4}]

    _change(folder, change)
    assert _refused(world, folder, tmp_path) == "certificate"


def test_another_network(world: FinalWorld, tmp_path: Path) -> None:
    """B19, O4: a true snapshot of another network is refused by its genesis."""
    other = final_world(tmp_path / "other", NOW + 1)
    other.grow(policy())
    other.close()
    folder = other.snapshot()
    assert _refused(world, folder, tmp_path) == "other_network"


def _rows(folder: Path) -> list[tuple[bytes, bytes, bytes]]:
    parts = split_parts((folder / chunk_name(0)).read_bytes())
    return list(zip(parts[::3], parts[1::3], parts[2::3], strict=True))


def _pack(rows: list[tuple[bytes, bytes, bytes]]) -> bytes:
    return b"".join(encode_row(key.decode(), entry, value) for key, entry, value in rows)


def _drop(rows: list[tuple[bytes, bytes, bytes]]) -> list[tuple[bytes, bytes, bytes]]:
    return rows[1:]


def _double(rows: list[tuple[bytes, bytes, bytes]]) -> list[tuple[bytes, bytes, bytes]]:
    return [rows[0], *rows[:-1]]


def _swap(rows: list[tuple[bytes, bytes, bytes]]) -> list[tuple[bytes, bytes, bytes]]:
    return [rows[1], rows[0], *rows[2:]]


def _value(rows: list[tuple[bytes, bytes, bytes]]) -> list[tuple[bytes, bytes, bytes]]:
    key, entry, value = rows[0]
    return [(key, entry, value.replace(b"{", b"{ ", 1)), *rows[1:]]


def _entry(rows: list[tuple[bytes, bytes, bytes]]) -> list[tuple[bytes, bytes, bytes]]:
    key, entry, value = rows[0]
    return [(key, entry.replace(b'"author":"insurer-1"', b'"author":"insurer-2"'), value), *rows[1:]]


@pytest.mark.parametrize(
    ("change", "same_count", "code"),
    [
        (_drop, False, "rows"),
        (_drop, True, "state_root"),
        (_double, True, "order"),
        (_swap, True, "order"),
        (_value, True, "row"),
        (_entry, True, "state_root"),
    ],
)
def test_false_rows(world: FinalWorld, tmp_path: Path, change: Any, same_count: bool, code: str) -> None:
    """B19: missing, doubled, reordered and altered rows under a manifest that agrees with them."""
    folder = _copy(world, tmp_path)
    rows = change(_rows(folder))
    _replace(folder, 0, _pack(rows))
    if same_count:
        _change(folder, lambda manifest: manifest.update(rows=len(rows)))
    assert _refused(world, folder, tmp_path) == code


@pytest.mark.parametrize(
    ("data", "code"), [(b"\xff" * 100, "row"), (b"\0", "row"), (join_parts([b"a", b"{}", b"x"]), "row")]
)
def test_chunks_that_are_none(world: FinalWorld, tmp_path: Path, data: bytes, code: str) -> None:
    """B19: garbage under a manifest that agrees."""
    folder = _copy(world, tmp_path)
    _replace(folder, 0, data)
    assert _refused(world, folder, tmp_path) == code


def test_a_window_without_a_transaction(world: FinalWorld, tmp_path: Path) -> None:
    """B19: a replay window that hides an id has another root or does not lead to the header."""
    blocks = split_parts((world.folder / "snapshot" / chunk_name(1)).read_bytes())
    for kept, code in ((blocks[1:], "window"), (blocks[:-1], "window"), ([blocks[1], blocks[0]], "window")):
        folder = _copy(world, tmp_path)
        _replace(folder, 1, join_parts(kept))
        assert _refused(world, folder, tmp_path) == code
        shutil.rmtree(folder)
        shutil.rmtree(tmp_path / "data")
    folder = _copy(world, tmp_path)
    header = blocks[0][: 4 + int.from_bytes(blocks[0][:4], "big")]
    _replace(folder, 1, join_parts([header + bytes(4), *blocks[1:]]))
    assert _refused(world, folder, tmp_path) == "block"


def test_truncated_oversize_and_missing_files(world: FinalWorld, tmp_path: Path) -> None:
    """B19: a cut or padded chunk is not the manifest's; a missing one is the source's fault; a huge size is refused."""
    for change, code in (
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "chunk"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "chunk"),
        (lambda path: path.unlink(), "source"),
    ):
        folder = _copy(world, tmp_path)
        change(folder / chunk_name(0))
        assert _refused(world, folder, tmp_path) == code
        shutil.rmtree(folder)
    folder = _copy(world, tmp_path)
    _change(folder, lambda manifest: manifest["chunks"][0].update(size=13 * 2**20))
    assert _refused(world, folder, tmp_path) == "manifest"


def test_a_restore_killed_midway_leaves_nothing_half_used(
    world: FinalWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O4: whatever the last thing done was, there is no ledger before the last step, and the next attempt succeeds."""
    import node.snapshots.restore as restore

    for name in ("build_ledger", "_fill", "_put_in_place"):

        def die(*_arguments: Any, **_named: Any) -> Any:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(restore, name, die)
            with pytest.raises(KeyboardInterrupt):
                join(tmp_path / "data", world, world.folder / "snapshot")
        assert not (tmp_path / "data" / "ledger.db").exists()
    assert join(tmp_path / "data", world, world.folder / "snapshot").height == 2
