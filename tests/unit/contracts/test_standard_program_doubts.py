"""Doubtful points of the specification, each worked by hand from its text and held against both readings."""

from typing import Any

import pytest

from tests.support.adjudication_builders import adjudicate, case, expense, invoice, only, stay

TWO_YEARS = [
    {"id": "22", "start": "2022-01-01", "end": "2022-12-31", "plan": "A"},
    {"id": "23", "start": "2023-01-01", "end": "2023-12-31", "plan": "B"},
]
OVER_NEW_YEAR = {"admission_date": "2022-12-29", "discharge_date": "2023-01-08"}
"""Ten counted days: three in 2022, seven in 2023."""


def two_plans(first: dict[str, Any], second: dict[str, Any], *rest: Any, **changes: Any) -> dict[str, Any]:
    """A case over two years, each with its plan."""
    codes = list(dict.fromkeys([*first, *second]))
    product = {"benefit_order": codes, "plans": {"A": {"benefits": first}, "B": {"benefits": second}}}
    return case(first, *rest, periods=TWO_YEARS, **changes | {"product": product | changes.pop("product", {})})


def inpatient(**changes: Any) -> dict[str, Any]:
    return expense("inpatient_expense", **changes)


def test_3_2_the_key_of_a_dropped_red_invoice_makes_no_duplicate() -> None:
    red = invoice(kind="red", number="1", issue_date="2022-05-01", total_fen=-5, reverses={"number": "7"})
    found = only(case({"OP": expense()}, [red, invoice(number="1")]))
    assert (found["payable_fen"], found["reasons"]) == (10_000, ["INVOICE_REVERSED"])


def test_3_2_a_reversed_invoice_that_was_used_before_is_reversed_only() -> None:
    red = invoice(kind="red", number="9", total_fen=-10_000, reverses={"number": "1"})
    used = [{"number": "1"}]
    assert only(case({"OP": expense()}, [invoice(), red], used_invoices=used))["reasons"] == ["INVOICE_REVERSED"]


def test_3_2_a_dropped_pharmacy_invoice_shows_on_outpatient_benefits() -> None:
    pharmacy = invoice("vat", prescription=True)
    found = only(case({"OP": expense(vat="cover")}, [pharmacy, pharmacy | {"issue_date": "2022-06-01"}]))
    assert (found["payable_fen"], found["reasons"]) == (10_000, ["DUPLICATE_INVOICE"])


def test_3_2_what_another_policy_paid_is_no_duplicate() -> None:
    document = case({"OP": expense(ratios=[{"ratio_bp": 6_000}])}, [invoice()])
    second = document["policies"][0] | {"policy_no": "Q"}
    document["policies"].append(second)
    one, two = adjudicate(document)
    assert (one["total_fen"], two["total_fen"]) == (6_000, 4_000)
    assert two["benefits"][0]["reasons"] == ["INDEMNITY_CAP"]


def test_3_3_a_gap_between_two_years_is_not_run_off() -> None:
    periods = [
        {"id": "a", "start": "2022-01-01", "end": "2022-05-03", "plan": "A"},
        {"id": "b", "start": "2022-05-06", "end": "2022-05-08", "plan": "A"},
    ]
    allowance = {"AL": {"type": "daily_allowance", "daily_fen": 100}}
    found = only(case(allowance, [], stay=stay(), periods=periods, product={"run_off_days": 1}))
    # 1 to 3 May in a, 4 and 5 May in no year, 6 to 8 in b, 9 in its run-off, 10 after it
    assert found["by_period"] == {"a": 300, "b": 400}
    assert (found["days_paid"], found["reasons"]) == (7, ["DAYS_NOT_COVERED"])


def test_3_3_half_days_are_rounded_before_the_stay_is_split() -> None:
    plans = {"AL": {"type": "daily_allowance", "daily_fen": 100}}
    found = only(two_plans(plans, plans, [], stay=stay(**OVER_NEW_YEAR, half_days=9)))
    # 4.5 days are 4: three in the first year, one in the second
    assert found["by_period"] == {"22": 300, "23": 100}


def test_3_4_a_visit_is_judged_by_its_own_date_not_by_the_invoice_s() -> None:
    visit = invoice(visit_date="2022-12-31", issue_date="2023-01-02")
    assert only(case({"OP": expense()}, [visit]))["by_period"] == {"22": 10_000}
    pharmacy = invoice("vat", visit_date="2022-12-31", issue_date="2023-01-02", prescription=True)
    assert only(case({"OP": expense(vat="cover")}, [pharmacy]))["reasons"] == ["NOT_IN_FORCE"]


