"""The Starlark program against an independent reading of the same rules, on cases drawn to collide.

Twenty thousand fixed cases in all: some in the suite, all of them with the slow tests; and random ones each time.
"""

import json
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.calendar import day_number
from contracts.case import decode_case, encode_case, read_case
from contracts.machine.evaluation import load_program
from contracts.machine.outputs import check_output, check_trace
from contracts.reasons import REASONS
from node.machine.programs import standard_program
from tests.support import adjudication_oracle
from tests.support.adjudication_cases import build_paying_case, build_random_case

PROGRAM = load_program(standard_program())
IN_SUITE = 2_000
CASES = 20_000
CHUNK = 1_000
"""Seeds of one slow test: about three seconds, so that the gate's workers share them."""
COUNTED = 1_500
LEAST = 8
"""How often the counted seeds reach each reason and each part of the rules, at the least; most come far oftener."""

REVIEW = {"AMOUNT_OVER_THRESHOLD", "REPEATED_RETURN", "NON_DISCLOSURE"}
EXPENSE_KINDS = {"inpatient_expense", "outpatient_expense"}
PARTS = {
    *(f"3.2 {code}" for code in ("INVOICE_REVERSED", "DUPLICATE_INVOICE")),
    *("3.3 DAYS_NOT_COVERED", "3.4.1 NO_STAY", "3.4.2 NOT_IN_FORCE", "3.4.3 NOT_IN_PLAN", "3.4.4 VAT_NOT_COVERED"),
    *("3.4.4 NO_PRESCRIPTION", "3.4.5 FACILITY_NOT_COVERED", "3.4.6 EXCLUDED_DIAGNOSIS", "3.4.7 PRE_EXISTING"),
    *("3.4.8 WAITING_PERIOD", "3.4.9 ALREADY_PAID", "3.6 NOT_IN_PLAN", "3.6 ZERO_BASE", "3.6 BELOW_DEDUCTIBLE"),
    *("3.7.1 INDEMNITY_CAP", "3.7.2 VISIT_LIMIT", "3.7.3 DAY_LIMIT", "3.7.4 ANNUAL_LIMIT", "3.7.5 LIFETIME_LIMIT"),
    *("3.7.6 PLAN_LIMIT", "3.8 DAYS_CAP", "3.8 DEDUCTIBLE_DAYS", "3.8 ANNUAL_DAYS_CAP", "3.8 DAYS_NOT_COVERED"),
    *("3.8 NOT_IN_PLAN", "3.9 NOT_IN_PLAN"),
    *(f"deductible {kind}" for kind in ("per_visit", "per_case", "per_year", "per_family_year")),
    *(f"scope {scope}" for scope in ("social_only", "social_strict", "all")),
    *(f"decision {decision}" for decision in ("approved", "partial", "declined", "zero_pay")),
    *("paid inpatient", "paid visit", "paid pharmacy", "paid allowance", "paid lump sum", "paid in two years"),
    *("days in the run-off", "paid by a second policy", "capped in a second policy", "recoverable", "half days"),
}


def build_case(seed: int) -> dict[str, Any]:
    return (build_paying_case if seed % 2 else build_random_case)(Random(seed))


def check(case: dict[str, Any]) -> None:
    """Both readings agree, field by field, and the result can be booked."""
    text = encode_case(decode_case(json.dumps(case)))
    result = json.loads(PROGRAM.run(text).result)
    assert result == adjudication_oracle.adjudicate(case)
    check_output(result, [policy["policy_no"] for policy in case["policies"]])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False), st.booleans())
def test_program_and_oracle_agree(random: Random, paying: bool) -> None:
    check(build_paying_case(random) if paying else build_random_case(random))


def test_program_and_oracle_agree_on_fixed_cases() -> None:
    for seed in range(IN_SUITE):
        check(build_case(seed))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, CASES, CHUNK))
def test_program_and_oracle_agree_on_twenty_thousand(first: int) -> None:
    for seed in range(first, first + CHUNK):
        check(build_case(seed))


def test_the_fixed_cases_reach_every_reason_and_every_part_often() -> None:
    reached: Counter[str] = Counter()
    for seed in range(COUNTED):
        reached.update(parts_of(build_case(seed)))
    by_grading = {code for code in REASONS if code.startswith("RISK_")}
    assert set(REASONS) - {part.split()[-1] for part in reached} == by_grading
    rare = {part: reached[part] for part in sorted(PARTS | REVIEW) if reached[part] < LEAST}
    assert not rare
    assert {part for part in reached if part.startswith("3.")} <= PARTS, "a reason under another rule is listed too"


def parts_of(case: dict[str, Any]) -> set[str]:
    """What of the rules a case reaches, by its result and its explanation; both are checked."""
    evaluation = PROGRAM.explain(encode_case(read_case(case)))
    result, trace = json.loads(evaluation.result), json.loads(evaluation.trace or "")
    check_trace(trace)
    assert result == json.loads(PROGRAM.run(encode_case(read_case(case))).result)
    parts = {"half days"} if (case.get("stay") or {}).get("half_days") else set()
    for step in trace:
        parts |= parts_of_step(step, case)
    for position, entry in enumerate(result["results"]):
        parts |= {f"decision {entry['decision']}", *entry["review_reasons"]}
        parts |= {"recoverable"} if entry["recoverable_fen"] else set()
        parts |= {"paid by a second policy"} if position and entry["total_fen"] else set()
        reasons = {reason for benefit in entry["benefits"] for reason in benefit["reasons"]}
        parts |= {"capped in a second policy"} if position and "INDEMNITY_CAP" in reasons else set()
        parts |= {"paid in two years" for benefit in entry["benefits"] if len(benefit["by_period"]) > 1}
    return parts


def parts_of_step(step: dict[str, Any], case: dict[str, Any]) -> set[str]:
    what, inputs, result = step["what"], step["inputs"], step["result"]
    if what == "reason":
        return {f"{step['rule']} {result}"}
    if what == "base":
        return {f"scope {inputs['scope']}"}
    if what == "deductible":
        return {f"deductible {inputs['type']}"} if result else set()
    if what == "counted_days":
        policy = next(policy for policy in case["policies"] if policy["policy_no"] == step["policy_no"])
        last = max((period["end"] for period in policy.get("periods") or []), default="0001-01-01")
        late = day_number(inputs["admission_date"]) + result["counted"] - 1 - day_number(last)
        return {"days in the run-off"} if late > result["uncovered"] else set()
    if what == "paid" and result:
        if "invoice" not in step["at"]:
            return {"paid inpatient"}
        kinds = {bill["type"] for bill in case["invoices"] if name_of(bill) == step["at"]["invoice"]}
        return {"paid pharmacy"} if kinds == {"vat"} else {"paid visit"}
    return {f"paid {what.replace('_', ' ')}"} if what in ("allowance", "lump_sum") and result else set()


def name_of(invoice: dict[str, Any]) -> str:
    return f"{invoice.get('code') or ''}/{invoice['number']}"
