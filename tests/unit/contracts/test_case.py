"""Input checking of a case: every code of the closed list, its path, and every default."""

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.case import MAX_CASE_BYTES, MAX_INVOICES, MAX_POLICIES, decode_case, encode_case, read_case
from contracts.errors import InputError
from contracts.inputs import ERROR_CODES, MAX_DEPTH, decode_document
from contracts.schema import MAX_TEXT

INVOICE: dict[str, Any] = {
    "type": "outpatient",
    "number": "1",
    "issue_date": "2022-05-05",
    "total_fen": 100,
    "institution_level": "2",
}
OP: dict[str, Any] = {"type": "outpatient_expense", "scope": "all", "ratios": [{"ratio_bp": 5000}]}
POLICY: dict[str, Any] = {
    "policy_no": "P",
    "insurer": "I",
    "relation": "employee",
    "first_effective": "2021-01-01",
    "periods": [
        {"id": "a", "start": "2022-01-01", "end": "2022-12-31", "plan": "A"},
        {"id": "b", "start": "2023-01-01", "end": "2023-12-31", "plan": "A"},
    ],
    "product": {"product_code": "X", "benefit_order": ["OP"], "plans": {"A": {"benefits": {"OP": OP}}}},
}
CASE: dict[str, Any] = {
    "claim": {"claim_no": "C", "diagnoses": ["J20"]},
    "stay": {"admission_date": "2022-05-05", "institution_level": "2"},
    "invoices": [INVOICE],
    "policies": [POLICY],
}
ABSENT = object()


def changed(path: str, value: Any) -> dict[str, Any]:
    """The sound case with one value set, added or taken away."""
    case = copy.deepcopy(CASE)
    *steps, last = path.strip("/").split("/")
    holder: Any = case
    for step in steps:
        holder = holder[int(step) if isinstance(holder, list) else step]
    if value is ABSENT:
        del holder[last]
    else:
        holder[int(last) if isinstance(holder, list) else last] = value
    return case


def fault_of(case: Any) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        read_case(case)
    assert caught.value.code in ERROR_CODES
    assert set(caught.value.as_dict()) == {"code", "detail", "path"}
    return caught.value.code, caught.value.path


REQUIRED = [
    *("/claim", "/policies", "/claim/claim_no", "/stay/admission_date", "/stay/institution_level"),
    *(f"/invoices/0/{name}" for name in INVOICE),
    *(f"/policies/0/{name}" for name in ("policy_no", "insurer", "relation", "first_effective", "product")),
    *(f"/policies/0/periods/1/{name}" for name in ("id", "start", "end", "plan")),
    "/policies/0/product/product_code",
    *(f"/policies/0/product/plans/A/benefits/OP/{name}" for name in ("type", "scope")),
    "/policies/0/product/plans/A/benefits/OP/ratios/0/ratio_bp",
]


@pytest.mark.parametrize("path", REQUIRED)
def test_a_required_field(path: str) -> None:
    assert fault_of(changed(path, ABSENT)) == ("missing", path)
    assert fault_of(changed(path, None)) == ("type", path)


