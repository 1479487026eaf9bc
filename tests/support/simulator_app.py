"""What blocks and transactions of a simulated network are; knows nothing of votes, hosts and networks.

A block names its parent, its time and the root that executing it gives, so that a node which computes otherwise finds
out before it votes. A transaction bears the endorsement of a second party and the signature of its author over both:
whoever strips the endorsement makes other bytes, which nobody signed.

    payload     = parent digest[32] time[8] view[8] root[32] transaction[16]...    integers big-endian, time in ms
    transaction = number[4] endorsement[4] signature[8]
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from consensus.effects import RequestVerify
from consensus.tails import MARK, is_tail
from ledger.crypto.hashing import tagged_hash

MAX_PAYLOAD = 100_000
TX_BYTES = 16
HEADER_BYTES = 80
MAX_DRIFT_MS = 2_000
"""A5: a block time further ahead of the own clock is waited for, not voted for."""
WALL_START_MS = 10_000_000
"""What honest clocks show when a simulation begins."""
MAX_BLOCK_TXS = 200
"""Clients of a simulation are bounded too."""


class Payloads:
    """Implements consensus.types.PayloadRule: a block's name is its hash."""

    def is_payload(self, digest: bytes, payload: bytes) -> bool:
        return len(payload) >= 32 and digest_of(payload) == digest


@dataclass(frozen=True, slots=True)
class Executed:
    """The application after one block."""

    height: int
    time: int
    root: bytes


GENESIS = Executed(0, 0, bytes(32))


# --- transactions -------------------------------------------------------------------------------------------------


def build_transaction(number: int) -> bytes:
    """What a client sends: endorsed and signed."""
    endorsed = number.to_bytes(4, "big") + hashlib.sha256(b"endorsed%d" % number).digest()[:4]
    return endorsed + _signature(endorsed)


@lru_cache(maxsize=50_000)
def is_signed(tx: bytes) -> bool:
    """Whether the author signed exactly this, endorsement included. A traitor makes no such signature."""
    return tx[8:] == _signature(tx[:8])


def strip_endorsement(tx: bytes) -> bytes:
    """The same transaction without its endorsement: other bytes, so another name, and the signature does not fit."""
    return tx[:4] + bytes(4) + tx[8:]


def _signature(endorsed: bytes) -> bytes:
    return hashlib.sha256(b"author" + endorsed).digest()[:8]


# --- blocks -------------------------------------------------------------------------------------------------------


def digest_of(payload: bytes) -> bytes:
    return tagged_hash("header", payload)


def parent_of(payload: bytes) -> bytes:
    return payload[:32]


def time_of(payload: bytes) -> int:
    return int.from_bytes(payload[32:40], "big")


def root_in(payload: bytes) -> bytes:
    return payload[48:80]


def transactions_of(payload: bytes) -> list[bytes]:
    return [payload[i : i + TX_BYTES] for i in range(HEADER_BYTES, len(payload), TX_BYTES)]


def boundary_under(digest: bytes, payload: bytes) -> bytes | None:
    """The block that a tail block of this name stands for; None when it is an ordinary block."""
    return payload[len(MARK) :] if is_tail(digest, payload) else None


def root_after(before: bytes, transactions: bytes) -> bytes:
    return hashlib.sha256(before + transactions).digest()


def build_block(parent: bytes, before: Executed, view: int, wall: int, transactions: list[bytes]) -> bytes:
    """A5: the time is the leader's clock, and always above the parent's."""
    data = b"".join(transactions)
    time = max(before.time + 1, wall)
    return parent + time.to_bytes(8, "big") + view.to_bytes(8, "big") + root_after(before.root, data) + data


def execute(before: Executed, payload: bytes) -> Executed:
    return Executed(before.height + 1, time_of(payload), root_after(before.root, payload[HEADER_BYTES:]))


def find_fault(request: RequestVerify, before: Executed) -> str:
    """Which rule the block breaks, whatever the clocks say; empty when none."""
    payload = request.payload
    if len(payload) < HEADER_BYTES or (len(payload) - HEADER_BYTES) % TX_BYTES:
        return "length"
    if parent_of(payload) != request.parent.digest:
        return "parent"
    if time_of(payload) <= before.time:
        return "time"
    transactions = transactions_of(payload)
    if len(set(transactions)) != len(transactions) or len(transactions) > MAX_BLOCK_TXS:
        return "transactions"
    if not all(is_signed(tx) for tx in transactions):
        return "signature of a transaction"
    if execute(before, payload).root != root_in(payload):
        return f"state_root {root_in(payload).hex()[:8]}, computed {execute(before, payload).root.hex()[:8]}"
    return ""
