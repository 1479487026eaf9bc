"""Every rule of consensus/README.md on one core with scripted peers: what it does, and what it must not do."""

import pytest
from msgspec.structs import replace

from consensus.core import MAX_UNWRITTEN, surviving_records
from consensus.effects import (
    AwaitTransactions,
    Behind,
    Blame,
    Deliver,
    Effect,
    Evidence,
    Halt,
    Persist,
    RequestBuild,
    RequestVerify,
    Send,
    Serve,
    SetTimer,
)
from consensus.inputs import BuildFailed, CaughtUp, Message, PayloadExpected, Start, TimerFired
from consensus.journal import FloorMark, OwnVote, StoredCertificate, StoredPayload
from consensus.leaders import leader_order
from consensus.messages import (
    Certified,
    Payload,
    Proposal,
    ProposalVote,
    TellPosition,
    VoteCast,
    WantCertificate,
    WantPayload,
    WantProposalVote,
)
from consensus.outbox import Outbox
from consensus.types import Config, ConsensusError, Floor, Position, Ref, Timing, Verdict
from ledger.certificates import Kind
from tests.support.lone_core import CHAIN, LoneCore, digest, payload

ORDER = leader_order(CHAIN, 1, 4)
LEADER_1, LEADER_2, LEADER_3, LEADER_4 = ORDER


def follower() -> LoneCore:
    """Leads view 4 only: views 1 to 3 are led by others."""
    return LoneCore(me=LEADER_4)


def expire(core: LoneCore, by: int = 100_000) -> tuple[Effect, ...]:
    core.now += by
    return core.give(TimerFired(core.now))


# --- start ------------------------------------------------------------------------------------------------------------


def test_start_asks_for_transactions_and_a_timer() -> None:
    core = LoneCore(me=0, start=False)
    effects = core.give(Start(0, (), Floor(Ref(0, CHAIN), None), None, 1))
    assert core.found(AwaitTransactions) == [AwaitTransactions(1, Ref(0, CHAIN), core.name(LEADER_1))]
    assert isinstance(effects[-1], SetTimer)
    assert [type(m).__name__ for m in core.said()] == ["AskPosition"] * 3


def test_start_comes_first_and_once() -> None:
    core = LoneCore(start=False)
    with pytest.raises(ConsensusError):
        core.give(TimerFired(1))
    core.start()
    with pytest.raises(ConsensusError):
        core.start()


def test_nothing_is_signed_before_peers_answered() -> None:
    core = LoneCore(me=LEADER_1, start=False)
    core.give(Start(0, (), Floor(Ref(0, CHAIN), None), None, 77))
    core.give(PayloadExpected(0, 1))
    expire(core)
    assert not core.found(RequestBuild, core.all)
    assert not core.votes_cast(core.all)
    core.hear(LEADER_2, TellPosition(1, 77, None, None))
    core.hear(LEADER_2, TellPosition(1, 77, None, None))
    assert not core.state.may_vote, "one peer does not answer twice"
    core.hear(LEADER_3, TellPosition(1, 76, None, None))
    assert not core.state.may_vote, "an answer to an earlier life does not count"
    core.hear(LEADER_3, TellPosition(1, 77, None, None))
    assert core.state.may_vote


def test_a_proven_forgotten_vote_halts() -> None:
    core = LoneCore(me=0, start=False)
    core.give(Start(0, (), Floor(Ref(0, CHAIN), None), None, 77))
    core.hear(1, TellPosition(1, 77, core.vote(1, "nullify", 5), None))
    assert core.found(Blame)[0].code == "position"
    core.hear(1, TellPosition(1, 77, core.vote(0, "nullify", 5), None))
    assert core.found(Halt)[0].code == "unknown_vote"
    assert core.hear_vote(1, "nullify", 1) == ()


def test_a_proven_forgotten_certificate_halts() -> None:
    core = LoneCore(me=0, start=False)
    core.give(Start(0, (), Floor(Ref(0, CHAIN), None), None, 77))
    certificate = core.certificate("finalize", 5, 4, signers=(0, 1, 2))
    core.hear(1, TellPosition(1, 77, None, certificate))
    assert core.found(Halt)[0].code == "unknown_vote"


def test_what_was_fetched_since_does_not_stand_in_for_the_journal() -> None:
    """P12: a vote below blocks that were delivered, of which the journal knows nothing, is another life's."""
    core = LoneCore(me=0, start=False)
    core.give(Start(0, (), Floor(Ref(5, b"\5" * 32), core.certificate("finalize", 5, 4, signers=(1, 2, 3))), None, 77))
    core.hear(1, TellPosition(1, 77, core.vote(0, "nullify", 3), None))
    assert core.found(Halt)[0].code == "unknown_vote"


@pytest.mark.parametrize(
    ("guard", "code"),
    [
        (Position(1, 3, 1), "journal_behind_guard"),
        (Position(1, 2, 2), "journal_behind_guard"),
        (Position(2, 0, 1), "journal_behind_guard"),
    ],
)
def test_a_guard_ahead_of_the_journal_halts(guard: Position, code: str) -> None:
    core = LoneCore(me=0, start=False)
    core.start((OwnVote(core.vote(0, "notarize", 2, 1)),), guard=guard)
    assert core.found(Halt, core.all)[0].code == code


