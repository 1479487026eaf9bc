"""Transactions between nodes: told once, in bounded batches, repeated only by who told them first."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ledger.parts import join_parts, split_parts
from node.errors import Overloaded, Rejected
from node.ordering import gossip
from node.ordering.gossip import Gossip, Intake, Pace
from node.ordering.inbox import MAX_MESSAGES, Inbox


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def test_a_batch_is_bounded_in_number_and_bytes() -> None:
    async def story() -> None:
        sent: list[bytes] = []
        out = Gossip(sent.append, lambda: None)
        for number in range(gossip.MAX_BATCH + 1):
            out.tell(str(number), b"small")
        out.flush()
        assert [len(split_parts(payload)) for payload in sent] == [gossip.MAX_BATCH, 1]
        sent.clear()
        big = bytes(gossip.MAX_BATCH_BYTES // 2)
        for number in range(3):
            out.tell(str(number), big)
        out.flush()
        assert [len(split_parts(payload)) for payload in sent] == [2, 1]

    run(story)


def test_what_is_pending_is_repeated_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        sent: list[bytes] = []
        out = Gossip(sent.append, lambda: None)
        now = 0.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
        out.tell("a", b"one")
        out.tell("b", b"two")
        out.flush()
        out.forget("b")
        times = []
        for tick in range(40):
            now = float(tick)
            sent.clear()
            out.repeat(lambda tx_id: b"one")
            out.flush()
            if sent:
                times.append(tick)
                assert sent == [join_parts([b"one"])]
        assert times == [2, 6, 14, 30]
        now = 1_000.0
        out.repeat(lambda tx_id: None)
        assert not out._told, "no longer pending: forgotten"

    run(story)


def test_a_peer_is_blamed_for_forgeries_and_not_for_news() -> None:
    async def story() -> None:
        blamed: list[tuple[str, str]] = []
        codes = {b"ok": None, b"bad": "bad_signature", b"new": "unknown_signer", b"late": "expired"}

        def admit(_peer: str, data: bytes) -> None:
            if data == b"full":
                raise Overloaded("full", 1)
            code = codes[data]
            if code is not None:
                raise Rejected(code, "no")

        taken = asyncio.Event()
        intake = Intake(admit, lambda peer, code: blamed.append((peer, code)), taken.set, Pace(lambda: False))
        intake.receive("p", join_parts([b"ok", b"bad", b"full", b"new", b"late"]))
        task = asyncio.ensure_future(intake.run())
        await asyncio.sleep(0.01)  # room for a blame that must not come: it has no event
        task.cancel()
        assert blamed == [("p", "gossip_bad_signature")]
        assert intake.dropped == 1
        assert taken.is_set()

    run(story)


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"\xff", "gossip_truncated"), (join_parts([b"x"] * (gossip.MAX_BATCH + 1)), "gossip_too_many")],
)
def test_a_malformed_batch_is_blamed_whole(payload: bytes, code: str) -> None:
    blamed: list[str] = []
    intake = Intake(lambda peer, data: None, lambda peer, what: blamed.append(what), lambda: None, Pace(lambda: False))
    intake.receive("p", payload)
    assert blamed == [code]


def test_waiting_transactions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gossip, "MAX_WAITING", 3)
    intake = Intake(lambda peer, data: None, lambda peer, code: None, lambda: None, Pace(lambda: False))
    intake.receive("p", join_parts([b"a", b"b"]))
    intake.receive("p", join_parts([b"c", b"d"]))
    assert intake.dropped == 2


def test_admission_waits_for_votes_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gossip, "PAUSE_S", 0.0)

    async def story() -> None:
        asked = 0

        def busy() -> bool:
            nonlocal asked
            asked += 1
            return True

        await Pace(busy).breathe()
        assert asked == gossip.MAX_PAUSES

    run(story)


def test_one_flooding_peer_cannot_fill_the_inbox_of_another() -> None:
    """X3: bounds are kept for each peer."""

    async def story() -> None:
        inbox = Inbox()
        for _ in range(MAX_MESSAGES):
            assert inbox.put_message("flood", b"x", 1)
        assert not inbox.put_message("flood", b"x", 1)
        assert inbox.put_message("honest", b"y", 2)
        inbox.put("own")
        inbox.put_first("first")
        assert await inbox.get() == (None, 0, "first")
        assert await inbox.get() == ("flood", 1, b"x")
        assert inbox.put_message("flood", b"x", 3), "room again"
        assert inbox.dropped == 1

    run(story)
