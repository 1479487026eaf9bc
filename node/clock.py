"""The node's two clocks: wall time for block times and expiry, monotonic time for every timer.

Knows nothing of rules: who may use which time is said where it is used. Must always hold: timers never count
wall time, so a jump of the wall clock can neither fire nor delay one; and `now_ms` carries the configured
offset everywhere, so that a network with a simulated base time agrees with itself.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What the node asks of time. Tests give a hand-moved one."""

    def now_ms(self) -> int:
        """Wall time in milliseconds since 1970-01-01 UTC, offset included."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds since an arbitrary start; never goes back."""
        ...


class SystemClock:
    """The machine's clocks. `offset_ms` shifts wall time by a fixed span (simulated networks), 0 normally."""

    __slots__ = ("_offset_ms",)

    def __init__(self, offset_ms: int = 0) -> None:
        self._offset_ms = offset_ms

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._offset_ms

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000
