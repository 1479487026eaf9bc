"""A fifth node joins a running network from a snapshot while blocks arrive."""

import asyncio
from pathlib import Path

from node.snapshots.make import make_snapshot
from node.snapshots.restore import join_from
from node.snapshots.sources import FolderSource
from tests.support.cluster import Cluster, build_network


async def _grow_until(cluster: Cluster, done: asyncio.Event) -> None:
    while not done.is_set():
        await cluster.commit_one("insurer-1")


def test_a_fifth_node_joins_from_a_snapshot_while_blocks_arrive(tmp_path: Path) -> None:
    """O4: the snapshot is made of a running node's store; the joiner executes a later block before it is ready, gets
    a seat, and ends with the same roots."""

    async def scenario() -> None:
        network = build_network(tmp_path, spares=1)
        cluster = Cluster(network)
        voters = network.names[:4]
        await cluster.start(*voters)
        try:
            for _ in range(3):
                await cluster.commit_one("insurer-1")
            done = asyncio.Event()
            growing = asyncio.ensure_future(_grow_until(cluster, done))
            url = f"sqlite:///{tmp_path / 'insurer-1' / 'data' / 'ledger.db'}"
            await asyncio.to_thread(make_snapshot, url, network.genesis, tmp_path / "snapshot")
            data = tmp_path / "spare-0" / "data"
            data.mkdir()
            source = FolderSource(tmp_path / "snapshot")
            restored = await asyncio.to_thread(join_from, [source], network.genesis, data)
            assert restored.height >= 3
            done.set()
            await growing
            cluster.links.isolate("spare-0", network.names)
            await cluster.start("spare-0")
            joiner = cluster.nodes["spare-0"]
            status = joiner.status()
            assert "joining" in status["reasons"]
            assert (status["voting"], status["not_voting"]) == (False, "joining")
            assert "link it" in status["advice"]
            cluster.links.heal()
            await cluster.commit_one("insurer-1")
            await cluster.until(lambda: joiner.chain.height >= cluster.nodes["insurer-1"].chain.height)
            assert "joining" not in joiner.status()["reasons"]
            await cluster.change_set(cluster.seat("spare-0"), voters=voters[:3])
            await cluster.until(lambda: joiner.driver.is_voting)
            height = await cluster.commit_one("spare-0")
            await cluster.until(lambda: all(node.chain.height >= height for node in cluster.nodes.values()))
            roots = {node.chain.map_at(height).root for node in cluster.nodes.values()}
            hashes = {node.chain.store.spine(height).header_hash for node in cluster.nodes.values()}
            assert len(roots) == len(hashes) == 1
        finally:
            await cluster.stop()

    asyncio.run(scenario())
