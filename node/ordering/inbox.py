"""What waits for the consensus core, bounded for each peer.

Own inputs (timers, verdicts, built blocks) are few by their nature and are never dropped. Messages of peers have a
bound each: a peer that floods loses its own newest messages, which correct peers repeat anyway.
"""

import asyncio
from collections import deque
from typing import Any

MAX_MESSAGES = 2_048
"""Waiting messages of one peer: seconds of votes at full speed."""
MAX_BYTES = 32 * 2**20
"""Waiting bytes of one peer: several full blocks."""


class Inbox:
    """A queue with one reader."""

    def __init__(self) -> None:
        self._items: deque[tuple[str | None, int, int, Any]] = deque()
        self._held: dict[str, tuple[int, int]] = {}
        self._filled = asyncio.Event()
        self.dropped = 0

    def put(self, item: Any) -> None:
        """An own input, behind what waits."""
        self._items.append((None, 0, 0, item))
        self._filled.set()

    def put_first(self, item: Any) -> None:
        """An own input, before what waits."""
        self._items.appendleft((None, 0, 0, item))
        self._filled.set()

    def put_message(self, sender: str, data: bytes, now: int) -> bool:
        """A peer's message that arrived at `now`; False if the peer has too much waiting and it was dropped."""
        count, size = self._held.get(sender, (0, 0))
        if count >= MAX_MESSAGES or (count and size + len(data) > MAX_BYTES):
            self.dropped += 1
            return False
        self._held[sender] = (count + 1, size + len(data))
        self._items.append((sender, len(data), now, data))
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
        sender, size, arrival, item = self._items.popleft()
        if sender is not None:
            count, held = self._held[sender]
            if count == 1:
                del self._held[sender]
            else:
                self._held[sender] = (count - 1, held - size)
        return sender, arrival, item

    def __len__(self) -> int:
        return len(self._items)
