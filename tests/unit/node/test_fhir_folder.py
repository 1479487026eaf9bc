"""Stays from folders of FHIR NDJSON: the written rules, foreign shapes, broken lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from node.interop.fhir_folder import MAX_LINE_BYTES, FolderError, read_folder


def encounter(**changes: Any) -> dict[str, Any]:
    base = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "class": {"code": "IMP"},
        "subject": {"reference": "Patient/p1"},
        "serviceProvider": {"reference": "urn:uuid:h1"},
        "period": {"start": "2020-12-30T23:30:00+08:00", "end": "2021-01-02T05:00:00+08:00"},
        "reasonCode": [{"coding": [{"system": "http://snomed.info/sct", "code": "444470001"}]}],
    }
    return base | changes


def claim(identifier: str = "c1", **changes: Any) -> dict[str, Any]:
    base = {
        "resourceType": "Claim",
        "id": identifier,
        "status": "active",
        "use": "claim",
        "type": {"coding": [{"code": "institutional"}]},
        "created": "2021-01-02T05:00:00+08:00",
        "insurance": [{"focal": True, "coverage": {"display": "private"}}],
        "item": [{"encounter": [{"reference": "Encounter/e1"}]}],
        "total": {"value": 100.5, "currency": "EUR"},
    }
    return base | changes


def write(folder: Path, *resources: dict[str, Any], name: str = "export.ndjson", text: str | None = None) -> Path:
    lines = "".join(json.dumps(item) + "\n" for item in resources)
    (folder / name).write_text(lines if text is None else text, encoding="utf-8")
    return folder


def test_stay_keeps_its_own_dates_currency_and_codes(tmp_path: Path) -> None:
    folder = read_folder(write(tmp_path, encounter(), claim()))
    (stay,) = folder.stays
    assert (stay.admission_date, stay.discharge_date, stay.half_days) == ("2020-12-30", "2021-01-02", 4)
    assert stay.diagnoses == ("SCT-444470001",)
    assert stay.hospital_id == "h1"
    assert stay.patient_id == "p1"
    assert [(bill.total, bill.currency, bill.payer) for bill in stay.bills] == [(10050, "EUR", "private")]
    assert stay.reason is None


def test_diagnoses_come_from_wherever_the_source_says_them(tmp_path: Path) -> None:
    condition = {"resourceType": "Condition", "id": "d1", "code": {"coding": [{"code": "K35.8"}]}}
    named = {"diagnosisCodeableConcept": {"coding": [{"code": "N84.0"}]}}
    bill = claim(diagnosis=[named, {"diagnosisReference": {"reference": "Condition/d1"}}])
    stay_of = encounter(reasonCode=[], diagnosis=[{"condition": {"reference": "Condition/d1"}}])
    write(tmp_path, stay_of, bill, condition)
    assert read_folder(tmp_path).stays[0].diagnoses == ("N84.0", "K35.8")


def test_a_stay_without_a_diagnosis_says_what_it_was_for(tmp_path: Path) -> None:
    write(tmp_path, encounter(reasonCode=[], type=[{"text": "Encounter for problem"}]), claim())
    assert read_folder(tmp_path).stays[0].diagnoses == ("Encounter for problem",)


@pytest.mark.parametrize(
    ("written", "minor"),
    [("12757.864000000001", 1275786), ("0.005", 1), ("0.0049999999999999999", 0), ("1e2", 10000), ("255", 25500)],
)
def test_amounts_are_exact_decimals_rounded_half_up_once(tmp_path: Path, written: str, minor: int) -> None:
    text = json.dumps(claim()).replace("100.5", written)
    write(tmp_path, encounter(), name="Encounter.ndjson")
    write(tmp_path, name="Claim.ndjson", text=text)
    assert read_folder(tmp_path).stays[0].bills[0].total == minor


def test_currency_without_minor_unit(tmp_path: Path) -> None:
    write(tmp_path, encounter(), claim(total={"value": 5000, "currency": "JPY"}))
    assert read_folder(tmp_path).stays[0].bills[0].total == 5000


def test_unstated_currency_is_not_invented(tmp_path: Path) -> None:
    write(tmp_path, encounter(), claim(total={"value": 5}))
    assert read_folder(tmp_path).stays[0].bills[0].currency == "XXX"


def test_pharmacy_bill_is_no_duplicate_of_the_stay(tmp_path: Path) -> None:
    pharmacy = claim("c0", prescription={"reference": "urn:uuid:m1"})
    write(tmp_path, encounter(), claim(), pharmacy, claim())
    bills = read_folder(tmp_path).stays[0].bills
    assert [(bill.claim_id, bill.pharmacy) for bill in bills] == [("c1", False), ("c0", True)]


@pytest.mark.parametrize("payer", ["no_insurance", "NO_INSURANCE", "self-pay"])
def test_no_insurance_is_no_payer(tmp_path: Path, payer: str) -> None:
    write(tmp_path, encounter(), claim(insurance=[{"focal": True, "coverage": {"display": payer}}]))
    assert not read_folder(tmp_path).stays[0].insured


def test_public_payment_comes_from_the_explanation(tmp_path: Path) -> None:
    explanation = {
        "resourceType": "ExplanationOfBenefit",
        "id": "x1",
        "claim": {"reference": "Claim/c1"},
        "payment": {"amount": {"value": 60.125, "currency": "EUR"}},
    }
    write(tmp_path, encounter(), claim(insurance=[{"coverage": {"display": "medicare"}}]), explanation)
    stay = read_folder(tmp_path).stays[0]
    assert stay.public
    assert stay.bills[0].paid_public == 6013


def test_an_explanation_stands_for_a_bill_that_the_source_does_not_hold(tmp_path: Path) -> None:
    category = {"coding": [{"code": "submitted"}]}
    explanation = {
        "resourceType": "ExplanationOfBenefit",
        "id": "x1",
        "status": "active",
        "use": "claim",
        "type": {"coding": [{"code": "institutional"}]},
        "claim": {"reference": "Claim/elsewhere"},
        "insurance": [{"focal": True, "coverage": {"display": "private"}}],
        "item": [{"encounter": [{"reference": "Encounter/e1"}]}],
        "total": [
            {"amount": {"value": 9, "currency": "EUR"}},
            {"category": category, "amount": {"value": 7, "currency": "EUR"}},
        ],
    }
    write(tmp_path, encounter(), explanation)
    (stay,) = read_folder(tmp_path).stays
    assert [(bill.claim_id, bill.total, bill.payer) for bill in stay.bills] == [("x1", 700, "private")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "in-progress"}, "NOT_DISCHARGED"),
        ({"period": {"start": "2020-12-30"}}, "NOT_DISCHARGED"),
        ({"period": {"start": "2020-12-30", "end": "2020-12-29"}}, "DISCHARGE_BEFORE_ADMISSION"),
        ({"period": {}}, "NO_ADMISSION_DATE"),
        ({"id": "other"}, "NO_INVOICE"),
    ],
)
def test_stay_that_cannot_become_a_claim_says_why(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    write(tmp_path, encounter(**changes), claim())
    assert read_folder(tmp_path).stays[0].reason == reason


def test_cancelled_claims_and_other_uses_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, encounter(), claim(status="cancelled"), claim("c2", use="preauthorization"))
    assert read_folder(tmp_path).stays[0].reason == "NO_INVOICE"


def test_ambulatory_visits_are_counted_apart(tmp_path: Path) -> None:
    folder = read_folder(write(tmp_path, encounter(), encounter(id="e2", **{"class": {"code": "AMB"}})))
    assert (len(folder.stays), folder.passed_over) == (1, 1)


def test_broken_lines_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    good = json.dumps(encounter())
    text = "\n".join(['{"resourceType":', "[]", '{"resourceType":"Encounter"}', '{"resourceType":"Basic"}', "", good])
    folder = read_folder(write(tmp_path, text=text))
    assert [(line, code) for _, line, code in folder.faults] == [(1, "json"), (2, "no_resource"), (3, "no_id")]
    assert len(folder.stays) == 1


def test_overlong_line_is_refused_without_reading_it_whole(tmp_path: Path) -> None:
    text = '{"resourceType":"Encounter","id":"' + "x" * MAX_LINE_BYTES + '"}\n' + json.dumps(encounter())
    folder = read_folder(write(tmp_path, text=text))
    assert "line_too_long" in {code for _, _, code in folder.faults}
    assert [stay.encounter_id for stay in folder.stays] == ["e1"]


@pytest.mark.parametrize("odd", [None, 5, "x", [], {"value": "abc"}, {"value": True}, {"value": None}])
def test_odd_shapes_never_crash(tmp_path: Path, odd: Any) -> None:
    write(tmp_path, encounter(reasonCode=odd, subject=odd, serviceProvider=odd), claim(total=odd, insurance=odd))
    assert len(read_folder(tmp_path).stays) == 1


def test_missing_folder_and_folder_without_encounters(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="not_a_folder"):
        read_folder(tmp_path / "absent")
    with pytest.raises(FolderError, match="no_encounters"):
        read_folder(write(tmp_path, claim()))
