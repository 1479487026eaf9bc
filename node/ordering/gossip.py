"""Transactions from node to node: what was admitted here is told to everybody once, in batches.

Knows bytes and peers; admission is the mempool's. Must always hold: a transaction is told by the node that
first took it from a client or from a participant without a vote, so a full mesh carries each of them once; every
batch and queue is bounded; what a peer sends is admitted by the same rule as what a client sends, in slices so
small that votes never wait long behind transactions.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from ledger.errors import DecodeError
from ledger.parts import join_parts, split_parts
from node.errors import Overloaded, Rejected

INTERVAL_S = 0.02
"""How long new transactions gather before they are told."""
MAX_BATCH_BYTES = 256 * 1024
"""One message: about 400 small transactions."""
MAX_BATCH = 500
REPEAT_S = 2.0
"""What is still pending after this long is told again, by the node that told it first: a message was lost."""
REPEAT_MAX_S = 60.0
"""The waiting time doubles up to this: a network that is merely busy must not be made busier."""
MAX_REPEATED = 200
"""Transactions told again in one round."""
SLICE_S = 0.005
"""Admission goes on this long before others have their turn."""
PAUSE_S = 0.002
MAX_PAUSES = 10
"""While votes are worked on, admission waits in short pauses; after this many it has a slice all the same."""
NOTICE_EVERY = 32
"""A long queue makes a block expected before all of it is admitted."""
MAX_WAITING = 20_000
"""Transactions of all peers that wait to be admitted; beyond it new batches are dropped, and told again later."""
MAX_WAITING_BYTES = 64 * 2**20
MAX_PEER_WAITING = 4_000
"""Of one peer: a second of admission and more; the rest is for others, who have their turn one after the other."""
MAX_PEER_BYTES = 16 * 2**20
FORGED = frozenset({"bad_signature", "json", "not_canonical", "schema"})
"""Refusals that no correct node provokes by passing on what it admitted."""


class Gossip:
    """The outgoing side."""

    def __init__(self, broadcast: Callable[[bytes], None], on_flushed: Callable[[], None]) -> None:
        """`broadcast` tells every linked peer; `on_flushed` is called after a round in which something was told."""
        self._broadcast = broadcast
        self._on_flushed = on_flushed
        self._fresh: list[bytes] = []
        self._handle: asyncio.TimerHandle | None = None
        self._told: dict[str, tuple[float, float]] = {}
        """tx id -> (when to tell again, waiting time after that), oldest first."""

    def tell(self, tx_id: str, data: bytes) -> None:
        """Pass a newly admitted transaction on with the next batch."""
        loop = asyncio.get_running_loop()
        self._told[tx_id] = (loop.time() + REPEAT_S, 2 * REPEAT_S)
        self._queue(data)

    def forget(self, tx_id: str) -> None:
        """It is final or expired."""
        self._told.pop(tx_id, None)

    def repeat(self, pending: Callable[[str], bytes | None]) -> None:
        """Tell again what is overdue and still pending."""
        now = asyncio.get_running_loop().time()
        due = [tx_id for tx_id, (at, _) in self._told.items() if at <= now][:MAX_REPEATED]
        for tx_id in due:
            data = pending(tx_id)
            _, wait = self._told.pop(tx_id)
            if data is not None:
                self._told[tx_id] = (now + wait, min(2 * wait, REPEAT_MAX_S))
                self._queue(data)

    def flush(self) -> None:
        """Send what gathered."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        fresh, self._fresh = self._fresh, []
        batch: list[bytes] = []
        size = 0
        for data in fresh:
            if batch and (size + len(data) > MAX_BATCH_BYTES or len(batch) == MAX_BATCH):
                self._broadcast(join_parts(batch))
                batch, size = [], 0
            batch.append(data)
            size += len(data)
        if batch:
            self._broadcast(join_parts(batch))
            self._on_flushed()

    def _queue(self, data: bytes) -> None:
        self._fresh.append(data)
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(INTERVAL_S, self.flush)


class Pace:
    """When whoever admits transactions must let others work. One for all that admit in a process's loop."""

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        """`is_busy`: whether votes and blocks are being worked on right now."""
        self._is_busy = is_busy
        self._until = 0.0

    async def breathe(self) -> None:
        """Call before each transaction. Returns at once within a slice, after others had their turn at its end."""
        now = time.monotonic()
        if now < self._until:
            return
        await asyncio.sleep(0)
        for _ in range(MAX_PAUSES):
            if not self._is_busy():
                break
            await asyncio.sleep(PAUSE_S)
        self._until = time.monotonic() + SLICE_S


class _Waiting:
    """What peers told and nobody looked at yet; peers are served in turn. Bounded for each and in all."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[bytes]] = {}
        self._sizes: dict[str, int] = {}
        self._count = 0

    def put(self, sender: str, parts: tuple[bytes, ...]) -> bool:
        """All of a batch or, without room, nothing of it."""
        size = sum(map(len, parts))
        queue, held = self._queues.get(sender, ()), self._sizes.get(sender, 0)
        full = self._count + len(parts) > MAX_WAITING or sum(self._sizes.values()) + size > MAX_WAITING_BYTES
        if full or len(queue) + len(parts) > MAX_PEER_WAITING or held + size > MAX_PEER_BYTES:
            return False
        if parts:
            self._queues.setdefault(sender, deque()).extend(parts)
            self._sizes[sender] = held + size
            self._count += len(parts)
        return True

    def pop(self) -> tuple[str, bytes]:
        """The oldest of the peer whose turn it is."""
        sender = next(iter(self._queues))
        queue, held = self._queues.pop(sender), self._sizes.pop(sender)
        data = queue.popleft()
        self._count -= 1
        if queue:  # to the end of the line
            self._queues[sender], self._sizes[sender] = queue, held - len(data)
        return sender, data

    def __len__(self) -> int:
        return self._count


class Intake:
    """The incoming side: batches of peers, admitted slice by slice by one task."""

    def __init__(
        self,
        admit: Callable[[str, bytes], None],
        blame: Callable[[str, str], None],
        on_admitted: Callable[[], None],
        pace: Pace,
    ) -> None:
        """`admit` takes one transaction of a peer; `on_admitted` is called now and then after some were taken."""
        self._admit = admit
        self._blame = blame
        self._on_admitted = on_admitted
        self._pace = pace
        self._waiting = _Waiting()
        self._filled = asyncio.Event()
        self.dropped = 0

    def receive(self, sender: str, payload: bytes) -> None:
        """A peer's batch."""
        try:
            parts = split_parts(payload, most=MAX_BATCH)
        except DecodeError as error:
            self._blame(sender, f"gossip_{error.code}")
            return
        if self._waiting.put(sender, tuple(parts)):
            self._filled.set()
        else:
            self.dropped += len(parts)

    async def run(self) -> None:
        """Admit for ever."""
        while True:
            while not self._waiting:
                self._on_admitted()
                self._filled.clear()
                await self._filled.wait()
            await self._pace.breathe()
            sender, data = self._waiting.pop()
            try:
                self._admit(sender, data)
            except Overloaded:
                self.dropped += 1
            except Rejected as error:
                if error.code in FORGED:
                    self._blame(sender, f"gossip_{error.code}")
            if len(self._waiting) % NOTICE_EVERY == 0:
                self._on_admitted()
