"""RK04, RK11: a hospital beside its peers. At the commission only.

These two rules compare people: they take cells that were summed up from the patients of many insurers, which no
insurer may see, and never a person's record. Their results speak of an institution, not of a claim. Must not know
claims. Always true: a hospital or a peer with fewer than `min_cases` cases is not compared, a cell that covers another
period is left out, and evidence names the hospital's own cell, no peer's.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from math import gcd
from typing import Final, TypeVar

from contracts.risk.exact import Ratio, compare, distance, median, percentile, spread, times
from contracts.risk.parameters import Parameters
from contracts.risk.records import DrgPairCell, HospitalCell, HospitalCells
from contracts.risk.results import Figures, Result, found, insufficient, nothing

C = TypeVar("C", DrgPairCell, HospitalCell)
Measure = Callable[[HospitalCell], Ratio]

MEASURES: Final[dict[str, Measure]] = {
    "cost_per_stay": lambda cell: (cell.cost_fen, cell.stays),
    "readmissions_per_stay": lambda cell: (cell.readmissions, cell.stays),
    "self_funded_of_cost": lambda cell: (cell.self_funded_fen, cell.cost_fen),
}
"""What RK11 compares; each is a measure of its own."""


def find_upcoding(cells: HospitalCells, parameters: Parameters) -> tuple[Result, ...]:
    """RK04, each DRG pair of the institution: the share of the group with complication."""
    usable = [cell for cell in cells.pairs if cell.months == parameters.upcoding_months]
    groups = _groups(usable, lambda cell: cell.pair)
    own = [cell for cell in usable if cell.institution == cells.institution]
    results = [_judge_pair(cell, groups[cell.pair], parameters) for cell in own]
    return tuple(results) or (insufficient("RK04", {"stays": 0}, {"stays": parameters.min_cases}),)


def find_outliers(cells: HospitalCells, parameters: Parameters) -> tuple[Result, ...]:
    """RK11, each DRG and level of the institution and each measure: outside the peers' median +- 3 MAD."""
    usable = [cell for cell in cells.cells if cell.readmission_days == parameters.readmission_days]
    groups = _groups(usable, lambda cell: (cell.drg, cell.level))
    own = [cell for cell in usable if cell.institution == cells.institution]
    results = [
        _judge_measure(name, measure, cell, groups[cell.drg, cell.level], parameters)
        for cell in own
        for name, measure in MEASURES.items()
    ]
    return tuple(results) or (insufficient("RK11", {"stays": 0}, {"stays": parameters.min_cases}),)


def _groups(cells: Iterable[C], key: Callable[[C], Hashable]) -> dict[Hashable, list[C]]:
    grouped: dict[Hashable, list[C]] = defaultdict(list)
    for cell in cells:
        grouped[key(cell)].append(cell)
    return grouped


def _judge_pair(cell: DrgPairCell, cells: Iterable[DrgPairCell], parameters: Parameters) -> Result:
    peers = [
        (other.heavy, other.stays)
        for other in cells
        if other.institution != cell.institution and other.stays >= parameters.min_cases
    ]
    value = {"heavy": cell.heavy, "stays": cell.stays}
    if cell.stays < parameters.min_cases or len(peers) < parameters.min_peers:
        return insufficient("RK04", value | {"peers": len(peers)}, _minimum(parameters), (cell.id,))
    share = (cell.heavy, cell.stays)
    top, middle = percentile(peers, parameters.upcoding_percentile), median(peers)
    threshold = {
        **_figures("percentile", top),
        **_figures("median", middle),
        "median_pct": parameters.upcoding_median_pct,
    }
    is_far = compare(times(100, share), times(parameters.upcoding_median_pct, middle)) >= 0
    if cell.heavy > 0 and compare(share, top) >= 0 and is_far:
        return found("RK04", "MED", [cell.id], value, threshold)
    return nothing("RK04", value, threshold, (cell.id,))


def _judge_measure(
    name: str, measure: Measure, cell: HospitalCell, cells: Iterable[HospitalCell], parameters: Parameters
) -> Result:
    compared = [
        measure(other)
        for other in cells
        if other.institution != cell.institution and other.stays >= parameters.min_cases
    ]
    peers = [ratio for ratio in compared if ratio[1] > 0]
    own = measure(cell)
    value = _figures(name, own)
    if cell.stays < parameters.min_cases or own[1] <= 0 or len(peers) < parameters.min_peers:
        return insufficient(
            "RK11", {**value, "stays": cell.stays, "peers": len(peers)}, _minimum(parameters), (cell.id,)
        )
    middle = median(peers)
    mad = spread(peers, middle)
    threshold = {**_figures("median", middle), **_figures("mad", mad), "mads": parameters.outlier_mads}
    if compare(distance(own, middle), times(parameters.outlier_mads, mad)) > 0:
        return found("RK11", "MED", [cell.id], value, threshold)
    return nothing("RK11", value, threshold, (cell.id,))


def _figures(name: str, ratio: Ratio) -> Figures:
    common = gcd(*ratio) or 1  # 0/0: nothing was charged
    return {f"{name}_numerator": ratio[0] // common, f"{name}_denominator": ratio[1] // common}


def _minimum(parameters: Parameters) -> Figures:
    return {"stays": parameters.min_cases, "peers": parameters.min_peers}
