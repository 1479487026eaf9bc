"""The insurer's agent: accepts what the ledger reports, decides on complete evidence, pays, closes.

The frame only; policies, gathering, deciding and paying are modules of their own. Subjects are claim ids. Must always
hold: what is done next follows from the claim's state on the ledger and from the vault.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from contracts.bodies import AccountLease, ClaimAccept
from contracts.cases.checking import Package
from contracts.deadlines import turn_of
from contracts.identifiers import derive_payout_id
from contracts.receipts import Event
from contracts.states import (
    ClaimState,
    decode_state,
    read_account,
    read_case,
    read_claim,
    read_consent,
    read_nullifier,
    read_payout,
    read_policy,
    read_record,
)
from ledger.crypto.envelopes import ciphertext_digest
from node.agents.advancing import Holder
from node.agents.agent import AGAIN, Agent, Step, done, wait
from node.agents.amounts import show_amounts
from node.agents.deciding import Decider
from node.agents.earlier import find_unpaid
from node.agents.facts import is_stopped, leased_to_another, require_claim, waits_for_consent
from node.agents.gathering import Gatherer
from node.agents.grading import risk_grade
from node.agents.ledgerbook import ClaimBook
from node.agents.mail import post, seal_parcel
from node.agents.paying import Payer
from node.agents.policies import PolicyBook, current_version
from node.agents.ports import Ports
from node.agents.restoring import Restorer
from node.vault import StoredParcel
from node.vault.acceptance import claim_of_case
from node.vault.worklist import WorkItem

TOPICS_OF_CLAIMS = frozenset(
    f"claim.{word}"
    for word in (
        "reported",
        "accepted",
        "ready",
        "decided",
        "closed",
        "resumed",
        "released",
        "withdrawn",
        "disputed",
        "ruled",
        "reopened",
    )
)
ENDED = frozenset({"CLOSED", "WITHDRAWN"})
TOPICS_OF_PAYOUTS = frozenset(
    f"payout.{word}" for word in ("authorised", "ordered", "settled", "failed", "contested", "paid", "lapsed")
)


class InsurerAgent(Agent):
    """Works on this insurer's claims."""

    name: ClassVar[str] = "insurer"

    def __init__(self, ports: Ports) -> None:
        super().__init__(ports)
        self.book = PolicyBook(ports, self.submitter)
        self.claims = ClaimBook(ports)
        self.decider = Decider(ports, self.submitter, Gatherer(ports, self.book), self.claims)
        self.payer = Payer(ports, self.submitter, self.book, self.claims)
        self.holder = Holder(ports, self.submitter, self.book, self.payer)
        self.restorer = Restorer(ports, self.submitter, self.book)

    async def commit_policies(self, policies: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
        """See PolicyBook.commit_policies."""
        return await self.book.commit_policies(policies)

    def release_review(self, claim_id: str, reviewer: str, *, prepared_by: str = "", reason: str = "") -> None:
        """People let the computed result stand; who may is the desk's rule. The claim goes on from there."""
        self.claims.release(claim_id, reviewer, prepared_by, reason)
        self.vault.work.wake(self.name, claim_id)

    # --- what concerns this agent

    def interests(self, event: Event) -> Iterable[str]:
        """A claim event concerns our claim of the same case: the ranks wait for one another."""
        read = self.ports.ledger.final.read
        if event.topic in TOPICS_OF_CLAIMS:
            claim = read_claim(read, event.subject)
            subjects = self._own_of_case(claim.case_id) if claim else ()
            if event.topic == "claim.decided":
                return {*subjects, *self._waiting_for_leases(claim)}
            return subjects
        if event.topic in TOPICS_OF_PAYOUTS:
            payout = read_payout(read, event.subject)
            return (payout.claim_id,) if payout and payout.insurer == self.ports.me else ()
        if event.topic in ("consent.revoked", "consent.ratified"):
            return self._own_of_consent(event.subject)
        return self._reversed_by(event.subject) if event.topic == "record.endorsed" else ()

    def _reversed_by(self, record_id: str) -> tuple[str, ...]:
        """Our claim on the invoice that this record reverses, if it is a red one; of an interim record its case's."""
        read = self.ports.ledger.final.read
        record = read_record(read, record_id)
        if record is not None and record.record_type == "interim":
            return self._own_of_case(record.case_id)
        lock = read_nullifier(read, record.nullifier) if record and record.nullifier else None
        original = read_nullifier(read, lock.reverses) if lock and lock.reverses else None
        reversed_one = read_record(read, original.record_id) if original else None
        return self._own_of_case(reversed_one.case_id) if reversed_one else ()

    def open_in_state(self) -> Iterable[str]:
        """Our claims that are not closed. What was held back until a claim was accepted leaves, if it was."""
        for key, item in self.ports.ledger.state_family(ClaimState.FAMILY):
            claim = decode_state(item.value, ClaimState) if item.value is not None else None
            if claim is None or claim.insurer != self.ports.me or claim.status in ENDED:
                continue
            claim_id = key.partition("/")[2]
            if claim.status != "REPORTED":
                self.vault.outbox.release("account", claim_id)
            yield claim_id

    def arrivals(self, parcel: StoredParcel) -> Iterable[str]:
        if parcel.kind in ("signatures", "closure", "restored", "held"):
            return (parcel.subject,)
        if parcel.kind == "payee":
            return self._own_of_consent(parcel.subject)
        if parcel.kind in ("record", "pool") and parcel.case_id is not None:
            return self._own_of_case(parcel.case_id)
        return ()

    def _own_of_consent(self, consent_id: str) -> tuple[str, ...]:
        """Our claims under a consent: of its one case, or of every case that a standing one opened."""
        consent = read_consent(self.ports.ledger.final.read, consent_id)
        if consent is None or not consent.lived.is_standing:
            return self._own_of_case(consent.case_id) if consent else ()
        return tuple(item for item in self.open_in_state() if self._is_under(item, consent_id))

    def _is_under(self, claim_id: str, consent_id: str) -> bool:
        claim = read_claim(self.ports.ledger.final.read, claim_id)
        return claim is not None and claim.consent_id == consent_id

    def _own_of_case(self, case_id: str) -> tuple[str, ...]:
        claim_id = claim_of_case(case_id, self.ports.me)
        return (claim_id,) if read_claim(self.ports.ledger.final.read, claim_id) is not None else ()

    def _waiting_for_leases(self, decided: ClaimState | None) -> list[str]:
        """Claims of ours that wait for an account which this decision set free."""
        if decided is None or decided.insurer != self.ports.me:
            return []
        return [item.subject for item in self.vault.work.open_items(self.name) if item.code == "ACCOUNT_LEASED"]

    # --- steps

    async def step(self, item: WorkItem) -> Step:
        claim_id = item.subject
        claim = read_claim(self.ports.ledger.final.read, claim_id)
        if claim is None:
            return wait("no_claim")
        stopped = is_stopped(self.ports, claim)
        if stopped is not None:
            self.claims.stop(claim_id, stopped)
            return done(stopped)
        match claim.status:
            case "REPORTED" if waits_for_consent(self.ports, claim):
                self.claims.set_status(claim_id, "reported")
                return wait("CONSENT_UNRATIFIED")
            case "REPORTED":
                self.claims.set_status(claim_id, "reported")
                return await self._accept(claim_id, claim)
            case "FILED":
                self._take_acceptance(claim_id)
                step = self._wait_for_evidence(claim_id, claim)
                return await self.holder.hold(claim_id, claim) or step
            case "EVIDENCE_COMPLETE":
                paying = await self._pay_before(claim_id, claim)
                if paying is not None:
                    return paying
                return await self._decide(claim_id, claim) if self._may_decide(claim_id, claim) else wait("REOPENED")
            case "DECIDED":
                return await self._settle(claim_id)
            case "WITHDRAWN":
                given_back = await self.holder.give_back(claim_id, claim)
                if given_back is not None:
                    return given_back
                self.claims.stop(claim_id, "WITHDRAWN")
                return done("WITHDRAWN")
            case "EVIDENCE_PENDING" | "IN_REVIEW" | "INVESTIGATION" | "SUSPENDED" | "DISPUTED":
                return wait(claim.status)
        self.claims.set_status(claim_id, "closed")
        package = self.decider.proposal(claim_id)
        return done("closed") if package is None else await self.restorer.restore(claim_id, claim, package)

    async def _accept(self, claim_id: str, claim: ClaimState) -> Step:
        """Take the claim, and the lease on every account at the version that it will be decided on."""
        key = f"accept/{claim_id}"
        under_way = self.vault.work.submission(key) is not None
        if not under_way and any(leased_to_another(self.ports, claim_id, item.account_id) for item in claim.policies):
            return wait("ACCOUNT_LEASED")
        progress = await self.submitter.submit_once(
            key, claim_id, "claim.accept", lambda: self._build_accept(claim_id, claim)
        )
        if progress.receipt is None:
            return wait(progress.code)
        self.submitter.settle(key)
        if progress.receipt.code != "ok":
            self.vault.outbox.cancel("account", claim_id)
            return wait(progress.receipt.code)
        self.vault.outbox.release("account", claim_id)
        return AGAIN

    def _take_acceptance(self, claim_id: str) -> None:
        """The claim is ours: what was held back until then leaves, and its receipt is done with."""
        if self.vault.work.submission(f"accept/{claim_id}") is not None:
            self.vault.outbox.release("account", claim_id)
            self.submitter.settle(f"accept/{claim_id}")

    def _build_accept(self, claim_id: str, claim: ClaimState) -> ClaimAccept:
        """The openings of the accounts go to whoever the policies name for escalation (protocol rule 6)."""
        read = self.ports.ledger.final.read
        leases, openings, escalation = [], [], set()
        for item in claim.policies:
            account_id, version = current_version(self.ports, item.policy_id)
            leases.append(AccountLease(policy_id=item.policy_id, account_version=version))
            openings.append(self.book.account(account_id, version))
            policy = read_policy(read, item.policy_id)
            escalation |= {policy.escalation_to} if policy else set()
        content = {"claim_id": claim_id, "accounts": openings}
        envelope = seal_parcel(self.ports, "account", claim_id, content, escalation)
        self.vault.outbox.cancel("account", claim_id)
        post(self.ports, "account", claim_id, claim.case_id, envelope, escalation, held=True)
        return ClaimAccept(claim_id=claim_id, leases=tuple(leases), escalation_digest=ciphertext_digest(envelope))

    def _wait_for_evidence(self, claim_id: str, claim: ClaimState) -> Step:
        """Nothing to do until the case is complete; a rejected record is the hospital's to correct."""
        self.claims.set_status(claim_id, "filed")
        case = read_case(self.ports.ledger.final.read, claim.case_id)
        return wait("EVIDENCE" if case is not None else "no_case")

    async def _pay_before(self, claim_id: str, claim: ClaimState) -> Step | None:
        """One move of what the decision before a reopening awarded; None if it is done with, or must not go on."""
        package = self.decider.proposal(claim_id)
        due = None if package is None else find_unpaid(self.ports, claim, package)
        if package is None or due is None:
            return None
        return await self.payer.pay(due[0], due[1], package, due[2])

    def _may_decide(self, claim_id: str, claim: ClaimState) -> bool:
        """A reopened claim is decided again by itself on other evidence than before; on the same it is for people."""
        if claim.attempt == 1 or self.vault.get_secret(f"anew/{claim_id}/{claim.attempt}") is not None:
            return True
        case, before = read_case(self.ports.ledger.final.read, claim.case_id), self.decider.proposal(claim_id)
        if case is None or before is None or before.attempt >= claim.attempt:
            return False
        if any(item.statement.evidence_root == case.evidence_root for item in before.policies):
            return False
        with self.vault.transaction():
            self.vault.put_secret(f"anew/{claim_id}/{claim.attempt}", case.evidence_root)
            self.claims.begin_again(claim_id)
        return True

    async def _decide(self, claim_id: str, claim: ClaimState) -> Step:
        read = self.ports.ledger.final.read
        rank = self._rank_before(claim)
        if rank is not None:
            return wait(rank)
        accounts = [read_account(read, item.account_id) for item in claim.policies]
        if any(account is not None and account.lease != claim_id for account in accounts):
            return await self._accept(claim_id, claim)
        if not self.claims.record(claim_id).review:
            self.claims.set_status(claim_id, "ready")
        return await self.decider.decide(claim_id)

    def _rank_before(self, claim: ClaimState) -> str | None:
        """`RANK_NOT_REACHED` while an insurer of a better rank has neither decided nor run out of time."""
        final = self.ports.ledger.final
        case = read_case(final.read, claim.case_id)
        if case is None:
            return None
        known = [(name, found) for name in case.claims if (found := read_claim(final.read, name)) is not None]
        _, earlier = turn_of(known, claim.rank, case.complete_ms or 0, final.genesis.parameters, final.time_ms)
        return None if earlier is None else "RANK_NOT_REACHED"

    async def _settle(self, claim_id: str) -> Step:
        """Pay what this node proposed; a ruling, or a decision of the arbiter, is for people."""
        package = self.decider.proposal(claim_id)
        if package is None or not self._is_own_decision(claim_id, package):
            return wait("DECIDED_ELSEWHERE")
        claim = require_claim(self.ports, claim_id)
        self.payer.tell(claim_id, claim, package)
        for step in (await self.holder.pay(claim_id, claim), await self.holder.recover(claim_id, claim, package)):
            if step is not None and (step.kind == "again" or not self.payer.owes(claim_id, claim, package)):
                return step
        return await self.payer.settle(claim_id, package)

    def _is_own_decision(self, claim_id: str, package: Package) -> bool:
        payouts = [
            read_payout(
                self.ports.ledger.final.read, derive_payout_id(claim_id, item.policy_id, item.statement.attempt)
            )
            for item in package.policies
        ]
        results = {item.statement.result_commit for item in package.policies}
        claim = read_claim(self.ports.ledger.final.read, claim_id)
        latest = claim is not None and all(item.statement.attempt == claim.attempt for item in package.policies)
        return latest and {payout.result_commit for payout in payouts if payout is not None} == results

    # --- what staff and programs of this insurer see

    def list_claims(self, *, statuses: Iterable[str] = (), after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Claims in the order of their reports: {position, ...claim_detail}."""
        rows = self.vault.work.listed(self.name, statuses=statuses, after=after, limit=limit)
        return [{"position": place, **self.claim_detail(claim_id)} for place, claim_id, _ in rows]

    def review_queue(self, *, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Claims that wait for a person."""
        return self.list_claims(statuses=("in_review",), after=after, limit=limit)

    def claim_detail(self, claim_id: str) -> dict[str, Any]:
        """The private view of one claim: status, computed results, decision, amounts in minor units, review reasons,
        block times in milliseconds, human steps. Times and results are null or empty until there are any."""
        claim = read_claim(self.ports.ledger.final.read, claim_id)
        record = self.claims.record(claim_id)
        listed = self.vault.work.listed_one(self.name, claim_id)
        waiting = self.vault.work.item(self.name, claim_id)
        return {
            "claim_id": claim_id,
            "case_id": claim.case_id if claim else None,
            "consent_id": claim.consent_id if claim else None,
            "status": listed[2] if listed else "unknown",
            "ledger_status": claim.status if claim else None,
            "waiting_for": waiting.code if waiting else None,
            "decision": _joint_decision(record.results),
            "amount_fen": sum(int(item["net_fen"]) for item in record.results) if record.results else None,
            "currency": record.currency or None,
            "results": [dict(item) for item in record.results],
            "review_reasons": list(record.review),
            "risk_grade": risk_grade(self.ports, claim_id),
            "human_steps": record.human_steps,
            "reported_ms": claim.reported_ms if claim else None,
            "accepted_ms": claim.accepted_ms if claim else None,
            "ready_ms": claim.ready_ms if claim else None,
            "decided_ms": claim.decided_ms if claim else None,
            "closed_ms": claim.closed_ms if claim else None,
            "payouts": [self._payout_detail(claim_id, name) for name in (claim.payouts if claim else ())],
            "records": self._record_statuses(claim),
        }

    def _payout_detail(self, claim_id: str, payout_id: str) -> dict[str, Any]:
        payout = read_payout(self.ports.ledger.final.read, payout_id)
        package = self.decider.proposal(claim_id)
        amounts: dict[str, Any] = {}
        for item in package.policies if package and payout else ():
            if payout is not None and item.policy_id == payout.policy_id:
                amounts = show_amounts(self.ports, item, payout_id, payout)
        times = self.vault.work.times(payout_id)
        return {
            "payout_id": payout_id,
            "policy_id": payout.policy_id if payout else None,
            "status": payout.status if payout else None,
            "authorised_ms": payout.authorised_ms if payout else None,
            "paid_ms": times.get("payout.paid"),
            **amounts,
        }

    def _record_statuses(self, claim: ClaimState | None) -> dict[str, str]:
        case = read_case(self.ports.ledger.final.read, claim.case_id) if claim else None
        states = {name: read_record(self.ports.ledger.final.read, name) for name in (case.records if case else ())}
        return {name: state.status for name, state in states.items() if state is not None}


def _joint_decision(results: Sequence[Mapping[str, Any]]) -> str | None:
    """One word for all policies of a claim: the most that any of them gives."""
    words = {str(item["decision"]) for item in results}
    return next((word for word in ("approved", "partial", "zero_pay", "declined") if word in words), None)