def test_3_4_one_refused_visit_leaves_the_others() -> None:
    visits = [invoice(visit_date="2021-12-31"), invoice(number="2")]
    result = adjudicate(case({"OP": expense()}, visits))[0]
    assert (result["total_fen"], result["decision"]) == (10_000, "partial")
    assert result["benefits"][0]["reasons"] == ["NOT_IN_FORCE"]


@pytest.mark.parametrize(
    ("vat", "prescription", "reason"),
    [("exclude", False, "VAT_NOT_COVERED"), ("cover", False, "NO_PRESCRIPTION"), ("cover", True, "EXCLUDED_DIAGNOSIS")],
)
def test_3_4_pharmacy_checks_come_before_the_diagnosis_and_know_no_level(
    vat: str, prescription: bool, reason: str
) -> None:
    plans = {"A": {"covered_hospital_levels": [], "benefits": {"OP": expense(vat=vat)}}}
    pharmacy = invoice("vat", prescription=prescription)
    product = {"plans": plans, "excluded_icd_prefixes": ["J"]}
    assert only(case({"OP": expense()}, [pharmacy], product=product))["reasons"] == [reason]


def test_3_4_waiting_and_exclusion_are_those_of_the_admission_year() -> None:
    first, second = {"IP": inpatient()}, {"IP": inpatient(waiting_days=9_999)}
    bill = invoice("inpatient", issue_date="2023-01-08")
    found = only(two_plans(first, second, [bill], stay=stay(**OVER_NEW_YEAR)))
    assert (found["by_period"], found["reasons"]) == ({"22": 3_000, "23": 7_000}, [])


def test_3_4_9_a_lump_sum_is_refused_by_its_waiting_period_before_it_counts_as_paid() -> None:
    lump = {"LS": {"type": "lump_sum", "amount_fen": 7, "icd_prefixes": ["J20"], "waiting_days": 9_999}}
    paid = case(lump, [invoice()], lifetime_paid_fen={"LS": 7})
    assert only(paid)["reasons"] == ["WAITING_PERIOD"]


def test_3_4_a_lump_sum_without_a_diagnosis_date_takes_the_earliest_date_of_the_live_invoices() -> None:
    lump = {"LS": {"type": "lump_sum", "amount_fen": 7, "icd_prefixes": ["J20"]}}
    reversed_early = [invoice(issue_date="2021-12-01"), invoice(kind="red", number="9", reverses={"number": "1"})]
    assert only(case(lump, [*reversed_early, invoice(number="2")]))["by_period"] == {"22": 7}
    early_visit = invoice(visit_date="2021-12-31")
    assert only(case(lump, [early_visit], stay=stay()))["reasons"] == ["NOT_IN_FORCE"]
    assert only(case(lump, [early_visit], claim={"diagnosis_date": "2022-12-31"}))["by_period"] == {"22": 7}


def test_3_5_other_payments_reduce_the_loss_not_the_base() -> None:
    bill = invoice(other_payment_fen=4_000, third_party=[{"payer": "x", "amount_fen": 1_000}])
    half = {"OP": expense(ratios=[{"ratio_bp": 5_000}])}
    assert (only(case(half, [bill]))["payable_fen"], only(case(half, [bill]))["reasons"]) == (5_000, [])
    found = only(case({"OP": expense(ratios=[{"ratio_bp": 6_000}])}, [bill]))
    assert (found["payable_fen"], found["reasons"]) == (5_000, ["INDEMNITY_CAP"])


def test_3_6_one_deductible_a_case_is_that_of_the_first_invoice_that_passes() -> None:
    def benefit(fen: int) -> dict[str, Any]:
        return {"OP": expense(deductible={"type": "per_case", "amount_fen": fen})}

    nothing = invoice(issue_date="2022-12-30", pooled_fund_fen=10_000)
    later = invoice(number="2", issue_date="2023-01-02")
    found = only(two_plans(benefit(1_000), benefit(9_000), [later, nothing]))
    # the invoice of 2022 has no base, but it passes its checks: 1,000 it is, taken in 2023
    assert (found["payable_fen"], found["deductible_applied_fen"]) == (9_000, 1_000)


def test_3_6_a_stay_s_deductible_and_visit_limit_are_the_admission_year_s() -> None:
    first = {"IP": inpatient(deductible={"type": "per_visit", "amount_fen": 4_000}, per_visit_limit_fen=5_000)}
    second = {"IP": inpatient(deductible={"type": "per_visit", "amount_fen": 9_999}, per_visit_limit_fen=1)}
    bill = invoice("inpatient", issue_date="2023-01-08")
    found = only(two_plans(first, second, [bill], stay=stay(**OVER_NEW_YEAR)))
    # shares 3,000 and 7,000; 3,000 + 1,000 deducted; 6,000 left, of which the stay's limit leaves 5,000
    assert (found["by_period"], found["deductible_applied_fen"]) == ({"23": 5_000}, 4_000)
    assert found["reasons"] == ["VISIT_LIMIT"]


