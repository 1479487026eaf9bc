"""What a co-adjudicator attests by signing: every opening against the ledger, the program run again, the delivery.

Pure: the ledger's facts, the package and the re-run's adjudication come in. The first check that fails refuses the
signature with a code of its own. Must always hold: nothing of the package that a statement depends on is taken on
trust.

`CLAIM_MISMATCH`, `POLICY_SET`, `EVIDENCE_SET`, `DOCUMENT_MISMATCH`, `EVIDENCE_ROOT`, `TERMS_MISMATCH`,
`PROGRAM_NOT_PINNED`, `PRODUCT_MISMATCH`, `VERSION_NOT_IN_FORCE`, `ACCOUNT_MISMATCH`, `ACCOUNT_VERSION`,
`POOL_MISMATCH`, `POOL_VERSION`, `PAYEE_MISMATCH`, `EVENT_DATE_MISMATCH`, `RESULT_DIFFERS`, `RESULT_COMMIT`,
`HOLD_SET`, `EARLIER_SET`, `EARLIER_UNPAID`, `EARLIER_UNKNOWN`, `EARLIER_EFFECT`, `ACCOUNT_OUT`, `POOL_OUT`,
`ACCOUNT_CAPTURE`, `REVIEW_REQUIRED`, `CURRENCY_MISMATCH`, `DELIVERY_MISSING`,
`DELIVERY_MISMATCH`, `STATEMENT_EXPIRED`, `PACKAGE_FORM`, and the codes of CaseError.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import UnsetType

from contracts.cases.building import PolicyInput, event_date_of, expense_total
from contracts.cases.documents import Record, currency_of, pick_invoices
from contracts.cases.errors import CaseError
from contracts.cases.movements import Use, book_outcome, read_balance, reservation_of
from contracts.cases.openings import Opening, open_account, open_result
from contracts.cases.outcomes import Adjudication, review_reasons
from contracts.cases.pools import book_outcome as book_losses
from contracts.cases.pools import check_pool, earlier_attempts, open_pool, read_losses, without
from contracts.commitments import commit
from contracts.errors import ContractError, InputError
from contracts.holdstates import HoldItem
from contracts.identifiers import derive_payout_id, derive_pool_id, derive_product_hash, derive_tables_hash
from contracts.statements import OutcomeStatement
from contracts.states import (
    AccountState,
    CaseState,
    ClaimState,
    ConsentState,
    PayoutState,
    PolicyState,
    PoolState,
    RecordState,
)
from contracts.versions import choose_version
from ledger.errors import DecodeError

MAX_VALIDITY_MS: Final = 10 * 86_400_000
"""A statement is signed for at most the decision clock's ten days."""
DONE_WITH: Final = frozenset({"PAID", "PAID_UNCONTESTED", "NOT_DUE"})
"""Payouts after which the insured has what the decision gave."""


class Mismatch(ContractError):
    """The package is not what the ledger, the documents or the program say: no signature."""


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """What final state says about a claim."""

    network: str
    time_ms: int
    claim_id: str
    claim: ClaimState
    consent: ConsentState
    case: CaseState
    pool: PoolState
    policies: Mapping[str, PolicyState]
    accounts: Mapping[str, AccountState]
    records: Mapping[str, RecordState]
    is_settled: Callable[[str], bool]
    """Whether a payout's settlement is on the ledger, by its id."""
    holds: tuple[HoldItem, ...] = ()
    """What was advanced and guaranteed for the claim."""
    payouts: Mapping[str, PayoutState] = field(default_factory=dict)
    """Those of the claim's earlier attempts."""
    recalled: Mapping[str, Use] | None = None
    """What earlier payouts added to their account, as this reader knows it by itself; None: it takes the word of those
    who signed, where the account does not say so."""


@dataclass(frozen=True, slots=True)
class PolicyPackage:
    """One policy's openings and the statement proposed over them."""

    policy_id: str
    terms: Opening
    tables: dict[str, Any]
    account_in: Opening
    account_out: Opening
    pool_in: Opening
    pool_out: Opening
    event_date: Opening
    result: Opening
    statement: OutcomeStatement
    holds: tuple[Opening, ...] = ()
    earlier: Opening | None = None

    @property
    def input(self) -> PolicyInput:
        """The policy as it enters the case."""
        held = self.statement.attempt == 1
        return PolicyInput(self.policy_id, self.terms, self.tables, self.account_in, self.holds, held, self.earlier)


