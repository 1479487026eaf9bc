"""The claim that is assessed, and what belongs to it among the records.

Knows ids. Must not know a rule. Always true: `check_records` has found one claim of that id and no id twice before a
rule looks.
"""

from collections.abc import Hashable, Sequence
from typing import Final, Protocol

from contracts.errors import InputError
from contracts.risk.records import ClaimFact, ClaimRecords, HospitalCells, PolicyFact, Stay

CATEGORY: Final = 3
"""Characters of an ICD-10 code that name its category."""


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


def category_of(icd: str) -> str:
    """The 3-character category of a code; Chinese extensions lie behind it."""
    return icd[:CATEGORY].upper()


def claim_of(records: ClaimRecords) -> ClaimFact:
    """The claim that is assessed."""
    return next(claim for claim in records.claims if claim.id == records.claim)


def policies_of(records: ClaimRecords) -> list[PolicyFact]:
    """The claim's policies that insure its person."""
    claim = claim_of(records)
    return [policy for policy in records.policies if policy.id in claim.policies and policy.person == claim.person]


def stay_of(records: ClaimRecords) -> Stay | None:
    """The claim's stay; None for an outpatient claim, and for a stay of somebody else."""
    claim = claim_of(records)
    return next((stay for stay in records.stays if stay.id == claim.stay and stay.person == claim.person), None)


def check_records(records: ClaimRecords) -> None:
    """Raise InputError `missing` without the claim, `unknown_value` for an id that names two records."""
    _check_ids(
        claims=records.claims,
        policies=records.policies,
        stays=records.stays,
        invoices=records.invoices,
        charges=records.charges,
        diagnoses=records.diagnoses,
        deaths=records.deaths,
        norms=records.norms,
    )
    if not any(claim.id == records.claim for claim in records.claims):
        raise InputError("missing", "/claims", "no claim has the id that /claim names")


def check_cells(cells: HospitalCells) -> None:
    """Raise InputError `unknown_value` for an id that names two cells, or a hospital with two cells of one kind."""
    _check_ids(pairs=cells.pairs, cells=cells.cells)
    _check_once("pairs", [(item.institution, item.pair, item.months) for item in cells.pairs])
    _check_once("cells", [(item.institution, item.drg, item.level, item.readmission_days) for item in cells.cells])


def _check_once(name: str, kinds: Sequence[Hashable]) -> None:
    seen: set[Hashable] = set()
    for index, kind in enumerate(kinds):
        if kind in seen:
            raise InputError("unknown_value", f"/{name}/{index}", "the institution has another cell of this kind")
        seen.add(kind)


def _check_ids(**lists: Sequence[_Identified]) -> None:
    seen: set[str] = set()
    for name, items in lists.items():
        for index, item in enumerate(items):
            if item.id in seen:
                raise InputError("unknown_value", f"/{name}/{index}/id", "this id names two records")
            seen.add(item.id)
