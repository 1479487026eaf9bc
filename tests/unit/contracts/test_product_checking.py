"""Checking a release: lint, examples run by the caller's machine, the first field that differs; and the words."""

import json
from typing import Any

import pytest

from contracts.case import decode_case
from contracts.machine.bundle import build_bundle
from contracts.machine.errors import MachineLimit
from contracts.product import read_product
from contracts.products.checking import MAX_SHOWN, check_release, differences
from contracts.products.examples import Example, build_case
from contracts.products.explaining import explain_tables
from contracts.products.phrases import LANGUAGES, PHRASES
from contracts.products.release import Release

BUNDLE = build_bundle({"program.star": "def adjudicate(case, trace):\n    return {}\n"})
TABLES = read_product(
    {
        "product_code": "P",
        "run_off_days": 30,
        "excluded_icd_prefixes": ["Z41"],
        "benefit_order": ["IP", "OP", "AL", "CI", "NO"],
        "plans": {
            "A": {
                "annual_limit_fen": 5_000_050,
                "covered_hospital_levels": ["2", "3"],
                "benefits": {
                    "IP": {
                        "type": "inpatient_expense",
                        "scope": "social_strict",
                        "ratios": [
                            {"relation": "employee", "level": "3", "social_settled": True, "ratio_bp": 8750},
                            {"social_settled": False, "ratio_bp": 5},
                            {"ratio_bp": 5000},
                        ],
                        "deductible": {"type": "per_family_year", "amount_fen": 50_000},
                        "waiting_days": 30,
                        "lifetime_limit_fen": 100_000_000,
                    },
                    "OP": {
                        "type": "outpatient_expense",
                        "scope": "all",
                        "vat": "cover",
                        "ratios": [{"ratio_bp": 8000}],
                    },
                    "AL": {
                        "type": "daily_allowance",
                        "daily_fen": 15_000,
                        "deductible_days": 3,
                        "max_days_per_year": 90,
                    },
                    "CI": {"type": "lump_sum", "amount_fen": 10_000_000, "icd_prefixes": ["C00", "I21"]},
                },
            },
            "B": {"covered_hospital_levels": []},
        },
    }
)
CASE: dict[str, Any] = {
    "claim": {"claim_no": "1"},
    "policies": [{"policy_no": "1", "insurer": "I", "relation": "employee", "first_effective": "2024-01-01"}],
}
RESULT = {"results": [{"policy_no": "1", "total_fen": 0, "benefits": [{"code": "IP"}, {"code": "OP"}]}]}


def example(expected: dict[str, Any], case: dict[str, Any] = CASE) -> Example:
    return Example("one", "One", "", case, expected)


def release(*examples: Example, source: str | None = None) -> Release:
    return Release(build_bundle({"program.star": source}) if source else BUNDLE, TABLES, examples)


def answer(case_text: str) -> str:
    assert decode_case(case_text)["policies"][0]["product"]["product_code"] == "P"
    return json.dumps(RESULT)


def test_an_example_holds_if_what_it_names_is_so() -> None:
    for expected in (RESULT, {"results": [{"total_fen": 0}]}, {"results": [{"benefits": [{}, {"code": "OP"}]}]}, {}):
        report = check_release(release(example(expected)), answer)
        assert report.ok, expected
        assert report.examples[0].path == ""


DIFFERENT = [
    ({"results": [{"total_fen": 1, "policy_no": "2"}]}, "/results/0/total_fen", "1", "0"),
    ({"results": [{"total_fen": False}]}, "/results/0/total_fen", "false", "0"),
    ({"results": [{"total": 0}]}, "/results/0/total", "0", "absent"),
    ({"results": [{"benefits": [{"code": "IP"}]}]}, "/results/0/benefits/1", "absent", '{"code":"OP"}'),
    ({"results": [{}, {}]}, "/results/1", "{}", "absent"),
    ({"results": {}}, "/results", "{}", json.dumps(RESULT["results"], separators=(",", ":"), sort_keys=True)),
]


@pytest.mark.parametrize(("expected", "path", "shown", "got"), DIFFERENT)
def test_the_first_field_that_differs_is_named(expected: dict[str, Any], path: str, shown: str, got: str) -> None:
    report = check_release(release(example(expected)), answer)
    assert not report.ok
    found = report.examples[0]
    assert (found.path, found.expected, found.got, found.code) == (path, shown, got, "")


def test_long_values_are_cut() -> None:
    assert len(next(differences("x" * 10_000, "y"))[1]) == MAX_SHOWN


