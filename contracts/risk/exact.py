"""Shares and means as pairs of integers: compared by cross-multiplication, never divided.

Knows fractions with a positive denominator. Must not know what they measure. Always true: every answer is exact, so
two machines never disagree about a value that lies on a threshold.
"""

from collections.abc import Iterable, Sequence
from functools import cmp_to_key
from typing import TypeAlias

Ratio: TypeAlias = tuple[int, int]
"""(numerator, denominator); the denominator is above 0. Not in lowest terms."""


def compare(left: Ratio, right: Ratio) -> int:
    """Below 0, 0 or above 0, as `left` is below, equal to or above `right`."""
    return left[0] * right[1] - right[0] * left[1]


def times(factor: int, ratio: Ratio) -> Ratio:
    """`factor` times the ratio."""
    return factor * ratio[0], ratio[1]


def median(ratios: Iterable[Ratio]) -> Ratio:
    """The middle one, or the mean of the two middle ones. At least one is needed."""
    ordered = in_order(ratios)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    (a, b), (c, d) = ordered[middle - 1], ordered[middle]
    return a * d + c * b, 2 * b * d


def percentile(ratios: Iterable[Ratio], percent: int) -> Ratio:
    """The smallest one that at least `percent` of all do not exceed (nearest rank). At least one is needed."""
    ordered = in_order(ratios)
    rank = max(1, (percent * len(ordered) + 99) // 100)
    return ordered[rank - 1]


def distance(left: Ratio, right: Ratio) -> Ratio:
    """The difference without its sign."""
    return abs(compare(left, right)), left[1] * right[1]


def spread(ratios: Sequence[Ratio], centre: Ratio) -> Ratio:
    """MAD: the median of the distances from `centre`."""
    return median(distance(ratio, centre) for ratio in ratios)


def in_order(ratios: Iterable[Ratio]) -> list[Ratio]:
    """Ascending."""
    return sorted(ratios, key=cmp_to_key(compare))
