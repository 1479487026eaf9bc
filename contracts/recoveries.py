"""What was advanced beyond the decision, on its way back to the insurer.

The ledger does not know the sum: a co-adjudicator outside the insurer's group opened it. Must always hold (protocol
rule 8): nothing is set off against another payout without the customer's own signature, and without it nothing counts
as recovered before 30 days of notice are over.
"""

from typing import Final

from msgspec.structs import replace

from contracts.accounts import check_endorsed
from contracts.claims import require_own_claim
from contracts.consents import token_refusal
from contracts.errors import Refusal, TokenError
from contracts.holdbodies import RecoveryOpen, RecoverySettle
from contracts.holdlife import next_hold_status
from contracts.holds import is_taken_over, require_claim_policy, take_movement
from contracts.holdstates import HoldsState, RecoveryState
from contracts.identifiers import derive_payout_id, derive_recovery_id
from contracts.operations import Operation
from contracts.states import ClaimState, ConsentState, PayoutState, PolicyState
from contracts.tokens import decode_recovery_word

NOTICE_MS: Final = 30 * 86_400_000
"""From the block that opens a recovery; the opening is in the customer's mailbox then."""
PAID: Final = frozenset({"PAID", "PAID_UNCONTESTED"})


def apply_open(operation: Operation, body: RecoveryOpen) -> str:
    """`recovery.open`: once for each policy and decision, after an advance or an earlier attempt that was paid."""
    claim = require_own_claim(operation, body.claim_id)
    next_hold_status("claim", claim.status, "recovery.open", body.claim_id)
    require_claim_policy(claim, body.claim_id, body.policy_id)
    holds = operation.get(HoldsState, body.claim_id) or HoldsState(())
    advanced = any(item.kind == "advance" and item.policy_id == body.policy_id for item in holds.items)
    if not advanced and not _is_paid_before(operation, claim, body):
        raise Refusal("NOTHING_ADVANCED", "no advance or earlier attempt was paid under this policy", body.claim_id)
    recovery_id = derive_recovery_id(body.claim_id, body.policy_id, claim.attempt)
    known = operation.get(RecoveryState, recovery_id)
    status = next_hold_status("recovery", known.status if known else None, "recovery.open", recovery_id)
    policy = operation.require(PolicyState, body.policy_id, "POLICY_UNKNOWN")
    consent = operation.require(ConsentState, claim.consent_id, "CONSENT_MISSING")
    check_endorsed(operation, policy, consent, body.policy_id)
    _move_account(operation, body, claim, recovery_id)
    recovery = RecoveryState(
        claim_id=body.claim_id,
        policy_id=body.policy_id,
        insurer=claim.insurer,
        consent_id=claim.consent_id,
        commit=body.recovery_commit,
        status=status,
        opened_ms=operation.time_ms,
        settlement_commit=None,
        set_off_payout=None,
    )
    operation.put(recovery_id, recovery)
    operation.emit("recovery.opened", recovery_id)
    return recovery_id


def apply_settle(operation: Operation, body: RecoverySettle) -> str:
    """`recovery.settle`: the whole sum, in the customer's word, or paid and in the word of who paid."""
    recovery = operation.require(RecoveryState, body.recovery_id, "RECOVERY_UNKNOWN")
    if recovery.insurer != operation.author:
        raise Refusal("NOT_THE_INSURER", f"the recovery is not one of {operation.author}", body.recovery_id)
    status = next_hold_status("recovery", recovery.status, "recovery.settle", body.recovery_id)
    if (body.set_off_payout is not None) != (body.way == "set_off"):
        raise Refusal("SET_OFF_PAYOUT", "a set-off names the payout it is taken from", body.recovery_id)
    if body.token is not None:
        _check_token(operation, body, recovery)
    elif body.way == "set_off":
        raise Refusal("SET_OFF_UNSIGNED", "nothing is set off without the customer's signature", body.recovery_id)
    else:
        _check_payer(operation, recovery, body.recovery_id)
    if body.set_off_payout is not None:
        _check_set_off(operation, recovery, body.set_off_payout)
    settled = replace(
        recovery, status=status, settlement_commit=body.settlement_commit, set_off_payout=body.set_off_payout
    )
    operation.put(body.recovery_id, settled)
    operation.emit("recovery.settled", body.recovery_id)
    return body.recovery_id


