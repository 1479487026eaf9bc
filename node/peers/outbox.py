"""What waits to be written to one peer: three queues, each with a bound, the most urgent first. No sockets.

Messages of a full lane push out the oldest of the same lane: for votes and gossip the newest counts. Requests
and answers are never pushed out; a full queue refuses them, because somebody waits for each.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from node.peers.frames import Lane
from node.peers.limits import PeerLimits


class Item(NamedTuple):
    """A frame to write; `on_sent` is called once it was handed to the transport."""

    frame: bytes
    on_sent: Callable[[], None] | None


class _Queue:
    __slots__ = ("held", "items", "max_bytes", "max_frames")

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self.items: deque[Item] = deque()
        self.held = 0
        self.max_frames = max_frames
        self.max_bytes = max_bytes

    def has_room(self, size: int) -> bool:
        return len(self.items) < self.max_frames and self.held + size <= self.max_bytes

    def append(self, item: Item) -> None:
        self.items.append(item)
        self.held += len(item.frame)

    def popleft(self) -> Item:
        item = self.items.popleft()
        self.held -= len(item.frame)
        return item


class Outbox:
    """The queues of one link. Bounds in frames and in bytes; the frame being written is no longer inside."""

    __slots__ = ("_calls", "_consensus", "_gossip", "_order")

    def __init__(self, limits: PeerLimits) -> None:
        self._consensus = _Queue(limits.consensus_frames, limits.consensus_bytes)
        self._calls = _Queue(limits.pending_requests + limits.served_requests, limits.call_bytes)
        self._gossip = _Queue(limits.gossip_frames, limits.gossip_bytes)
        self._order = (self._consensus, self._calls, self._gossip)

    def push_message(self, lane: Lane, frame: bytes) -> int:
        """Queue a message; return how many older ones of the lane were pushed out for it."""
        queue = self._consensus if lane is Lane.CONSENSUS else self._gossip
        dropped = 0
        while queue.items and not queue.has_room(len(frame)):
            queue.popleft()
            dropped += 1
        queue.append(Item(frame, None))
        return dropped

    def push_call(self, frame: bytes, on_sent: Callable[[], None] | None = None) -> bool:
        """Queue a request or answer; False (nothing queued) when there is no room. An empty queue has room."""
        if self._calls.items and not self._calls.has_room(len(frame)):
            return False
        self._calls.append(Item(frame, on_sent))
        return True

    def pop(self) -> Item | None:
        """The most urgent item, None when nothing waits."""
        for queue in self._order:
            if queue.items:
                return queue.popleft()
        return None

    def __len__(self) -> int:
        return sum(len(queue.items) for queue in self._order)
