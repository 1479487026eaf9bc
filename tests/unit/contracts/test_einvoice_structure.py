"""Stage 1 of e-invoice validation: V01 to V05 and every fine point of them."""

import itertools
from typing import Any

import pytest

from contracts.einvoice import validate
from contracts.errors import InputError
from tests.support.invoices import INPATIENT, OUTPATIENT, VAT, build_red, build_request

ABSENT = object()
BLANKS = [ABSENT, None, "", " ", "\t\n", "\u3000", " \u3000\u00a0\u2003", [], {}]


def faults(invoice: dict[str, Any], **changes: Any) -> list[str]:
    changed = {key: value for key, value in {**invoice, **changes}.items() if value is not ABSENT}
    answer = validate(build_request(changed))
    assert answer["valid"] is (answer["violations"] == [])
    assert isinstance(answer["violations"], list)
    return list(answer["violations"])


@pytest.mark.parametrize("invoice", [OUTPATIENT, INPATIENT, VAT])
def test_a_sound_invoice_has_no_violation(invoice: dict[str, Any]) -> None:
    assert validate(build_request(invoice)) == {"valid": True, "violations": []}


@pytest.mark.parametrize("value", [*BLANKS, "paper", "Outpatient", "outpatient ", 1, True, ["vat"], {"a": 1}])
def test_v01_unknown_type_hides_everything_else(value: Any) -> None:
    assert faults(OUTPATIENT, type=value, code="x", total_fen="1") == ["V01"]


@pytest.mark.parametrize("value", ["RED", "green", 0, False, ["red"]])
def test_v01_unknown_kind_hides_everything_else(value: Any) -> None:
    assert faults(OUTPATIENT, kind=value, code="x", total_fen="1") == ["V01"]


@pytest.mark.parametrize("value", BLANKS)
def test_a_blank_kind_is_blue(value: Any) -> None:
    assert faults(OUTPATIENT, kind=value) == []


@pytest.mark.parametrize("field", ["institution_level", "insurance_type", "payment_mode"])
@pytest.mark.parametrize("value", ["4", "Item", 2, 0, True, ["1"], {"a": 1}])
def test_v01_unknown_choice_is_reported_beside_other_faults(field: str, value: Any) -> None:
    assert faults(OUTPATIENT, **{field: value}) == ["V01"]
    assert faults(OUTPATIENT, **{field: value}, number="1", payer_name=" ") == ["V01", "V02", "V03:payer_name"]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("institution_level", ["0", "1", "2", "3"]),
        ("insurance_type", ["employee", "resident", "other"]),
        ("check_code", ["000000", "999999", "zzzzzz", "ZZZZZZ", "aA0zZ9"]),
        ("code", ["00000000", "99999999"]),
        ("number", ["0000000000", "9999999999"]),
    ],
)
def test_every_sound_value_passes(field: str, values: list[str]) -> None:
    for value in values:
        assert faults(OUTPATIENT, **{field: value}) == []


def test_v01_choices_of_a_vat_invoice_are_not_looked_at() -> None:
    assert faults(VAT, institution_level="9", insurance_type="x", payment_mode="y", check_code="!") == []


@pytest.mark.parametrize("mode", ["item", "drg", "dip", "disease", "bed_day", *BLANKS])
def test_payment_mode_may_be_blank(mode: Any) -> None:
    assert faults(OUTPATIENT, payment_mode=mode) == []


BAD_FORMATS = [
    (
        "code",
        ["1101012", "110101211", "1101012x", "１１０１０１２１", " 11010121", "11010121\n", 11010121, 0, ["11010121"]],
    ),
    ("number", ["001234567", "00123456789", "00123456 8", 12345678.0, 1234567890, True]),
    ("check_code", ["a1B2c", "a1B2c34", "a1B2c_", "a1B2cé", 123456]),
]


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD_FORMATS for value in values])
def test_v02_medical_formats(field: str, value: Any) -> None:
    assert faults(OUTPATIENT, **{field: value}) == ["V02"]
    assert faults(INPATIENT, **{field: value}) == ["V02"]