FAULTS = [
    ("/claim", [], "type"),
    ("/claim/cause", "birth", "unknown_value"),
    ("/claim/cause", 1, "type"),
    ("/claim/diagnoses", "J20", "type"),
    ("/claim/diagnoses", [5], "type:/claim/diagnoses/0"),
    ("/claim/diagnoses", ["x" * (MAX_TEXT + 1)], "too_large:/claim/diagnoses/0"),
    ("/claim/first_onset", "2022-02-30", "date"),
    ("/claim/first_onset", 20220202, "type"),
    ("/claim/claimed_fen", 1.0, "type"),
    ("/claim/claimed_fen", "1", "type"),
    ("/claim/claimed_fen", 2**53, "range"),
    ("/claim/returned_count", True, "type"),
    ("/claim/returned_count", -1, "range"),
    ("/stay", "x", "type"),
    ("/stay/half_days", 0, "range"),
    ("/stay/discharge_date", "", "date"),
    ("/stay/institution_level", "4", "unknown_value"),
    ("/stay/institution_level", 3, "type"),
    ("/invoices", {}, "type"),
    ("/invoices", [INVOICE] * (MAX_INVOICES + 1), "too_large"),
    ("/invoices/0", None, "type"),
    ("/invoices/0/type", "paper", "unknown_value"),
    ("/invoices/0/kind", "green", "unknown_value"),
    ("/invoices/0/insurance_type", "none", "unknown_value"),
    ("/invoices/0/number", 1, "type"),
    ("/invoices/0/total_fen", -(2**53), "range"),
    ("/invoices/0/third_party", [{"amount_fen": "5"}], "type:/invoices/0/third_party/0/amount_fen"),
    ("/invoices/0/visit_date", "2022-2-2", "date"),
    ("/policies", [POLICY] * (MAX_POLICIES + 1), "too_large"),
    ("/policies/0/relation", "child", "unknown_value"),
    ("/policies/0/advance_fen", -1, "range"),
    ("/policies/0/prior_use", {"a": {"O/P~": {"paid_fen": -1}}}, "range:/policies/0/prior_use/a/O~1P~0/paid_fen"),
    (
        "/policies/0/prior_use",
        {"a": {"OP": {"day_paid_fen": {"x": 1}}}},
        "date:/policies/0/prior_use/a/OP/day_paid_fen/x",
    ),
    ("/policies/0/history", [{"icd": "I10", "declared": 0}], "type:/policies/0/history/0/declared"),
    ("/policies/0/used_invoices", [{}], "missing:/policies/0/used_invoices/0/number"),
    ("/policies/0/periods/1/plan", "B", "unknown_value"),
    ("/policies/0/periods/1/end", "2022-12-31", "range"),
    ("/policies/0/periods/1/start", "2022-12-31", "periods_overlap"),
    ("/policies/0/periods/1/id", "a", "periods_overlap"),
    ("/policies/0/product/pre_existing", "maybe", "unknown_value"),
    ("/policies/0/product/benefit_order", ["OP", "OP"], "unknown_value:/policies/0/product/benefit_order/1"),
    (
        "/policies/0/product/plans/A/covered_hospital_levels",
        ["5"],
        "unknown_value:/policies/0/product/plans/A/covered_hospital_levels/0",
    ),
    ("/policies/0/product/plans/A/benefits/OP/type", "gift", "unknown_value"),
    ("/policies/0/product/plans/A/benefits/OP/scope", "some", "unknown_value"),
    (
        "/policies/0/product/plans/A/benefits/OP/deductible",
        {"type": "weekly"},
        "unknown_value:/policies/0/product/plans/A/benefits/OP/deductible/type",
    ),
    (
        "/policies/0/product/plans/A/benefits/OP/deductible",
        {},
        "missing:/policies/0/product/plans/A/benefits/OP/deductible/type",
    ),
    ("/policies/0/product/plans/A/benefits/OP/annual_limit_fen", -5, "range"),
    ("/policies/0/product/plans/A/benefits/OP/ratios/0/ratio_bp", 10_001, "range"),
    ("/policies/0/product/plans/A/benefits/OP/ratios/0/relation", "all", "unknown_value"),
    ("/policies/0/product/plans/A/benefits/OP/ratios/0/social_settled", "yes", "type"),
    ("/policies/0/product/plans/A/benefits/OP/ratios", [], "no_ratio"),
    (
        "/policies/0/product/plans/A/benefits/OP/ratios/0/level",
        "3",
        "no_ratio:/policies/0/product/plans/A/benefits/OP/ratios",
    ),
]


@pytest.mark.parametrize(("path", "value", "expected"), FAULTS, ids=[f"{p} {e}" for p, _, e in FAULTS])
def test_a_fault_has_its_code_and_place(path: str, value: Any, expected: str) -> None:
    code, _, place = expected.partition(":")
    assert fault_of(changed(path, value)) == (code, place or path)


