"""Deliveries on their way into the store: in order, bounded, and waited for by whoever must not run ahead."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from consensus.effects import Rewrite
from consensus.journal import FloorMark
from ledger.errors import StoreError
from node.ordering.committer import MAX_WAITING, Committer
from tests.support.cluster import Cluster, build_network


class SlowStore:
    """Commits when told to."""

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.gate = asyncio.Semaphore(0)

    async def commit(self, _blocks: list[tuple[int, bytes]], certificate: bytes) -> None:
        await self.gate.acquire()
        if certificate == b"bad":
            raise StoreError("database", "disk I/O error")
        self.done.append(certificate)

    def allow(self, count: int = 1) -> None:
        for _ in range(count):
            self.gate.release()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_in_order_bounded_and_drained() -> None:
    async def story() -> None:
        store = SlowStore()
        committer = Committer(store.commit)
        task = asyncio.ensure_future(committer.run())
        for number in range(MAX_WAITING):
            await committer.put([], b"%d" % number)
        over = asyncio.ensure_future(committer.put([], b"over"))
        drained = asyncio.ensure_future(committer.drained())
        await settle()
        assert not over.done()
        assert not drained.done()
        store.allow()
        await settle()
        assert over.done()
        store.allow(MAX_WAITING)
        await settle()
        assert drained.done()
        assert store.done == [*(b"%d" % number for number in range(MAX_WAITING)), b"over"]
        task.cancel()

    asyncio.run(story())


def test_what_a_commit_raises_ends_the_task() -> None:
    async def story() -> None:
        store = SlowStore()
        committer = Committer(store.commit)
        task = asyncio.ensure_future(committer.run())
        await committer.put([], b"bad")
        store.allow()
        with pytest.raises(StoreError, match="disk"):
            await task

    asyncio.run(story())


def test_the_journal_is_not_rewritten_before_the_store_has_what_is_left_out(tmp_path: Path) -> None:
    async def story() -> None:
        cluster = Cluster(build_network(tmp_path))
        await cluster.start()
        try:
            await cluster.commit_one("hospital-0")
            driver = cluster.nodes["hospital-0"].driver
            release = asyncio.Event()

            async def held(*_: Any) -> None:
                await release.wait()

            driver._committer._commit = held
            await driver._committer.put([], b"later")
            journal = cluster.journal("hospital-0")
            before = journal.stat().st_ino
            rewriting = asyncio.ensure_future(driver._perform(Rewrite((FloorMark(1, 1),))))
            await settle()
            assert journal.stat().st_ino == before
            release.set()
            await rewriting
            assert journal.stat().st_ino != before
        finally:
            await cluster.stop()

    asyncio.run(story())
