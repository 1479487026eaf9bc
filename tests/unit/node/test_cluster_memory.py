"""Four nodes in one process over memory links: agreement, loss of a node, restart, catching up."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.support.cluster import Cluster, build_network


def run(tmp_path: Path, story: Callable[[Cluster], Awaitable[None]], *, observers: int = 0) -> None:
    async def scene() -> None:
        cluster = Cluster(build_network(tmp_path, observers=observers))
        try:
            await story(cluster)
            cluster.check_agreement()
        finally:
            await cluster.stop()

    asyncio.run(scene())


def test_a_transaction_becomes_final_everywhere(tmp_path: Path) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.start()
        height = await cluster.commit_one("hospital-0")
        await cluster.until(lambda: min(cluster.heights().values()) >= height)

    run(tmp_path, story)
