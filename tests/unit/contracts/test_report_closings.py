"""Closing exports and fee statements: mappings with faults, forms of cells, whole rates times whole counts."""

from typing import Any

import pytest
from msgspec.structs import replace

from contracts.errors import InputError
from contracts.reports.closings import MAX_SHOWN, MAX_WORDS, ClosedClaim, read_mapping, render_row
from contracts.reports.fees import build_statement, read_rates

CLOSED = ClosedClaim(
    batch="20260131",
    number=17,
    supplements=("1", "2"),
    claim_id="ab" * 32,
    case_id="cd" * 32,
    insurer="insurer",
    hospitals=("h-one", "h-two"),
    status="CLOSED",
    attempt=1,
    lane="flash",
    decision="approved",
    reasons=("DAY_LIMIT",),
    review_reasons=(),
    policy_nos=("P-1",),
    payouts=(),
    human_steps=0,
    claimed_fen=250_005,
    payable_fen=100,
    currency="CNY",
    reported_ms=1_769_788_800_000,
    accepted_ms=None,
    ready_ms=None,
    decided_ms=None,
    closed_ms=1_769_875_199_999,
)


def render(*columns: dict[str, Any], claim: ClosedClaim = CLOSED, offset: int = 480) -> list[str]:
    return list(render_row(claim, read_mapping({"column": list(columns)}), offset).values())


def test_columns_come_in_their_order_and_forms() -> None:
    assert render(
        {"name": "序列号", "field": "sequence"},
        {"name": "补件", "field": "supplements"},
        {"name": "金额", "field": "claimed_fen", "form": "yuan"},
        {"name": "分", "field": "payable_fen", "form": "fen"},
        {"name": "结论", "field": "decision", "words": {"approved": "赔付"}},
        {"name": "机构", "field": "hospitals", "words": {"h-two": "第二医院"}},
        {"name": "步", "field": "human_steps", "form": "count"},
        {"name": "来源", "value": "claimnode"},
    ) == ["20260131-000017", "1;2", "2500.05", "100", "赔付", "h-one;第二医院", "0", "claimnode"]


def test_dates_are_those_of_the_zone() -> None:
    assert render({"name": "d", "field": "reported_ms", "form": "date"}, offset=0) == ["2026-01-30"]
    assert render({"name": "d", "field": "reported_ms", "form": "date"}, offset=480) == ["2026-01-31"]


def test_what_is_absent_is_an_empty_cell() -> None:
    assert render({"name": "d", "field": "accepted_ms", "form": "date"}) == [""]
    assert render({"name": "r", "field": "payouts"}) == [""]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert render({"name": "a", "value": text}) == ["'" + text]
    assert render({"name": "a", "field": "archive"}, claim=replace(CLOSED, archive=text)) == ["'" + text]


def fault(document: Any, read: Any = read_mapping) -> str:
    with pytest.raises(InputError) as caught:
        read(document)
    assert caught.value.code in ("mapping", "rates")
    return caught.value.detail


def test_every_fault_of_a_mapping_is_named() -> None:
    text = fault(
        {
            "column": [
                {"name": "a"},
                {"name": "a", "field": "amount"},
                {"name": "c", "field": "decision", "form": "yuan"},
                {"name": "d", "field": "decision", "value": "x"},
            ]
        }
    )
    for part in (
        "column 1",
        "no field 'amount'",
        "column 3: decision has no form yuan",
        "column 4",
        "'a' heads two columns",
    ):
        assert part in text
    assert "length" in fault({"column": []})
    assert fault({"columns": []})
    assert fault([])


def test_words_of_a_mapping_are_repeated_in_part() -> None:
    assert len(fault({"column": [{"x" * 7_000: 1}]})) <= MAX_WORDS
    assert len(fault({"y" * 7_000: 1}, read_rates)) <= MAX_WORDS
    for document in ({"column": [{"name": "a", "field": "\u202e"}]}, {"column": [{"\u202e": 1}]}):
        assert fault(document).isprintable()
    many = fault({"column": [{"name": f"c{number}"} for number in range(MAX_SHOWN + 5)]})
    assert f"column {MAX_SHOWN}:" in many
    assert f"column {MAX_SHOWN + 1}:" not in many
    assert many.endswith("and 5 more")


RATES = {
    "provider": "tpa",
    "payer": "insurer",
    "currency": "CNY",
    "rate": [
        {
            "service": "site",
            "unit": "year",
            "fen": 50_000_000,
            "first": "2026-01-01",
            "last": "2026-12-31",
            "count": 1,
        },
        {"service": "full", "unit": "case", "fen": 2_000, "first": "2026-01-01", "last": "2026-12-31"},
        {"service": "old", "unit": "case", "fen": 1_000, "first": "2025-01-01", "last": "2025-12-31"},
    ],
}


def test_a_statement_is_whole_rates_times_whole_counts() -> None:
    statement = build_statement(read_rates(RATES), "2026-01-01", "2026-12-31", {"case": 32_541})
    assert [(line.service, line.count, line.total_fen) for line in statement.lines] == [
        ("site", 1, 50_000_000),
        ("full", 32_541, 65_082_000),
    ]
    assert statement.total_fen == 115_082_000


@pytest.mark.parametrize(
    ("first", "last", "part"),
    [
        ("2026-01-02", "2026-01-01", "period"),
        ("2026-02-30", "2026-03-01", "period"),
        ("2025-12-01", "2026-01-31", "changes within the period"),
        ("2027-01-01", "2027-01-31", "no rate is in force"),
    ],
)
def test_a_period_without_one_rate_all_the_time_is_refused(first: str, last: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        build_statement(read_rates(RATES), first, last, {"case": 1})


def test_units_that_nobody_counted_need_a_count() -> None:
    with pytest.raises(InputError, match="full: give the count"):
        build_statement(read_rates(RATES), "2026-01-01", "2026-01-31", {})


def test_faulty_rates_are_named() -> None:
    row = {"service": "s", "unit": "case", "fen": 1, "first": "2026-01-02", "last": "2026-01-01"}
    assert "rate 1" in fault(RATES | {"rate": [row]}, read_rates)
    assert fault(RATES | {"rate": [row | {"fen": 1.5}]}, read_rates)
    assert fault(RATES | {"rate": [row | {"unit": "mile"}]}, read_rates)
    assert fault({}, read_rates)
