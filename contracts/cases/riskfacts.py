"""Risk facts of one case, made of its opened records and of the insurer's own policies, and which rules they carry.

Knows documents, terms, product tables and account openings on one side, the records of contracts.risk on the other.
Must not know other insurers, registers or peers. Must always hold: nothing is guessed. A fact that stands in no
document is not made up, and a rule that needs it is named in `without`, so that it answers `insufficient`. What was
found during the claim's own stay is nothing that was known before it: its diagnoses are kept for later claims alone.

Optional fields that only the risk rules read, beside what a claim needs:

    discharge   admission_time, discharge_time (HH:MM), drg, disposition, inpatient_no
    admission   admission_time (HH:MM)
    charges     items[].date and items[].category (a fee category of contracts.risk.records)
    terms       insured_id, applied_at (YYYY-MM-DD or YYYY-MM-DDTHH:MM), disclosed (ICD-10 categories)
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeGuard, TypeVar, cast, get_args

from msgspec import Struct
from msgspec.structs import replace

from contracts.calendar import day_number, is_date
from contracts.cases.building import PolicyInput, event_date_of
from contracts.cases.documents import Document, Record, pick_discharge, pick_invoice_records
from contracts.risk.records import (
    DAY_MINUTES,
    Category,
    ClaimFact,
    ClaimRecords,
    DailyCharge,
    DeathFact,
    DiagnosisFact,
    Disposition,
    InvoiceFact,
    InvoiceType,
    PolicyFact,
    Stay,
)
from contracts.risk.results import Rule

_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_ICD: Final = re.compile(r"[A-Z][0-9][0-9A-Z]")
CATEGORIES: Final = frozenset(get_args(Category))
DISPOSITIONS: Final = frozenset(get_args(Disposition))
INVOICE_TYPES: Final = frozenset(get_args(InvoiceType))
MAX_CHARGES: Final = 5_000
"""Lines of one daily list that are looked at; contracts.risk.reading takes as many."""


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Identified)


class CaseFacts(Struct, frozen=True):
    """`own`: what later claims of the same person look at; no policy and no daily list. `without`: rules whose facts
    the insurer has not, with what is missing."""

    records: ClaimRecords
    own: ClaimRecords
    without: Mapping[Rule, str]


def build_facts(
    claim_id: str,
    person: str,
    records: Sequence[Record],
    policies: Sequence[PolicyInput],
    hospitals: Mapping[str, str],
    earlier: Sequence[ClaimRecords] = (),
) -> CaseFacts:
    """The facts of a claim with what was kept of `earlier` ones of the same person. `hospitals`: who published which
    record.

    Raises CaseError `NO_DISCHARGE`, `NO_INVOICE`, `DOCUMENT_FORM`: such a case cannot be decided either.
    """
    discharge = _discharge_record(records)
    stay = _build_stay(discharge, person, hospitals, records)
    claim = _build_claim(claim_id, person, records, policies, hospitals, stay)
    own = ClaimRecords(
        claim=claim_id,
        claims=(claim,),
        stays=(stay,) if stay else (),
        invoices=_build_invoices(records, person, policies, hospitals),
        diagnoses=_build_diagnoses(discharge, person, claim.event_day),
        deaths=_build_deaths(person, stay),
    )
    before = [_of_person(item, person) for item in earlier if item.claim != claim_id]
    invoices = _joined(own.invoices, *(item.invoices for item in before))
    whole = ClaimRecords(
        claim=claim_id,
        claims=_joined(own.claims, *(item.claims for item in before)),
        policies=tuple(_build_policy(item, person, stay) for item in policies),
        stays=_joined(own.stays, *(item.stays for item in before)),
        invoices=_joined(invoices, _used_before(policies, person, invoices)),
        charges=_build_charges(records, stay),
        diagnoses=_joined(_history(policies, person), *(item.diagnoses for item in before)),
        deaths=_joined(own.deaths, *(item.deaths for item in before)),
    )
    return CaseFacts(whole, own, _missing(whole, stay, policies))


def _of_person(kept: ClaimRecords, person: str) -> ClaimRecords:
    """What was kept of an earlier claim under another pseudonym of the same person."""
    named = {
        name: tuple(replace(item, person=person) for item in getattr(kept, name))
        for name in ("claims", "stays", "invoices", "diagnoses", "deaths")
    }
    return ClaimRecords(claim=kept.claim, **named)


def _discharge_record(records: Iterable[Record]) -> Record:
    document = pick_discharge(records)
    return next(item for item in records if item.document is document)


def _build_stay(discharge: Record, person: str, hospitals: Mapping[str, str], records: Iterable[Record]) -> Stay | None:
    document = discharge.document
    told = document.get("stay")
    first, last = (told.get("admission_date"), told.get("discharge_date")) if isinstance(told, dict) else (None, None)
    if not isinstance(told, dict) or not is_date(first) or not is_date(last) or str(last) < str(first):
        return None
    half_days = told.get("half_days")
    admitted = _day(first) * DAY_MINUTES + (_minute(_admission_time(document, records)) or 0)
    discharged = _day(last) * DAY_MINUTES + (_minute(document.get("discharge_time")) or 0)
    disposition = document.get("disposition")
    return Stay(
        id=discharge.record_id,
        person=person,
        institution=hospitals.get(discharge.record_id, ""),
        inpatient_no=str(document.get("inpatient_no") or document.get("admission_no") or discharge.record_id),
        admitted_minute=admitted,
        discharged_minute=max(admitted, discharged),
        half_days=_count(half_days),
        level=str(told.get("institution_level") or ""),
        drg=str(document.get("drg") or ""),
        disposition=cast(Disposition, disposition if disposition in DISPOSITIONS else "other"),
    )


def _admission_time(discharge: Document, records: Iterable[Record]) -> Any:
    """The discharge's own word, else that of an admission record."""
    told = [discharge, *(item.document for item in records if item.record_type == "admission")]
    return next((item["admission_time"] for item in told if item.get("admission_time")), None)