@pytest.mark.parametrize(
    ("code", "number", "sound"),
    [
        ("0110022001", "01234567", True),
        ("011002200111", "01234567", True),
        ("", "2" * 20, True),
        (None, "2" * 20, True),
        (ABSENT, "2" * 20, True),
        ("\u3000", "2" * 20, True),
        ("0110022001", "2" * 20, False),
        ("", "01234567", False),
        ("01100220011", "01234567", False),
        ("0110022001", "012345678", False),
        ("011002200x", "01234567", False),
        (110022001, "01234567", False),
        (1100220011, "01234567", False),
        ("", int("2" * 20), False),
        (0, "2" * 20, False),
        ("", "2" * 19 + "x", False),
    ],
)
def test_v02_vat_code_and_number_belong_together(code: Any, number: Any, sound: bool) -> None:
    assert faults(VAT, code=code, number=number) == ([] if sound else ["V02"])


@pytest.mark.parametrize(("code", "expected"), [("0110022001", []), ("", []), ("011", ["V02"]), (5, ["V02"])])
def test_v02_vat_code_is_tested_alone_when_the_number_is_blank(code: Any, expected: list[str]) -> None:
    assert faults(VAT, code=code, number="\u3000") == [*expected, "V03:number"]


ALL = ["number", "issue_date", "payer_name", "items", "total_fen"]
MEDICAL = [
    *("code", "check_code", "institution_name", "institution_type", "institution_level", "insurance_type"),
    *("pooled_fund_fen", "other_payment_fen", "account_own_fen", "account_mutual_fen", "cash_fen"),
    *("self_pay_fen", "self_funded_fen", "insurance_no"),
]
REQUIRED = [
    (OUTPATIENT, [*ALL, *MEDICAL, "visit_date"]),
    (INPATIENT, [*ALL, *MEDICAL, "admission_date", "discharge_date", "inpatient_no"]),
    (VAT, [*ALL, "seller_name", "seller_tax_no", "net_fen", "tax_fen"]),
]


@pytest.mark.parametrize("blank", BLANKS)
def test_v03_every_required_field_alone(blank: Any) -> None:
    for invoice, fields in REQUIRED:
        for field in fields:
            assert faults(invoice, **{field: blank}) == [f"V03:{field}"], field


def test_v03_all_of_them_at_once_and_nothing_of_stage_2() -> None:
    for kind, (invoice, fields) in itertools.product(["blue", "red"], REQUIRED):
        bare = {"type": invoice["type"], "kind": kind}
        extra = ["reverses"] if kind == "red" else []
        assert faults(bare) == sorted(f"V03:{field}" for field in [*fields, *extra])


def test_v03_zero_and_false_are_not_blank() -> None:
    zeros = dict.fromkeys([field for field in OUTPATIENT if field.endswith("_fen")], 0)
    items = [OUTPATIENT["items"][1] | {"amount_fen": 0}]
    assert faults(OUTPATIENT, **zeros, items=items) == []
    assert faults(OUTPATIENT, payer_name=False) == []


def test_v03_insurance_no_is_asked_unless_self_pay() -> None:
    assert faults(OUTPATIENT, insurance_no=None) == ["V03:insurance_no"]
    assert faults(OUTPATIENT, insurance_no=None, insurance_type="") == ["V03:insurance_no", "V03:insurance_type"]
    assert faults(OUTPATIENT, insurance_no=None, insurance_type="x") == ["V01", "V03:insurance_no"]
    assert "V03:insurance_no" not in faults(OUTPATIENT, insurance_no=None, insurance_type="self_pay")
    assert faults(VAT, insurance_no=None) == []


@pytest.mark.parametrize("blank", BLANKS)
def test_v03_a_red_invoice_must_say_what_it_reverses(blank: Any) -> None:
    for invoice in (OUTPATIENT, INPATIENT, VAT):
        assert faults(build_red(invoice), reverses=blank) == ["V03:reverses"]


BAD_DATES = [
    "2022-02-29",
    "2022-2-28",
    "20220228",
    "2022-13-01",
    "2022-00-10",
    "2022-01-00",
    "2022-04-31",
    "0000-01-01",
]
BAD_DATES += ["2022-01-01T00:00:00", " 2022-01-01", "2022-01-01\n", "２０２２-01-01", "2022/01/01", "1900-02-29", "x"]


@pytest.mark.parametrize("value", [*BAD_DATES, 20220101, True, ["2022-01-01"], {"d": "2022-01-01"}, 1.5])
def test_v04_every_required_date(value: Any) -> None:
    for invoice in (OUTPATIENT, INPATIENT, VAT):
        dates = [field for field in invoice if field.endswith("_date")]
        for field in dates:
            assert faults(invoice, **{field: value}) == ["V04"], field


