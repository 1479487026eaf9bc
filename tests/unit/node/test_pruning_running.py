"""A node that prunes while the network runs: it goes on voting, and late nodes get the blocks elsewhere."""

import asyncio
from pathlib import Path

import pytest

from ledger.errors import StoreError
from node.config import StoreConfig
from node.ordering.blocksync import read_range
from node.pruning import worker
from node.pruning.limits import Kept
from tests.support.cluster import Cluster, MemoryLinks, build_network

PRUNES, LATE = "hospital-0", "observer-0"


def test_a_node_prunes_while_it_runs_and_goes_on_voting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """O8: with one of the others away its vote is needed for every block; a late node is refused and asks another."""
    monkeypatch.setattr(worker, "ROUND_S", 0.02)
    monkeypatch.setattr(worker, "PAUSE_S", 0.001)

    async def scenario() -> None:
        cluster = Cluster(build_network(tmp_path, observers=1))
        voters = cluster.network.names[:4]
        await cluster.start(*voters[1:])
        await cluster.start_as(PRUNES, MemoryLinks(cluster.links, PRUNES), StoreConfig(retain_blocks=3))
        node = cluster.nodes[PRUNES]
        node.pruner.kept = Kept(window_ms=0, heights=2)
        node.chain._pages.every = 2
        try:
            await cluster.commit_one("insurer-1")
            await cluster.kill(voters[-1])  # of four, three must vote: the one that prunes is needed
            for _ in range(25):
                await cluster.commit_one("insurer-1")
            await cluster.until(lambda: node.chain.store.whole_above() >= 15)
            assert node.pruner.total >= 15
            height = await cluster.commit_one(PRUNES)
            await cluster.until(lambda: node.chain.height >= height)
            assert node.driver.is_voting
            with pytest.raises(StoreError) as caught:
                read_range(node.chain.store, 0)
            assert caught.value.code == "pruned"
            assert read_range(node.chain.store, node.chain.store.whole_above())
            await cluster.start(LATE)
            await cluster.until(lambda: cluster.nodes[LATE].chain.height >= height)
            await cluster.kill(PRUNES)
            await cluster.start(PRUNES)  # compares every root; its whole blocks are fewer now
            again = cluster.nodes[PRUNES]
            height = await cluster.commit_one(PRUNES)
            await cluster.until(lambda: all(other.chain.height >= height for other in cluster.nodes.values()))
            assert again.driver.is_voting
            assert len({other.chain.store.spine(height).header_hash for other in cluster.nodes.values()}) == 1
        finally:
            await cluster.stop()

    asyncio.run(scenario())
