"""P14: a node that is stopped while it builds, verifies, writes or commits loses no block and delivers none twice."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.writer import PreparedWrite
from node.ordering.journalfile import JournalFile
from node.ordering.workshop import Workshop
from tests.support.cluster import Cluster, build_network

VICTIM = "tpa-3"


class Stopper:
    """Tells the event loop, from wherever the victim is, that it is there; what goes on, goes on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def here(self) -> None:
        self._loop.call_soon_threadsafe(self.reached.set)


def wrapped(true: Callable[..., Any], stopper: Stopper, is_victim: Callable[[Any], bool]) -> Callable[..., Any]:
    def call(self: Any, *rest: Any, **named: Any) -> Any:
        if is_victim(self):
            stopper.here()
        return true(self, *rest, **named)

    return call


@pytest.mark.parametrize("place", ["build", "judge", "append", "commit"])
def test_stopped_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """P14: the moment the victim enters the place it is told to stop; after its return it has every height once, its
    subscribers saw each block once and in order, and it votes."""

    async def story() -> None:
        cluster = Cluster(build_network(tmp_path))
        try:
            await cluster.start()
            height = await cluster.commit_one("hospital-0")
            await cluster.until(lambda: min(cluster.heights().values()) >= height)
            node = cluster.nodes[VICTIM]
            stopper, seen = Stopper(), [node.chain.height]
            node.chain.on_commit.append(lambda block: seen.append(block.height))
            owner: Any = {"build": Workshop, "judge": Workshop, "append": JournalFile, "commit": PreparedWrite}[place]
            mine = {"build": node._workshop, "judge": node._workshop, "append": node.driver.journal}
            writer = node._store._writer
            is_victim = (lambda one: one._writer is writer) if place == "commit" else (lambda one: one is mine[place])
            monkeypatch.setattr(owner, place, wrapped(getattr(owner, place), stopper, is_victim))
            traffic = asyncio.ensure_future(busy(cluster))
            await asyncio.wait_for(stopper.reached.wait(), 20)
            await cluster.kill(VICTIM)
            reached = await traffic
            assert seen == list(range(seen[0], seen[-1] + 1)), "announced once each, in order"
            monkeypatch.undo()

            await cluster.start(VICTIM)
            again = cluster.nodes[VICTIM]
            assert again.chain.height >= seen[-1], "what was announced is there"
            later: list[int] = [again.chain.height]
            again.chain.on_commit.append(lambda block: later.append(block.height))
            await cluster.until(lambda: again.chain.height >= reached)
            assert later == list(range(later[0], later[-1] + 1))
            await cluster.until(lambda: again.status()["voting"])
            await cluster.kill("insurer-1")
            await cluster.commit_one("hospital-0")
            cluster.check_agreement()
        finally:
            await cluster.stop()

    asyncio.run(story())


async def busy(cluster: Cluster) -> int:
    height = 0
    for _ in range(8):
        height = await cluster.commit_one("hospital-0", timeout_s=20)
    return height
