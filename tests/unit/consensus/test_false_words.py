"""Words no honest validator says, one at a time on one core: what they move, whom they convict, what they cost."""

from itertools import product

import pytest
from msgspec.structs import replace

from consensus.effects import Blame, Evidence, Halt, RequestVerify
from consensus.inputs import Message, PayloadExpected, TimerFired
from consensus.journal import OwnVote, StoredCertificate, StoredPayload
from consensus.leaders import leader_order
from consensus.messages import (
    AskPosition,
    Certified,
    Proposal,
    ProposalVote,
    TellPosition,
    VoteCast,
    WantCertificate,
    WantProposalVote,
    Wire,
    encode_message,
)
from consensus.types import Position
from ledger.certificates import Kind, Subject, Vote, vote_message
from ledger.crypto.hashing import tagged_hash
from tests.support.lone_core import CHAIN, LoneCore, digest, payload

LEADER_1, LEADER_2, LEADER_3, LEADER_4 = leader_order(CHAIN, 1, 4)
KINDS: tuple[Kind, ...] = ("notarize", "nullify", "finalize")
LAST = 2**53 - 1


def follower() -> LoneCore:
    return LoneCore(me=LEADER_4)


def still(core: LoneCore) -> tuple[object, ...]:
    """What no false word may move."""
    state = core.state
    certificates = sorted((n, kind) for n, view in state.views.items() for kind in view.certificates)
    return state.view, state.final_view, state.exit_view, state.delivered, certificates


# --- B15: the end of time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [0, 1, 2, LAST])
@pytest.mark.parametrize("view", [0, LAST - 1, LAST])
def test_no_word_moves_a_view_without_a_quorum(view: int, epoch: int) -> None:
    """B15: every kind of message about view 0 and the last views, in every epoch, with certificates of f+1."""
    core = follower()
    core.finish_view(1, 0)
    before, views = still(core), len(core.state.views)
    few = [replace(core.certificate(kind, 5, 4), epoch=epoch, view=view) for kind in KINDS]
    few = [replace(one, signers="03", signatures=one.signatures[:2]) for one in few]
    votes = [replace(core.vote(LEADER_2, kind, 5, 4), epoch=epoch, view=view) for kind in KINDS]
    words: list[Wire] = [
        *(Certified(one) for one in few),
        *(VoteCast(one) for one in votes),
        *(ProposalVote(one) for one in votes),
        *(WantCertificate(epoch, kind, view) for kind in KINDS),
        WantProposalVote(epoch, view),
        AskPosition(epoch, view),
        TellPosition(epoch, view, votes[0], few[0]),
    ]
    for word in words:
        core.hear(LEADER_2, word)
    core.hear(LEADER_2, Proposal(votes[0], few[0], tuple(few[1:2])), payload(5))
    assert still(core) == before
    assert len(core.state.views) <= views + 1
    assert not core.found(Halt, core.all)
    assert not core.found(Evidence, core.all)


@pytest.mark.parametrize(
    "number", [b"9007199254740992", b"9223372036854775807", b"18446744073709551616", b"-1", b"1e3"]
)
def test_numbers_that_no_message_may_carry(number: bytes) -> None:
    """B15: view 2**63-1 and its like do not decode; the sender is blamed, nothing else happens."""
    core = follower()
    before = still(core)
    for word in (VoteCast(core.vote(LEADER_2, "nullify", 1)), WantCertificate(1, "nullify", 1)):
        data = encode_message(word)
        size = int.from_bytes(data[:4], "big")
        changed = data[4 : 4 + size].replace(b'"view":1', b'"view":' + number)
        core.give(Message(0, core.name(LEADER_2), len(changed).to_bytes(4, "big") + changed))
        assert core.found(Blame) == [Blame(core.name(LEADER_2), "malformed")]
    assert still(core) == before


# --- B17: in another's name -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("claimed", [0, 1, 2, 3, 4, 5, 127])
def test_a_vote_under_every_other_index(claimed: int, kind: Kind) -> None:
    """B17: signed by one and said to be of another, or of nobody: its bringer is blamed, no tally counts it."""
    core = follower()
    if claimed == LEADER_2:
        return
    core.hear(LEADER_2, VoteCast(replace(core.vote(LEADER_2, kind, 1), signer=claimed)))
    assert core.found(Blame) == [Blame(core.name(LEADER_2), "impersonation")]
    tally = core.state.at(1).tally
    assert [tally.count(one) for one in KINDS] == [0, 0, 0]


@pytest.mark.parametrize("signer", [4, 7, 8, 127])
def test_an_index_beyond_the_set_is_refused_wherever_it_comes(signer: int) -> None:
    """B17: out of range in a vote, a proposal, a shown vote and an answer about positions: never an exception."""
    core = follower()
    vote = replace(core.vote(LEADER_1, "notarize", 1), signer=signer)
    for word in (VoteCast(vote), ProposalVote(vote), TellPosition(1, 77, vote, None)):
        core.hear(LEADER_2, word)
    core.hear(LEADER_1, Proposal(vote, None, ()), payload(1))
    assert not core.found(RequestVerify, core.all)
    assert not core.found(Halt, core.all)


# --- B9: malformed certificates ---------------------------------------------------------------------------------------


