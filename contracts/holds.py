"""Money before the decision: advances during a stay, and guarantees to its hospital.

Both reserve inside the policy's account, so they are versions of it with a cause of their own, made by insurer and
co-adjudicators together (protocol rules 3 and 8); the decision takes the reservation over. Knows who must have agreed
and what it was computed from, never a sum. Must always hold: nothing is advanced or guaranteed after the stay's
evidence is complete, from a record the commission did not accept, or while another claim holds the account.
"""

from typing import Final

from msgspec.structs import replace

from contracts.accounts import check_endorsed
from contracts.claims import FIRST_ATTEMPT, is_lease_live, require_own_claim
from contracts.consents import require_granted
from contracts.errors import Refusal
from contracts.holdbodies import AdvancePay, GuaranteeIssue
from contracts.holdlife import next_hold_status
from contracts.holdstates import GuaranteeState, HoldItem, HoldKind, HoldsState
from contracts.identifiers import derive_hold_id
from contracts.lifecycle import next_status
from contracts.operations import Operation
from contracts.states import (
    AccountState,
    CaseState,
    ClaimPolicy,
    ClaimState,
    ConsentState,
    PayoutState,
    PolicyState,
    RecordState,
)

MAX_HOLDS: Final = 64
"""Of one claim: one for each week of a stay of more than a year. Each is a reservation, of which an account has 64."""
MAX_VALIDITY_MS: Final = 366 * 86_400_000
"""A letter that is needed for longer than a year is issued anew."""
INTERIM: Final = "interim"


def apply_advance(operation: Operation, body: AdvancePay) -> str:
    """`advance.pay`: reserves, and authorises a payout with the advance's own id."""
    claim, consent = _require_open(operation, body.claim_id, "advance.pay")
    item, holds = _require_new(operation, body, claim, "advance")
    _move_account(operation, body, claim, consent, item.hold_id, "advance")
    operation.put(body.claim_id, replace(holds, items=(*holds.items, item)))
    payout = PayoutState(
        claim_id=body.claim_id,
        policy_id=body.policy_id,
        insurer=claim.insurer,
        consent_id=claim.consent_id,
        payee_commit=consent.payee_commit,
        result_commit=body.hold_commit,
        status=next_status("payout", None, "claim.adjudicate", item.hold_id),
        attempt=0,
        authorised_ms=operation.time_ms,
        order_commit=None,
        settlement_commit=None,
    )
    operation.put(item.hold_id, payout)
    operation.emit("advance.paid", body.claim_id)
    operation.emit("payout.authorised", item.hold_id)
    return item.hold_id


def apply_issue(operation: Operation, body: GuaranteeIssue) -> str:
    """`guarantee.issue`: reserves for the hospital of the record; one live letter for each policy of a claim."""
    claim, consent = _require_open(operation, body.claim_id, "guarantee.issue")
    item, holds = _require_new(operation, body, claim, "guarantee")
    if any(one.kind == "guarantee" and one.policy_id == body.policy_id and one.live for one in holds.items):
        raise Refusal("GUARANTEE_OPEN", "a guarantee for this policy is in force", body.claim_id)
    if not operation.time_ms < body.valid_to_ms <= operation.time_ms + MAX_VALIDITY_MS:
        raise Refusal("GUARANTEE_PERIOD", f"a guarantee ends later than now, within {MAX_VALIDITY_MS} ms")
    _move_account(operation, body, claim, consent, item.hold_id, "guarantee")
    operation.put(body.claim_id, replace(holds, items=(*holds.items, item)))
    record = operation.require(RecordState, body.record_id, "RECORD_UNKNOWN")
    guarantee = GuaranteeState(
        claim_id=body.claim_id,
        policy_id=body.policy_id,
        insurer=claim.insurer,
        hospital=record.hospital,
        consent_id=claim.consent_id,
        commit=body.hold_commit,
        status=next_hold_status("guarantee", None, "guarantee.issue", item.hold_id),
        issued_ms=operation.time_ms,
        valid_to_ms=body.valid_to_ms,
        draw_commit=None,
        drawn_ms=None,
        batch_id=None,
    )
    operation.put(item.hold_id, guarantee)
    operation.emit("guarantee.issued", item.hold_id)
    return item.hold_id


