"""Stage 2 of e-invoice validation: V06 to V18 and every fine point of them."""

from typing import Any

import pytest

from contracts.einvoice import validate
from tests.support.invoices import INPATIENT, OUTPATIENT, VAT, build_red, build_request

DIFFERENCE = {"name": "其他住院费用-差额结算", "amount_fen": 0, "difference": True}


def faults(
    invoice: dict[str, Any], *, known: list[Any] | None = None, as_of: Any = "2022-12-31", **changes: Any
) -> list[str]:
    return list(validate(build_request({**invoice, **changes}, known=known, as_of=as_of))["violations"])


def with_item(invoice: dict[str, Any], index: int, **changes: Any) -> dict[str, Any]:
    items = [dict(item) for item in invoice["items"]]
    items[index] |= changes
    return {**invoice, "items": items}


def without(item: dict[str, Any], field: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != field}


def test_v06_a_blue_header_amount_below_zero() -> None:
    changed = {"pooled_fund_fen": -1, "other_payment_fen": 22001}
    assert faults(OUTPATIENT, **changed) == ["V06"]
    assert faults(OUTPATIENT, class_copay_fen=-1) == ["V06"]


def test_v06_a_blue_ordinary_item_below_zero_but_a_difference_line_may_be() -> None:
    items = [
        *OUTPATIENT["items"],
        {**OUTPATIENT["items"][1], "amount_fen": -5},
        {**OUTPATIENT["items"][1], "amount_fen": 5},
    ]
    assert faults(OUTPATIENT, items=items) == ["V06"]
    assert faults(INPATIENT) == []
    above = with_item(with_item(INPATIENT, 4, amount_fen=5000), 0, amount_fen=20000)
    assert faults(above) == []


def test_v06_vat_items_are_ordinary() -> None:
    items = [{"name": "a", "amount_fen": 1131}, {"name": "b", "amount_fen": -1}]
    assert faults(VAT, items=items) == ["V06"]


def test_v06_red_signs_are_the_other_way_round() -> None:
    red = build_red(OUTPATIENT)
    assert faults(red, known=[OUTPATIENT]) == []
    shifted = {"pooled_fund_fen": 1, "other_payment_fen": -22001}
    assert faults(red, known=[OUTPATIENT], **shifted) == ["V06", "V17"]
    assert faults(with_item(with_item(red, 0, amount_fen=1), 1, amount_fen=-42001), known=[OUTPATIENT]) == ["V06"]
    assert faults(build_red(INPATIENT), known=[INPATIENT]) == []


@pytest.mark.parametrize("sign_free", ["true", 1, None, False, "是"])
def test_only_true_makes_a_difference_line(sign_free: Any) -> None:
    line = {"name": "其他住院费用-差额结算", "amount_fen": 0, "difference": sign_free}
    assert faults(INPATIENT, items=[*INPATIENT["items"], line]) == ["V11"]


def test_v07_issue_after_as_of() -> None:
    for invoice in (OUTPATIENT, INPATIENT, VAT):
        assert faults(invoice, as_of=invoice["issue_date"]) == []
        assert faults(invoice, as_of="2022-02-27") == ["V07"]
        for blank in (None, "", "\u3000"):
            assert faults(invoice, as_of=blank, issue_date="9999-12-31") == []


def test_v07_outpatient_visit_after_issue() -> None:
    assert faults(OUTPATIENT, visit_date="2022-02-28") == []
    assert faults(OUTPATIENT, visit_date="2022-03-01") == ["V07"]


@pytest.mark.parametrize(
    ("admitted", "discharged", "sound"),
    [
        ("2022-02-28", "2022-02-28", True),
        ("2022-02-21", "2022-02-20", False),
        ("2022-02-20", "2022-03-01", False),
        ("2022-03-02", "2022-03-01", False),
    ],
)
def test_v07_inpatient_order(admitted: str, discharged: str, sound: bool) -> None:
    assert faults(INPATIENT, admission_date=admitted, discharge_date=discharged) == ([] if sound else ["V07"])


