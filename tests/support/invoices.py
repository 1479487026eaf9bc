"""Three sound invoices, to be broken in one place by each test."""

import copy
from typing import Any

OUTPATIENT: dict[str, Any] = {
    "type": "outpatient",
    "kind": "blue",
    "code": "11010121",
    "number": "0012345678",
    "check_code": "a1B2c3",
    "issue_date": "2022-02-28",
    "visit_date": "2022-02-27",
    "institution_name": "测试医院",
    "institution_type": "综合医院",
    "institution_level": "3",
    "payer_name": "测试甲",
    "insurance_type": "employee",
    "insurance_no": "T-1",
    "total_fen": 50000,
    "pooled_fund_fen": 20000,
    "other_payment_fen": 2000,
    "account_own_fen": 10000,
    "account_mutual_fen": 3000,
    "cash_fen": 15000,
    "self_pay_fen": 18000,
    "class_copay_fen": 4000,
    "self_funded_fen": 10000,
    "items": [
        {"name": "药", "code": "D1", "class": "B", "self_ratio_bp": 1000, "amount_fen": 30000},
        {"name": "诊", "code": "D2", "class": "A", "self_ratio_bp": 0, "amount_fen": 12000},
        {"name": "外", "code": "D3", "class": "C", "self_ratio_bp": 10000, "amount_fen": 8000},
    ],
}
INPATIENT: dict[str, Any] = {
    **{key: value for key, value in OUTPATIENT.items() if key != "visit_date"},
    "type": "inpatient",
    "number": "0012345679",
    "admission_date": "2022-02-20",
    "discharge_date": "2022-02-28",
    "inpatient_no": "Z1",
    "payment_mode": "drg",
    "items": [
        *OUTPATIENT["items"],
        {"name": "护理", "code": "D4", "class": "A", "self_ratio_bp": 0, "amount_fen": 5000},
        {"name": "其他住院费用-差额结算", "amount_fen": -5000, "difference": True},
    ],
}
VAT: dict[str, Any] = {
    "type": "vat",
    "code": "",
    "number": "22112000000000000001",
    "issue_date": "2022-03-01",
    "payer_name": "测试甲",
    "seller_name": "测试药房",
    "seller_tax_no": "91110000TEST00001X",
    "net_fen": 1000,
    "tax_fen": 130,
    "total_fen": 1130,
    "items": [{"name": "药", "amount_fen": 1130}],
}
AMOUNTS = ("pooled_fund", "other_payment", "account_own", "account_mutual", "cash", "self_pay", "class_copay")
NEGATED = [f"{name}_fen" for name in (*AMOUNTS, "self_funded", "total", "net", "tax")]


def build_red(original: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The reversal of a sound invoice."""
    red = copy.deepcopy(original)
    for field in NEGATED:
        if field in red:
            red[field] = -red[field]
    for item in red["items"]:
        item["amount_fen"] = -item["amount_fen"]
    number = "9" * len(red["number"])
    red |= {"kind": "red", "number": number}
    red["reverses"] = {"code": original["code"], "number": original["number"]}
    return red | changes


def build_request(
    invoice: dict[str, Any], *, known: list[Any] | None = None, as_of: Any = "2022-12-31"
) -> dict[str, Any]:
    """A validation request that no test can change for another."""
    return copy.deepcopy({"invoice": invoice, "context": {"as_of": as_of, "known": known or []}})
