"""The verdict: statements signed by adjudicators become payouts and the next versions of accounts and pool.

Knows what a statement binds and who must have signed it (protocol rule 5); never what it awards: class, sum and
reasons are inside commitments, and no program runs here. Every field is compared with state as it stands in the
block that executes. Must always hold: an account version and a pool version are consumed once, and a claim gets
exactly one statement for each of its policies.
"""

from dataclasses import dataclass

from msgspec import UnsetType
from msgspec.structs import replace

from contracts.bodies import ClaimAdjudicate
from contracts.claims import require_own_claim
from contracts.consents import require_granted
from contracts.errors import Refusal
from contracts.identifiers import derive_payout_id, derive_pool_id, derive_product_hash
from contracts.lifecycle import next_status
from contracts.operations import Operation, read_active_key
from contracts.policies import list_outside
from contracts.statements import OutcomeStatement, SignedStatement, verify_statement
from contracts.states import (
    AccountState,
    CaseState,
    ClaimPolicy,
    ClaimState,
    ConsentState,
    KeyState,
    PayoutState,
    PolicyState,
    PoolState,
)
from ledger.errors import SignatureError


@dataclass(frozen=True, slots=True)
class _Bench:
    """What every statement of one claim is judged against."""

    claim_id: str
    claim: ClaimState
    consent: ConsentState
    evidence_root: str | None
    pool_id: str
    pool: PoolState


def apply_adjudicate(operation: Operation, body: ClaimAdjudicate) -> str:
    """`claim.adjudicate` (protocol rules 3 to 5)."""
    claim = require_own_claim(operation, body.claim_id)
    consent = require_granted(operation, claim.consent_id, "adjudicate")
    status = next_status("claim", claim.status, "claim.adjudicate", body.claim_id)
    policies = {item.policy_id: item for item in claim.policies}
    named = [item.statement.policy_id for item in body.statements]
    if len(set(named)) != len(named) or set(named) != set(policies):
        raise Refusal("POLICY_SET_INCOMPLETE", "exactly one statement for each policy of the claim", body.claim_id)
    _check_rank(operation, claim)
    bench = _prepare(operation, body.claim_id, claim, consent)
    for offset, signed in enumerate(body.statements):
        _apply_statement(operation, bench, signed, policies[signed.statement.policy_id], offset)
    last = body.statements[-1].statement
    operation.put(
        bench.pool_id,
        replace(bench.pool, version=bench.pool.version + len(body.statements), commit=last.pool_commit_out),
    )
    payouts = tuple(derive_payout_id(body.claim_id, policy_id, claim.attempt) for policy_id in named)
    operation.put(body.claim_id, replace(claim, status=status, decided_ms=operation.time_ms, payouts=payouts))
    operation.emit("claim.decided", body.claim_id)
    for payout_id in payouts:
        operation.emit("payout.authorised", payout_id)
    return body.claim_id


def _prepare(operation: Operation, claim_id: str, claim: ClaimState, consent: ConsentState) -> _Bench:
    case = operation.require(CaseState, claim.case_id, "CASE_UNKNOWN")
    pool_id = derive_pool_id(claim.case_id)
    pool = operation.require(PoolState, pool_id, "POOL_MISMATCH")
    return _Bench(claim_id, claim, consent, case.evidence_root, pool_id, pool)


def _check_rank(operation: Operation, claim: ClaimState) -> None:
    """Insurers decide in the consent's order; a rank whose decision clock ran out loses its turn (protocol rule 4).

    The first clock starts when the case is complete, each further one when the rank before decided or timed out.
    """
    case = operation.require(CaseState, claim.case_id, "CASE_UNKNOWN")
    turn = case.complete_ms or 0
    for claim_id in case.claims:
        other = operation.require(ClaimState, claim_id, "CLAIM_UNKNOWN")
        if other.rank >= claim.rank:
            return
        deadline = turn + operation.block.parameters.decide_ms
        if other.decided_ms is None and operation.time_ms <= deadline:
            raise Refusal("RANK_NOT_REACHED", f"rank {other.rank} decides before rank {claim.rank}", claim_id)
        turn = max(turn, min(deadline, other.decided_ms or deadline))


def _apply_statement(
    operation: Operation, bench: _Bench, signed: SignedStatement, item: ClaimPolicy, offset: int
) -> None:
    statement = signed.statement
    policy = operation.require(PolicyState, item.policy_id, "POLICY_UNKNOWN")
    account = operation.require(AccountState, item.account_id, "ACCOUNT_MISMATCH")
    _check_claim_fields(operation, bench, statement)
    _check_account(bench, statement, item, account)
    _check_pool(bench, statement, offset)
    _check_program(statement, item, policy)
    _check_signatures(operation, bench, signed, policy)
    operation.put(
        item.account_id,
        replace(
            account,
            version=account.version + 1,
            commit=statement.account_commit_out,
            cause=f"claim/{bench.claim_id}",
            lease=None,
        ),
    )
    _authorise(operation, bench, statement)