def test_v08_and_v09_each_alone() -> None:
    assert faults(OUTPATIENT, pooled_fund_fen=20001) == ["V08"]
    assert faults(OUTPATIENT, self_pay_fen=18001) == ["V09"]
    assert faults(OUTPATIENT, cash_fen=15001) == ["V08", "V09"]
    assert faults(VAT, cash_fen=1, self_pay_fen=2) == []


def test_v10_counts_the_difference_line_and_applies_to_every_type() -> None:
    assert faults(with_item(OUTPATIENT, 0, amount_fen=30001)) == ["V10"]
    assert faults(with_item(INPATIENT, 4, amount_fen=-4999)) == ["V10"]
    assert faults(with_item(VAT, 0, amount_fen=1000)) == ["V10"]


@pytest.mark.parametrize(
    "change", [{"class": "D"}, {"class": "a"}, {"class": None}, {"class": ["A"]}, {"code": "\u3000"}, {"code": []}]
)
def test_v11_hides_the_item_from_v12_and_v14(change: dict[str, Any]) -> None:
    assert faults(with_item(OUTPATIENT, 0, **change, self_ratio_bp="odd")) == ["V11"]
    assert faults(with_item(OUTPATIENT, 2, **change, amount_fen=8000), self_funded_fen=10000) == ["V11"]


def test_v11_absent_class_or_code() -> None:
    for field in ("class", "code"):
        assert faults(OUTPATIENT, items=[without(OUTPATIENT["items"][0], field), *OUTPATIENT["items"][1:]]) == ["V11"]


def test_v11_to_v14_do_not_apply_to_vat_items() -> None:
    assert faults(with_item(VAT, 0, self_ratio_bp="x", **{"class": "Z"})) == []


@pytest.mark.parametrize(
    ("index", "ratio", "sound"),
    [
        (1, 0, True),
        (1, 1, False),
        (1, None, False),
        (1, False, False),
        (1, 0.0, False),
        (2, 10000, True),
        (2, 9999, False),
        (2, "10000", False),
        (0, 1, True),
        (0, 9999, True),
        (0, 0, False),
        (0, 10000, False),
        (0, True, False),
        (0, 500.0, False),
        (0, -1, False),
    ],
)
def test_v12_ratio_of_the_class(index: int, ratio: Any, sound: bool) -> None:
    assert faults(with_item(OUTPATIENT, index, self_ratio_bp=ratio)) == ([] if sound else ["V12"])


@pytest.mark.parametrize("index", [0, 1, 2])
def test_v12_an_absent_ratio_is_a_fault_also_for_class_a(index: int) -> None:
    items = list(OUTPATIENT["items"])
    items[index] = without(items[index], "self_ratio_bp")
    assert faults(OUTPATIENT, items=items) == ["V12"]


def test_v13_where_a_difference_line_may_stand() -> None:
    assert faults(OUTPATIENT, items=[*OUTPATIENT["items"], DIFFERENCE]) == ["V13"]
    assert faults(OUTPATIENT, items=[*OUTPATIENT["items"], DIFFERENCE], payment_mode="drg") == ["V13"]
    assert faults(VAT, items=[*VAT["items"], DIFFERENCE]) == ["V13"]
    for mode in ("item", None, "", "\u3000"):
        assert faults(INPATIENT, payment_mode=mode) == ["V13"]
    for mode in ("drg", "dip", "disease", "bed_day"):
        assert faults(INPATIENT, payment_mode=mode) == []


def test_v13_one_line_of_the_right_name() -> None:
    assert faults(INPATIENT, items=[*INPATIENT["items"], DIFFERENCE]) == ["V13"]
    for name in ("差额", None, "其他住院费用-差额结算 ", 5):
        assert faults(with_item(INPATIENT, 4, name=name)) == ["V13"]