def test_what_is_no_case_at_all() -> None:
    for value in (None, [], "x", 5):
        assert fault_of(value) == ("type", "")
    assert fault_of({}) == ("missing", "/claim")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "json"),
        ("{", "json"),
        ("{}{}", "json"),
        ("{'a': 1}", "json"),
        ('{"claim": NaN}', "json"),
        ('{"claim": Infinity}', "json"),
        ('{"claim": {"a": 1, "a": 1}}', "json"),
        ('{"claim": "\\ud800"}', "json"),
        ('{"\\ud800": 1}', "json"),
        ("\ufeff{}", "json"),
        (b"\xff", "json"),
        (b"\xed\xa0\x80", "json"),
        ("9" * 10_000, "json"),
        ("[" * 100_000, "too_large"),
        ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "too_large"),
        (b" " * (MAX_CASE_BYTES + 1), "too_large"),
    ],
)
def test_what_is_no_document(text: str | bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        decode_case(text)
    assert caught.value.code == code


def test_defaults_are_filled_in_and_unknown_fields_dropped() -> None:
    case = read_case(changed("/invoices/0/items", [{"anything": 1.5}]))
    assert case["claim"] == {
        "claim_no": "C",
        "cause": "illness",
        "diagnoses": ["J20"],
        "first_onset": None,
        "diagnosis_date": None,
        "claimed_fen": None,
        "returned_count": 0,
    }
    invoice = case["invoices"][0]
    assert "items" not in invoice
    assert (invoice["kind"], invoice["code"], invoice["insurance_type"]) == ("blue", "", "self_pay")
    assert (invoice["pooled_fund_fen"], invoice["third_party"], invoice["visit_date"]) == (0, [], None)
    product = case["policies"][0]["product"]
    assert (product["pre_existing"], product["review_threshold_fen"], product["run_off_days"]) == (
        "exclude",
        500_000,
        0,
    )
    plan = product["plans"]["A"]
    assert (plan["annual_limit_fen"], plan["covered_hospital_levels"]) == (None, None)
    benefit = plan["benefits"]["OP"]
    assert (benefit["deductible"], benefit["vat"]) == ({"type": "none", "amount_fen": 0}, "exclude")
    assert benefit["ratios"] == [{"relation": None, "social_settled": None, "level": None, "ratio_bp": 5000}]


def test_null_is_absence_wherever_a_default_exists() -> None:
    nulled = copy.deepcopy(CASE)
    names = ["pooled_fund_fen", "third_party", "kind", "code", "insurance_type", "visit_date"]
    nulled["invoices"][0] |= dict.fromkeys(names)
    nulled["claim"] |= dict.fromkeys(["cause", "first_onset", "claimed_fen", "returned_count"])
    nulled["policies"][0] |= dict.fromkeys(["history", "prior_use", "advance_fen", "used_invoices"])
    nulled["policies"][0]["product"] |= dict.fromkeys(["pre_existing", "review_threshold_fen", "run_off_days"])
    assert read_case(nulled) == read_case(CASE)


def test_reading_again_changes_nothing() -> None:
    case = read_case(CASE)
    assert read_case(case) == case
    assert decode_case(encode_case(case)) == case


def test_fields_of_another_type_are_not_looked_at() -> None:
    vat = {"type": "vat", "number": "1", "issue_date": "2022-05-05", "total_fen": 1, "prescription": True}
    assert read_case(changed("/invoices/0", vat))["invoices"][0]["institution_level"] is None
    assert fault_of(changed("/invoices/0", vat | {"prescription": "yes"})) == ("type", "/invoices/0/prescription")
    assert read_case(changed("/invoices/0/prescription", "yes"))["invoices"][0]["prescription"] is False
    assert read_case(changed("/invoices/0/reverses", "x"))["invoices"][0]["reverses"] is None
    red = {**INVOICE, "kind": "red", "reverses": {"number": "0"}}
    assert read_case(changed("/invoices/0", red))["invoices"][0]["reverses"] == {"code": "", "number": "0"}
    assert fault_of(changed("/invoices/0", red | {"reverses": {}})) == ("missing", "/invoices/0/reverses/number")


def test_no_ratio_looks_at_invoices_that_could_be_paid_only() -> None:
    case = changed("/policies/0/product/plans/A/benefits/OP/ratios", [{"social_settled": True, "ratio_bp": 1}])
    at = "/policies/0/product/plans/A/benefits/OP/ratios"
    assert fault_of(case) == ("no_ratio", at)
    case["invoices"][0]["insurance_type"] = "other"
    read_case(case)
    vat = {"type": "vat", "number": "2", "issue_date": "2022-05-05", "total_fen": 1}
    case["invoices"].append(vat)
    read_case(case)
    case["policies"][0]["product"]["plans"]["A"]["benefits"]["OP"]["vat"] = "cover"
    assert fault_of(case) == ("no_ratio", at)
    case["invoices"].append({**INVOICE, "kind": "red", "number": "3", "reverses": {"number": "2"}})
    read_case(case)


def test_a_code_has_one_type_and_one_deductible_type_in_all_plans() -> None:
    for other in ({"type": "lump_sum", "amount_fen": 5}, {**OP, "deductible": {"type": "per_case"}}):
        case = changed("/policies/0/product/plans/B", {"benefits": {"OP": other}})
        assert fault_of(case) == ("unknown_value", "/policies/0/product/plans/B/benefits/OP")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PLACES = [*REQUIRED, *(path for path, _, _ in FAULTS)]


@given(st.sampled_from(PLACES), JSON)
def test_whatever_stands_anywhere_gives_a_case_or_an_input_error(path: str, value: Any) -> None:
    with contextlib.suppress(InputError):
        read_case(changed(path, value))


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: json.dumps(text).encode()[:-1]))
def test_whatever_bytes_come_give_a_value_or_an_input_error(data: bytes) -> None:
    with contextlib.suppress(InputError):
        decode_document(data)


@pytest.mark.parametrize("text", ['"\\\\ud800"', '"\\ud83d\\ude00"', '"\\u4e2d"', '"\\\\\\\\uDEAD"'])
def test_an_escape_that_only_looks_like_half_a_pair_is_text(text: str) -> None:
    assert decode_document(text) == json.loads(text)


@pytest.mark.parametrize("half", ["\\ud800", "\\uDFFF", "\\\\\\udbff", "a\\udc00\\ud83d"])
def test_half_a_pair_is_found_wherever_it_stands(half: str) -> None:
    for text in (f'"{half}"', f'[["{half}"]]', f'{{"{half}": 1}}', f'{{"a": {{"b": ["{half}"]}}}}'):
        with pytest.raises(InputError) as caught:
            decode_document(text)
        assert caught.value.code == "json"