def test_a_guard_equal_to_the_journal_is_fine() -> None:
    core = LoneCore(me=0, start=False)
    core.start((OwnVote(core.vote(0, "notarize", 2, 1)),), guard=Position(1, 2, 1))
    assert not core.found(Halt, core.all)
    assert core.state.view == 2


# --- R1 entering views ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "view", "enters"),
    [("nullify", 1, 2), ("nullify", 7, 8), ("finalize", 1, 2), ("finalize", 9, 10), ("notarize", 1, 1)],
)
def test_r1_certificates_open_views(kind: Kind, view: int, enters: int) -> None:
    core = follower()
    core.hear_certificate(kind, view, max(view - 1, 0))
    assert core.state.view == enters, "a notarization needs its bytes first"
    assert [m.certificate.view for m in core.said() if isinstance(m, Certified)] == [view], "R7: forwarded once"
    core.hear_certificate(kind, view, max(view - 1, 0))
    assert not core.found(Send)


def test_r1_votes_are_admitted_one_view_ahead_only() -> None:
    """B16: votes for views further ahead leave no trace."""
    core = follower()
    core.hear_vote(LEADER_1, "nullify", 2)
    core.hear_vote(LEADER_1, "nullify", 3)
    assert 2 in core.state.views
    assert 3 not in core.state.views


# --- R2, A3 timers ----------------------------------------------------------------------------------------------------


def test_r2_an_idle_view_is_not_given_up() -> None:
    core = follower()
    core.now = 29_000
    core.give(TimerFired(core.now))
    assert core.votes_cast() == []


def test_r2_a_leader_that_proposes_nothing_is_given_up() -> None:
    core = follower()
    core.give(PayloadExpected(0, 1))
    core.now = 999
    core.give(TimerFired(core.now))
    assert core.votes_cast() == []
    core.now = 1_000
    core.give(TimerFired(core.now))
    assert core.votes_cast() == [("nullify", 1)]


def test_r2_a_proposal_without_notarization_is_given_up_later() -> None:
    core = follower()
    core.now = 100
    core.hear_proposal(1)
    core.now = 1_599
    core.give(TimerFired(core.now))
    assert core.votes_cast() == []
    core.now = 1_600
    core.give(TimerFired(core.now))
    assert core.votes_cast() == [("nullify", 1)]


def test_r2b_f_plus_one_nullify_votes_arm_the_view() -> None:
    core = LoneCore(me=LEADER_1)
    core.hear_vote(LEADER_2, "nullify", 1)
    assert not core.found(RequestBuild)
    core.hear_vote(LEADER_3, "nullify", 1)
    assert core.found(RequestBuild), "an honest validator expects a block"


def test_a3_failures_count_armed_views_only() -> None:
    core = follower()
    core.hear_certificate("nullify", 1)
    assert core.state.failures == 0
    core.give(PayloadExpected(core.now, 2))
    core.hear_certificate("nullify", 2)
    assert core.state.failures == 1
    assert core.state.clock.patience == 750
    core.hear_certificate("finalize", 3)
    assert core.state.failures == 0


def test_a4_a_silent_leader_is_skipped_at_once() -> None:
    core = follower()
    for view in range(1, 13):
        for other in {LEADER_2, LEADER_3}:
            core.hear_vote(other, "nullify", view)
        living = (LEADER_2, LEADER_3, LEADER_4)
        core.hear(LEADER_2, Certified(core.certificate("nullify", view, signers=living)))
    assert core.state.leader(13) == LEADER_1
    core.give(PayloadExpected(core.now, 13))
    assert core.votes_cast() == [("nullify", 13)]


# --- R3 proposing -----------------------------------------------------------------------------------------------------


def test_r3_the_leader_builds_once_when_a_block_is_expected() -> None:
    core = LoneCore(me=LEADER_1)
    core.give(PayloadExpected(0, 1))
    assert core.found(RequestBuild) == [RequestBuild(1, Ref(0, CHAIN))]
    core.give(PayloadExpected(0, 1))
    expire(core, 10)
    assert not core.found(RequestBuild)
    effects = core.built(1)
    persist = effects[0]
    assert isinstance(persist, Persist)
    assert [type(r).__name__ for r in persist.records] == ["StoredPayload", "OwnVote"], "A1: bytes beside the vote"
    assert persist.guard == Position(1, 1, 1)
    (proposal,) = core.said()
    assert isinstance(proposal, Proposal)
    assert proposal.parent is None
    core.built(1, b"again")
    assert core.last == ()


def test_r3_the_heartbeat_makes_a_leader_build() -> None:
    core = LoneCore(me=LEADER_1)
    expire(core, 30_000)
    assert core.found(RequestBuild)


def test_r3_an_unfinalized_block_is_built_upon_soon() -> None:
    core = LoneCore(me=LEADER_2)
    core.hear_proposal(1)
    core.verified(1)
    core.hear_certificate("notarize", 1)
    assert core.state.view == 2
    expire(core, 1_999)
    assert not core.found(RequestBuild)
    expire(core, 1)
    assert core.found(RequestBuild) == [RequestBuild(2, Ref(1, digest(1)))]