@dataclass(frozen=True, slots=True)
class Package:
    """All that the insurer discloses of one claim. `released` says that a person released it from review."""

    claim_id: str
    attempt: int
    records: tuple[Record, ...]
    payee: Opening
    policies: tuple[PolicyPackage, ...]
    released: bool


def check_inputs(facts: LedgerFacts, package: Package) -> None:
    """Everything that the re-run depends on. Raises Mismatch."""
    _check_claim(facts, package)
    _check_records(facts, package)
    _check("PAYEE_MISMATCH", _commit("payee", package.payee), facts.consent.payee_commit)
    event_date = event_date_of(package.records)
    for item in package.policies:
        _check_terms(facts, item, event_date)
        _check_account_in(facts, item)
        check_holds(facts.holds, item.policy_id, item.holds)
        check_earlier(facts, item)
    _check_pools(facts, package.policies)


def check_outputs(
    facts: LedgerFacts, package: Package, case: Mapping[str, Any], adjudication: Adjudication, uses: Sequence[Any]
) -> None:
    """Everything that the statements say, against the re-run. `uses` are the accounts after it. Raises Mismatch."""
    if review_reasons(adjudication) and not package.released:
        raise Mismatch("REVIEW_REQUIRED", f"claim {facts.claim_id}: the result asks for a person's review")
    currency = currency_of(pick_invoices(package.records))
    event_date = event_date_of(package.records)
    for position, item in enumerate(package.policies):
        result = adjudication.results[position]
        _check_result(facts, item, currency, result)
        _check("EVENT_DATE_MISMATCH", item.event_date.get("event_date"), event_date)
        _check_commit("EVENT_DATE_MISMATCH", "event-date", item.event_date, item.statement.event_date_commit)
        _check_account_out(facts, item, uses[position])
        _check_pool_out(facts, package, case, position, adjudication)
        _check_statement(facts, item)


def check_delivery(facts: LedgerFacts, item: PolicyPackage, digest: str, decision: Any) -> None:
    """The customer's ciphertext: named in the statement for the mailbox, and holding this result. Raises Mismatch.

    `decision` is what this co-adjudicator opened; the envelope's key commitment makes it what the customer opens.
    """
    named = [entry.ciphertext_digest for entry in item.statement.delivered if entry.to == facts.consent.mailbox_key]
    if not named:
        raise Mismatch("DELIVERY_MISSING", f"policy {item.policy_id}: nothing for the customer's mailbox")
    if digest not in named:
        raise Mismatch("DELIVERY_MISMATCH", f"policy {item.policy_id}: another ciphertext was delivered")
    if not isinstance(decision, dict) or decision.get("result") != item.result:
        raise Mismatch("DELIVERY_MISMATCH", f"policy {item.policy_id}: the customer would read another result")


def check_holds(known: Iterable[HoldItem], policy_id: str, holds: Sequence[Opening]) -> None:
    """Exactly what the ledger holds for this claim and policy, in its order. Raises Mismatch `HOLD_SET`."""
    live = [item for item in known if item.policy_id == policy_id and item.live]
    stated = [(item.get("hold_id"), item.get("kind"), _commit("hold", item)) for item in holds]
    _check("HOLD_SET", stated, [(item.hold_id, item.kind, item.commit) for item in live])


def check_earlier(facts: LedgerFacts, item: PolicyPackage) -> None:
    """What the attempt before gave: the ledger's result, paid, and just what it added to the account.

    Raises Mismatch.
    """
    payout_id = derive_payout_id(facts.claim_id, item.policy_id, facts.claim.attempt - 1)
    payout = facts.payouts.get(payout_id)
    if payout is None:
        _check("EARLIER_SET", item.earlier, None)
        return
    stated = item.earlier or {}
    result = stated.get("result")
    if stated.keys() != {"payout_id", "result", "effect"} or not isinstance(result, dict):
        raise Mismatch("EARLIER_SET", f"policy {item.policy_id}: the attempt before is not opened")
    _check("EARLIER_SET", stated["payout_id"], payout_id)
    _check_commit("EARLIER_SET", "result", result, payout.result_commit)
    if payout.status not in DONE_WITH and result["result"]["net_fen"] > 0:
        raise Mismatch("EARLIER_UNPAID", f"policy {item.policy_id}: the payout of the attempt before is not paid")
    held = reservation_of(read_balance(item.account_in), payout_id)
    known = facts.recalled if held is None else {payout_id: held.effect}
    if known is not None and payout_id not in known:
        raise Mismatch("EARLIER_UNKNOWN", f"policy {item.policy_id}: what the attempt before took is not known here")
    _check("EARLIER_EFFECT", stated["effect"], stated["effect"] if known is None else known[payout_id])


