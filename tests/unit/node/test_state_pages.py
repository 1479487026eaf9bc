"""State that does not fit into memory: pages and keys come and go, answers, roots and restarts stay the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.genesis import genesis_hash
from contracts.states import PolicyState, state_key
from ledger.errors import StoreError
from ledger.mapproofs import verify_map_proof
from ledger.state import map_key, map_value
from ledger.statemap import StateMap
from ledger.store import Store
from ledger.transactions import SignedTransaction
from node import statepages
from node.chain import Chain
from node.statepages import StatePages
from tests.support.chain_world import NOW, World, policy
from tests.support.cluster import TestNetwork, build_network
from tests.support.databases import ask_sql, run_sql

STATE_KEYS = 4
"""So few that most keys of the genesis and every older policy are read from disk."""


def _open(url: str, network: TestNetwork, *, write_keys: int = 3, retained: int = 4) -> Chain:
    store = Store(url, genesis_hash(network.genesis))
    try:
        return Chain(store, network.genesis, StatePages(store, write_keys, retained), STATE_KEYS)
    except BaseException:
        store.close()
        raise


@pytest.fixture
def world(tmp_path: Path, store_url: str) -> Iterator[World]:
    network = build_network(tmp_path / "nodes", time_ms=NOW)
    made = World(tmp_path, network, _open(store_url, network), store_url)
    yield made
    made.close()


def _url(world: World) -> str:
    assert world.url is not None
    return world.url


def _key(transaction: SignedTransaction) -> str:
    return state_key(PolicyState, transaction.content.body["policies"][0]["policy_id"])


def _rows(world: World) -> dict[bytes, bytes]:
    """The map's leaves as state itself says."""
    start = dict(world.chain.genesis_state.state_map.items())
    return start | {map_key(key): map_value(item) for key, item in world.chain.store.state_rows()}


def _reopened(world: World) -> Chain:
    world.close()
    world.chain = _open(_url(world), world.network)
    return world.chain


def test_roots_and_values_are_those_of_a_chain_in_memory(world: World) -> None:
    """Twelve blocks, pages written every second one, a restart in between: nobody could tell."""
    policies = []
    for number in range(12):
        one = policy()
        policies.append(one)
        executed = world.grow(one)
        if number == 6:
            _reopened(world)
        final = world.chain.final
        assert final.state_map.root == executed.after.state_map.root == StateMap().update(_rows(world)).root
    for one in policies:
        key = _key(one)
        found = world.chain.final.read(key)
        assert found is not None
        verify_map_proof(
            world.chain.final.state_map.root,
            map_key(key),
            map_value(found),
            world.chain.final.state_map.prove(map_key(key)),
        )


def test_the_map_of_a_retained_height_can_be_had_again(world: World) -> None:
    roots = {0: world.chain.final.state_map.root}
    for _ in range(9):
        executed = world.grow(policy())
        roots[executed.after.height] = executed.after.state_map.root
    for height in range(5, 10):
        assert world.chain.map_at(height).root == roots[height]
    with pytest.raises(StoreError, match="unknown_height"):
        world.chain.map_at(10)


def test_forks_above_a_written_map(world: World) -> None:
    """Pages are written while two children wait: both still execute, the winner's state is right."""
    base = world.execute(policy())
    left = world.execute(policy(), on=base.header_hash)
    right = world.execute(policy(), on=base.header_hash, later_ms=1)
    world.commit(base, left)
    assert world.chain.state_after(right.header_hash) is None
    after = world.grow(policy())
    assert after.after.state_map.root == StateMap().update(_rows(world)).root


@pytest.mark.parametrize(
    "statement",
    [
        "delete from state where key = :key",
        "update state set key = 'policy/other' where key = :key",
        "update state set version = version + 1 where key = :key",
    ],
)
def test_a_damaged_row_is_found_when_it_is_read(world: World, statement: str) -> None:
    one = policy()
    world.grow(one)
    for _ in range(6):
        world.grow(policy(), policy(), policy())
    world.close()
    key = _key(one)
    assert run_sql(_url(world), statement, {"key": key}) == 1
    with pytest.raises(StoreError, match="damaged"):
        _reopened(world).final.read(key)


def test_a_damaged_page_is_found_when_a_path_leads_through_it(world: World) -> None:
    for _ in range(6):
        world.grow(policy(), policy(), policy())
    world.close()
    for table in ("map_pages", "map_roots"):
        run_sql(_url(world), f"update {table} set page = cast(substr(page, 1, 8) || x'00' || substr(page, 10) as blob)")
    with pytest.raises(StoreError, match="state map"):
        _open(_url(world), world.network)


def test_old_versions_of_pages_go(world: World) -> None:
    for _ in range(30):
        world.grow(policy(), policy(), policy())
    most = ask_sql(_url(world), "select max(n) from (select count(*) n from map_pages group by path) counted")[0][0]
    roots = ask_sql(_url(world), "select count(*) from map_roots")[0][0]
    assert most <= 6
    assert roots <= 6


def test_a_large_map_is_written_over_several_blocks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commit writes its share, lower pages first; a start in between goes by the blocks' changes."""
    monkeypatch.setattr(statepages, "COMMIT_PAGES", 1)
    _reopened(world)
    for number in range(18):
        world.grow(policy(), policy())
        if number in (3, 4, 9):
            _reopened(world)
        assert world.chain.final.state_map.root == StateMap().update(_rows(world)).root
    whole = {height for (height,) in ask_sql(_url(world), "select height from map_roots")}
    written = {height for (height,) in ask_sql(_url(world), "select distinct height from map_pages")}
    assert whole
    assert written - whole, "some commits wrote pages and no root"
