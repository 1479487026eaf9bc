"""Bringing proofs onto the ledger: whose turn it is, what is tried again, when it ends, and how little it sends."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from contracts.bodies import ConsensusEvidence
from contracts.offences import MAX_OFFENCES
from ledger.offences import Proof, build_proof
from node.errors import Overloaded, Rejected
from node.ordering import accuser as module
from node.ordering.accuser import MAX_UNDER_WAY, Accuser
from tests.support.api_node import MemoryChain
from tests.support.cluster import RecordingLog
from tests.support.network_chain import NetworkChain
from tests.support.network_members import VALIDATORS
from tests.support.offences import as_body, sign_vote

CULPRIT = "tpa"
HONEST = sorted(VALIDATORS - {CULPRIT})


def offence(network: NetworkChain, view: int = 7) -> Proof:
    return build_proof(CULPRIT, *(sign_vote(network, CULPRIT, "notarize", label, view=view) for label in "ab"))


class Desk:
    """One node's accuser, and what becomes of its submissions: `answers` first, then a block at once."""

    def __init__(self, network: NetworkChain, me: str, stagger_s: float = 0.0) -> None:
        self.network = network
        self.me = me
        self.answers: list[Exception | None] = []
        """An error to raise; None for a transaction that is lost on its way."""
        self.pending: set[str] = set()
        self.sent: list[ConsensusEvidence] = []
        self.is_slow = False
        """Whether transactions stay pending."""
        self.log = RecordingLog(me)
        self.chain = MemoryChain(network)  # type: ignore[arg-type]
        self.accuser = Accuser(
            self.chain,  # type: ignore[arg-type]
            me,
            self.submit,
            self.pending.__contains__,
            self.log,
            stagger_s=stagger_s,
        )

    async def submit(self, kind: str, body: ConsensusEvidence) -> str:
        self.sent.append(body)
        answer = self.answers.pop(0) if self.answers else self
        if isinstance(answer, Exception):
            raise answer
        signed = self.network.sign(kind, body, self.me)
        if self.is_slow:
            self.pending.add(signed.tx_id)
        elif answer is not None:
            self.network.run(signed)
            self.chain.catch_up()
        return signed.tx_id


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.0)
    monkeypatch.setattr(module, "AGAIN_S", 0.0)


def play(story: Callable[[], Awaitable[Any]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 10))


async def work(*desks: Desk, rounds: int = 200) -> None:
    """Let the tasks run until nothing waits, or for so many turns of the loop."""
    tasks = [asyncio.ensure_future(desk.accuser.run()) for desk in desks]
    for _ in range(rounds):
        await asyncio.sleep(0)
        if not any(len(desk.accuser) for desk in desks):
            break
    for task in tasks:
        assert not task.done(), "it goes on whatever happens"
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_what_all_saw_is_sent_once() -> None:
    """Turns differ from offence to offence, so no node does all the work."""
    network = NetworkChain()
    firsts = set()

    async def story() -> None:
        for view in range(4, 12):
            desks = [Desk(network, name, stagger_s=600) for name in [*HONEST, "auditor"]]
            for desk in desks:
                desk.accuser.take(offence(network, view))
                desk.accuser.take(offence(network, view))
            await work(*desks)
            senders = [desk.me for desk in desks if desk.sent]
            assert len(senders) == 1
            firsts.update(senders)

    play(story)
    assert len(firsts) > 1
    assert "auditor" not in firsts


def test_the_next_one_speaks_if_the_first_is_silent() -> None:
    network = NetworkChain()

    async def story() -> None:
        for name in HONEST:
            desk = Desk(network, name)
            desk.accuser.take(offence(network, 4 + HONEST.index(name)))
            await work(desk)
            assert len(desk.sent) == 1

    play(story)


def test_what_failed_or_was_lost_is_sent_again() -> None:
    network = NetworkChain()

    async def story() -> None:
        desk = Desk(network, "hospital")
        desk.answers = [Overloaded("full", 1), Rejected("expired", "clock"), None]
        desk.accuser.take(offence(network))
        await work(desk)
        assert len(desk.sent) == 4
        assert len(desk.accuser) == 0
        assert [line[1] for line in desk.log.lines] == ["evidence_not_submitted"] * 2

    play(story)


def test_a_refusal_ends_it() -> None:
    """What the ledger will never take is sent once; what it has is not sent at all."""
    network = NetworkChain()

    async def story() -> None:
        desk = Desk(network, "hospital")
        proof = offence(network)
        forged = Proof(1, 8, CULPRIT, proof.first, proof.second)
        desk.accuser.take(forged)
        await work(desk)
        assert (len(desk.sent), len(desk.accuser)) == (1, 0)
        assert desk.log.lines[-1][2]["code"] == "OFFENCE_UNSOUND"
        network.do("consensus.evidence", as_body(proof), "insurer")
        desk.accuser.take(proof)
        await work(desk)
        assert (len(desk.sent), len(desk.accuser)) == (1, 0)

    play(story)


def test_few_wait_at_a_time_and_few_are_sent_at_all() -> None:
    network = NetworkChain()

    async def story() -> None:
        desk = Desk(network, "hospital")
        desk.is_slow = True
        for view in range(4, 4 + 3 * MAX_OFFENCES):
            desk.accuser.take(offence(network, view))
        await work(desk)
        assert len(desk.sent) == MAX_UNDER_WAY
        desk.is_slow = False
        desk.pending.clear()
        await work(desk, rounds=2_000)
        assert len(desk.accuser) == 0
        assert len(desk.sent) == MAX_UNDER_WAY + MAX_OFFENCES, "the ledger takes no more of one validator in an epoch"

    play(story)


def test_what_waits_is_not_sent_again() -> None:
    network = NetworkChain()

    async def story() -> None:
        desk = Desk(network, "hospital")
        desk.is_slow = True
        desk.accuser.take(offence(network))
        await work(desk)
        assert (len(desk.sent), len(desk.accuser)) == (1, 1)

    play(story)