def _check_claim(facts: LedgerFacts, package: Package) -> None:
    _check("CLAIM_MISMATCH", package.claim_id, facts.claim_id)
    _check("CLAIM_MISMATCH", package.attempt, facts.claim.attempt)
    wanted = [item.policy_id for item in facts.claim.policies]
    _check("POLICY_SET", [item.policy_id for item in package.policies], wanted)
    numbers = [item.terms.get("policy_no") for item in package.policies]
    if len(set(map(str, numbers))) != len(numbers):
        raise Mismatch("POLICY_SET", f"claim {facts.claim_id}: two policies under one number")


def _check_records(facts: LedgerFacts, package: Package) -> None:
    _check("EVIDENCE_SET", sorted(record.record_id for record in package.records), sorted(facts.case.records))
    for record in package.records:
        known = facts.records.get(record.record_id)
        if known is None or _document_commitment(record) != known.commitment or record.record_type != known.record_type:
            raise Mismatch("DOCUMENT_MISMATCH", f"record {record.record_id} is not the one that was published")
    for item in package.policies:
        _check("EVIDENCE_ROOT", item.statement.evidence_root, facts.case.evidence_root)


def _document_commitment(record: Record) -> str:
    try:
        return record.commitment
    except (InputError, DecodeError, ValueError):
        return ""


def _check_terms(facts: LedgerFacts, item: PolicyPackage, event_date: str) -> None:
    """Terms, program and tables are those that the policy commits to, in the version of the event's day."""
    policy = facts.policies[item.policy_id]
    _check_commit("TERMS_MISMATCH", "terms", item.terms, policy.terms_commit)
    _check("TERMS_MISMATCH", item.terms.get("policy_id"), item.policy_id)
    tables_hash = derive_tables_hash(item.tables)
    _check("PRODUCT_MISMATCH", item.statement.tables_hash, tables_hash)
    product_hash = derive_product_hash(item.statement.contract_hash, tables_hash)
    pinned = next(entry for entry in facts.claim.policies if entry.policy_id == item.policy_id)
    if item.statement.contract_hash not in pinned.pinned:
        raise Mismatch("PROGRAM_NOT_PINNED", f"policy {item.policy_id}: not in force when the claim was reported")
    if isinstance(pinned.versions, UnsetType):
        _check("PRODUCT_MISMATCH", product_hash, policy.product_hash)
        return
    _check("PRODUCT_MISMATCH", product_hash in {version.product_hash for version in pinned.versions}, True)
    if product_hash != choose_version(pinned.versions, event_date).product_hash:
        raise Mismatch("VERSION_NOT_IN_FORCE", f"policy {item.policy_id}: another release was in force on that day")


def _check_account_in(facts: LedgerFacts, item: PolicyPackage) -> None:
    account_id = facts.policies[item.policy_id].account_id
    account = facts.accounts[account_id]
    _check("ACCOUNT_VERSION", item.account_in.get("version"), account.version)
    _check("ACCOUNT_VERSION", item.statement.account_version_in, account.version)
    _check("ACCOUNT_MISMATCH", item.account_in.get("account_id"), account_id)
    _check("ACCOUNT_MISMATCH", item.statement.account_id, account_id)
    _check_commit("ACCOUNT_MISMATCH", "account-version", item.account_in, account.commit)


def _check_pools(facts: LedgerFacts, policies: Iterable[PolicyPackage]) -> None:
    """The first policy takes the ledger's version, each further one what the one before left."""
    expected, version = facts.pool.commit, facts.pool.version
    for item in policies:
        _check("POOL_VERSION", item.pool_in.get("version"), version)
        _check("POOL_VERSION", item.statement.pool_version_in, version)
        _check("POOL_MISMATCH", item.statement.pool_id, derive_pool_id(facts.claim.case_id))
        _check("POOL_MISMATCH", item.pool_in.get("pool_id"), item.statement.pool_id)
        _check_commit("POOL_MISMATCH", "pool-version", item.pool_in, expected)
        check_pool(item.pool_in)
        expected, version = _commit("pool-version", item.pool_out), version + 1


