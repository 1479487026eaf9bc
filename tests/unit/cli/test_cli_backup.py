"""`claimnode node backup` and `restore`: exit codes, words, and that the passphrase comes from a private file."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import claimnode
from node.backups import sealing
from node.identity import create_identity
from tests.support.chain_world import NOW, open_chain, policy
from tests.support.chain_world import World as ChainWorld
from tests.support.cluster import build_network


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stopped node with one block."""
    seal = sealing.seal_keys
    monkeypatch.setattr("node.backups.make.seal_keys", lambda *given: seal(*given, log_n=14))
    network = build_network(tmp_path / "nodes", time_ms=NOW)
    folder = tmp_path / "own"
    (folder / "data").mkdir(parents=True)
    create_identity(folder, "insurer-1", validator=True)
    (folder / "node.toml").write_text('participant = "insurer-1"\n')
    (folder / "genesis.json").write_bytes(network.genesis)
    world = ChainWorld(folder / "data", network, open_chain(folder / "data", network))
    world.grow(policy())
    world.close()
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(claimnode, ["node", *map(str, arguments)])


def secret(path: Path, text: str = "a long enough passphrase\n", mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_there_and_back(folder: Path, tmp_path: Path) -> None:
    words = secret(tmp_path / "words")
    made = run("backup", folder, "--out", tmp_path / "b", "--passphrase-file", words, "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.output)["height"] == 1
    done = run("restore", tmp_path / "b", "--out", tmp_path / "new", "--passphrase-file", words)
    assert done.exit_code == 0, done.output
    assert "starts as an observer" in done.output
    assert not (tmp_path / "new" / "keys" / "finality.json").exists()
    plain = run("restore", tmp_path / "b", "--out", tmp_path / "bare", "--without-keys", "--json")
    assert json.loads(plain.output)["starts_as"] == "observer"
    assert not list((tmp_path / "bare" / "keys").glob("*.json"))


def test_wrong_use_has_a_code_and_exit_2(folder: Path, tmp_path: Path) -> None:
    out, words = tmp_path / "b", secret(tmp_path / "words")
    cases = [
        (("backup", folder, "--out", out), "passphrase"),
        (("backup", folder, "--out", out, "--without-keys", "--passphrase-file", words), "passphrase"),
        (("backup", folder, "--out", out, "--passphrase-file", secret(tmp_path / "short", "short")), "passphrase"),
        (("backup", folder, "--out", out, "--passphrase-file", secret(tmp_path / "open", mode=0o644)), "permissions"),
        (("backup", tmp_path, "--out", out, "--without-keys"), "node"),
        (("backup", folder, "--out", words, "--without-keys"), "exists"),
        (("restore", words, "--out", tmp_path / "new", "--without-keys"), "truncated"),
        (("restore", words, "--out", folder, "--without-keys"), "exists"),
        (("restore", tmp_path / "absent", "--out", tmp_path / "new", "--without-keys"), "No such file"),
    ]
    for arguments, code in cases:
        done = run(*arguments)
        assert done.exit_code == 2, arguments
        assert code in done.output, arguments
    assert not out.exists()
    assert not (tmp_path / "new").exists()