def _build_claim(
    claim_id: str,
    person: str,
    records: Sequence[Record],
    policies: Sequence[PolicyInput],
    hospitals: Mapping[str, str],
    stay: Stay | None,
) -> ClaimFact:
    discharge = _discharge_record(records)
    document = discharge.document
    onset, icds = document.get("first_onset"), _icds(document)
    claimed = document.get("claimed_fen")
    totals = [item.document.get("total_fen") for item in pick_invoice_records(records)]
    return ClaimFact(
        id=claim_id,
        person=person,
        policies=tuple(item.policy_id for item in policies),
        institution=hospitals.get(discharge.record_id, ""),
        cause="accident" if document.get("cause") == "accident" else "illness",
        event_day=_day(event_date_of(records)),
        onset_day=_day(onset) if is_date(onset) else None,
        icd=icds[0] if icds else "",
        claimed_fen=_count(claimed) or sum(item for item in totals if _is_amount(item)),
        stay=stay.id if stay else None,
    )


def _build_invoices(
    records: Sequence[Record], person: str, policies: Sequence[PolicyInput], hospitals: Mapping[str, str]
) -> tuple[InvoiceFact, ...]:
    """One fact for each invoice and policy: the same key is looked for under one policy."""
    found = []
    for item in pick_invoice_records(records):
        bill = item.document
        dates = [bill.get(name) for name in ("visit_date", "discharge_date", "issue_date")]
        day = next((_day(date) for date in dates if is_date(date)), None)
        if day is None or not _is_amount(bill.get("total_fen")):
            continue
        for policy in policies:
            found.append(
                InvoiceFact(
                    id=f"{item.record_id}:{policy.policy_id}",
                    policy=policy.policy_id,
                    person=person,
                    institution=hospitals.get(item.record_id, ""),
                    type=cast(InvoiceType, bill.get("type") if bill.get("type") in INVOICE_TYPES else "inpatient"),
                    kind="red" if bill.get("kind") == "red" else "blue",
                    code=str(bill.get("code") or bill.get("issuer") or ""),
                    number=str(bill.get("number") or ""),
                    service_day=day,
                    total_fen=bill["total_fen"],
                    reverses=_reversed_key(bill),
                )
            )
    return tuple(found)


def _reversed_key(bill: Document) -> tuple[str, str] | None:
    key = bill.get("reverses")
    if not isinstance(key, dict):
        return None
    return str(key.get("code") or bill.get("issuer") or ""), str(key.get("number") or "")


def _used_before(policies: Sequence[PolicyInput], person: str, known: Sequence[InvoiceFact]) -> tuple[InvoiceFact, ...]:
    """Invoices that the account used and no earlier claim here explains: keys alone, alike with nothing else.

    An invoice of the claim itself stands in the account when it is decided again; its key is known then, and left out.
    """
    seen = {(item.policy, item.key) for item in known}
    found = []
    for policy in policies:
        use = policy.account.get("use")
        listed = use.get("used_invoices") if isinstance(use, dict) else None
        for number, key in enumerate(listed or ()):
            named = (str(key.get("code") or ""), str(key.get("number") or ""))
            if (policy.policy_id, named) in seen:
                continue
            name = f"account:{policy.policy_id}:{number}"
            found.append(InvoiceFact(name, policy.policy_id, person, name, "inpatient", "blue", *named, 0, 0, None))
    return tuple(found)


