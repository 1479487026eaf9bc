"""Reading a folder of FHIR R4 NDJSON as hospital stays (bulk-export layout: one resource a line).

Knows the shape of Encounter, Claim, ExplanationOfBenefit, Patient, Organization, Condition and Procedure as far as a
stay needs them, and nothing of the ledger. Imported data has an open schema: unknown fields and resource types are
passed over, a line that is no resource is counted and named, never fatal.

Rules that are written down because sources differ:
* A stay is a finished in-patient Encounter (class IMP, ACUTE or NONAC) with start and end. Others are listed apart.
* Dates are those of the text itself (its own offset); half days are whole twelve-hour spans, at least one.
* Money is read as exact decimal text and rounded half up once to the currency's minor unit; no float is made.
* A Claim belongs to the Encounter that its items name. `use` other than `claim` and status `cancelled`,
  `draft` or `entered-in-error` are passed over. The same Claim.id twice is one claim.
* A Claim with a prescription or of type `pharmacy` is a pharmacy bill of its own, not a duplicate of the stay's bill,
  also when patient, start and amount agree.
* The payer is the focal coverage's display, else its reference. `no_insurance` (also `self-pay`, `none`) is no payer.
* Diagnoses are the reasons of the Encounter, the diagnoses of Encounter and Claims, and the Conditions that name it;
  without any, the type of the Encounter (what it was for).
* Where an Encounter has no Claim, an ExplanationOfBenefit stands for the bill itself, with its submitted total.
* What a public payer covered is the ExplanationOfBenefit's payment amount for that Claim.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from msgspec import Struct

from ledger.encoding import check_nesting
from ledger.errors import DecodeError

MAX_LINE_BYTES = 4 * 2**20
"""One resource; a large ExplanationOfBenefit is about 200 kB."""
MAX_DEPTH = 64
"""Nesting of one resource; FHIR R4 resources need a dozen."""
MAX_RESOURCES = 2_000_000
"""Resources of one folder held in memory."""
INPATIENT_CLASSES = frozenset({"IMP", "ACUTE", "NONAC"})
DEAD_CLAIM_STATUSES = frozenset({"cancelled", "draft", "entered-in-error"})
NO_PAYER = frozenset({"", "no_insurance", "no insurance", "self-pay", "self_pay", "none", "uninsured"})
PUBLIC_PAYERS = frozenset({"medicare", "medicaid", "dual_eligible", "dual eligible"})
ZERO_DECIMAL_CURRENCIES = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND"}
)
READ_TYPES = ("Encounter", "Claim", "ExplanationOfBenefit", "Patient", "Organization", "Condition", "Procedure")
UNKNOWN_CURRENCY = "XXX"
"""ISO 4217 for "no currency": an amount whose currency the source does not state is not given one here."""
HALF_DAY_SECONDS = 12 * 3600


class FolderError(Exception):
    """The folder cannot be read at all. `code` is `not_a_folder`, `no_encounters` or `too_large`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Bill(Struct, frozen=True):
    """One FHIR Claim of a stay. Amounts in minor units of `currency`; `paid_public` from its EOB, 0 if none."""

    claim_id: str
    pharmacy: bool
    created: str
    currency: str
    total: int
    paid_public: int
    payer: str
    lines: tuple[tuple[str, int], ...]


class Stay(Struct, frozen=True):
    """One in-patient Encounter with its bills. `reason` says why it cannot become a claim, null if it can."""

    encounter_id: str
    patient_id: str
    patient_name: str
    patient_identifier: str
    hospital_id: str
    hospital_name: str
    admission_date: str
    discharge_date: str | None
    half_days: int | None
    diagnoses: tuple[str, ...]
    procedures: tuple[str, ...]
    bills: tuple[Bill, ...]
    reason: str | None

    @property
    def payer(self) -> str:
        """Payer of the stay's own bill, else of the first; empty if nobody is named."""
        hospital = [bill for bill in self.bills if not bill.pharmacy]
        return (hospital or list(self.bills))[0].payer if self.bills else ""

    @property
    def insured(self) -> bool:
        """False for payers that stand for having none: such a stay is never reported."""
        return self.payer.lower() not in NO_PAYER

    @property
    def public(self) -> bool:
        """True where the payer on the bill is public insurance."""
        return self.payer.lower() in PUBLIC_PAYERS


class Folder(Struct, frozen=True):
    """Everything read. `faults` names lines that are no resource: (file, line number, code)."""

    stays: tuple[Stay, ...]
    passed_over: int
    faults: tuple[tuple[str, int, str], ...]


