"""Cases from documents, accounts after outcomes, and what a commission checks: pure functions, table by table."""

import copy
from typing import Any

import pytest

from contracts.case import Case, encode_case
from contracts.cases.accounts import advance_account, empty_use
from contracts.cases.building import PolicyInput, build_case, event_date_of
from contracts.cases.documents import Record, invoice_count, read_record
from contracts.cases.errors import CaseError
from contracts.cases.evidence import (
    FOREIGN_INVOICE,
    date_of,
    find_faults,
    identity_message,
    invoice_identity,
    profile_of,
)
from contracts.cases.openings import end_to_end_id
from contracts.cases.outcomes import read_adjudication
from contracts.machine.evaluation import LoadedProgram, load_program
from ledger.encoding import decode
from node.machine.programs import standard_program
from tests.support.agent_world import admission, discharge, invoice, standard_policy, standard_product
from tests.support.network_builder import make_hex

CASE_ID = make_hex("case")
CLAIM_ID = make_hex("claim")


@pytest.fixture(scope="module")
def program() -> LoadedProgram:
    return load_program(standard_program())


def records_of(*documents: tuple[str, dict[str, Any]]) -> list[Record]:
    """Records in the order given; their ids ascend with it."""
    return [
        Record(f"{position:064x}", kind, document, make_hex(f"secret {position}"))
        for position, (kind, document) in enumerate(documents)
    ]


def policy_of(product: dict[str, Any] | None = None, **use: Any) -> PolicyInput:
    terms = standard_policy("insurer")["terms"] | {"policy_id": "ab" * 16}
    account = {"salt": "00" * 32, "account_id": "cd" * 16, "version": 3, "use": empty_use() | use}
    return PolicyInput("ab" * 16, terms, product or standard_product(), account)


def run(program: LoadedProgram, case: Case) -> Any:
    found = program.explain(encode_case(case))
    return read_adjudication(case, decode(found.result.encode()), decode((found.trace or "[]").encode()))


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(CaseError) as caught:
        call(*arguments)
    return caught.value.code


# --- the case


def test_a_case_holds_what_adjudication_looks_at_and_nobodys_name() -> None:
    case = build_case(CLAIM_ID, records_of(admission(), discharge(), invoice()), [policy_of()], {})
    text = encode_case(case)
    assert case["claim"]["diagnoses"] == ["N84.000"]
    assert case["stay"]["admission_date"] == "2021-12-03"
    assert case["invoices"][0]["total_fen"] == 205_000
    assert case["invoices"][0]["third_party"] == []
    assert "测试" not in text
    assert "T-1" not in text


def test_the_same_records_in_another_order_give_the_same_case() -> None:
    held = records_of(discharge(), invoice(1), invoice(2))
    assert build_case("c", held, [policy_of()], {}) == build_case("c", held[::-1], [policy_of()], {})


def test_what_better_ranks_paid_stands_on_its_invoice_and_never_comes_from_a_document() -> None:
    held = records_of(discharge(), invoice(1), invoice(2, earlier_paid_fen=7))
    case = build_case("c", held, [policy_of()], {held[1].record_id: 150_000})
    assert [item["earlier_paid_fen"] for item in case["invoices"]] == [150_000, 0]


@pytest.mark.parametrize(
    ("documents", "code"),
    [
        ([invoice()], "NO_DISCHARGE"),
        ([discharge()], "NO_INVOICE"),
        ([discharge(), invoice(currency="EUR")], "CURRENCY_MISMATCH"),
        ([discharge(), invoice(), invoice(2, currency="EUR")], "CURRENCY_MISMATCH"),
        ([discharge(first_onset="yesterday"), invoice()], "DOCUMENT_FORM"),
        ([discharge(), invoice(total_fen="2050.00")], "DOCUMENT_FORM"),
    ],
)
def test_documents_that_make_no_case_are_named(documents: Any, code: str) -> None:
    assert code_of(build_case, "c", records_of(*documents), [policy_of()], {}) == code


def test_the_event_date_is_the_admission_else_the_earliest_visit() -> None:
    assert event_date_of(records_of(discharge(), invoice())) == "2021-12-03"
    kind, document = discharge()
    visits = [invoice(1, type="outpatient", visit_date="2021-05-02"), invoice(2, type="outpatient")]
    assert event_date_of(records_of((kind, document | {"stay": None}), *visits)) == "2021-05-02"


