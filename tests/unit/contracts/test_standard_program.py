"""The standard claim program: its own examples, fine points one by one, and its explanation."""

import json
import re
from typing import Any

import pytest

from contracts.case import encode_case, read_case
from contracts.machine.evaluation import Evaluation
from node.machine.programs import standard_examples
from tests.support.adjudication_builders import PROGRAM, adjudicate, case, expense, invoice, only, stay

EXAMPLES = [json.loads(text) for text in standard_examples()]
REASON = re.compile(r"[A-Z][A-Z_]+")


def explain(case: dict[str, Any]) -> Evaluation:
    return PROGRAM.explain(encode_case(read_case(case)))


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["title"] for example in EXAMPLES])
def test_example(example: dict[str, Any]) -> None:
    assert {"results": adjudicate(example["input"])} == example["expected"]


@pytest.mark.parametrize(
    ("half_days", "dates", "days"),
    [
        (1, ("2022-05-01", "2022-05-11"), 1),
        (2, ("2022-05-01", "2022-05-11"), 1),
        (3, ("2022-05-01", "2022-05-11"), 1),
        (19, ("2022-05-01", "2022-05-02"), 9),
        (None, ("2022-05-01", "2022-05-11"), 10),
        (None, ("2022-05-01", "2022-05-01"), 1),
        (None, ("2022-05-02", "2022-05-01"), 1),
        (None, ("2022-05-01", None), 1),
        (None, ("2022-02-27", "2022-03-02"), 3),
    ],
)
def test_3_3_counted_days(half_days: int | None, dates: tuple[str, str | None], days: int) -> None:
    allowance = {"AL": {"type": "daily_allowance", "daily_fen": 100}}
    found = stay(admission_date=dates[0], discharge_date=dates[1], half_days=half_days)
    assert only(case(allowance, [], stay=found))["days_paid"] == days


@pytest.mark.parametrize(("date", "reasons"), [("2022-03-30", ["WAITING_PERIOD"]), ("2022-03-31", [])])
def test_3_4_8_thirty_days_from_the_first_of_march(date: str, reasons: list[str]) -> None:
    visits = [invoice(visit_date=date)]
    waiting = {"OP": expense(waiting_days=30)}
    assert only(case(waiting, visits, first_effective="2022-03-01"))["reasons"] == reasons
    accident = case(waiting, visits, first_effective="2022-03-01", claim={"cause": "accident"})
    assert only(accident)["reasons"] == []


def test_3_11_onset_before_cover_waits_even_without_a_waiting_period() -> None:
    visits = [invoice()]
    before = {"first_onset": "2020-12-31"}
    covered = case({"OP": expense()}, visits, claim=before, product={"pre_existing": "cover"})
    assert only(covered)["reasons"] == ["WAITING_PERIOD"]
    assert only(case({"OP": expense()}, visits, claim=before))["reasons"] == ["PRE_EXISTING"]
    on_the_day = {"first_onset": "2021-01-01"}
    assert only(case({"OP": expense()}, visits, claim=on_the_day))["reasons"] == []


def test_3_11_history_without_a_date_and_upper_case() -> None:
    visits = [invoice()]
    for entry, reasons in [
        ({"icd": "j20.1", "date": "2020-01-01"}, ["PRE_EXISTING"]),
        ({"icd": "J20", "date": None}, []),
        ({"icd": "J20", "date": "2020-01-01", "declared": True}, []),
        ({"icd": "J20", "date": "2021-01-01"}, []),
    ]:
        assert only(case({"OP": expense()}, visits, history=[entry]))["reasons"] == reasons
    excluded = case({"OP": expense()}, visits, excluded_icd_prefixes=["j2"], claim={"cause": "accident"})
    assert only(excluded)["reasons"] == ["EXCLUDED_DIAGNOSIS"]