def _check_claim_fields(operation: Operation, bench: _Bench, statement: OutcomeStatement) -> None:
    claim = bench.claim
    expected = (
        ("NETWORK_MISMATCH", statement.network, operation.block.network),
        ("CLAIM_MISMATCH", statement.claim_id, bench.claim_id),
        ("ATTEMPT_MISMATCH", statement.attempt, claim.attempt),
        ("CONSENT_MISMATCH", statement.consent_id, claim.consent_id),
        ("EVIDENCE_MISMATCH", statement.evidence_root, bench.evidence_root),
        ("PAYEE_MISMATCH", statement.payee_commit, bench.consent.payee_commit),
    )
    for code, stated, known in expected:
        if stated != known:
            raise Refusal(code, f"the statement says {stated}, the ledger {known}", statement.policy_id)
    if statement.valid_until < operation.time_ms:
        raise Refusal(
            "STATEMENT_EXPIRED", f"the statement was valid until {statement.valid_until}", statement.policy_id
        )
    if all(item.to != bench.consent.mailbox_key for item in statement.delivered):
        raise Refusal("DELIVERY_MISSING", "no ciphertext for the customer's mailbox key", statement.policy_id)


def _check_account(bench: _Bench, statement: OutcomeStatement, item: ClaimPolicy, account: AccountState) -> None:
    if statement.account_id != item.account_id:
        raise Refusal("ACCOUNT_MISMATCH", "the account is not the policy's", statement.account_id)
    if account.lease is None:
        raise Refusal("LEASE_MISSING", "accept the claim again to lease this account", item.account_id)
    if account.lease != bench.claim_id:
        raise Refusal("ACCOUNT_LEASED", "another claim holds this account", account.lease)
    if statement.account_version_in != account.version:
        raise Refusal("ACCOUNT_VERSION", f"the account is at version {account.version}", item.account_id)


def _check_pool(bench: _Bench, statement: OutcomeStatement, offset: int) -> None:
    if statement.pool_id != bench.pool_id:
        raise Refusal("POOL_MISMATCH", "the loss pool is not the case's", statement.pool_id)
    if statement.pool_version_in != bench.pool.version + offset:
        raise Refusal("POOL_VERSION", f"expected pool version {bench.pool.version + offset}", bench.pool_id)


def _check_program(statement: OutcomeStatement, item: ClaimPolicy, policy: PolicyState) -> None:
    if statement.contract_hash not in item.pinned:
        raise Refusal("CONTRACT_NOT_PINNED", "no version in force when the claim was reported", statement.contract_hash)
    product_hash = derive_product_hash(statement.contract_hash, statement.tables_hash)
    if isinstance(item.versions, UnsetType):
        fits = product_hash == policy.product_hash
    else:
        fits = any(product_hash == version.product_hash for version in item.versions)
    if not fits:
        raise Refusal("PRODUCT_MISMATCH", "the policy commits to other terms", item.policy_id)


def _check_signatures(operation: Operation, bench: _Bench, signed: SignedStatement, policy: PolicyState) -> None:
    """The insurer's own, and `threshold` distinct co-adjudicators outside its group whom the customer let read."""
    signers = _verify_signers(operation, signed)
    if operation.author not in signers:
        raise Refusal("INSURER_SIGNATURE_MISSING", "the insurer signs its statement", signed.statement.policy_id)
    outside = list_outside(operation, policy)
    counted = [name for name in sorted(signers & outside) if bench.consent.grants(name, "co-adjudicate")]
    if len(counted) < policy.threshold:
        detail = f"{len(counted)} of {policy.threshold} co-adjudicators outside the insurer's group"
        raise Refusal("CO_ADJUDICATOR_MISSING", detail, signed.statement.policy_id)


def _verify_signers(operation: Operation, signed: SignedStatement) -> frozenset[str]:
    """The signers whose keys are active at this height. One false signature spoils the statement."""
    names = [(item.participant, item.key_id) for item in signed.signatures]
    if names != sorted(set(names)):
        raise Refusal("SIGNATURE_ORDER", "signatures ascend by participant and key", signed.statement.policy_id)
    active = set()
    for item in signed.signatures:
        key = operation.get(KeyState, item.key_id)
        if key is None or key.participant != item.participant:
            raise Refusal("STATEMENT_SIGNATURE", f"{item.participant} has no such key", signed.statement.policy_id)
        try:
            verify_statement(signed.statement, item.signature, key.public_key)
        except SignatureError:
            detail = f"the signature of {item.participant} does not verify"
            raise Refusal("STATEMENT_SIGNATURE", detail, signed.statement.policy_id) from None
        if read_active_key(operation.block, item.participant, item.key_id) is not None:
            active.add(item.participant)
    return frozenset(active)


def _authorise(operation: Operation, bench: _Bench, statement: OutcomeStatement) -> None:
    payout_id = derive_payout_id(bench.claim_id, statement.policy_id, bench.claim.attempt)
    payout = PayoutState(
        claim_id=bench.claim_id,
        policy_id=statement.policy_id,
        insurer=bench.claim.insurer,
        consent_id=bench.claim.consent_id,
        payee_commit=statement.payee_commit,
        result_commit=statement.result_commit,
        status=next_status("payout", None, "claim.adjudicate", payout_id),
        attempt=0,
        authorised_ms=operation.time_ms,
        order_commit=None,
        settlement_commit=None,
    )
    operation.put(payout_id, payout)