def _check_result(facts: LedgerFacts, item: PolicyPackage, currency: str, result: Mapping[str, Any]) -> None:
    _check("CURRENCY_MISMATCH", item.result.get("currency"), currency)
    _check("RESULT_DIFFERS", item.result.get("result"), dict(result))
    salt = str(item.result.get("salt"))
    expected = open_result(facts.claim_id, item.policy_id, facts.claim.attempt, currency, dict(result), salt)
    _check("RESULT_COMMIT", item.result, expected)
    _check_commit("RESULT_COMMIT", "result", item.result, item.statement.result_commit)


def _check_account_out(facts: LedgerFacts, item: PolicyPackage, use: Any) -> None:
    """The outcome is booked on what stood before; a reservation ends only with its settlement on the ledger."""
    before = item.input.balance
    try:
        after = read_balance(item.account_out)
    except CaseError:
        raise Mismatch(
            "ACCOUNT_OUT", f"policy {item.policy_id}: the account after the outcome does not add up"
        ) from None
    captured = sorted({one.payout_id for one in before.reserved} - {one.payout_id for one in after.reserved})
    if not all(facts.is_settled(payout_id) for payout_id in captured):
        raise Mismatch("ACCOUNT_CAPTURE", f"policy {item.policy_id}: a payout that is not settled counts as paid")
    balance = book_outcome(before, use, derive_payout_id(facts.claim_id, item.policy_id, facts.claim.attempt), captured)
    salt = str(item.account_out.get("salt"))
    expected = open_account(item.account_in["account_id"], item.account_in["version"] + 1, balance, salt)
    _check("ACCOUNT_OUT", item.account_out, expected)
    _check_commit("ACCOUNT_OUT", "account-version", item.account_out, item.statement.account_commit_out)


def _check_pool_out(
    facts: LedgerFacts, package: Package, case: Mapping[str, Any], position: int, adjudication: Adjudication
) -> None:
    """What the outcome pays, written to its invoices; what an earlier attempt of this claim paid is taken out."""
    item = package.policies[position]
    own = earlier_attempts(facts.claim_id, [one.policy_id for one in package.policies], facts.claim.attempt)
    payout_id = derive_payout_id(facts.claim_id, item.policy_id, facts.claim.attempt)
    paid_fen = expense_total(dict(case), position, adjudication.results[position])
    before = without(read_losses(item.pool_in), own)
    losses = book_losses(before, dict(case), position, paid_fen, adjudication.trace, payout_id)
    salt = str(item.pool_out.get("salt"))
    _check("POOL_OUT", item.pool_out, open_pool(facts.claim.case_id, item.pool_in["version"] + 1, losses, salt))
    _check_commit("POOL_OUT", "pool-version", item.pool_out, item.statement.pool_commit_out)


def _check_statement(facts: LedgerFacts, item: PolicyPackage) -> None:
    statement = item.statement
    stated = (statement.network, statement.claim_id, statement.attempt, statement.consent_id, statement.policy_id)
    claim = facts.claim
    known = (facts.network, facts.claim_id, claim.attempt, claim.consent_id, item.policy_id)
    _check("CLAIM_MISMATCH", stated, known)
    _check("PAYEE_MISMATCH", statement.payee_commit, facts.consent.payee_commit)
    if not facts.time_ms <= statement.valid_until <= facts.time_ms + MAX_VALIDITY_MS:
        raise Mismatch("STATEMENT_EXPIRED", f"policy {item.policy_id}: valid until {statement.valid_until}")


def _commit(kind: Any, opening: Mapping[str, Any]) -> str:
    """The commitment of a received opening; empty, and so unequal to any, where it cannot be one."""
    try:
        return commit(kind, opening)
    except (InputError, DecodeError):
        return ""


def _check_commit(code: str, kind: Any, opening: Mapping[str, Any], expected: str) -> None:
    _check(code, _commit(kind, opening), expected)


def _check(code: str, stated: Any, known: Any) -> None:
    """Equality. The values stay out of the message: they can be amounts."""
    if stated != known:
        raise Mismatch(code, "the package and the ledger, documents or program disagree")