def _is_paid_before(operation: Operation, claim: ClaimState, body: RecoveryOpen) -> bool:
    """Whether a decision took the place of one that was paid under this policy."""
    if claim.decided_ms is None:
        return False
    names = [derive_payout_id(body.claim_id, body.policy_id, number) for number in range(1, claim.attempt)]
    states = [operation.get(PayoutState, name) for name in names]
    return any(state is not None and state.status in PAID for state in states)


def _move_account(operation: Operation, body: RecoveryOpen, claim: ClaimState, recovery_id: str) -> None:
    """The account without the advances, where no decision took their reservations over."""
    if is_taken_over(claim):
        if body.account_version is not None or body.account_commit is not None:
            raise Refusal("ACCOUNT_MISMATCH", "the decision took the reservations over", body.claim_id)
        return
    if body.account_version is None or body.account_commit is None:
        raise Refusal("ACCOUNT_VERSION", "a withdrawn claim gives its advances' reservations back", body.claim_id)
    account_id = require_claim_policy(claim, body.claim_id, body.policy_id).account_id
    cause = f"recovery/{recovery_id}"
    take_movement(operation, account_id, body.claim_id, body.account_version, body.account_commit, cause)
    operation.emit("account.amended", account_id)


def _check_token(operation: Operation, body: RecoverySettle, recovery: RecoveryState) -> None:
    """The customer's word over this settlement. A revoked consent can still sign what concerns its own money."""
    assert body.token is not None
    consent = operation.require(ConsentState, recovery.consent_id, "CONSENT_MISSING")
    try:
        token = decode_recovery_word(body.token, consent.key)
    except TokenError as error:
        raise token_refusal(error) from None
    if token.network != operation.block.network:
        raise Refusal("NETWORK_MISMATCH", f"the token is for {token.network}", body.recovery_id)
    signed = (token.consent_id, token.recovery_id, token.way, token.settlement_commit, token.set_off_payout)
    meant = (recovery.consent_id, body.recovery_id, body.way, body.settlement_commit, body.set_off_payout)
    if signed != meant:
        raise Refusal("RECOVERY_MISMATCH", "the customer signed for another settlement", body.recovery_id)


def _check_payer(operation: Operation, recovery: RecoveryState, recovery_id: str) -> None:
    """Somebody else than the insurer's own group says that the money came, after the time of notice."""
    if operation.time_ms < recovery.opened_ms + NOTICE_MS:
        raise Refusal("NOTICE_RUNNING", "30 days of notice come before a recovery", recovery_id)
    group = operation.participant(recovery.insurer).control_group
    if not any(operation.is_outside(name, group) for name in operation.speaker.endorsers):
        raise Refusal("PAYER_MISSING", "neither the customer nor a payer says that it was paid", recovery_id)


def _check_set_off(operation: Operation, recovery: RecoveryState, payout_id: str) -> None:
    """The payout is this insurer's to this customer, and not ordered yet: what is ordered is on its way."""
    payout = operation.require(PayoutState, payout_id, "PAYOUT_UNKNOWN")
    if payout.insurer != recovery.insurer or payout.consent_id != recovery.consent_id:
        raise Refusal("SET_OFF_PAYOUT", "the payout is not this insurer's to this customer", payout_id)
    if payout.status not in ("AUTHORISED", "FAILED"):
        raise Refusal("SET_OFF_PAYOUT", f"the payout is {payout.status}", payout_id)
