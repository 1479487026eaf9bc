"""Payouts: ordered before the payment leaves, settled when the bank booked it, paid when the payee says so.

The ledger can award and expose, it cannot pay: amounts and bank references are commitments. Must always hold: a
payout is ordered only for a decided claim, each order and settlement names the attempt it belongs to, and only
the payee's own key makes a payout PAID (protocol rule 8).
"""

from msgspec.structs import replace

from contracts.bodies import PayoutAck, PayoutOrder, PayoutSettle
from contracts.consents import token_refusal
from contracts.errors import Refusal, TokenError
from contracts.lifecycle import next_status
from contracts.operations import Operation
from contracts.states import ConsentState, PayoutState
from contracts.tokens import Acknowledgement, decode_acknowledgement, peek_acknowledgement


def apply_order(operation: Operation, body: PayoutOrder) -> str:
    """`payout.order`: on the ledger before the payment file leaves."""
    payout = _require_own_payout(operation, body.payout_id)
    status = next_status("payout", payout.status, "payout.order", body.payout_id)
    if body.attempt != payout.attempt + 1:
        raise Refusal("ATTEMPT_MISMATCH", f"the next attempt is {payout.attempt + 1}", body.payout_id)
    ordered = replace(payout, status=status, attempt=body.attempt, order_commit=body.order_commit)
    operation.put(body.payout_id, ordered)
    operation.emit("payout.ordered", body.payout_id)
    return body.payout_id


def apply_settle(operation: Operation, body: PayoutSettle) -> str:
    """`payout.settle`: the insurer claims that the bank booked this attempt."""
    payout = _require_own_payout(operation, body.payout_id)
    status = next_status("payout", payout.status, "payout.settle", body.payout_id)
    if body.attempt != payout.attempt:
        raise Refusal("ATTEMPT_MISMATCH", f"attempt {payout.attempt} was ordered", body.payout_id)
    operation.put(body.payout_id, replace(payout, status=status, settlement_commit=body.settlement_commit))
    operation.emit("payout.settled", body.payout_id)
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
