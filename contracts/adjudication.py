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
from contracts.claims import is_lease_live, require_own_claim
from contracts.consents import require_granted, require_in_force
from contracts.deadlines import find_turn, is_escalated, put_claim
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
class Mandate:
    """By what right statements decide: the insurer's own, the arbiter's in its place, or the arbiter's ruling.

    `substitute`: the arbiter's signature stands for the insurer's. `free_account`: an account that no live claim leases
    is enough. `judged`: co-adjudicators sign as ever; else the arbiter's word is enough.
    """

    action: str
    attempt: int
    substitute: bool = False
    free_account: bool = False
    judged: bool = True


@dataclass(frozen=True, slots=True)
class _Bench:
    """What every statement of one claim is judged against."""

    claim_id: str
    claim: ClaimState
    consent: ConsentState
    evidence_root: str | None
    pool_id: str
    pool: PoolState
    mandate: Mandate


def apply_adjudicate(operation: Operation, body: ClaimAdjudicate) -> str:
    """`claim.adjudicate` (protocol rules 3 to 6): by the insurer, or by the arbiter once a deadline was escalated."""
    claim = operation.require(ClaimState, body.claim_id, "CLAIM_UNKNOWN")
    if operation.author != claim.insurer and is_arbiter(operation, claim):
        return _apply_substitute(operation, body, claim)
    claim = require_own_claim(operation, body.claim_id)
    consent = require_granted(operation, claim.consent_id, "adjudicate")
    mandate = Mandate("claim.adjudicate", claim.attempt)
    return decide(operation, body.claim_id, claim, consent, body.statements, mandate)


def _apply_substitute(operation: Operation, body: ClaimAdjudicate, claim: ClaimState) -> str:
    consent = require_in_force(operation, claim.consent_id)
    mandate = Mandate("claim.adjudicate/substitute", claim.attempt, substitute=True, free_account=True)
    next_status("claim", claim.status, mandate.action, body.claim_id)
    if not is_escalated(claim, "accept", "decide"):
        raise Refusal("ESCALATION_MISSING", "the insurer still has its time to decide", body.claim_id)
    return decide(operation, body.claim_id, claim, consent, body.statements, mandate)


def is_arbiter(operation: Operation, claim: ClaimState) -> bool:
    """Whether a policy of the claim names the author in `escalation_to`."""
    policies = [operation.require(PolicyState, item.policy_id, "POLICY_UNKNOWN") for item in claim.policies]
    return any(policy.escalation_to == operation.author for policy in policies)


def decide(
    operation: Operation,
    claim_id: str,
    claim: ClaimState,
    consent: ConsentState,
    statements: tuple[SignedStatement, ...],
    mandate: Mandate,
) -> str:
    """One statement for each policy becomes a decision, under `mandate`: payouts, accounts, pool, status."""
    status = next_status("claim", claim.status, mandate.action, claim_id)
    policies = {item.policy_id: item for item in claim.policies}
    named = [item.statement.policy_id for item in statements]
    if len(set(named)) != len(named) or set(named) != set(policies):
        raise Refusal("POLICY_SET_INCOMPLETE", "exactly one statement for each policy of the claim", claim_id)
    if mandate.attempt == claim.attempt:
        _check_rank(operation, claim)
    bench = _prepare(operation, claim_id, claim, consent, mandate)
    for offset, signed in enumerate(statements):
        _apply_statement(operation, bench, signed, policies[signed.statement.policy_id], offset)
    pool = replace(
        bench.pool, version=bench.pool.version + len(statements), commit=statements[-1].statement.pool_commit_out
    )
    operation.put(bench.pool_id, pool)
    payouts = tuple(derive_payout_id(claim_id, policy_id, mandate.attempt) for policy_id in named)
    decided = replace(
        claim,
        status=status,
        attempt=mandate.attempt,
        decided_ms=operation.time_ms,
        payouts=(*claim.payouts, *payouts),
    )
    put_claim(operation, claim_id, decided, replace(claim.lived, suspension=None))
    operation.emit("claim.decided", claim_id)
    for payout_id in payouts:
        operation.emit("payout.authorised", payout_id)
    return claim_id


