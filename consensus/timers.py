"""When patience ends: deadlines of a view (R2, A3), growth of the timeout, and leaders known to be silent (A4).

Knows times it is given and indices of validators. Must always hold: nothing here can make a vote unsafe;
wrong timing costs time only.
"""

from collections import deque
from dataclasses import dataclass

from consensus.types import Timing

MAX_EXPONENT = 60
"""Growth steps that are counted; far more than any cap needs, and keeps 3^k small."""


def timeout(timing: Timing, failures: int) -> int:
    """D of the current view: base * 1.5^failures, at most cap, in integer arithmetic."""
    steps = min(failures, MAX_EXPONENT)
    grown: int = timing.base * 3**steps // 2**steps
    return min(grown, timing.cap)


@dataclass(slots=True)
class ViewClock:
    """The times that matter in the current view, all in milliseconds of the host's clock."""

    entered_at: int
    patience: int
    """D of this view."""
    expected_at: int | None = None
    """When the application first said that it expects a block."""
    proposal_at: int | None = None
    pressed_at: int | None = None
    """When f+1 nullify votes were here: at least one honest validator expected a block."""
    nullify_retry_at: int | None = None
    """R8, set by our own nullify vote."""

    def armed_at(self, heartbeat_due: int) -> int:
        """A3: max(entry, first of: a transaction is known, the heartbeat is due, f+1 others gave up)."""
        known = [t for t in (self.expected_at, self.pressed_at) if t is not None]
        return max(self.entered_at, min([heartbeat_due, *known]))

    def nullify_at(self, heartbeat_due: int, silent_leader: bool) -> int:
        """R2: t_lead while no proposal is here (0 for a leader known to be silent, A4), t_adv always."""
        armed = self.armed_at(heartbeat_due)
        if self.proposal_at is not None:
            return min(armed, self.proposal_at) + 3 * self.patience
        return armed if silent_leader else armed + 2 * self.patience


class Activity:
    """A4: leaders that were silent in every recent view they led while a quorum was heard."""

    __slots__ = ("_ended", "_heard", "_me", "_n", "_quorum", "_silent")

    def __init__(self, n: int, quorum: int, me: int | None) -> None:
        self._n, self._quorum, self._me = n, quorum, me
        self._ended: deque[tuple[int, bool]] = deque(maxlen=2 * n)
        self._silent: set[int] = set()
        self._heard: set[int] = set()

    def hear(self, validator: int) -> None:
        """A valid message of `validator` arrived: whatever it missed is forgiven."""
        self._heard.add(validator)
        if validator in self._silent:
            self._silent.discard(validator)
            kept = [(leader, silent) for leader, silent in self._ended if leader != validator]
            self._ended = deque(kept, maxlen=2 * self._n)

    def end_view(self, leader: int) -> None:
        """The view led by `leader` is over; judge it and start listening anew."""
        others = len((self._heard | ({self._me} if self._me is not None else set())) - {leader})
        silent = leader not in self._heard and leader != self._me and others >= self._quorum
        self._ended.append((leader, silent))
        self._heard.clear()
        led = {ended for ended, _ in self._ended}
        self._silent = {one for one in led if all(was for ended, was in self._ended if ended == one)}

    def is_silent(self, leader: int) -> bool:
        """Whether waiting for this leader is a waste of time."""
        return leader in self._silent