def test_r3_the_highest_usable_view_is_the_parent() -> None:
    core = LoneCore(me=LEADER_4)
    core.hear_proposal(1)
    core.verified(1)
    core.hear_certificate("notarize", 1)
    core.hear_certificate("nullify", 1)
    core.hear_certificate("nullify", 2)
    core.hear_certificate("nullify", 3)
    core.give(PayloadExpected(0, 4))
    assert core.found(RequestBuild) == [RequestBuild(4, Ref(1, digest(1)))], "A6: notarized and nullified both"
    core.built(4)
    proposal = next(m for m in core.said() if isinstance(m, Proposal))
    assert proposal.parent is not None
    assert (proposal.parent.kind, proposal.parent.view) == ("notarize", 1)
    assert [c.view for c in proposal.nullifications] == [2, 3]


def test_r3_a_gap_is_fetched_not_guessed() -> None:
    core = LoneCore(me=LEADER_4)
    core.hear_certificate("nullify", 3)
    core.give(PayloadExpected(0, 4))
    assert not core.found(RequestBuild)
    expire(core, 100)
    assert {(m.kind, m.view) for m in core.said() if isinstance(m, WantCertificate)} == {("nullify", 1), ("nullify", 2)}
    core.hear_certificate("nullify", 2)
    core.hear_certificate("nullify", 1)
    assert core.found(RequestBuild) == [RequestBuild(4, Ref(0, CHAIN))]


def test_r3_not_after_own_nullify() -> None:
    core = LoneCore(me=LEADER_1)
    core.give(PayloadExpected(0, 1))
    core.give(BuildFailed(0, 1))
    assert core.votes_cast() == [("nullify", 1)]
    core.built(1)
    assert core.votes_cast() == []


# --- R4 judging proposals ---------------------------------------------------------------------------------------------


def test_r4_a_good_proposal_is_verified_then_voted_for() -> None:
    core = follower()
    core.hear_proposal(1)
    assert core.found(RequestVerify) == [RequestVerify(1, digest(1), payload(1), Ref(0, CHAIN), False)]
    assert core.votes_cast() == []
    effects = core.verified(1)
    assert core.votes_cast() == [("notarize", 1)]
    persist = effects[0]
    assert isinstance(persist, Persist), "durable before it is said"
    assert [type(r).__name__ for r in persist.records] == ["StoredPayload", "OwnVote"]
    core.verified(1)
    core.hear_proposal(1)
    assert core.votes_cast() == []


def test_r4_an_invalid_block_is_nullified() -> None:
    core = follower()
    core.hear_proposal(1)
    core.verified(1, Verdict.INVALID)
    assert core.votes_cast() == [("nullify", 1)]


@pytest.mark.parametrize(
    "strip",
    [
        {"parent": None},
        {"nullifications": ()},
        {"nullifications": "reversed"},
        {"parent": "nullify"},
        {"parent": "other view"},
        {"nullifications": "bad signature"},
    ],
    ids=lambda strip: " ".join(f"{k} {v}" for k, v in strip.items()),
)
def test_r4_incomplete_proofs_are_invalid(strip: dict[str, object]) -> None:
    """B8: a proof too few, or a wrong one: nullify."""
    core = LoneCore(me=LEADER_1)
    good = core.proposal(4, 1)
    parent, nullified = good.parent, good.nullifications
    match strip.get("parent", "keep"):
        case None:
            parent = None
        case "nullify":
            parent = core.certificate("nullify", 1)
        case "other view":
            parent = core.certificate("notarize", 2, 1)
    match strip.get("nullifications", "keep"):
        case ():
            nullified = ()
        case "reversed":
            nullified = tuple(reversed(nullified))
        case "bad signature":
            nullified = (nullified[0], replace(core.certificate("nullify", 9), view=3))
    for view in (1, 2):
        core.hear_certificate("nullify", view)
    core.hear(LEADER_4, Proposal(good.vote, parent, nullified), payload(4))
    assert core.found(Blame)[-1] == Blame(core.name(LEADER_4), "proposal_carry")
    core.hear_certificate("nullify", 3)
    assert ("nullify", 4) in core.votes_cast(core.all)
    assert not core.found(RequestVerify, core.all)


def test_r4_a_parent_below_the_last_finalized_view_is_refused() -> None:
    """B8: only a proposal that skips more views than it proves can try; nobody can prove the final view nullified."""
    core = LoneCore(me=LEADER_1)
    core.hear_certificate("nullify", 69)
    core.hear_certificate("finalize", 3, 2)
    core.hear_proposal(70, 0)
    assert core.votes_cast() == [("nullify", 70)]


def test_r4_missing_ancestry_is_waited_for_and_fetched() -> None:
    """B8: what is missing here is no fault of the proposer."""
    core = LoneCore(me=LEADER_4)
    core.hear_certificate("notarize", 1)
    core.hear_certificate("nullify", 1)
    core.hear_proposal(2, 1)
    assert not core.found(RequestVerify)
    assert core.votes_cast() == []
    expire(core, 100)
    assert [type(m) for m in core.said()] == [WantPayload]
    core.hear(1, Payload(digest(1).hex()), payload(1))
    assert core.found(RequestVerify) == [RequestVerify(1, digest(1), payload(1), Ref(0, CHAIN), True)]
    core.verified(1)
    assert core.found(RequestVerify) == [RequestVerify(2, digest(2), payload(2), Ref(1, digest(1)), False)]