def test_records_are_read_whole_or_not_at_all() -> None:
    content = {"document": {}, "secret": "ab", "record_type": "invoice", "case_id": "", "consent_id": ""}
    assert read_record("r", content).record_type == "invoice"
    for broken in (None, [], content | {"document": 1}, content | {"record_type": "letter"}, content | {"secret": 1}):
        assert code_of(read_record, "r", broken) == "DOCUMENT_FORM"
    assert invoice_count({}) == 1
    for count in (0, True, "2", 1.5):
        assert code_of(invoice_count, {"invoice_count": count}) == "DOCUMENT_FORM"


# --- the account


def test_a_deductible_of_two_years_is_booked_year_by_year(program: LoadedProgram) -> None:
    product = standard_product()
    product["plans"]["STD"]["benefits"]["IP"]["deductible"] = {"type": "per_family_year", "amount_fen": 10_000}
    stay = {"first": "2021-12-30", "last": "2022-01-03"}
    case = build_case("c", records_of(discharge(**stay), invoice(**stay)), [policy_of(product)], {})
    adjudication = run(program, case)
    after = advance_account(empty_use(), case, 0, adjudication.results[0], adjudication.trace)
    assert after["family_deductible_used_fen"] == {"2021": {"IP": 10_000}, "2022": {"IP": 10_000}}
    assert after["prior_use"]["2021"]["IP"]["deductible_used_fen"] == 10_000
    paid = adjudication.results[0]["benefits"][0]["by_period"]
    assert {year: after["prior_use"][year]["IP"]["paid_fen"] for year in paid} == paid
    assert after["lifetime_paid_fen"]["IP"] == sum(paid.values())


def test_outpatient_payments_are_booked_by_day(program: LoadedProgram) -> None:
    product = standard_product()
    visit = {
        "type": "outpatient_expense",
        "scope": "all",
        "ratios": [{"ratio_bp": 5000}],
        "deductible": {"type": "per_year", "amount_fen": 10_000},
        "per_day_limit_fen": 30_000,
    }
    product |= {"benefit_order": ["OP"], "plans": {"STD": {"benefits": {"OP": visit}}}}
    kind, document = discharge()
    visits = [invoice(n, type="outpatient", visit_date=f"2021-05-0{n}", pooled_fund_fen=0) for n in (1, 2)]
    held = records_of((kind, document | {"stay": None}), *visits)
    case = build_case("c", held, [policy_of(product)], {})
    adjudication = run(program, case)
    after = advance_account(empty_use(), case, 0, adjudication.results[0], adjudication.trace)
    entry = after["prior_use"]["2021"]["OP"]
    assert entry["deductible_used_fen"] == 10_000
    assert entry["day_paid_fen"] == {"2021-05-01": 30_000, "2021-05-02": 30_000}
    assert len(after["used_invoices"]) == 2


def test_the_next_case_sees_what_the_account_says(program: LoadedProgram) -> None:
    held = records_of(discharge(), invoice())
    case = build_case("c", held, [policy_of()], {})
    adjudication = run(program, case)
    after = advance_account(empty_use(), case, 0, adjudication.results[0], adjudication.trace)
    again = run(program, build_case("c", held, [policy_of(**after)], {}))
    assert again.results[0]["benefits"][0]["reasons"] == ["DUPLICATE_INVOICE"]


def test_a_declined_case_uses_nothing_and_leaves_the_input_alone(program: LoadedProgram) -> None:
    product = standard_product(excluded_icd_prefixes=["N84"])
    before = empty_use() | {"lifetime_paid_fen": {"IP": 5}}
    kept = copy.deepcopy(before)
    case = build_case("c", records_of(discharge(), invoice()), [policy_of(product, **before)], {})
    adjudication = run(program, case)
    after = advance_account(before, case, 0, adjudication.results[0], adjudication.trace)
    assert adjudication.results[0]["decision"] == "declined"
    assert after == before == kept


@pytest.mark.parametrize("drop", ["allowance", "share"])
def test_an_explanation_that_does_not_add_up_is_refused(program: LoadedProgram, drop: str) -> None:
    product = standard_product()
    product["plans"]["STD"]["benefits"]["IP"]["deductible"] = {"type": "per_year", "amount_fen": 100}
    case = build_case("c", records_of(discharge(), invoice()), [policy_of(product)], {})
    adjudication = run(program, case)
    trace = [step for step in adjudication.trace if step["what"] != drop]
    assert code_of(advance_account, empty_use(), case, 0, adjudication.results[0], trace) == "UNEXPLAINED"
    assert code_of(advance_account, empty_use(), case, 0, {"benefits": [{}]}, trace) == "UNEXPLAINED"


