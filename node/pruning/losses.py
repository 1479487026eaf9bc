"""What a node can no longer answer once bodies below a height are gone: for whoever is asked whether to go on.

Knows the chain before pruning. Must always hold: nothing is lost that is not named here by kind, with ranges and
numbers; claims are named by id.
"""

from msgspec import Struct

from node.chain import Chain
from node.pruning.limits import Limit
from node.pruning.needed import changes_members, heights_of, is_open, own_claims

LISTED: int = 1_000
"""Claims named by id; beyond, their number must do."""


class Losses(Struct, frozen=True):
    """`first` to `last` are the heights that lose their bodies, besides those of `kept`."""

    first: int
    last: int
    held_by: str
    """What keeps pruning from going further: `wanted` if the height asked for was reached."""
    blocks: int
    kept: int
    """Blocks in the range that stay whole, for open claims and changes of members."""
    transactions: int
    """That can no longer be read by id; that they are final, where, is still answered by proofs others hold."""
    claims: tuple[str, ...]
    """Whose dossiers can no longer be built here."""
    claims_lost: int
    open_claims: int
    """Of this participant, whose dossiers stay."""

    @property
    def sentences(self) -> list[str]:
        """One line for each kind of loss."""
        span = f"{self.first} to {self.last}"
        return [
            f"blocks {span}: bytes, receipts, entries, effects ({self.blocks} blocks; {self.kept} others stay whole)",
            f"ranges of them for late nodes: a node below height {self.last} is told to ask another",
            f"{self.transactions} transactions by id, and their proofs of inclusion",
            f"state as of heights below {self.last}, with its proofs; and a replay from genesis",
            f"dossiers of {self.claims_lost} closed claims of this participant, and of later claims whose policy or "
            "consent stands in these blocks; publication proofs of their records, for who does not hold the entry",
            f"events up to height {self.last}, for readers that were away",
        ]


def needed_heights(chain: Chain, participant: str) -> tuple[frozenset[int], int]:
    """(blocks that open claims need, number of open claims)."""
    needed: set[int] = set()
    count = 0
    for claim_id, claim in own_claims(chain, participant):
        if is_open(claim):
            count += 1
            needed |= heights_of(chain, claim_id, claim) or frozenset()
    return frozenset(needed), count


def find_losses(chain: Chain, participant: str, limit: Limit, needed: frozenset[int], open_claims: int) -> Losses:
    """What pruning up to the limit would take. Reads every block of the range once. Raises StoreError."""
    first = last = blocks = kept = transactions = 0
    for height in range(chain.store.remains.base_height + 1, limit.height + 1):
        if not chain.store.is_whole(height):
            continue
        if height in needed or changes_members(chain.store.changes(height)):
            kept += 1
            continue
        first, last = first or height, height
        blocks += 1
        transactions += len(chain.store.spine(height).transactions)
    lost = [
        claim_id
        for claim_id, claim in own_claims(chain, participant)
        if not is_open(claim) and _is_hit(heights_of(chain, claim_id, claim), first, last, needed)
    ]
    lost.sort()
    named = tuple(lost[:LISTED])
    return Losses(first, last, limit.held_by, blocks, kept, transactions, named, len(lost), open_claims)


def _is_hit(heights: frozenset[int] | None, first: int, last: int, needed: frozenset[int]) -> bool:
    return heights is not None and any(first <= height <= last for height in heights - needed)