def test_r4_more_than_64_skipped_views_are_fetched_from_the_proposer() -> None:
    core = LoneCore(me=LEADER_1)
    core.hear_certificate("nullify", 67)
    core.hear_proposal(68, 0)
    assert not core.found(RequestVerify)
    assert core.votes_cast() == []
    expire(core, 100)
    wants = [m for m in core.said() if isinstance(m, WantCertificate)]
    assert {want.view for want in wants} == {1, 2, 3}
    assert {one.to for one in core.found(Send) if b"want_certificate" in one.data} == {core.name(core.leader(68))}
    for view in (1, 2, 3):
        core.hear_certificate("nullify", view)
    assert core.found(RequestVerify)


def test_r4_bytes_with_another_name_are_refused() -> None:
    core = follower()
    core.hear(LEADER_1, core.proposal(1), payload(1, b"other"))
    assert core.votes_cast() == [("nullify", 1)]
    assert core.found(Blame)[0].code == "proposal_payload"


def test_r4_only_the_leader_proposes() -> None:
    core = follower()
    core.hear(LEADER_2, core.proposal(1), payload(1))
    assert core.found(Blame)[0].code == "not_leader"
    forged = Proposal(core.vote(LEADER_2, "notarize", 1), None, ())
    core.hear(LEADER_2, forged, payload(1))
    assert core.found(Blame)[0].code == "not_leader"
    assert core.state.at(1).slot is None


def test_a5_a_held_block_is_asked_about_again() -> None:
    core = follower()
    core.hear_proposal(1)
    core.verified(1, Verdict.LATER, retry_at=700)
    assert SetTimer(700) in core.last
    core.now = 699
    core.give(TimerFired(core.now))
    assert not core.found(RequestVerify)
    core.now = 700
    core.give(TimerFired(core.now))
    assert core.found(RequestVerify)


def test_a5_a_notarized_block_is_not_held() -> None:
    core = follower()
    core.hear_proposal(1)
    core.verified(1, Verdict.LATER, retry_at=90_000)
    core.hear_certificate("notarize", 1)
    assert core.found(RequestVerify) == [RequestVerify(1, digest(1), payload(1), Ref(0, CHAIN), True)]


def test_a5_an_answer_that_a_quorum_overtook_holds_nothing() -> None:
    """The clock test was under way when the notarization came: the block is asked about again at once."""
    core = follower()
    core.hear_proposal(1)
    core.hear_certificate("notarize", 1)
    core.verified(1, Verdict.LATER, retry_at=core.now + 900_000)
    (again,) = core.found(RequestVerify)
    assert again.notarized
    core.verified(1)
    assert ("finalize", 1) in core.votes_cast()


def test_a11_a_proposal_ahead_is_judged_on_entry() -> None:
    core = follower()
    core.hear_proposal(2, 0)
    assert core.state.view == 2, "its carried nullification lets us in, and then it is judged"
    assert core.found(RequestVerify)


def test_a11_a_kept_proposal_is_judged_when_the_view_opens() -> None:
    core = follower()
    core.hear_proposal(1)
    proposal = core.proposal(2, 1)
    core.hear(LEADER_2, proposal, payload(2))
    assert core.state.view == 1
    core.verified(1)
    assert core.state.view == 2
    assert core.found(RequestVerify) == [RequestVerify(2, digest(2), payload(2), Ref(1, digest(1)), False)]
    core.hear_proposal(5, 4)
    assert 5 not in core.state.views, "at most two views ahead"


# --- R5, R6 -----------------------------------------------------------------------------------------------------------


def test_r5_the_leaders_own_nullify_ends_the_view() -> None:
    core = follower()
    core.hear_vote(LEADER_2, "nullify", 1)
    assert core.votes_cast() == []
    core.hear_vote(LEADER_1, "nullify", 1)
    assert core.votes_cast() == [("nullify", 1)]


def test_r5_nullify_may_follow_notarize_but_never_finalize() -> None:
    core = follower()
    core.hear_proposal(1)
    core.verified(1)
    expire(core, 5_000)
    assert core.votes_cast()[0] == ("nullify", 1)
    core.hear_certificate("notarize", 1)
    assert core.state.view == 2
    assert ("finalize", 1) not in core.votes_cast(core.all)


def test_r6_finalize_follows_a_usable_notarization() -> None:
    core = follower()
    core.hear_proposal(1)
    core.verified(1)
    core.hear_vote(LEADER_2, "notarize", 1)
    assert core.votes_cast() == [("finalize", 1)]
    persist = core.last[0]
    assert isinstance(persist, Persist)
    assert {type(r) for r in persist.records} == {StoredCertificate, OwnVote}
    assert core.state.view == 2
    expire(core)
    assert ("nullify", 1) not in core.votes_cast(core.all)


def test_r6_the_bytes_are_durable_with_the_finalize_vote_of_a_late_comer() -> None:
    core = follower()
    core.hear_certificate("notarize", 1)
    assert core.votes_cast() == []
    core.hear_proposal(1)
    core.verified(1)
    persist = core.last[0]
    assert isinstance(persist, Persist)
    assert [type(r) for r in persist.records] == [StoredPayload, OwnVote]
    assert core.votes_cast() == [("finalize", 1)]


