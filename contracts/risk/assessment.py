"""All rules over one set of records: a claim's at its insurer, a hospital's at the commission.

Knows which rules look at what. Must not know their figures. Always true: the same records in any order and the same
parameters give the same assessment; the two functions share no record, so an insurer cannot run RK04 or RK11.
"""

from collections.abc import Callable, Collection
from typing import Final

from contracts.risk.claims import find_duplicates, find_frequency, find_splitting
from contracts.risk.cover import find_after_waiting, find_bought_late, find_known_before
from contracts.risk.hospitals import find_outliers, find_upcoding
from contracts.risk.parameters import Parameters
from contracts.risk.records import ClaimRecords, HospitalCells
from contracts.risk.results import Assessment, Result, Rule, build_assessment, insufficient
from contracts.risk.stays import find_ghost_stay, find_impossible, find_overlaps, find_unusual_length
from contracts.risk.subject import check_cells, check_records

CLAIM_RULES: Final[tuple[Callable[[ClaimRecords, Parameters], tuple[Result, ...]], ...]] = (
    find_duplicates,
    find_overlaps,
    find_impossible,
    find_frequency,
    find_after_waiting,
    find_known_before,
    find_splitting,
    find_ghost_stay,
    find_unusual_length,
    find_bought_late,
)
"""In the order of their names."""
CLAIM_RULE_NAMES: Final[tuple[Rule, ...]] = (
    "RK01",
    "RK02",
    "RK03",
    "RK05",
    "RK06",
    "RK07",
    "RK08",
    "RK09",
    "RK10",
    "RK12",
)
HOSPITAL_RULES: Final[tuple[Callable[[HospitalCells, Parameters], tuple[Result, ...]], ...]] = (
    find_upcoding,
    find_outliers,
)
"""RK04 RK11, at the commission."""


def assess_claim(records: ClaimRecords, parameters: Parameters, without: Collection[Rule] = ()) -> Assessment:
    """Ten rules, grade and action of one claim. Raises InputError for records that do not fit together.

    `without` names rules for which the caller lacks facts: they answer `insufficient` and are not run.
    """
    check_records(records)
    results = (
        result
        for name, rule in zip(CLAIM_RULE_NAMES, CLAIM_RULES, strict=True)
        for result in ((insufficient(name, {}, {}),) if name in without else rule(records, parameters))
    )
    return build_assessment(records.claim, results, parameters)


def assess_hospital(cells: HospitalCells, parameters: Parameters) -> Assessment:
    """Two rules and the grade of one institution, at the commission. Raises InputError for an id that stands twice."""
    check_cells(cells)
    results = (result for rule in HOSPITAL_RULES for result in rule(cells, parameters))
    return build_assessment(cells.institution, results, parameters)
