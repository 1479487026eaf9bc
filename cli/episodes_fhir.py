"""Episodes from a folder of FHIR R4 NDJSON: each in-patient stay becomes one, with a hospital's documents.

Knows how a foreign bill is written as evidence and which product such stays are insured under. The bills are no
Chinese fiscal e-invoices: their evidence profile is `foreign-invoice`. What a bill's lines leave of its total is one
line `unitemised`. Always true: no stay is dropped; one that cannot become a claim says why (`not_reported`), and the
currency is the source's own.

The supplementary product that stays are insured under: 80 % of what the public payer left, above 100.00 a case, bills
over 5,000.00 to a reviewer, dental admissions excluded. For private payers nothing was paid before.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from cli.episodes import Episode, EpisodePolicy, Skipped
from contracts.product import read_product
from node.interop.fhir_folder import Bill, Folder, Stay, read_folder

PROFILE: Final = "foreign-invoice"
RATIO_BP: Final = 8_000
DEDUCTIBLE_MINOR: Final = 10_000
REVIEW_THRESHOLD_MINOR: Final = 500_000
DENTAL_CODES: Final = ("SCT-196416002", "SCT-65546002")
"""Impacted molars, extraction of wisdom tooth (SNOMED CT)."""
HOSPITAL_LEVEL: Final = "3"
PLAN: Final = "STD"


class FhirEpisodes:
    """The source behind `claimnode demo --data DIR`. Reading raises FolderError."""

    def __init__(self, folder: Path) -> None:
        self._folder: Folder = read_folder(folder)

    def episodes(self) -> Iterator[Episode]:
        """Stays by admission date, then id."""
        for number, stay in enumerate(self._folder.stays, start=1):
            yield build_episode(number, stay)

    def skipped(self) -> tuple[Skipped, ...]:
        """Lines that are no resource; other Encounters are no stays and are not listed one by one."""
        return tuple(Skipped(id=f"{file}:{line}", reason=code) for file, line, code in self._folder.faults)


def build_episode(number: int, stay: Stay) -> Episode:
    """One stay. Without a payer, or unfinished, it is never reported and says why."""
    reason = stay.reason or (None if stay.insured else "NOT_INSURED")
    patient = {"name": stay.patient_name or "unnamed", "id_number": stay.patient_identifier or stay.patient_id}
    invoices = () if reason else tuple(_invoice(stay, bill) for bill in stay.bills)
    currency = stay.bills[0].currency if stay.bills else "XXX"
    return Episode(
        id=f"F{number:04d}",
        label=f"{stay.payer or 'no payer'}, {stay.diagnoses[0] if stay.diagnoses else 'no diagnosis'}",
        patient=patient,
        policies=() if reason else (_policy(number, stay, currency),),
        admission=_admission(stay, patient),
        discharge=_discharge(stay, patient, invoices),
        invoices=invoices,
        charges=(),
        expected=None,
        currency=currency,
        not_reported=reason,
    )


def _policy(number: int, stay: Stay, currency: str) -> EpisodePolicy:
    first, last = int(stay.admission_date[:4]) - 2, int((stay.discharge_date or stay.admission_date)[:4]) + 1
    periods = [
        {"id": str(year), "start": f"{year:04d}-01-01", "end": f"{year:04d}-12-31", "plan": PLAN}
        for year in range(first, last + 1)
    ]
    terms = {
        "policy_no": f"FH-{number:06d}",
        "insurer": "insurer",
        "relation": "employee",
        "first_effective": f"{first:04d}-01-01",
        "periods": periods,
        "history": [],
        "excluded_icd_prefixes": [],
        "currency": currency,
    }
    return EpisodePolicy(insurer="insurer", terms=terms, product=build_product())


def build_product() -> dict[str, Any]:
    """Tables with every default filled in, as a release has them: `products/fhir-supplement`."""
    benefit = {
        "type": "inpatient_expense",
        "scope": "all",
        "ratios": [{"ratio_bp": RATIO_BP}],
        "deductible": {"type": "per_case", "amount_fen": DEDUCTIBLE_MINOR},
        "waiting_days": 30,
        "per_visit_limit_fen": None,
        "annual_limit_fen": None,
        "lifetime_limit_fen": None,
    }
    tables: dict[str, Any] = {
        "product_code": "FHIR-SUPPLEMENT",
        "pre_existing": "cover",
        "excluded_icd_prefixes": list(DENTAL_CODES),
        "review_threshold_fen": REVIEW_THRESHOLD_MINOR,
        "run_off_days": 0,
        "benefit_order": ["IP"],
        "plans": {PLAN: {"annual_limit_fen": None, "covered_hospital_levels": None, "benefits": {"IP": benefit}}},
    }
    return read_product(tables)


def _institution(stay: Stay) -> dict[str, Any]:
    return {"name": stay.hospital_name or stay.hospital_id or "unnamed", "type": "hospital", "level": HOSPITAL_LEVEL}


def _admission(stay: Stay, patient: dict[str, str]) -> dict[str, Any]:
    return {
        "patient": dict(patient),
        "admission_date": stay.admission_date,
        "admission_no": stay.encounter_id,
        "department": "unstated",
        "institution": _institution(stay),
        "provisional_diagnosis": stay.diagnoses[0] if stay.diagnoses else None,
    }


def _discharge(stay: Stay, patient: dict[str, str], invoices: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return {
        "patient": dict(patient),
        "admission_no": stay.encounter_id,
        "cause": "illness",
        "diagnoses": list(stay.diagnoses),
        "first_onset": None,
        "diagnosis_date": None,
        "procedures": list(stay.procedures),
        "stay": {
            "admission_date": stay.admission_date,
            "discharge_date": stay.discharge_date,
            "half_days": stay.half_days,
            "institution_level": HOSPITAL_LEVEL,
        },
        "institution": _institution(stay),
        "invoice_count": len(invoices),
        "invoice_numbers": [invoice["number"] for invoice in invoices],
    }


def _invoice(stay: Stay, bill: Bill) -> dict[str, Any]:
    """A pharmacy bill of a stay is an invoice of its own (type `vat`, on prescription), never a duplicate."""
    issued = max(bill.created or stay.admission_date, stay.discharge_date or stay.admission_date)
    public = stay.public and not bill.pharmacy
    invoice = {
        "profile": PROFILE,
        "type": "vat" if bill.pharmacy else "inpatient",
        "kind": "blue",
        "code": "",
        "number": bill.claim_id,
        "issuer": stay.hospital_id or "unstated",
        "issue_date": issued,
        "admission_date": stay.admission_date,
        "discharge_date": stay.discharge_date,
        "institution_name": stay.hospital_name or stay.hospital_id or "unnamed",
        "institution_level": HOSPITAL_LEVEL,
        "currency": bill.currency,
        "total_fen": bill.total,
        "pooled_fund_fen": min(bill.paid_public, bill.total) if public else 0,
        "insurance_type": "other" if public else "self_pay",
        "items": _items(bill),
        "reverses": None,
    }
    return invoice | ({"prescription": True} if bill.pharmacy else {})


def _items(bill: Bill) -> list[dict[str, Any]]:
    items = [{"name": code or "unstated", "amount_fen": amount} for code, amount in bill.lines]
    rest = bill.total - sum(amount for _, amount in bill.lines)
    return [*items, {"name": "unitemised", "amount_fen": rest}] if rest > 0 else items