def test_a_policy_of_another_product_keeps_it() -> None:
    other = TABLES | {"product_code": "OTHER"}
    policies = [CASE["policies"][0], CASE["policies"][0] | {"policy_no": "2", "product": other}]
    case = build_case(example({}, CASE | {"policies": policies}), TABLES)
    assert [policy["product"]["product_code"] for policy in case["policies"]] == ["P", "OTHER"]


@pytest.mark.parametrize(
    ("case", "code"),
    [({}, "missing"), (CASE | {"policies": 5}, "type"), (CASE | {"policies": [5]}, "type")],
)
def test_an_example_without_a_case_fails_with_its_reason(case: dict[str, Any], code: str) -> None:
    report = check_release(release(example({}, case)), answer)
    assert not report.ok
    assert report.examples[0].code == code
    assert report.examples[0].detail.startswith("input/")


def test_a_run_that_fails_is_an_example_that_fails() -> None:
    def run(_: str) -> str:
        raise MachineLimit("steps", "too many")

    report = check_release(release(example({})), run)
    assert (report.ok, report.examples[0].code, report.examples[0].detail) == (False, "steps", "too many")


def test_a_program_with_lint_faults_is_not_run() -> None:
    def run(_: str) -> str:
        raise AssertionError

    report = check_release(release(example({}), source="def adjudicate(case, trace):\n    return 1 * 2\n"), run)
    assert not report.ok
    assert report.lint[0].line == 2
    assert report.examples[0].code == "lint"


def test_no_example_is_not_fit_and_neither_are_unsound_tables() -> None:
    assert not check_release(release(), answer).ok
    unsound = Release(BUNDLE, TABLES | {"benefit_order": ["IP"]}, (example({}),))
    assert [fault.code for fault in check_release(unsound, answer).faults] == ["benefit_order"] * 3
    assert not check_release(unsound, answer).ok


def test_the_report_is_one_document() -> None:
    document = check_release(release(example({})), answer).as_dict()
    assert json.loads(json.dumps(document))["ok"] is True
    assert document["remarks"][0]["code"] == "unknown_benefit"


ENGLISH = """P  Title
Not paid: illness that began before the cover, or was diagnosed then and not declared.
Never paid, accidents included: principal diagnoses that begin with Z41.
A person looks at every claim over 5,000 yuan.
A stay goes on being paid for 30 days after the last policy year.
Expense benefits never pay more than everybody else left to be paid.
Benefits are worked out in this order: IP, OP, AL, CI, NO.

Plan A
  All expense benefits together pay at most 50,000.50 yuan in a policy year.
  Hospitals covered: level 2, level 3.
  Benefit IP: expenses of a stay in hospital.
    Counted: the bill less pooled fund, self-funded and disallowed items, class B co-payment.
    Deducted first: 500 yuan in a policy year for the family together.
    Of what is left it pays, the first line that fits:
      employee, hospital of level 3, settled by social insurance: 87.5%
      not settled by social insurance: 0.05%
      everyone else: 50%
    At most 1,000,000 yuan in a lifetime.
    Illness is paid from day 31 of the cover on (waiting period 30 days); accidents at once.
  Benefit OP: expenses of visits without a stay.
    Pharmacy invoices with a prescription are paid as well.
    Counted: the bill less pooled fund and disallowed items.
    Nothing is deducted.
    Of what is left it pays 80%.
    This benefit has no limit of its own.
    There is no waiting period.
  Benefit AL: 150 yuan for each day in hospital.
    The first 3 days of a stay are not paid.
    At most 90 days are paid in a policy year.
    There is no waiting period.
  Benefit CI: 100,000 yuan, once in a lifetime, on a principal diagnosis that begins with C00, I21.
    There is no waiting period.

Plan B
  There is no limit over all expense benefits together.
  No hospital is covered.
  This plan has no benefits."""


def test_what_a_product_pays_in_words() -> None:
    assert explain_tables(TABLES, title="Title") == ENGLISH


def test_the_same_sentences_in_chinese() -> None:
    text = explain_tables(TABLES, lang="zh")
    assert len(text.splitlines()) == len(ENGLISH.splitlines())
    assert "员工,三级医院,已经医保结算:87.5%" in text
    assert "各项费用责任每个保险年度合计最多赔50,000.50元。" in text


def test_both_languages_have_every_phrase_with_the_same_slots() -> None:
    english, chinese = (PHRASES[lang] for lang in LANGUAGES)
    assert english.keys() == chinese.keys()
    slots = [
        {key: sorted(part.split("}")[0] for part in text.split("{")[1:]) for key, text in item.items()}
        for item in (english, chinese)
    ]
    assert slots[0] == slots[1]
