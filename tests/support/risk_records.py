"""Records for the risk rules: builders with every field set to something that hits nothing, and two whole documents."""

from typing import Any

from contracts.calendar import day_number
from contracts.risk.records import (
    DAY_MINUTES,
    ClaimFact,
    ClaimRecords,
    DailyCharge,
    DiagnosisFact,
    DrgNorm,
    DrgPairCell,
    HospitalCell,
    InvoiceFact,
    PolicyFact,
    Stay,
)

DAY = day_number("2022-02-14")


def minute(day: int, hour: int = 9) -> int:
    return day * DAY_MINUTES + hour * 60


def claim(name: str = "c1", **changes: Any) -> ClaimFact:
    fields: dict[str, Any] = {
        "id": name,
        "person": "p",
        "policies": ("pol",),
        "institution": "h1",
        "cause": "illness",
        "event_day": DAY,
        "onset_day": None,
        "icd": "C50.900",
        "claimed_fen": 100_000,
        "stay": None,
    }
    return ClaimFact(**fields | changes)


def policy(name: str = "pol", **changes: Any) -> PolicyFact:
    fields: dict[str, Any] = {
        "id": name,
        "person": "p",
        "applied_minute": minute(DAY - 402),
        "first_effective_day": DAY - 400,
        "waiting_days": 30,
        "benefit": "indemnity",
        "disclosed": (),
        "review_threshold_fen": None,
    }
    return PolicyFact(**fields | changes)


def stay(name: str = "s1", first: int = DAY, last: int = DAY + 5, **changes: Any) -> Stay:
    fields: dict[str, Any] = {
        "id": name,
        "person": "p",
        "institution": "h1",
        "inpatient_no": name,
        "admitted_minute": minute(first),
        "discharged_minute": minute(last, 11),
        "half_days": 2 * (last - first),
        "level": "3",
        "drg": "JA1",
        "disposition": "recovered",
    }
    return Stay(**fields | changes)


def bill(name: str, **changes: Any) -> InvoiceFact:
    fields: dict[str, Any] = {
        "id": name,
        "policy": "pol",
        "person": "p",
        "institution": "h1",
        "type": "outpatient",
        "kind": "blue",
        "code": "45060122",
        "number": name,
        "service_day": DAY,
        "total_fen": 10_000,
        "reverses": None,
    }
    return InvoiceFact(**fields | changes)


def charge(name: str, day: int, category: str, amount_fen: int = 5_000, of: str = "s1") -> DailyCharge:
    return DailyCharge(name, of, day, category, amount_fen)  # type: ignore[arg-type]


def diagnosis(name: str, day: int, icd: str, person: str = "p") -> DiagnosisFact:
    return DiagnosisFact(name, person, day, icd)


def norm(**changes: Any) -> DrgNorm:
    fields: dict[str, Any] = {
        "id": "n1",
        "version": "2021",
        "drg": "JA1",
        "level": "3",
        "cases": 20,
        "median_half_days": 12,
        "p95_half_days": 30,
    }
    return DrgNorm(**fields | changes)


def pair(institution: str, heavy: int, stays: int, **changes: Any) -> DrgPairCell:
    return DrgPairCell(
        f"pair-{institution}", institution, changes.pop("pair", "JA"), changes.pop("months", 12), stays, heavy
    )


def cell(institution: str, **changes: Any) -> HospitalCell:
    fields: dict[str, Any] = {
        "id": f"cell-{institution}",
        "institution": institution,
        "drg": "JA1",
        "level": "3",
        "stays": 20,
        "cost_fen": 20_000_000,
        "self_funded_fen": 2_000_000,
        "readmissions": 1,
        "readmission_days": 15,
    }
    return HospitalCell(**fields | changes)


def records(**lists: Any) -> ClaimRecords:
    given: dict[str, Any] = {"claim": "c1", "claims": (claim(),), "policies": (policy(),)}
    return ClaimRecords(**given | lists)


def claim_document() -> dict[str, Any]:
    """A request as it comes from outside, with one record of each kind."""
    return {
        "claim": "c1",
        "claims": [
            {
                "id": "c1",
                "person": "p",
                "policies": ["pol"],
                "institution": "h1",
                "cause": "illness",
                "event": "2022-02-14",
                "onset": "2022-02-01",
                "icd": "C50.900",
                "claimed_fen": 100000,
                "stay": "s1",
            }
        ],
        "policies": [
            {
                "id": "pol",
                "person": "p",
                "applied_at": "2021-01-01T10:00",
                "first_effective": "2021-01-03",
                "waiting_days": 30,
                "benefit": "allowance",
                "disclosed": ["I10"],
                "review_threshold_fen": 600000,
            }
        ],
        "stays": [
            {
                "id": "s1",
                "person": "p",
                "institution": "h1",
                "inpatient_no": "77",
                "admitted_at": "2022-02-14T09:30",
                "discharged_at": "2022-02-19T11:00",
                "half_days": 10,
                "level": "3",
                "drg": "JA1",
                "disposition": "improved",
            }
        ],
        "invoices": [
            {
                "id": "i1",
                "policy": "pol",
                "person": "p",
                "institution": "h1",
                "type": "outpatient",
                "kind": "red",
                "code": "45060122",
                "number": "0000000002",
                "service_date": "2022-02-10",
                "total_fen": -500,
                "reverses": {"code": "45060122", "number": "0000000001"},
            }
        ],
        "charges": [{"id": "d1", "stay": "s1", "date": "2022-02-14", "category": "nursing", "amount_fen": 3000}],
        "diagnoses": [{"id": "x1", "person": "p", "date": "2020-09-01", "icd": "N63.x00"}],
        "deaths": [{"id": "t1", "person": "other", "date": "2020-09-01"}],
        "norms": [
            {
                "id": "n1",
                "version": "2021",
                "drg": "JA1",
                "level": "3",
                "cases": 20,
                "median_half_days": 12,
                "p95_half_days": 30,
            }
        ],
    }


def hospital_document() -> dict[str, Any]:
    """A comparison as it comes from outside."""
    names = ("h0", "h1", "h2", "h3")
    return {
        "institution": "h0",
        "pairs": [
            {"id": f"p-{name}", "institution": name, "pair": "JA", "months": 12, "stays": 20, "heavy": 5}
            for name in names
        ],
        "cells": [
            {
                "id": f"c-{name}",
                "institution": name,
                "drg": "JA1",
                "level": "3",
                "stays": 20,
                "cost_fen": 20000000 + index,
                "self_funded_fen": 100,
                "readmissions": 1,
                "readmission_days": 15,
            }
            for index, name in enumerate(names)
        ],
    }
