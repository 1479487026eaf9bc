"""Waiting for what other processes bring about.

Knows time and a question. Must always hold: a wait has an end, and one that came to it says what it waited for.
"""

import time
from collections.abc import Callable

PAUSE_S = 0.05


def wait_until(
    reached: Callable[[], object], seconds: float, told: Callable[[], object] = lambda: "it took too long"
) -> None:
    """Return as soon as `reached` says something true. Raises AssertionError after `seconds`, with what `told` says."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, told()
        time.sleep(PAUSE_S)  # other processes bring it about: nothing here can be awaited, the deadline bounds it
