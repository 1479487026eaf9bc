"""The decided claims that this node holds: its own as insurer, and those that it co-adjudicated.

Knows under which names the vault keeps proposals and signed packages. Must not know what they are read for. Must
always hold: a package is given only if it is what the ledger decided, and never when the customer revoked the consent
that it came under.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from contracts.cases.checking import Mismatch, Package
from contracts.cases.packages import read_package
from contracts.commitments import commit
from contracts.identifiers import derive_payout_id
from contracts.states import ClaimState, read_claim, read_consent, read_payout
from node.agents.ports import Ports

INSURER: Final = "insurer"
ADJUDICATOR: Final = "adjudicator"
MAX_LISTED: Final = 200_000
"""Claims of one role that are looked at, the latest reported: a hundred bytes each."""
PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class PastClaim:
    """A decided claim that this node has a package of. `decided_ms` is block time."""

    claim_id: str
    decided_ms: int


class PastClaims:
    """Reads the vault and final state."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def newest_first(self, since_ms: int = 0) -> tuple[list[PastClaim], int]:
        """(decided claims since then, how many listed claims are not decided)."""
        found: dict[str, PastClaim] = {}
        undecided = 0
        for agent in (INSURER, ADJUDICATOR):
            for claim_id in await self._listed(agent):
                claim = read_claim(self._ports.ledger.final.read, claim_id)
                decided_ms = claim.decided_ms if claim else None
                if claim_id in found or (agent == ADJUDICATOR and claim and claim.insurer == self._ports.me):
                    continue
                if decided_ms is None:
                    undecided += 1
                elif decided_ms >= since_ms:
                    found[claim_id] = PastClaim(claim_id, decided_ms)
                if len(found) % PAGE == 0:
                    await asyncio.sleep(0)
        return sorted(found.values(), key=lambda item: (-item.decided_ms, item.claim_id)), undecided

    def load(self, claim_id: str) -> Package | str:
        """The package of a decided claim, or why there is none: `not_decided`, `not_held`, `revoked`."""
        read = self._ports.ledger.final.read
        claim = read_claim(read, claim_id)
        if claim is None or claim.decided_ms is None:
            return "not_decided"
        consent = read_consent(read, claim.consent_id)
        if consent is None or consent.revoked_ms is not None:
            return "revoked"
        package = self._kept(claim_id, claim)
        return package if package is not None and self._is_decision(claim_id, claim, package) else "not_held"

    def _kept(self, claim_id: str, claim: ClaimState) -> Package | None:
        vault = self._ports.vault
        if claim.insurer == self._ports.me:
            kept = vault.get_secret(f"proposal/{claim_id}")
            content = kept["package"] if kept else None
        else:
            content = vault.get_secret(f"signed/{claim_id}")
        try:
            return read_package(content)[0] if content is not None else None
        except Mismatch:
            return None

    def _is_decision(self, claim_id: str, claim: ClaimState, package: Package) -> bool:
        """Whether every result of the package is the one that the ledger's payout names."""
        if package.attempt != claim.attempt:
            return False
        for item in package.policies:
            payout = read_payout(
                self._ports.ledger.final.read, derive_payout_id(claim_id, item.policy_id, claim.attempt)
            )
            if payout is None or payout.result_commit != commit("result", item.result):
                return False
        return True

    async def _listed(self, agent: str) -> deque[str]:
        found: deque[str] = deque(maxlen=MAX_LISTED)
        after = 0
        while rows := self._ports.vault.work.listed(agent, after=after, limit=PAGE):
            found.extend(claim_id for _, claim_id, _ in rows)
            after = rows[-1][0]
            await asyncio.sleep(0)
        return found
