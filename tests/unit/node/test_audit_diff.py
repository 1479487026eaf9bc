"""Two ledgers compared: one flipped value, wherever it was planted, is found by the comparison alone."""

import json
import random
import shutil
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import replace
from math import log2
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from cli.audit_sides import RemoteSide
from cli.main import claimnode
from contracts import bodies
from contracts.execution import ExecutedBlock, build_block
from ledger.blocks import encode_block, header_hash
from ledger.encoding import decode, encode
from ledger.errors import StoreError
from ledger.merkle import leaf_hash
from ledger.rowreader import StoreRows, read_only_url
from ledger.state import Entry, Versioned, map_key, map_value, value_digest
from ledger.storerows import state_values
from ledger.storetables import encode_changes, seal
from node.api.effects import effects_view
from node.folderaudit.compare import Difference, compare_ledgers
from node.folderaudit.sides import FolderSide
from tests.support.ledger_folder import write_folder
from tests.support.network_builder import Network

LENGTH = 24


def grown(twist_at: int | None = None) -> Network:
    """A chain of policies; at one height its execution is off by one byte in one value, and goes on from there."""
    network = Network()
    for height in range(1, LENGTH + 1):
        policy = network.make_policy()
        signed = network.sign("policy.commit", bodies.PolicyCommit((policy,)), "insurer")
        if height == twist_at:
            network.finalize(twisted(network, signed))
        else:
            network.run(signed)
    return network


def twisted(network: Network, signed: Any) -> ExecutedBlock:
    """The block as a node with one wrong byte in one value executes it: value, entry and roots follow from it."""
    parent = network.state
    true = build_block(parent, [signed], time_ms=network.now_ms + 1_000)
    key = sorted(true.changes)[0]
    wrong = encode(decode(true.changes[key].value or b"") | {"terms_commit": "77" * 32})
    entry = msgspec.json.decode(true.entries[1], type=Entry)
    writes = tuple(
        msgspec.structs.replace(write, digest=value_digest(wrong).hex()) if write.key == key else write
        for write in entry.writes
    )
    entries = (true.entries[0], encode(msgspec.to_builtins(msgspec.structs.replace(entry, writes=writes))))
    leaf = leaf_hash(entries[1])
    changes = {
        name: Versioned(item.version, leaf, wrong if name == key else item.value) for name, item in true.changes.items()
    }
    state_map = parent.state_map.update({map_key(name): map_value(item) for name, item in changes.items()})
    frontier = parent.frontier.extend(leaf_hash(item) for item in entries)
    header = msgspec.structs.replace(true.block.header, state_root=state_map.root.hex(), log_root=frontier.root.hex())
    block, digest = msgspec.structs.replace(true.block, header=header), header_hash(header)
    after = replace(true.after, header=header, header_hash=digest, state_map=state_map, frontier=frontier)
    return replace(
        true,
        block=block,
        encoded=encode_block(block),
        header_hash=digest,
        entries=entries,
        changes=changes,
        after=after,
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("ledger") / "a", grown(), write_keys=20)


@pytest.fixture
def pair(template: Path, tmp_path: Path) -> tuple[Path, Path]:
    return template, Path(shutil.copytree(template, tmp_path / "b"))


def compared(a: Path, b: Path) -> Difference | None:
    with ExitStack() as stack:
        sides = [
            FolderSide(name, stack.enter_context(closing(StoreRows(read_only_url(folder / "data" / "ledger.db")))))
            for name, folder in (("a", a), ("b", b))
        ]
        return compare_ledgers(*sides)


def change(folder: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / "data" / "ledger.db")) as database, database:
        assert database.execute(statement, values).rowcount == 1


def test_a_folder_and_its_copy_do_not_differ(pair: tuple[Path, Path]) -> None:
    assert compared(*pair) is None


def test_a_node_that_is_behind_does_not_differ(template: Path, tmp_path: Path) -> None:
    network = grown()
    short = write_folder(tmp_path / "short", network, network.blocks[:-9])
    assert compared(template, short) is None