def test_v04_dates_that_the_type_does_not_require_are_not_looked_at() -> None:
    assert faults(OUTPATIENT, admission_date="x", discharge_date=5) == []
    assert faults(INPATIENT, visit_date="x") == []
    assert faults(VAT, visit_date="x") == []


@pytest.mark.parametrize("leap_day", ["2000-02-29", "2020-02-29", "1600-02-29"])
def test_v04_leap_days_are_real(leap_day: str) -> None:
    assert faults(OUTPATIENT, visit_date=leap_day) == []


@pytest.mark.parametrize("value", [100.0, True, False, "100", 1e3, [1], {"fen": 1}, "x"])
def test_v05_amounts_are_json_integers(value: Any) -> None:
    for invoice in (OUTPATIENT, INPATIENT, VAT):
        for field in [name for name in invoice if name.endswith("_fen")]:
            assert faults(invoice, **{field: value}) == ["V05"], field


@pytest.mark.parametrize("blank", BLANKS)
def test_v05_class_copay_may_be_blank_and_is_then_zero(blank: Any) -> None:
    assert faults(OUTPATIENT, class_copay_fen=blank) == []


def test_v05_amounts_of_the_other_type_are_not_looked_at() -> None:
    assert faults(VAT, cash_fen="x", class_copay_fen=1.5) == []
    assert faults(OUTPATIENT, net_fen="x", tax_fen=1.5) == []


@pytest.mark.parametrize("amount", [ABSENT, None, "", 1.0, True, "5"])
@pytest.mark.parametrize("difference", [True, False])
def test_v05_item_amounts_null_and_absent_included(amount: Any, difference: bool) -> None:
    item = {"name": "x", "code": "c", "class": "A", "self_ratio_bp": 0, "difference": difference}
    if amount is not ABSENT:
        item["amount_fen"] = amount
    assert faults(OUTPATIENT, items=[*OUTPATIENT["items"], item]) == ["V05"]


@pytest.mark.parametrize("items", ["text", 5, True, {"a": 1}, [None], ["x"], [[1]], [5], [{}]])
def test_v05_items_that_are_no_lines(items: Any) -> None:
    for invoice in (OUTPATIENT, INPATIENT, VAT):
        assert faults(invoice, items=items) == ["V05"]


def test_stage_1_faults_come_together_sorted_and_once() -> None:
    broken = {"code": "1", "number": 5, "issue_date": "x", "cash_fen": 1.5, "payer_name": "", "payment_mode": "?"}
    assert faults(OUTPATIENT, **broken) == ["V01", "V02", "V03:payer_name", "V04", "V05"]


def test_big_integers_stay_exact() -> None:
    big = 10**30
    item = OUTPATIENT["items"][1] | {"amount_fen": big}
    amounts = dict.fromkeys([field for field in OUTPATIENT if field.endswith("_fen")], 0)
    amounts |= {"total_fen": big, "pooled_fund_fen": big - 1, "other_payment_fen": 1}
    assert faults(OUTPATIENT, **amounts, items=[item]) == []


NO_REQUESTS = [
    (None, "type", ""),
    ([], "type", ""),
    ("x", "type", ""),
    ({}, "missing", "/invoice"),
    ({"invoice": None}, "type", "/invoice"),
    ({"invoice": [1]}, "type", "/invoice"),
    ({"invoice": "vat"}, "type", "/invoice"),
    ({"invoice": {}, "context": []}, "type", "/context"),
    ({"invoice": {}, "context": {"known": {"a": 1}}}, "type", "/context/known"),
    ({"invoice": {}, "context": {"as_of": 20220101}}, "type", "/context/as_of"),
    ({"invoice": {}, "context": {"as_of": "2022-02-30"}}, "date", "/context/as_of"),
]


@pytest.mark.parametrize(("request_", "code", "path"), NO_REQUESTS)
def test_what_is_no_request_is_an_input_error(request_: Any, code: str, path: str) -> None:
    with pytest.raises(InputError) as caught:
        validate(request_)
    assert (caught.value.code, caught.value.path) == (code, path)


@pytest.mark.parametrize("context", [ABSENT, None, {}, {"as_of": None, "known": None}, {"as_of": " ", "known": []}])
def test_the_context_may_be_absent(context: Any) -> None:
    request = {"invoice": OUTPATIENT} | ({} if context is ABSENT else {"context": context})
    assert validate(request)["valid"]
