"""Transactions from node to node: what was admitted here is told to everybody once, in batches.

Knows bytes and peers; admission is the mempool's. Must always hold: a transaction is told on by the node that
first took it from a client or from a participant without a vote, so a full mesh carries each of them once; a batch
is bounded in bytes and number; what a peer sends is admitted by the same rule as what a client sends.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from ledger.errors import DecodeError
from ledger.parts import join_parts, split_parts
from node.errors import Overloaded, Rejected

INTERVAL_S = 0.02
"""How long new transactions gather before they are told on."""
MAX_BATCH_BYTES = 256 * 1024
"""One message: about 400 small transactions, verified in a few hundredths of a second."""
MAX_BATCH = 500
REPEAT_S = 2.0
"""A transaction that is still pending after this long is told again: a message may have been lost."""
MAX_REPEATED = 2_000
"""Transactions told again at once."""


class Broadcast(Protocol):
    """Tell every linked peer."""

    def __call__(self, payload: bytes) -> None: ...


class Gossip:
    """The outgoing side, and the taking apart of what comes in."""

    def __init__(self, broadcast: Broadcast, on_flushed: Callable[[], None]) -> None:
        """`on_flushed` is called after every round in which something was told."""
        self._broadcast = broadcast
        self._on_flushed = on_flushed
        self._fresh: list[bytes] = []
        self._handle: asyncio.TimerHandle | None = None

    def tell(self, data: bytes) -> None:
        """Pass a newly admitted transaction on with the next batch."""
        self._fresh.append(data)
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(INTERVAL_S, self.flush)

    def tell_again(self, pending: list[bytes]) -> None:
        """Repeat what has been waiting for long."""
        for data in pending[:MAX_REPEATED]:
            self.tell(data)

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

    @property
    def is_waiting(self) -> bool:
        """Whether something has not been told yet."""
        return bool(self._fresh)


def take_batch(payload: bytes, admit: Callable[[bytes], None]) -> str | None:
    """Admit every transaction of a peer's batch. Returns a code to blame the peer for, None if there is no fault.

    A full pool is no fault of the peer; neither is a key that this node does not know yet.
    """
    try:
        parts = split_parts(payload, most=MAX_BATCH)
    except DecodeError as error:
        return f"gossip_{error.code}"
    fault = None
    for data in parts:
        try:
            admit(data)
        except Overloaded:
            return fault
        except Rejected as error:
            if error.code in ("bad_signature", "json", "not_canonical", "schema"):
                fault = f"gossip_{error.code}"
    return fault