def test_3_6_yearly_deductibles_of_a_stay_are_each_year_s_own() -> None:
    first = {"IP": inpatient(deductible={"type": "per_year", "amount_fen": 1_000})}
    second = {"IP": inpatient(deductible={"type": "per_year", "amount_fen": 2_000})}
    bill = invoice("inpatient", issue_date="2023-01-08")
    use = {"22": {"IP": {"deductible_used_fen": 400}}, "23": {"IP": {"deductible_used_fen": 5_000}}}
    found = only(two_plans(first, second, [bill], stay=stay(**OVER_NEW_YEAR), prior_use=use))
    assert (found["by_period"], found["deductible_applied_fen"]) == ({"22": 2_400, "23": 7_000}, 600)


def test_3_6_a_year_without_the_benefit_pays_nothing_and_takes_no_deductible() -> None:
    first = {"IP": inpatient(deductible={"type": "per_case", "amount_fen": 5_000})}
    bill = invoice("inpatient", issue_date="2023-01-08")
    found = only(two_plans(first, {}, [bill], stay=stay(**OVER_NEW_YEAR)))
    # the covered share is 3,000, all of it below the deductible
    assert (found["payable_fen"], found["deductible_applied_fen"]) == (0, 3_000)
    assert found["reasons"] == ["BELOW_DEDUCTIBLE", "NOT_IN_PLAN"]


def test_3_6_a_segment_is_rounded_once_over_its_invoices() -> None:
    bills = [invoice("inpatient", number=str(n), total_fen=1) for n in range(3)]
    third = {"IP": inpatient(ratios=[{"ratio_bp": 5_000}])}
    assert only(case(third, bills, stay=stay()))["payable_fen"] == 2  # 1.5, not three times 0.5


def test_3_6_deductible_applied_is_rounded_year_by_year() -> None:
    plan = {"IP": inpatient(deductible={"type": "per_case", "amount_fen": 9_999})}
    bill = invoice("inpatient", issue_date="2023-01-08", total_fen=5)
    found = only(two_plans(plan, plan, [bill], stay=stay(**OVER_NEW_YEAR)))
    assert found["deductible_applied_fen"] == 2 + 4  # 1.5 and 3.5


def test_3_7_1_an_inpatient_pool_holds_the_invoices_that_passed_and_all_inpatient_payments() -> None:
    bills = [invoice("inpatient", institution_level="1"), invoice("inpatient", number="2", institution_level="3")]
    document = case({"IP": inpatient()}, bills, stay=stay())
    only_level_3 = {"A": {"covered_hospital_levels": ["3"], "benefits": {"IP": inpatient()}}}
    policy = document["policies"][0]
    half = {"A": {"benefits": {"IP": inpatient(ratios=[{"ratio_bp": 3_000}])}}}
    document["policies"] = [
        policy | {"product": policy["product"] | {"plans": half}},
        policy | {"policy_no": "Q", "product": policy["product"] | {"plans": only_level_3}},
    ]
    one, two = adjudicate(document)
    # the first pays 6,000 on both; for the second only 10,000 - 6,000 is left, whichever invoice that was paid on
    assert (one["total_fen"], two["total_fen"]) == (6_000, 4_000)
    assert two["benefits"][0]["reasons"] == ["FACILITY_NOT_COVERED", "INDEMNITY_CAP"]


def test_3_7_1_an_earlier_benefit_of_the_same_policy_leaves_less_loss() -> None:
    both = {"OP": expense(ratios=[{"ratio_bp": 7_000}]), "OP2": expense()}
    first, second = adjudicate(case(both, [invoice()]))[0]["benefits"]
    assert (first["payable_fen"], second["payable_fen"], second["reasons"]) == (7_000, 3_000, ["INDEMNITY_CAP"])


def test_3_7_limits_are_used_up_by_what_is_finally_paid() -> None:
    plan = {"A": {"annual_limit_fen": 3_000, "benefits": {"OP": expense(per_day_limit_fen=5_000)}}}
    visits = [invoice(), invoice(number="2")]
    found = only(case({"OP": expense()}, visits, product={"plans": plan}))
    # 5,000 after the day's limit, 3,000 after the plan's: the day has 2,000 left, the plan nothing
    assert (found["payable_fen"], found["reasons"]) == (3_000, ["DAY_LIMIT", "PLAN_LIMIT"])


