"""The review desk of an insurer: tasks for its own people, kept in the vault, one for each claim in review.

The rules are `contracts.reports.tasks`; this keeps them. Knows the list of claims in review. Must not know what a
result says. Must always hold: a task is there exactly while its claim is in review, a step is on the disk before it is
told, and a name of a person stands nowhere in clear.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from msgspec import to_builtins

from contracts.reasons import OVERRIDE_REASONS, RELEASE_REASONS
from contracts.reports.tasks import (
    Task,
    check_reason,
    check_release,
    grade_of,
    order_tasks,
    pick_task,
    prepare_release,
    return_task,
    take_task,
)
from contracts.states import read_claim
from ledger.encoding import convert
from node.agents.insurer import InsurerAgent
from node.agents.ports import Ports
from node.errors import NodeError

MAX_TASKS: Final = 5_000
"""Tasks looked at when the list is made: people who let more pile up have another problem than their order."""
IN_REVIEW: Final = "in_review"


class NoTask(NodeError):
    """`not_in_review`: the claim does not wait for a person; `no_task`: nothing is left to take."""


class ReviewDesk:
    """Tasks of one insurer's people. `tell` wakes the agents after a release. Times are the node's own."""

    def __init__(self, ports: Ports, insurer: InsurerAgent, tell: Callable[[], None]) -> None:
        self._ports = ports
        self._vault = ports.vault
        self._insurer = insurer
        self._tell = tell

    def tasks(self, limit: int = MAX_TASKS) -> list[dict[str, Any]]:
        """What waits, low risk first, then by age: {claim_id, grade, since_ms, holder, prepared_by, reason, ...}."""
        now_ms = self._ports.now_ms()
        return [_view(task, now_ms) for task in order_tasks(self._open())[:limit]]

    def take(self, claim_id: str | None, person: str, override: str | None = None) -> dict[str, Any]:
        """Hold this task, or the next one that this person may finish. Raises Refusal TASK_HELD, NoTask."""
        now_ms = self._ports.now_ms()
        if claim_id is None:
            found = pick_task(self._open(), person, now_ms)
            if found is None:
                raise NoTask("no_task", "no claim in review is free for this person")
        else:
            found = self._require(claim_id)
        return self._keep(take_task(found, person, now_ms, override))

    def give_back(self, claim_id: str, person: str) -> dict[str, Any]:
        """The holder gives a task back. Raises Refusal TASK_NOT_HELD, NoTask."""
        return self._keep(return_task(self._require(claim_id), person, self._ports.now_ms()))

    def prepare(self, claim_id: str, person: str, reason: str, override: str | None = None) -> dict[str, Any]:
        """The first person: the computed result should stand. Raises Refusal, NoTask."""
        task = prepare_release(self._require(claim_id), person, reason, self._ports.now_ms(), override)
        check_reason(self._insurer.claims.record(claim_id).review, reason, claim_id)
        return self._keep(task)

    def release(self, claim_id: str, person: str, override: str | None = None) -> dict[str, Any]:
        """The second person lets it stand; the claim goes on by itself. Raises Refusal FOUR_EYES and others, NoTask."""
        now_ms = self._ports.now_ms()
        task = check_release(self._require(claim_id), person, now_ms, override)
        with self._vault.transaction():
            self._vault.put_secret(f"released/{claim_id}", to_builtins(task))
            self._vault.delete_secret(f"task/{claim_id}")
            self._insurer.release_review(claim_id, person, prepared_by=str(task.prepared_by), reason=str(task.reason))
        self._tell()
        return _view(task, now_ms)

    # --- inner workings

    def _open(self) -> list[Task]:
        listed = self._vault.work.listed(self._insurer.name, statuses=(IN_REVIEW,), limit=MAX_TASKS)
        return [self._task(claim_id) for _, claim_id, _ in listed]

    def _require(self, claim_id: str) -> Task:
        listed = self._vault.work.listed_one(self._insurer.name, claim_id)
        if listed is None or listed[2] != IN_REVIEW:
            raise NoTask("not_in_review", "this claim does not wait for a person")
        return self._task(claim_id)

    def _task(self, claim_id: str) -> Task:
        """The task as it was kept; a new one for a claim that came into review since, or again for other reasons."""
        reasons = self._insurer.claims.record(claim_id).review
        kept = self._vault.get_secret(f"task/{claim_id}")
        grade = grade_of(reasons)
        if kept is not None and kept["reasons"] == list(reasons):
            return convert(kept["task"], Task)
        claim = read_claim(self._ports.ledger.final.read, claim_id)
        since_ms = (claim.ready_ms or claim.reported_ms) if claim else self._ports.now_ms()
        return Task(claim_id=claim_id, grade=grade, since_ms=since_ms)

    def _keep(self, task: Task) -> dict[str, Any]:
        reasons = list(self._insurer.claims.record(task.claim_id).review)
        self._vault.put_secret(f"task/{task.claim_id}", {"task": to_builtins(task), "reasons": reasons})
        return _view(task, self._ports.now_ms())


def _view(task: Task, now_ms: int) -> dict[str, Any]:
    """A task for people: who holds it now, and its reasons in their words."""
    shown: dict[str, Any] = to_builtins(task)
    shown["holder"] = task.held_by(now_ms)
    shown["lease_until_ms"] = task.lease_until_ms if shown["holder"] else None
    shown["reason_texts"] = RELEASE_REASONS.get(task.reason) if task.reason else None
    return shown


def reason_texts() -> Iterator[dict[str, str]]:
    """Every reason that people may give: {code, of: release | override, en, zh}."""
    for use, table in (("release", RELEASE_REASONS), ("override", OVERRIDE_REASONS)):
        for code, texts in table.items():
            yield {"code": code, "of": use, "en": texts["en"], "zh": texts["zh"]}
