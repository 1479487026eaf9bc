"""R12 on one core: what stands above a boundary, what is signed after it, and what other epochs are told."""

import pytest

from consensus.effects import (
    Deliver,
    EpochClosed,
    Halt,
    Persist,
    RequestBuild,
    RequestVerify,
    Rewrite,
    Send,
    ServeClosing,
)
from consensus.epochs import Epochs
from consensus.inputs import Built, CaughtUp, Message, NextEpoch, PayloadExpected, Start, TimerFired, Verified
from consensus.journal import FloorMark, OwnVote, StoredCertificate
from consensus.leaders import leader_order
from consensus.messages import (
    AskPosition,
    Certified,
    Proposal,
    TellPosition,
    VoteCast,
    WantCertificate,
    encode_message,
)
from consensus.tails import is_tail, tail_payload
from consensus.types import Config, ConsensusError, Floor, Position, Ref, Verdict
from ledger.certificates import Certificate, Kind, Subject, Vote, build_certificate, tail_digest, vote_message
from tests.support.lone_core import CHAIN, LoneCore, digest, payload
from tests.support.simulator_crypto import FakeScheme, FakeSigner, fake_validators
from tests.support.simulator_node import MAX_PAYLOAD, Payloads

B = digest(1)
"""The block of view 1, which closes the epoch in these tests."""
LEADERS = leader_order(CHAIN, 1, 4)


def statement(core: LoneCore, signer: int, kind: Kind, view: int, parent: int, name: bytes) -> Vote:
    subject = Subject(kind, 1, view, parent, name.hex())
    signature = core.signers[signer].sign_vote(kind, vote_message(CHAIN, subject))
    return Vote(kind, 1, view, parent, name.hex(), signer, signature.hex())


def certificate(core: LoneCore, kind: Kind, view: int, parent: int, name: bytes) -> Certificate:
    votes = [statement(core, i, kind, view, parent, name) for i in range(4)][-3:]
    return build_certificate(votes, core.validators, FakeScheme())


def at_boundary(me: int) -> LoneCore:
    """View 1 is notarized here and its block closes the epoch; it is not final yet."""
    core = LoneCore(me=me)
    core.hear_proposal(1)
    core.give(Verified(core.now, 1, B, Verdict.VALID, closes=True))
    core.hear(1 if me != 1 else 2, Certified(certificate(core, "notarize", 1, 0, B)))
    assert core.state.view == 2
    return core


def close_epoch(core: LoneCore) -> None:
    core.hear(1, Certified(certificate(core, "finalize", 1, 0, B)))
    assert core.state.closed


def following(me: int | None, epoch: int = 2, root: bytes = B) -> Config:
    return Config(
        chain=CHAIN,
        validators=fake_validators(4, epoch),
        me=me,
        root=root,
        leader_seed=CHAIN,
        payloads=Payloads(),
        signer=None if me is None else FakeSigner(me),
        scheme=FakeScheme(),
        max_payload=MAX_PAYLOAD,
    )


def test_the_bytes_of_a_tail_follow_from_the_boundary() -> None:
    assert is_tail(tail_digest(B), tail_payload(B))
    assert not is_tail(tail_digest(B), tail_payload(digest(2)))
    assert not is_tail(tail_digest(B), tail_payload(B) + b"x")
    assert not is_tail(digest(1), payload(1))


def test_the_leader_above_a_boundary_proposes_a_tail_without_asking_the_application() -> None:
    core = at_boundary(LEADERS[1])
    core.give(PayloadExpected(core.now, 2))
    assert not core.found(RequestBuild)
    proposal = next(message for message in core.said() if isinstance(message, Proposal))
    assert (proposal.vote.digest, proposal.vote.parent_view) == (tail_digest(B).hex(), 1)


def test_a_tail_is_voted_for_unasked_and_nothing_else_is() -> None:
    for name, data, kinds in (
        (tail_digest(B), tail_payload(B), [("notarize", 2)]),
        (digest(2), payload(2), [("nullify", 2)]),
        (tail_digest(digest(9)), tail_payload(digest(9)), [("nullify", 2)]),
    ):
        core = at_boundary(LEADERS[2])
        vote = statement(core, LEADERS[1], "notarize", 2, 1, name)
        core.hear(LEADERS[1], Proposal(vote, certificate(core, "notarize", 1, 0, B), ()), data)
        assert core.votes_cast() == kinds
        assert not core.found(RequestVerify)


