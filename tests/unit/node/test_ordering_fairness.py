"""One loud or lying peer among quiet ones (X3, B18): queues are fair, one claim moves nothing, liars come last."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ledger.certificates import Certificate
from ledger.parts import join_parts
from node.ordering import blocksync, gossip
from node.ordering.blocksync import BlockSync
from node.ordering.gossip import Intake, Pace
from node.ordering.inbox import FAIR, MAX_MESSAGES, Inbox
from node.ordering.neighbours import Neighbours
from node.ordering.reports import Reports
from node.peers.errors import PeerError

NAMES = ("a", "b", "c", "d")


def test_x3_a_vote_waits_behind_few_messages_of_a_flood() -> None:
    async def story() -> None:
        inbox = Inbox()
        for n in range(MAX_MESSAGES):
            assert inbox.put_message("flood", b"%d" % n, n)
        assert inbox.put_message("honest", b"vote", 1)
        inbox.put("timer")
        order = [(await inbox.get())[0] for _ in range(FAIR + 2)]
        assert order.index("honest") == FAIR
        assert order[FAIR + 1] is None, "own inputs keep their place behind what came before them"
        rest = [(await inbox.get())[2] for _ in range(MAX_MESSAGES - FAIR)]
        assert rest == [b"%d" % n for n in range(FAIR, MAX_MESSAGES)], "nothing is lost and order of a peer is kept"
        assert len(inbox) == 0
        assert inbox._backlogs == {}

    asyncio.run(story())


def test_x3_transaction_spam_of_one_peer_leaves_room_and_turns_for_others() -> None:
    taken: list[str] = []
    intake = Intake(lambda peer, _: taken.append(peer), lambda *_: None, lambda: None, Pace(lambda: False))

    async def story() -> None:
        batch = join_parts([b"x"] * gossip.MAX_BATCH)
        for _ in range(100):
            intake.receive("spam", batch)
        assert len(intake._waiting) == gossip.MAX_PEER_WAITING
        assert intake.dropped == 100 * gossip.MAX_BATCH - gossip.MAX_PEER_WAITING
        intake.receive("quiet", join_parts([b"y"] * 3))
        task = asyncio.ensure_future(intake.run())
        while taken.count("quiet") < 3:  # noqa: ASYNC110 - turns of the loop are what is counted
            await asyncio.sleep(0)
        task.cancel()
        assert [n for n, peer in enumerate(taken) if peer == "quiet"] == [1, 3, 5], "in turn"

    asyncio.run(story())


def test_x3_bytes_of_waiting_transactions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gossip, "MAX_WAITING_BYTES", 150)
    monkeypatch.setattr(gossip, "MAX_PEER_BYTES", 100)
    intake = Intake(lambda *_: None, lambda *_: None, lambda: None, Pace(lambda: False))
    for peer in ("p", "p", "q", "r"):
        intake.receive(peer, join_parts([b"x" * 60]))
    assert (len(intake._waiting), intake.dropped) == (2, 2)


class _Members:
    validators = tuple(SimpleNamespace(id=name) for name in NAMES)
    quorum = 3
    epoch = 1

    def __len__(self) -> int:
        return len(NAMES)


@pytest.mark.parametrize(
    ("heights", "proven"),
    [
        ({"a": 10**15}, 0),
        ({"a": 10**15, "b": 7, "c": 6}, 7),
        ({"a": 9, "b": 9, "c": 9}, 9),
        ({"observer": 10**15, "a": 10**15}, 0),
        ({}, 0),
    ],
)
def test_b18_one_peer_that_claims_a_height_moves_nothing(heights: dict[str, int], proven: int) -> None:
    chain: Any = SimpleNamespace(final=SimpleNamespace(validators=_Members()))
    nobody: Any = None
    neighbours = Neighbours(chain, nobody, nobody, lambda *_: None)
    neighbours.heights = heights
    assert neighbours.proven_height() == proven


class _Links:
    """`a` lies, `b` never answers, `c` has it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def connected(self) -> frozenset[str]:
        return frozenset(NAMES[:3])

    async def request(self, to: str, method: str, payload: bytes, timeout_s: float = 10.0) -> bytes:
        self.asked.append(to)
        if to == "a":
            return b"\xff"
        if to == "b":
            raise PeerError("timeout", "b is silent")
        return b"true"


def test_b18_a_lying_and_a_silent_peer_are_asked_once_and_then_last(monkeypatch: pytest.MonkeyPatch) -> None:
    links, blamed = _Links(), []
    chain: Any = SimpleNamespace(height=0, final=SimpleNamespace(validators=_Members(), header_hash=b"", chain=b""))
    chain.store = SimpleNamespace(spine_of=lambda digest: True if chain.height == 3 else None)
    true_check: Callable[..., Any] = blocksync.check_range

    def check(data: bytes, *rest: Any) -> Any:
        return SimpleNamespace(certificate="last") if data == b"true" else true_check(data, *rest)

    async def take(_: Any) -> None:
        chain.height += 1

    monkeypatch.setattr(blocksync, "check_range", check)
    port: Any = links
    sync = BlockSync(chain, port, take, lambda peer, code: blamed.append((peer, code)))
    target = Certificate("finalize", 1, 9, 8, "00" * 32, "07", ())
    asyncio.run(sync.run(target))
    assert links.asked == ["a", "b", "c", "c", "c"]
    assert blamed == [("a", "sync_truncated")]


def test_scores_are_told_of_every_blame(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    log: Any = SimpleNamespace(warning=lambda *_, **__: None)
    reports = Reports(tmp_path, log, lambda peer, code: told.append((peer, code)))
    for _ in range(3):
        reports.blame("p", "malformed")
    assert told == [("p", "malformed")] * 3
