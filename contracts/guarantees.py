"""Guarantees after they were issued: drawn by hospital and insurer together, or given back. Issuing is in holds.

Knows who signs and when, never a sum (the opening of a draw says how it was computed). Must always hold (protocol
rule 8): nothing is drawn without the hospital, and a letter is not taken from it before 30 days after its last day.
"""

from typing import Final

from msgspec.structs import replace

from contracts.accounts import check_endorsed
from contracts.errors import Refusal
from contracts.holdbodies import GuaranteeDraw, GuaranteeRelease
from contracts.holdlife import next_hold_status
from contracts.holds import is_taken_over, require_claim_policy, take_movement
from contracts.holdstates import GuaranteeState, HoldsState
from contracts.identifiers import derive_payout_id
from contracts.operations import Operation
from contracts.states import ClaimState, ConsentState, PayoutState, PolicyState

SILENCE_MS: Final = 30 * 86_400_000
"""After a letter's last day the hospital's silence is a release."""


def apply_draw(operation: Operation, body: GuaranteeDraw) -> str:
    """`guarantee.draw`: after the decision, before the payout to the insured is ordered: that one pays the rest."""
    guarantee = _require_own(operation, body.guarantee_id)
    status = next_hold_status("guarantee", guarantee.status, "guarantee.draw", body.guarantee_id)
    claim = operation.require(ClaimState, guarantee.claim_id, "CLAIM_UNKNOWN")
    if claim.status != "DECIDED":
        raise Refusal("WRONG_STATE", f"the claim of this guarantee is {claim.status}", guarantee.claim_id)
    if guarantee.hospital not in operation.speaker.endorsers:
        raise Refusal("HOSPITAL_SIGNATURE_MISSING", f"{guarantee.hospital} endorses the draw", body.guarantee_id)
    payout_id = derive_payout_id(guarantee.claim_id, guarantee.policy_id, claim.attempt)
    payout = operation.require(PayoutState, payout_id, "PAYOUT_UNKNOWN")
    if payout.status != "AUTHORISED":
        raise Refusal("PAYOUT_OPEN", f"the payout that pays the rest is {payout.status}", payout_id)
    drawn = replace(guarantee, status=status, draw_commit=body.draw_commit, drawn_ms=operation.time_ms)
    operation.put(body.guarantee_id, drawn)
    operation.emit("guarantee.drawn", body.guarantee_id)
    return body.guarantee_id


def apply_release(operation: Operation, body: GuaranteeRelease) -> str:
    """`guarantee.release`: in the hospital's word, or 30 days after the last day. Before the decision the account gives
    its reservation back, in the word of co-adjudicators."""
    guarantee = _require_own(operation, body.guarantee_id)
    status = next_hold_status("guarantee", guarantee.status, "guarantee.release", body.guarantee_id)
    agreed = guarantee.hospital in operation.speaker.endorsers
    if not agreed and operation.time_ms <= guarantee.valid_to_ms + SILENCE_MS:
        raise Refusal("HOSPITAL_SIGNATURE_MISSING", f"{guarantee.hospital} endorses the release", body.guarantee_id)
    claim = operation.require(ClaimState, guarantee.claim_id, "CLAIM_UNKNOWN")
    holds = operation.require(HoldsState, guarantee.claim_id, "GUARANTEE_UNKNOWN")
    if is_taken_over(claim):
        if body.account_version is not None or body.account_commit is not None:
            raise Refusal("ACCOUNT_MISMATCH", "after the decision the account holds nothing of it", body.guarantee_id)
    else:
        _move_account(operation, body, guarantee, claim)
    items = tuple(replace(item, live=False) if item.hold_id == body.guarantee_id else item for item in holds.items)
    operation.put(guarantee.claim_id, replace(holds, items=items))
    operation.put(body.guarantee_id, replace(guarantee, status=status))
    operation.emit("guarantee.released", body.guarantee_id)
    return body.guarantee_id


def _move_account(operation: Operation, body: GuaranteeRelease, guarantee: GuaranteeState, claim: ClaimState) -> None:
    if body.account_version is None or body.account_commit is None:
        raise Refusal(
            "ACCOUNT_VERSION", "before the decision a release is a movement of the account", body.guarantee_id
        )
    account_id = require_claim_policy(claim, guarantee.claim_id, guarantee.policy_id).account_id
    policy = operation.require(PolicyState, guarantee.policy_id, "POLICY_UNKNOWN")
    consent = operation.require(ConsentState, guarantee.consent_id, "CONSENT_MISSING")
    cause = f"guarantee/{body.guarantee_id}"
    take_movement(operation, account_id, guarantee.claim_id, body.account_version, body.account_commit, cause)
    check_endorsed(operation, policy, consent, account_id)
    operation.emit("account.amended", account_id)


def _require_own(operation: Operation, guarantee_id: str) -> GuaranteeState:
    guarantee = operation.require(GuaranteeState, guarantee_id, "GUARANTEE_UNKNOWN")
    if guarantee.insurer != operation.author:
        raise Refusal("NOT_THE_INSURER", f"the guarantee is not one of {operation.author}", guarantee_id)
    return guarantee
