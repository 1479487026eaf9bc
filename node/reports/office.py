"""What a node's own staff works with: figures of its claims, clocks, reviews. One object for the interface.

Knows the parts. Holds no rule. Must always hold: a part that this participant has no role for answers `no_role`, and
nothing here reaches another participant.
"""

from collections.abc import Callable, Iterable
from typing import Any

from contracts.reports.cells import GroupTotals
from contracts.reports.clocks import ClockLimits, limits_of
from contracts.reports.feedback import Feedback, Satisfaction
from contracts.reports.stories import ClaimStory
from contracts.states import read_claim, read_parameters
from node.agents.house import House
from node.errors import Unavailable
from node.reports.closing import ClosingBook
from node.reports.desk import ReviewDesk
from node.reports.feedback import FeedbackBook
from node.reports.groups import GroupBook
from node.reports.knowledge import Knowledge
from node.reports.stories import build_story


class Office:
    """One participant's office. `warn_bp`: share of a limit at which a clock warns."""

    def __init__(self, house: House, warn_bp: int, tell: Callable[[], None]) -> None:
        self._ports = house.ports
        self._warn_bp = warn_bp
        self.knowledge = Knowledge(house.ports, house.insurer, house.adjudicator)
        self._groups = GroupBook(house.ports, house.insurer) if house.insurer else None
        self._feedback = FeedbackBook(house.ports)
        self._desk = ReviewDesk(house.ports, house.insurer, tell) if house.insurer else None
        self._closings = ClosingBook(house.ports, house.insurer, self.knowledge) if house.insurer else None

    def story(self, claim_id: str) -> ClaimStory | None:
        """The story of a claim as this participant knows it; None if there is none. Who may see it is not asked."""
        read = self._ports.ledger.final.read
        claim = read_claim(read, claim_id)
        return None if claim is None else build_story(read, claim_id, claim, self.knowledge.of_claim(claim_id))

    def limits(self) -> ClockLimits:
        """Limits of the clocks in this network, with this node's share for warnings."""
        return limits_of(read_parameters(self._ports.ledger.final.read).parameters, self._warn_bp)

    def closings(self, after: int, limit: int, from_ms: int | None, until_ms: int | None) -> dict[str, Any]:
        """See ClosingBook.closed. Raises Unavailable `no_role`."""
        if self._closings is None:
            raise _no_desk()
        return self._closings.closed(after, limit, from_ms, until_ms)

    async def group_totals(self, claim_ids: Iterable[str], employer: str, currency: str) -> GroupTotals:
        """See GroupBook.totals. Raises Unavailable `no_role`."""
        if self._groups is None:
            raise _no_desk()
        return await self._groups.totals(claim_ids, employer, currency)

    # --- what insured persons say

    def receive_feedback(self, claim_id: str, token: str) -> Feedback:
        """See FeedbackBook.receive."""
        return self._feedback.receive(claim_id, token)

    def answer_feedback(self, claim_id: str, feedback_id: str, answer: str, person: str) -> Feedback:
        """See FeedbackBook.answer."""
        return self._feedback.answer(claim_id, feedback_id, answer, person)

    def feedback(self, after: int, limit: int, only_open: bool) -> dict[str, Any]:
        """See FeedbackBook.page."""
        return self._feedback.page(after, limit, only_open=only_open)

    def satisfaction(self, claims: int) -> Satisfaction:
        """See FeedbackBook.figures."""
        return self._feedback.figures(claims)

    # --- reviews

    def tasks(self, limit: int) -> list[dict[str, Any]]:
        """See ReviewDesk.tasks. Raises Unavailable `no_role`."""
        return self._require_desk().tasks(limit)

    def take_task(self, claim_id: str | None, person: str, override: str | None) -> dict[str, Any]:
        """See ReviewDesk.take."""
        return self._require_desk().take(claim_id, person, override)

    def return_task(self, claim_id: str, person: str) -> dict[str, Any]:
        """See ReviewDesk.give_back."""
        return self._require_desk().give_back(claim_id, person)

    def prepare_review(self, claim_id: str, person: str, reason: str, override: str | None) -> dict[str, Any]:
        """See ReviewDesk.prepare."""
        return self._require_desk().prepare(claim_id, person, reason, override)

    def release_review(self, claim_id: str, person: str, override: str | None) -> dict[str, Any]:
        """See ReviewDesk.release."""
        return self._require_desk().release(claim_id, person, override)

    def _require_desk(self) -> ReviewDesk:
        if self._desk is None:
            raise _no_desk()
        return self._desk


def _no_desk() -> Unavailable:
    return Unavailable("no_role", "this node does not act as insurer")
