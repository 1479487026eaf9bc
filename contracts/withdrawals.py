"""`claim.withdraw`: the customer gives a claim up, or a TPA shows that it is another one's duplicate.

Before a decision the leases end and nothing else moves; what an earlier attempt awarded stands. After it, while no
money was ordered, accounts and loss pool get their next versions without what the decision took: sums are inside
commitments, so co-adjudicators endorse as they do a verdict. Must always hold: nobody loses a claim by one
organisation's word, and what was ordered stays.
"""

from msgspec.structs import replace

from contracts.accounts import check_endorsed
from contracts.claimbodies import ClaimWithdraw, RestoredAccount
from contracts.claims import is_lease_live
from contracts.claimtokens import WITHDRAWAL_TYPE, Withdrawal
from contracts.claimwords import read_word
from contracts.consents import require_in_force
from contracts.deadlines import put_claim
from contracts.errors import Refusal
from contracts.holdstates import HoldsState
from contracts.lifecycle import UNDECIDED, is_possible, next_status
from contracts.operations import Operation
from contracts.pools import restore_pool
from contracts.states import AccountState, ClaimState, ConsentState, PayoutState, PolicyState


def apply_withdraw(operation: Operation, body: ClaimWithdraw) -> str:
    """`claim.withdraw` (protocol rules 3 and 4). Lower ranks go on: a withdrawn claim holds no turn."""
    if (body.token is None) == (body.duplicate_of is None):
        raise Refusal("WITHDRAWAL_CAUSE", "bring the customer's token, or name the claim that this one repeats")
    if body.token is not None:
        _, claim = read_word(operation, body.token, WITHDRAWAL_TYPE, Withdrawal, body.claim_id)
    else:
        claim = _read_duplicate(operation, body)
    status = next_status("claim", claim.status, "claim.withdraw", body.claim_id)
    if claim.status == "DECIDED":
        _undo_decision(operation, body, claim)
    elif body.restored is not None:
        raise Refusal("NOTHING_TO_RESTORE", "a claim without a decision took nothing", body.claim_id)
    _end_leases(operation, body.claim_id, claim)
    _release_advances(operation, body.claim_id)
    life = replace(claim.lived, suspension=None)
    put_claim(operation, body.claim_id, replace(claim, status=status, closed_ms=operation.time_ms), life)
    operation.emit("claim.withdrawn", body.claim_id)
    return body.claim_id


def _read_duplicate(operation: Operation, body: ClaimWithdraw) -> ClaimState:
    """A TPA that the consent names says so, and the hospital or commission of the case does too."""
    operation.require_role("tpa")
    claim = operation.require(ClaimState, body.claim_id, "CLAIM_UNKNOWN")
    consent = require_in_force(operation, claim.consent_id)
    if all(item.participant != operation.author for item in consent.grantees):
        raise Refusal("NOT_GRANTED", f"the consent does not name {operation.author}", claim.consent_id)
    assert body.duplicate_of is not None
    other = operation.require(ClaimState, body.duplicate_of, "CLAIM_UNKNOWN")
    repeated = {item.policy_id for item in other.policies} & {item.policy_id for item in claim.policies}
    if body.duplicate_of == body.claim_id or other.status == "WITHDRAWN" or not repeated:
        raise Refusal(
            "NO_DUPLICATE", "the other claim is under none of these policies, or withdrawn", body.duplicate_of
        )
    if claim.status not in UNDECIDED:
        raise Refusal("WRONG_STATE", f"a duplicate is withdrawn before its decision, not {claim.status}", body.claim_id)
    vouching = {*consent.hospitals, *(item.participant for item in consent.grantees if "endorse" in item.purposes)}
    group = operation.participant(operation.author).control_group
    if not any(operation.is_outside(name, group) for name in vouching & operation.speaker.endorsers):
        raise Refusal("SECOND_VOICE_MISSING", "the hospital or commission of the case endorses", body.claim_id)
    return claim


def _end_leases(operation: Operation, claim_id: str, claim: ClaimState) -> None:
    for item in claim.policies:
        account = operation.require(AccountState, item.account_id, "ACCOUNT_UNKNOWN")
        if account.lease == claim_id:
            operation.put(item.account_id, replace(account, lease=None))


def _release_advances(operation: Operation, claim_id: str) -> None:
    """An advance that was not ordered is not paid any more; what was ordered is to come back (recoveries)."""
    holds = operation.get(HoldsState, claim_id)
    for item in holds.items if holds else ():
        payout = operation.get(PayoutState, item.hold_id) if item.kind == "advance" else None
        if payout is not None and is_possible("payout", payout.status, "claim.withdraw"):
            released = next_status("payout", payout.status, "claim.withdraw", item.hold_id)
            operation.put(item.hold_id, replace(payout, status=released))


def _undo_decision(operation: Operation, body: ClaimWithdraw, claim: ClaimState) -> None:
    """Payouts are released, accounts and pool go to versions that co-adjudicators endorse."""
    if operation.author != claim.insurer:
        raise Refusal("NOT_THE_INSURER", "a decision is taken back by its insurer", body.claim_id)
    payouts = {name: operation.require(PayoutState, name, "PAYOUT_UNKNOWN") for name in claim.payouts}
    for name, payout in payouts.items():
        if not is_possible("payout", payout.status, "claim.withdraw"):
            raise Refusal("PAYOUT_ORDERED", f"this payout is {payout.status}", name)
    if body.restored is None:
        raise Refusal("RESTORATION_MISSING", "accounts and pool without this decision are missing", body.claim_id)
    consent = operation.require(ConsentState, claim.consent_id, "CONSENT_MISSING")
    accounts = {item.policy_id: item for item in body.restored.accounts}
    listed = {item.policy_id: item.account_id for item in claim.policies}
    if len(accounts) != len(body.restored.accounts) or accounts.keys() != listed.keys():
        raise Refusal("POLICY_SET_INCOMPLETE", "one account for each policy of the claim", body.claim_id)
    for policy_id, account_id in listed.items():
        _restore_account(operation, body.claim_id, consent, accounts[policy_id], account_id)
    restore_pool(operation, claim, body.restored.pool_version, body.restored.pool_commit)
    for name, payout in payouts.items():
        released = next_status("payout", payout.status, "claim.withdraw", name)
        operation.put(name, replace(payout, status=released))


def _restore_account(
    operation: Operation, claim_id: str, consent: ConsentState, item: RestoredAccount, account_id: str
) -> None:
    account = operation.require(AccountState, account_id, "ACCOUNT_UNKNOWN")
    policy = operation.require(PolicyState, item.policy_id, "POLICY_UNKNOWN")
    if account.lease is not None and account.lease != claim_id and is_lease_live(operation, account.lease):
        raise Refusal("ACCOUNT_LEASED", "a claim on this account comes first", account.lease)
    if account.version != item.account_version:
        raise Refusal("ACCOUNT_VERSION", f"the account is at version {account.version}", account_id)
    check_endorsed(operation, policy, consent, account_id)
    cause = f"withdraw/{claim_id}"
    operation.put(
        account_id, replace(account, version=account.version + 1, commit=item.account_commit, cause=cause, lease=None)
    )
