"""What a block may carry: the limits of genesis, checked before anything executes.

The same count makes a proposer leave a transaction out and a voter refuse the block. `author_share_bp` is a
share of each limit of a full block: whoever floods the network leaves the rest of every block to the others.
Must always hold: everything counted here is known from the bytes alone, save the keys written, which are counted
while the block executes.
"""

from collections import Counter

from contracts.genesis import Limits
from contracts.kinds import Prepared
from ledger.errors import InvalidTransaction
from ledger.transactions import MAX_LIFETIME_MS, MAX_TRANSACTION_BYTES

LENGTH_PREFIX_BYTES = 4
"""A transaction in a block is its length (u32be) and its bytes."""


EVIDENCE_KIND = "consensus.evidence"
MAX_BLOCK_EVIDENCE = 16
"""Of these in one block: each may cost two BLS checks of 2 to 3 ms, and an epoch has few offences to record."""
MAX_AUTHOR_EVIDENCE = 4
"""Of one author in one block: a member that sends forged ones can neither slow blocks down nor keep true ones out."""


PROPOSAL_KIND = "governance.propose"
MAX_PROPOSAL_BYTES = MAX_TRANSACTION_BYTES
"""A proposal may carry a claim contract, larger than anything else that is signed. It still has to fit its author's
share of a block: with the limits that a genesis has by default it does."""


class Budget:
    """What the transactions taken so far have used of one block, in all and by author."""

    __slots__ = ("_authors", "_block", "_evidence", "_limits", "_total")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._block = {
            "block_transactions": limits.block_transactions,
            "block_bytes": limits.block_bytes,
            "block_operations": limits.block_operations,
            "block_signatures": limits.block_signatures,
        }
        self._total = (0, 0, 0, 0)
        self._evidence: Counter[str] = Counter()
        self._authors: dict[str, tuple[int, int, int, int]] = {}

    def exceeded(self, prepared: Prepared) -> str | None:
        """The limit that one more transaction would break, None if it fits."""
        content = prepared.signed.content
        if content.kind == EVIDENCE_KIND:
            if self._evidence.total() >= MAX_BLOCK_EVIDENCE:
                return "block_evidence"
            if self._evidence[content.author] >= MAX_AUTHOR_EVIDENCE:
                return "author_evidence"
        cost = _cost(prepared)
        own = self._authors.get(prepared.signed.content.author, (0, 0, 0, 0))
        for (name, limit), total, mine, more in zip(self._block.items(), self._total, own, cost, strict=True):
            if total + more > limit:
                return name
            if (mine + more) * 10_000 > limit * self._limits.author_share_bp:
                return "author_share_bp"
        return None

    def has_room_for_writes(self, written: int) -> bool:
        """Whether the largest transaction would still keep a block that wrote so many keys under its limit."""
        return written + self._limits.transaction_writes <= self._limits.block_writes

    def take(self, prepared: Prepared) -> None:
        """Count a transaction."""
        cost = _cost(prepared)
        author = prepared.signed.content.author
        self._total = _add(self._total, cost)
        self._evidence[author] += prepared.signed.content.kind == EVIDENCE_KIND
        self._authors[author] = _add(self._authors.get(author, (0, 0, 0, 0)), cost)


def check_transaction(prepared: Prepared, limits: Limits, network: str, time_ms: int) -> None:
    """Rules that make a block invalid, not a receipt (protocol rule 1).

    Raises InvalidTransaction `network`, `expired`, `lifetime`, `transaction_bytes`, `transaction_operations`,
    `transaction_signatures`.
    """
    content = prepared.signed.content
    if content.network != network:
        raise InvalidTransaction("network", f"a transaction of {content.network} in a block of {network}")
    if content.expires_time <= time_ms:
        raise InvalidTransaction("expired", f"expired at {content.expires_time}, block time is {time_ms}")
    if content.expires_time > time_ms + MAX_LIFETIME_MS:
        raise InvalidTransaction("lifetime", f"expires more than {MAX_LIFETIME_MS} ms after the block")
    counted = (
        ("transaction_bytes", len(prepared.signed.encoded), allowed_bytes(content.kind, limits)),
        ("transaction_operations", prepared.operations, limits.transaction_operations),
        ("transaction_signatures", prepared.signatures, limits.transaction_signatures),
    )
    for name, value, limit in counted:
        if value > limit:
            raise InvalidTransaction(name, f"{value}, the network allows {limit}")


def allowed_bytes(kind: str, limits: Limits) -> int:
    """The size up to which a transaction of this kind is taken."""
    return max(MAX_PROPOSAL_BYTES, limits.transaction_bytes) if kind == PROPOSAL_KIND else limits.transaction_bytes


def _cost(prepared: Prepared) -> tuple[int, int, int, int]:
    size = len(prepared.signed.encoded) + LENGTH_PREFIX_BYTES
    return (1, size, prepared.operations, prepared.signatures)


def _add(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return (first[0] + second[0], first[1] + second[1], first[2] + second[2], first[3] + second[3])
