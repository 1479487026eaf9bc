"""The co-adjudicator's agent (a TPA, a commission, an auditor): opens everything, runs again, signs or refuses.

Knows what a signature attests (protocol rule 5); the checks themselves are `contracts.cases.checking`. Subjects are
claim ids. Must always hold: a statement is signed only after its own re-run, a refusal names its code, and an answer
covers exactly the statements that were asked about.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, Final

import structlog

from contracts.cases.checking import LedgerFacts, Mismatch, Package, check_delivery, check_inputs, check_outputs
from contracts.cases.errors import CaseError
from contracts.cases.packages import read_package
from contracts.cases.rerun import rerun
from contracts.commitments import commit
from contracts.errors import ContractError
from contracts.identifiers import derive_payout_id
from contracts.machine.errors import MachineError
from contracts.receipts import Event
from contracts.statements import statement_message
from contracts.states import ClaimState, read_claim, read_payout
from ledger.crypto import ed25519
from ledger.crypto.envelopes import recipient_key_id
from ledger.errors import EnvelopeError
from ledger.transactions import endorsement_message
from node.agents.agent import Agent, Step, done, wait
from node.agents.amounts import expected_of
from node.agents.earlier import keep_outcome, recall_effects
from node.agents.facts import NotYet, read_facts
from node.agents.holding import holding_core_hash, holding_fault
from node.agents.mail import post, read_parcels, seal_parcel
from node.agents.messages import ClosingMessage, HoldingMessage, RestoringMessage
from node.agents.paying import FINISHED, close_core_hash
from node.agents.restoring import amendment_of, restoring_core_hash, restoring_fault
from node.agents.rulebook import find_source
from node.vault import StoredParcel
from node.vault.worklist import WorkItem

PATIENCE: Final = 6
"""Times an answer is put off because this node's blocks or parcels are behind; then it is a refusal."""
LATE: Final = frozenset({"DELIVERY_UNREADABLE", "ACCOUNT_VERSION", "POOL_VERSION", "no_claim", "not_complete"})
"""Faults that may heal by themselves within a minute."""
ASKED: Final = frozenset({"adjudication", "closing", "restoring", "holding"})
"""Parcels that ask this node for its word."""
_log = structlog.get_logger()