def test_r6_not_after_an_equivocation_was_seen() -> None:
    core = follower()
    core.hear_proposal(1)
    core.hear_proposal(1, text=b"twin")
    assert len(core.found(Evidence)) == 1
    core.verified(1)
    assert core.votes_cast() == []
    core.hear_certificate("notarize", 1)
    assert core.votes_cast() == []
    assert core.state.view == 2


def test_r6_votes_of_left_views_still_count() -> None:
    core = follower()
    core.hear_proposal(1)
    core.verified(1)
    core.hear_certificate("notarize", 1)
    core.hear_certificate("nullify", 2)
    assert core.state.view == 3
    core.hear_vote(LEADER_2, "finalize", 1)
    core.hear_vote(LEADER_3, "finalize", 1)
    assert core.state.final_view == 1
    assert [b.ref.view for d in core.found(Deliver) for b in d.blocks] == [1]


@pytest.mark.parametrize(
    ("before", "then"),
    [("notarize", "notarize"), ("nullify", "nullify"), ("nullify", "finalize"), ("finalize", "nullify")],
)
def test_the_one_place_that_signs_refuses_to_contradict_itself(before: Kind, then: Kind) -> None:
    core, out = follower(), Outbox()
    candidate = core.state.at(1).candidate(0, digest(1))
    core.state.cast(before, 1, candidate, out)
    with pytest.raises(ConsensusError) as refused:
        core.state.cast(then, 1, candidate, out)
    assert refused.value.code == "double_vote"
    assert len(out.records) == 1


def test_the_one_place_that_signs_waits_for_the_peers() -> None:
    core = follower()
    core.state.may_vote = False
    with pytest.raises(ConsensusError):
        core.state.cast("nullify", 1, None, Outbox())


# --- R7 certificates and delivery -------------------------------------------------------------------------------------


def test_r7_a_chain_is_delivered_once_in_order() -> None:
    core = follower()
    core.hear_proposal(1)
    core.verified(1)
    core.hear_certificate("notarize", 1)
    core.hear_proposal(2, 1)
    core.verified(2)
    core.hear_certificate("notarize", 2, 1)
    core.hear_certificate("finalize", 2, 1)
    (deliver,) = core.found(Deliver)
    assert [b.ref for b in deliver.blocks] == [Ref(1, digest(1)), Ref(2, digest(2))]
    assert deliver.certificate.view == 2
    names = [type(e).__name__ for e in core.last]
    assert names.index("Send") < names.index("Deliver")
    core.hear_certificate("finalize", 1)
    assert not core.found(Deliver)


def test_r7_a_finalization_goes_into_the_frame_of_the_next_vote() -> None:
    core = follower()
    core.hear_proposal(1)
    core.verified(1)
    core.hear_certificate("notarize", 1)
    core.hear_certificate("finalize", 1)
    assert core.found(Deliver)
    assert not core.found(Persist), "no fsync for what no signature rests on"
    core.hear_proposal(2, 1)
    core.verified(2)
    (persist,) = core.found(Persist)
    assert isinstance(persist, Persist)
    assert [type(record).__name__ for record in persist.records] == ["StoredCertificate", "StoredPayload", "OwnVote"]
    assert core.last.index(persist) == 0


def test_r7_a_node_that_signs_nothing_writes_finalizations_in_bundles() -> None:
    core = follower()
    core.state.may_vote = False
    for view in range(1, MAX_UNWRITTEN + 1):
        core.hear_certificate("finalize", view, view - 1)
    assert not core.found(Persist, core.all)
    core.hear_certificate("finalize", MAX_UNWRITTEN + 1, MAX_UNWRITTEN)
    (persist,) = core.found(Persist, core.all)
    assert isinstance(persist, Persist)
    assert len(persist.records) == MAX_UNWRITTEN + 1


def test_r7_a_nullified_block_is_still_verified() -> None:
    core = follower()
    core.hear_proposal(1)
    core.verified(1)
    expire(core, 5_000)
    core.hear_certificate("nullify", 1)
    assert core.state.view == 2
    core.hear_certificate("notarize", 1)
    assert core.state.usable(1)


def test_b12_one_bad_share_does_not_spoil_the_rest() -> None:
    core = follower()
    core.hear_proposal(1)
    core.verified(1)
    core.hear_certificate("notarize", 1)
    core.hear(LEADER_1, VoteCast(replace(core.vote(LEADER_1, "finalize", 1), signature="5a" * 96)))
    core.hear_vote(LEADER_2, "finalize", 1)
    assert core.found(Blame) == [Blame(core.name(LEADER_1), "signature")]
    assert core.state.final_view == 0
    core.hear_vote(LEADER_3, "finalize", 1)
    assert core.state.final_view == 1


# --- R8, R9, R10 ------------------------------------------------------------------------------------------------------


