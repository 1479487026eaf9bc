"""Work for people: one holder, leases that end, low risk first, and two persons for every release."""

from typing import Any

import pytest

from contracts.errors import Refusal
from contracts.reports.tasks import (
    HIGH,
    LEASE_MS,
    LOW,
    MAX_OVERRIDES,
    MIDDLE,
    Task,
    check_release,
    grade_of,
    order_tasks,
    pick_task,
    prepare_release,
    return_task,
    take_task,
)

NOW = 1_000_000
REASON = "AMOUNT_CONFIRMED"


def task(name: str = "a", **changes: Any) -> Task:
    plain: dict[str, Any] = {"claim_id": name * 64, "grade": LOW, "since_ms": 5}
    return Task(**(plain | changes))


def refused(code: str) -> Any:
    return pytest.raises(Refusal, match=f"^{code}")


def test_a_claims_grade_is_that_of_its_gravest_reason() -> None:
    assert grade_of(["AMOUNT_OVER_THRESHOLD"]) == LOW
    assert grade_of(["AMOUNT_OVER_THRESHOLD", "REPEATED_RETURN"]) == MIDDLE
    assert grade_of(["NON_DISCLOSURE"]) == grade_of(["CO_ADJUDICATOR_RESULT_DIFFERS"]) == grade_of([]) == HIGH


def test_low_risk_comes_first_then_age() -> None:
    tasks = [task("a", grade=HIGH, since_ms=1), task("b", since_ms=9), task("c", since_ms=3), task("d", since_ms=3)]
    assert [item.claim_id[0] for item in order_tasks(tasks)] == ["c", "d", "b", "a"]


def test_a_task_has_one_holder_until_the_lease_ends() -> None:
    held = take_task(task(), "ann", NOW)
    assert held.held_by(NOW + LEASE_MS - 1) == "ann"
    with refused("TASK_HELD"):
        take_task(held, "ben", NOW + LEASE_MS - 1)
    assert take_task(held, "ann", NOW + 5).lease_until_ms == NOW + 5 + LEASE_MS
    assert take_task(held, "ben", NOW + LEASE_MS).holder == "ben"


def test_an_override_needs_a_known_reason_and_is_remembered() -> None:
    held = take_task(task(), "ann", NOW)
    with refused("REASON_UNKNOWN"):
        take_task(held, "ben", NOW, "because")
    taken = take_task(held, "ben", NOW, "HOLDER_ABSENT")
    assert [(item.person, item.held_by, item.reason) for item in taken.overrides] == [("ben", "ann", "HOLDER_ABSENT")]
    for turn in range(2 * MAX_OVERRIDES):
        taken = take_task(taken, f"person-{turn % 2}", NOW + turn, "WORK_SHARED_ANEW")
    assert len(taken.overrides) == MAX_OVERRIDES


def test_only_the_holder_gives_back() -> None:
    held = take_task(task(), "ann", NOW)
    with refused("TASK_NOT_HELD"):
        return_task(held, "ben", NOW)
    with refused("TASK_NOT_HELD"):
        return_task(held, "ann", NOW + LEASE_MS)
    assert return_task(held, "ann", NOW).held_by(NOW) is None


def test_nobody_lets_go_what_they_prepared() -> None:
    with refused("NOT_PREPARED"):
        check_release(task(), "ben", NOW)
    with refused("REASON_UNKNOWN"):
        prepare_release(task(), "ann", "because", NOW)
    prepared = prepare_release(task(), "ann", REASON, NOW)
    assert prepared.held_by(NOW) is None, "free for a second person"
    with refused("FOUR_EYES"):
        check_release(prepared, "ann", NOW)
    with refused("FOUR_EYES"):
        check_release(prepared, "ann", NOW, "DEADLINE_NEAR")
    assert check_release(prepared, "ben", NOW).prepared_by == "ann"


def test_what_another_holds_is_neither_prepared_nor_released() -> None:
    prepared = take_task(prepare_release(task(), "ann", REASON, NOW), "cay", NOW)
    with refused("TASK_HELD"):
        check_release(prepared, "ben", NOW)
    with refused("TASK_HELD"):
        prepare_release(prepared, "ben", REASON, NOW)
    assert check_release(prepared, "ben", NOW, "HOLDER_ABSENT").overrides[-1].held_by == "cay"
    assert prepare_release(prepared, "ben", REASON, NOW, "HOLDER_ABSENT").prepared_by == "ben"


def test_the_next_task_is_one_that_this_person_may_finish() -> None:
    tasks = [prepare_release(task("a"), "ann", REASON, NOW), take_task(task("b"), "cay", NOW), task("c", grade=HIGH)]
    assert [item and item.claim_id[0] for item in (pick_task(tasks, name, NOW) for name in ("ann", "ben"))] == [
        "c",
        "a",
    ]
    assert pick_task(tasks[1:2], "ann", NOW) is None
