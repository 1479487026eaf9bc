"""From votes to certificates to final blocks: rules R1, R6, R7 and R11.

Knows what a certificate changes. Must always hold: a certificate is verified before it gets here, journaled in
the step that learns it, forwarded once, never replaced; two that exclude each other stop the core.
"""

from bisect import insort

from consensus.effects import AwaitTransactions, Deliver, EpochClosed, RequestVerify
from consensus.journal import StoredCertificate, StoredPayload
from consensus.messages import Certified, VoteCast
from consensus.outbox import Outbox
from consensus.state import RETENTION, Halted, State
from consensus.tails import is_tail
from consensus.types import Ref, Verdict
from consensus.views import Candidate, ViewState
from consensus.votes import take_finality
from ledger.certificates import Certificate, Vote, build_certificate, signers_of, tail_digest


def count_vote(state: State, out: Outbox, vote: Vote) -> None:
    """R7: count a vote (Ed25519 ones verified, finalize shares not); a quorum makes a certificate."""
    view = state.at(vote.view)
    count = view.tally.add(vote)
    note_seen(state, vote)
    if count < state.quorum or vote.kind in view.certificates:
        return
    config = state.config
    if vote.kind != "finalize":
        learn(state, out, build_certificate(view.tally.votes_for(vote.subject), config.validators, config.scheme))
        return
    certificate, bad = take_finality(view.tally, vote.subject, config.validators, config.chain, config.scheme)
    for signer in bad:
        state.blame(out, state.ids[signer], "signature")
    if certificate is not None:
        learn(state, out, certificate)


def note_seen(state: State, vote: Vote) -> None:
    """A9: remember the highest vote of each signer, to tell it after a restart."""
    held, certificate = state.last_seen.get(vote.signer, (None, None))
    if held is None or vote.view >= held.view:
        state.last_seen[vote.signer] = (vote, certificate)


def learn(state: State, out: Outbox, certificate: Certificate, *, replay: bool = False) -> None:
    """R7: store, forward once, apply a verified certificate. `replay`: it comes from the journal.

    Raises Halted `conflicting_certificates` (R11) or `disagreement` (A7).
    """
    view = state.at(certificate.view)
    conflict = view.conflict_with(certificate.subject)
    if conflict is None and certificate.kind in view.certificates:
        return
    if not replay:
        out.records.append(StoredCertificate(certificate))
    if conflict is not None:  # R11: more than f are faulty; never pick one
        detail = f"view {view.view}: {conflict.kind} and {certificate.kind} certificates exclude each other"
        raise Halted("conflicting_certificates", detail, (conflict, certificate))
    view.certificates[certificate.kind] = certificate
    for signer in signers_of(certificate):
        vote, held = state.last_seen.get(signer, (None, None))
        if held is None or certificate.view >= held.view:
            state.last_seen[signer] = (vote, certificate)
        if not replay and certificate.view >= state.view:
            state.activity.hear(signer)  # A4: its vote is in there, whoever brought it
    if not replay:
        out.send(None, Certified(certificate))
    if certificate.kind == "nullify":
        state.exit_view = max(state.exit_view, certificate.view)
        return
    _decide(state, view, certificate)
    if certificate.kind == "finalize" and certificate.view > state.final_view:
        state.finalized, state.final_view = certificate, certificate.view
        state.last_final_at = state.now
        state.failures = 0


def _decide(state: State, view: ViewState, certificate: Certificate) -> None:
    """The certificate names the block of the view, whatever the leader said before (R11)."""
    if view.decided is not None or view.view <= state.delivered.view:
        return
    assert certificate.digest is not None, "checked with the certificate"
    candidate = view.candidate(certificate.parent_view, bytes.fromhex(certificate.digest))
    if view.slot is not None and view.slot is not candidate:
        view.equivocated = True
    view.slot = view.decided = candidate
    candidate.retry_at = 0  # A5: the clock test is for voting only, and a quorum has voted
    insort(state.pending, view.view)
    state.last_block_at = state.now
    if view.view == state.view and state.clock.proposal_at is None:
        state.clock.proposal_at = state.now
    check_agreement(view)


def check_agreement(view: ViewState) -> None:
    """A7: a quorum vouches for a block that this node finds invalid. One of us computes wrongly: never vote on.

    Raises Halted `disagreement`.
    """
    decided = view.decided
    if decided is not None and decided.verdict is Verdict.INVALID:
        proof = view.certificates.get("finalize") or view.certificates["notarize"]
        detail = f"view {view.view}: a quorum certified {decided.digest.hex()}, invalid here: {decided.detail}"
        raise Halted("disagreement", detail, (proof,))


def certify(state: State, out: Outbox) -> None:
    """R7: have every decided block above the floor verified as soon as its bytes and its parent are there, also in
    views that were nullified: the next leader may build on either."""
    for number in state.pending:
        candidate = state.views[number].decided
        assert candidate is not None, "pending views are decided"
        ask_verdict(state, out, number, candidate)