def test_3_7_6_the_plan_limit_counts_earlier_payments_of_benefits_outside_the_order() -> None:
    plans = {
        "A": {"annual_limit_fen": 10_000, "benefits": {"OP": expense()}},
        "B": {"benefits": {"IP": inpatient(), "AL": {"type": "daily_allowance", "daily_fen": 1}}},
    }
    use = {"22": {"IP": {"paid_fen": 4_000}, "AL": {"paid_fen": 5_000}, "gone": {"paid_fen": 6_000}}}
    found = only(case({"OP": expense()}, [invoice()], product={"plans": plans}, prior_use=use))
    assert (found["payable_fen"], found["reasons"]) == (6_000, ["PLAN_LIMIT"])


def test_3_7_6_allowance_and_lump_sum_neither_use_nor_feel_the_plan_limit() -> None:
    benefits = {
        "AL": {"type": "daily_allowance", "daily_fen": 10_000},
        "LS": {"type": "lump_sum", "amount_fen": 50_000, "icd_prefixes": ["J"]},
        "OP": expense(),
    }
    plans = {"A": {"annual_limit_fen": 9_000, "benefits": benefits}}
    result = adjudicate(case(benefits, [invoice()], stay=stay(), product={"plans": plans}))[0]
    assert [benefit["payable_fen"] for benefit in result["benefits"]] == [100_000, 50_000, 9_000]


def test_3_8_yearly_days_are_each_year_s_own_and_the_cuts_the_admission_year_s() -> None:
    def days(fen: int, **changes: Any) -> dict[str, Any]:
        return {"AL": {"type": "daily_allowance", "daily_fen": fen} | changes}

    first = days(100, deductible_days=1, max_days_per_stay=9, max_days_per_year=None)
    second = days(7, deductible_days=9, max_days_per_stay=1, max_days_per_year=5)
    use = {"22": {"AL": {"days_paid": 99}}, "23": {"AL": {"days_paid": 1}}}
    found = only(two_plans(first, second, [], stay=stay(**OVER_NEW_YEAR), prior_use=use))
    # ten days; nine kept; one dropped in front: 30 and 31 December, six days of January of which 5 - 1 are paid
    assert (found["by_period"], found["days_paid"]) == ({"22": 200, "23": 28}, 6)
    assert found["reasons"] == ["ANNUAL_DAYS_CAP", "DAYS_CAP"]


def test_3_9_a_plan_whose_own_list_does_not_match_has_no_such_benefit() -> None:
    def lump(*prefixes: str) -> dict[str, Any]:
        return {"LS": {"type": "lump_sum", "amount_fen": 7, "icd_prefixes": list(prefixes)}}

    other_year = two_plans(lump("K"), lump("j2"), [invoice()], excluded_icd_prefixes=["J"])
    assert only(other_year)["reasons"] == ["NOT_IN_PLAN"]
    assert only(two_plans(lump("K"), lump("C"), [invoice()]))["reasons"] == []


def test_3_10_what_is_claimed_counts_uncovered_live_invoices_each_from_zero() -> None:
    bills = [
        invoice(visit_date="2020-01-01"),
        invoice(number="2", total_fen=100, other_payment_fen=900),
        invoice(number="2"),
        invoice("inpatient", number="3", pooled_fund_fen=4_000),
    ]
    assert adjudicate(case({"OP": expense()}, bills))[0]["claimed_fen"] == 10_000 + 0 + 6_000


def test_3_10_another_undeclared_illness_asks_for_review_even_of_a_paid_claim() -> None:
    history = [{"icd": "i10.x05", "date": "2020-02-02"}, {"icd": "J20.1", "date": "2020-02-02", "declared": True}]
    result = adjudicate(case({"OP": expense()}, [invoice()], history=history))[0]
    assert (result["decision"], result["review_reasons"]) == ("approved", ["NON_DISCLOSURE"])
    for changes in ({"claim": {"cause": "accident"}}, {"product": {"pre_existing": "cover"}}):
        assert adjudicate(case({"OP": expense()}, [invoice()], history=history, **changes))[0]["review"] is False


@pytest.mark.parametrize(
    ("insurance_type", "settled"),
    [("employee", True), ("resident", True), ("other", True), ("self_pay", False), (None, False)],
)
def test_1_socially_settled_is_everything_but_self_pay_and_pharmacy(insurance_type: str | None, settled: bool) -> None:
    rows = [{"social_settled": True, "ratio_bp": 10_000}, {"social_settled": False, "ratio_bp": 5_000}]
    visit = invoice(insurance_type=insurance_type)
    assert only(case({"OP": expense(ratios=rows)}, [visit]))["payable_fen"] == (10_000 if settled else 5_000)
    pharmacy = invoice("vat", insurance_type="resident", prescription=True)
    assert only(case({"OP": expense(ratios=rows, vat="cover")}, [pharmacy]))["payable_fen"] == 5_000