@pytest.mark.parametrize("output", [None, {}, {"results": []}, {"results": [{}]}, {"results": [1]}])
def test_what_is_no_result_is_refused(output: Any) -> None:
    case = build_case("c", records_of(discharge(), invoice()), [policy_of()], {})
    assert code_of(read_adjudication, case, output, []) == "RESULT_FORM"


# --- evidence


def test_block_time_is_dated_in_the_regions_zone() -> None:
    last_second = 1_640_966_399_000
    assert date_of(last_second, 480) == "2021-12-31"
    assert date_of(last_second + 1_000, 480) == "2022-01-01"
    assert date_of(last_second + 1_000, 0) == "2021-12-31"


@pytest.mark.parametrize(
    ("record_type", "document", "faults"),
    [
        ("admission", admission()[1], []),
        ("admission", {}, ["ADMISSION_DATE"]),
        ("admission", admission("2023-01-02")[1], ["ADMISSION_DATE"]),
        ("discharge", discharge()[1], []),
        ("discharge", discharge(diagnoses=[])[1], ["DIAGNOSES"]),
        ("discharge", discharge(stay=None)[1], ["STAY"]),
        ("discharge", discharge(first="2021-12-07")[1], ["STAY_DATES"]),
        ("discharge", discharge(invoice_count=0)[1], ["INVOICE_COUNT"]),
        ("charges", {"items": [{"amount_fen": 1}]}, []),
        ("charges", {"items": []}, ["CHARGE_ITEMS"]),
        ("invoice", invoice()[1], []),
        ("invoice", invoice(number=1)[1] | {"number": "1"}, ["V02"]),
        ("invoice", invoice(last="2023-06-01")[1], ["V07"]),
    ],
)
def test_records_are_checked_by_their_profile(record_type: str, document: Any, faults: list[str]) -> None:
    assert find_faults(record_type, document, "2023-01-01", []) == faults


def test_a_known_copy_is_the_ledgers_to_refuse() -> None:
    _, document = invoice()
    assert find_faults("invoice", document, "2023-01-01", [document]) == []


def foreign(**changes: Any) -> dict[str, Any]:
    document = {
        "profile": FOREIGN_INVOICE,
        "type": "inpatient",
        "number": "inv-00 17/a",
        "issuer": "St. Mary Hospital",
        "issue_date": "2021-12-06",
        "admission_date": "2021-12-03",
        "discharge_date": "2021-12-06",
        "total_fen": 120_000,
        "pooled_fund_fen": 20_000,
        "currency": "EUR",
        "items": [{"name": "bed", "amount_fen": 120_000}],
    }
    return document | changes


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"kind": "red"}, "F01"),
        ({"number": " - "}, "F02"),
        ({"issuer": None}, "F03"),
        ({"issue_date": "2021-12-05"}, "F04"),
        ({"issue_date": "2023-12-06"}, "F04"),
        ({"total_fen": -1}, "F05"),
        ({"total_fen": 1.5}, "F05"),
        ({"items": [1]}, "F05"),
        ({"pooled_fund_fen": 130_000}, "F06"),
        ({"currency": "euro"}, "F07"),
        ({"items": [{"amount_fen": 1}]}, "F08"),
    ],
)
def test_foreign_bills_have_rules_of_their_own(changes: dict[str, Any], fault: str) -> None:
    assert profile_of("invoice", foreign()) == FOREIGN_INVOICE
    assert find_faults("invoice", foreign(), "2023-01-01", []) == []
    assert find_faults("invoice", foreign(**changes), "2023-01-01", []) == [fault]


def test_one_invoice_has_one_identity_however_it_is_dressed() -> None:
    _, document = invoice()
    assert invoice_identity(document) == ("medical", "33060121", "0000000001")
    assert identity_message(document) == identity_message(document | {"type": "outpatient"})
    assert invoice_identity(foreign()) == ("foreign", "STMARYHOSPITAL", "INV0017A")
    assert identity_message(foreign()) == identity_message(foreign(number="INV 0017-A", issuer="st mary hospital"))
    assert identity_message(foreign()) != identity_message(foreign(issuer="St. Mark Hospital"))
    assert invoice_identity({"type": "vat", "number": "2" * 20}) == ("vat", "", "2" * 20)


def test_the_banks_name_of_a_payout_is_short_and_always_the_same() -> None:
    assert end_to_end_id(CLAIM_ID) == end_to_end_id(CLAIM_ID)
    assert len(end_to_end_id(CLAIM_ID)) == 32
    assert end_to_end_id(CLAIM_ID) != end_to_end_id(CASE_ID)
