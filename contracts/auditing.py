"""The audit lottery: which decisions somebody is obliged to run again, and `claim.audit`, the word about it.

Whether a decision is drawn follows from the header ten blocks later, which nobody knew when it was made: H(header,
claim) mod 10,000 below the network's rate. Everybody can compute it; the ledger takes the result of anybody who may
audit, drawn or not. Must always hold: an auditor is outside the insurer's control group, and the consent names it.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from contracts.claimbodies import ClaimAudit
from contracts.claimlife import MAX_AUDITS, Audit
from contracts.consents import require_granted
from contracts.deadlines import put_claim
from contracts.errors import Refusal
from contracts.lifecycle import next_status
from contracts.operations import Operation
from contracts.states import ClaimState
from ledger.crypto.hashing import tagged_hash

DRAW_BLOCKS = 10
"""Blocks between a decision and the header that draws: more than a leader can foresee or hold back."""
DENOMINATOR = 10_000


def is_drawn(later_header: bytes, claim_id: str, rate_bp: int) -> bool:
    """Whether the decision in block h is audited; `later_header` is the hash of header h + DRAW_BLOCKS."""
    return _draw(later_header, claim_id) % DENOMINATOR < rate_bp


def find_obliged(later_header: bytes, claim_id: str, auditors: Sequence[str]) -> str | None:
    """Who of those that may audit has to, by the same draw; None if nobody may. Order of the names does not matter."""
    names = sorted(auditors)
    return names[_draw(later_header, claim_id) // DENOMINATOR % len(names)] if names else None


def apply_audit(operation: Operation, body: ClaimAudit) -> str:
    """`claim.audit` (protocol rule 5): what an auditor found, once for each attempt."""
    claim = operation.require(ClaimState, body.claim_id, "CLAIM_UNKNOWN")
    require_granted(operation, claim.consent_id, "audit")
    group = operation.participant(claim.insurer).control_group
    if not operation.is_outside(operation.author, group):
        raise Refusal("CONTROL_GROUP", f"{operation.author} belongs to the insurer", body.claim_id)
    status = next_status("claim", claim.status, "claim.audit", body.claim_id)
    if body.attempt != claim.attempt:
        raise Refusal("ATTEMPT_MISMATCH", f"attempt {claim.attempt} is decided", body.claim_id)
    audits = claim.lived.audits
    if any((item.auditor, item.attempt) == (operation.author, body.attempt) for item in audits):
        raise Refusal("AUDITED_ALREADY", f"{operation.author} has said so before", body.claim_id)
    if len(audits) >= MAX_AUDITS:
        raise Refusal("AUDITS_FULL", f"{MAX_AUDITS} audits of a claim are kept", body.claim_id)
    found = Audit(operation.author, body.attempt, body.code, body.result_commit)
    put_claim(operation, body.claim_id, replace(claim, status=status), replace(claim.lived, audits=(*audits, found)))
    operation.emit("claim.audited", body.claim_id)
    return body.claim_id


def _draw(later_header: bytes, claim_id: str) -> int:
    return int.from_bytes(tagged_hash("audit-lottery", later_header + bytes.fromhex(claim_id)), "big")
