"""What this participant can disclose of a claim, for a dossier, and the decision as its own staff sees it.

Knows the kept proposal (insurer) or signed package (co-adjudicator). Must always hold: what is disclosed is what was
put to the vote of the adjudicators; a stranger to the claim discloses nothing.
"""

from typing import Any

from contracts.cases.checking import Package
from contracts.identifiers import derive_payout_id
from contracts.states import ClaimState, read_claim, read_payout
from node.agents.adjudicator import AdjudicatorAgent
from node.agents.insurer import InsurerAgent
from node.agents.ports import Ports
from node.audit.build import Material
from node.audit.dossier import DisclosedRecord, PaymentOpening, PolicyOpening


class Discloser:
    """Reads the vault of an insurer or co-adjudicator."""

    def __init__(self, ports: Ports, insurer: InsurerAgent | None, adjudicator: AdjudicatorAgent | None) -> None:
        self._ports = ports
        self._insurer = insurer
        self._adjudicator = adjudicator

    def dossier_material(self, claim_id: str) -> Material:
        """Documents with their secrets and every opening of a decided claim; empty before, or for a stranger."""
        claim = read_claim(self._ports.ledger.final.read, claim_id)
        package = self._package(claim_id)
        if claim is None or package is None or claim.decided_ms is None:
            return Material()
        records = sorted(package.records, key=lambda item: item.record_id)
        return Material(
            records=tuple(
                DisclosedRecord(record_id=item.record_id, secret=item.secret, document=item.document)
                for item in records
            ),
            payee=package.payee,
            policies=tuple(sorted((_opening(item) for item in package.policies), key=lambda item: item.policy_id)),
            payments=self._payments(claim_id, claim, package),
        )

    def explanation(self, claim_id: str) -> list[Any]:
        """Every step of the program that led to the proposal; empty for whoever did not make it."""
        return self._insurer.decider.trace(claim_id) if self._insurer else []

    def decision(self, claim_id: str) -> dict[str, Any] | None:
        """The insurer's private view of a claim, or what a co-adjudicator signed; None for others."""
        claim = read_claim(self._ports.ledger.final.read, claim_id)
        if claim is None:
            return None
        if self._insurer is not None and claim.insurer == self._ports.me:
            return self._insurer.claim_detail(claim_id)
        package = self._adjudicator.signed_package(claim_id) if self._adjudicator else None
        if package is None:
            return None
        results = [item.result["result"] for item in package.policies]
        return {
            "claim_id": claim_id,
            "status": claim.status,
            "currency": package.policies[0].result["currency"],
            "amount_fen": sum(int(item["net_fen"]) for item in results),
            "results": results,
        }

    def _package(self, claim_id: str) -> Package | None:
        package = self._insurer.decider.proposal(claim_id) if self._insurer else None
        if package is None and self._adjudicator is not None:
            package = self._adjudicator.signed_package(claim_id)
        return package

    def _payments(self, claim_id: str, claim: ClaimState, package: Package) -> tuple[PaymentOpening, ...]:
        """Order and settlement of the attempt that stands, if this node made them; a co-adjudicator has none."""
        vault, found, read = self._ports.vault, [], self._ports.ledger.final.read
        for item in package.policies:
            payout_id = derive_payout_id(claim_id, item.policy_id, claim.attempt)
            payout = read_payout(read, payout_id)
            name = f"{payout_id}/{payout.attempt if payout else 0}"
            order, settlement = vault.get_secret(f"order/{name}"), vault.get_secret(f"settlement/{name}")
            if order is not None or settlement is not None:
                found.append(PaymentOpening(payout_id=payout_id, order=order, settlement=settlement))
        return tuple(sorted(found, key=lambda item: item.payout_id))


def _opening(item: Any) -> PolicyOpening:
    return PolicyOpening(**{name: getattr(item, name) for name in PolicyOpening.__struct_fields__})
