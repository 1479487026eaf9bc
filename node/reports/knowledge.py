"""What this participant knows of a claim from the inside: decision, amounts, reasons, human steps, times.

Reads the private book of an insurer, or what a co-adjudicator signed. Must not know routes. Must always hold: a
participant that is neither knows nothing, and nothing of a document is read, only results.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from contracts.reports.stories import Decision
from contracts.states import ClaimState, read_claim
from node.agents.adjudicator import AdjudicatorAgent
from node.agents.insurer import InsurerAgent
from node.agents.ledgerbook import ClaimRecord
from node.agents.ports import Ports

DECISIONS: Final[tuple[Decision, ...]] = ("approved", "partial", "zero_pay", "declined")
"""The word of a claim with several policies is the first of these that one of them has."""


class Inside(Struct, frozen=True):
    """Of one claim. `paid_ms`: payout id -> block time; `is_reviewed` None: not known."""

    decision: Decision | None
    claimed_fen: int | None
    payable_fen: int | None
    currency: str
    reasons: tuple[str, ...]
    policy_nos: tuple[str, ...] = ()
    review_reasons: tuple[str, ...] = ()
    human_steps: int | None = None
    is_reviewed: bool | None = None
    proposed_ms: int | None = None
    notified_ms: int | None = None
    paid_ms: Mapping[str, int] = {}


class Knowledge:
    """One participant's inside view of claims."""

    def __init__(self, ports: Ports, insurer: InsurerAgent | None, adjudicator: AdjudicatorAgent | None) -> None:
        self._ports = ports
        self._insurer = insurer
        self._adjudicator = adjudicator

    def of_claim(self, claim_id: str) -> Inside | None:
        """What is known; None for a stranger to the claim."""
        claim = read_claim(self._ports.ledger.final.read, claim_id)
        if claim is None:
            return None
        if self._insurer is not None and claim.insurer == self._ports.me:
            return self._of_own(self._insurer, claim_id, claim)
        package = self._adjudicator.signed_package(claim_id) if self._adjudicator else None
        if package is None:
            return None
        results = [item.result["result"] for item in package.policies]
        return _inside(results, package.policies[0].result["currency"])

    def is_own(self, claim_id: str) -> bool:
        """Whether this node's insurer decides the claim."""
        claim = read_claim(self._ports.ledger.final.read, claim_id)
        return self._insurer is not None and claim is not None and claim.insurer == self._ports.me

    def _of_own(self, insurer: InsurerAgent, claim_id: str, claim: ClaimState) -> Inside:
        record: ClaimRecord = insurer.claims.record(claim_id)
        notice = self._ports.vault.get_secret(f"notice/{claim_id}/{claim.attempt}")
        times = {name: self._ports.vault.work.times(name).get("payout.paid") for name in claim.payouts}
        return _inside(
            record.results,
            record.currency,
            review_reasons=record.review,
            human_steps=record.human_steps,
            is_reviewed=bool(record.review) or record.human_steps > 0,
            notified_ms=notice["sent_ms"] if notice else None,
            paid_ms={name: time_ms for name, time_ms in times.items() if time_ms is not None},
        )


def _inside(results: Iterable[Mapping[str, Any]], currency: str, **more: Any) -> Inside:
    found = list(results)
    words = {str(item["decision"]) for item in found}
    reasons = {reason for item in found for benefit in item["benefits"] for reason in benefit["reasons"]}
    return Inside(
        decision=next((word for word in DECISIONS if word in words), None),
        claimed_fen=max((int(item["claimed_fen"]) for item in found), default=None),
        payable_fen=sum(int(item["net_fen"]) for item in found) if found else None,
        currency=currency,
        reasons=tuple(sorted(reasons)),
        policy_nos=tuple(str(item["policy_no"]) for item in found),
        **more,
    )