@pytest.mark.parametrize("seed", range(4))
def test_one_value_computed_otherwise_at_a_random_height(template: Path, tmp_path: Path, seed: int) -> None:
    height = random.Random(seed).randint(1, LENGTH)
    network = grown(twist_at=height)
    found = compared(template, write_folder(tmp_path / "b", network))
    assert found is not None
    assert (found.kind, found.height) == ("history", height)
    true, wrong = grown().blocks[height - 1].changes, network.blocks[height - 1].changes
    assert found.key == min(key for key in wrong if true.get(key) != wrong[key])
    steps = {step["what"]: step for step in found.steps}
    assert list(steps) == ["header", "entry", "state"]
    assert set(steps["header"]["at"]) >= {"state_root", "log_root"}
    assert steps["entry"]["at"] == 1
    assert steps["state"]["a"] != steps["state"]["b"]


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_one_state_row_flipped_on_disk(pair: tuple[Path, Path], seed: int, checksum: bool) -> None:
    """Also by somebody who makes the checksum anew: the headers are all the same, the log entry decides."""
    chance = random.Random(seed)
    height = chance.randint(1, LENGTH)
    key, item = chance.choice(sorted(grown().blocks[height - 1].changes.items()))
    value = bytearray(item.value or b"")
    value[chance.randrange(len(value))] ^= 1
    row = state_values(key, Versioned(item.version, item.entry, bytes(value)))
    change(pair[1], "update state set value = ? where key = ?", row[3], key)
    if checksum:
        change(pair[1], "update state set seal = ? where key = ?", row[4], key)
    newest = max(block.after.height for block in grown().blocks if key in block.changes)
    for found in (compared(*pair), compared(*reversed(pair))):
        assert found is not None
        assert (found.kind, found.height, found.key) == ("stored", newest, key)
        assert found.steps[0]["a_is"] == ("b" if found.detail.startswith("b:") else "a")


def test_one_value_in_the_changes_of_a_random_height(pair: tuple[Path, Path]) -> None:
    height = random.Random(5).randint(1, LENGTH)
    changes = dict(grown().blocks[height - 1].changes)
    key = sorted(changes)[0]
    changes[key] = replace_value(changes[key])
    data = seal(f"changes/{height}", encode_changes(changes))
    change(pair[1], "update bodies set changes = ? where height = ?", data, height)
    found = compared(*pair)
    assert found is not None
    assert (found.kind, found.height, found.key) == ("stored", height, key)
    assert "changes of block" in found.detail


def replace_value(item: Versioned) -> Versioned:
    return Versioned(item.version, item.entry, b"{}")


def test_a_damaged_page_of_the_map(pair: tuple[Path, Path], tmp_path: Path) -> None:
    change(pair[1], "update map_roots set root = ? where height = (select max(height) from map_roots)", bytes(32))
    found = compared(*pair)
    assert found is not None
    assert found.detail.startswith("b: map_roots height")


def test_what_cannot_be_read_is_named(pair: tuple[Path, Path]) -> None:
    change(pair[1], "update bodies set block = ? where height = ?", b"x", LENGTH)
    with pytest.raises(StoreError, match=f"b: bodies {LENGTH}/block"):
        compared(*pair)


class FakeClient:
    """A node's API over a folder; counts what is asked."""

    def __init__(self, network: Network, rows: StoreRows, url: str) -> None:
        self.url, self.asked = url, 0
        self._network, self._rows = network, rows
        self.lie: dict[str, Any] = {}

    def status(self) -> Any:
        return {"height": len(self._network.blocks)}

    def get_bytes(self, path: str) -> bytes:
        self.asked += 1
        return self._network.blocks[int(path.split("/")[3]) - 1].encoded

    def get(self, path: str) -> Any:
        self.asked += 1
        if path.startswith("/v1/proofs/state/"):
            return self._prove(path.removeprefix("/v1/proofs/state/"))
        height = int(path.split("/")[3])
        block = self._network.blocks[height - 1]
        if path.endswith("/effects"):
            return effects_view(FolderSide("", self._rows), height)
        return msgspec.to_builtins({"header": block.block.header, "receipts": block.receipts})

    def _prove(self, key: str) -> Any:
        found = self._network.state.read(key)
        assert found is not None
        return {
            "version": found.version,
            "entry": found.entry.hex(),
            "value": self.lie.get(key) or decode(found.value or b""),
            "path": msgspec.to_builtins(self._network.state.state_map.prove(map_key(key))),
            "header": msgspec.to_builtins(self._network.state.header),
        }


