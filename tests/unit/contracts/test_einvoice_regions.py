"""E-invoices before and after their region's day, and counts of faults."""

from typing import Any

import pytest

from contracts.einvoice import validate
from contracts.einvoice_errors import JudgedInvoice, count_errors
from contracts.einvoice_regions import EFFECTIVE, is_tolerant, validate_in_region
from contracts.errors import InputError
from tests.support.invoices import INPATIENT, OUTPATIENT, VAT, build_red, build_request

GUANGXI = {**OUTPATIENT, "code": "45060122", "visit_date": "2022-09-29"}


def answer(before: str = "2022-09-30", **changes: Any) -> dict[str, Any]:
    return validate_in_region(build_request({**GUANGXI, "issue_date": before, **changes}))


WRONG_SUM = {"cash_fen": OUTPATIENT["cash_fen"] + 1}


@pytest.mark.parametrize(
    ("issued", "violations", "warnings"),
    [("2022-09-30", [], ["V08", "V09"]), ("2022-10-01", ["V08", "V09"], [])],
)
def test_the_day_of_issue_decides(issued: str, violations: list[str], warnings: list[str]) -> None:
    assert answer(issued, **WRONG_SUM) == {"valid": not violations, "violations": violations, "warnings": warnings}


@pytest.mark.parametrize("field", ["institution_type", "insurance_no"])
def test_a_gap_on_the_face_is_a_warning_and_hides_nothing(field: str) -> None:
    assert answer(**{field: ""})["warnings"] == [f"V03:{field}"]
    both = answer(**{field: ""}, **WRONG_SUM)
    assert (both["valid"], both["warnings"]) == (True, [f"V03:{field}", "V08", "V09"])
    assert answer(**{field: ""}, total_fen=-1)["violations"] == ["V06"]
    assert answer(**{field: ""}, reverses={"code": "45060122", "number": "0000000001"})["violations"] == ["V17"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "other"}, "V01"),
        ({"check_code": "?"}, "V02"),
        ({"institution_level": ""}, "V03:institution_level"),
        ({"self_funded_fen": None}, "V03:self_funded_fen"),
        ({"visit_date": "2022-09-31"}, "V04"),
        ({"total_fen": "1"}, "V05"),
        ({"visit_date": "2022-10-01"}, "V07"),
    ],
)
def test_what_leaves_no_usable_invoice_refuses_on_every_day(changes: dict[str, Any], code: str) -> None:
    assert code in answer(**changes)["violations"]


def test_duplicates_and_false_reversals_refuse_on_every_day() -> None:
    early = {**GUANGXI, "issue_date": "2022-09-30"}
    assert validate_in_region(build_request(early, known=[early]))["violations"] == ["V16"]
    red = {**build_red(early), "number": "0000000009", "total_fen": -1}
    assert "V17" in validate_in_region(build_request(red, known=[early]))["violations"]


def test_regions_without_a_row_and_vat_keep_every_rule() -> None:
    elsewhere = build_request({**GUANGXI, "code": "33060122", "issue_date": "2022-09-30", **WRONG_SUM})
    assert validate_in_region(elsewhere)["warnings"] == []
    assert validate_in_region(elsewhere, "45")["warnings"] == ["V08", "V09"]
    tax = build_request({**VAT, "tax_fen": 0})
    assert validate_in_region(tax, "45")["violations"] == ["V18"]


def test_a_date_before_the_codes_year_is_not_believed() -> None:
    assert not is_tolerant({**GUANGXI, "code": "45060123", "issue_date": "2022-09-30"}, "45")
    assert is_tolerant({**GUANGXI, "code": "45060121", "issue_date": "2022-09-30"}, "45")
    assert not is_tolerant({**GUANGXI, "issue_date": "2022-09-31"}, "45")


def test_the_table_names_provinces_and_real_dates() -> None:
    assert all(len(region) == 2 and region.isdigit() for region in EFFECTIVE)
    with pytest.raises(InputError):
        validate_in_region({"invoice": GUANGXI, "context": {"region": 45}})


@pytest.mark.parametrize("invoice", [OUTPATIENT, INPATIENT, VAT, {}, {**OUTPATIENT, "cash_fen": 0}])
def test_refusals_and_warnings_together_are_the_rules(invoice: dict[str, Any]) -> None:
    for region in (None, "45", "33"):
        found = validate_in_region(build_request(invoice), region)
        assert sorted([*found["violations"], *found["warnings"]]) == validate(build_request(invoice))["violations"]


def test_counts_by_hospital_and_month() -> None:
    judged = [
        JudgedInvoice("h1", "2022-09", "accepted"),
        JudgedInvoice("h1", "2022-09", "warned", ("V08", "V09")),
        JudgedInvoice("h1", "2022-09", "refused", ("V08",)),
        JudgedInvoice("h1", "2022-10", "refused", ("V03:insurance_no",)),
        JudgedInvoice("h0", "2022-10", "refused", ("DUPLICATE_OF",)),
    ]
    rows = count_errors(judged)
    assert [(row.month, row.hospital, row.invoices, row.warned, row.refused) for row in rows] == [
        ("2022-09", "h1", 3, 1, 1),
        ("2022-10", "h0", 1, 0, 1),
        ("2022-10", "h1", 1, 0, 1),
    ]
    assert rows[0].codes == {"V08": 2, "V09": 1}
    assert count_errors(judged[2:], count_errors(judged[:2])) == rows == count_errors(reversed(judged))
