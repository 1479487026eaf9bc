"""RK02, RK03, RK09, RK10: stays that cannot be, that nobody was treated in, or that last unusually long or short.

Knows stays, their daily charges, deaths and published norms. Must not know policies but for their kind of benefit.
Always true: the day of discharge is a day of leaving, not of treatment.
"""

from collections import defaultdict

from contracts.risk.parameters import Parameters
from contracts.risk.records import ClaimRecords, DailyCharge, Stay
from contracts.risk.results import Figures, Result, Severity, found, insufficient, nothing
from contracts.risk.subject import claim_of, policies_of, stay_of


def find_overlaps(records: ClaimRecords, parameters: Parameters) -> tuple[Result, ...]:
    """RK02, all stays of the person. One inpatient number of one institution is one stay, told twice."""
    stays = sorted(_stays_of_person(records), key=lambda stay: (stay.admitted_minute, stay.id))
    shown: set[str] = set()
    longest = 0
    for index, stay in enumerate(stays):
        for other in stays[index + 1 :]:
            if other.admission_day >= stay.discharge_day:
                break
            if stay.admission_day < other.discharge_day and _number(stay) != _number(other):
                shown |= {stay.id, other.id}
                days = min(stay.discharge_day, other.discharge_day) - other.admission_day
                longest = max(longest, days)
    value, threshold = {"days": longest}, {"days": 0}
    return (found("RK02", "HIGH", shown, value, threshold) if shown else nothing("RK02", value, threshold),)


def find_impossible(records: ClaimRecords, parameters: Parameters) -> tuple[Result, ...]:
    """RK03. HIGH: a service after death. MED: an outpatient visit elsewhere strictly inside a stay.

    Of several deaths in the register the first counts: a register that contradicts itself is a person's to read.
    """
    death = min(
        ((item.day, item.id) for item in records.deaths if item.person == claim_of(records).person), default=None
    )
    results = []
    late = {} if death is None else {name: day - death[0] for name, day in _services(records) if day > death[0]}
    if late and death is not None:
        value = {"days_after_death": max(late.values())}
        results.append(found("RK03", "HIGH", [*late, death[1]], value, {"days_after_death": 0}))
    elsewhere = _visits_inside_stays(records)
    if elsewhere:
        value = {"visits": len({visit for visit, _ in elsewhere})}
        results.append(found("RK03", "MED", [name for pair in elsewhere for name in pair], value, {"visits": 0}))
    return tuple(results) or (nothing("RK03", {"visits": 0}, {"visits": 0}),)


def find_ghost_stay(records: ClaimRecords, parameters: Parameters) -> tuple[Result, ...]:
    """RK09 (挂床) of the claim's stay. What was refunded on its day was not given. Without a daily list: no word."""
    stay = stay_of(records)
    limits = {
        "bed_only_bp": parameters.bed_only_share_bp,
        "empty_days": 0,
        "nursing_from_days": parameters.nursing_from_days,
    }
    if stay is None:
        return (nothing("RK09", {}, limits),)
    charges = [item for item in records.charges if item.stay == stay.id]
    if not charges:
        return (insufficient("RK09", {}, limits),)
    given = _given_by_day(charges)
    days = range(stay.admission_day, max(stay.discharge_day, stay.admission_day + 1))
    bed_only = [day for day in days if given[day] == {"bed"}]
    empty = [day for day in range(stay.admission_day + 1, stay.discharge_day) if not given[day] - {"bed"}]
    nursed = any("nursing" in categories for categories in given.values())
    value = {"days": len(days), "bed_only_days": len(bed_only), "empty_days": len(empty), "nursed": int(nursed)}
    half = len(bed_only) * 10_000 >= parameters.bed_only_share_bp * len(days)
    unnursed = not nursed and len(days) >= parameters.nursing_from_days
    if not (empty or half or unnursed):
        return (nothing("RK09", value, limits),)
    odd = {*bed_only, *empty}
    shown = [stay.id, *(item.id for item in charges if unnursed or item.day in odd)]
    return (found("RK09", "HIGH", shown, value, limits),)


def find_unusual_length(records: ClaimRecords, parameters: Parameters) -> tuple[Result, ...]:
    """RK10 of the claim's stay against the norm of its DRG and level. HIGH above p95 under a daily allowance."""
    stay = stay_of(records)
    if stay is None:
        return (nothing("RK10", {}, {}),)
    value: Figures = {"half_days": stay.half_days}
    norms = [item for item in records.norms if (item.drg, item.level) == (stay.drg, stay.level)]
    norm = max(norms, key=lambda item: (item.version, item.id), default=None)
    if norm is None or norm.cases < parameters.min_cases:
        return (insufficient("RK10", value, {"cases": parameters.min_cases}),)
    threshold = {
        "p95_half_days": norm.p95_half_days,
        "median_half_days": norm.median_half_days,
        "parts": parameters.short_stay_divisor,
    }
    is_long = stay.half_days > norm.p95_half_days
    is_short = stay.half_days * parameters.short_stay_divisor < norm.median_half_days
    if not is_long and not (is_short and stay.disposition not in ("death", "transfer")):
        return (nothing("RK10", value, threshold),)
    by_day = any(policy.benefit == "allowance" for policy in policies_of(records))
    severity: Severity = "HIGH" if is_long and by_day else "MED"
    return (found("RK10", severity, [stay.id, norm.id], value, threshold),)


def _stays_of_person(records: ClaimRecords) -> list[Stay]:
    person = claim_of(records).person
    return [stay for stay in records.stays if stay.person == person]


def _number(stay: Stay) -> tuple[str, str]:
    return stay.institution, stay.inpatient_no


def _services(records: ClaimRecords) -> list[tuple[str, int]]:
    """(record, last day of service): visits, purchases, daily charges, and stays to the day before discharge."""
    person = claim_of(records).person
    stays = _stays_of_person(records)
    own = {stay.id for stay in stays}
    bills = [item for item in records.invoices if item.person == person and item.kind == "blue"]
    return [
        *((item.id, item.service_day) for item in bills if item.type != "inpatient"),
        *((stay.id, max(stay.admission_day, stay.discharge_day - 1)) for stay in stays),
        *((item.id, item.day) for item in records.charges if item.stay in own and item.amount_fen > 0),
    ]


def _visits_inside_stays(records: ClaimRecords) -> list[tuple[str, str]]:
    person = claim_of(records).person
    visits = [
        item for item in records.invoices if (item.person, item.type, item.kind) == (person, "outpatient", "blue")
    ]
    return [
        (visit.id, stay.id)
        for stay in _stays_of_person(records)
        for visit in visits
        if visit.institution != stay.institution and stay.admission_day < visit.service_day < stay.discharge_day
    ]


def _given_by_day(charges: list[DailyCharge]) -> dict[int, set[str]]:
    sums: dict[tuple[int, str], int] = defaultdict(int)
    for item in charges:
        sums[item.day, item.category] += item.amount_fen
    given: dict[int, set[str]] = defaultdict(set)
    for (day, category), amount in sums.items():
        if amount > 0:
            given[day].add(category)
    return given
