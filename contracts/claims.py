"""Claims: one insurer's part of one case, from the report to the close. The decision itself is in adjudication.

A claim is made by the ledger, never by an author. Accepting it leases the account of each policy, so that claims
on one account are decided one after the other; a lease ends with the decision, when the consent is no longer in
force, or when the decision clock ran out (judged when somebody else asks for the account). Must always hold: an
account is leased to one claim at a time.
"""

from msgspec.structs import replace

from contracts.bodies import ClaimAccept, ClaimClose
from contracts.consentforce import is_over
from contracts.consents import require_in_force
from contracts.deadlines import is_decision_late, put_claim
from contracts.errors import Refusal
from contracts.holdstates import GuaranteeState, HoldsState
from contracts.identifiers import derive_claim_id
from contracts.lifecycle import is_possible, next_status
from contracts.operations import Operation
from contracts.policies import list_outside
from contracts.releases import pin_release
from contracts.states import (
    AccountState,
    CaseState,
    ClaimPolicy,
    ClaimState,
    ConsentState,
    PayoutState,
    PolicyState,
)

DAY_MS = 86_400_000
FIRST_ATTEMPT = 1
PAID_STATUSES = frozenset({"PAID", "PAID_UNCONTESTED"})
"""Payouts with which a claim can close: the payee said so, or did not say otherwise in time."""
DONE_STATUSES = PAID_STATUSES | {"NOT_DUE", "RESTORED"}
"""Those, and what earlier attempts of a reopened claim left behind."""


def apply_report(operation: Operation, case_id: str, consent: ConsentState) -> None:
    """REPORTED for every insurer whose policies the consent lists, in the order of rank (protocol rule 3)."""
    case = operation.require(CaseState, case_id, "CASE_UNKNOWN")
    policies = [
        (policy_id, operation.require(PolicyState, policy_id, "POLICY_UNKNOWN")) for policy_id in consent.policy_ids
    ]
    claims = []
    for grantee in sorted(consent.grantees, key=lambda item: item.rank or 0):
        own = [(policy_id, policy) for policy_id, policy in policies if policy.insurer == grantee.participant]
        if own and grantee.rank is not None:
            claims.append(_report_one(operation, case_id, case.consent_id, grantee.participant, grantee.rank, own))
    reported = replace(
        case,
        status=next_status("case", case.status, "ledger.report", case_id),
        claims=tuple(claims),
        reported_ms=operation.time_ms,
    )
    operation.put(case_id, reported)


def apply_accept(operation: Operation, body: ClaimAccept) -> str:
    """`claim.accept`: the insurer takes the claim and the lease on each account (protocol rule 3)."""
    claim = require_own_claim(operation, body.claim_id)
    require_in_force(operation, claim.consent_id)
    status = next_status("claim", claim.status, "claim.accept", body.claim_id)
    versions = {item.policy_id: item.account_version for item in body.leases}
    if len(versions) != len(body.leases) or set(versions) != {item.policy_id for item in claim.policies}:
        raise Refusal("POLICY_SET_INCOMPLETE", "one lease for each policy of the claim", body.claim_id)
    taken = [_take_lease(operation, body.claim_id, item, versions[item.policy_id]) for item in claim.policies]
    if not any(taken):
        raise Refusal("WRONG_STATE", "the claim holds every lease already", body.claim_id)
    accepted = replace(
        claim,
        status=status,
        accepted_ms=operation.time_ms if claim.accepted_ms is None else claim.accepted_ms,
        escalation_digest=body.escalation_digest,
    )
    put_claim(operation, body.claim_id, accepted)
    operation.emit("claim.accepted", body.claim_id)
    case = operation.require(CaseState, claim.case_id, "CASE_UNKNOWN")
    if case.complete_ms is not None and status == "FILED":
        apply_complete(operation, body.claim_id)
    return body.claim_id


def apply_complete(operation: Operation, claim_id: str) -> None:
    """EVIDENCE_COMPLETE, if the claim waits for evidence; one that is not accepted yet waits for that, a suspended one
    remembers it. A clock that ran before goes on."""
    claim = operation.require(ClaimState, claim_id, "CLAIM_UNKNOWN")
    life = claim.lived
    waits = claim.status if life.suspension is None else life.suspension.status
    if waits not in ("FILED", "EVIDENCE_PENDING"):
        return
    status = next_status("claim", claim.status, "ledger.complete", claim_id)
    if life.suspension is not None:
        life = replace(life, suspension=replace(life.suspension, status="EVIDENCE_COMPLETE"))
    ready_ms = operation.time_ms if claim.ready_ms is None else claim.ready_ms
    put_claim(operation, claim_id, replace(claim, status=status, ready_ms=ready_ms), life)
    operation.emit("claim.ready", claim_id)


def apply_close(operation: Operation, body: ClaimClose) -> str:
    """`claim.close`: every payout is paid, or was never due in the word of a co-adjudicator (protocol rule 8)."""
    claim = require_own_claim(operation, body.claim_id)
    status = next_status("claim", claim.status, "claim.close", body.claim_id)
    for payout_id in claim.payouts:
        payout = operation.require(PayoutState, payout_id, "PAYOUT_UNKNOWN")
        if payout.status not in DONE_STATUSES:
            _close_unpaid(operation, payout_id, payout)
    _check_holds(operation, body.claim_id)
    operation.put(body.claim_id, replace(claim, status=status, closed_ms=operation.time_ms))
    operation.emit("claim.closed", body.claim_id)
    return body.claim_id


