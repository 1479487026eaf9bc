"""Final blocks on their way into the store, one after the other, while ordering goes on.

Knows a queue and a commit. Must always hold: blocks are committed in the order in which they were delivered; whoever
must not run ahead of the store (a journal rewrite, block sync) waits for `drained`. Until a block is in the store
its bytes and this node's votes are in the journal, its finalization there or with the peers (R7), so it is delivered
again after a crash in between.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

MAX_WAITING = 4
"""Deliveries not yet durable; with more, ordering waits: a disk that cannot follow must slow the node down."""

Delivery: TypeAlias = tuple[list[tuple[int, bytes]], bytes]
"""((view, digest) of each block, the certificate of the last)."""


class Committer:
    """One task that commits, and those who give it work."""

    def __init__(self, commit: Callable[[list[tuple[int, bytes]], bytes], Awaitable[None]]) -> None:
        self._commit = commit
        self._waiting: deque[Delivery] = deque()
        self._changed = asyncio.Condition()

    async def put(self, blocks: list[tuple[int, bytes]], certificate: bytes) -> None:
        """Hand over a delivery; waits only while too many are on their way."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._waiting) < MAX_WAITING)
            self._waiting.append((blocks, certificate))
            self._changed.notify_all()

    async def drained(self) -> None:
        """Return once everything handed over is durable."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._waiting)

    async def run(self) -> None:
        """Commit for ever. Raises what a commit raises."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._waiting))
                delivery = self._waiting[0]
            await self._commit(*delivery)
            async with self._changed:
                self._waiting.popleft()
                self._changed.notify_all()