def test_r8_nullify_is_repeated_with_the_entry_certificate() -> None:
    core = LoneCore(me=LEADER_4, timing=Timing(standstill=60_000))
    core.hear_certificate("nullify", 1)
    core.give(PayloadExpected(0, 2))
    expire(core, 1_000)
    persisted = len(core.found(Persist, core.all))
    expire(core, 1_000)
    assert ("nullify", 2) in core.votes_cast()
    assert ("nullify", 1) in [(m.certificate.kind, m.certificate.view) for m in core.said() if isinstance(m, Certified)]
    assert len(core.found(Persist, core.all)) == persisted, "retries are not journaled again"


def test_r9_standstill_repeats_everything_above_the_last_finalization() -> None:
    core = follower()
    core.finish_view(1, 0)
    core.hear_proposal(2, 1)
    core.verified(2)
    core.hear_certificate("notarize", 2, 1)
    core.give(TimerFired(core.now))
    expire(core, 2_000)
    said = core.said()
    assert {(m.certificate.kind, m.certificate.view) for m in said if isinstance(m, Certified)} >= {
        ("finalize", 1),
        ("notarize", 2),
    }
    assert {("notarize", 2), ("finalize", 2)} <= set(core.votes_cast())


def test_r8_whoever_lags_is_told() -> None:
    core = follower()
    core.finish_view(1, 0)
    core.now = 10_000
    core.hear_vote(LEADER_3, "nullify", 1)
    (told,) = core.said([one for one in core.found(Send) if one.to == core.name(LEADER_3)])
    assert isinstance(told, Certified)
    assert (told.certificate.kind, told.certificate.view) == ("finalize", 1)
    core.hear_vote(LEADER_3, "notarize", 1)
    assert not [one for one in core.found(Send) if one.to == core.name(LEADER_3)], "at most once a second"


@pytest.mark.parametrize(
    ("kind", "view", "answer"),
    [
        ("notarize", 2, "notarize"),
        ("nullify", 2, "nullify"),
        ("notarize", 3, "nullify"),
        ("nullify", 9, None),
        ("nullify", 1, "finalize"),
    ],
)
def test_r10_the_exact_kind_is_served_else_what_is_known(kind: Kind, view: int, answer: str | None) -> None:
    core = follower()
    core.finish_view(1, 0)
    core.hear_certificate("notarize", 2, 1)
    core.hear_certificate("nullify", 2)
    core.hear_certificate("nullify", 3)
    core.hear(LEADER_1, WantCertificate(1, kind, view))
    told = [m.certificate.kind for m in core.said() if isinstance(m, Certified)]
    assert told == ([answer] if answer else [])


def test_r10c_bytes_come_from_memory_or_from_the_store() -> None:
    core = follower()
    core.hear_proposal(1)
    core.hear(LEADER_2, WantPayload(digest(1).hex()))
    assert [type(m) for m in core.said()] == [Payload]
    core.verified(1)
    core.hear_certificate("notarize", 1)
    core.hear_certificate("finalize", 1)
    core.hear(LEADER_2, WantPayload(digest(1).hex()))
    assert core.found(Serve) == [Serve(core.name(LEADER_2), digest(1))]


def test_r10c_unwanted_or_wrong_bytes_are_not_kept() -> None:
    core = follower()
    core.hear(LEADER_2, Payload(digest(1).hex()), payload(1))
    assert core.state.find_payload(digest(1)) is None
    core.hear_certificate("notarize", 1)
    core.hear(LEADER_2, Payload(digest(1).hex()), payload(1, b"x"))
    assert core.found(Blame)[0].code == "payload"


def test_a_gap_goes_to_the_hosts_sync() -> None:
    core = follower()
    core.hear_certificate("finalize", 100, 99)
    (behind,) = core.found(Behind)
    assert core.state.view == 101
    core.hear_certificate("finalize", 101, 100)
    assert not core.found(Behind)
    core.give(CaughtUp(core.now, behind.certificate))
    assert core.state.delivered == Ref(100, digest(100))
    core.hear(core.leader(101), Payload(digest(101).hex()), payload(101))
    assert core.found(RequestVerify)[0].parent == Ref(100, digest(100))
    core.verified(101)
    assert [b.ref.view for d in core.found(Deliver) for b in d.blocks] == [101]


def test_nothing_is_delivered_while_the_host_syncs() -> None:
    core = follower()
    core.hear_certificate("finalize", 2, 1)
    expire(core, 2_000)
    assert core.found(Behind)
    core.hear_certificate("notarize", 1)
    for view in (1, 2):
        core.hear(1, Payload(digest(view).hex()), payload(view))
        core.verified(view)
    assert not core.found(Deliver, core.all), "the host's store may be on the move"
    core.give(CaughtUp(core.now, None))
    assert [b.ref.view for d in core.found(Deliver) for b in d.blocks] == [1, 2]


def test_r3_a_leader_that_is_syncing_lets_the_others_skip_it() -> None:
    core = LoneCore(me=LEADER_1)
    core.hear_certificate("finalize", 100, 99)
    assert core.found(Behind)
    assert core.votes_cast() == []
    assert core.state.leader(101) == LEADER_1
    core.give(PayloadExpected(core.now, 101))
    assert core.votes_cast() == [("nullify", 101)]