def _check_holds(operation: Operation, claim_id: str) -> None:
    """What was advanced is paid, and no hospital holds a guarantee that was neither drawn nor released."""
    holds = operation.get(HoldsState, claim_id)
    for item in holds.items if holds else ():
        if item.kind == "advance":
            payout = operation.require(PayoutState, item.hold_id, "PAYOUT_UNKNOWN")
            if payout.status not in PAID_STATUSES:
                raise Refusal("PAYOUT_OPEN", f"this advance is {payout.status}", item.hold_id)
        elif operation.require(GuaranteeState, item.hold_id, "GUARANTEE_UNKNOWN").status == "ISSUED":
            raise Refusal("GUARANTEE_OPEN", "neither drawn nor released", item.hold_id)


def require_own_claim(operation: Operation, claim_id: str) -> ClaimState:
    """A claim of the author. Raises Refusal `CLAIM_UNKNOWN`, `NOT_THE_INSURER`."""
    claim = operation.require(ClaimState, claim_id, "CLAIM_UNKNOWN")
    if claim.insurer != operation.author:
        raise Refusal("NOT_THE_INSURER", f"the claim is not one of {operation.author}", claim_id)
    return claim


def _report_one(
    operation: Operation,
    case_id: str,
    consent_id: str,
    insurer: str,
    rank: int,
    policies: list[tuple[str, PolicyState]],
) -> str:
    claim_id = derive_claim_id(case_id, insurer)
    claim = ClaimState(
        case_id=case_id,
        consent_id=consent_id,
        insurer=insurer,
        rank=rank,
        status=next_status("claim", None, "ledger.report", claim_id),
        policies=tuple(_pin(operation, policy_id, policy) for policy_id, policy in policies),
        attempt=FIRST_ATTEMPT,
        reported_ms=operation.time_ms,
        accepted_ms=None,
        ready_ms=None,
        decided_ms=None,
        closed_ms=None,
        escalation_digest=None,
        payouts=(),
    )
    operation.put(claim_id, claim)
    operation.emit("claim.reported", claim_id)
    return claim_id


def _pin(operation: Operation, policy_id: str, policy: PolicyState) -> ClaimPolicy:
    """The policy with what may decide: releases of the insurer's own line, or the network's programs (rule 5)."""
    versions = pin_release(operation, policy, operation.time_ms - policy.look_back_days * DAY_MS)
    if versions:
        pinned = tuple(sorted({item.contract_hash for item in versions}))
        return ClaimPolicy(policy_id, policy.account_id, pinned, versions)
    return ClaimPolicy(policy_id, policy.account_id, _pin_programs(operation, policy))


def _pin_programs(operation: Operation, policy: PolicyState) -> tuple[str, ...]:
    """The versions in force at some time in [report - look-back, report]; a later activation never enters."""
    earliest = operation.time_ms - policy.look_back_days * DAY_MS
    return tuple(
        program.contract_hash
        for program in operation.programs()
        if program.active_from_ms <= operation.time_ms
        and (program.active_until_ms is None or program.active_until_ms > earliest)
    )


def _take_lease(operation: Operation, claim_id: str, item: ClaimPolicy, version: int) -> bool:
    """Lease the account at its current version. False if the claim holds that lease already."""
    account = operation.require(AccountState, item.account_id, "ACCOUNT_UNKNOWN")
    if account.lease is not None and account.lease != claim_id and is_lease_live(operation, account.lease):
        raise Refusal("ACCOUNT_LEASED", "another claim on this account comes first", account.lease)
    if account.version != version:
        raise Refusal("ACCOUNT_VERSION", f"the account is at version {account.version}", item.account_id)
    if account.lease == claim_id:
        return False
    operation.put(item.account_id, replace(account, lease=claim_id))
    return True


def is_lease_live(operation: Operation, claim_id: str) -> bool:
    """Whether the claim that leases an account can still be decided: consent in force, decision clock not run out."""
    claim = operation.require(ClaimState, claim_id, "CLAIM_UNKNOWN")
    consent = operation.require(ConsentState, claim.consent_id, "CONSENT_MISSING")
    if is_over(consent, operation.time_ms):
        return False
    return not is_decision_late(operation.block.parameters, claim, operation.time_ms)


def _close_unpaid(operation: Operation, payout_id: str, payout: PayoutState) -> None:
    if not is_possible("payout", payout.status, "claim.close"):
        raise Refusal("PAYOUT_OPEN", f"this payout is {payout.status}", payout_id)
    policy = operation.require(PolicyState, payout.policy_id, "POLICY_UNKNOWN")
    consent = operation.require(ConsentState, payout.consent_id, "CONSENT_MISSING")
    heard = operation.speaker.endorsers & list_outside(operation, policy)
    if not any(consent.grants(name, "co-adjudicate") for name in heard):
        raise Refusal("CO_ADJUDICATOR_MISSING", "nothing due: a co-adjudicator outside the group endorses", payout_id)
    operation.put(payout_id, replace(payout, status=next_status("payout", payout.status, "claim.close", payout_id)))
