"""What one identity may send in a second, over all its links and for as long as it is a member.

Knows token buckets and kinds of frames; no sockets and no clock. Must always hold: bulk (gossip, requests) that is over
its share is given up, so that votes behind it in the same connection do not wait; only what is over the whole is waited
for, by not reading; a new link is no new budget.
"""

from typing import NamedTuple

from node.peers.frames import Frame, Kind, Lane
from node.peers.limits import PeerLimits, TokenBucket

FLOOD_EVERY_S = 1.0
"""A flood is reported at most so often for each identity."""


class Charge(NamedTuple):
    """What to do with a frame: take it or not, and how long to read nothing after it."""

    is_taken: bool
    wait_s: float
    is_flood: bool


class Budget:
    """The buckets of one identity."""

    __slots__ = ("_answers", "_bulk_bytes", "_bulk_frames", "_bytes", "_control", "_flood_at", "_frames", "_narrow")

    def __init__(self, limits: PeerLimits, now: float) -> None:
        self._frames = TokenBucket(limits.frames_per_s, limits.frames_burst, now)
        self._bytes = TokenBucket(limits.bytes_per_s, limits.bytes_burst, now)
        self._bulk_frames = TokenBucket(limits.bulk_frames_per_s, limits.bulk_frames_burst, now)
        self._bulk_bytes = TokenBucket(limits.bulk_bytes_per_s, limits.bulk_bytes_burst, now)
        self._answers = TokenBucket(limits.answer_bytes_per_s, limits.answer_bytes_burst, now)
        self._narrow = TokenBucket(limits.narrow_frames_per_s, 2 * limits.narrow_frames_per_s, now)
        self._control = TokenBucket(limits.pings_per_s, limits.pings_burst, now)
        self._flood_at = now - FLOOD_EVERY_S

    def charge(self, frame: Frame, size: int, *, narrow: bool, now: float) -> Charge:
        """Pay for one frame of `size` bytes that was read. `narrow`: consensus alone is taken, and little of it."""
        wait_s = max(self._frames.take(1, now), self._bytes.take(size, now))
        is_bulk = frame.kind is Kind.REQUEST or (frame.kind is Kind.MESSAGE and frame.lane is Lane.GOSSIP)
        is_asked = frame.kind in (Kind.ANSWER, Kind.REFUSAL)
        is_taken = True
        if narrow and not is_asked:
            wait_s = max(wait_s, self._narrow.take(1, now))
            is_taken = not is_bulk
        elif is_bulk:  # both buckets pay, whatever the first one says
            is_taken = all((self._bulk_frames.has(1, now), self._bulk_bytes.has(size, now)))
        over = (wait_s > 0 or not is_taken) and not is_asked and not narrow
        is_flood = over and now - self._flood_at >= FLOOD_EVERY_S
        if is_flood:
            self._flood_at = now
        return Charge(is_taken, wait_s, is_flood)

    def is_ping_paid(self, now: float) -> bool:
        """Whether one more ping or pong is within its share. Heartbeats are; a flood of empty frames, which no queue's
        bound in bytes sees, is not."""
        return self._control.has(1, now)

    def answer_wait_s(self, now: float) -> float:
        """How long the next answer to this peer must wait for what the earlier ones cost."""
        return self._answers.take(0, now)

    def pay_answer(self, size: int, now: float) -> None:
        """An answer of `size` bytes is on its way: a small question may not pull large answers without end."""
        self._answers.take(size, now)
