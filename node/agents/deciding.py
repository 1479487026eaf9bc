"""From complete evidence to `claim.adjudicate`: the case is run, the outcome proposed, co-signed and submitted.

The insurer's side. A proposal is made once and kept with its salts, so that a restart goes on with the same
statements; it is thrown away when an account or the pool moved on, or when its time ran out. Must always hold: a
result that asks for a person's review leaves no statement until a person released it.
"""

from typing import Any, Final

import structlog

from contracts.bodies import ClaimAdjudicate
from contracts.cases.building import build_case, check_currency, event_date_of
from contracts.cases.checking import LedgerFacts, Package, PolicyPackage
from contracts.cases.documents import pick_invoices
from contracts.cases.errors import CaseError
from contracts.cases.openings import STATEMENT_LIFETIME_MS, Outcome, StatementContext, build_statement
from contracts.cases.outcomes import ClaimFacts, build_outcomes, read_adjudication, review_reasons
from contracts.cases.packages import encode_package, read_package
from contracts.cases.pools import earlier_attempts, earlier_paid
from contracts.commitments import commit
from contracts.identifiers import derive_tables_hash
from contracts.machine.errors import MachineError
from contracts.statements import Delivery, SignedStatement, StatementSignature, statement_message, verify_statement
from contracts.states import read_key, read_participant
from ledger.crypto import ed25519
from ledger.errors import LedgerError, SignatureError
from node.agents.agent import AGAIN, Step, wait
from node.agents.earlier import keep_outcome, with_earlier
from node.agents.facts import read_facts
from node.agents.gathering import Gathered, Gatherer, Missing
from node.agents.grading import Grader
from node.agents.ledgerbook import ClaimBook
from node.agents.mail import post, read_parcels, seal_parcel
from node.agents.messages import SignaturesMessage
from node.agents.ports import Ports
from node.agents.rulebook import find_source
from node.agents.submitting import Submitter

FRESH_MS: Final = 3_600_000
"""A statement with less validity left than this is made again rather than submitted."""
RETRIED: Final = frozenset({"RANK_NOT_REACHED", "ACCOUNT_LEASED", "LEASE_MISSING", "KEY_NOT_ACTIVE"})
"""Refusals of `claim.adjudicate` that do not question the proposal."""
_log = structlog.get_logger()


