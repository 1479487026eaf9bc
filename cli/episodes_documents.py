"""The documents of one invented stay, as a hospital writes them: admission, discharge, e-invoice, charge list.

Knows field names and the identities that a fiscal medical e-invoice must satisfy. Must not know episodes or the
network. Always true: an invoice built here has no violation of the validation rules, for any amounts handed in
with 0 <= pooled fund + self-funded <= total.
"""

from collections.abc import Sequence
from typing import Any, Final

REGION_CODE: Final = "33060121"
INSTITUTION: Final = {"name": "杭州市第一医院", "type": "综合医院", "level": "3"}
PLACE: Final = "CN-33"
OWN_ACCOUNT_PERCENT: Final = 15
"""Share of the patient's part that the personal medical account pays; the rest is cash."""
CLASS_B_PERCENT: Final = 30
NURSING_FEN: Final = 3_000

Patient = dict[str, str]
Illness = tuple[str, str, str]
"""ICD-10 code, name, department."""


def build_admission(patient: Patient, number: int, admission_date: str, illness: Illness) -> dict[str, Any]:
    """What the hospital knows when the patient comes in."""
    return {
        "patient": dict(patient),
        "admission_date": admission_date,
        "admission_no": _stay_number(number),
        "department": illness[2],
        "institution": dict(INSTITUTION),
        "provisional_diagnosis": illness[0],
    }


def build_discharge(
    patient: Patient,
    number: int,
    admission_date: str,
    discharge_date: str,
    illness: Illness,
    invoices: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """The discharge summary, as far as claims need it; it lists the invoices of the stay."""
    return {
        "patient": dict(patient),
        "admission_no": _stay_number(number),
        "cause": "accident" if illness[0].startswith(("S", "T")) else "illness",
        "diagnoses": [illness[0]],
        "diagnosis_names": [illness[1]],
        "first_onset": None,
        "diagnosis_date": None,
        "stay": {
            "admission_date": admission_date,
            "discharge_date": discharge_date,
            "half_days": None,
            "institution_level": INSTITUTION["level"],
        },
        "institution": dict(INSTITUTION),
        "invoice_count": len(invoices),
        "invoice_numbers": [invoice["number"] for invoice in invoices],
    }


def build_invoice(
    *,
    number: int,
    patient: Patient,
    admission_date: str,
    discharge_date: str,
    total_fen: int,
    pooled_fund_fen: int,
    self_funded_fen: int,
) -> dict[str, Any]:
    """A fiscal in-patient e-invoice whose amounts satisfy both identities and the sum of its items."""
    own_part = total_fen - pooled_fund_fen
    account = own_part * OWN_ACCOUNT_PERCENT // 100
    self_pay = own_part - self_funded_fen
    return {
        "type": "inpatient",
        "kind": "blue",
        "code": REGION_CODE,
        "number": f"{number:010d}",
        "check_code": f"{(number * 7919) % 16**6:06x}",
        "issue_date": discharge_date,
        "visit_date": None,
        "admission_date": admission_date,
        "discharge_date": discharge_date,
        "inpatient_no": _stay_number(number),
        "institution_name": INSTITUTION["name"],
        "institution_type": INSTITUTION["type"],
        "institution_level": INSTITUTION["level"],
        "payer_name": patient["name"],
        "insurance_type": "employee",
        "insurance_no": f"33{number:08d}",
        "payment_mode": "item",
        "region": PLACE,
        "total_fen": total_fen,
        "pooled_fund_fen": pooled_fund_fen,
        "other_payment_fen": 0,
        "account_own_fen": account,
        "account_mutual_fen": 0,
        "cash_fen": own_part - account,
        "self_pay_fen": self_pay,
        "class_copay_fen": self_pay // 10,
        "self_funded_fen": self_funded_fen,
        "items": build_items(total_fen, self_funded_fen),
        "reverses": None,
    }


def build_items(total_fen: int, self_funded_fen: int) -> list[dict[str, Any]]:
    """Lines that sum to the total: class C is the self-funded part, a share of the rest is class B."""
    insured = total_fen - self_funded_fen
    class_b = insured * CLASS_B_PERCENT // 100
    lines = [
        ("床位费", "CW", "A", 0, insured - class_b - NURSING_FEN),
        ("护理费", "HL", "A", 0, NURSING_FEN),
        ("西药费", "XY", "B", 1_000, class_b),
        ("自费材料", "ZF", "C", 10_000, self_funded_fen),
    ]
    return [
        {
            "name": name,
            "code": code,
            "class": kind,
            "self_ratio_bp": ratio,
            "amount_fen": amount,
            "difference": False,
        }
        for name, code, kind, ratio, amount in lines
    ]


def build_charges(patient: Patient, number: int, invoices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The itemised list behind the invoices of the stay."""
    return {
        "patient": dict(patient),
        "admission_no": _stay_number(number),
        "items": [item for invoice in invoices for item in invoice["items"]],
    }


def _stay_number(number: int) -> str:
    return f"ZY{number:08d}"
