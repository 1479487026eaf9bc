"""Requests for an assessment: one JSON document in, frozen records or one InputError out.

Knows the document's fields and bounds. Must not know a rule. Always true: an unknown field is a fault, since a
misspelt `onset` would otherwise be no onset; dates are text outside and day numbers inside; nothing of the document is
repeated in an error but where it is faulty.

    {"claim": id, "claims": [...], "policies": [...], "stays": [...], ...}        one claim, at its insurer
    {"institution": id, "pairs": [...], "cells": [...]}                           one hospital, at the commission
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, get_args

from msgspec import Struct

from contracts.calendar import day_number
from contracts.errors import InputError, pointer
from contracts.risk.records import (
    DAY_MINUTES,
    Category,
    ClaimFact,
    ClaimRecords,
    DailyCharge,
    DeathFact,
    DiagnosisFact,
    Disposition,
    DrgNorm,
    DrgPairCell,
    HospitalCell,
    HospitalCells,
    InvoiceFact,
    InvoiceType,
    PolicyFact,
    Stay,
)
from contracts.schema import (
    MAX_INTEGER,
    Field,
    Reader,
    choice,
    integer,
    list_of,
    read_date,
    read_record,
    read_text,
)

MAX_STAYS: Final = 500
"""Stays around one claim: one a week for ten years. Pairs of them are compared."""
MAX_RECORDS: Final = 5_000
"""Records of another kind: thirteen years of days."""
MAX_HALF_DAYS: Final = 2 * 36_600
"""A century."""

T = TypeVar("T", bound=Struct)

_MINUTE: Final = re.compile(r"(.{10})T([01][0-9]|2[0-3]):([0-5][0-9])")
_ICD: Final = re.compile(r"[A-Z][0-9][0-9A-Z].{0,20}")


def read_claim_records(value: Any) -> ClaimRecords:
    """The records around one claim. Raises InputError."""
    return ClaimRecords(**_closed(value, _CLAIM_RECORDS))


def read_hospital_cells(value: Any) -> HospitalCells:
    """The cells of one comparison. Raises InputError."""
    return HospitalCells(**_closed(value, _HOSPITAL_CELLS))


def read_request(value: Any) -> ClaimRecords | HospitalCells:
    """Whichever of the two the document is. Raises InputError `missing` for neither."""
    if not isinstance(value, dict):
        raise InputError("type", "", "expected an object")
    if "claim" in value:
        return read_claim_records(value)
    if "institution" in value:
        return read_hospital_cells(value)
    raise InputError("missing", "", 'name the "claim", or the "institution" of a comparison of hospitals')


def _closed(value: Any, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The record's fields under the names of the frozen record; unknown ones are faults."""
    if isinstance(value, dict):
        names = {field.name for field in fields.values()}
        unknown = next((name for name in value if name not in names), None)
        if unknown is not None:
            raise InputError("unknown_value", pointer("", unknown), "this record has no such field")
    read = read_record(value, tuple(fields.values()))
    return {inside: read[field.name] for inside, field in fields.items()}


def _record(kind: Callable[..., T], fields: Mapping[str, Field], check: Callable[[T], None] | None = None) -> Reader:
    def read(value: Any) -> T:
        record = kind(**_closed(value, fields))
        if check is not None:
            check(record)
        return record

    return read


def _tuple_of(reader: Reader, limit: int = MAX_RECORDS) -> Reader:
    read_list = list_of(reader, limit)
    return lambda value: tuple(read_list(value))


def _read_name(value: Any) -> str:
    name = read_text(value)
    if not name.strip() or not name.isprintable():
        raise InputError("unknown_value", "", "expected a name of printable characters")
    return name


def _read_day(value: Any) -> int:
    return day_number(read_date(value))


def _read_minute(value: Any) -> int:
    matched = _MINUTE.fullmatch(read_text(value))
    if matched is None:
        raise InputError("date", "", "expected a time of day, YYYY-MM-DDTHH:MM")
    day, hour, minute = matched.groups()
    return _read_day(day) * DAY_MINUTES + int(hour) * 60 + int(minute)


def _read_icd(value: Any) -> str:
    icd = read_text(value).upper()
    if _ICD.fullmatch(icd) is None:
        raise InputError("unknown_value", "", "expected an ICD-10 code")
    return icd


_read_level: Final = choice("0", "1", "2", "3")
_read_amount: Final = integer(0, MAX_INTEGER)
_read_count: Final = integer(0, 10**9)


def _read_key(value: Any) -> tuple[str, str]:
    key = _closed(value, {"code": Field("code", read_text, ""), "number": Field("number", _read_name)})
    return key["code"], key["number"]


def _check_stay(stay: Stay) -> None:
    if stay.discharged_minute < stay.admitted_minute:
        raise InputError("range", "/discharged_at", "before the admission")


def _check_pair(cell: DrgPairCell) -> None:
    if cell.heavy > cell.stays:
        raise InputError("range", "/heavy", "more than the cell's stays")


def _check_cell(cell: HospitalCell) -> None:
    if cell.readmissions > cell.stays:
        raise InputError("range", "/readmissions", "more than the cell's stays")
    if cell.self_funded_fen > cell.cost_fen:
        raise InputError("range", "/self_funded_fen", "more than the cell's cost")


