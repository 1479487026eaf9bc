"""Random dialogues of true, false and stale words: the core never raises, never contradicts itself."""

import random

import pytest
from msgspec.structs import replace

from consensus.effects import Halt, RequestBuild, RequestVerify
from consensus.inputs import Built, PayloadExpected, TimerFired, Verified
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
    Wire,
)
from consensus.types import Verdict
from ledger.certificates import Kind
from tests.support.lone_core import LoneCore, digest, payload
from tests.support.simulator_node import digest_of

KINDS: list[Kind] = ["notarize", "nullify", "finalize"]

POSSIBLE_HALTS = {"conflicting_certificates", "finality_conflict"}
"""The words come from all keys, so they may contain what only more than f liars can make."""


class Liar:
    """Makes messages of which about half are true."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.core = LoneCore(me=seed % 4)

    def word(self) -> tuple[int, Wire, bytes]:
        chance, core = self.chance, self.core
        view = max(1, core.state.view + chance.choice([-2, -1, 0, 0, 0, 0, 1, 1, 2, 5, 2**40]))
        parent = max(0, view - chance.choice([1, 1, 1, 2, 3]))
        kind, text = chance.choice(KINDS), chance.choice([b"", b"", b"", b"twin"])
        signer = chance.choice([i for i in range(4) if i != core.me])
        vote = core.vote(signer, kind, view, parent, text)
        if chance.random() < 0.2:
            vote = replace(vote, signature="5a" * chance.choice([64, 96]))
        sealed: Kind = "nullify" if view % 3 == 0 else chance.choice(["notarize", "finalize"])
        certificate = core.certificate(sealed, view, view - 1)
        if chance.random() < 0.3:
            certificate = replace(certificate, view=view + 1)
        leader = core.leader(view)
        words: list[tuple[int, Wire, bytes]] = [
            (signer, VoteCast(vote), b""),
            (chance.randrange(4), VoteCast(vote), b""),
            (signer, Certified(certificate), b""),
            (signer, WantCertificate(1, kind, view), b""),
            (signer, WantPayload(digest(view, text).hex()), b""),
            (signer, Payload(digest(view).hex()), payload(view, text)),
            (signer, WantProposalVote(1, view), b""),
            (signer, ProposalVote(vote), b""),
            (signer, AskPosition(1, view), b""),
            (signer, TellPosition(1, 77, vote, certificate), b""),
        ]
        if view < 2**30:
            proposal = core.proposal(view, parent, text)
            if chance.random() < 0.3:
                proposal = Proposal(proposal.vote, None, proposal.nullifications[:1])
            words += [(leader, proposal, payload(view, text))] * 6
        return chance.choice(words)

    def answer(self) -> None:
        """What the application says to the last requests, rightly or wrongly."""
        chance, core = self.chance, self.core
        for effect in core.last:
            if isinstance(effect, RequestVerify) and chance.random() < 0.9:
                verdict = Verdict.VALID if chance.random() < 0.95 else Verdict.LATER
                core.give(Verified(core.now, effect.view, effect.digest, verdict, core.now + 100))
            elif isinstance(effect, RequestBuild):
                made = payload(effect.view, b"own")
                core.give(Built(core.now, effect.view, digest_of(made), made))


@pytest.mark.parametrize("seed", range(30))
def test_no_dialogue_breaks_the_core(seed: int) -> None:
    liar = Liar(seed)
    core, chance = liar.core, liar.chance
    for _ in range(80):
        core.now += chance.choice([0, 0, 1, 50, 3_000])
        match chance.randrange(8):
            case 0:
                core.give(TimerFired(core.now))
            case 1:
                core.give(PayloadExpected(core.now, core.state.view))
            case _:
                core.hear(*liar.word())
        liar.answer()
    state = core.state
    for view in state.views.values():
        assert not {"nullify", "finalize"} <= view.own.keys()
    near = [number for number in state.views if number > state.view + 3]
    assert len(near) <= 8, "only certified views may be far ahead"
    assert all(halt.code in POSSIBLE_HALTS for halt in core.found(Halt, core.all))


def test_most_dialogues_go_on() -> None:
    """Or the test above would test nothing."""
    liars = [Liar(seed) for seed in range(20)]
    for liar in liars:
        for _ in range(80):
            liar.core.now += 10
            liar.core.hear(*liar.word())
            liar.answer()
    assert sum(not liar.core.core.status.halted for liar in liars) >= 10
    assert max(liar.core.state.view for liar in liars) > 10
