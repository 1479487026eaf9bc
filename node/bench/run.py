"""One measured run against running nodes: warm-up, window, drain, figures.

Knows the client, transactions made ahead and process ids; must not know how nodes were made or started. Always
true: only what became final inside the window counts as throughput, and every transaction sent inside it counts
in the latencies, however late it came.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

import aiohttp

from node.bench.client import Batch, Client, Tally, Target
from node.bench.machine import percentile, process_cpu_s
from node.errors import Unavailable

WARM_UP_S = 2.0
"""Load before the window, so that links, caches and pools are as they stay."""
DRAIN_S = 15.0
"""How long late transactions are waited for after the window."""
SETTLE_S = 30.0
"""How long the first transaction of a run may take."""
SENDERS_PER_NODE = 2
"""At the rate `max`: one batch is admitted while the next is on its way."""
LOOK_S = 0.25
"""How often progress is told."""
T = TypeVar("T")


@dataclass(slots=True)
class Lane:
    """What one author has ready, for one node."""

    target: Target
    ready: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """A run. `rate` None: as fast as the nodes take it; `disturb` is called in the middle of the window."""

    seconds: float
    rate: float | None
    disturb: Callable[[], None] | None = None
    progress: Callable[[float], None] | None = None
    """Told the seconds that have passed, warm-up included."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; times in milliseconds where the name says so."""

    committed: int
    seconds: float
    latencies_ms: list[float]
    longest_gap_ms: float
    after_gap_ms: list[float]
    """Latencies of what was sent after that gap, ascending."""
    cpu_s: float
    blocks: int
    """Blocks with transactions whose events came inside the window."""
    all_final: int
    """Transactions that became final at any time of the run."""
    unfinished: int
    missed: int
    refused: dict[str, int]

    def latency_ms(self, percent: float) -> float:
        """Submit-to-final time that `percent` of 100 transactions did not exceed."""
        return percentile(self.latencies_ms, percent)


class Rotation:
    """Batches of the lanes in turn, so that no author fills more than its share of a block."""

    def __init__(self, lanes: list[Lane]) -> None:
        self._lanes = lanes
        self._next = 0

    def take(self, count: int) -> tuple[Target, Batch] | None:
        """Up to `count` transactions of the next lane that has some; None when all are used up."""
        for _ in self._lanes:
            lane = self._lanes[self._next % len(self._lanes)]
            self._next += 1
            if lane.ready:
                batch = lane.ready[-count:]
                del lane.ready[-count:]
                return lane.target, batch
        return None

    def redirect(self, gone: Target, to: Target) -> None:
        """Send what was meant for `gone` to another node."""
        for lane in self._lanes:
            if lane.target == gone:
                lane.target = to


async def run_load(
    plan: Plan,
    subscription: Target,
    first: tuple[Target, Batch],
    rotation: Rotation,
    pids: list[int],
    *,
    warm_up_s: float = WARM_UP_S,
) -> Figures:
    """Drive the load and return its figures. `first` is final before anything is measured.

    Raises Unavailable when the network does not make the first batch final or ends the subscription.
    """
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        client = Client(session, subscription)
        follower = asyncio.create_task(client.follow())
        try:
            await _while_following(follower, _settle(client, *first))
            return await _while_following(follower, _measure(plan, client, rotation, pids, warm_up_s))
        finally:
            follower.cancel()
            with suppress(asyncio.CancelledError, Unavailable, aiohttp.ClientError, TimeoutError):
                await follower


async def _while_following(follower: asyncio.Task[None], work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; Unavailable if the subscription ends before it."""
    task = asyncio.create_task(work)
    await asyncio.wait({task, follower}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        return task.result()
    task.cancel()
    error = follower.exception()
    raise error if isinstance(error, Unavailable) else Unavailable("subscription", f"no event stream: {error}")


async def _settle(client: Client, target: Target, batch: Batch) -> None:
    results = await client.submit(target, batch)
    refused = [result.code for result in results if result.tx_id is None]
    await client.drain(SETTLE_S)
    if refused or client.tally.waiting:
        detail = ", ".join(refused) or f"not final within {SETTLE_S:.0f} s"
        raise Unavailable("first_transaction", f"the run's consent was not taken: {detail}")


async def _measure(plan: Plan, client: Client, rotation: Rotation, pids: list[int], warm_up_s: float) -> Figures:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    start = begin + warm_up_s
    end = start + plan.seconds
    watch = asyncio.create_task(_watch(plan, begin, start, end, pids))
    if plan.rate is None:
        await client.run_saturating(rotation.take, end, SENDERS_PER_NODE * len(pids))
    else:
        await client.run_open(rotation.take, plan.rate, end)
    cpu_s = await watch
    await client.drain(DRAIN_S)
    return _figures(client, start, end, cpu_s)


async def _watch(plan: Plan, begin: float, start: float, end: float, pids: list[int]) -> float:
    """Tell progress, disturb in the middle; CPU seconds of all nodes inside the window."""
    middle = (start + end) / 2 if plan.disturb else end
    await _sleep_until(start, plan, begin)
    before = {pid: process_cpu_s(pid) for pid in pids}
    await _sleep_until(middle, plan, begin)
    used = {pid: process_cpu_s(pid) for pid in pids}
    if plan.disturb is not None:
        plan.disturb()
    await _sleep_until(end, plan, begin)
    for pid in pids:
        used[pid] = max(used[pid], process_cpu_s(pid))  # of one that was killed, what it had used before
    return sum(used[pid] - before[pid] for pid in pids)


async def _sleep_until(moment: float, plan: Plan, begin: float) -> None:
    loop = asyncio.get_running_loop()
    while (left := moment - loop.time()) > 0:
        await asyncio.sleep(min(left, LOOK_S))
        if plan.progress is not None:
            plan.progress(loop.time() - begin)


def _figures(client: Client, start: float, end: float, cpu_s: float) -> Figures:
    tally = client.tally
    final_in_window = sum(start <= moment <= end for moment in tally.final.values())
    arrivals = [start, *(moment for moment, _ in tally.blocks if start <= moment <= end), end]
    gap_s, gap_end = max((later - earlier, later) for earlier, later in pairwise(arrivals))
    return Figures(
        committed=final_in_window,
        seconds=end - start,
        latencies_ms=_latencies_ms(tally, start, end),
        longest_gap_ms=gap_s * 1000,
        after_gap_ms=_latencies_ms(tally, gap_end, end),
        cpu_s=cpu_s,
        blocks=len(arrivals) - 2,
        all_final=len(tally.final),
        unfinished=tally.waiting,
        missed=tally.missed,
        refused=dict(tally.refused),
    )


def _latencies_ms(tally: Tally, start: float, end: float) -> list[float]:
    """Of everything sent between two times and final since, ascending."""
    return sorted(
        (tally.final[tx_id] - sent) * 1000
        for tx_id, sent in tally.sent.items()
        if start <= sent <= end and tx_id in tally.final
    )
