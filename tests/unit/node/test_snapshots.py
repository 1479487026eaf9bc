"""Snapshots: a node begins with state at one height, proved by what it trusts anyway, and goes on like the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import StoreError
from ledger.state import map_key
from ledger.transactions import MAX_LIFETIME_MS, certified_transaction_id
from node.errors import SnapshotRefused
from node.snapshots.restore import join_from
from node.snapshots.sources import FileSource, FolderSource, pack_file
from tests.support.chain_world import policy
from tests.support.snapshot_world import FinalWorld, final_world, join, open_joined


@pytest.fixture
def world(tmp_path: Path) -> Iterator[FinalWorld]:
    made = final_world(tmp_path)
    made.grow(policy(), policy())
    made.grow(policy())
    made.grow()
    yield made
    made.close()


def test_a_new_node_from_a_snapshot_has_the_same_state_and_goes_on(world: FinalWorld, tmp_path: Path) -> None:
    """O4: equal roots at the snapshot and after the same blocks."""
    restored = join(tmp_path / "new", world, world.snapshot())
    joined = open_joined(tmp_path / "new", world)
    try:
        assert restored.height == joined.chain.height == 3
        assert joined.chain.final.state_map.root == world.chain.final.state_map.root
        assert joined.chain.final.frontier == world.chain.final.frontier
        for _ in range(3):
            block = policy()
            world.grow(block)
            joined.grow(block)
            assert joined.chain.final.header_hash == world.chain.final.header_hash
        joined.reopen()
        assert joined.chain.final.header_hash == world.chain.final.header_hash
        key = next(key for key, _ in world.chain.store.state_rows())
        assert joined.chain.final.state_map.prove(map_key(key)) == world.chain.final.state_map.prove(map_key(key))
    finally:
        joined.close()


def test_the_log_goes_on_over_many_tiles(world: FinalWorld, tmp_path: Path) -> None:
    """O4: tiles below the snapshot are absent and never missed by what comes later."""
    for _ in range(30):
        world.grow(*(policy() for _ in range(20)))
    join(tmp_path / "new", world, world.snapshot())
    joined = open_joined(tmp_path / "new", world)
    try:
        for _ in range(30):
            block = [policy() for _ in range(20)]
            world.grow(*block)
            joined.grow(*block)
        joined.reopen()
        assert joined.chain.final.header_hash == world.chain.final.header_hash
        size = world.chain.final.frontier.size
        for index in range(-(-size // 256)):
            if index * 256 >= joined.chain.store.remains.base_size:
                assert joined.chain.store.tile(0, index) == world.chain.store.tile(0, index)
        with pytest.raises(StoreError) as caught:
            joined.chain.store.entry(0)
        assert caught.value.code == "pruned"
    finally:
        joined.close()


def test_the_replay_window_comes_along(world: FinalWorld, tmp_path: Path) -> None:
    """O4: what was final within 48 hours is known to a joined node, before and after its restart; older is not sent."""
    old = policy()
    late = MAX_LIFETIME_MS + 60_000
    world.commit(world.execute(later_ms=late))
    fresh = policy(expires_ms=world.chain.final.time_ms + 1_000_000)
    world.grow(fresh)
    join(tmp_path / "new", world, world.snapshot())
    joined = open_joined(tmp_path / "new", world)
    try:
        for _ in range(2):
            assert joined.chain.final.is_recent(fresh.tx_id)
            assert not joined.chain.final.is_recent(old.tx_id)
            assert len(joined.chain.recent) == 1
            joined.reopen()
    finally:
        joined.close()


def test_reads_below_the_snapshot_say_pruned(world: FinalWorld, tmp_path: Path) -> None:
    join(tmp_path / "new", world, world.snapshot())
    joined = open_joined(tmp_path / "new", world)
    try:
        for read in (
            lambda: joined.chain.block_at(1),
            lambda: joined.chain.block_at(3),
            lambda: joined.chain.map_at(1),
            lambda: joined.chain.store.entry(0),
            lambda: joined.chain.store.changes(2),
        ):
            with pytest.raises(StoreError) as caught:
                read()
            assert caught.value.code == "pruned"
            assert "ask a node" in caught.value.detail
        assert joined.chain.header_at(3) == world.chain.final.header
    finally:
        joined.close()


def test_two_nodes_make_the_same_chunks_and_one_file_holds_them_all(world: FinalWorld, tmp_path: Path) -> None:
    """O4: who fetches may go on at another node."""
    one, two = world.snapshot("one"), world.snapshot("two")
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in two.iterdir())
    assert all((two / path.name).read_bytes() == path.read_bytes() for path in one.iterdir())
    pack_file(one, tmp_path / "packed")
    (tmp_path / "new").mkdir()
    source = FileSource(tmp_path / "packed")
    assert join_from([source], world.network.genesis, tmp_path / "new").height == 3
    with pytest.raises(SnapshotRefused) as caught:
        pack_file(one, tmp_path / "packed")
    assert caught.value.code == "exists"


def test_a_source_that_dies_midway_is_followed_by_another(world: FinalWorld, tmp_path: Path) -> None:
    """O4: chunks that came are not fetched again."""
    folder = world.snapshot()
    (tmp_path / "new").mkdir()
    asked: list[int] = []

    class Dying(FolderSource):
        def chunk(self, number: int) -> bytes:
            if number:
                raise SnapshotRefused("source", "gone")
            return super().chunk(number)

    class Counting(FolderSource):
        def chunk(self, number: int) -> bytes:
            asked.append(number)
            return super().chunk(number)

    with pytest.raises(SnapshotRefused) as caught:
        join_from([Dying(folder)], world.network.genesis, tmp_path / "new")
    assert caught.value.code == "source"
    assert not (tmp_path / "new" / "ledger.db").exists()
    assert join_from([Counting(folder)], world.network.genesis, tmp_path / "new").height == 3
    assert asked == [1]
    assert [path.name for path in (tmp_path / "new").iterdir() if path.is_dir()] == []


def test_a_snapshot_below_the_own_store_is_refused(world: FinalWorld, tmp_path: Path) -> None:
    """O4: a node never goes back; a later snapshot takes an old store's place."""
    early = world.snapshot("early")
    join(tmp_path / "new", world, early)
    with pytest.raises(SnapshotRefused) as caught:
        join(tmp_path / "new", world, early)
    assert caught.value.code == "older"
    world.grow(policy())
    assert join(tmp_path / "new", world, world.snapshot("late")).height == 4
    with pytest.raises(SnapshotRefused) as caught:
        join(tmp_path / "new", world, early)
    assert caught.value.code == "older"


def test_a_joined_node_says_that_it_cannot_make_a_snapshot_yet(world: FinalWorld, tmp_path: Path) -> None:
    """Its replay window has blocks of which it knows the ids and not the bytes."""
    join(tmp_path / "new", world, world.snapshot())
    joined = open_joined(tmp_path / "new", world)
    try:
        joined.grow(policy())
        with pytest.raises(StoreError) as caught:
            joined.snapshot()
        assert caught.value.code == "pruned"
        late = MAX_LIFETIME_MS + 60_000
        joined.commit(joined.execute(later_ms=late))
        joined.grow()
        joined.snapshot()
        (tmp_path / "third").mkdir()
        assert join(tmp_path / "third", world, joined.folder / "snapshot").height == 6
    finally:
        joined.close()


def test_ids_of_certified_transactions() -> None:
    for _ in range(3):
        made = policy()
        assert certified_transaction_id(made.encoded).hex() == made.tx_id
