"""Signatures and certificates of upcoming blocks, checked in other processes while this one executes.

Knows what can be checked of a block without its parent's state. Must not know state. Must always hold: a worker only
says "this holds under these keys" or "this holds under this set"; whether they are the right ones is decided by the
replay, with the state it has reached, and all that a worker did not vouch for is checked there again.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from ledger.blocks import decode_block, header_hash
from ledger.certificates import ValidatorSet, decode_certificate, verify_finality
from ledger.errors import LedgerError
from ledger.transactions import SignedTransaction, Transaction, decode_transaction, verify_transaction

MAX_PROCESSES: Final = 8
"""Execution is sequential: more workers than this wait for it."""
WORTH_BLOCKS: Final = 200
"""Blocks from which on workers are started: each takes about half a second to start."""
AHEAD_BLOCKS: Final = 64
AHEAD_BYTES: Final = 32 * 2**20
"""How far ahead blocks are read: enough for every worker, and a bound for memory."""

Keys = Mapping[tuple[str, str], bytes]
"""(participant, key id) -> public key"""
UsedKey = tuple[str, str, bytes]


class StoredBlock(Struct, frozen=True):
    """What a source says about one height. `certificate` is null where only a later block was certified."""

    height: int
    block: bytes
    certificate: bytes | None


@dataclass(frozen=True, slots=True)
class Vouched:
    """A transaction whose bytes and signatures are in order, if these are the keys of its signers."""

    core_hash: bytes
    tx_id: str
    keys: tuple[UsedKey, ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a worker vouches for: the block's transactions in their order, and under which set its certificate holds."""

    transactions: tuple[Vouched | None, ...]
    set_hash: bytes | None


NOTHING: Final = Ahead((), None)


def default_processes() -> int:
    """One for each processor that this process may use, at most MAX_PROCESSES."""
    return min(MAX_PROCESSES, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def check_ahead(stored: StoredBlock, keys: Keys, validators: ValidatorSet, chain: bytes) -> Ahead:
    """A worker's part. Never raises for a bad block: the replay finds the fault again and names it."""
    try:
        block = decode_block(stored.block)
    except LedgerError:
        return NOTHING
    found = tuple(_vouch(data, keys) for data in block.transactions)
    return Ahead(found, _certified_under(stored.certificate, header_hash(block.header), validators, chain))


def _vouch(data: bytes, keys: Keys) -> Vouched | None:
    used: list[UsedKey] = []

    def resolve(participant: str, key_id: str) -> bytes | None:
        public = keys.get((participant, key_id))
        if public is not None:
            used.append((participant, key_id, public))
        return public

    try:
        signed = decode_transaction(data)
        verify_transaction(signed, resolve)
    except LedgerError:
        return None
    return Vouched(signed.core_hash, signed.tx_id, tuple(used))


def _certified_under(encoded: bytes | None, digest: bytes, validators: ValidatorSet, chain: bytes) -> bytes | None:
    if encoded is None:
        return None
    try:
        verify_finality(decode_certificate(encoded), digest, validators, chain)
    except LedgerError:
        return None
    return validators.hash


def reopen(data: bytes, vouched: Vouched) -> SignedTransaction:
    """A vouched transaction without the work of checking its form and hashes again."""
    content = msgspec.json.decode(data, type=Transaction)
    return SignedTransaction(content=content, encoded=data, core_hash=vouched.core_hash, tx_id=vouched.tx_id)


class Workers:
    """Processes that check ahead. Close it, also after an error."""

    def __init__(self, processes: int) -> None:
        # Started afresh and not forked: a forked child would share this process's database connections.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(max_workers=processes, mp_context=context)

    def close(self) -> None:
        """End the processes; work that has not begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, stored: StoredBlock, keys: Keys, validators: ValidatorSet, chain: bytes) -> "Future[Ahead]":
        """Have one block checked."""
        return self._pool.submit(check_ahead, stored, dict(keys), validators, chain)


def read_ahead(
    blocks: Iterable[StoredBlock], submit: "Callable[[StoredBlock], Future[Ahead]] | None"
) -> Iterator[tuple[StoredBlock, Ahead]]:
    """The blocks in order, each with what was found ahead; bounded by AHEAD_BLOCKS and AHEAD_BYTES."""
    if submit is None:
        yield from ((stored, NOTHING) for stored in blocks)
        return
    waiting: deque[tuple[StoredBlock, Future[Ahead]]] = deque()
    held = 0
    for stored in blocks:
        waiting.append((stored, submit(stored)))
        held += len(stored.block)
        while len(waiting) >= AHEAD_BLOCKS or held > AHEAD_BYTES:
            first, found = waiting.popleft()
            held -= len(first.block)
            yield first, found.result()
    while waiting:
        first, found = waiting.popleft()
        yield first, found.result()
