"""The chain: one writer, overlays over final state, a start that believes only what its last header says."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.execution import ExecutedBlock
from contracts.states import read_policy
from ledger.errors import StoreError
from ledger.transactions import MAX_LIFETIME_MS, SignedTransaction
from node.errors import Unavailable
from node.outcomes import RECENT_BLOCKS, FinalBlock
from node.overlays import FinalState, Layer, RecentIds
from tests.support.chain_world import NOW, World, open_chain, policy
from tests.support.cluster import build_network
from tests.support.databases import run_sql


@pytest.fixture
def world(tmp_path: Path, store_url: str) -> Iterator[World]:
    network = build_network(tmp_path / "nodes", time_ms=NOW)
    made = World(tmp_path, network, open_chain(tmp_path, network, store_url), store_url)
    yield made
    made.close()


def policy_id(transaction: SignedTransaction) -> str:
    found: str = transaction.content.body["policies"][0]["policy_id"]
    return found


def test_a_restart_has_the_same_state_and_goes_on(world: World) -> None:
    one, two = policy(), policy()
    world.grow(one)
    world.grow()
    before = world.chain.final
    world.reopen()
    after = world.chain.final
    assert (after.height, after.header_hash, after.time_ms) == (2, before.header_hash, before.time_ms)
    assert after.state_map.root == before.state_map.root
    assert after.frontier == before.frontier
    assert read_policy(after.read, policy_id(one)) is not None
    assert after.is_recent(one.tx_id)
    block = world.grow(two)
    assert block.after.height == 3


def test_readers_see_final_state_only(world: World) -> None:
    one = policy()
    block = world.execute(one)
    assert read_policy(world.chain.final.read, policy_id(one)) is None
    assert world.chain.transaction(one.tx_id) is None
    assert world.chain.state_after(block.header_hash) is not None
    world.commit(block)
    assert read_policy(world.chain.final.read, policy_id(one)) is not None
    outcome = world.chain.transaction(one.tx_id)
    assert outcome is not None
    assert (outcome.height, outcome.index, outcome.receipt.code) == (1, 0, "ok")


def test_overlays_stack_and_survive_the_finality_of_their_parents(world: World) -> None:
    ones = [policy() for _ in range(4)]
    blocks: list[ExecutedBlock] = []
    for one in ones:
        blocks.append(world.execute(one, on=blocks[-1].header_hash if blocks else None))
    world.commit(blocks[0])
    world.commit(blocks[1], blocks[2])
    state = world.chain.state_after(blocks[3].header_hash)
    assert state is not None
    for one in ones:
        assert read_policy(state.read, policy_id(one)) is not None
        assert state.is_recent(one.tx_id)
    assert read_policy(world.chain.final.read, policy_id(ones[3])) is None


def test_layers_do_not_pile_up(world: World) -> None:
    """Each block is executed on a parent that is not final yet, as under load: depth must stay bounded."""
    previous = world.execute()
    for _ in range(20):
        block = world.execute(on=previous.header_hash)
        world.commit(previous)
        previous = block
    layer = world.chain._overlays[previous.header_hash].layer
    depth = 0
    while layer._parent is not None:
        layer, depth = layer._parent, depth + 1
    assert depth <= 1


def test_what_builds_on_a_losing_block_is_dropped(world: World) -> None:
    winner, loser = world.execute(policy()), world.execute(policy(), later_ms=1)
    child = world.execute(on=loser.header_hash)
    world.commit(winner)
    assert world.chain.state_after(loser.header_hash) is None
    assert world.chain.state_after(child.header_hash) is None
    with pytest.raises(StoreError, match="orphan"):
        world.chain.add(child)


def test_a_block_that_was_not_executed_here_is_not_committed(world: World) -> None:
    with pytest.raises(StoreError, match="not_executed"):
        asyncio.run(world.chain.commit([(1, bytes(32))], b"certificate"))


def test_a_full_disk_changes_nothing_and_may_be_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = policy()
    block = world.execute(one)
    with monkeypatch.context() as patched:

        def full(*_: object, **__: object) -> None:
            raise StoreError("no_space", "database or disk is full")

        patched.setattr(world.chain.store, "prepare", full)
        with pytest.raises(StoreError, match="no_space"):
            world.commit(block)
    assert world.chain.height == 0
    assert read_policy(world.chain.final.read, policy_id(one)) is None
    world.commit(block)
    assert world.chain.height == 1


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("delete from state where key like 'policy/%'", "state"),
        ("update state set key = 'policy/other' where key like 'policy/%'", "checksum"),
        ("update bodies set block = x'00' where height = 1", "checksum"),
    ],
)
def test_a_start_on_a_damaged_store_is_refused(world: World, statement: str, named: str) -> None:
    world.grow(policy())
    world.close()
    assert world.url is not None
    run_sql(world.url, statement)
    with pytest.raises(StoreError, match=named):
        open_chain(world.folder, world.network, world.url)


def test_an_index_entry_that_leads_elsewhere_is_damage(world: World) -> None:
    one, two = policy(), policy()
    world.grow(one, two)
    assert world.url is not None
    run_sql(world.url, "update transactions set position = 1 - position")
    with pytest.raises(StoreError, match="damaged"):
        world.chain.transaction(one.tx_id)


def test_subscribers_see_every_block_once_and_slow_ones_miss_nothing(world: World) -> None:
    async def story() -> None:
        early, seen = world.chain.subscribe(0), []
        count = RECENT_BLOCKS + 10
        for _ in range(count):
            block = world.execute()
            await world.chain.commit([(block.after.height, block.header_hash)], b"c")
        async for final in early:
            seen.append(final.height)
            if final.height == count:
                break
        assert seen == list(range(1, count + 1))
        waiting = asyncio.ensure_future(anext(world.chain.subscribe()))
        await asyncio.sleep(0)
        block = world.execute()
        await world.chain.commit([(block.after.height, block.header_hash)], b"c")
        last: FinalBlock = await waiting
        assert last.height == count + 1

    asyncio.run(story())


def test_waiting_for_an_outcome(world: World) -> None:
    async def story() -> None:
        one = policy()
        with pytest.raises(Unavailable, match="pending"):
            await world.chain.wait_for(one.tx_id, 0.01)
        waiting = asyncio.ensure_future(world.chain.wait_for(one.tx_id, 5))
        await asyncio.sleep(0)
        block = world.execute(one)
        await world.chain.commit([(1, block.header_hash)], b"c")
        assert (await waiting).receipt.tx_id == one.tx_id
        assert (await world.chain.wait_for(one.tx_id, 0)).height == 1

    asyncio.run(story())


def test_the_replay_window_asks_the_store_only_for_what_left_memory() -> None:
    asked: list[str] = []

    def lookup(tx_id: str) -> bool:
        asked.append(tx_id)
        return tx_id == "a"

    recent = RecentIds(lookup, capacity=2)
    recent.add(0, ("a",))
    assert not recent.contains("x")
    assert not asked
    recent.add(1, ("b", "c"))
    assert len(recent) == 2
    assert recent.contains("a")
    assert recent.contains("b")
    assert not recent.contains("x")
    assert asked == ["a", "x"]
    recent.add(MAX_LIFETIME_MS + 2, ("d",))
    assert not recent.contains("a"), "outside the window"
    assert asked == ["a", "x"]


def test_folding_out_of_order_is_a_defect() -> None:
    base, recent = FinalState(lambda key: None), RecentIds(lambda tx_id: False)
    first = Layer(base, recent, None, {"a/1": None}, ())  # type: ignore[dict-item]
    second = Layer(base, recent, first, {}, ())
    with pytest.raises(AssertionError):
        second.fold()