def test_v14_class_c_items_within_the_self_funded_amount() -> None:
    more = {"self_funded_fen": 7999, "self_pay_fen": 20001}
    assert faults(OUTPATIENT, **more) == ["V14"]
    assert faults(OUTPATIENT, self_funded_fen=8000, self_pay_fen=20000) == []
    red = build_red(OUTPATIENT)
    assert faults({**red, **{key: -value for key, value in more.items()}}, known=[{**OUTPATIENT, **more}]) == ["V14"]


def test_v14_sums_ordinary_class_c_items_only() -> None:
    line = {**DIFFERENCE, "class": "C", "code": "X", "amount_fen": -5000}
    assert faults(INPATIENT, items=[*INPATIENT["items"][:4], line]) == []
    line["amount_fen"] = 90000
    assert "V14" not in faults(INPATIENT, items=[*INPATIENT["items"][:4], line])


def test_v14_class_copay_within_self_pay() -> None:
    assert faults(OUTPATIENT, class_copay_fen=18000) == []
    assert faults(OUTPATIENT, class_copay_fen=18001) == ["V14"]


def test_v15_self_pay_has_neither_fund_nor_self_pay_part() -> None:
    sound = {"insurance_type": "self_pay", "pooled_fund_fen": 0, "other_payment_fen": 22000}
    sound |= {"self_pay_fen": 0, "self_funded_fen": 28000, "class_copay_fen": 0}
    assert faults(OUTPATIENT, **sound) == []
    assert faults(OUTPATIENT, **{**sound, "pooled_fund_fen": 1, "other_payment_fen": 21999}) == ["V15"]
    assert faults(OUTPATIENT, **{**sound, "self_pay_fen": 1, "self_funded_fen": 27999}) == ["V15"]


def test_v16_same_code_and_number_whatever_the_rest() -> None:
    twin = {"type": "inpatient", "code": OUTPATIENT["code"], "number": OUTPATIENT["number"]}
    assert faults(OUTPATIENT, known=[twin]) == ["V16"]
    assert faults(OUTPATIENT, known=[{**twin, "number": "0012345670"}, {**twin, "code": "11010122"}]) == []
    assert faults(OUTPATIENT, known=[{**twin, "number": 12345678}, {**twin, "number": None}]) == []


@pytest.mark.parametrize("mine", ["", None, " ", "\u3000"])
@pytest.mark.parametrize("theirs", ["", None, [], "\u3000"])
def test_v16_blank_codes_are_equal(mine: Any, theirs: Any) -> None:
    assert faults(VAT, code=mine, known=[{"code": theirs, "number": VAT["number"]}]) == ["V16"]
    assert faults(VAT, code=mine, known=[{"number": VAT["number"]}]) == ["V16"]


@pytest.mark.parametrize("odd", [None, 5, "x", [], True, {}, {"number": []}, {"kind": [], "reverses": 5}])
def test_known_entries_of_any_shape_do_not_raise(odd: Any) -> None:
    assert faults(OUTPATIENT, known=[odd]) == []
    assert faults(build_red(OUTPATIENT), known=[odd, OUTPATIENT]) == []


def test_v17_blue_reverses_nothing() -> None:
    for reverses in ({"code": "1"}, "x", 0, False):
        assert faults(OUTPATIENT, reverses=reverses) == ["V17"]
    for reverses in (None, {}, [], "", "\u3000"):
        assert faults(OUTPATIENT, reverses=reverses) == []


def test_v17_red_names_a_known_blue_invoice_of_its_type() -> None:
    red = build_red(OUTPATIENT)
    for known in (
        [],
        [{**OUTPATIENT, "type": "inpatient"}],
        [{**OUTPATIENT, "kind": "red"}],
        [{**OUTPATIENT, "number": "1" * 10}],
    ):
        assert faults(red, known=known) == ["V17"]
    assert faults(red, known=[{**OUTPATIENT, "kind": None}]) == []
    for reverses in ("x", 5, ["x"], {"number": 5, "code": "x"}, {"code": OUTPATIENT["code"]}):
        assert faults(red, known=[OUTPATIENT], reverses=reverses) == ["V17"]