class AdjudicatorAgent(Agent):
    """Co-signs statements and endorses closes."""

    name: ClassVar[str] = "adjudicator"

    def interests(self, event: Event) -> Iterable[str]:
        return ()

    def arrivals(self, parcel: StoredParcel) -> Iterable[str]:
        return (parcel.subject,) if parcel.kind in ASKED else ()

    async def step(self, item: WorkItem) -> Step:
        claim_id = item.subject
        claim = read_claim(self.ports.ledger.final.read, claim_id)
        if claim is None:
            return wait("no_claim")
        held = await self._answer_holding(item, claim)
        if held is not None:
            return held
        if claim.status == "DECIDED":
            return self._answer_closing(claim_id, claim)
        if claim.status == "CLOSED":
            return self._answer_restoring(item, claim)
        if self._is_closing_asked(claim_id, claim):
            return wait("not_decided_here")  # the insurer saw the deciding block before this node did
        return await self._answer_package(item, claim)

    def _is_closing_asked(self, claim_id: str, claim: ClaimState) -> bool:
        """Whether the insurer asks to close what is not decided here; an answered one is of a decision before."""
        requests = read_parcels(self.ports, "closing", claim_id, ClosingMessage, sender=claim.insurer)
        parcel, _ = next(requests, (None, None))
        return parcel is not None and self.vault.get_secret(f"closed/{claim_id}") != parcel.digest

    def list_requests(self, *, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Requests answered by this node: {position, claim_id, status}; status `signed` or `refused`."""
        rows = self.vault.work.listed(self.name, after=after, limit=limit)
        return [
            {"position": place, "claim_id": claim, "status": status, "codes": self.refusals(claim)}
            for place, claim, status in rows
        ]

    def refusals(self, claim_id: str) -> list[str]:
        """The codes of the latest refusal about a claim; empty if it was signed."""
        kept = self.vault.get_secret(f"answered/{claim_id}")
        return list(kept["codes"]) if kept else []

    def signed_package(self, claim_id: str) -> Package | None:
        """The package that this node signed for, with every opening."""
        kept = self.vault.get_secret(f"signed/{claim_id}")
        return read_package(kept)[0] if kept else None

    # --- statements

    async def _answer_package(self, item: WorkItem, claim: ClaimState) -> Step:
        packages = read_parcels(self.ports, "adjudication", item.subject, dict[str, Any], sender=claim.insurer)
        parcel, content = next(packages, (None, None))
        if parcel is None or content is None:
            return done("nothing_asked")
        answered = self.vault.get_secret(f"answered/{item.subject}")
        if answered is not None and answered["digest"] == parcel.digest:
            return done("answered")
        try:
            package, height = read_package(content)
            if height > self.ports.ledger.final.height:
                return wait("BLOCKS_BEHIND")
            await self._check(item.subject, package)
        except (Mismatch, CaseError, MachineError, NotYet) as error:
            if error.code in LATE and item.attempts < PATIENCE:
                return wait(error.code)
            return self._refuse(item.subject, claim, parcel, content, error.code)
        return self._sign(item.subject, claim, parcel, content, package)

    async def _check(self, claim_id: str, package: Package) -> None:
        """Everything that signing attests. Raises Mismatch, CaseError, MachineError, NotYet."""
        facts = read_facts(self.ports, claim_id)
        facts = replace(facts, recalled=recall_effects(self.ports, facts))
        if not facts.consent.grants(self.ports.me, "co-adjudicate"):
            raise Mismatch("NOT_GRANTED", "the customer's consent does not name this node for co-adjudication")
        check_inputs(facts, package)
        source = self._source(package)
        case, adjudication, uses = await rerun(package, lambda case: self.ports.machine.explain(source, case))
        check_outputs(facts, package, case, adjudication, uses)
        for item in package.policies:
            digest, decision = self._decision(facts, item.policy_id, item.statement.delivered)
            check_delivery(facts, item, digest, decision)

    def _source(self, package: Package) -> str:
        named = {item.statement.contract_hash for item in package.policies}
        if len(named) != 1:
            raise CaseError("PROGRAMS_DIFFER", "the policies of this claim are decided by different programs")
        return find_source(self.ports.ledger.final, named.pop(), package.policies[0].statement.tables_hash)

    def _decision(self, facts: LedgerFacts, policy_id: str, delivered: Iterable[Any]) -> tuple[str, Any]:
        """(digest, content) of the customer's ciphertext, as this node opened it."""
        named = {item.ciphertext_digest for item in delivered if item.to == facts.consent.mailbox_key}
        if not named:
            raise Mismatch("DELIVERY_MISSING", f"policy {policy_id}: nothing for the customer's mailbox")
        for parcel in self.vault.parcels("decision", facts.claim_id, sender=facts.claim.insurer):
            if parcel.digest in named:
                self._check_addressed(parcel, facts.consent.mailbox_key)
                return parcel.digest, self.vault.open_parcel(parcel, self.ports.keys.envelope.secret)
        raise Mismatch("DELIVERY_UNREADABLE", f"policy {policy_id}: the delivered ciphertext has not arrived here")

    def _check_addressed(self, parcel: StoredParcel, mailbox_key: str) -> None:
        wanted = recipient_key_id(bytes.fromhex(mailbox_key))
        try:
            recipients = self.vault.envelope(parcel.digest).header.recipients
        except EnvelopeError as error:
            raise Mismatch("DELIVERY_MISMATCH", error.code) from None
        if all(item.key_id != wanted for item in recipients):
            raise Mismatch("DELIVERY_MISMATCH", "the ciphertext is not addressed to the customer's mailbox key")

    def _sign(self, claim_id: str, claim: ClaimState, parcel: StoredParcel, content: Any, package: Package) -> Step:
        keys = self.ports.keys
        signatures = {
            item.policy_id: ed25519.sign(keys.signing.secret, statement_message(item.statement)).hex()
            for item in package.policies
        }
        with self.vault.transaction():
            self.vault.put_secret(f"signed/{claim_id}", content)
            keep_outcome(self.ports, package)
            self._answer(claim_id, claim, parcel, _digests(package), signatures, [])
        return done("signed")

    def _refuse(self, claim_id: str, claim: ClaimState, parcel: StoredParcel, content: Any, code: str) -> Step:
        """Refusing needs the statements' digests only; an unreadable package is answered for none."""
        _log.warning("adjudication.refused", claim=claim_id, code=code)
        try:
            digests = _digests(read_package(content)[0])
        except Mismatch:
            digests = {}
        with self.vault.transaction():
            self._answer(claim_id, claim, parcel, digests, {}, [code])
        return done(code)

    def _answer(
        self,
        claim_id: str,
        claim: ClaimState,
        parcel: StoredParcel,
        statements: dict[str, str],
        signatures: dict[str, str],
        codes: list[str],
    ) -> None:
        content = {
            "claim_id": claim_id,
            "key_id": self.ports.keys.key_id,
            "statements": statements,
            "signatures": signatures,
            "codes": codes,
        }
        envelope = seal_parcel(self.ports, "signatures", claim_id, content, [claim.insurer])
        post(self.ports, "signatures", claim_id, claim.case_id, envelope, [claim.insurer])
        self.vault.put_secret(f"answered/{claim_id}", {"digest": parcel.digest, "codes": codes})
        self.vault.work.list_as(self.name, claim_id, "refused" if codes else "signed")

    # --- closing

    def _answer_closing(self, claim_id: str, claim: ClaimState) -> Step:
        """Endorse that nothing was due, if the results that this node signed say so."""
        requests = read_parcels(self.ports, "closing", claim_id, ClosingMessage, sender=claim.insurer)
        parcel, asked = next(requests, (None, None))
        if parcel is None or asked is None:
            return done("decided")
        answered = self.vault.get_secret(f"closed/{claim_id}")
        if answered == parcel.digest:
            return done("answered")
        code = self._closing_fault(claim_id, claim)
        core_hash = close_core_hash(self.ports.network, claim.insurer, claim_id, asked.nonce, asked.expires_ms)
        content = self._endorse(core_hash, code or "ok")
        envelope = seal_parcel(self.ports, "closure", claim_id, content, [claim.insurer])
        with self.vault.transaction():
            post(self.ports, "closure", claim_id, claim.case_id, envelope, [claim.insurer])
            self.vault.put_secret(f"closed/{claim_id}", parcel.digest)
        return done("endorsed" if code is None else code)

    async def _answer_holding(self, item: WorkItem, claim: ClaimState) -> Step | None:
        """Endorse an advance, guarantee or recovery that this node computes alike; None if none was asked for anew."""
        requests = read_parcels(self.ports, "holding", item.subject, HoldingMessage, sender=claim.insurer)
        parcel, asked = next(requests, (None, None))
        if parcel is None or asked is None or self.vault.get_secret(f"held/{item.subject}") == parcel.digest:
            return None
        package = self.signed_package(item.subject)
        code = await holding_fault(self.ports, item.subject, claim, package, asked)
        if code in LATE and item.attempts < PATIENCE:
            return wait(code)
        try:
            core_hash = holding_core_hash(self.ports.network, claim.insurer, asked)
        except (ContractError, LookupError, TypeError):
            return done("HOLD_FORM")
        envelope = seal_parcel(self.ports, "held", item.subject, self._endorse(core_hash, code), [claim.insurer])
        with self.vault.transaction():
            post(self.ports, "held", item.subject, claim.case_id, envelope, [claim.insurer])
            self.vault.put_secret(f"held/{item.subject}", parcel.digest)
        return done("endorsed" if code == "ok" else code)

    def _answer_restoring(self, item: WorkItem, claim: ClaimState) -> Step:
        """Endorse an account without an outcome that was reversed, if it is what this node computes."""
        requests = read_parcels(self.ports, "restoring", item.subject, RestoringMessage, sender=claim.insurer)
        parcel, asked = next(requests, (None, None))
        if parcel is None or asked is None:
            return done("closed")
        if self.vault.get_secret(f"restored/{item.subject}/{asked.policy_id}") == parcel.digest:
            return done("answered")
        package = self.signed_package(item.subject)
        code = restoring_fault(self.ports, item.subject, claim, package, asked) if package else "NOT_SIGNED_HERE"
        if code in LATE | {"NOTHING_REVERSED"} and item.attempts < PATIENCE:
            return wait(code)
        try:
            payout_id = derive_payout_id(item.subject, asked.policy_id, claim.attempt)
            body = amendment_of(asked.account_out, asked.pool_out, payout_id)
        except (ContractError, LookupError, TypeError):
            return done("RESTORING_FORM")
        core_hash = restoring_core_hash(self.ports.network, claim.insurer, body, asked.nonce, asked.expires_ms)
        content = self._endorse(core_hash, code)
        envelope = seal_parcel(self.ports, "restored", item.subject, content, [claim.insurer])
        with self.vault.transaction():
            post(self.ports, "restored", item.subject, claim.case_id, envelope, [claim.insurer])
            self.vault.put_secret(f"restored/{item.subject}/{asked.policy_id}", parcel.digest)
        return done("endorsed" if code == "ok" else code)

    def _endorse(self, core_hash: str, code: str) -> dict[str, str]:
        """A ClosureMessage: the endorsement of a transaction's core where the code is `ok`."""
        keys = self.ports.keys
        message = endorsement_message(bytes.fromhex(core_hash), keys.participant, keys.key_id)
        signature = ed25519.sign(keys.signing.secret, message).hex() if code == "ok" else ""
        return {"core_hash": core_hash, "key_id": keys.key_id, "signature": signature, "code": code}

    def _closing_fault(self, claim_id: str, claim: ClaimState) -> str | None:
        """Why a close without payment is not endorsed; None if nothing was due under every unpaid payout."""
        package = self.signed_package(claim_id)
        if package is None:
            return "NOT_SIGNED_HERE"
        by_policy = {item.policy_id: item for item in package.policies}
        for payout_id in claim.payouts:
            payout = read_payout(self.ports.ledger.final.read, payout_id)
            if payout is None or payout.status in FINISHED:
                continue
            item = by_policy.get(payout.policy_id)
            if item is None or commit("result", item.result) != payout.result_commit:
                return "RESULT_COMMIT"
            if expected_of(item) > 0:
                return "PAYOUT_DUE"
        return None


def _digests(package: Package) -> dict[str, str]:
    return {item.policy_id: statement_message(item.statement).hex() for item in package.policies}
