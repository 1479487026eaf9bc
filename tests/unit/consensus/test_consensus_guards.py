"""Guards that removal must not survive (`python -m tests.mutation`): one focused test each, all sides of the guard."""

import pytest
from msgspec import structs

from consensus.effects import Blame, Evidence, Halt, Persist, RequestVerify
from consensus.inputs import PayloadExpected, Start, TimerFired, Verified
from consensus.journal import (
    FloorMark,
    JournalDamaged,
    OwnVote,
    StoredPayload,
    decode_journal,
    encode_frame,
    encode_header,
)
from consensus.leaders import leader_order
from consensus.messages import Proposal, TellPosition, VoteCast
from consensus.outbox import Outbox
from consensus.types import ConsensusError, Floor, Ref, Verdict
from ledger.certificates import Subject, Vote, build_certificate, vote_message
from tests.support.lone_core import CHAIN, LoneCore, digest, payload
from tests.support.simulator_crypto import FakeScheme, fake_validators

LEADER_1, LEADER_2, LEADER_3, LEADER_4 = leader_order(CHAIN, 1, 4)


def follower() -> LoneCore:
    """Leads view 4 only: views 1 to 3 are led by others."""
    return LoneCore(me=LEADER_4)


def test_r1_a11_only_views_near_the_current_one_take_memory() -> None:
    core = follower()
    core.hear_vote(LEADER_1, "nullify", 2)
    core.hear_vote(LEADER_1, "nullify", 3)
    assert 2 in core.state.views
    assert 3 not in core.state.views, "votes: one view ahead"
    core.hear_proposal(5, 4)
    assert 5 not in core.state.views, "proposals: two views ahead"
    core.hear_proposal(3, 2)
    assert core.state.at(3).slot is not None


def test_r4_only_the_first_proposal_and_only_in_a_view_without_own_votes() -> None:
    core = follower()
    core.hear_proposal(1)
    core.hear_proposal(1, text=b"twin")
    slot = core.state.at(1).slot
    assert slot is not None
    assert slot.digest == digest(1), "the second proposal takes no place"
    core.verified(1)
    core.verified(1, text=b"twin")
    assert core.votes_cast(core.all) == []

    core = follower()
    core.give(PayloadExpected(core.now, 1))
    core.now = 100_000
    core.give(TimerFired(core.now))
    assert ("nullify", 1) in core.votes_cast()
    core.hear_proposal(1)
    core.verified(1)
    assert ("notarize", 1) not in core.votes_cast(core.all), "not after the own nullify"


def test_r4_the_chain_of_parents_is_proven_down_to_the_final_block() -> None:
    core = LoneCore(me=LEADER_4)
    good = core.proposal(2, 0)
    for proposal in (Proposal(good.vote, None, ()), Proposal(good.vote, core.certificate("notarize", 1), ())):
        core = LoneCore(me=LEADER_4)
        core.hear_certificate("nullify", 1)
        core.hear(LEADER_2, proposal, payload(2))
        assert not core.found(RequestVerify)
        assert core.votes_cast() == [("nullify", 2)]

    core = LoneCore(me=LEADER_1)
    core.hear_certificate("nullify", 69)
    core.hear_certificate("finalize", 3, 2)
    core.hear_proposal(70, 0)
    assert core.votes_cast() == [("nullify", 70)], "the parent is below the final block"

    core = LoneCore(me=LEADER_1)
    core.hear_certificate("nullify", 67)
    core.hear_proposal(68, 0)
    assert not core.found(RequestVerify), "views 1 to 3 are not shown to be nullified"


def test_r4_proposals_come_from_the_leader_and_votes_from_their_signer() -> None:
    core = follower()
    core.hear(LEADER_2, Proposal(core.vote(LEADER_2, "notarize", 1), None, ()), payload(1))
    assert core.state.at(1).slot is None
    core.hear(LEADER_2, core.proposal(1), payload(1))
    assert core.state.at(1).slot is None
    core.hear(LEADER_2, VoteCast(core.vote(LEADER_3, "nullify", 1)))
    assert core.state.at(1).tally.count("nullify") == 0
    assert [one.code for one in core.found(Blame, core.all)] == ["not_leader", "not_leader", "impersonation"]


def test_r6_finalize_needs_a_clean_view() -> None:
    core = LoneCore(me=LEADER_4, start=False)
    core.start((OwnVote(core.vote(LEADER_4, "nullify", 1)),))
    core.hear_proposal(1)
    core.hear_certificate("notarize", 1)
    core.verified(1)
    assert core.state.usable(1)
    assert ("finalize", 1) not in core.votes_cast(core.all), "not after the own nullify"

    core = follower()
    core.hear_proposal(1)
    core.hear_proposal(1, text=b"twin")
    core.hear_certificate("notarize", 1)
    core.verified(1)
    assert core.state.usable(1)
    assert core.votes_cast(core.all) == [], "not after an equivocation of the leader"