def require_claim_policy(claim: ClaimState, claim_id: str, policy_id: str) -> ClaimPolicy:
    """The claim's entry of a policy. Raises Refusal `POLICY_NOT_CLAIMED`."""
    found = next((item for item in claim.policies if item.policy_id == policy_id), None)
    if found is None:
        raise Refusal("POLICY_NOT_CLAIMED", "the claim was not reported under this policy", claim_id)
    return found


def is_taken_over(claim: ClaimState) -> bool:
    """Whether a decision took the claim's reservations over: the account holds nothing of them any more."""
    return claim.decided_ms is not None or claim.attempt > FIRST_ATTEMPT


def take_movement(
    operation: Operation, account_id: str, claim_id: str, version: int, commitment: str, cause: str
) -> None:
    """The next version of an account that this claim or nobody holds. The lease stays as it is."""
    account = operation.require(AccountState, account_id, "ACCOUNT_UNKNOWN")
    if account.lease not in (None, claim_id) and is_lease_live(operation, str(account.lease)):
        raise Refusal("ACCOUNT_LEASED", "another claim on this account comes first", account.lease)
    if account.version != version:
        raise Refusal("ACCOUNT_VERSION", f"the account is at version {account.version}", account_id)
    operation.put(account_id, replace(account, version=version + 1, commit=commitment, cause=cause))


def _require_open(operation: Operation, claim_id: str, action: str) -> tuple[ClaimState, ConsentState]:
    """A claim of the author whose stay is not over, and which decides first."""
    claim = require_own_claim(operation, claim_id)
    consent = require_granted(operation, claim.consent_id, "pay")
    next_hold_status("claim", claim.status, action, claim_id)
    case = operation.require(CaseState, claim.case_id, "CASE_UNKNOWN")
    if case.complete_ms is not None:
        raise Refusal("STAY_OVER", "the evidence is complete: the claim is decided", claim_id)
    if case.claims[0] != claim_id:
        raise Refusal("RANK_NOT_REACHED", "only the insurer that decides first pays in advance", case.claims[0])
    return claim, consent


def _require_new(
    operation: Operation, body: AdvancePay | GuaranteeIssue, claim: ClaimState, kind: HoldKind
) -> tuple[HoldItem, HoldsState]:
    """The hold as the claim's list will have it: on an accepted interim record not used for its like before."""
    require_claim_policy(claim, body.claim_id, body.policy_id)
    record = operation.require(RecordState, body.record_id, "RECORD_UNKNOWN")
    if record.case_id != claim.case_id:
        raise Refusal("CASE_MISMATCH", "this record belongs to another case", body.record_id)
    if record.record_type != INTERIM:
        raise Refusal("INTERIM_RECORD", f"a record of type {record.record_type}", body.record_id)
    if record.status != "ACCEPTED":
        raise Refusal("RECORD_NOT_ACCEPTED", f"this record is {record.status}", body.record_id)
    holds = operation.get(HoldsState, body.claim_id) or HoldsState(())
    if len(holds.items) >= MAX_HOLDS:
        raise Refusal("HOLDS_FULL", f"at most {MAX_HOLDS} for one claim", body.claim_id)
    same = [one for one in holds.items if one.kind == kind and one.policy_id == body.policy_id]
    used = next((one for one in same if one.record_id == body.record_id), None)
    if used is not None:
        raise Refusal("INTERIM_USED", "this record was used before", used.hold_id)
    hold_id = derive_hold_id(kind, body.claim_id, body.policy_id, len(same) + 1)
    return HoldItem(hold_id, kind, body.policy_id, body.record_id, body.hold_commit, live=True), holds


def _move_account(
    operation: Operation,
    body: AdvancePay | GuaranteeIssue,
    claim: ClaimState,
    consent: ConsentState,
    hold_id: str,
    kind: HoldKind,
) -> None:
    account_id = require_claim_policy(claim, body.claim_id, body.policy_id).account_id
    policy = operation.require(PolicyState, body.policy_id, "POLICY_UNKNOWN")
    cause = f"{kind}/{hold_id}"
    take_movement(operation, account_id, body.claim_id, body.account_version, body.account_commit, cause)
    check_endorsed(operation, policy, consent, account_id)
    operation.emit("account.amended", account_id)