def test_a_tail_below_which_no_epoch_ends_is_refused() -> None:
    core = LoneCore(me=LEADERS[2])
    vote = statement(core, LEADERS[0], "notarize", 1, 0, tail_digest(CHAIN))
    core.hear(LEADERS[0], Proposal(vote, None, ()), tail_payload(CHAIN))
    assert core.votes_cast() == [("nullify", 1)]
    assert not core.found(RequestVerify)


def test_a_final_tail_delivers_the_boundary_alone() -> None:
    """O1: the tail has no place in any store; its certificate covers the boundary."""
    core = at_boundary(LEADERS[2])
    vote = statement(core, LEADERS[1], "notarize", 2, 1, tail_digest(B))
    core.hear(LEADERS[1], Proposal(vote, certificate(core, "notarize", 1, 0, B), ()), tail_payload(B))
    closing = certificate(core, "finalize", 2, 1, tail_digest(B))
    core.hear(1, Certified(closing))
    (delivered,) = core.found(Deliver)
    assert [block.ref for block in delivered.blocks] == [Ref(1, B)]
    assert delivered.certificate == closing
    assert core.found(EpochClosed) == [EpochClosed(B)]
    assert core.last[-1] == EpochClosed(B)
    assert isinstance(core.last[0], Persist), "what closes an epoch does not wait for a later vote"


def test_a_closed_core_signs_nothing_and_still_answers() -> None:
    """B14: whoever asks for the end of the epoch is told."""
    core = at_boundary(LEADERS[2])
    close_epoch(core)
    core.now += 100_000
    core.give(TimerFired(core.now))
    assert core.last == ()
    core.hear_vote(1, "nullify", 2)
    core.hear_vote(3, "nullify", 2)
    assert core.votes_cast() == []
    core.hear(3, WantCertificate(1, "notarize", 1))
    assert core.said() == [Certified(certificate(core, "notarize", 1, 0, B))]
    core.hear(3, AskPosition(2, 1))
    assert core.last == ()


def test_synced_blocks_can_end_at_the_boundary() -> None:
    core = LoneCore(me=LEADERS[2])
    core.give(CaughtUp(core.now, certificate(core, "finalize", 5, 3, tail_digest(B)), B))
    assert core.found(EpochClosed) == [EpochClosed(B)]


def test_other_epochs_are_answered_at_most_once_per_retry() -> None:
    """B14: an older epoch is told how it ended, a newer one is asked how ours did; nothing is counted or learned."""
    core = LoneCore(me=LEADERS[2])
    for epoch, answer in ((0, ServeClosing("v01", 0)), (2, WantCertificate(1, "finalize", 1))):
        core.now += 10_000
        subject = Subject("finalize", epoch, 9, 8, digest(9).hex())
        vote = Vote("finalize", epoch, 9, 8, digest(9).hex(), 1, "00" * 96)
        core.hear(1, VoteCast(vote))
        found = core.found(ServeClosing) or core.said()
        assert found == [answer]
        for message in (VoteCast(vote), Certified(Certificate(*_fields(subject), "07", ("00" * 96,)))):
            core.hear(1, message)
            assert not core.found(Send)
            assert not core.found(ServeClosing)
    assert 9 not in core.state.views
    assert not [effect for effect in core.all if isinstance(effect, Halt)]


def _fields(subject: Subject) -> tuple[Kind, int, int, int, str | None]:
    return subject.kind, subject.epoch, subject.view, subject.parent_view, subject.digest


def epochs_at_boundary(me: int) -> Epochs:
    """The same as `at_boundary` and closed, driven through the outside."""
    core = at_boundary(me)
    close_epoch(core)
    outer = Epochs(core.config)
    outer._core = core.core
    outer._incarnation = 77
    return outer


def test_the_next_epoch_begins_with_an_empty_journal_and_a_question() -> None:
    """O2: nothing is signed before the others said that they know of no vote of this key in that epoch."""
    outer = epochs_at_boundary(LEADERS[2])
    effects = outer.step(NextEpoch(0, following(LEADERS[2])))
    assert effects[0] == Rewrite((FloorMark(2, 0),))
    assert not outer.status.may_vote
    for i in [i for i in range(4) if i != LEADERS[2]][:2]:
        outer.step(Message(1, f"v{i:02}", encode_message(TellPosition(2, 77, None, None))))
    assert outer.status.may_vote
    assert (outer.epoch, outer.status.view, outer.status.final_view) == (2, 1, 0)


