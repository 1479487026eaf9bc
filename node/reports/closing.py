"""Intake numbers and closed claims of one insurer, for exports to whoever keeps its books.

A claim's number is its place among the claims that came in on the same day, given once in the order of their reports
and kept in the vault; documents that replace others get sub-numbers behind it. Must not know columns. Must always hold:
a number never moves and is never given twice, whatever is published, replaced or closed later (seed 3-19).

    intake/state                 {after, counts: batch -> numbers given}
    intake/<claim_id>            {batch, number, supplements: [record ids]}
"""

from typing import Any, Final

from msgspec import to_builtins

from contracts.cases.evidence import date_of
from contracts.reports.closings import ClosedClaim
from contracts.states import ClaimState, read_case, read_claim, read_parameters, read_record
from node.agents.insurer import InsurerAgent
from node.agents.ports import Ports
from node.reports.knowledge import Knowledge
from node.reports.stories import build_story

SLICE: Final = 500
"""Claims numbered in one transaction."""


class ClosingBook:
    """Numbers and closed claims of one insurer."""

    def __init__(self, ports: Ports, insurer: InsurerAgent, knowledge: Knowledge) -> None:
        self._ports = ports
        self._vault = ports.vault
        self._agent = insurer.name
        self._knowledge = knowledge

    def closed(self, after: int, limit: int, from_ms: int | None, until_ms: int | None) -> dict[str, Any]:
        """{items, next, more}: claims closed in [from_ms, until_ms), in the order of their reports, behind `after`."""
        self._number_all()
        rows = self._vault.work.listed(self._agent, statuses=("closed",), after=after, limit=limit)
        items = [item for _, claim_id, _ in rows if (item := self._closed(claim_id, from_ms, until_ms)) is not None]
        return {
            "items": [{**to_builtins(item), "sequence": item.sequence} for item in items],
            "next": rows[-1][0] if rows else after,
            "more": len(rows) == limit,
        }

    # --- numbers

    def _number_all(self) -> None:
        """Give numbers to the claims that came in since, in the order of their reports."""
        while True:
            with self._vault.transaction():
                state = self._vault.get_secret("intake/state") or {"after": 0, "counts": {}}
                rows = self._vault.work.listed(self._agent, after=state["after"], limit=SLICE)
                counts = dict(state["counts"])
                for _, claim_id, _ in rows:
                    self._number(claim_id, counts)
                if not rows:
                    return
                self._vault.put_secret("intake/state", {"after": rows[-1][0], "counts": counts})

    def _number(self, claim_id: str, counts: dict[str, int]) -> None:
        claim = read_claim(self._ports.ledger.final.read, claim_id)
        if claim is None:
            return
        batch = date_of(claim.reported_ms, self._offset()).replace("-", "")
        counts[batch] = counts.get(batch, 0) + 1
        row = {"batch": batch, "number": counts[batch], "supplements": []}
        self._vault.put_secret(f"intake/{claim_id}", row)

    def _supplemented(self, claim_id: str, claim: ClaimState, row: dict[str, Any]) -> dict[str, Any]:
        """The row with the documents that came again since; their sub-numbers are their places in the list."""
        read = self._ports.ledger.final.read
        case = read_case(read, claim.case_id)
        records = [(name, read_record(read, name)) for name in (case.records if case else ())]
        again = sorted((item.published_ms, name) for name, item in records if item is not None and item.replaces)
        new = [name for _, name in again if name not in row["supplements"]]
        if not new:
            return row
        changed = row | {"supplements": [*row["supplements"], *new]}
        self._vault.put_secret(f"intake/{claim_id}", changed)
        return changed

    # --- rows

    def _closed(self, claim_id: str, from_ms: int | None, until_ms: int | None) -> ClosedClaim | None:
        read = self._ports.ledger.final.read
        claim, row = read_claim(read, claim_id), self._vault.get_secret(f"intake/{claim_id}")
        if claim is None or claim.closed_ms is None or row is None:
            return None
        if claim.closed_ms < (from_ms or 0) or (until_ms is not None and claim.closed_ms >= until_ms):
            return None
        inside = self._knowledge.of_claim(claim_id)
        story, case = build_story(read, claim_id, claim, inside), read_case(read, claim.case_id)
        row = self._supplemented(claim_id, claim, row)
        return ClosedClaim(
            batch=row["batch"],
            number=row["number"],
            supplements=tuple(str(place + 1) for place in range(len(row["supplements"]))),
            claim_id=claim_id,
            case_id=claim.case_id,
            insurer=claim.insurer,
            hospitals=story.hospitals,
            status=claim.status,
            attempt=claim.attempt,
            lane=story.lane,
            decision=story.decision or "",
            reasons=story.reasons,
            review_reasons=story.review_reasons,
            policy_nos=inside.policy_nos if inside else (),
            payouts=claim.payouts,
            human_steps=story.human_steps or 0,
            claimed_fen=story.claimed_fen or 0,
            payable_fen=story.payable_fen or 0,
            currency=story.currency,
            reported_ms=claim.reported_ms,
            accepted_ms=claim.accepted_ms,
            ready_ms=claim.ready_ms,
            decided_ms=claim.decided_ms,
            closed_ms=claim.closed_ms,
            archive=(case.evidence_root or "") if case else "",
        )

    def _offset(self) -> int:
        return read_parameters(self._ports.ledger.final.read).parameters.utc_offset_minutes
