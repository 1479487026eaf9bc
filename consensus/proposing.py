"""The current view: proposing (R3), judging a proposal (R4, A8, A11, A12) and giving up (R5).

Knows what one proposal must bring. Must always hold: notarize is signed for the first proposal of the view's leader
only, in the current view only, after its ancestry was proven and its bytes were verified and journaled; a
missing ancestor is waited for, a malformed proof is refused.
"""

from consensus.certifying import ask_verdict, count_vote, learn, store_payload
from consensus.effects import RequestBuild
from consensus.inputs import Built
from consensus.messages import MAX_CARRIED, Proposal, VoteCast
from consensus.outbox import Outbox
from consensus.state import State
from consensus.tails import tail_payload
from consensus.types import ROOT_VIEW, ConsensusError, Verdict
from consensus.views import ViewState
from ledger.certificates import Certificate, tail_digest, verify_certificate
from ledger.errors import InvalidCertificate


def propose(state: State, out: Outbox) -> None:
    """R3: the leader, once, when a block is expected and its ancestry is complete, asks for a block."""
    own = state.at(state.view).own
    if not state.is_leader() or not state.may_vote or state.build_asked or "notarize" in own or "nullify" in own:
        return
    parent = state.best_parent()
    if state.now < state.armed_at() or parent is None:  # missing ancestry: repair fetches, t_lead ends the view
        return
    ref = state.ref(parent)
    assert ref is not None, "a usable parent has a block"
    state.build_asked = True
    state.build_parent = parent
    boundary = state.closes_at(parent)
    if boundary is None:
        out.requests.append(RequestBuild(state.view, ref))
    else:  # R12: the application has no part in tails
        _propose_block(state, out, tail_digest(boundary), tail_payload(boundary), boundary)


def on_built(state: State, out: Outbox, built: Built) -> None:
    """R3, A1: sign and journal the own proposal with its bytes, then send it."""
    view = state.at(state.view)
    if built.view != state.view or not state.build_asked or view.own or view.slot is not None:
        return
    if len(built.payload) > state.config.max_payload or not built.payload:
        raise ConsensusError("payload_size", f"a built block has 1 to {state.config.max_payload} bytes")
    _propose_block(state, out, built.digest, built.payload, built.digest if built.closes else None)


def _propose_block(state: State, out: Outbox, digest: bytes, payload: bytes, closes: bytes | None) -> None:
    view = state.at(state.view)
    candidate = view.candidate(state.build_parent, digest)
    candidate.payload, candidate.verdict, candidate.closes = payload, Verdict.VALID, closes
    view.slot = candidate
    state.clock.proposal_at = state.now
    store_payload(out, state.view, candidate)
    vote = state.cast("notarize", state.view, candidate, out)
    view.proposal = Proposal(vote, *carried_proofs(state, state.view, candidate.parent_view))
    out.send(None, view.proposal, payload)
    count_vote(state, out, vote)


def carried_proofs(state: State, view: int, parent: int) -> tuple[Certificate | None, tuple[Certificate, ...]]:
    """A12: the parent's certificate and the nullifications between it and `view` (the nearest MAX_CARRIED)."""
    proof = None
    if parent != ROOT_VIEW:
        held = state.at(parent).certificates
        proof = held.get("finalize") or held.get("notarize")
    return proof, tuple(state.views[number].certificates["nullify"] for number in carried_views(view, parent))


def carried_views(view: int, parent: int) -> range:
    """A12: the views whose nullifications a proposal brings."""
    return range(max(parent + 1, view - MAX_CARRIED), view)


def unproven_views(state: State, view: int, parent: int) -> list[int]:
    """R10b: views between parent and proposal, too many to be carried, whose nullification is not held."""
    return [n for n in range(parent + 1, carried_views(view, parent).start) if not state.holds("nullify", n)]


