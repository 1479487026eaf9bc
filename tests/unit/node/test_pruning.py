"""Blocks below a height lose their bodies: what stays, what is answered, what still verifies."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from contracts.genesis import genesis_hash
from ledger.errors import StoreError
from ledger.logtiles import node_reader
from ledger.mapproofs import verify_map_proof
from ledger.merkle import inclusion_proof, leaf_hash, verify_inclusion
from ledger.pruning import Slice, prepare_slice, prune
from ledger.state import Versioned, map_key, map_value
from ledger.storeview import StoreView
from node.pruning.limits import write_map
from tests.support.chain_world import NOW, World, open_chain, policy
from tests.support.cluster import build_network
from tests.support.databases import ask_sql, run_sql

BLOCKS = 40


def keep_none(height: int, changes: Mapping[str, Versioned]) -> bool:
    return False


def grown_world(folder: Path, url: str | None = None) -> World:
    network = build_network(folder / "nodes", time_ms=NOW)
    world = World(folder, network, open_chain(folder, network, url), url)
    for number in range(BLOCKS):
        world.grow(*(policy() for _ in range(number % 4)))
    return world


@pytest.fixture
def world(tmp_path: Path, store_url: str) -> Iterator[World]:
    made = grown_world(tmp_path, store_url)
    yield made
    made.close()


def pruned(world: World, until: int, keep: Callable[[int, Mapping[str, Versioned]], bool] = keep_none) -> list[Slice]:
    """Prune as the command does: the map is written first, since a start makes it from blocks otherwise."""
    write_map(world.chain, until)
    slices: list[Slice] = []
    prune(world.chain.store, 0, until, keep, slices.append)
    return slices


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(StoreError) as caught:
        call()
    return caught.value.code


def test_bodies_go_and_headers_hashes_and_ids_stay(world: World) -> None:
    """O8: what is missing on purpose is `pruned`, what is above is untouched, and a start compares every root."""
    store = world.chain.store
    headers = [store.header(height) for height in range(1, BLOCKS + 1)]
    leaves = [store.leaf_hashes(height) for height in range(1, BLOCKS + 1)]
    spines = [store.spine(height) for height in range(1, BLOCKS + 1)]
    head = world.chain.final.header_hash
    assert sum(done.blocks for done in pruned(world, 30)) == 30
    world.reopen()
    store = world.chain.store
    assert world.chain.final.header_hash == head
    assert headers == [store.header(height) for height in range(1, BLOCKS + 1)]
    assert leaves == [store.leaf_hashes(height) for height in range(1, BLOCKS + 1)]
    assert spines == [store.spine(height) for height in range(1, BLOCKS + 1)]
    for height in (1, 30):
        for read in (store.block, store.receipts, store.entries, store.changes, world.chain.block_at):
            assert code_of(lambda read=read, height=height: read(height)) == "pruned"  # type: ignore[misc]
    assert store.block(31)
    tx_id = spines[6].transactions[0].hex()
    assert store.transaction(tx_id) == (7, 0)
    assert code_of(lambda: world.chain.transaction(tx_id)) == "pruned"
    assert code_of(lambda: world.chain.map_at(29)) == "pruned"
    assert world.chain.map_at(30).root == world.chain.map_at(30).root
    world.grow(policy())
    world.reopen()
    assert world.chain.height == BLOCKS + 1


def test_proofs_of_pruned_records_verify(world: World) -> None:
    """O8: whoever holds a record's entry gets its path under the newest root from the tiles; another entry has none."""
    store = world.chain.store
    entries = [entry for height in range(1, 31) for entry in store.entries(height)]
    pruned(world, 30)
    world.grow(policy(), policy())
    world.reopen()
    store, final = world.chain.store, world.chain.final
    read = node_reader(store.tile)
    for entry in entries:
        at = store.leaf_position(leaf_hash(entry))
        path = inclusion_proof(at, final.frontier.size, read)
        verify_inclusion(leaf_hash(entry), at, final.frontier.size, path, final.frontier.root)
    assert code_of(lambda: store.leaf_position(leaf_hash(b"another"))) == "unknown_entry"


def test_every_current_value_keeps_its_entry_and_proof(world: World, store_url: str) -> None:
    """O8: state of today is proved as before, and a snapshot finds the entry behind each value once."""
    pruned(world, 30, lambda height, _: height in (5, 29, 30))
    chain = world.chain
    view = StoreView(store_url, genesis_hash(world.network.genesis))
    with closing(view):
        rows = list(view.state_with_entries())
    assert len(rows) == len({key for key, _, _ in rows}) == sum(1 for _ in chain.store.state_rows())
    for key, item, entry in rows:
        assert leaf_hash(entry) == item.entry
        proof = chain.final.state_map.prove(map_key(key))
        verify_map_proof(chain.final.state_map.root, map_key(key), _map_value(item), proof)


def test_a_kill_between_slices_leaves_a_whole_store(world: World) -> None:
    """O8: a slice is there or not at all; what follows begins where the last one ended."""
    store, head = world.chain.store, world.chain.final.header_hash
    write_map(world.chain, 30)
    prepare_slice(store, 0, 10, keep_none)[0].commit()
    dropped, _ = prepare_slice(store, 10, 20, keep_none)
    dropped.drop()  # never committed: what a database does when the process dies here
    world.reopen()
    assert world.chain.final.header_hash == head
    assert world.chain.store.whole_above() == 10
    assert world.chain.store.block(11)
    prune(world.chain.store, 10, 20, keep_none, lambda _: None)
    world.reopen()
    assert world.chain.final.header_hash == head
    assert not world.chain.store.is_whole(20)
    assert world.chain.store.is_whole(21)


def test_blocks_that_are_needed_stay_whole_and_go_later(world: World, store_url: str) -> None:
    pruned(world, 20, lambda height, _: height in (3, 20))
    store = world.chain.store
    assert [height for height in range(1, 22) if store.is_whole(height)] == [3, 20, 21]
    assert store.block(3)
    assert store.entry(store.spine(3).first_leaf)
    prune(store, 0, 25, keep_none, lambda _: None)
    assert not any(store.is_whole(height) for height in range(1, 26))
    assert ask_sql(store_url, "SELECT min(height) FROM bodies") == [(26,)]


def test_the_last_block_is_never_pruned(world: World) -> None:
    assert code_of(lambda: prepare_slice(world.chain.store, 0, BLOCKS, keep_none)) == "height"


def test_damage_is_not_pruned_away(world: World, store_url: str) -> None:
    write_map(world.chain, 30)
    run_sql(store_url, "UPDATE bodies SET entries = cast(x'00' as blob) WHERE height = 12")
    assert code_of(lambda: prune(world.chain.store, 0, 30, keep_none, lambda _: None)) == "damaged"
    assert world.chain.store.whole_above() == 0


def test_the_state_at_the_height_pruned_to_can_be_made_again(world: World, store_url: str) -> None:
    """Values that later blocks replaced are kept beside state, and go when pruning passes them."""
    store = world.chain.store
    root = world.chain.map_at(30).root
    pruned(world, 30)
    changed = {key for height in range(31, BLOCKS + 1) for key in store.changes(height)}
    values = {key: item for key, item in store.state_rows() if key not in changed}
    values |= dict(store.remains.earlier_rows())
    state_map = world.chain.genesis_state.state_map.update({map_key(k): _map_value(v) for k, v in values.items()})
    assert state_map.root == root


def _map_value(item: Versioned) -> bytes | None:
    return None if item.value is None else map_value(item)