def test_blocks_that_only_wait_for_the_application_are_no_gap() -> None:
    core = follower()
    core.hear_proposal(1)
    core.hear_certificate("notarize", 1)
    core.hear_certificate("finalize", 1)
    expire(core, 20_000)
    expire(core, 20_000)
    assert not core.found(Behind, core.all)
    core.hear_certificate("finalize", 2, 1)
    expire(core, 10)
    expire(core, 2_000)
    assert [b.certificate.view for b in core.found(Behind)] == [2], "its bytes are nowhere to be had"


def test_status_tells_where_the_core_stands() -> None:
    core = follower()
    core.finish_view(1, 0)
    status = core.core.status
    assert (status.view, status.final_view, status.delivered_view, status.may_vote) == (2, 1, 1, True)
    assert status.leader == core.name(LEADER_2)
    assert not status.halted
    assert not status.syncing


def test_caught_up_with_anything_but_a_finalization_is_a_host_error() -> None:
    core = follower()
    with pytest.raises(ConsensusError):
        core.give(CaughtUp(0, core.certificate("notarize", 5, 4)))


# --- R11 conflicts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("notarize", b"a"), ("notarize", b"b")),
        (("finalize", b"a"), ("finalize", b"b")),
        (("notarize", b"a"), ("finalize", b"b")),
        (("finalize", b"a"), ("notarize", b"b")),
        (("nullify", b""), ("finalize", b"a")),
        (("finalize", b"a"), ("nullify", b"")),
    ],
)
def test_r11_certificates_that_exclude_each_other_stop_the_core(
    first: tuple[Kind, bytes], second: tuple[Kind, bytes]
) -> None:
    core = follower()
    core.hear_certificate(first[0], 3, 2, first[1])
    effects = core.hear_certificate(second[0], 3, 2, second[1])
    (halt,) = core.found(Halt)
    assert halt.code == "conflicting_certificates"
    assert len(halt.certificates) == 2
    assert [m.certificate for m in core.said() if isinstance(m, Certified)] == list(halt.certificates)
    assert len(core.said()) == 2, "a halting step shows the proofs to all and says nothing else"
    assert isinstance(effects[0], Persist), "both stay on disk"
    assert core.hear_proposal(1) == ()


def test_r11_notarized_and_nullified_is_no_conflict() -> None:
    core = follower()
    core.hear_certificate("notarize", 3, 2)
    core.hear_certificate("nullify", 3)
    assert not core.found(Halt, core.all)


def test_r11_a_certificate_replaces_the_slot() -> None:
    core = follower()
    core.hear_proposal(1, text=b"twin")
    core.hear_certificate("notarize", 1)
    assert core.state.at(1).slot is core.state.at(1).decided
    core.verified(1, text=b"twin")
    assert core.votes_cast() == []


def test_r11_two_final_blocks_that_do_not_descend_stop_the_core() -> None:
    core = follower()
    core.finish_view(1, 0)
    core.hear_certificate("notarize", 2, 0)
    core.hear_certificate("finalize", 2, 0)
    core.hear(LEADER_2, Payload(digest(2).hex()), payload(2))
    assert not core.found(RequestVerify), "a parent below the floor is never executed"


def test_a7_a_notarized_block_that_is_invalid_here_stops_the_core() -> None:
    for late in (False, True):
        core = follower()
        core.hear_proposal(1)
        if late:
            core.verified(1, Verdict.INVALID)
            core.hear_certificate("notarize", 1)
        else:
            core.hear_certificate("notarize", 1)
            core.verified(1, Verdict.INVALID)
        (halt,) = core.found(Halt)
        assert halt.code == "disagreement"
        assert "why" in halt.detail


@pytest.mark.parametrize(
    ("first", "second"),
    [("nullify", "finalize"), ("finalize", "nullify"), ("notarize", "notarize"), ("finalize", "finalize")],
)
def test_evidence_is_two_verified_votes(first: Kind, second: Kind) -> None:
    core = follower()
    core.hear_vote(LEADER_2, first, 1, text=b"a")
    core.hear_vote(LEADER_2, second, 1, text=b"b")
    (evidence,) = core.found(Evidence)
    assert evidence.signer == core.name(LEADER_2)
    core.hear_vote(LEADER_2, second, 1, text=b"b")
    assert not core.found(Evidence), "once"


def test_b13_an_unchecked_bad_share_is_no_evidence() -> None:
    core = follower()
    core.hear(LEADER_2, VoteCast(replace(core.vote(LEADER_2, "finalize", 1), signature="5a" * 96)))
    core.hear_vote(LEADER_2, "nullify", 1)
    assert not core.found(Evidence)
    assert core.found(Blame)[0].code == "vote_signature"


def test_r11_a_twin_seen_by_others_is_asked_for() -> None:
    core = follower()
    core.hear_proposal(1)
    core.hear_vote(LEADER_2, "notarize", 1, text=b"twin")
    assert [type(m) for m in core.said()] == [WantProposalVote]
    core.hear(LEADER_2, ProposalVote(core.vote(LEADER_1, "notarize", 1, text=b"twin")))
    assert [e.signer for e in core.found(Evidence)] == [core.name(LEADER_1)]


def test_b17_votes_come_from_their_signer() -> None:
    core = follower()
    core.hear(LEADER_2, VoteCast(core.vote(LEADER_3, "nullify", 1)))
    assert core.found(Blame) == [Blame(core.name(LEADER_2), "impersonation")]
    assert core.state.at(1).tally.count("nullify") == 0


