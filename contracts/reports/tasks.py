"""One claim that waits for a person: who holds it, who prepared its release, and who may let it go (four eyes).

Knows people by the name of their access token. Must not know the claim's content. Must always hold: one holder at a
time, a lease that ends by itself, and nobody lets go what they prepared themselves, for whatever reason.
Errors are Refusal with the codes TASK_HELD, TASK_NOT_HELD, FOUR_EYES, NOT_PREPARED, REASON_UNKNOWN,
NOT_INVESTIGATED.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct, structs

from contracts.errors import Refusal
from contracts.reasons import OVERRIDE_REASONS, RELEASE_REASONS

LEASE_MS: Final = 4 * 3_600_000
"""A task that its holder does not finish within half a working day is anybody's again."""
LOW, MIDDLE, HIGH = 0, 1, 2
CLEARED: Final = "SUSPICION_CLEARED"
GRADES: Final = {
    "AMOUNT_OVER_THRESHOLD": LOW,
    "REPEATED_RETURN": MIDDLE,
    "NON_DISCLOSURE": HIGH,
    "RISK_MEDIUM": MIDDLE,
    "RISK_HIGH": HIGH,
}
"""Risk of a claim by why it is in review; what is not named here (faults, disagreement of adjudicators) is high."""


class Override(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody took a task out of another's hands."""

    person: str
    held_by: str
    reason: str
    time_ms: int


class Task(Struct, frozen=True, forbid_unknown_fields=True):
    """A claim in review. `since_ms` (block time) gives its age; leases are in the node's own time."""

    claim_id: str
    grade: int
    since_ms: int
    holder: str | None = None
    lease_until_ms: int = 0
    prepared_by: str | None = None
    reason: str | None = None
    overrides: tuple[Override, ...] = ()

    def held_by(self, now_ms: int) -> str | None:
        """Who holds it now; None once the lease has run out."""
        return self.holder if now_ms < self.lease_until_ms else None


MAX_OVERRIDES: Final = 16
"""Overrides remembered of one task, the latest: a task that changes hands more often needs a talk, not a list."""


def grade_of(reasons: Iterable[str]) -> int:
    """The risk of a claim in review: that of its gravest reason; high without any."""
    return max((GRADES.get(reason, HIGH) for reason in reasons), default=HIGH)


def order_tasks(tasks: Iterable[Task]) -> list[Task]:
    """Low risk first, then the oldest (SEED-2-47)."""
    return sorted(tasks, key=lambda task: (task.grade, task.since_ms, task.claim_id))


def pick_task(tasks: Iterable[Task], person: str, now_ms: int) -> Task | None:
    """The next task that this person may finish: free, and not one that they prepared."""
    free = (task for task in order_tasks(tasks) if task.held_by(now_ms) is None and task.prepared_by != person)
    return next(free, None)


def take_task(task: Task, person: str, now_ms: int, override: str | None = None) -> Task:
    """Hold it from now on; again for a longer lease. Refusal TASK_HELD without an override, REASON_UNKNOWN."""
    held_by = task.held_by(now_ms)
    overrides = task.overrides
    if held_by not in (None, person):
        if override is None:
            raise Refusal("TASK_HELD", f"held by {held_by}; take it with an override reason, or wait", task.claim_id)
        _require(override, OVERRIDE_REASONS, task)
        taken = Override(person, str(held_by), override, now_ms)
        overrides = (*overrides, taken)[-MAX_OVERRIDES:]
    return structs.replace(task, holder=person, lease_until_ms=now_ms + LEASE_MS, overrides=overrides)


def return_task(task: Task, person: str, now_ms: int) -> Task:
    """Give it back, unprepared or prepared as it is. Refusal TASK_NOT_HELD."""
    if task.held_by(now_ms) != person:
        raise Refusal("TASK_NOT_HELD", "only its holder gives a task back", task.claim_id)
    return structs.replace(task, holder=None, lease_until_ms=0)


def prepare_release(task: Task, person: str, reason: str, now_ms: int, override: str | None = None) -> Task:
    """Say that the computed result should stand, and why; a second person decides. Refusal TASK_HELD, REASON_UNKNOWN.

    Preparing again replaces what was prepared; the task is free then, for somebody else.
    """
    held = take_task(task, person, now_ms, override)
    _require(reason, RELEASE_REASONS, task)
    return structs.replace(held, holder=None, lease_until_ms=0, prepared_by=person, reason=reason)


def check_reason(review_reasons: Iterable[str], reason: str, claim_id: str) -> None:
    """A claim of high risk is let go only with its suspicion cleared by an investigation. Refusal NOT_INVESTIGATED."""
    if "RISK_HIGH" in review_reasons and reason != CLEARED:
        raise Refusal("NOT_INVESTIGATED", f"a claim of high risk is released with {CLEARED} alone", claim_id)


def check_release(task: Task, person: str, now_ms: int, override: str | None = None) -> Task:
    """The task as `person` lets it go. Refusal NOT_PREPARED, FOUR_EYES, TASK_HELD, REASON_UNKNOWN.

    An override takes a task out of another's hands; it never replaces the second person.
    """
    if task.prepared_by is None:
        raise Refusal("NOT_PREPARED", "a first person prepares the release with a reason", task.claim_id)
    if task.prepared_by == person:
        raise Refusal("FOUR_EYES", "who prepared a release does not let it go; a second person does", task.claim_id)
    return take_task(task, person, now_ms, override)


def _require(reason: str, known: Iterable[str], task: Task) -> None:
    names = sorted(known)
    if reason not in names:
        raise Refusal("REASON_UNKNOWN", f"the reason is one of {', '.join(names)}", task.claim_id)
