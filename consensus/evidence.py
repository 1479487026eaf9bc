"""Two signatures that no honest validator makes: found, completed, kept (R11, B13, B20).

Knows votes of one signer in one view. Must always hold: evidence names a validator only with two statements that both
verify under its own key, each checked alone.
"""

from consensus.effects import Evidence
from consensus.messages import ProposalVote, WantProposalVote
from consensus.outbox import Outbox
from consensus.state import State
from ledger.certificates import Vote, verify_vote
from ledger.errors import InvalidCertificate


def report_contradiction(state: State, out: Outbox, first: Vote, second: Vote) -> None:
    """R11: keep the pair, if the first one verifies too (it may be an unchecked finalize share; B13)."""
    view = state.at(first.view)
    try:
        verify_vote(first, state.config.validators, state.config.chain, state.config.scheme)
    except InvalidCertificate as error:
        view.tally.remove(first)
        state.blame(out, state.ids[first.signer], f"vote_{error.code}")
        return
    if first.kind == second.kind == "notarize" and first.signer == state.leader(first.view):
        view.equivocated = True
    pair = (first.signer, second.kind)
    if pair not in view.reported:
        view.reported.add(pair)
        out.reports.append(Evidence(state.ids[first.signer], first, second))


def ask_for_twin(state: State, out: Outbox, sender: str, vote: Vote) -> None:
    """R11: a vote for another block than the leader proposed here means that somebody lies. If it is the leader, the
    voter can show its signature; each voter is asked once a view."""
    view = state.views.get(vote.view)
    proposed = view.tally.get("notarize", state.leader(vote.view)) if view is not None else None
    if view is None or proposed is None or proposed.subject == vote.subject or view.equivocated:
        return
    if vote.signer not in view.asked_twin:
        view.asked_twin.add(vote.signer)
        out.send(sender, WantProposalVote(vote.epoch, vote.view))


def on_proposal_vote_wanted(state: State, out: Outbox, sender: str, wanted: WantProposalVote) -> bool:
    """R11: show what the leader of the view signed for us."""
    view = state.views.get(wanted.view)
    if view is None:
        return False
    proposed = view.tally.get("notarize", state.leader(wanted.view))
    if proposed is not None:
        out.send(sender, ProposalVote(proposed))
    return True


def on_proposal_vote(state: State, out: Outbox, sender: str, vote: Vote) -> bool:
    """R11: a leader's vote out of second hand convicts it, or says nothing."""
    view = state.views.get(vote.view)
    if view is None or vote.signer != state.leader(vote.view):
        return False
    contradiction = view.tally.contradiction(vote)
    if contradiction is None or state.index.get(sender) not in view.asked_twin:
        return False
    try:
        verify_vote(vote, state.config.validators, state.config.chain, state.config.scheme)
    except InvalidCertificate:
        state.blame(out, sender, "proposal_vote")
        return False
    report_contradiction(state, out, contradiction, vote)
    return True