def ask_verdict(state: State, out: Outbox, number: int, candidate: Candidate) -> None:
    """Ask the application about a block unless it was asked, has answered, or cannot be asked yet."""
    view = state.views[number]
    notarized = view.decided is candidate
    if candidate.verdict is not None or candidate.payload is None or not state.usable(candidate.parent_view):
        return
    boundary = state.closes_at(candidate.parent_view)
    if boundary is not None or is_tail(candidate.digest, candidate.payload):
        _judge_tail(candidate, boundary)
        check_agreement(view)
        return
    if any(other.asked for other in view.named(candidate.digest)):
        return
    if state.now < candidate.retry_at:
        return
    parent = state.ref(candidate.parent_view)
    assert parent is not None, "a usable view has a block"
    candidate.asked = True
    out.requests.append(RequestVerify(number, candidate.digest, candidate.payload, parent, notarized))


def _judge_tail(candidate: Candidate, boundary: bytes | None) -> None:
    """R12: above the boundary there are tails only, and nowhere else; the application is not asked."""
    if boundary is not None and candidate.digest == tail_digest(boundary):
        candidate.verdict, candidate.closes = Verdict.VALID, boundary
    else:
        candidate.verdict, candidate.detail = Verdict.INVALID, "tail blocks and no others stand above a boundary"


def vote_finalize(state: State, out: Outbox) -> None:
    """R6: notarization held, bytes verified, no own nullify, no equivocation seen, above the last finalized. The view
    may have been left already."""
    for number in tuple(state.pending):
        view = state.views[number]
        if number <= state.final_view or not state.may_vote or not state.usable(number):
            continue
        if "finalize" in view.own or "nullify" in view.own or view.equivocated or "notarize" not in view.certificates:
            continue
        assert view.decided is not None, "pending views are decided"
        store_payload(out, number, view.decided)
        vote = state.cast("finalize", number, view.decided, out)
        out.send(None, VoteCast(vote))
        count_vote(state, out, vote)


def store_payload(out: Outbox, view: int, candidate: Candidate) -> None:
    """A1: the bytes are durable in the same fsync as the vote that vouches for them."""
    assert candidate.payload is not None, "verified without bytes"
    if not candidate.stored:
        candidate.stored = True
        out.records.append(StoredPayload(view, candidate.digest, candidate.payload))


def deliver(state: State, out: Outbox) -> bool:
    """R7: hand over everything up to the highest finalization, once, in order, when its blocks are verified. R12: of
    tails, the block below them counts, and it is the last of this core."""
    if state.finalized is None or state.final_view <= state.delivered.view or state.syncing:
        return False
    if not state.usable(state.final_view):
        return False
    boundary = state.closes_at(state.final_view)
    blocks = [b for b in state.blocks_between(state.final_view) if not is_tail(b.ref.digest, b.payload)]
    out.deliveries.append(Deliver(tuple(blocks), state.finalized))
    raise_floor(state, blocks[-1].ref)
    if boundary is not None:
        close(state, out, boundary)
    return True


def close(state: State, out: Outbox, boundary: bytes) -> None:
    """R12: the epoch is over here. What is left of this core answers those who have not noticed."""
    state.closed, state.may_vote = True, False
    out.closed = EpochClosed(boundary)


def raise_floor(state: State, delivered: Ref) -> None:
    """Everything up to `delivered` is the application's now: forget bytes, keep recent certificates for others."""
    state.delivered = delivered
    state.behind_since = None
    state.pending = [number for number in state.pending if number > delivered.view]
    for number, found in list(state.views.items()):
        if number < delivered.view - RETENTION:
            del state.views[number]
        elif number <= delivered.view and found.candidates:
            found.candidates.clear()
            found.slot = found.decided = found.proposal = None


def enter_view(state: State, out: Outbox) -> bool:
    """R1: leave the current view upward on a usable notarization, a nullification or a finalization of it or of
    any later one."""
    target = max(state.view, state.final_view + 1, state.exit_view + 1)
    for number in reversed(state.pending):
        if number < target:
            break
        if state.usable(number):
            target = number + 1
            break
    if target == state.view:
        return False
    ended = state.view
    if state.holds("nullify", ended) and not state.usable(ended) and state.now >= state.armed_at():
        state.failures += 1  # A3: idle views and jumps do not count
    state.activity.end_view(state.leader(ended))
    state.view = target
    begin_view(state, out)
    return True


def begin_view(state: State, out: Outbox) -> None:
    """R2: start the clock of the current view; a proposal kept for it counts as arrived now (A11)."""
    state.restart_clock()
    if state.at(state.view).slot is not None:
        state.clock.proposal_at = state.now
    parent = state.best_parent()
    ref = state.ref(parent if parent is not None else state.final_view) or state.delivered
    out.awaiting = AwaitTransactions(state.view, ref, state.ids[state.leader(state.view)])