def accept_proposal(state: State, out: Outbox, message: Proposal, payload: bytes) -> None:
    """A proposal of the leader of a view that is not final; signature and sender were checked (A8).

    Fills the slot once. Carried certificates are learned; what makes the proposal invalid is kept in `rejected` and
    acted upon in the view (R5). A proposal that comes late still brings the bytes of a decided block.
    """
    vote = message.vote
    assert vote.digest is not None, "checked with the vote"
    view = state.at(vote.view)
    if view.slot is None and vote.view >= state.view:
        view.slot, view.proposal = view.candidate(vote.parent_view, bytes.fromhex(vote.digest)), message
        if vote.view == state.view:
            state.clock.proposal_at = state.now  # R2: t_lead is over; A3: t_adv runs from here at the latest
        _take_proofs(state, out, view, message)
    slot = view.slot
    if slot is None:
        return
    if (slot.parent_view, slot.digest.hex()) != (vote.parent_view, vote.digest):
        view.equivocated = True  # R11: the second one is not kept; a certificate may still name it
    elif slot.payload is None and state.is_payload(slot.digest, payload):
        slot.payload = payload
    elif slot.payload is None:
        _reject(state, out, view, "payload")


def _take_proofs(state: State, out: Outbox, view: ViewState, message: Proposal) -> None:
    """A8, A12: the carried proofs must be complete; those not yet held are verified, up to the first bad one."""
    if is_carry_wrong(message):
        _reject(state, out, view, "carry")
        return
    leader = state.ids[message.vote.signer]
    for certificate in (message.parent, *message.nullifications):
        if certificate is not None and not learn_foreign(state, out, leader, certificate):
            _reject(state, out, view, "carry")
            return


def is_carry_wrong(message: Proposal) -> bool:
    """A12, R4: whether the carried proofs are not exactly those that the proposal needs."""
    vote, parent = message.vote, message.parent
    views = [certificate.view for certificate in message.nullifications]
    if any(certificate.kind != "nullify" for certificate in message.nullifications):
        return True
    if views != list(carried_views(vote.view, vote.parent_view)):
        return True
    if parent is None or vote.parent_view == ROOT_VIEW:
        return parent is not None or vote.parent_view != ROOT_VIEW
    return parent.kind == "nullify" or parent.view != vote.parent_view


def learn_foreign(state: State, out: Outbox, sender: str, certificate: Certificate) -> bool:
    """Verify and learn a certificate that is new here; False (and the sender blamed) when it does not verify.

    Views at or below the delivered one matter only where they contradict what is held.
    """
    found = state.views.get(certificate.view)
    conflict = found.conflict_with(certificate.subject) if found is not None else None
    held = found is not None and certificate.kind in found.certificates
    if conflict is None and (held or certificate.view <= state.delivered.view):
        return True
    try:
        verify_certificate(certificate, state.config.validators, state.config.chain, state.config.scheme)
    except InvalidCertificate as error:
        state.blame(out, sender, f"certificate_{error.code}")
        return False
    learn(state, out, certificate)
    return True


def _reject(state: State, out: Outbox, view: ViewState, reason: str) -> None:
    view.rejected = view.rejected or reason
    state.blame(out, state.ids[state.leader(view.view)], f"proposal_{reason}")


def judge_proposal(state: State, out: Outbox) -> None:
    """R4: have the proposal of the current view verified, then vote notarize once."""
    view = state.at(state.view)
    slot = view.slot
    if slot is None or view.equivocated or view.rejected or view.own:
        return
    if slot.parent_view < state.final_view:
        view.rejected = "parent"
        return
    if unproven_views(state, view.view, slot.parent_view):
        return
    ask_verdict(state, out, view.view, slot)
    if slot.verdict is Verdict.INVALID:
        view.rejected = "invalid"
    elif slot.verdict is Verdict.VALID and view.proposal is not None and state.may_vote:
        store_payload(out, view.view, slot)
        vote = state.cast("notarize", view.view, slot, out)
        out.send(None, VoteCast(vote))
        count_vote(state, out, vote)


def give_up(state: State, out: Outbox) -> None:
    """R5: nullify the current view, unless finalize was signed in it."""
    view = state.at(state.view)
    if not state.may_vote or "nullify" in view.own or "finalize" in view.own or state.usable(state.view):
        return
    leader_gave_up = view.tally.get("nullify", state.leader(state.view)) is not None
    cannot_lead = state.build_failed or (state.is_leader() and state.syncing and state.now >= state.armed_at())
    if not (view.rejected or cannot_lead or leader_gave_up or state.now >= state.nullify_at()):
        return
    state.clock.nullify_retry_at = state.now + state.config.timing.retry  # R8
    vote = state.cast("nullify", state.view, None, out)
    out.send(None, VoteCast(vote))
    count_vote(state, out, vote)