def test_3_2_equal_sort_keys_keep_the_order_of_the_input() -> None:
    first, second = invoice(total_fen=100), invoice(total_fen=200)
    assert only(case({"OP": expense()}, [first, second]))["payable_fen"] == 100
    assert only(case({"OP": expense()}, [second, first]))["payable_fen"] == 200
    earlier = invoice(total_fen=300, issue_date="2022-05-04")
    assert only(case({"OP": expense()}, [first, second, earlier]))["payable_fen"] == 300


def test_3_2_a_red_invoice_drops_every_copy_and_shows_on_its_kind_only() -> None:
    copies = [invoice(), invoice(issue_date="2022-05-06"), invoice(number="2")]
    red = invoice(kind="red", number="9", total_fen=-10_000, reverses={"number": "1"})
    both = {"OP": expense(), "IP": expense("inpatient_expense")}
    outpatient, inpatient = adjudicate(case(both, [*copies, red]))[0]["benefits"]
    assert (outpatient["payable_fen"], outpatient["reasons"]) == (10_000, ["INVOICE_REVERSED"])
    assert (inpatient["payable_fen"], inpatient["reasons"]) == (0, [])


def test_3_2_key_with_a_null_code_equals_the_empty_code() -> None:
    found = only(case({"OP": expense()}, [invoice(code=None)], used_invoices=[{"code": "", "number": "1"}]))
    assert found["reasons"] == ["DUPLICATE_INVOICE"]


def test_3_4_order_of_inpatient_checks() -> None:
    bill = invoice("inpatient")
    inpatient = {"IP": expense("inpatient_expense", waiting_days=9999)}
    assert only(case(inpatient, [bill]))["reasons"] == ["NO_STAY"]
    assert only(case(inpatient, [], stay=stay()))["reasons"] == []
    late = stay(admission_date="2023-01-01", discharge_date=None)
    run_off = {"run_off_days": 30}
    assert only(case(inpatient, [bill], stay=late, product=run_off))["reasons"] == ["NOT_IN_FORCE"]
    levels = {"plans": {"A": {"covered_hospital_levels": ["2"], "benefits": inpatient}}}
    assert only(case(inpatient, [bill], stay=stay(), product=levels))["reasons"] == ["FACILITY_NOT_COVERED"]
    two = [bill, invoice("inpatient", number="2", institution_level="2")]
    assert only(case(inpatient, two, stay=stay(), product=levels))["reasons"] == [
        "FACILITY_NOT_COVERED",
        "WAITING_PERIOD",
    ]


def test_3_6_first_matching_ratio_row_wins() -> None:
    rows = [
        {"relation": "dependant", "ratio_bp": 1},
        {"level": "3", "social_settled": True, "ratio_bp": 2},
        {"level": "3", "social_settled": False, "ratio_bp": 9_000},
        {"ratio_bp": 10_000},
    ]
    assert only(case({"OP": expense(ratios=rows)}, [invoice()]))["payable_fen"] == 9_000
    assert only(case({"OP": expense(ratios=rows)}, [invoice(institution_level="1")]))["payable_fen"] == 10_000


@pytest.mark.parametrize(
    ("kind", "paid"), [("none", 20_000), ("per_visit", 8_000), ("per_case", 14_000), ("per_year", 15_000)]
)
def test_3_6_deductible_types_of_visits(kind: str, paid: int) -> None:
    visits = [invoice(), invoice(number="2")]
    benefit = expense(deductible={"type": kind, "amount_fen": 6_000})
    use = {"22": {"OP": {"deductible_used_fen": 1_000}}}
    found = only(case({"OP": benefit}, visits, prior_use=use))
    assert (found["payable_fen"], found["deductible_applied_fen"]) == (paid, 20_000 - paid)


def test_3_6_family_deductible_never_below_zero() -> None:
    benefit = expense(deductible={"type": "per_family_year", "amount_fen": 6_000})
    family = {"22": {"OP": 7_000}}
    assert only(case({"OP": benefit}, [invoice()], family_deductible_used_fen=family))["payable_fen"] == 10_000


