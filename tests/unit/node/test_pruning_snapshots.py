"""A pruned node makes snapshots, and a folder that began with one can be audited from there."""

from contextlib import closing
from pathlib import Path

from ledger.pruning import prune
from ledger.rowreader import StoreRows, read_only_url
from ledger.transactions import MAX_LIFETIME_MS
from node.folderaudit.folder import audit_store
from node.pruning.limits import Kept, find_limit, write_map
from tests.support.chain_world import policy
from tests.support.snapshot_world import final_world, join, open_joined


def test_a_pruned_node_makes_a_snapshot_and_who_begins_with_it_can_be_audited(tmp_path: Path) -> None:
    """O8: the replay window holds pruning back, so its blocks are there for the snapshot."""
    world = final_world(tmp_path)
    for _ in range(12):
        world.grow(policy())
    world.commit(world.execute(later_ms=MAX_LIFETIME_MS + 60_000))
    late = world.chain.final.time_ms + 1_000_000
    for _ in range(5):
        world.grow(policy(expires_ms=late))
    limit = find_limit(world.chain, 17, Kept(heights=0))
    assert (limit.height, limit.held_by) == (12, "replay_window")
    assert find_limit(world.chain, 17, Kept(window_ms=0, heights=10_000)).height == 0
    assert find_limit(world.chain, 17, Kept(window_ms=0, heights=0), [("api", 3)]).held_by == "api"
    write_map(world.chain, limit.height)
    prune(world.chain.store, 0, limit.height, lambda height, _: height in (2, 12), lambda _: None)
    restored = join(tmp_path / "new", world, world.snapshot())
    joined = open_joined(tmp_path / "new", world)
    try:
        assert restored.height == world.chain.height == 18
        for _ in range(3):
            block = policy(expires_ms=late)
            world.grow(block)
            joined.grow(block)
        assert joined.chain.final.header_hash == world.chain.final.header_hash
        for path, start in ((world.folder, 12), (tmp_path / "new", 18)):
            with closing(StoreRows(read_only_url(path / "ledger.db"))) as rows:
                found = audit_store(rows, world.network.genesis)
            assert not found.faults
            assert found.replay is not None
            assert (found.replay.start, found.replay.height) == (start, 21)
    finally:
        joined.close()
        world.close()
