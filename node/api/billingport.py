"""What the interface asks of a participant's billing: batches of a hospital, and what is owed.

Knows shapes only (`node.agents.billing.BillingAgent`). Amounts are minor units, times milliseconds.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from node.agents.messages import DrawOpening


class BillingPort(Protocol):
    """One participant's billing. What is refused raises BillingRefused, CaseError; nothing of it was sent."""

    async def submit(
        self,
        insurer: str,
        reviewer: str | None = None,
        guarantees: Sequence[str] = (),
        period: tuple[int, int] | None = None,
    ) -> tuple[str, str]:
        """Hospital: the next batch. (batch id, transaction id)."""
        ...

    async def review(self, batch_id: str, returns: Mapping[int, str]) -> str:
        """Reviewer: a word on every open line; `returns` is place -> reason. The transaction id."""
        ...

    async def settle(self, batch_id: str, amount_fen: int, booking: Mapping[str, str]) -> str:
        """Insurer: one payment for all endorsed lines. The transaction id."""
        ...

    async def acknowledge(self, batch_id: str, amount_fen: int) -> str:
        """Hospital: it arrived. The transaction id."""
        ...

    def tell_draw(self, guarantee_id: str, opening: DrawOpening) -> None:
        """Insurer: a final draw's opening for hospital and co-adjudicators."""
        ...

    def batches(self, after: int, limit: int) -> dict[str, Any]:
        """{items, next, more}."""
        ...

    def batch(self, batch_id: str) -> dict[str, Any]:
        """One batch with its lines."""
        ...

    def receivables(self) -> dict[str, Any]:
        """{time_ms, items, unopened}."""
        ...
