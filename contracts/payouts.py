"""Payouts: ordered before the payment leaves, settled when the bank booked it, paid when the payee says so.

What the bank refused or sent back FAILED, and only then is there another attempt; a bank that says nothing leaves a
payout ORDERED for ever. A payee who does not find the money contests the settlement within `contest_ms` of its block;
after that anybody may write down that the time is over.

The ledger can award and expose, it cannot pay: amounts and bank references are commitments. Must always hold: a
payout is ordered only for a decided claim, each order and settlement names the attempt it belongs to, and only
the payee's own key makes a payout PAID or sends it to another account (protocol rule 8).
"""

from msgspec import UNSET
from msgspec.structs import replace

from contracts.bodies import PayoutAck, PayoutContest, PayoutFail, PayoutLapse, PayoutOrder, PayoutSettle
from contracts.consentbases import check_speaks
from contracts.consents import token_refusal
from contracts.errors import Refusal, TokenError
from contracts.lifecycle import next_status
from contracts.operations import Operation
from contracts.states import ClaimState, ConsentState, PayoutState
from contracts.tokens import (
    Acknowledgement,
    decode_acknowledgement,
    decode_contest,
    decode_payee_change,
    peek_acknowledgement,
    peek_contest,
)


def apply_order(operation: Operation, body: PayoutOrder) -> str:
    """`payout.order`: on the ledger before the payment file leaves; again only after the attempt before it failed."""
    payout = _require_own_payout(operation, body.payout_id)
    status = next_status("payout", payout.status, "payout.order", body.payout_id)
    if body.attempt != payout.attempt + 1:
        raise Refusal("ATTEMPT_MISMATCH", f"the next attempt is {payout.attempt + 1}", body.payout_id)
    ordered = replace(
        payout,
        status=status,
        attempt=body.attempt,
        order_commit=body.order_commit,
        settlement_commit=None,
        settled_ms=UNSET,
        payee_commit=_read_payee(operation, body, payout),
    )
    operation.put(body.payout_id, ordered)
    operation.emit("payout.ordered", body.payout_id)
    return body.payout_id


def apply_settle(operation: Operation, body: PayoutSettle) -> str:
    """`payout.settle`: the insurer claims that the bank booked this attempt; after a contest with another proof."""
    payout = _require_own_payout(operation, body.payout_id)
    status = next_status("payout", payout.status, "payout.settle", body.payout_id)
    if body.attempt != payout.attempt:
        raise Refusal("ATTEMPT_MISMATCH", f"attempt {payout.attempt} was ordered", body.payout_id)
    if body.settlement_commit == payout.settlement_commit:
        raise Refusal("SETTLEMENT_REPEATED", "the payee contested this settlement", body.payout_id)
    settled = replace(payout, status=status, settlement_commit=body.settlement_commit, settled_ms=operation.time_ms)
    operation.put(body.payout_id, settled)
    operation.emit("payout.settled", body.payout_id)
    return body.payout_id


def apply_fail(operation: Operation, body: PayoutFail) -> str:
    """`payout.fail`: the bank refused this attempt or sent it back. Nothing reserved is released by it."""
    payout = _require_own_payout(operation, body.payout_id)
    status = next_status("payout", payout.status, "payout.fail", body.payout_id)
    if body.attempt != payout.attempt:
        raise Refusal("ATTEMPT_MISMATCH", f"attempt {payout.attempt} was ordered", body.payout_id)
    operation.put(body.payout_id, replace(payout, status=status, bank_commit=body.bank_commit))
    operation.emit("payout.failed", body.payout_id)
    return body.payout_id


def apply_ack(operation: Operation, body: PayoutAck) -> str:
    """`payout.ack`: the payee's token over this settlement. Relayed by anyone; a revoked consent can still sign."""
    try:
        claimed = peek_acknowledgement(body.token)
        payout = operation.require(PayoutState, claimed.payout_id, "PAYOUT_UNKNOWN")
        consent = operation.require(ConsentState, payout.consent_id, "CONSENT_MISSING")
        token = decode_acknowledgement(body.token, consent.key)
    except TokenError as error:
        raise token_refusal(error) from None
    status = next_status("payout", payout.status, "payout.ack", token.payout_id)
    _check_token(operation, token, payout)
    operation.put(token.payout_id, replace(payout, status=status))
    operation.emit("payout.paid", token.payout_id)
    return token.payout_id


