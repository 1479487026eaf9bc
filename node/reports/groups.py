"""Totals for an employer whose people are insured here, as an insurer may hand them out (protocol rule 9).

Reads the insurer's own policies: the terms name the `employer` and an `insured_ref`, opaque words of the insurer's. The
rules are `contracts.reports.cells`. Must always hold: a claim whose terms do not say whose it is counts for nobody, so
that no person is counted twice as two.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Final

from contracts.cases.evidence import date_of
from contracts.reports.cells import GroupTotals, MemberClaim, build_totals
from contracts.states import read_claim, read_parameters
from node.agents.insurer import InsurerAgent
from node.agents.ports import Ports

SLICE: Final = 50
"""Claims read before other work of the node has its turn."""


class GroupBook:
    """Claims of one insurer's policies by employer."""

    def __init__(self, ports: Ports, insurer: InsurerAgent) -> None:
        self._ports = ports
        self._insurer = insurer

    async def totals(self, claim_ids: Iterable[str], employer: str, currency: str) -> GroupTotals:
        """Totals of decided claims of an employer's people; claims of others among `claim_ids` are passed over."""
        members: list[MemberClaim] = []
        for place, claim_id in enumerate(claim_ids):
            if place % SLICE == 0:
                await asyncio.sleep(0)
            members += self._members(claim_id, employer)
        return build_totals(members, currency)

    def _members(self, claim_id: str, employer: str) -> Iterator[MemberClaim]:
        claim = read_claim(self._ports.ledger.final.read, claim_id)
        if claim is None or claim.insurer != self._ports.me or claim.decided_ms is None:
            return
        record = self._insurer.claims.record(claim_id)
        offset = read_parameters(self._ports.ledger.final.read).parameters.utc_offset_minutes
        month = date_of(claim.decided_ms, offset)[:7]
        payable = {str(item["policy_no"]): int(item["net_fen"]) for item in record.results}
        for item in claim.policies:
            terms = self._terms(item.policy_id)
            person, number = terms.get("insured_ref"), str(terms.get("policy_no"))
            if terms.get("employer") == employer and isinstance(person, str) and number in payable:
                yield MemberClaim(person, month, payable[number], record.currency)

    def _terms(self, policy_id: str) -> dict[str, Any]:
        kept = self._ports.vault.get_secret(f"policy/{policy_id}")
        return dict(kept["terms"]) if kept else {}
