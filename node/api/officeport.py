"""What the interface asks of a participant's office: stories of claims, clocks, and the work of its people.

Knows shapes only (`node.reports.office.Office`). Must not know where anything is kept. Times are milliseconds.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from contracts.reports.cells import GroupTotals
from contracts.reports.clocks import ClockLimits
from contracts.reports.feedback import Feedback, Satisfaction
from contracts.reports.stories import ClaimStory


class OfficePort(Protocol):
    """One participant's office. What it has no role for raises NodeError `no_role`; rules raise Refusal."""

    def story(self, claim_id: str) -> ClaimStory | None:
        """A claim as this participant knows it; None if there is none. Who may see it is asked before."""
        ...

    def limits(self) -> ClockLimits:
        """Limits of the clocks."""
        ...

    def closings(self, after: int, limit: int, from_ms: int | None, until_ms: int | None) -> dict[str, Any]:
        """Insurer: {items, next, more} of closed claims with their intake numbers, closed in [from_ms, until_ms)."""
        ...

    async def group_totals(self, claim_ids: Iterable[str], employer: str, currency: str) -> GroupTotals:
        """Insurer: totals of an employer's people, never of fewer than twenty."""
        ...

    def receive_feedback(self, claim_id: str, token: str) -> Feedback:
        """Keep an insured's signed word. NodeError not_found, TokenError, Refusal."""
        ...

    def answer_feedback(self, claim_id: str, feedback_id: str, answer: str, person: str) -> Feedback:
        """Staff answered a word. Refusal FEEDBACK_UNKNOWN, ALREADY_ANSWERED, REASON_UNKNOWN."""
        ...

    def feedback(self, after: int, limit: int, only_open: bool) -> dict[str, Any]:
        """{items, next, more} of claims with words about them."""
        ...

    def satisfaction(self, claims: int) -> Satisfaction:
        """Figures of the words that this node received, over so many claims."""
        ...

    def tasks(self, limit: int) -> list[dict[str, Any]]:
        """Claims in review, low risk first, then by age."""
        ...

    def take_task(self, claim_id: str | None, person: str, override: str | None) -> dict[str, Any]:
        """Hold a task, or the next free one. Refusal TASK_HELD, REASON_UNKNOWN; NodeError no_task, not_in_review."""
        ...

    def return_task(self, claim_id: str, person: str) -> dict[str, Any]:
        """Give a task back. Refusal TASK_NOT_HELD; NodeError not_in_review."""
        ...

    def prepare_review(self, claim_id: str, person: str, reason: str, override: str | None) -> dict[str, Any]:
        """The first person. Refusal TASK_HELD, REASON_UNKNOWN; NodeError not_in_review."""
        ...

    def release_review(self, claim_id: str, person: str, override: str | None) -> dict[str, Any]:
        """The second person. Refusal NOT_PREPARED, FOUR_EYES, TASK_HELD, REASON_UNKNOWN; NodeError not_in_review."""
        ...