class Decider:
    """Adjudicates one insurer's claims."""

    def __init__(self, ports: Ports, submitter: Submitter, gatherer: Gatherer, claims: ClaimBook) -> None:
        self._ports = ports
        self._submitter = submitter
        self._gatherer = gatherer
        self._claims = claims
        self._grader = Grader(ports)

    async def decide(self, claim_id: str) -> Step:
        """One move towards the decision of a claim whose evidence is complete and whose accounts it leases."""
        record = self._claims.record(claim_id)
        if record.review and not record.released:
            return wait("IN_REVIEW")
        facts = read_facts(self._ports, claim_id)
        package = self.proposal(claim_id)
        if package is not None and package.attempt < facts.claim.attempt:
            keep_outcome(self._ports, package)
        if package is None or not self._is_current(facts, package):
            return await self._propose(facts)
        signed = self._collect(facts, package)
        if isinstance(signed, Step):
            return signed
        return await self._submit(facts, signed)

    def proposal(self, claim_id: str) -> Package | None:
        """The kept proposal of a claim, with every opening."""
        kept = self._ports.vault.get_secret(f"proposal/{claim_id}")
        return read_package(kept["package"])[0] if kept else None

    def trace(self, claim_id: str) -> list[Any]:
        """Every step of the program that led to the proposal."""
        kept = self._ports.vault.get_secret(f"proposal/{claim_id}")
        return list(kept["trace"]) if kept else []

    def discard(self, claim_id: str) -> None:
        """Forget the proposal; the next move makes another."""
        self._ports.vault.delete_secret(f"proposal/{claim_id}")

    # --- proposing

    async def _propose(self, facts: LedgerFacts) -> Step:
        try:
            gathered = with_earlier(self._ports, facts, await self._gatherer.gather(facts))
        except Missing as error:
            return wait(error.code)
        try:
            package, trace = await self._adjudicate(facts, gathered)
        except (CaseError, MachineError) as error:
            if error.code == "ACCOUNT_CROWDED":
                return wait(error.code)
            return self._to_review(facts.claim_id, [error.code])
        if package is None:
            return wait("IN_REVIEW")
        content = encode_package(package, self._ports.ledger.final.height)
        judges = self._judges(facts)
        envelope = seal_parcel(self._ports, "adjudication", facts.claim_id, content, judges)
        with self._ports.vault.transaction():
            self._ports.vault.put_secret(f"proposal/{facts.claim_id}", {"package": content, "trace": trace})
            post(self._ports, "adjudication", facts.claim_id, facts.claim.case_id, envelope, judges)
            self._claims.set_status(facts.claim_id, "signing")
        return AGAIN

    async def _adjudicate(self, facts: LedgerFacts, gathered: Gathered) -> tuple[Package | None, list[Any]]:
        """The package to be signed, or None when the result waits for a person."""
        inputs = [held.policy for held in gathered.policies]
        contract_hash = _one_program(gathered)
        own = earlier_attempts(facts.claim_id, [item.policy_id for item in inputs], facts.claim.attempt)
        case = build_case(facts.claim_id, gathered.records, inputs, earlier_paid(gathered.pool, gathered.records, own))
        tables_hash = derive_tables_hash(inputs[0].tables)
        source = find_source(self._ports.ledger.final, contract_hash, tables_hash)
        output, trace = await self._ports.machine.explain(source, case)
        adjudication = read_adjudication(case, output, trace)
        currency = check_currency(pick_invoices(gathered.records), inputs)
        names = ClaimFacts(facts.claim_id, facts.claim.case_id, facts.claim.attempt, currency)
        event_date = {"salt": self._ports.salt(), "event_date": event_date_of(gathered.records)}
        outcomes = build_outcomes(
            names, case, inputs, adjudication, gathered.pool, event_date, self._ports.salt, facts.is_settled
        )
        record = self._claims.record(facts.claim_id)
        reasons = [*review_reasons(adjudication), *self._grader.grade(facts, gathered.records, inputs)]
        if reasons and not record.released:
            self._claims.keep_computed(facts.claim_id, currency, list(adjudication.results))
            self._to_review(facts.claim_id, reasons)
            return None, trace
        policies = tuple(
            self._seal_outcome(facts, gathered, outcome, contract_hash, position)
            for position, outcome in enumerate(outcomes)
        )
        package = Package(
            facts.claim_id, facts.claim.attempt, gathered.records, gathered.payee, policies, record.released
        )
        return package, trace

    def _seal_outcome(
        self, facts: LedgerFacts, gathered: Gathered, outcome: Outcome, contract_hash: str, position: int
    ) -> PolicyPackage:
        """The customer's ciphertext of one outcome, and the statement that names it."""
        held = gathered.policies[position].policy
        content = {
            "claim_id": facts.claim_id,
            "policy_id": outcome.policy_id,
            "result": outcome.result,
            "account": outcome.account_out,
            "event_date": outcome.event_date,
        }
        judges = self._judges(facts)
        mailbox = facts.consent.mailbox_key
        envelope = seal_parcel(self._ports, "decision", facts.claim_id, content, judges, mailbox)
        digest = post(self._ports, "decision", facts.claim_id, facts.claim.case_id, envelope, judges)
        context = StatementContext(
            network=facts.network,
            claim_id=facts.claim_id,
            attempt=facts.claim.attempt,
            consent_id=facts.claim.consent_id,
            case_id=facts.claim.case_id,
            evidence_root=facts.case.evidence_root or "",
            payee_commit=facts.consent.payee_commit,
            contract_hash=contract_hash,
            valid_until_ms=facts.time_ms + STATEMENT_LIFETIME_MS,
        )
        statement = build_statement(context, outcome, derive_tables_hash(held.tables), (Delivery(mailbox, digest),))
        return PolicyPackage(
            policy_id=outcome.policy_id,
            terms=held.terms,
            tables=held.tables,
            account_in=outcome.account_in,
            account_out=outcome.account_out,
            pool_in=outcome.pool_in,
            pool_out=outcome.pool_out,
            event_date=outcome.event_date,
            result=outcome.result,
            statement=statement,
            holds=held.holds,
            earlier=held.earlier,
        )

    def _to_review(self, claim_id: str, reasons: list[str]) -> Step:
        self._claims.send_to_review(claim_id, reasons)
        _log.info("claim.in_review", claim=claim_id)
        return wait("IN_REVIEW")

    def _judges(self, facts: LedgerFacts) -> list[str]:
        """Co-adjudicators of the claim's policies whom the customer lets read."""
        named = {name for policy in facts.policies.values() for name in policy.co_adjudicators}
        return sorted(name for name in named if facts.consent.grants(name, "co-adjudicate"))

    # --- signatures

    def _is_current(self, facts: LedgerFacts, package: Package) -> bool:
        if package.attempt != facts.claim.attempt:
            return False
        first = package.policies[0]
        if first.pool_in["version"] != facts.pool.version or commit("pool-version", first.pool_in) != facts.pool.commit:
            return False
        if any(item.statement.valid_until < facts.time_ms + FRESH_MS for item in package.policies):
            return False
        return all(
            item.account_in["version"] == facts.accounts[item.statement.account_id].version for item in package.policies
        )

    def _collect(self, facts: LedgerFacts, package: Package) -> list[SignedStatement] | Step:
        """The statements with enough signatures, or what is still missing."""
        answers, codes = self._answers(facts, package)
        signed = []
        for item in package.policies:
            valid = [answer for answer in answers.get(item.policy_id, []) if self._counts(facts, item, answer)]
            if len({answer.participant for answer in valid}) < facts.policies[item.policy_id].threshold:
                if codes:
                    self.discard(facts.claim_id)
                    return self._to_review(facts.claim_id, [f"CO_ADJUDICATOR_{code}" for code in codes])
                return wait("MISSING_SIGNATURES")
            signatures = sorted([self._own_signature(item), *valid], key=lambda one: (one.participant, one.key_id))
            signed.append(SignedStatement(statement=item.statement, signatures=tuple(signatures)))
        return signed

    def _answers(self, facts: LedgerFacts, package: Package) -> tuple[dict[str, list[StatementSignature]], list[str]]:
        """Signatures by policy over exactly these statements, and the codes of refusals of exactly them."""
        wanted = {item.policy_id: statement_message(item.statement).hex() for item in package.policies}
        found: dict[str, list[StatementSignature]] = {}
        codes: set[str] = set()
        answered: set[str] = set()
        for parcel, answer in read_parcels(self._ports, "signatures", facts.claim_id, SignaturesMessage):
            if parcel.sender in answered or answer.statements != wanted:
                continue
            answered.add(parcel.sender)
            codes |= set(answer.codes)
            for policy_id in wanted:
                signature = answer.signature_by(parcel.sender, policy_id)
                found.setdefault(policy_id, []).extend([signature] if signature else [])
        return found, sorted(codes)

    def _counts(self, facts: LedgerFacts, item: PolicyPackage, answer: StatementSignature) -> bool:
        """A signature the ledger will count: by a named co-adjudicator of another group, with an active key."""
        final = self._ports.ledger.final
        key = read_key(final.read, answer.key_id)
        member, own = read_participant(final.read, answer.participant), read_participant(final.read, self._ports.me)
        if key is None or member is None or own is None or key.participant != answer.participant:
            return False
        if answer.participant not in facts.policies[item.policy_id].co_adjudicators:
            return False
        if member.control_group == own.control_group or not key.is_active(final.height + 1):
            return False
        try:
            verify_statement(item.statement, answer.signature, key.public_key)
        except (SignatureError, LedgerError, ValueError):
            return False
        return True

    def _own_signature(self, item: PolicyPackage) -> StatementSignature:
        keys = self._ports.keys
        signature = ed25519.sign(keys.signing.secret, statement_message(item.statement)).hex()
        return StatementSignature(keys.participant, keys.key_id, signature)

    async def _submit(self, facts: LedgerFacts, signed: list[SignedStatement]) -> Step:
        key = f"adjudicate/{facts.claim_id}"
        body = ClaimAdjudicate(claim_id=facts.claim_id, statements=tuple(signed))
        progress = await self._submitter.submit_once(key, facts.claim_id, "claim.adjudicate", lambda: body)
        if progress.receipt is None:
            return wait(progress.code)
        self._submitter.settle(key)
        if progress.receipt.code == "ok":
            return AGAIN
        if progress.receipt.code not in RETRIED:
            self.discard(facts.claim_id)
        return wait(progress.receipt.code)


def _one_program(gathered: Gathered) -> str:
    named = {held.contract_hash for held in gathered.policies}
    if len(named) != 1:
        raise CaseError("PROGRAMS_DIFFER", "the policies of this claim are decided by different programs")
    return named.pop()