def test_v17_a_code_that_is_no_text_names_nothing() -> None:
    red = build_red(OUTPATIENT, reverses={"code": 5, "number": OUTPATIENT["number"]})
    assert faults(red, known=[{**OUTPATIENT, "code": 5}]) == ["V17"]


@pytest.mark.parametrize("blank", ["", None, " "])
def test_v17_blank_codes_are_equal(blank: Any) -> None:
    red = build_red(VAT, reverses={"code": blank, "number": VAT["number"]})
    assert faults(red, known=[{**VAT, "code": "\u3000"}]) == []


def test_v17_every_header_amount_is_the_exact_negative() -> None:
    for original in (OUTPATIENT, VAT):
        for field in [name for name in original if name.endswith("_fen")]:
            assert "V17" in faults(build_red(original), known=[{**original, field: original[field] + 1}]), field
    assert faults(build_red(OUTPATIENT), known=[OUTPATIENT], class_copay_fen=0) == ["V17"]
    assert faults(build_red(OUTPATIENT), known=[{**OUTPATIENT, "cash_fen": 15000.0}]) == ["V17"]


def test_v17_a_missing_amount_of_the_original_is_zero() -> None:
    bare = {key: value for key, value in OUTPATIENT.items() if key != "class_copay_fen"}
    assert faults(build_red(OUTPATIENT, class_copay_fen=0), known=[bare]) == []
    assert faults(build_red(OUTPATIENT, class_copay_fen=-1), known=[bare]) == ["V17"]
    assert faults(build_red(bare), known=[{**bare, "class_copay_fen": None}]) == []


def test_v17_of_several_originals_the_first_counts() -> None:
    other = {**OUTPATIENT, "cash_fen": 1}
    assert faults(build_red(OUTPATIENT), known=[OUTPATIENT, other]) == []
    assert faults(build_red(OUTPATIENT), known=[other, OUTPATIENT]) == ["V17"]
    assert faults(build_red(OUTPATIENT), known=[{**other, "type": "vat"}, {**other, "kind": "red"}, OUTPATIENT]) == []


def test_v17_reversed_once_only_but_the_same_key_is_v16_alone() -> None:
    red = build_red(OUTPATIENT)
    assert faults(red, known=[OUTPATIENT, {**red, "number": "8" * 10}]) == ["V17"]
    assert faults(red, known=[OUTPATIENT, red]) == ["V16"]
    assert faults(red, known=[OUTPATIENT, {**red, "number": "8" * 10, "kind": "blue"}]) == []
    elsewhere = {**red, "number": "8" * 10, "reverses": {"code": "x", "number": "y"}}
    assert faults(red, known=[OUTPATIENT, elsewhere]) == []


def test_v18_net_and_tax() -> None:
    assert faults(VAT, tax_fen=131) == ["V18"]
    assert faults(build_red(VAT), known=[VAT]) == []
    assert faults(OUTPATIENT, net_fen=1, tax_fen=1) == []


def test_rules_are_checked_each_by_itself() -> None:
    broken = {"cash_fen": -1, "class_copay_fen": 99999, "visit_date": "2023-01-01", "issue_date": "2023-01-02"}
    items = [{"amount_fen": 1, "difference": True}, {"amount_fen": 2}, {**OUTPATIENT["items"][0], "self_ratio_bp": 0}]
    found = faults(OUTPATIENT, **broken, items=items, reverses={"code": "a"}, known=[OUTPATIENT])
    assert found == ["V06", "V07", "V08", "V09", "V10", "V11", "V12", "V13", "V14", "V16", "V17"]