def _build_policy(item: PolicyInput, person: str, stay: Stay | None) -> PolicyFact:
    """`waiting_days` is the longest of the benefits for this kind of claim in any plan of the product."""
    applied = _minute_of(item.terms.get("applied_at"))
    benefits = [
        benefit
        for plan in item.tables.get("plans", {}).values()
        for benefit in plan.get("benefits", {}).values()
        if stay is None or not str(benefit.get("type", "")).startswith("outpatient")
    ]
    first = item.terms.get("first_effective")
    history = _entries(item.terms.get("history"))
    declared = [entry.get("icd") for entry in history if entry.get("declared")] + list(
        item.terms.get("disclosed") or ()
    )
    return PolicyFact(
        id=item.policy_id,
        person=person,
        applied_minute=applied if applied is not None else 0,
        first_effective_day=_day(first) if is_date(first) else 0,
        waiting_days=max((_count(one.get("waiting_days")) for one in benefits), default=0),
        benefit="allowance" if any(one.get("type") == "daily_allowance" for one in benefits) else "indemnity",
        disclosed=tuple(sorted({str(icd)[:3].upper() for icd in declared if _is_icd(icd)})),
        review_threshold_fen=_count(item.tables.get("review_threshold_fen")) or None,
    )


def _build_charges(records: Iterable[Record], stay: Stay | None) -> tuple[DailyCharge, ...]:
    """The daily list, if every line of it has its day and category; else none: half a list shows days without care."""
    found = []
    for item in records:
        lines = item.document.get("items") if item.record_type == "charges" else None
        for number, line in enumerate(_entries(lines)[:MAX_CHARGES]):
            date, category, amount = line.get("date"), line.get("category"), line.get("amount_fen")
            if stay is None or not is_date(date) or category not in CATEGORIES or not _is_amount(amount):
                return ()
            name = f"{item.record_id}:{number}"
            found.append(DailyCharge(name, stay.id, _day(date), cast(Category, category), amount))
    return tuple(found)


def _build_diagnoses(discharge: Record, person: str, day: int) -> tuple[DiagnosisFact, ...]:
    icds = enumerate(_icds(discharge.document))
    return tuple(DiagnosisFact(f"{discharge.record_id}:{number}", person, day, icd) for number, icd in icds)


def _history(policies: Sequence[PolicyInput], person: str) -> tuple[DiagnosisFact, ...]:
    """What the policies' own history says with a date."""
    return tuple(
        DiagnosisFact(f"{policy.policy_id}:history:{number}", person, _day(entry["date"]), str(entry["icd"]))
        for policy in policies
        for number, entry in enumerate(_entries(policy.terms.get("history")))
        if is_date(entry.get("date")) and _is_icd(entry.get("icd"))
    )


def _build_deaths(person: str, stay: Stay | None) -> tuple[DeathFact, ...]:
    if stay is None or stay.disposition != "death":
        return ()
    return (DeathFact(f"{stay.id}:death", person, stay.discharge_day),)


def _missing(records: ClaimRecords, stay: Stay | None, policies: Sequence[PolicyInput]) -> dict[Rule, str]:
    missing: dict[Rule, str] = {}
    if stay is not None and not records.charges:
        missing["RK09"] = "no daily list with days and categories"
    if stay is not None:
        missing["RK10"] = "no norm of the DRG"
    for policy in policies:
        told = policy.terms.get("applied_at")
        if _minute_of(told) is None:
            missing["RK12"] = "no day of application"
        elif stay is not None and _is_same_day(told, stay) and not _has_times(told, stay):
            missing["RK12"] = "applied on the day of admission, and not both times are known"
    return missing


def _is_same_day(applied_at: Any, stay: Stay) -> bool:
    return (_minute_of(applied_at) or 0) // DAY_MINUTES == stay.admission_day


def _has_times(applied_at: Any, stay: Stay) -> bool:
    return "T" in str(applied_at) and stay.admitted_minute % DAY_MINUTES > 0


def _icds(document: Document) -> list[str]:
    told = document.get("diagnoses")
    return [str(icd).upper() for icd in told if _is_icd(icd)] if isinstance(told, list) else []


def _entries(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list | tuple) else []


def _joined(*lists: tuple[T, ...]) -> tuple[T, ...]:
    """Every record once, by its id; the first one counts."""
    return tuple({item.id: item for items in reversed(lists) for item in items}.values())


def _day(date: Any) -> int:
    return day_number(str(date))


def _minute(time: Any) -> int | None:
    found = _TIME.fullmatch(time) if isinstance(time, str) else None
    return int(found[1]) * 60 + int(found[2]) if found else None


def _minute_of(moment: Any) -> int | None:
    """Minutes of a day, or of a day with a time; None for anything else."""
    date, mark, time = moment.partition("T") if isinstance(moment, str) else ("", "", "")
    if not is_date(date) or (mark and _minute(time) is None):
        return None
    return _day(date) * DAY_MINUTES + (_minute(time) or 0)


def _is_icd(value: Any) -> bool:
    return isinstance(value, str) and _ICD.match(value.upper()) is not None


def _is_amount(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _count(value: Any) -> int:
    return value if _is_amount(value) and value > 0 else 0
