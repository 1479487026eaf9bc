"""Snapshots and audits of a store on a PostgreSQL server: what they give and find is what they do of a file."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import claimnode
from contracts.genesis import genesis_hash
from ledger.rowreader import StoreRows
from ledger.state import Versioned
from ledger.store import Store
from ledger.storerows import state_values
from node.chain import Chain
from node.folderaudit.folder import StoreAudit, audit_store
from node.snapshots.make import make_snapshot
from node.statepages import StatePages
from tests.support.chain_world import NOW, open_chain, policy
from tests.support.cluster import build_network
from tests.support.databases import new_schema, run_sql
from tests.support.ledger_folder import STATE_KEYS, append_blocks, long_network
from tests.support.snapshot_world import FinalWorld, join, open_joined


@pytest.fixture
def server() -> Iterator[str]:
    with new_schema() as url:
        yield url


@pytest.fixture
def world(server: str, tmp_path: Path) -> Iterator[FinalWorld]:
    """A chain on the server."""
    network = build_network(tmp_path / "nodes", time_ms=NOW)
    made = FinalWorld(tmp_path, network, open_chain(tmp_path, network, server), server)
    made.grow(policy(), policy())
    made.grow(policy())
    made.grow()
    yield made
    made.close()


@pytest.fixture
def ledger(server: str) -> str:
    """The long ledger of the audits' tests, pages of the map and all, on the server."""
    network = long_network()
    store = Store(server, genesis_hash(network.genesis_bytes))
    chain = Chain(store, network.genesis_bytes, StatePages(store, 80, retained=3), STATE_KEYS)
    asyncio.run(append_blocks(chain, network, network.blocks))
    chain.close()
    store.close()
    return server


def audited(url: str) -> StoreAudit:
    with closing(StoreRows(url)) as rows:
        return audit_store(rows, long_network().genesis_bytes)


def places(found: StoreAudit) -> list[tuple[str, str, str]]:
    return [(fault.table, fault.place, fault.code) for fault in found.faults]


def test_a_file_store_begins_with_a_snapshot_of_the_server(world: FinalWorld, tmp_path: Path) -> None:
    """O4: equal roots at the snapshot and after the same blocks, whatever keeps them."""
    make_snapshot(world.place, world.network.genesis, tmp_path / "snapshot")
    restored = join(tmp_path / "new", world, tmp_path / "snapshot")
    joined = open_joined(tmp_path / "new", world)
    try:
        assert restored.height == joined.chain.height == 3
        assert joined.chain.final.state_map.root == world.chain.final.state_map.root
        for _ in range(3):
            block = policy()
            world.grow(block)
            joined.grow(block)
            assert joined.chain.final.header_hash == world.chain.final.header_hash
        assert dict(joined.chain.store.state_rows()) == dict(world.chain.store.state_rows())
    finally:
        joined.close()


def test_a_snapshot_of_the_server_is_of_one_moment(
    world: FinalWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks that become final while it is made are not in it."""
    from ledger.storeview import StoreView

    count, real = world.chain.height, StoreView.state_with_entries

    def grows_meanwhile(view: StoreView) -> Any:
        world.grow(policy())
        return real(view)

    monkeypatch.setattr(StoreView, "state_with_entries", grows_meanwhile)
    manifest = make_snapshot(world.place, world.network.genesis, tmp_path / "snapshot")
    assert world.chain.height == count + 1
    assert manifest.header.height == count
    assert join(tmp_path / "new", world, tmp_path / "snapshot").height == count


def test_a_file_and_the_server_make_the_same_snapshot(server: str, tmp_path: Path) -> None:
    network = build_network(tmp_path / "nodes", time_ms=NOW)
    first = FinalWorld(tmp_path, network, open_chain(tmp_path, network, server), server)
    second = FinalWorld(tmp_path, network, open_chain(tmp_path, network))
    transactions = [policy(), policy()]
    for world in (first, second):
        for transaction in transactions:
            world.grow(transaction)
        make_snapshot(world.place, network.genesis, tmp_path / world.place.partition(":")[0])
        world.close()
    files = {path.name: path.read_bytes() for path in (tmp_path / "sqlite").iterdir()}
    server_files = {path.name: path.read_bytes() for path in (tmp_path / "postgresql+psycopg").iterdir()}
    assert files == server_files


def test_a_true_ledger_on_the_server_holds(ledger: str) -> None:
    found = audited(ledger)
    assert not found.faults
    assert found.replay is not None
    assert found.replay.state_root == long_network().state.state_map.root.hex()


def test_a_flipped_value_of_state_on_the_server_is_found(ledger: str) -> None:
    key = next(iter(long_network().blocks[8].changes))
    assert run_sql(ledger, "update state set value = x'7b7d' where key = :key", {"key": key}) == 1
    assert places(audited(ledger)) == [("state", key, "damaged")]


def test_a_value_edited_with_its_checksum_on_the_server_is_found(ledger: str) -> None:
    key, item = next(iter(long_network().blocks[8].changes.items()))
    values = state_values(key, Versioned(item.version, item.entry, b"{}"))
    names = ("key", "version", "entry", "value", "seal")
    statement = "update state set version = :version, entry = :entry, value = :value, seal = :seal where key = :key"
    assert run_sql(ledger, statement, dict(zip(names, values, strict=True))) == 1
    assert places(audited(ledger)) == [("state", key, "differs")]


def test_a_block_lost_on_the_server_is_found(ledger: str) -> None:
    assert run_sql(ledger, "delete from bodies where height = 4") == 1
    assert ("bodies", "4/block", "missing") in places(audited(ledger))


def test_commands_on_a_store_of_the_server(ledger: str, tmp_path: Path) -> None:
    """`node snapshot` and `audit ledger` find the server in node.toml; `node join` refuses it and says why."""
    folder, runner = tmp_path / "node", CliRunner()
    (folder / "data").mkdir(parents=True)
    (folder / "genesis.json").write_bytes(long_network().genesis_bytes)
    (folder / "node.toml").write_text(f'participant = "insurer"\n\n[store]\nurl = "{ledger}"\n')
    done = runner.invoke(claimnode, ["node", "snapshot", str(folder), "--out", str(tmp_path / "snapshot")])
    assert done.exit_code == 0, done.output
    assert f"height {len(long_network().blocks)}" in done.output
    done = runner.invoke(claimnode, ["audit", "ledger", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    assert long_network().state.state_map.root.hex() in done.output
    done = runner.invoke(claimnode, ["node", "join", str(folder), "--snapshot", str(tmp_path / "snapshot")])
    assert done.exit_code != 0
    assert "not_supported" in done.output
    run_sql(ledger, "update state set value = x'7b7d'")
    done = runner.invoke(claimnode, ["audit", "ledger", str(folder), "--json"])
    assert done.exit_code == 1