def _prepare(operation: Operation, claim_id: str, claim: ClaimState, consent: ConsentState, mandate: Mandate) -> _Bench:
    case = operation.require(CaseState, claim.case_id, "CASE_UNKNOWN")
    pool_id = derive_pool_id(claim.case_id)
    pool = operation.require(PoolState, pool_id, "POOL_MISMATCH")
    return _Bench(claim_id, claim, consent, case.evidence_root, pool_id, pool, mandate)


def _check_rank(operation: Operation, claim: ClaimState) -> None:
    """Insurers decide in the consent's order; a rank whose decision clock ran out loses its turn (protocol rule 4)."""
    _, earlier = find_turn(operation, claim)
    if earlier is not None:
        raise Refusal("RANK_NOT_REACHED", f"another insurer decides before rank {claim.rank}", earlier)


def _apply_statement(
    operation: Operation, bench: _Bench, signed: SignedStatement, item: ClaimPolicy, offset: int
) -> None:
    statement = signed.statement
    policy = operation.require(PolicyState, item.policy_id, "POLICY_UNKNOWN")
    account = operation.require(AccountState, item.account_id, "ACCOUNT_MISMATCH")
    _check_claim_fields(operation, bench, statement)
    _check_account(operation, bench, statement, item, account)
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
        ("ATTEMPT_MISMATCH", statement.attempt, bench.mandate.attempt),
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


def _check_account(
    operation: Operation, bench: _Bench, statement: OutcomeStatement, item: ClaimPolicy, account: AccountState
) -> None:
    if statement.account_id != item.account_id:
        raise Refusal("ACCOUNT_MISMATCH", "the account is not the policy's", statement.account_id)
    _check_lease(operation, bench, item, account)
    if statement.account_version_in != account.version:
        raise Refusal("ACCOUNT_VERSION", f"the account is at version {account.version}", item.account_id)


def _check_lease(operation: Operation, bench: _Bench, item: ClaimPolicy, account: AccountState) -> None:
    """The claim holds the lease; for a later decision, or an arbiter, no live claim of others does."""
    if account.lease == bench.claim_id:
        return
    if bench.mandate.free_account and (account.lease is None or not is_lease_live(operation, account.lease)):
        return
    if account.lease is None:
        raise Refusal("LEASE_MISSING", "accept the claim again to lease this account", item.account_id)
    raise Refusal("ACCOUNT_LEASED", "another claim holds this account", account.lease)


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
    """The insurer's own, and `threshold` distinct co-adjudicators outside its group whom the customer let read.

    An arbiter's signature stands for one that was silent beyond its deadline, and for no more than was escalated.
    """
    signers = _verify_signers(operation, signed)
    policy_id, mandate = signed.statement.policy_id, bench.mandate
    if mandate.substitute and policy.escalation_to not in signers:
        raise Refusal("ARBITER_SIGNATURE_MISSING", "who the policy names for escalation signs", policy_id)
    if not mandate.substitute and operation.author not in signers:
        raise Refusal("INSURER_SIGNATURE_MISSING", "the insurer signs its statement", policy_id)
    if not mandate.judged:
        return
    counted = {
        name for name in signers & list_outside(operation, policy) if bench.consent.grants(name, "co-adjudicate")
    }
    if is_escalated(bench.claim, "co_sign"):
        counted |= signers & {policy.escalation_to}
    elif mandate.substitute:
        counted -= {policy.escalation_to}
    if len(counted) < policy.threshold:
        detail = f"{len(counted)} of {policy.threshold} co-adjudicators outside the insurer's group"
        raise Refusal("CO_ADJUDICATOR_MISSING", detail, policy_id)


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
    payout_id = derive_payout_id(bench.claim_id, statement.policy_id, bench.mandate.attempt)
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
