"""What a peer said: every message is checked here before any rule sees it.

Knows who may send what. Must always hold: whatever the bytes are, the outcome is that a rule is fed, the peer is
blamed, or nothing; votes come from their signer, proposals from the leader of their view; memory grows only
for views near the current one or proven by a quorum.
"""

from consensus.certifying import count_vote
from consensus.evidence import ask_for_twin, on_proposal_vote, on_proposal_vote_wanted, report_contradiction
from consensus.messages import (
    AskPosition,
    Certified,
    Payload,
    Proposal,
    ProposalVote,
    TellPosition,
    VoteCast,
    WantCertificate,
    WantPayload,
    WantProposalVote,
    decode_message,
    epoch_of,
)
from consensus.outbox import Outbox
from consensus.proposing import accept_proposal, learn_foreign
from consensus.serving import on_certificate_wanted, on_other_epoch, on_payload_wanted
from consensus.startup import on_position_asked, on_position_told
from consensus.state import LOOKAHEAD, RETENTION, State
from ledger.certificates import Vote, check_subject, verify_vote
from ledger.errors import DecodeError, InvalidCertificate


def on_message(state: State, out: Outbox, sender: str, data: bytes) -> None:
    """One message of an authenticated peer."""
    try:
        message, payload = decode_message(data, state.config.max_payload)
    except DecodeError:
        state.blame(out, sender, "malformed")
        return
    epoch = epoch_of(message)
    if epoch is not None and epoch != state.config.epoch:
        on_other_epoch(state, out, sender, epoch)
        return
    match message:
        case Proposal():
            heard = _on_proposal(state, out, sender, message, payload)
        case VoteCast(vote=vote):
            heard = _on_vote(state, out, sender, vote)
        case Certified(certificate=certificate):
            heard = learn_foreign(state, out, sender, certificate)
        case WantCertificate():
            heard = on_certificate_wanted(state, out, sender, message)
        case WantPayload(digest=digest):
            heard = on_payload_wanted(state, out, sender, bytes.fromhex(digest))
        case Payload(digest=digest):
            heard = _on_payload(state, out, sender, bytes.fromhex(digest), payload)
        case WantProposalVote():
            heard = on_proposal_vote_wanted(state, out, sender, message)
        case ProposalVote(vote=vote):
            heard = on_proposal_vote(state, out, sender, vote)
        case AskPosition():
            heard = on_position_asked(state, out, sender, message)
        case TellPosition():
            heard = on_position_told(state, out, sender, message)
    index = state.index.get(sender)
    if heard and index is not None:
        state.activity.hear(index)


def _on_proposal(state: State, out: Outbox, sender: str, message: Proposal, payload: bytes) -> bool:
    """A8: the leader's signature first, everything else after it. A11: kept for at most LOOKAHEAD views ahead."""
    vote = message.vote
    if not state.final_view < vote.view <= state.view + LOOKAHEAD:
        return False
    leader = state.leader(vote.view)
    if vote.kind != "notarize" or vote.signer != leader or state.index.get(sender) != leader:
        state.blame(out, sender, "not_leader")
        return False
    if not _take_vote(state, out, sender, vote):
        return False
    accept_proposal(state, out, message, payload)
    return True


def _on_vote(state: State, out: Outbox, sender: str, vote: Vote) -> bool:
    """Votes come from their signer (B17) and only for views near the current one (R1)."""
    if state.index.get(sender) != vote.signer:
        state.blame(out, sender, "impersonation")
        return False
    if vote.view <= state.final_view or (vote.kind == "nullify" and vote.view < state.view):
        _help_laggard(state, out, vote)
    if not max(0, state.final_view - RETENTION) < vote.view <= state.view + 1:
        return False
    return _take_vote(state, out, sender, vote)


def _take_vote(state: State, out: Outbox, sender: str, vote: Vote) -> bool:
    """Verify and count a vote. Equal votes are dropped unseen, contradictions become evidence.

    A finalize share is counted unverified (its sender is its signer, so nobody else can spoil it) and checked together
    with the others once there is a quorum.
    """
    view = state.views.get(vote.view)
    held = view.tally.get(vote.kind, vote.signer) if view is not None else None
    if held is not None and held.subject == vote.subject:
        return True
    contradiction = view.tally.contradiction(vote) if view is not None else None
    over = view is not None and (vote.kind in view.certificates or vote.view <= state.final_view)
    if contradiction is None and over:
        return True
    try:
        check_subject(vote.subject)
        if vote.kind != "finalize" or contradiction is not None:
            verify_vote(vote, state.config.validators, state.config.chain, state.config.scheme)
        elif len(vote.signature) != 192:
            raise InvalidCertificate("signature_size", "a BLS signature has 96 bytes")
    except InvalidCertificate as error:
        state.blame(out, sender, f"vote_{error.code}")
        return False
    if contradiction is not None:
        report_contradiction(state, out, contradiction, vote)
    elif vote.kind == "notarize":
        ask_for_twin(state, out, sender, vote)
    if vote.view > state.final_view:
        count_vote(state, out, vote)
    return True


def _help_laggard(state: State, out: Outbox, vote: Vote) -> None:
    """R8, R9: whoever still votes in a view that is over here is sent what lets it leave, at most once per `retry`."""
    if state.helped_at.get(vote.signer, -state.config.timing.retry) + state.config.timing.retry > state.now:
        return
    certificate = state.finalized
    if vote.view > state.final_view:
        before = state.views.get(state.view - 1)
        certificate = before.best_entry() if before is not None else None
    if certificate is not None and vote.signer != state.me:
        state.helped_at[vote.signer] = state.now
        out.send(state.ids[vote.signer], Certified(certificate))


def _on_payload(state: State, out: Outbox, sender: str, digest: bytes, payload: bytes) -> bool:
    """R10c: bytes are taken only for blocks that are named and missing."""
    missing = [
        candidate
        for number in state.pending
        for candidate in state.views[number].named(digest)
        if candidate.payload is None
    ]
    if missing and not state.is_payload(digest, payload):
        state.blame(out, sender, "payload")
        return False
    for candidate in missing:
        candidate.payload = payload
    return True