def read_folder(folder: Path) -> Folder:
    """All stays of a folder, ordered by admission, then Encounter id. Raises FolderError."""
    if not folder.is_dir():
        raise FolderError("not_a_folder", f"{folder} is no folder of FHIR NDJSON files")
    faults: list[tuple[str, int, str]] = []
    resources: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in READ_TYPES}
    for count, resource in enumerate(_read_resources(folder, faults)):
        if count >= MAX_RESOURCES:
            raise FolderError("too_large", f"more than {MAX_RESOURCES} resources; split the folder")
        resources[resource["resourceType"]].setdefault(resource["id"], resource)
    encounters = resources["Encounter"]
    if not encounters:
        raise FolderError("no_encounters", f"{folder} holds no Encounter; expected a file such as Encounter.ndjson")
    index = _Index(resources)
    inpatient = [item for item in encounters.values() if _class_code(item) in INPATIENT_CLASSES]
    stays = sorted((index.stay(item) for item in inpatient), key=lambda stay: (stay.admission_date, stay.encounter_id))
    return Folder(stays=tuple(stays), passed_over=len(encounters) - len(inpatient), faults=tuple(faults))


def _read_resources(folder: Path, faults: list[tuple[str, int, str]]) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.ndjson")):
        with path.open("rb") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MAX_LINE_BYTES + 1), b""), start=1):
                if not line.strip():
                    continue
                resource, fault = _read_line(line)
                if fault:
                    faults.append((path.name, number, fault))
                elif resource is not None:
                    yield resource


def _read_line(line: bytes) -> tuple[dict[str, Any] | None, str | None]:
    if len(line) > MAX_LINE_BYTES:
        return None, "line_too_long"
    try:
        check_nesting(line, MAX_DEPTH)
        value = json.loads(line, parse_float=Decimal)
    except (ValueError, DecodeError):
        return None, "json"
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        return None, "no_resource"
    if value["resourceType"] not in READ_TYPES:
        return None, None
    if not isinstance(value.get("id"), str) or not value["id"]:
        return None, "no_id"
    return value, None


class _Index:
    """Resources by what refers to them."""

    def __init__(self, resources: dict[str, dict[str, dict[str, Any]]]) -> None:
        self._resources = resources
        explained = _group(_claims_of_explanations(resources), _claim_encounters)
        self._claims = explained | _group(resources["Claim"], _claim_encounters)
        self._conditions = _group(resources["Condition"], lambda item: [_reference(item.get("encounter"))])
        self._procedures = _group(resources["Procedure"], lambda item: [_reference(item.get("encounter"))])
        self._explanations = {
            _explained_bill(item, resources): item for item in resources["ExplanationOfBenefit"].values()
        }

    def stay(self, encounter: dict[str, Any]) -> Stay:
        """One Encounter with all that belongs to it."""
        key = encounter["id"]
        period = _object(encounter.get("period"))
        start, end = _text(period.get("start")), _text(period.get("end"))
        patient_id = _reference(encounter.get("subject"))
        hospital_id = _reference(encounter.get("serviceProvider"))
        patient = self._resources["Patient"].get(patient_id, {})
        hospital = self._resources["Organization"].get(hospital_id, {})
        bills = sorted(
            (self._bill(item) for item in self._claims.get(key, [])), key=lambda bill: (bill.pharmacy, bill.claim_id)
        )
        return Stay(
            encounter_id=key,
            patient_id=patient_id,
            patient_name=_human_name(patient),
            patient_identifier=_identifier(patient),
            hospital_id=hospital_id,
            hospital_name=_text(hospital.get("name")),
            admission_date=start[:10],
            discharge_date=end[:10] or None,
            half_days=_half_days(start, end),
            diagnoses=self._diagnoses(encounter),
            procedures=_unique([_code(item.get("code")) for item in self._procedures.get(key, [])]),
            bills=tuple(bills),
            reason=_why_not(encounter, start, end, bills),
        )

    def _diagnoses(self, encounter: dict[str, Any]) -> tuple[str, ...]:
        """Codes in the order of how directly the source says them; what the stay was for, if nothing else is said."""
        claims = self._claims.get(encounter["id"], [])
        listed = [
            _object(item.get("diagnosisCodeableConcept"))
            for claim in claims
            for item in _objects(claim.get("diagnosis"))
        ]
        named = [_reference(item.get("condition")) for item in _objects(encounter.get("diagnosis"))]
        named += [
            _reference(item.get("diagnosisReference")) for claim in claims for item in _objects(claim.get("diagnosis"))
        ]
        conditions = [self._resources["Condition"][key] for key in named if key in self._resources["Condition"]]
        conditions += self._conditions.get(encounter["id"], [])
        codes = _codes(encounter.get("reasonCode")) + [_code(item) for item in listed]
        codes += [_code(item.get("code")) for item in conditions]
        return _unique(codes) or _unique(_codes(encounter.get("type")))

    def _bill(self, claim: dict[str, Any]) -> Bill:
        total, currency = _money(claim.get("total"))
        lines = tuple(
            (_code(item.get("productOrService")), _money(item.get("net"))[0])
            for item in _objects(claim.get("item"))
            if item.get("net") is not None
        )
        if total is None:
            total = sum(amount or 0 for _, amount in lines)
            currency = next((_money(item.get("net"))[1] for item in _objects(claim.get("item"))), currency)
        explanation = self._explanations.get(claim["id"], {})
        paid, _ = _money(_object(explanation.get("payment")).get("amount"))
        created = _text(claim.get("created")) or _text(_object(claim.get("billablePeriod")).get("end"))
        return Bill(
            claim_id=claim["id"],
            pharmacy=bool(claim.get("prescription")) or "pharmacy" in _codes([claim.get("type")]),
            created=created[:10],
            currency=currency,
            total=total,
            paid_public=paid or 0,
            payer=_payer(claim),
            lines=tuple((code, amount or 0) for code, amount in lines),
        )