@pytest.fixture
def remotes(template: Path, tmp_path: Path) -> Any:
    with ExitStack() as stack:

        def build(twist_at: int | None, name: str) -> FakeClient:
            network = grown(twist_at)
            folder = write_folder(tmp_path / name, network)
            rows = stack.enter_context(closing(StoreRows(read_only_url(folder / "data" / "ledger.db"))))
            return FakeClient(network, rows, f"http://{name}")

        yield build


def test_two_nodes_are_compared_in_few_requests(remotes: Any) -> None:
    clients = remotes(None, "one"), remotes(17, "two")
    found = compare_ledgers(*(RemoteSide(client) for client in clients))
    assert found is not None
    assert (found.kind, found.height) == ("history", 17)
    for client in clients:
        assert client.asked <= log2(LENGTH) + 2 + 3  # halving, the last height, and what is shown


def test_a_node_that_serves_another_value_than_its_log_says(remotes: Any) -> None:
    """The path proves version and entry; the entry's digest refuses the value."""
    clients = remotes(None, "one"), remotes(None, "two")
    key = sorted(clients[1]._network.blocks[11].changes)[0]
    clients[1].lie[key] = {"another": "value"}
    found = compare_ledgers(*(RemoteSide(client) for client in clients))
    assert found is not None
    assert (found.kind, found.key) == ("stored", key)
    assert "value: not what the log entry names" in found.detail
    assert compare_ledgers(*(RemoteSide(client) for client in clients), keys=3) is None


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(claimnode, ["audit", *arguments])
    return result.exit_code, result.stdout, result.stderr + str(result.exception or "")


def test_the_command_says_it_with_its_exit_code(pair: tuple[Path, Path]) -> None:
    a, b = (str(folder) for folder in pair)
    code, out, _ = run("diff", a, b)
    assert (code, out) == (0, f"no difference up to height {LENGTH}\n")
    key = sorted(grown().blocks[11].changes)[0]
    change(pair[1], "update state set version = 9 where key = ?", key)
    code, out, _ = run("diff", a, b, "--json")
    answer = json.loads(out)
    assert (code, answer["same"], answer["difference"]["key"]) == (1, False, key)
    code, out, error = run("diff", a, b)
    assert code == 1
    assert key in out
    assert "stored" in error


def test_the_audit_command_lists_faults_and_says_no(pair: tuple[Path, Path]) -> None:
    code, out, error = run("ledger", str(pair[1]))
    assert code == 0
    assert f"height {LENGTH}" in out
    assert "replaying" not in out + error
    change(pair[1], "update bodies set receipts = ? where height = 5", b"x")
    code, out, error = run("ledger", str(pair[1]), "--json")
    assert (code, json.loads(out)["faults"][0]["place"]) == (1, "5/receipts")
    code, out, error = run("ledger", str(pair[1]))
    assert code == 1
    assert "bodies 5/receipts: damaged" in out


@pytest.mark.parametrize("arguments", [("--from", "3"), ("--header", "00" * 32), ("--from", "3", "--header", "xy")])
def test_a_trusted_header_is_a_height_and_a_hash(template: Path, arguments: tuple[str, ...]) -> None:
    assert run("ledger", str(template), *arguments)[0] == 2


def test_a_folder_without_a_ledger(tmp_path: Path) -> None:
    assert run("diff", str(tmp_path), str(tmp_path))[0] == 2
