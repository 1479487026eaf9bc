"""What waits for the consensus core, bounded for each peer.

Own inputs (timers, verdicts, built blocks) are few by their nature and are never dropped. Messages of peers have a
bound each: a peer that floods loses its own newest messages, which correct peers repeat anyway. Order is order of
arrival, except that what a peer has waiting beyond `FAIR` stands behind everybody else: however much one of them
sends, a vote of another waits behind `FAIR` of its messages at most.
"""

import asyncio
from collections import deque
from typing import Any

MAX_MESSAGES = 2_048
"""Waiting messages of one peer: seconds of votes at full speed."""
MAX_BYTES = 32 * 2**20
"""Waiting bytes of one peer: several full blocks."""
FAIR = 64
"""Messages of one peer in the common queue: an honest one has a few; with as many false certificates, each a pairing of
two milliseconds, others wait an eighth of a second."""


class _Backlog:
    """What one peer has waiting: `queued` of it in the common queue, the rest here."""

    __slots__ = ("queued", "rest", "size")

    def __init__(self) -> None:
        self.queued = 0
        self.size = 0
        self.rest: deque[tuple[str, int, bytes]] = deque()


class Inbox:
    """A queue with one reader."""

    def __init__(self) -> None:
        self._items: deque[tuple[str | None, int, Any]] = deque()
        self._backlogs: dict[str, _Backlog] = {}
        self._filled = asyncio.Event()
        self.dropped = 0

    def put(self, item: Any) -> None:
        """An own input, behind what waits in the common queue."""
        self._items.append((None, 0, item))
        self._filled.set()

    def put_first(self, item: Any) -> None:
        """An own input, before what waits."""
        self._items.appendleft((None, 0, item))
        self._filled.set()

    def put_message(self, sender: str, data: bytes, now: int) -> bool:
        """A peer's message that arrived at `now`; False if the peer has too much waiting and it was dropped."""
        backlog = self._backlogs.setdefault(sender, _Backlog())
        count = backlog.queued + len(backlog.rest)
        if count >= MAX_MESSAGES or (count and backlog.size + len(data) > MAX_BYTES):
            self.dropped += 1
            return False
        backlog.size += len(data)
        if backlog.queued < FAIR:
            backlog.queued += 1
            self._items.append((sender, now, data))
        else:
            backlog.rest.append((sender, now, data))
        self._filled.set()
        return True

    def drop_own(self) -> None:
        """Forget own inputs that wait: they answer questions of an epoch that is over."""
        self._items = deque(item for item in self._items if item[0] is not None)

    async def get(self) -> tuple[str | None, int, Any]:
        """(sender, arrival, message) or (None, 0, own input), in order."""
        while not self._items:
            self._filled.clear()
            await self._filled.wait()
        sender, arrival, item = self._items.popleft()
        if sender is not None:
            self._release(sender, len(item))
        return sender, arrival, item

    def _release(self, sender: str, size: int) -> None:
        backlog = self._backlogs[sender]
        backlog.size -= size
        if backlog.rest:
            self._items.append(backlog.rest.popleft())
            return
        backlog.queued -= 1
        if backlog.queued == 0:
            del self._backlogs[sender]

    def __len__(self) -> int:
        return len(self._items) + sum(len(backlog.rest) for backlog in self._backlogs.values())
