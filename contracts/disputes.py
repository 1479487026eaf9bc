"""After or instead of a verdict: agreement, dispute, ruling, reopening.

A later decision supersedes an earlier one by its attempt: earlier payouts stay, the account that goes in holds what
they took, and the new decision pays the difference. Must always hold: an attempt is disputed until it was ruled upon
and no more, a ruling is the word of whom the policies name for escalation, and a token speaks about one attempt.
"""

from msgspec.structs import replace

from contracts.adjudication import Mandate, decide, is_arbiter
from contracts.claimbodies import ClaimDispute, ClaimNegotiate, ClaimReopen, ClaimRuling
from contracts.claimlife import MAX_ATTEMPTS, PLAIN
from contracts.claims import require_own_claim
from contracts.claimtokens import (
    AGREEMENT_TYPE,
    DISPUTE_TYPE,
    REOPENING_TYPE,
    Agreement,
    Complaint,
    ReopeningRequest,
)
from contracts.claimwords import read_word
from contracts.consents import require_granted
from contracts.deadlines import put_claim
from contracts.errors import Refusal
from contracts.lifecycle import is_possible, next_status
from contracts.operations import Operation
from contracts.pools import require_reopening_turn
from contracts.statements import statement_message
from contracts.states import CaseState, ClaimState, ConsentState


def apply_negotiate(operation: Operation, body: ClaimNegotiate) -> str:
    """`claim.negotiate`: statements that insurer, co-adjudicators and the customer signed. After a dispute it is the
    next attempt."""
    claim = require_own_claim(operation, body.claim_id)
    consent = require_granted(operation, claim.consent_id, "adjudicate")
    next_status("claim", claim.status, "claim.negotiate", body.claim_id)
    word, _ = read_word(operation, body.token, AGREEMENT_TYPE, Agreement, body.claim_id)
    agreed = tuple(statement_message(item.statement).hex() for item in body.statements)
    if word.statements != agreed:
        raise Refusal("AGREEMENT_MISMATCH", "the customer agreed to other statements", body.claim_id)
    disputed = claim.status == "DISPUTED"
    attempt = _next_attempt(claim, body.claim_id) if disputed else claim.attempt
    mandate = Mandate("claim.negotiate", attempt, free_account=disputed)
    return decide(operation, body.claim_id, claim, consent, body.statements, mandate)


def apply_dispute(operation: Operation, body: ClaimDispute) -> str:
    """`claim.dispute`: the customer's token; what is authorised is paid all the same."""
    word, claim = read_word(operation, body.token, DISPUTE_TYPE, Complaint)
    status = next_status("claim", claim.status, "claim.dispute", word.claim_id)
    if claim.lived.ruled_attempt == claim.attempt:
        raise Refusal("RULED_ALREADY", "the arbiter has ruled on this attempt", word.claim_id)
    life = replace(claim.lived, complaint_commit=word.complaint_commit, disclosure_commit=word.disclosure_commit)
    put_claim(operation, word.claim_id, replace(claim, status=status, closed_ms=None), life)
    operation.emit("claim.disputed", word.claim_id)
    return word.claim_id


def apply_ruling(operation: Operation, body: ClaimRuling) -> str:
    """`claim.ruling`: the arbiter's statements supersede, or the dispute is dismissed (protocol rule 6)."""
    claim = operation.require(ClaimState, body.claim_id, "CLAIM_UNKNOWN")
    if not is_arbiter(operation, claim):
        raise Refusal("NOT_THE_ARBITER", f"no policy of the claim names {operation.author}", body.claim_id)
    action = "claim.ruling/award" if body.statements else "claim.ruling/dismiss"
    status = next_status("claim", claim.status, action, body.claim_id)
    attempt = _next_attempt(claim, body.claim_id) if body.statements else claim.attempt
    life = replace(claim.lived, ruled_attempt=attempt, reason_commit=body.reason_commit)
    if body.statements:
        consent = operation.require(ConsentState, claim.consent_id, "CONSENT_MISSING")
        mandate = Mandate(action, attempt, substitute=True, free_account=True, judged=False)
        ruled = replace(claim, life=life)
        decide(operation, body.claim_id, ruled, consent, body.statements, mandate)
    else:
        put_claim(operation, body.claim_id, replace(claim, status=status), life)
    operation.emit("claim.ruled", body.claim_id)
    return body.claim_id


def apply_reopen(operation: Operation, body: ClaimReopen) -> str:
    """`claim.reopen`: by the insurer, or by the customer's token: to be decided again, from complete evidence on."""
    if body.token is None:
        claim = require_own_claim(operation, body.claim_id)
        require_reopening_turn(operation, claim)
    else:
        word, claim = read_word(operation, body.token, REOPENING_TYPE, ReopeningRequest, body.claim_id)
        if word.reason_commit != body.reason_commit:
            raise Refusal("CLAIM_MISMATCH", "the customer gave another reason", body.claim_id)
    _reopen(operation, body.claim_id, claim, "claim.reopen", body.reason_commit)
    return body.claim_id


def reopen_reversed(operation: Operation, case_id: str, record_id: str) -> None:
    """The ledger's own act: an invoice of this case's evidence was reversed, so what was decided on it is open again.

    A closed claim stays closed: its outcome is taken back by `account.amend`, or somebody reopens it.
    """
    case = operation.require(CaseState, case_id, "CASE_UNKNOWN")
    if record_id not in case.records:
        return
    for claim_id in case.claims:
        claim = operation.require(ClaimState, claim_id, "CLAIM_UNKNOWN")
        if is_possible("claim", claim.status, "ledger.reopen") and claim.attempt < MAX_ATTEMPTS:
            _reopen(operation, claim_id, claim, "ledger.reopen", None)


def _reopen(operation: Operation, claim_id: str, claim: ClaimState, action: str, reason: str | None) -> None:
    status = next_status("claim", claim.status, action, claim_id)
    attempt = _next_attempt(claim, claim_id)
    kept = claim.lived
    life = replace(
        PLAIN,
        request_commit=kept.request_commit,
        reason_commit=reason,
        ruled_attempt=kept.ruled_attempt,
        audits=kept.audits,
    )
    reopened = replace(
        claim, status=status, attempt=attempt, ready_ms=operation.time_ms, decided_ms=None, closed_ms=None
    )
    put_claim(operation, claim_id, reopened, life)
    operation.emit("claim.reopened", claim_id)


def _next_attempt(claim: ClaimState, claim_id: str) -> int:
    if claim.attempt >= MAX_ATTEMPTS:
        raise Refusal("ATTEMPTS_USED", f"a claim is decided at most {MAX_ATTEMPTS} times", claim_id)
    return claim.attempt + 1