def test_3_6_zero_base_and_below_deductible() -> None:
    nothing = invoice(pooled_fund_fen=10_000)
    assert only(case({"OP": expense()}, [nothing]))["reasons"] == ["ZERO_BASE"]
    benefit = expense(deductible={"type": "per_case", "amount_fen": 10_000})
    assert only(case({"OP": benefit}, [invoice()]))["reasons"] == ["BELOW_DEDUCTIBLE"]
    assert adjudicate(case({"OP": benefit}, [invoice()]))[0]["decision"] == "zero_pay"


def test_3_7_a_cap_on_nothing_gives_no_reason() -> None:
    zero_ratio = expense(ratios=[{"ratio_bp": 0}], annual_limit_fen=0)
    assert only(case({"OP": zero_ratio}, [invoice()]))["reasons"] == []
    exact = expense(annual_limit_fen=10_000)
    assert only(case({"OP": exact}, [invoice()]))["reasons"] == []
    assert only(case({"OP": exact}, [invoice(total_fen=10_001)]))["reasons"] == ["ANNUAL_LIMIT"]


@pytest.mark.parametrize("limit", ["per_day_limit_fen", "annual_limit_fen", "lifetime_limit_fen"])
def test_3_7_a_limit_is_used_up_by_the_visits_of_the_case(limit: str) -> None:
    visits = [invoice(number=str(number), total_fen=4_000) for number in range(3)]
    assert only(case({"OP": expense(**{limit: 7_001})}, visits))["payable_fen"] == 7_001
    prior = {"22": {"OP": {"paid_fen": 2_000, "day_paid_fen": {"2022-05-05": 2_000}}}}
    used = case({"OP": expense(**{limit: 7_001})}, visits, prior_use=prior, lifetime_paid_fen={"OP": 2_000})
    assert only(used)["payable_fen"] == 5_001


def test_3_7_the_day_limit_is_of_one_event_date() -> None:
    visits = [invoice(number=str(day), visit_date=f"2022-05-0{day}") for day in (1, 2)]
    assert only(case({"OP": expense(per_day_limit_fen=6_000)}, visits))["payable_fen"] == 12_000


@pytest.mark.parametrize(("ratio_bp", "paid"), [(4_999, 0), (5_000, 1)])
def test_3_6_a_half_rounds_up_and_nothing_less(ratio_bp: int, paid: int) -> None:
    rows = [{"ratio_bp": ratio_bp}]
    assert only(case({"OP": expense(ratios=rows)}, [invoice(total_fen=1)]))["payable_fen"] == paid
    bill = invoice("inpatient", total_fen=1)
    one_day = stay(half_days=1)
    found = only(case({"IP": expense("inpatient_expense", ratios=rows)}, [bill], stay=one_day))
    assert found["payable_fen"] == paid


def test_3_7_only_the_inpatient_pool_is_floored_not_each_loss() -> None:
    heavy = invoice("inpatient", third_party=[{"payer": "x", "amount_fen": 15_000}])
    other = invoice("inpatient", number="2")
    found = only(case({"IP": expense("inpatient_expense")}, [heavy, other], stay=stay()))
    assert (found["payable_fen"], found["reasons"]) == (5_000, ["INDEMNITY_CAP"])


def test_3_8_cut_first_then_the_deductible_days() -> None:
    def days(**changes: Any) -> tuple[int, list[str]]:
        found = only(case({"AL": {"type": "daily_allowance", "daily_fen": 100} | changes}, [], stay=stay()))
        return found["days_paid"], found["reasons"]

    assert days(max_days_per_stay=3, deductible_days=1) == (2, ["DAYS_CAP"])
    assert days(max_days_per_stay=3, deductible_days=3) == (0, ["DAYS_CAP", "DEDUCTIBLE_DAYS"])
    assert days(max_days_per_stay=0, deductible_days=3) == (0, ["DAYS_CAP"])
    assert days(deductible_days=10) == (0, ["DEDUCTIBLE_DAYS"])
    assert days(max_days_per_stay=10, max_days_per_year=10) == (10, [])
    assert days(max_days_per_year=0) == (0, ["ANNUAL_DAYS_CAP"])


