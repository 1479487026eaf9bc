"""The two clocks of a node: neither follows the time zone, and timers never see wall time."""

import time
from collections.abc import Iterator

import pytest

from node.clock import SystemClock


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


def test_summer_time_and_time_zones_do_not_move_the_clocks(zone: pytest.MonkeyPatch) -> None:
    """P11: wall time is UTC, so the local zone and its summer time change nothing."""
    clock = SystemClock()
    before = clock.now_ms()
    for name in ("UTC", "Asia/Shanghai", "America/New_York", "XXX-14YYY,0/0,365/23"):
        zone.setenv("TZ", name)
        time.tzset()
        assert 0 <= clock.now_ms() - before < 60_000


@pytest.mark.parametrize("jump_s", [3_600, -3_600, -10 * 365 * 86_400])
def test_a_jump_of_the_wall_clock_is_not_seen_by_timers(jump_s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """P11: an NTP step or a wrong time server moves block times and no timer."""
    clock = SystemClock(offset_ms=5)
    wall, timer = clock.now_ms(), clock.monotonic_ms()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + jump_s * 10**9)
    assert abs(clock.now_ms() - wall - jump_s * 1_000) < 60_000
    assert 0 <= clock.monotonic_ms() - timer < 60_000
