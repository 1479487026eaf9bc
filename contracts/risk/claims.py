"""RK01, RK05, RK08: what one person puts in: the same invoice twice, a great deal, or in parts.

Knows invoices, stays and claims of the claim's person. Must not know other people, but for an invoice that somebody
else put in under the same policy. Always true: a bill that was reversed and issued again counts once.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

from contracts.risk.parameters import Parameters
from contracts.risk.records import ClaimFact, ClaimRecords, InvoiceFact, Key
from contracts.risk.results import Result, Severity, found, nothing
from contracts.risk.subject import category_of, claim_of, policies_of


def find_duplicates(records: ClaimRecords, parameters: Parameters) -> tuple[Result, ...]:
    """RK01. HIGH: one (code, number) twice under a policy. MED: institution, patient, day and total equal, not the key.

    Red invoices have no equal but by key; a blue one that a red one reverses makes room for its new issue.
    """
    person = claim_of(records).person
    same_key = _groups(records.invoices, lambda item: (item.policy, item.key))
    twice = [group for group in same_key if len(group) > 1 and any(item.person == person for item in group)]
    standing = _standing(item for item in records.invoices if item.person == person)
    same_bill = _groups(standing, lambda item: (item.institution, item.service_day, item.total_fen))
    alike = [group for group in same_bill if len({item.key for item in group}) > 1]
    graded: dict[Severity, list[list[InvoiceFact]]] = {"HIGH": twice, "MED": alike}
    results = [
        found("RK01", severity, _ids(groups), {"invoices": max(len(group) for group in groups)}, {"invoices": 1})
        for severity, groups in graded.items()
        if groups
    ]
    return tuple(results) or (nothing("RK01", {"invoices": 1 if standing else 0}, {"invoices": 1}),)


def find_frequency(records: ClaimRecords, parameters: Parameters) -> tuple[Result, ...]:
    """RK05, in the days up to the claim's event: stays, outpatient invoices, institutions; any one is enough."""
    claim = claim_of(records)
    stays = [
        stay
        for stay in records.stays
        if stay.person == claim.person and _is_within(stay.admission_day, claim.event_day, parameters.frequency_days)
    ]
    visits = [
        item
        for item in _standing(item for item in records.invoices if item.person == claim.person)
        if item.type == "outpatient" and _is_within(item.service_day, claim.event_day, parameters.frequency_days)
    ]
    value = {
        "stays": len({(stay.institution, stay.inpatient_no) for stay in stays}),
        "outpatient_invoices": len({item.key for item in visits}),
        "institutions": len({stay.institution for stay in stays} | {item.institution for item in visits}),
    }
    threshold = {
        "stays": parameters.frequency_stays,
        "outpatient_invoices": parameters.frequency_outpatient,
        "institutions": parameters.frequency_institutions,
    }
    reached = {name for name, count in value.items() if count >= threshold[name]}
    if not reached:
        return (nothing("RK05", value, threshold),)
    shown: list[str] = []
    if reached & {"stays", "institutions"}:
        shown += [stay.id for stay in stays]
    if reached & {"outpatient_invoices", "institutions"}:
        shown += [item.id for item in visits]
    return (found("RK05", "MED", shown, value, threshold),)


def find_splitting(records: ClaimRecords, parameters: Parameters) -> tuple[Result, ...]:
    """RK08, in the days up to the claim's event, with the claim itself: by institution, or by diagnosis.

    Claims above the threshold were reviewed and are no parts.
    """
    claim = claim_of(records)
    limit = min(
        (policy.review_threshold_fen or parameters.review_threshold_fen for policy in policies_of(records)),
        default=parameters.review_threshold_fen,
    )
    near = [
        other
        for other in records.claims
        if other.person == claim.person
        and other.claimed_fen <= limit
        and _is_within(other.event_day, claim.event_day, parameters.split_days)
    ]
    threshold = {"sum_fen": limit, "claims": parameters.split_claims, "largest_bp": parameters.split_share_bp}
    groups = [
        [other for other in near if other.institution == claim.institution],
        [other for other in near if category_of(other.icd) == category_of(claim.icd)],
    ]
    parts = [group for group in groups if claim in group and _is_split(group, limit, parameters)]
    largest = max(parts or groups, key=_sum_of)
    value = {
        "sum_fen": _sum_of(largest),
        "claims": len(largest),
        "largest_fen": max((other.claimed_fen for other in largest), default=0),
    }
    if not parts:
        return (nothing("RK08", value, threshold),)
    return (found("RK08", "MED", [other.id for group in parts for other in group], value, threshold),)


def _is_split(group: Sequence[ClaimFact], limit: int, parameters: Parameters) -> bool:
    return (
        len(group) >= parameters.split_claims
        and _sum_of(group) > limit
        and any(other.claimed_fen * 10_000 >= limit * parameters.split_share_bp for other in group)
    )


def _sum_of(group: Iterable[ClaimFact]) -> int:
    return sum(other.claimed_fen for other in group)


def _is_within(day: int, last: int, days: int) -> bool:
    """Whether `day` is one of the `days` days that end with `last`."""
    return last - days < day <= last


def _standing(invoices: Iterable[InvoiceFact]) -> list[InvoiceFact]:
    """Blue invoices that no red one of the same person and total reverses."""
    listed = list(invoices)
    reversed_keys: set[tuple[Key | None, int]] = {
        (item.reverses, -item.total_fen) for item in listed if item.kind == "red"
    }
    return [item for item in listed if item.kind == "blue" and (item.key, item.total_fen) not in reversed_keys]


def _groups(items: Iterable[InvoiceFact], key: Callable[[InvoiceFact], Hashable]) -> list[list[InvoiceFact]]:
    grouped: dict[Hashable, list[InvoiceFact]] = defaultdict(list)
    for item in items:
        grouped[key(item)].append(item)
    return list(grouped.values())


def _ids(groups: Iterable[Iterable[InvoiceFact]]) -> list[str]:
    return [item.id for group in groups for item in group]
