"""Shares and percentiles without a fraction: basis points, and the value at a rank.

Knows integers alone. Must not know what is counted. Must always hold: a percentile is a value that occurred (nearest
rank, never between two values), and a share of nothing is not zero but absent.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

WHOLE_BP: Final = 10_000
"""Basis points of a whole."""
MEDIAN: Final = 50
TAIL: Final = 95


class Share(Struct, frozen=True, forbid_unknown_fields=True):
    """`count` of `of`. `bp` is the share in basis points, rounded half up; None of nothing."""

    count: int
    of: int
    bp: int | None


def share_of(count: int, of: int) -> Share:
    """`count` of `of` as a share. Raises ValueError unless 0 <= count <= of."""
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no share")
    return Share(count, of, (count * WHOLE_BP + of // 2) // of if of else None)


def value_at(percent: int, values: Sequence[int]) -> int | None:
    """The smallest value that at least `percent` of `values` do not exceed (nearest rank); None of none.

    Raises ValueError unless 1 <= percent <= 100.
    """
    if not 1 <= percent <= 100:
        raise ValueError(f"{percent} is no percentile")
    if not values:
        return None
    return sorted(values)[-(-percent * len(values) // 100) - 1]