def apply_contest(operation: Operation, body: PayoutContest) -> str:
    """`payout.contest`: the payee's token that the money of this settlement did not arrive, in time."""
    try:
        claimed = peek_contest(body.token)
        payout = operation.require(PayoutState, claimed.payout_id, "PAYOUT_UNKNOWN")
        consent = operation.require(ConsentState, payout.consent_id, "CONSENT_MISSING")
        token = decode_contest(body.token, consent.key)
    except TokenError as error:
        raise token_refusal(error) from None
    status = next_status("payout", payout.status, "payout.contest", token.payout_id)
    _check_token(operation, token, payout)
    if _is_window_over(operation, payout):
        raise Refusal("CONTEST_LATE", "the time to contest this settlement is over", token.payout_id)
    operation.put(token.payout_id, replace(payout, status=status))
    operation.emit("payout.contested", token.payout_id)
    return token.payout_id


def apply_lapse(operation: Operation, body: PayoutLapse) -> str:
    """`payout.lapse`: the payee's time is over without a word. By anybody: nobody can keep a claim open by silence."""
    payout = operation.require(PayoutState, body.payout_id, "PAYOUT_UNKNOWN")
    status = next_status("payout", payout.status, "payout.lapse", body.payout_id)
    if not _is_window_over(operation, payout):
        raise Refusal("LAPSE_EARLY", "the payee can still answer", body.payout_id)
    operation.put(body.payout_id, replace(payout, status=status))
    operation.emit("payout.lapsed", body.payout_id)
    return body.payout_id


def _is_window_over(operation: Operation, payout: PayoutState) -> bool:
    """Whether block time is past the last millisecond in which this settlement can be contested."""
    assert isinstance(payout.settled_ms, int), "what is settled has the time of its block"
    return operation.time_ms > payout.settled_ms + operation.block.parameters.contest_ms


def _read_payee(operation: Operation, body: PayoutOrder, payout: PayoutState) -> str:
    """The commitment of the account to be paid: as before, or what the payee signed for this very attempt."""
    if not isinstance(body.payee_token, str):
        return payout.payee_commit
    consent = operation.require(ConsentState, payout.consent_id, "CONSENT_MISSING")
    try:
        token = decode_payee_change(body.payee_token, consent.key)
    except TokenError as error:
        raise token_refusal(error) from None
    if token.network != operation.block.network:
        raise Refusal("NETWORK_MISMATCH", f"the token is for {token.network}", body.payout_id)
    if (token.consent_id, token.payout_id, token.attempt) != (payout.consent_id, body.payout_id, body.attempt):
        raise Refusal("PAYEE_CHANGE_MISMATCH", "the payee signed for another payout or attempt", body.payout_id)
    claim = operation.require(ClaimState, payout.claim_id, "CLAIM_UNKNOWN")
    check_speaks(operation, consent, claim.reported_ms, body.payout_id)
    return token.payee_commit


def _check_token(operation: Operation, token: Acknowledgement, payout: PayoutState) -> None:
    if token.network != operation.block.network:
        raise Refusal("NETWORK_MISMATCH", f"the token is for {token.network}", token.payout_id)
    if token.consent_id != payout.consent_id:
        raise Refusal("CONSENT_MISMATCH", "the payout belongs to another consent", token.payout_id)
    if token.settlement_commit != payout.settlement_commit:
        raise Refusal("SETTLEMENT_MISMATCH", "the payee saw another settlement", token.payout_id)


def _require_own_payout(operation: Operation, payout_id: str) -> PayoutState:
    payout = operation.require(PayoutState, payout_id, "PAYOUT_UNKNOWN")
    if payout.insurer != operation.author:
        raise Refusal("NOT_THE_INSURER", f"the payout is not one of {operation.author}", payout_id)
    return payout
