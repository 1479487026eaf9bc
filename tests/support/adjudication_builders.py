"""Small cases by hand: one policy, one year, the fields a test is about; and both readings of the rules on them."""

import json
from typing import Any

from contracts.case import encode_case, read_case
from contracts.machine.evaluation import load_program
from node.machine.programs import standard_program
from tests.support import adjudication_oracle

PROGRAM = load_program(standard_program())


def adjudicate(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The program's results, with and without a trace, after the oracle has agreed."""
    text = encode_case(read_case(case))
    result = json.loads(PROGRAM.run(text).result)
    assert result == adjudication_oracle.adjudicate(case)
    assert json.loads(PROGRAM.explain(text).result) == result
    return list(result["results"])


def invoice(type_: str = "outpatient", **changes: Any) -> dict[str, Any]:
    sound = {"type": type_, "number": "1", "issue_date": "2022-05-05", "total_fen": 10_000, "institution_level": "3"}
    return sound | changes


def expense(kind: str = "outpatient_expense", **changes: Any) -> dict[str, Any]:
    return {"type": kind, "scope": "all", "ratios": [{"ratio_bp": 10_000}]} | changes


def case(benefits: dict[str, Any], invoices: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    product = {"product_code": "X", "benefit_order": list(benefits), "plans": {"A": {"benefits": benefits}}}
    policy = {
        "policy_no": "P",
        "insurer": "I",
        "relation": "employee",
        "first_effective": "2021-01-01",
        "periods": [{"id": "22", "start": "2022-01-01", "end": "2022-12-31", "plan": "A"}],
        "product": product | changes.pop("product", {}),
    }
    return {
        "claim": {"claim_no": "C", "diagnoses": ["J20.9"]} | changes.pop("claim", {}),
        "stay": changes.pop("stay", None),
        "invoices": invoices,
        "policies": [policy | changes],
    }


def stay(**changes: Any) -> dict[str, Any]:
    return {"admission_date": "2022-05-01", "discharge_date": "2022-05-11", "institution_level": "3"} | changes


def only(case_: dict[str, Any]) -> dict[str, Any]:
    benefits: list[dict[str, Any]] = adjudicate(case_)[0]["benefits"]
    assert len(benefits) == 1
    return benefits[0]