def test_a1_bytes_are_in_the_frame_of_the_vote_that_vouches_for_them() -> None:
    def frame(core: LoneCore) -> list[object]:
        (persist,) = core.found(Persist)
        return list(persist.records)

    voter = follower()
    voter.hear_proposal(1)
    voter.verified(1)
    assert voter.votes_cast() == [("notarize", 1)]
    assert StoredPayload(1, digest(1), payload(1)) in frame(voter)

    leader = LoneCore(me=LEADER_1)
    leader.give(PayloadExpected(0, 1))
    leader.built(1)
    assert leader.votes_cast() == [("notarize", 1)]
    assert StoredPayload(1, digest(1), payload(1)) in frame(leader)

    late = follower()
    late.hear_certificate("notarize", 1)
    late.hear_proposal(1)
    late.verified(1)
    assert late.votes_cast() == [("finalize", 1)]
    assert StoredPayload(1, digest(1), payload(1)) in frame(late)


def test_a9_nothing_is_signed_before_enough_peers_know_of_nothing_more() -> None:
    core = LoneCore(me=LEADER_4, start=False)
    core.give(Start(0, (), Floor(Ref(0, CHAIN), None), None, 77))
    with pytest.raises(ConsensusError):
        core.state.cast("nullify", 1, None, Outbox())
    core.hear(LEADER_1, TellPosition(1, 77, None, None))
    assert not core.state.may_vote, "one of three is not enough"
    core.hear(LEADER_2, TellPosition(1, 77, core.vote(LEADER_4, "nullify", 5), None))
    (halt,) = core.found(Halt)
    assert halt.code == "unknown_vote"


def test_r12_one_core_orders_one_epoch() -> None:
    core = follower()
    later = Subject("finalize", 2, 1, 0, digest(1).hex())
    core.hear(LEADER_2, VoteCast(sign(core, LEADER_2, later)))
    assert core.state.at(1).tally.count("finalize") == 0, "a vote of the next epoch is not counted"

    nullify = Subject("nullify", 2, 1, 0, None)
    foreign = build_certificate([sign(core, i, nullify) for i in range(3)], fake_validators(4, 2), FakeScheme())
    core.hear(LEADER_2, Proposal(core.vote(LEADER_2, "notarize", 2), None, (foreign,)), payload(2))
    assert core.state.view == 1, "a certificate of the next epoch opens no view of this one"
    assert core.found(Blame)[0].code == "certificate_epoch"

    core = follower()
    core.hear_proposal(1)
    core.give(Verified(core.now, 1, digest(1), Verdict.VALID, closes=True))
    core.hear_certificate("notarize", 1)
    core.hear_proposal(2, 1)
    assert core.votes_cast() == [("nullify", 2)], "only tails stand above a boundary"


def sign(core: LoneCore, signer: int, subject: Subject) -> Vote:
    signature = core.signers[signer].sign_vote(subject.kind, vote_message(CHAIN, subject))
    return Vote(subject.kind, subject.epoch, subject.view, subject.parent_view, subject.digest, signer, signature.hex())


def test_b13_evidence_needs_two_signatures_that_verify() -> None:
    for bad_first in (True, False):
        core = follower()
        bad = VoteCast(structs.replace(core.vote(LEADER_2, "finalize", 1), signature="5a" * 96))
        good = VoteCast(core.vote(LEADER_2, "nullify", 1))
        for message in (bad, good) if bad_first else (good, bad):
            core.hear(LEADER_2, message)
        assert not core.found(Evidence, core.all)
        assert [one.code for one in core.found(Blame, core.all)] == ["vote_signature"]

    core = follower()
    core.hear(LEADER_2, VoteCast(structs.replace(core.vote(LEADER_2, "nullify", 1), signature="5a" * 64)))
    assert core.state.at(1).tally.count("nullify") == 0


def test_a_journal_with_a_hole_is_refused() -> None:
    salt = b"s" * 16
    head, *frames = encode_header(salt), *(encode_frame(salt, i, (FloorMark(1, i),)) for i in range(3))
    spoiled = bytearray(frames[1])
    spoiled[20] ^= 1
    for middle in (bytes(spoiled), frames[1][:-1], b""):
        with pytest.raises(JournalDamaged) as refused:
            decode_journal(head + frames[0] + middle + frames[2])
        assert refused.value.code == "frame"