def _explained_bill(explanation: dict[str, Any], resources: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The Claim that an ExplanationOfBenefit belongs to, or itself where the source has no such Claim."""
    claim = _reference(explanation.get("claim"))
    return claim if claim in resources["Claim"] else str(explanation["id"])


def _claims_of_explanations(resources: dict[str, dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """A source that explains bills without giving them: the explanation's submitted total stands for the bill."""
    found = {}
    for key, item in resources["ExplanationOfBenefit"].items():
        if _explained_bill(item, resources) == key:
            totals = _objects(item.get("total"))
            submitted = [total for total in totals if "submitted" in _codes([total.get("category")])]
            found[key] = {**item, "total": (submitted or totals or [{}])[0].get("amount")}
    return found


def _group(resources: dict[str, dict[str, Any]], keys: Any) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for item in resources.values():
        for key in keys(item):
            if key:
                grouped.setdefault(key, []).append(item)
    return grouped


def _claim_encounters(claim: dict[str, Any]) -> list[str]:
    if claim.get("use", "claim") != "claim" or _text(claim.get("status")) in DEAD_CLAIM_STATUSES:
        return []
    found = {
        _reference(reference) for item in _objects(claim.get("item")) for reference in _objects(item.get("encounter"))
    }
    return sorted(found)


def _why_not(encounter: dict[str, Any], start: str, end: str, bills: list[Bill]) -> str | None:
    if not _is_date(start):
        return "NO_ADMISSION_DATE"
    if encounter.get("status") != "finished" or not _is_date(end):
        return "NOT_DISCHARGED"
    if end[:10] < start[:10]:
        return "DISCHARGE_BEFORE_ADMISSION"
    if not any(not bill.pharmacy for bill in bills):
        return "NO_INVOICE"
    if len({bill.currency for bill in bills}) > 1:
        return "MIXED_CURRENCIES"
    if any(bill.total < 0 for bill in bills):
        return "NEGATIVE_AMOUNT"
    return None


def _money(value: Any) -> tuple[int | None, str]:
    """(minor units, currency) of a FHIR Money; (None, currency) where there is no amount."""
    money = _object(value)
    currency = _text(money.get("currency")) or UNKNOWN_CURRENCY
    amount = money.get("value")
    if amount is None or isinstance(amount, bool):
        return None, currency
    try:
        exact = Decimal(amount) if isinstance(amount, (int, Decimal)) else Decimal(str(amount))
    except InvalidOperation:
        return None, currency
    places = 0 if currency in ZERO_DECIMAL_CURRENCIES else 2
    if not exact.is_finite() or abs(exact) >= Decimal(10) ** 13:
        return None, currency
    return int(exact.scaleb(places).quantize(Decimal(1), rounding=ROUND_HALF_UP)), currency


def _half_days(start: str, end: str) -> int | None:
    try:
        spent = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    except (ValueError, TypeError):
        return None
    if "T" not in start or "T" not in end:
        return None
    return max(1, int(spent.total_seconds()) // HALF_DAY_SECONDS)


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text[:10])
    except ValueError:
        return False
    return len(text) >= 10


def _payer(claim: dict[str, Any]) -> str:
    insurances = _objects(claim.get("insurance"))
    focal = [item for item in insurances if item.get("focal") is True] or insurances
    if not focal:
        return ""
    coverage = _object(focal[0].get("coverage"))
    return _text(coverage.get("display")) or _reference(coverage)


def _reference(value: Any) -> str:
    """The id at the end of `Type/id`, `urn:uuid:id` or a URL; empty if there is none."""
    text = _text(_object(value).get("reference"))
    return text.rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def _class_code(encounter: dict[str, Any]) -> str:
    return _text(_object(encounter.get("class")).get("code"))


def _codes(concepts: Any) -> list[str]:
    return [_code(concept) for concept in _objects(concepts)]


def _code(concept: Any) -> str:
    """The first code of a CodeableConcept, SNOMED codes marked as such; else its text; else empty."""
    holder = _object(concept)
    for coding in _objects(holder.get("coding")):
        code = _text(coding.get("code"))
        if code:
            return f"SCT-{code}" if "snomed" in _text(coding.get("system")) else code
    return _text(holder.get("text"))


def _human_name(patient: dict[str, Any]) -> str:
    for name in _objects(patient.get("name")):
        given = name.get("given")
        parts = [*(given if isinstance(given, list) else []), name.get("family")]
        return " ".join(_text(part) for part in parts if _text(part)) or _text(name.get("text"))
    return ""


def _identifier(patient: dict[str, Any]) -> str:
    values = [_text(item.get("value")) for item in _objects(patient.get("identifier"))]
    return next((value for value in values if value), "")


def _unique(values: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