def _fields(**readers: Field) -> dict[str, Field]:
    return readers


_ID: Final = Field("id", _read_name)
_PERSON: Final = Field("person", _read_name)
_INSTITUTION: Final = Field("institution", _read_name)

_CLAIM = _fields(
    id=_ID,
    person=_PERSON,
    policies=Field("policies", _tuple_of(_read_name, 100)),
    institution=_INSTITUTION,
    cause=Field("cause", choice("illness", "accident"), "illness"),
    event_day=Field("event", _read_day),
    onset_day=Field("onset", _read_day, None),
    icd=Field("icd", _read_icd),
    claimed_fen=Field("claimed_fen", _read_amount),
    stay=Field("stay", _read_name, None),
)
_POLICY = _fields(
    id=_ID,
    person=_PERSON,
    applied_minute=Field("applied_at", _read_minute),
    first_effective_day=Field("first_effective", _read_day),
    waiting_days=Field("waiting_days", integer(0, 36_600), 0),
    benefit=Field("benefit", choice("indemnity", "allowance")),
    disclosed=Field("disclosed", _tuple_of(_read_icd, 1_000), ()),
    review_threshold_fen=Field("review_threshold_fen", integer(1, MAX_INTEGER), None),
)
_STAY = _fields(
    id=_ID,
    person=_PERSON,
    institution=_INSTITUTION,
    inpatient_no=Field("inpatient_no", _read_name),
    admitted_minute=Field("admitted_at", _read_minute),
    discharged_minute=Field("discharged_at", _read_minute),
    half_days=Field("half_days", integer(0, MAX_HALF_DAYS)),
    level=Field("level", _read_level),
    drg=Field("drg", read_text, ""),
    disposition=Field("disposition", choice(*get_args(Disposition)), "other"),
)
_INVOICE = _fields(
    id=_ID,
    policy=Field("policy", _read_name),
    person=_PERSON,
    institution=_INSTITUTION,
    type=Field("type", choice(*get_args(InvoiceType))),
    kind=Field("kind", choice("blue", "red"), "blue"),
    code=Field("code", read_text, ""),
    number=Field("number", _read_name),
    service_day=Field("service_date", _read_day),
    total_fen=Field("total_fen", integer()),
    reverses=Field("reverses", _read_key, None),
)
_CHARGE = _fields(
    id=_ID,
    stay=Field("stay", _read_name),
    day=Field("date", _read_day),
    category=Field(
        "category",
        choice(*get_args(Category)),
    ),
    amount_fen=Field("amount_fen", integer()),
)
_DIAGNOSIS = _fields(id=_ID, person=_PERSON, day=Field("date", _read_day), icd=Field("icd", _read_icd))
_DEATH = _fields(id=_ID, person=_PERSON, day=Field("date", _read_day))
_NORM = _fields(
    id=_ID,
    version=Field("version", _read_name),
    drg=Field("drg", _read_name),
    level=Field("level", _read_level),
    cases=Field("cases", _read_count),
    median_half_days=Field("median_half_days", integer(1, MAX_HALF_DAYS)),
    p95_half_days=Field("p95_half_days", integer(1, MAX_HALF_DAYS)),
)
_PAIR = _fields(
    id=_ID,
    institution=_INSTITUTION,
    pair=Field("pair", _read_name),
    months=Field("months", integer(1, 1_200)),
    stays=Field("stays", _read_count),
    heavy=Field("heavy", _read_count),
)
_CELL = _fields(
    id=_ID,
    institution=_INSTITUTION,
    drg=Field("drg", _read_name),
    level=Field("level", _read_level),
    stays=Field("stays", _read_count),
    cost_fen=Field("cost_fen", _read_amount),
    self_funded_fen=Field("self_funded_fen", _read_amount),
    readmissions=Field("readmissions", _read_count),
    readmission_days=Field("readmission_days", integer(1, 3_660)),
)
_CLAIM_RECORDS = _fields(
    claim=Field("claim", _read_name),
    claims=Field("claims", _tuple_of(_record(ClaimFact, _CLAIM))),
    policies=Field("policies", _tuple_of(_record(PolicyFact, _POLICY)), ()),
    stays=Field("stays", _tuple_of(_record(Stay, _STAY, _check_stay), MAX_STAYS), ()),
    invoices=Field("invoices", _tuple_of(_record(InvoiceFact, _INVOICE)), ()),
    charges=Field("charges", _tuple_of(_record(DailyCharge, _CHARGE)), ()),
    diagnoses=Field("diagnoses", _tuple_of(_record(DiagnosisFact, _DIAGNOSIS)), ()),
    deaths=Field("deaths", _tuple_of(_record(DeathFact, _DEATH)), ()),
    norms=Field("norms", _tuple_of(_record(DrgNorm, _NORM)), ()),
)
_HOSPITAL_CELLS = _fields(
    institution=_INSTITUTION,
    pairs=Field("pairs", _tuple_of(_record(DrgPairCell, _PAIR, _check_pair)), ()),
    cells=Field("cells", _tuple_of(_record(HospitalCell, _CELL, _check_cell)), ()),
)
