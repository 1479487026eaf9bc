"""The bench's arithmetic and its client, against a node that a test plays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from contracts.tokens import decode_consent
from ledger.crypto import ed25519
from ledger.transactions import verify_transaction
from node.bench.client import Client, Target
from node.bench.machine import percentile
from node.bench.run import Lane, Plan, Rotation, run_load
from node.bench.workload import Author, build_consent, build_publications
from node.errors import Unavailable

TOKEN = "cn_test"


class PlayedNode:
    """Takes batches and makes each one final as a block of its own, unless told otherwise."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.answers: list[str] = []
        """Codes for whole batches, before everything is accepted."""
        self._blocks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Target]:
        app = web.Application()
        app.add_routes([web.post("/v1/transactions", self._submit), web.get("/v1/events", self._events)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            yield Target(f"http://127.0.0.1:{port}", TOKEN)
        finally:
            await runner.cleanup()

    def end_events(self) -> None:
        self._blocks.put_nowait(None)

    async def _submit(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        batch = msgspec.json.decode(await request.read())
        code = self.answers.pop(0) if self.answers else "accepted"
        if code == "accepted":
            self.batches.append(batch)
            self._announce([item["id"] for item in batch])
        results = [{"tx_id": item["id"] if code == "accepted" else None, "code": code} for item in batch]
        return web.json_response({"results": results}, status=202)

    def _announce(self, ids: list[str]) -> None:
        events = [{"topic": "record.published", "subject": "s", "tx_id": tx_id} for tx_id in ids]
        data = msgspec.json.encode({"height": len(self.batches), "time_ms": 1, "events": events})
        self._blocks.put_nowait(b"id: 1\nevent: block\ndata: " + data + b"\n\n")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b": from height 0\n\n")
        while (block := await self._blocks.get()) is not None:
            for at in range(0, len(block), 7):  # chunks never end where messages do
                await response.write(block[at : at + 7])
        return response


def made(count: int, start: int = 0) -> list[tuple[str, bytes]]:
    return [(f"{n:064x}", b'{"id":"%064x"}' % n) for n in range(start, start + count)]


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert [percentile([1.0, 2.0, 3.0, 4.0], p) for p in (0, 25, 50, 95, 100)] == [1.0, 1.0, 2.0, 4.0, 4.0]
    assert percentile([], 50) == 0.0


def test_lanes_are_used_in_turn_and_a_lost_node_is_replaced() -> None:
    here, there = Target("http://a", ""), Target("http://b", "")
    rotation = Rotation([Lane(here, made(3)), Lane(there, made(2, 10))])
    assert [rotation.take(2)[0] for _ in range(2)] == [here, there]  # type: ignore[index]
    rotation.redirect(here, there)
    taken = rotation.take(2)
    assert taken is not None
    assert (taken[0], len(taken[1])) == (there, 1)
    assert rotation.take(2) is None


def test_a_run_measures_what_was_final_in_its_window() -> None:
    async def scenario() -> None:
        node = PlayedNode()
        async with node.serving() as target:
            rotation = Rotation([Lane(target, made(20_000, 100))])
            plan = Plan(seconds=0.3, rate=1_000)
            found = await run_load(plan, target, (target, made(1)), rotation, [], warm_up_s=0.05)
        assert 200 <= found.committed <= 400
        assert found.seconds == pytest.approx(0.3)
        assert 0 < found.latency_ms(50) <= found.latency_ms(99)
        assert found.latency_ms(99) < 1_000
        assert (found.unfinished, found.missed, found.refused) == (0, 0, {})
        assert 0 < found.longest_gap_ms <= 300

    asyncio.run(scenario())


def test_at_the_rate_max_an_overloaded_node_is_asked_again() -> None:
    async def scenario() -> None:
        node = PlayedNode()
        async with node.serving() as target:
            node.answers = ["accepted", "overloaded", "overloaded", "bad_signature"]
            rotation = Rotation([Lane(target, made(400, 100))])
            plan = Plan(seconds=0.3, rate=None)
            found = await run_load(plan, target, (target, made(1)), rotation, [1, 2], warm_up_s=0.01)
        assert found.all_final == 301
        assert found.refused == {"bad_signature": 100}
        assert sorted(len(batch) for batch in node.batches) == [1, 100, 100, 100]

    asyncio.run(scenario())


def test_a_run_ends_when_the_first_transaction_is_refused_or_the_events_end() -> None:
    async def scenario(answers: list[str], ends: bool) -> str:
        node = PlayedNode()
        async with node.serving() as target:
            node.answers = answers
            plan = Plan(seconds=5, rate=1, disturb=None, progress=lambda _: node.end_events() if ends else None)
            with pytest.raises(Unavailable) as caught:
                await run_load(plan, target, (target, made(1)), Rotation([Lane(target, [])]), [], warm_up_s=0.01)
            return caught.value.code

    assert asyncio.run(scenario(["unknown_signer"], False)) == "first_transaction"
    assert asyncio.run(scenario([], True)) == "subscription"


def test_an_unreachable_node_costs_its_batch_only() -> None:
    async def scenario() -> None:
        node = PlayedNode()
        async with node.serving() as target, aiohttp.ClientSession() as session:
            client = Client(session, target)
            results = await client.submit(Target("http://127.0.0.1:1", TOKEN), made(2))
            assert [result.code for result in results] == ["unreachable"] * 2
            assert client.tally.waiting == 0

    asyncio.run(scenario())


def test_the_workload_is_signed_by_its_authors_under_one_consent() -> None:
    authors = [Author(name, bytes([n]) * 32) for n, name in enumerate(("one", "two"), start=1)]
    keys = {(each.participant, ed25519.key_id(ed25519.public_key(each.seed))): each for each in authors}

    def resolve(participant: str, key_id: str) -> bytes | None:
        author = keys.get((participant, key_id))
        return author and ed25519.public_key(author.seed)

    consent_id, granted = build_consent("bench.test", authors, "one", 1_700_000_000_000)
    verify_transaction(granted, resolve)
    assert decode_consent(granted.content.body["tokens"][0]).consent_id == consent_id
    source = build_publications("bench.test", authors[1], consent_id, 1_700_000_000_000, records=2)
    first, second = next(source), next(source)
    for signed in (first, second):
        verify_transaction(signed, resolve)
        assert (signed.content.author, len(signed.content.body["records"])) == ("two", 2)
    assert first.tx_id != second.tx_id
