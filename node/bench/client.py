"""The bench's client: batches out through POST /v1/transactions, final transactions in through GET /v1/events.

Open loop: a batch leaves when its time has come, whether or not earlier ones were answered. Knows HTTP of a node
and monotonic times in seconds; must not know what a transaction says. Always true: a latency begins just before
the request of its transaction is written and ends when the event reaches this client's own subscription.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import aiohttp
import msgspec

from node.errors import Unavailable

TICK_S = 0.02
"""Batches leave on this grid."""
MAX_BATCH = 100
"""Transactions of one request."""
MAX_REQUESTS = 200
"""Requests under way; beyond it an open loop has lost its pace, and the batch is not sent but counted as missed."""
WINDOW = 2_000
"""At the rate `max`: transactions sent and not final. More only wait longer in the nodes' pools."""
RETRY_S = 0.05
"""At the rate `max`: how long a refused batch waits."""


class _Event(msgspec.Struct):
    topic: str
    tx_id: str


class _Message(msgspec.Struct):
    height: int
    events: list[_Event]


class _Result(msgspec.Struct):
    tx_id: str | None
    code: str


class _Results(msgspec.Struct):
    results: list[_Result]


@dataclass(frozen=True, slots=True)
class Target:
    """A node's API: base URL and access token."""

    url: str
    token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(slots=True)
class Tally:
    """What was seen, in seconds of the loop's clock."""

    sent: dict[str, float] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)
    blocks: list[tuple[float, int]] = field(default_factory=list)
    """(arrival, height) of each block with events."""
    refused: dict[str, int] = field(default_factory=dict)
    """Count by code."""
    missed: int = 0

    @property
    def waiting(self) -> int:
        """Transactions sent, not refused and not final."""
        return len(self.sent) - len(self.final)

    def refuse(self, code: str, count: int = 1) -> None:
        """Count transactions that a node did not take."""
        self.refused[code] = self.refused.get(code, 0) + count


Batch = Sequence[tuple[str, bytes]]
"""(transaction id, signed bytes)."""


class Client:
    """One load generator with one subscription."""

    def __init__(self, session: aiohttp.ClientSession, subscription: Target) -> None:
        self.tally = Tally()
        self._session = session
        self._subscription = subscription
        self._loop = asyncio.get_running_loop()
        self._requests: set[asyncio.Task[None]] = set()
        self._moved = asyncio.Event()

    async def follow(self) -> None:
        """Read the subscription for ever. Raises Unavailable when the node ends it."""
        async with self._session.get(
            f"{self._subscription.url}/v1/events",
            headers=self._subscription.headers,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as response:
            response.raise_for_status()
            async for data in _messages(response.content):
                self._note(msgspec.json.decode(data, type=_Message))
        raise Unavailable("subscription", "the node ended the event stream")

    async def submit(self, target: Target, batch: Batch) -> list[_Result]:
        """Post one batch and wait for its answer; ids not taken are forgotten."""
        now = self._loop.time()
        for tx_id, _ in batch:
            self.tally.sent[tx_id] = now
        try:
            results = await self._post(target, batch)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
            results = [_Result(None, "unreachable")] * len(batch)
        for (tx_id, _), result in zip(batch, results, strict=True):
            if result.tx_id is None and tx_id not in self.tally.final:
                self.tally.sent.pop(tx_id, None)
        return results

    async def run_open(self, take: Callable[[int], tuple[Target, Batch] | None], rate: float, until: float) -> None:
        """Send `rate` transactions a second until the loop's time `until`. `take(n)` gives up to n of them."""
        start, sent = self._loop.time(), 0
        while (now := self._loop.time()) < until:
            due = int((now - start) * rate) - sent
            while due > 0 and (taken := take(min(due, MAX_BATCH))) is not None:
                sent += len(taken[1])
                due -= len(taken[1])
                self._launch(*taken)
            await asyncio.sleep(TICK_S)

    async def run_saturating(
        self, take: Callable[[int], tuple[Target, Batch] | None], until: float, senders: int
    ) -> None:
        """Keep WINDOW transactions waiting until the loop's time `until`."""
        await asyncio.gather(*(self._saturate(take, until) for _ in range(senders)))

    async def drain(self, timeout_s: float) -> None:
        """Wait for answers and finality of what was sent."""
        end = self._loop.time() + timeout_s
        if self._requests:
            await asyncio.wait(self._requests, timeout=timeout_s)
        while self.tally.waiting > 0 and self._loop.time() < end:
            await self._wait_for_block(end - self._loop.time())

    def _launch(self, target: Target, batch: Batch) -> None:
        if len(self._requests) >= MAX_REQUESTS:
            self.tally.missed += len(batch)
            return
        task = self._loop.create_task(self._submit_once(target, batch))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def _submit_once(self, target: Target, batch: Batch) -> None:
        for result in await self.submit(target, batch):
            if result.tx_id is None:
                self.tally.refuse(result.code)

    async def _saturate(self, take: Callable[[int], tuple[Target, Batch] | None], until: float) -> None:
        while self._loop.time() < until:
            if self.tally.waiting >= WINDOW:
                await self._wait_for_block(until - self._loop.time())
                continue
            taken = take(MAX_BATCH)
            if taken is None:
                return
            await self._insist(*taken, until)

    async def _insist(self, target: Target, batch: Batch, until: float) -> None:
        while batch and self._loop.time() < until:
            results = await self.submit(target, batch)
            again = [item for item, result in zip(batch, results, strict=True) if result.code == "overloaded"]
            for result in results:
                if result.tx_id is None and result.code != "overloaded":
                    self.tally.refuse(result.code)
            batch = again
            if batch:
                await asyncio.sleep(RETRY_S)

    async def _post(self, target: Target, batch: Batch) -> list[_Result]:
        body = b"[" + b",".join(data for _, data in batch) + b"]"
        async with self._session.post(f"{target.url}/v1/transactions", data=body, headers=target.headers) as response:
            data = await response.read()
            if response.status != 202:
                return [_Result(None, f"http_{response.status}")] * len(batch)
        return msgspec.json.decode(data, type=_Results).results

    async def _wait_for_block(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(max(timeout_s, 0)):
                await self._moved.wait()
        except TimeoutError:
            return

    def _note(self, message: _Message) -> None:
        now, tally = self._loop.time(), self.tally
        tally.blocks.append((now, message.height))
        for event in message.events:
            if event.tx_id in tally.sent:
                tally.final.setdefault(event.tx_id, now)
        self._moved.set()
        self._moved = asyncio.Event()


async def _messages(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The data of each Server-Sent Event; comments are skipped."""
    pending = b""
    async for chunk in stream.iter_any():
        *whole, pending = (pending + chunk).split(b"\n\n")
        for message in whole:
            for line in message.split(b"\n"):
                if line.startswith(b"data: "):
                    yield line[6:]
