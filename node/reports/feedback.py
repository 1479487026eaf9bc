"""Words of insured persons about claims, as this node received them: kept, listed, answered.

The rules are `contracts.reports.feedback`. Knows the vault. Must always hold: a word is on the disk before it is
confirmed, and the list shows claims in the order of their first word.
"""

from typing import Any, Final

from msgspec import to_builtins

from contracts.reports.feedback import (
    Feedback,
    FeedbackToken,
    Satisfaction,
    add_feedback,
    answer_feedback,
    build_satisfaction,
    check_token,
)
from contracts.states import read_claim, read_consent
from ledger.crypto.hashing import tagged_hash
from ledger.encoding import convert
from node.agents.ports import Ports
from node.errors import NodeError

LIST: Final = "feedback"
OPEN, DONE = "open", "done"
MAX_COUNTED: Final = 10_000
"""Claims with words that figures are made of, the first ones; a node with more asks its reports by other means."""


class FeedbackBook:
    """Kept in the vault as `feedback/<claim_id>`; open while a complaint is not answered."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._vault = ports.vault

    def receive(self, claim_id: str, token: str) -> Feedback:
        """Keep a signed word. Raises NodeError `not_found`, TokenError, Refusal (see contracts.reports.feedback)."""
        final = self._ports.ledger.final
        claim = read_claim(final.read, claim_id)
        consent = read_consent(final.read, claim.consent_id) if claim else None
        if claim is None or consent is None:
            raise NodeError("not_found", "no such claim")
        payload: FeedbackToken = check_token(token, self._ports.network, claim_id, claim.consent_id, consent.key)
        feedback_id = tagged_hash("feedback", token.encode("ascii")).hex()
        kept = add_feedback(self._words(claim_id), feedback_id, payload, final.time_ms)
        self._keep(claim_id, kept)
        return next(item for item in kept if item.feedback_id == feedback_id)

    def answer(self, claim_id: str, feedback_id: str, answer: str, person: str) -> Feedback:
        """Staff answers a word. Raises Refusal FEEDBACK_UNKNOWN, ALREADY_ANSWERED, REASON_UNKNOWN."""
        now_ms = self._ports.ledger.final.time_ms
        kept = answer_feedback(self._words(claim_id), feedback_id, answer, person, now_ms)
        self._keep(claim_id, kept)
        return next(item for item in kept if item.feedback_id == feedback_id)

    def page(self, after: int, limit: int, *, only_open: bool) -> dict[str, Any]:
        """{items, next, more}: claims with their words, of all or of those with an open complaint."""
        statuses = (OPEN,) if only_open else ()
        rows = self._vault.work.listed(LIST, statuses=statuses, after=after, limit=limit)
        items = [{"claim_id": claim_id, "words": self._views(claim_id)} for _, claim_id, _ in rows]
        return {"items": items, "next": rows[-1][0] if rows else after, "more": len(rows) == limit}

    def figures(self, claims: int) -> Satisfaction:
        """Figures of what was said, over `claims` claims."""
        rows = self._vault.work.listed(LIST, limit=MAX_COUNTED)
        words = [word for _, claim_id, _ in rows for word in self._words(claim_id)]
        return build_satisfaction(words, claims, self._ports.ledger.final.time_ms)

    def _views(self, claim_id: str) -> list[dict[str, Any]]:
        now_ms = self._ports.ledger.final.time_ms
        claim = read_claim(self._ports.ledger.final.read, claim_id)
        status = claim.status if claim else None
        return [
            {**to_builtins(word), "due_ms": word.due_ms(), "is_late": word.is_late(now_ms), "claim_status": status}
            for word in self._words(claim_id)
        ]

    def _words(self, claim_id: str) -> list[Feedback]:
        return [convert(item, Feedback) for item in self._vault.get_secret(f"feedback/{claim_id}") or []]

    def _keep(self, claim_id: str, kept: list[Feedback]) -> None:
        is_open = any(item.kind == "complaint" and item.answer is None for item in kept)
        with self._vault.transaction():
            self._vault.put_secret(f"feedback/{claim_id}", [to_builtins(item) for item in kept])
            self._vault.work.list_as(LIST, claim_id, OPEN if is_open else DONE)