def test_3_8_days_outside_cover_count_for_the_cuts() -> None:
    allowance = {"AL": {"type": "daily_allowance", "daily_fen": 100, "max_days_per_stay": 3}}
    late = stay(admission_date="2022-12-29", discharge_date="2023-01-10")
    found = only(case(allowance, [], stay=late))
    assert (found["days_paid"], found["reasons"]) == (3, ["DAYS_CAP"])
    allowance["AL"] |= {"max_days_per_stay": 5, "deductible_days": 3}
    found = only(case(allowance, [], stay=late))
    assert (found["days_paid"], found["reasons"]) == (0, ["DAYS_CAP", "DAYS_NOT_COVERED"])


def test_3_9_lump_sum_without_any_date_is_not_in_force() -> None:
    lump = {"LS": {"type": "lump_sum", "amount_fen": 7, "icd_prefixes": ["j20"]}}
    assert only(case(lump, []))["reasons"] == ["NOT_IN_FORCE"]
    assert only(case(lump, [invoice()]))["payable_fen"] == 7
    assert only(case(lump, [], stay=stay()))["payable_fen"] == 7
    assert only(case(lump, [invoice()], lifetime_paid_fen={"LS": 1}))["reasons"] == ["ALREADY_PAID"]
    assert only(case(lump, [invoice()], claim={"diagnoses": ["K80"]}))["reasons"] == []


def test_3_10_review_thresholds() -> None:
    exact = adjudicate(case({"OP": expense()}, [invoice(total_fen=500_000)]))[0]
    over = adjudicate(case({"OP": expense()}, [invoice(total_fen=500_001)]))[0]
    assert (exact["review"], over["review_reasons"]) == (False, ["AMOUNT_OVER_THRESHOLD"])
    returned = adjudicate(case({"OP": expense()}, [], claim={"returned_count": 2, "claimed_fen": 0}))[0]
    assert (returned["review_reasons"], returned["decision"]) == (["REPEATED_RETURN"], "zero_pay")


def test_2_a_code_that_no_plan_has_pays_nothing_without_a_reason() -> None:
    ordered = case({"OP": expense()}, [invoice()], product={"benefit_order": ["XX"]})
    assert only(ordered) == {
        "code": "XX",
        "payable_fen": 0,
        "by_period": {},
        "deductible_applied_fen": 0,
        "reasons": [],
    }


def test_amounts_up_to_the_largest_integer_stay_exact() -> None:
    largest = 2**53 - 1
    assert only(case({"OP": expense()}, [invoice(total_fen=largest)]))["payable_fen"] == largest
    bill = invoice("inpatient", total_fen=largest)
    split = {"IP": expense("inpatient_expense", ratios=[{"ratio_bp": 3_333}])}
    long = case(split, [bill], stay=stay(half_days=largest), product={"run_off_days": largest})
    result = json.loads(PROGRAM.run(encode_case(read_case(long))).result)["results"][0]
    assert result["total_fen"] == (largest * 3_333 * 2 + 10_000) // 20_000


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["title"] for example in EXAMPLES])
def test_the_explanation_shows_every_reason_and_every_payment(example: dict[str, Any]) -> None:
    evaluation = explain(example["input"])
    steps = json.loads(evaluation.trace or "")
    assert all(set(step) == {"policy_no", "rule", "what", "at", "inputs", "result"} for step in steps)
    for result in example["expected"]["results"]:
        own = [step for step in steps if step["policy_no"] == result["policy_no"]]
        assert own[-1] == own[-1] | {"rule": "2", "what": "decision", "result": result["decision"]}
        for benefit in result["benefits"]:
            at = [step for step in own if step["at"].get("benefit") == benefit["code"]]
            assert {step["result"] for step in at if step["what"] == "reason"} == set(benefit["reasons"])
            paid = [step["result"] for step in at if step["what"] in ("paid", "allowance", "lump_sum")]
            assert sum(paid) == benefit["payable_fen"]