def test_the_old_core_answers_until_the_new_one_has_a_final_block() -> None:
    """A2: a vote of the old epoch brings its closing finalization from memory, later from the store."""
    outer = epochs_at_boundary(LEADERS[2])
    outer.step(NextEpoch(0, following(LEADERS[2])))
    core = LoneCore(me=LEADERS[2], start=False)
    peer = (LEADERS[2] + 1) % 4
    late = encode_message(VoteCast(statement(core, peer, "notarize", 1, 0, B)))
    effects = outer.step(Message(5, f"v{peer:02}", late))
    wanted = encode_message(Certified(certificate(core, "finalize", 1, 0, B)))
    assert [effect for effect in effects if isinstance(effect, Send)] == [Send(f"v{peer:02}", wanted)]
    subject = Subject("finalize", 2, 1, 0, digest(7).hex())
    votes = [
        Vote(*_fields(subject), i, FakeSigner(i).sign_vote("finalize", vote_message(CHAIN, subject)).hex())
        for i in range(3)
    ]
    final = build_certificate(votes, fake_validators(4, 2), FakeScheme())
    outer.step(Message(6, "v00", encode_message(Certified(final))))
    effects = outer.step(Message(20_000, f"v{peer:02}", late))
    assert ServeClosing(f"v{peer:02}", 1) in effects


@pytest.mark.parametrize("config", [following(0, 3), following(0, 1)], ids=["too far", "again"])
def test_epochs_follow_one_another(config: Config) -> None:
    with pytest.raises(ConsensusError, match="next_epoch"):
        epochs_at_boundary(LEADERS[2]).step(NextEpoch(0, config))


def test_an_epoch_that_is_not_closed_has_no_successor() -> None:
    outer = Epochs(following(0, 1, CHAIN))
    outer.step(Start(0, (), Floor(Ref(0, CHAIN), None), None, 1))
    with pytest.raises(ConsensusError, match="next_epoch"):
        outer.step(NextEpoch(0, following(0)))


def test_a_journal_of_the_closed_epoch_is_replaced_at_a_restart() -> None:
    """O2: the process died after the boundary was durable and before the journal began anew."""
    core = LoneCore(start=False)
    records = (OwnVote(core.vote(0, "notarize", 1)), StoredCertificate(core.certificate("notarize", 1)))
    outer = Epochs(following(0))
    effects = outer.step(Start(0, records, Floor(Ref(0, B), None), Position(1, 1, 2), 1))
    assert Rewrite((FloorMark(2, 0),)) in effects
    assert not [effect for effect in effects if isinstance(effect, Halt)]


def test_a_journal_of_a_later_epoch_or_a_guard_ahead_stops_the_validator() -> None:
    """A9: the guard carries the epoch: a restored older journal is found out across epochs too."""
    old = (FloorMark(1, 4),)
    effects = Epochs(following(0)).step(Start(0, old, Floor(Ref(0, B), None), Position(2, 1, 1), 1))
    assert [effect.code for effect in effects if isinstance(effect, Halt)] == ["journal_behind_guard"]
    effects = Epochs(following(0)).step(Start(0, (FloorMark(3, 0),), Floor(Ref(0, B), None), None, 1))
    assert [effect.code for effect in effects if isinstance(effect, Halt)] == ["foreign_journal"]


def test_a_core_alone_knows_one_epoch() -> None:
    core = LoneCore()
    with pytest.raises(ConsensusError, match="next_epoch"):
        core.give(NextEpoch(0, following(0)))


def test_the_builder_says_that_its_block_closes_the_epoch() -> None:
    core = LoneCore(me=LEADERS[0])
    core.give(PayloadExpected(core.now, 1))
    core.give(Built(core.now, 1, B, payload(1), closes=True))
    assert core.state.at(1).slot is not None
    core.hear(LEADERS[1], Certified(certificate(core, "notarize", 1, 0, B)))
    assert core.state.closes_at(1) == B
