"""RK06, RK07, RK12: an illness that suits its cover too well: just after the waiting period, known before, bought late.

Knows a claim's policies, its diagnosis and the person's earlier ones. Must not know amounts but for the review
threshold. Always true: what the adjudicator refuses by itself (an event within the waiting period) is no hit here.
"""

from collections.abc import Iterable

from contracts.risk.parameters import Parameters, is_related
from contracts.risk.records import DAY_MINUTES, ClaimRecords, DiagnosisFact, PolicyFact
from contracts.risk.results import Result, Severity, found, nothing
from contracts.risk.subject import category_of, claim_of, policies_of, stay_of


def find_after_waiting(records: ClaimRecords, parameters: Parameters) -> tuple[Result, ...]:
    """RK06, illness only. The event is that of adjudication rule 8: the earlier of event and onset."""
    claim = claim_of(records)
    event = claim.event_day if claim.onset_day is None else min(claim.event_day, claim.onset_day)
    near: dict[Severity, dict[str, int]] = {"HIGH": {}, "MED": {}}
    for policy in policies_of(records) if claim.cause == "illness" else ():
        days = event - policy.first_effective_day - policy.waiting_days
        if policy.waiting_days > 0 and 0 <= days < parameters.waiting_after_days:
            is_large = claim.claimed_fen > (policy.review_threshold_fen or parameters.review_threshold_fen)
            near["HIGH" if is_large and days < parameters.waiting_high_days else "MED"][policy.id] = days
    threshold = {
        "days_after_waiting": parameters.waiting_after_days,
        "days_after_waiting_high": parameters.waiting_high_days,
    }
    results = [
        found("RK06", severity, [claim.id, *days], {"days_after_waiting": min(days.values())}, threshold)
        for severity, days in near.items()
        if days
    ]
    return tuple(results) or (nothing("RK06", {}, threshold),)


def find_known_before(records: ClaimRecords, parameters: Parameters) -> tuple[Result, ...]:
    """RK07, illness only. Undeclared records before first effective: HIGH the same category, MED related, else LOW."""
    claim = claim_of(records)
    own = category_of(claim.icd)
    shown: dict[Severity, set[str]] = {"HIGH": set(), "MED": set(), "LOW": set()}
    counts: dict[Severity, set[str]] = {"HIGH": set(), "MED": set(), "LOW": set()}
    for policy in policies_of(records) if claim.cause == "illness" else ():
        for record in _undeclared(records, policy):
            severity = _likeness(own, category_of(record.icd), parameters)
            shown[severity] |= {record.id, policy.id}
            counts[severity].add(record.id)
    results = [
        found("RK07", severity, names, {"records": len(counts[severity])}, {"records": 0})
        for severity, names in shown.items()
        if names
    ]
    return tuple(results) or (nothing("RK07", {"records": 0}, {"records": 0}),)


def find_bought_late(records: ClaimRecords, parameters: Parameters) -> tuple[Result, ...]:
    """RK12. HIGH: applied at or after admission. MED: a visit for the same or a related illness just before."""
    claim, stay = claim_of(records), stay_of(records)
    policies = policies_of(records)
    results = []
    late = [policy for policy in policies if stay is not None and policy.applied_minute >= stay.admitted_minute]
    if late and stay is not None:
        minutes = max(policy.applied_minute for policy in late) - stay.admitted_minute
        results.append(
            found(
                "RK12",
                "HIGH",
                [stay.id, *(policy.id for policy in late)],
                {"minutes_after_admission": minutes},
                {"minutes_after_admission": 0},
            )
        )
    threshold = {"days_before_application": parameters.prior_visit_days}
    visits = {
        (policy.id, record.id): days
        for policy in policies
        for record in _of_person(records)
        if 0 <= (days := policy.applied_minute // DAY_MINUTES - record.day) <= parameters.prior_visit_days
        and _likeness(category_of(claim.icd), category_of(record.icd), parameters) != "LOW"
    }
    if visits:
        value = {"days_before_application": min(visits.values())}
        results.append(found("RK12", "MED", [name for pair in visits for name in pair], value, threshold))
    return tuple(results) or (nothing("RK12", {}, threshold),)


def _likeness(own: str, other: str, parameters: Parameters) -> Severity:
    if own == other:
        return "HIGH"
    return "MED" if is_related(own, other, parameters.related) else "LOW"


def _of_person(records: ClaimRecords) -> Iterable[DiagnosisFact]:
    person = claim_of(records).person
    return [record for record in records.diagnoses if record.person == person]


def _undeclared(records: ClaimRecords, policy: PolicyFact) -> list[DiagnosisFact]:
    declared = {category_of(icd) for icd in policy.disclosed}
    return [
        record
        for record in _of_person(records)
        if record.day < policy.first_effective_day and category_of(record.icd) not in declared
    ]
