"""Stays as counts: what a commission adds up of endorsed cases, and the cells that RK04 and RK11 compare.

Knows what of a case is counted. Must not know a patient's name. Must always hold: a cell is sums and counts of one
hospital; below MIN_SHOWN stays nothing of it is shown to anybody.

A stay is counted if its discharge names a `drg`: four or more characters, of which the first three name the pair's
group, and the last one its weight (CHS-DRG: 1 and 3 with complication, 5 without, 9 undivided).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from contracts.calendar import day_number, is_date
from contracts.cases.documents import Record, amount_of, pick_discharge, pick_invoices
from contracts.risk.records import DrgPairCell, HospitalCell, HospitalCells

MIN_SHOWN: Final = 20
"""Stays below which no figure is shown, whatever the parameters compare: fewer tell of single patients."""
HEAVY: Final = frozenset("13")
DIVIDED: Final = frozenset("135")
MIN_DRG: Final = 4
MAX_DRG: Final = 12


class CountedStay(Struct, frozen=True, forbid_unknown_fields=True):
    """One stay on its way into a cell. `month` is YYYY-MM of its endorsement; days as contracts.calendar has them."""

    hospital: str
    month: str
    drg: str
    level: str
    admission_day: int
    discharge_day: int
    cost_fen: int
    self_funded_fen: int

    @property
    def cell(self) -> str:
        """Where it is counted within its hospital and month."""
        return f"{self.drg}/{self.level}"


class CellSums(Struct, frozen=True, forbid_unknown_fields=True):
    """Sums of one hospital, month, DRG and level."""

    stays: int = 0
    cost_fen: int = 0
    self_funded_fen: int = 0
    readmissions: int = 0


def measure_stay(hospital: str, month: str, records: Iterable[Record]) -> CountedStay | None:
    """What is counted of an endorsed case; None without a DRG or without both days. Raises CaseError."""
    held = list(records)
    discharge = pick_discharge(held)
    stay, drg = discharge.get("stay"), discharge.get("drg")
    if not isinstance(stay, dict) or not isinstance(drg, str) or not MIN_DRG <= len(drg) <= MAX_DRG or "/" in drg:
        return None
    first, last = stay.get("admission_date"), stay.get("discharge_date")
    if not is_date(first) or not is_date(last) or str(last) < str(first):
        return None
    bills = pick_invoices(held)
    return CountedStay(
        hospital=hospital,
        month=month,
        drg=drg,
        level=str(stay.get("institution_level") or "").replace("/", ""),
        admission_day=day_number(str(first)),
        discharge_day=day_number(str(last)),
        cost_fen=sum(amount_of(bill, "total_fen") for bill in bills),
        self_funded_fen=sum(amount_of(bill, "self_funded_fen") for bill in bills),
    )


def add_stay(sums: CellSums, stay: CountedStay) -> CellSums:
    """The sums with one more stay."""
    return replace(
        sums,
        stays=sums.stays + 1,
        cost_fen=sums.cost_fen + stay.cost_fen,
        self_funded_fen=sums.self_funded_fen + stay.self_funded_fen,
    )


def is_readmission(before: CountedStay, after: CountedStay, days: int) -> bool:
    """Whether a patient came back within `days` after a discharge; a transfer on the day of discharge is no return."""
    return 0 < after.admission_day - before.discharge_day <= days


def list_months(last: str, months: int) -> list[str]:
    """The `months` months that end with `last` (YYYY-MM), the earliest first."""
    number = int(last[:4]) * 12 + int(last[5:7]) - 1
    return [f"{item // 12:04d}-{item % 12 + 1:02d}" for item in range(number - months + 1, number + 1)]


def build_cells(
    institution: str, sums: Mapping[str, Mapping[str, CellSums]], months: int, readmission_days: int
) -> HospitalCells:
    """The comparison of one institution; `sums`: hospital -> "drg/level" -> sums of all `months` months."""
    pairs: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    cells = []
    for hospital, listed in sorted(sums.items()):
        for name, item in sorted(listed.items()):
            drg, _, level = name.partition("/")
            cells.append(
                HospitalCell(
                    id=f"{hospital}/{name}",
                    institution=hospital,
                    drg=drg,
                    level=level,
                    stays=item.stays,
                    cost_fen=item.cost_fen,
                    self_funded_fen=item.self_funded_fen,
                    readmissions=item.readmissions,
                    readmission_days=readmission_days,
                )
            )
            if drg[-1] in DIVIDED:
                counted = pairs[hospital, drg[:3]]
                counted[0] += item.stays
                counted[1] += item.stays if drg[-1] in HEAVY else 0
    found = [
        DrgPairCell(f"{hospital}/{pair}", hospital, pair, months, stays, heavy)
        for (hospital, pair), (stays, heavy) in sorted(pairs.items())
    ]
    return HospitalCells(institution, tuple(found), tuple(cells))
