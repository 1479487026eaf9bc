"""Versions of a coverage account that no verdict makes: an outcome taken back, a correction the insured signed.

A verdict reserves and a settlement captures without a version of its own (contracts/cases/movements). What changes an
account otherwise names its cause: the paid payout that a reversal takes back, or the insured's token. Knows who must
have agreed; never what moved: sums are inside the commitment, and a co-adjudicator outside the insurer's control group
opened it. Must always hold: no version is made by the insurer alone, and none while a claim holds the lease.
"""

from msgspec.structs import replace

from contracts.bodies import AccountAmend
from contracts.claims import is_lease_live
from contracts.consents import require_in_force, token_refusal
from contracts.errors import Refusal, TokenError
from contracts.lifecycle import next_status
from contracts.operations import Operation
from contracts.policies import list_outside
from contracts.pools import restore_pool
from contracts.states import AccountState, CaseState, ClaimState, ConsentState, PayoutState, PolicyState
from contracts.tokens import Amendment, decode_amendment, peek_amendment


def apply_amend(operation: Operation, body: AccountAmend) -> str:
    """`account.amend` (protocol rule 3): the next version of an account, by its insurer."""
    account = operation.require(AccountState, body.account_id, "ACCOUNT_UNKNOWN")
    policy = operation.require(PolicyState, account.policy_id, "POLICY_UNKNOWN")
    if policy.insurer != operation.author:
        raise Refusal("NOT_THE_INSURER", f"the account is not one of {operation.author}", body.account_id)
    if account.lease is not None and is_lease_live(operation, account.lease):
        raise Refusal("ACCOUNT_LEASED", "a claim on this account comes first", account.lease)
    if account.version != body.account_version:
        raise Refusal("ACCOUNT_VERSION", f"the account is at version {account.version}", body.account_id)
    if (body.restores is None) == (body.token is None):
        raise Refusal("AMENDMENT_CAUSE", "name the payout that is taken back, or bring the insured's token")
    if {body.restores is None, body.pool_version is None, body.pool_commit is None} == {True, False}:
        raise Refusal("AMENDMENT_CAUSE", "the loss pool gets its next version with a payout that is taken back")
    if body.restores is not None:
        consent, cause = _restore(operation, body, account.policy_id), f"restore/{body.restores}"
    else:
        consent_id, consent = _read_insured(operation, body, account.policy_id)
        cause = f"amendment/{consent_id}"
    check_endorsed(operation, policy, consent, body.account_id)
    amended = replace(account, version=account.version + 1, commit=body.account_commit, cause=cause, lease=None)
    operation.put(body.account_id, amended)
    operation.emit("account.amended", body.account_id)
    return body.account_id


def check_endorsed(operation: Operation, policy: PolicyState, consent: ConsentState, account_id: str) -> None:
    """As many co-adjudicators outside the insurer's group as a verdict takes, whom the customer let read."""
    heard = operation.speaker.endorsers & list_outside(operation, policy)
    counted = [name for name in heard if consent.grants(name, "co-adjudicate")]
    if len(counted) < policy.threshold:
        detail = f"{len(counted)} of {policy.threshold} co-adjudicators outside the insurer's group"
        raise Refusal("CO_ADJUDICATOR_MISSING", detail, account_id)


def _restore(operation: Operation, body: AccountAmend, policy_id: str) -> ConsentState:
    """The payout's outcome is taken back, once, after its claim is closed: out of the account and of the loss pool."""
    payout_id = str(body.restores)
    payout = operation.require(PayoutState, payout_id, "PAYOUT_UNKNOWN")
    if payout.policy_id != policy_id:
        raise Refusal("ACCOUNT_MISMATCH", "the payout was made under another policy", payout_id)
    claim = operation.require(ClaimState, payout.claim_id, "CLAIM_UNKNOWN")
    status = next_status("payout", payout.status, "account.amend", payout_id)
    if claim.status != "CLOSED":
        raise Refusal("WRONG_STATE", f"the claim of this payout is {claim.status}", payout.claim_id)
    operation.put(payout_id, replace(payout, status=status))
    assert body.pool_version is not None, "checked with the cause"
    restore_pool(operation, claim, body.pool_version, str(body.pool_commit))
    return operation.require(ConsentState, payout.consent_id, "CONSENT_MISSING")


def _read_insured(operation: Operation, body: AccountAmend, policy_id: str) -> tuple[str, ConsentState]:
    """(consent id, consent) of the token: in force, for this policy, and of a case that a hospital wrote in."""
    assert body.token is not None
    try:
        claimed = peek_amendment(body.token)
        consent = require_in_force(operation, claimed.consent_id)
        token = decode_amendment(body.token, consent.key)
    except TokenError as error:
        raise token_refusal(error) from None
    _check_token(operation, body, token)
    case = operation.require(CaseState, consent.case_id, "CASE_UNKNOWN")
    if policy_id not in consent.policy_ids or case.reported_ms is None:
        raise Refusal("AMENDMENT_MISMATCH", "the consent is of no reported case under this policy", token.consent_id)
    return token.consent_id, consent


def _check_token(operation: Operation, body: AccountAmend, token: Amendment) -> None:
    if token.network != operation.block.network:
        raise Refusal("NETWORK_MISMATCH", f"the token is for {token.network}", body.account_id)
    signed = (token.account_id, token.account_version, token.account_commit)
    if signed != (body.account_id, body.account_version, body.account_commit):
        raise Refusal("AMENDMENT_MISMATCH", "the insured signed another amendment", body.account_id)
