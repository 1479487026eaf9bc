"""An insurer's work on a claim before the decision: missing documents, suspension, four eyes, investigation.

The handler is the insurer, or a TPA that its control group owns: one voice (protocol rule 2). Who prepared and who
reviewed, and every reason, are commitments; the co-adjudicator that endorses a release opened them. Must always hold:
documents are asked for once, in a list that customer and hospital can read, and no step stops the clock for longer
than the network allows.
"""

from msgspec.structs import replace

from contracts.claimbodies import ClaimInvestigate, ClaimRequestEvidence, ClaimResume, ClaimReview, ClaimSuspend
from contracts.claimlife import Suspension
from contracts.consents import require_in_force
from contracts.deadlines import put_claim
from contracts.errors import Refusal
from contracts.lifecycle import REMEMBERED, next_status
from contracts.operations import Operation
from contracts.policies import list_outside
from contracts.states import ClaimState, ConsentState, ParticipantState, PolicyState


def apply_request_evidence(operation: Operation, body: ClaimRequestEvidence) -> str:
    """`claim.request_evidence`: asked once; the clock stands still until the case is complete."""
    claim, consent = _require_handled(operation, body.claim_id)
    status = next_status("claim", claim.status, "claim.request_evidence", body.claim_id)
    if claim.lived.request_commit is not None:
        raise Refusal("EVIDENCE_REQUESTED", "missing documents were asked for before", body.claim_id)
    readers = {item.to for item in body.delivered}
    hospitals = {operation.participant(name).envelope_key for name in consent.hospitals}
    if consent.mailbox_key not in readers or readers.isdisjoint(hospitals):
        raise Refusal(
            "DELIVERY_MISSING", "the list goes to the customer and to a hospital of the consent", body.claim_id
        )
    life = replace(claim.lived, request_commit=body.items_commit)
    put_claim(operation, body.claim_id, replace(claim, status=status), life)
    operation.emit("claim.evidence_requested", body.claim_id)
    return body.claim_id


def apply_suspend(operation: Operation, body: ClaimSuspend) -> str:
    """`claim.suspend`: the claim remembers where it stood."""
    claim, _ = _require_handled(operation, body.claim_id)
    status = next_status("claim", claim.status, "claim.suspend", body.claim_id)
    life = replace(claim.lived, suspension=Suspension(claim.status, body.reason_commit, body.pauses_clock))
    put_claim(operation, body.claim_id, replace(claim, status=status), life)
    operation.emit("claim.suspended", body.claim_id)
    return body.claim_id


def apply_resume(operation: Operation, body: ClaimResume) -> str:
    """`claim.resume`: back to where it stood, or to what the case became meanwhile."""
    claim, _ = _require_handled(operation, body.claim_id)
    assert next_status("claim", claim.status, "claim.resume", body.claim_id) == REMEMBERED
    suspension = claim.lived.suspension
    assert suspension is not None, "what is suspended remembers"
    life = replace(claim.lived, suspension=None)
    put_claim(operation, body.claim_id, replace(claim, status=suspension.status), life)
    operation.emit("claim.resumed", body.claim_id)
    return body.claim_id


def apply_review(operation: Operation, body: ClaimReview) -> str:
    """`claim.review`: opened by who prepared, released by another, in the word of a co-adjudicator (four eyes)."""
    claim, consent = _require_handled(operation, body.claim_id)
    status = next_status("claim", claim.status, f"claim.review/{body.step}", body.claim_id)
    life = replace(claim.lived, reason_commit=body.reason_commit, is_complex=claim.lived.is_complex or body.is_complex)
    if body.step == "open":
        life = replace(life, preparer_commit=body.person_commit, investigation_pauses=False)
    else:
        if body.person_commit == life.preparer_commit:
            raise Refusal("FOUR_EYES", "the reviewer's commitment is the preparer's", body.claim_id)
        _require_co_adjudicator(operation, claim, consent, body.claim_id)
        life = replace(life, reviewer_commit=body.person_commit)
    put_claim(operation, body.claim_id, replace(claim, status=status), life)
    operation.emit("claim.in_review" if body.step == "open" else "claim.released", body.claim_id)
    return body.claim_id


def apply_investigate(operation: Operation, body: ClaimInvestigate) -> str:
    """`claim.investigate`: out of a review, and back into one with the report."""
    claim, _ = _require_handled(operation, body.claim_id)
    status = next_status("claim", claim.status, "claim.investigate", body.claim_id)
    life = replace(claim.lived, reason_commit=body.reason_commit, investigation_pauses=body.pauses_clock)
    put_claim(operation, body.claim_id, replace(claim, status=status), life)
    operation.emit("claim.investigated", body.claim_id)
    return body.claim_id


def _require_handled(operation: Operation, claim_id: str) -> tuple[ClaimState, ConsentState]:
    """A claim that the author handles, under a consent in force. Raises Refusal `NOT_THE_HANDLER`."""
    claim = operation.require(ClaimState, claim_id, "CLAIM_UNKNOWN")
    author = operation.author
    if author != claim.insurer:
        group = operation.participant(claim.insurer).control_group
        own = operation.get(ParticipantState, author)
        if own is None or "tpa" not in own.roles or own.control_group != group:
            raise Refusal("NOT_THE_HANDLER", f"{author} is neither the insurer nor its TPA", claim_id)
    return claim, require_in_force(operation, claim.consent_id)


def _require_co_adjudicator(operation: Operation, claim: ClaimState, consent: ConsentState, claim_id: str) -> None:
    """One co-adjudicator of each policy endorses: outside the insurer's group, and allowed to read."""
    heard = {name for name in operation.speaker.endorsers if consent.grants(name, "co-adjudicate")}
    for item in claim.policies:
        policy = operation.require(PolicyState, item.policy_id, "POLICY_UNKNOWN")
        if heard.isdisjoint(list_outside(operation, policy)):
            raise Refusal("CO_ADJUDICATOR_MISSING", "a release is endorsed by who opened both commitments", claim_id)
