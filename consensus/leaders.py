"""Who leads which view: round-robin over one permutation per epoch.

Knows seed, epoch and set size. The permutation is the same on every node, nobody can choose it after the
seed is fixed, and any n consecutive views have n different leaders: at most f bad ones in a row.
"""

from ledger.crypto.hashing import tagged_hash


def leader_order(seed: bytes, epoch: int, n: int) -> tuple[int, ...]:
    """A permutation of range(n) (Fisher-Yates fed by tagged hashes; the bias of 64 bits modulo n is below 2^-56)."""
    order = list(range(n))
    for last in range(n - 1, 0, -1):
        drawn = tagged_hash("leader-order", seed + epoch.to_bytes(8, "big") + last.to_bytes(4, "big"))
        other = int.from_bytes(drawn[:8], "big") % (last + 1)
        order[last], order[other] = order[other], order[last]
    return tuple(order)


def leader_of(view: int, order: tuple[int, ...]) -> int:
    """Index of the validator that leads `view` (views start at 1)."""
    return order[(view - 1) % len(order)]
