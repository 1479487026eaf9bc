"""The insurer's risk grade of a claim, from what it may see, kept beside the claim in its vault.

Knows which facts this node holds: the documents of the case, its own policies and accounts, and what it kept of earlier
claims of the same person under its own policies. Must not know other insurers' claims or hospitals' peers: RK04 and
RK11 run at a commission alone. Must always hold: a grade is made once for an attempt and its evidence, with the whole
set of parameters beside it, and no change of parameters makes it again; what was read under a consent that the
customer revoked is not used for another claim.

    risk/salt                 of the pseudonyms, this node's own
    risk/person/<pseudonym>   ids of the person's graded claims
    risk/facts/<claim_id>     what of a claim later ones look at
    risk/grade/<claim_id>     {attempt, evidence_root, graded_ms, assessment, without}
    risk/months, risk/month/<month>   counts of grades and hits
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import structlog
from msgspec import to_builtins

from contracts.cases.building import PolicyInput
from contracts.cases.checking import LedgerFacts
from contracts.cases.documents import Record
from contracts.cases.evidence import date_of
from contracts.cases.riskfacts import CaseFacts, build_facts
from contracts.errors import InputError
from contracts.risk.assessment import assess_claim
from contracts.risk.records import ClaimRecords
from contracts.risk.results import Assessment, as_document
from contracts.states import read_claim, read_consent
from ledger.crypto.hashing import tagged_hex
from ledger.encoding import convert, encode
from ledger.errors import DecodeError
from node.agents.ports import Ports

REVIEW_REASONS: Final = {"MEDIUM": "RISK_MEDIUM", "HIGH": "RISK_HIGH"}
"""Why a claim with such a grade waits for people; LOW goes straight through."""
MAX_EARLIER: Final = 200
"""Earlier claims of one person that are looked at, the newest: one a week for four years."""
_log = structlog.get_logger()


def risk_grade(ports: Ports, claim_id: str) -> str | None:
    """The kept grade of a claim: LOW, MEDIUM, HIGH; None while there is none, or where grading is off.

    HIGH closes the flash and advance lanes (contracts.risk.results.ACTIONS).
    """
    kept = kept_grade(ports, claim_id)
    return None if kept is None else str(kept["assessment"]["grade"])


def kept_grade(ports: Ports, claim_id: str) -> dict[str, Any] | None:
    """Everything that was kept of a claim's grade: assessment with parameters, and rules that lacked facts."""
    kept: dict[str, Any] | None = ports.vault.get_secret(f"risk/grade/{claim_id}")
    return kept


class Grader:
    """Grades one insurer's claims. Off where `ports.risk` is None."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._vault = ports.vault

    def grade(self, facts: LedgerFacts, records: Sequence[Record], policies: Sequence[PolicyInput]) -> list[str]:
        """Review reasons of the claim: none for LOW or where grading is off. Graded once for attempt and evidence.

        Raises CaseError for a case that cannot be decided either.
        """
        parameters = self._ports.risk
        if parameters is None:
            return []
        kept = kept_grade(self._ports, facts.claim_id)
        root = facts.case.evidence_root
        if kept is None or (kept["attempt"], kept["evidence_root"]) != (facts.claim.attempt, root):
            names = self._pseudonyms(policies)
            found = build_facts(facts.claim_id, names[0], records, policies, _hospitals(facts), self._earlier(names))
            try:
                assessment = assess_claim(found.records, parameters, tuple(found.without))
            except InputError as error:
                _log.warning("risk.not_graded", claim=facts.claim_id, code=error.code)
                return ["RISK_UNGRADED"]
            kept = self._keep(facts, names, found, assessment)
        reason = REVIEW_REASONS.get(str(kept["assessment"]["grade"]))
        return [reason] if reason else []

    def statistics(self) -> list[dict[str, Any]]:
        """{month, graded, grades, hits by rule}, ascending by month: counts alone."""
        months = sorted(self._vault.get_secret("risk/months") or [])
        return [{"month": month, **self._vault.need_secret(f"risk/month/{month}")} for month in months]

    def _keep(
        self, facts: LedgerFacts, names: Sequence[str], found: CaseFacts, assessment: Assessment
    ) -> dict[str, Any]:
        kept = {
            "attempt": facts.claim.attempt,
            "evidence_root": facts.case.evidence_root,
            "graded_ms": facts.time_ms,
            "assessment": as_document(assessment),
            "without": dict(found.without),
        }
        with self._vault.transaction():
            self._vault.put_secret(f"risk/grade/{facts.claim_id}", kept)
            self._vault.put_secret(f"risk/facts/{facts.claim_id}", to_builtins(found.own))
            for name in names:
                listed = [
                    item for item in self._vault.get_secret(f"risk/person/{name}") or [] if item != facts.claim_id
                ]
                self._vault.put_secret(f"risk/person/{name}", [*listed, facts.claim_id][-MAX_EARLIER:])
            self._count(facts.time_ms, assessment)
        return kept

    def _count(self, time_ms: int, assessment: Assessment) -> None:
        offset = self._ports.ledger.final.genesis.parameters.utc_offset_minutes
        month = date_of(time_ms, offset)[:7]
        months = self._vault.get_secret("risk/months") or []
        if month not in months:
            self._vault.put_secret("risk/months", [*months, month])
        before = self._vault.get_secret(f"risk/month/{month}") or {"graded": 0, "grades": {}, "hits": {}}
        hits = Counter(before["hits"]) + Counter({item.rule for item in assessment.results if item.hit})
        grades = Counter(before["grades"]) + Counter([assessment.grade])
        counted = {"graded": before["graded"] + 1, "grades": dict(grades), "hits": dict(hits)}
        self._vault.put_secret(f"risk/month/{month}", counted)

    def _pseudonyms(self, policies: Iterable[PolicyInput]) -> list[str]:
        """Of the insured that the terms name, and of each policy for those whose terms name nobody."""
        salt = self._vault.get_secret("risk/salt")
        if salt is None:
            salt = self._ports.salt()
            self._vault.put_secret("risk/salt", salt)
        known = [("insured", item.terms.get("insured_id") or item.policy_id) for item in policies]
        named = {tagged_hex("risk-person", encode({"salt": salt, "of": of, "id": str(name)})) for of, name in known}
        return sorted(named)

    def _listed(self, name: str) -> list[str]:
        return list(self._vault.get_secret(f"risk/person/{name}") or [])

    def _earlier(self, names: Iterable[str]) -> list[ClaimRecords]:
        claims = dict.fromkeys(claim_id for name in names for claim_id in self._listed(name))
        found = []
        for claim_id in claims:
            kept = self._vault.get_secret(f"risk/facts/{claim_id}")
            if kept is None or self._is_revoked(claim_id):
                continue
            try:
                found.append(convert(kept, ClaimRecords))
            except DecodeError as error:
                _log.warning("risk.facts_unreadable", claim=claim_id, code=error.code)
        return found[-MAX_EARLIER:]

    def _is_revoked(self, claim_id: str) -> bool:
        read = self._ports.ledger.final.read
        claim = read_claim(read, claim_id)
        consent = read_consent(read, claim.consent_id) if claim else None
        return consent is None or consent.revoked_ms is not None


def _hospitals(facts: LedgerFacts) -> dict[str, str]:
    return {name: state.hospital for name, state in facts.records.items()}