def test_malformed_certificates_cost_their_bringer_and_no_signature_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """B9: bare, beside a proposal, or as an answer: refused by counting, the peer is blamed by code."""
    core = follower()
    forged = []
    for kind in KINDS:
        true = core.certificate(kind, 1)
        forged += [
            replace(true, signers="03"),
            replace(true, signers="00"),
            replace(true, signers="ff"),
            replace(true, signers="0e00"),
            replace(true, signatures=true.signatures * 2),
            replace(true, signatures=("5a" * (64 if kind == "finalize" else 96),) * len(true.signatures)),
        ]

    def unreached(*_: object) -> None:
        raise AssertionError("a signature was checked")

    scheme = core.config.scheme
    monkeypatch.setattr(type(scheme), "verify_signature", unreached)
    monkeypatch.setattr(type(scheme), "verify_aggregate", unreached)
    before = still(core)
    for certificate in forged:
        core.hear(LEADER_2, Certified(certificate))
        (blame,) = core.found(Blame)
        assert blame.peer == core.name(LEADER_2)
        assert blame.code.startswith("certificate_")
    assert still(core) == before


# --- B20: forged evidence ---------------------------------------------------------------------------------------------


def _sign(core: LoneCore, signer: int, subject: Subject, chain: bytes) -> Vote:
    signature = core.signers[signer].sign_vote(subject.kind, vote_message(chain, subject)).hex()
    return Vote(subject.kind, subject.epoch, subject.view, subject.parent_view, subject.digest, signer, signature)


def _forgeries(core: LoneCore, victim: int) -> list[Vote]:
    """Second votes of the victim that can be made without its key, or with what it signed elsewhere."""
    liar = LEADER_2
    twin = core.subject("notarize", 1, 0, b"twin")
    stolen = core.vote(victim, "notarize", 1)
    elsewhere = _sign(core, victim, twin, tagged_hash("genesis", b"another network"))
    earlier = _sign(core, victim, replace(twin, epoch=2), CHAIN)
    other_kind = _sign(core, victim, core.subject("nullify", 1), CHAIN)
    return [
        replace(stolen, digest=digest(1, b"twin").hex()),
        replace(_sign(core, liar, twin, CHAIN), signer=victim),
        elsewhere,
        replace(earlier, epoch=1),
        replace(other_kind, kind="notarize", digest=digest(1, b"twin").hex()),
        replace(stolen, digest=digest(1, b"twin").hex(), signature="00" * 64),
        replace(stolen, parent_view=0, view=1, digest=digest(2).hex()),
    ]


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("bringer", ["second hand", "own line"])
def test_no_evidence_without_two_signatures_of_the_accused(number: int, bringer: str) -> None:
    """B20: beside one true vote of an honest leader no made-up second one becomes evidence, however it arrives."""
    core = follower()
    core.hear_proposal(1)
    forged = _forgeries(core, LEADER_1)[number]
    if bringer == "second hand":
        core.hear_vote(LEADER_2, "notarize", 1, text=b"twin")  # so that the liar is asked for what the leader signed
        core.hear(LEADER_2, ProposalVote(forged))
        assert core.found(Blame) == [Blame(core.name(LEADER_2), "proposal_vote")]
    else:
        core.hear(LEADER_1, VoteCast(forged))
    assert not core.found(Evidence, core.all)
    assert core.state.at(1).equivocated is False


def _may_stand_together(first: Kind, second: Kind, same_block: bool) -> bool:
    if first == second:
        return same_block or first == "nullify"
    return {first, second} != {"nullify", "finalize"}


@pytest.mark.parametrize(("first", "second"), list(product(KINDS, KINDS)))
@pytest.mark.parametrize("same_block", [True, False])
def test_exactly_what_excludes_each_other_is_evidence(first: Kind, second: Kind, same_block: bool) -> None:
    """B2 B3 B20: all pairs of statements of one signer about one view: evidence for those that no honest validator
    makes, none for the others (notarize beside nullify is allowed), and each signer counts once for each kind."""
    core = follower()
    core.hear_vote(LEADER_2, first, 1, text=b"a")
    core.hear_vote(LEADER_2, second, 1, text=b"a" if same_block else b"b")
    found = core.found(Evidence, core.all)
    assert len(found) == (0 if _may_stand_together(first, second, same_block) else 1)
    assert all(one.signer == core.name(LEADER_2) for one in found)
    assert all(core.state.at(1).tally.count(kind) <= 1 for kind in KINDS)


# --- restarts: what was said stays said -------------------------------------------------------------------------------


def test_repetition_after_a_restart_signs_nothing_new() -> None:
    """P1: nullified, restarted, then the notarization and standstill repetition: only the old vote is said again."""
    core = LoneCore(me=LEADER_4, start=False)
    old = core.vote(LEADER_4, "nullify", 1)
    records = (
        StoredPayload(1, digest(1), payload(1)),
        OwnVote(core.vote(LEADER_4, "notarize", 1)),
        OwnVote(old),
        StoredCertificate(core.certificate("nullify", 1)),
    )
    core.start(records, guard=Position(1, 1, 2))
    core.hear_certificate("notarize", 1)
    core.verified(1)
    for _ in range(8):
        core.now += 5_000
        core.give(TimerFired(core.now))
    assert {vote for vote in core.votes_cast(core.all) if vote[1] == 1} <= {("notarize", 1), ("nullify", 1)}
    assert "finalize" not in core.state.at(1).own
    assert core.state.at(1).own["nullify"] == old


def test_a_parent_may_be_notarized_and_nullified() -> None:
    """N10: a leader may build on a view that was given up, or skip it: both are voted for, if the proofs are there."""
    for parent in (1, 0):
        core = follower()
        core.hear_proposal(1)
        core.verified(1)
        core.hear_certificate("notarize", 1)
        core.hear_certificate("nullify", 1)
        core.give(PayloadExpected(core.now, 2))
        core.hear_proposal(2, parent)
        core.verified(2)
        assert ("notarize", 2) in core.votes_cast(core.all)
