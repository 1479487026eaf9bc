"""Leaders, timeouts, arming and silent leaders."""

from collections import Counter

import pytest

from consensus.leaders import leader_of, leader_order
from consensus.timers import Activity, ViewClock, timeout
from consensus.types import ConsensusError, Timing


@pytest.mark.parametrize("n", [1, 2, 4, 7, 30])
def test_leaders_take_turns(n: int) -> None:
    order = leader_order(b"\x01" * 32, 1, n)
    assert sorted(order) == list(range(n))
    assert Counter(leader_of(view, order) for view in range(5, 5 + 3 * n)) == dict.fromkeys(range(n), 3)


def test_the_order_depends_on_seed_and_epoch() -> None:
    orders = {leader_order(seed * 32, epoch, 30) for seed in (b"a", b"b") for epoch in (1, 2)}
    assert len(orders) == 4


def test_timeouts_grow_by_half_up_to_the_cap() -> None:
    timing = Timing(base=100, cap=1_000)
    assert [timeout(timing, k) for k in range(8)] == [100, 150, 225, 337, 506, 759, 1000, 1000]
    assert timeout(timing, 10**9) == 1_000


@pytest.mark.parametrize("wrong", [{"base": 0}, {"base": 9_000}, {"retry": 0}, {"behind": -1}])
def test_impossible_timing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConsensusError):
        Timing(**wrong)


@pytest.mark.parametrize(
    ("expected", "pressed", "heartbeat", "armed"),
    [
        (None, None, 9_000, 9_000),  # idle: the heartbeat
        (None, None, 500, 1_000),  # overdue before entry
        (1_500, None, 9_000, 1_500),  # a transaction
        (1_500, 1_200, 9_000, 1_200),  # f+1 others gave up
        (None, None, 1_300, 1_300),
    ],
)
def test_arming(expected: int | None, pressed: int | None, heartbeat: int, armed: int) -> None:
    clock = ViewClock(1_000, 100, expected_at=expected, pressed_at=pressed)
    assert clock.armed_at(heartbeat) == armed
    assert clock.nullify_at(heartbeat, silent_leader=False) == armed + 200
    assert clock.nullify_at(heartbeat, silent_leader=True) == armed


def test_a_proposal_ends_the_first_timer_and_starts_the_second() -> None:
    clock = ViewClock(1_000, 100, proposal_at=1_050)
    assert clock.nullify_at(9_000, silent_leader=True) == 1_350, "from its arrival, though nothing was expected"
    clock.expected_at = 1_010
    assert clock.nullify_at(9_000, silent_leader=False) == 1_310


def _led(activity: Activity, leader: int, heard: tuple[int, ...]) -> None:
    for one in heard:
        activity.hear(one)
    activity.end_view(leader)


def test_a_silent_leader_is_known_after_one_view_and_forgiven_at_a_word() -> None:
    activity = Activity(4, 3, 0)
    _led(activity, 3, (1, 2))
    assert activity.is_silent(3)
    activity.hear(3)
    assert not activity.is_silent(3)
    _led(activity, 3, (1, 2))
    assert not activity.is_silent(3), "it was heard in the view"


def test_silence_is_only_judged_when_a_quorum_was_heard() -> None:
    activity = Activity(4, 3, 0)
    _led(activity, 3, (1,))
    assert not activity.is_silent(3)


def test_silence_lapses_after_twice_the_set() -> None:
    activity = Activity(4, 3, 0)
    _led(activity, 3, (1, 2))
    for _ in range(7):
        _led(activity, 1, (1, 2))
    assert activity.is_silent(3)
    _led(activity, 1, (1, 2))
    assert not activity.is_silent(3)


def test_nobody_calls_itself_silent() -> None:
    activity = Activity(4, 3, 0)
    _led(activity, 0, (1, 2, 3))
    assert not activity.is_silent(0)
