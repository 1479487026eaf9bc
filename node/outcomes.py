"""Final blocks and transaction outcomes as readers see them, and those who wait for them.

Knows records and futures; must not know how a block became final. Must always hold: nothing here is shown before
the store has it, a subscriber sees every height once and in order, and a slow subscriber costs no memory: it reads
from the store what it missed.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from contracts.receipts import Receipt
from ledger.blocks import Header
from node.errors import Overloaded, Unavailable

RECENT_BLOCKS = 32
"""Final blocks kept decoded for subscribers that keep up: seconds at full load, 64 MB at the very most."""
MAX_WAITERS = 100_000
"""Clients waiting for outcomes at the same time."""


@dataclass(frozen=True, slots=True)
class FinalBlock:
    """A final block. `certificate` is None if a descendant's certificate made it final."""

    height: int
    header_hash: bytes
    header: Header
    encoded: bytes
    receipts: tuple[Receipt, ...]
    certificate: bytes | None


@dataclass(frozen=True, slots=True)
class TransactionOutcome:
    """Where a transaction stands and what came of it."""

    tx_id: str
    height: int
    index: int
    time_ms: int
    receipt: Receipt


class Outcomes:
    """Who waits for which transaction."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[TransactionOutcome]]] = {}
        self._count = 0

    async def wait(self, tx_id: str, timeout_s: float) -> TransactionOutcome:
        """The outcome once final. Raises Unavailable `pending` after `timeout_s`, or Overloaded."""
        if self._count >= MAX_WAITERS:
            raise Overloaded(f"{self._count} clients are waiting for outcomes", 1_000)
        future: asyncio.Future[TransactionOutcome] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tx_id, []).append(future)
        self._count += 1
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise Unavailable("pending", f"transaction {tx_id} is not final after {timeout_s:g} s") from None
        finally:
            self._forget(tx_id, future)

    def settle(self, block: FinalBlock) -> None:
        """Answer everybody who waits for a transaction of this block."""
        if not self._waiting:
            return
        for index, receipt in enumerate(block.receipts):
            for future in self._waiting.get(receipt.tx_id, ()):
                if not future.done():
                    future.set_result(outcome_in(block, index))

    def _forget(self, tx_id: str, future: "asyncio.Future[TransactionOutcome]") -> None:
        self._count -= 1
        others = self._waiting.get(tx_id, [])
        if future in others:
            others.remove(future)
        if not others:
            self._waiting.pop(tx_id, None)


class Feed:
    """Final blocks to any number of subscribers."""

    def __init__(self, load: Callable[[int], FinalBlock]) -> None:
        """`load` reads an older block from the store."""
        self._load = load
        self._recent: deque[FinalBlock] = deque(maxlen=RECENT_BLOCKS)
        self._height = 0
        self._grown = asyncio.Event()

    def publish(self, block: FinalBlock) -> None:
        """The next final block, durable already."""
        self._recent.append(block)
        self._height = block.height
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    def start_at(self, height: int) -> None:
        """The height that is final when the node starts."""
        self._height = height

    async def follow(self, after: int) -> AsyncIterator[FinalBlock]:
        """Every final block above height `after`, for ever."""
        height = after
        while True:
            while height >= self._height:
                await self._grown.wait()
            height += 1
            yield self.block(height)

    def block(self, height: int) -> FinalBlock:
        """A final block, from memory if it is recent."""
        if self._recent and height >= self._recent[0].height:
            offset = height - self._recent[0].height
            if offset < len(self._recent):
                return self._recent[offset]
        return self._load(height)


def outcome_in(block: FinalBlock, index: int) -> TransactionOutcome:
    """The outcome of the transaction at `index` of a final block."""
    receipt = block.receipts[index]
    return TransactionOutcome(receipt.tx_id, block.height, index, block.header.time_ms, receipt)