def test_garbage_blames_its_sender() -> None:
    core = follower()
    core.give(Message(0, core.name(LEADER_2), b"\x00\x00\x00\x02{}"))
    assert core.found(Blame) == [Blame(core.name(LEADER_2), "malformed")]
    core.give(Message(0, "stranger", b""))
    assert core.found(Blame) == [Blame("stranger", "malformed")]


# --- restart ----------------------------------------------------------------------------------------------------------


def test_replay_sets_flags_and_repeats_nothing() -> None:
    core = LoneCore(me=LEADER_1, start=False)
    own = core.vote(LEADER_1, "notarize", 1)
    core.start((StoredPayload(1, digest(1), payload(1)), OwnVote(own)), guard=Position(1, 1, 1))
    assert core.votes_cast(core.all) == []
    asked = core.found(RequestVerify, core.all)
    assert [(r.view, r.digest) for r in asked] in ([], [(1, digest(1))])
    core.give(PayloadExpected(core.now, 1))
    assert not core.found(RequestBuild), "the leader does not propose again"
    core.hear_vote(LEADER_2, "notarize", 1)
    core.hear_vote(LEADER_3, "notarize", 1)
    assert core.state.at(1).decided is not None, "the replayed vote counts with the others"
    core.verified(1)
    assert core.votes_cast() == [("finalize", 1)]


def test_replayed_nullify_counts_and_forbids_finalize() -> None:
    core = LoneCore(me=LEADER_4, start=False)
    core.start((OwnVote(core.vote(LEADER_4, "nullify", 1)),))
    core.hear_proposal(1)
    core.verified(1)
    core.hear_certificate("notarize", 1)
    assert ("finalize", 1) not in core.votes_cast(core.all)
    core.hear_vote(LEADER_2, "nullify", 1)
    core.hear_vote(LEADER_3, "nullify", 1)
    assert core.state.holds("nullify", 1)


def test_replayed_finalize_forbids_nullify() -> None:
    core = LoneCore(me=LEADER_4, start=False)
    records = (StoredCertificate(core.certificate("notarize", 1)), OwnVote(core.vote(LEADER_4, "finalize", 1)))
    core.start(records)
    assert core.state.view == 1
    core.give(PayloadExpected(0, 1))
    expire(core)
    assert core.votes_cast(core.all) in ([("finalize", 1)], []), "at most the old vote again"
    core.hear_proposal(1)
    core.verified(1)
    assert core.state.view == 2


def test_replay_serves_certificates_again() -> None:
    core = LoneCore(me=LEADER_4, start=False)
    core.start((StoredCertificate(core.certificate("nullify", 1)), StoredCertificate(core.certificate("nullify", 2))))
    assert core.state.view == 3
    core.hear(LEADER_1, WantCertificate(1, "nullify", 1))
    assert [m.certificate.view for m in core.said() if isinstance(m, Certified)] == [1]


def test_a_rewritten_journal_holds_all_that_is_needed() -> None:
    core = follower()
    core.finish_view(1, 0)
    core.hear_proposal(2, 1)
    core.verified(2)
    core.hear_certificate("nullify", 2)
    records = surviving_records(core.state)
    assert records[0] == FloorMark(1, 1)
    assert OwnVote(core.state.at(2).own["notarize"]) in records
    assert StoredPayload(2, digest(2), payload(2)) in records
    assert not [r for r in records if isinstance(r, OwnVote) and r.vote.view <= 1]
    again = LoneCore(me=LEADER_4, start=False)
    again.start(records, Floor(Ref(1, digest(1)), core.state.finalized), core.state.guard)
    assert again.state.view == 3
    assert again.state.at(2).own == core.state.at(2).own
    assert again.state.find_payload(digest(2)) == payload(2)
    behind = LoneCore(me=LEADER_4, start=False)
    behind.start(records, Floor(Ref(0, CHAIN), None), core.state.guard)
    assert behind.found(Halt, behind.all)[0].code == "store_behind_journal"


def test_a_floor_needs_its_proof() -> None:
    for floor in (
        Floor(Ref(3, digest(3)), None),
        Floor(Ref(3, digest(3)), LoneCore(start=False).certificate("notarize", 3, 2)),
        Floor(Ref(3, digest(3)), LoneCore(start=False).certificate("finalize", 2, 1)),
    ):
        core = LoneCore(start=False)
        core.start(floor=floor)
        assert core.found(Halt, core.all)[0].code == "floor"


def test_an_observer_follows_and_never_signs() -> None:
    core = LoneCore(me=None)
    core.finish_view(1, 0)
    assert core.state.delivered == Ref(1, digest(1))
    core.give(PayloadExpected(0, 2))
    expire(core)
    assert core.votes_cast(core.all) == []
    assert not core.found(RequestBuild, core.all)


def test_a_config_without_keys_is_no_validator() -> None:
    good = LoneCore(start=False).config
    with pytest.raises(ConsensusError):
        Config(good.chain, good.validators, 0, good.root, good.leader_seed, good.payloads, None)
    with pytest.raises(ConsensusError):
        Config(good.chain, good.validators, 4, good.root, good.leader_seed, good.payloads, good.signer)
