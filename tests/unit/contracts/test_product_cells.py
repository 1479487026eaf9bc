"""Cells of product tables: every spelling gives its one value or a fault with a code."""

import pytest

from contracts.products.cells import (
    CellFault,
    is_at_risk,
    parse_choice,
    parse_code,
    parse_days,
    parse_icd_prefixes,
    parse_percent,
    parse_yuan,
)
from contracts.products.columns import CHOICES, YES_NO
from contracts.products.sheets import column_name, plain
from contracts.products.writing import format_percent, format_yuan


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("20,000", 2_000_000),
        ("20000.00", 2_000_000),
        (" 20000 ", 2_000_000),
        ("２０，０００．５", 2_000_050),
        ("￥ 20000", 2_000_000),
        ("20000 元", 2_000_000),
        ("0", 0),
        ("0.05", 5),
        ("0.5", 50),
        ("1,234,567.89", 123_456_789),
        ("90071992547409.91", 2**53 - 1),
        ("0.1", 10),
        ("0.29", 29),
    ],
)
def test_amounts_are_exact(text: str, fen: int) -> None:
    assert parse_yuan(plain(text)) == fen


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1.005", "amount"),
        ("1.500", "amount"),
        ("20.000,00", "amount"),
        ("20000,00", "amount"),
        ("2,00,000", "amount"),
        (",5", "amount"),
        (".5", "amount"),
        ("-5", "amount"),
        ("2万", "amount"),
        ("1e3x", "amount"),
        ("", "amount"),
        ("٣", "amount"),
        ("²", "amount"),
        ("90071992547409.92", "range"),
        ("9" * 5_000, "range"),
        ("1.23E+05", "mangled"),
        ("2024-01", "mangled"),
        ("1月3日", "mangled"),
        ("#REF!", "mangled"),
        ("########", "mangled"),
        ("=A1*2", "mangled"),
        ("5\n000", "invisible"),
        ("5\u200b000", "invisible"),
    ],
)
def test_what_is_no_amount(text: str, code: str) -> None:
    with pytest.raises(CellFault) as caught:
        parse_yuan(plain(text))
    assert caught.value.code == code
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize(
    ("text", "ratio_bp"),
    [
        *(("80", 8000), ("80%", 8000), ("87.5", 8750), ("33.33 %", 3333), ("0", 0), ("100.00%", 10_000)),
        *(("0.8%", 80), ("１００％", 10_000), ("1.01", 101), ("1%", 100), ("0%", 0), ("0.00", 0)),
    ],
)
def test_percentages_are_exact(text: str, ratio_bp: int) -> None:
    assert parse_percent(plain(text)) == ratio_bp


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(("0.8", "percent"), ("1", "percent"), ("100.01", "range"), ("8000", "range"), ("80.005", "percent")),
        *(("-1", "percent"), ("80 percent", "percent"), ("1-Mar", "mangled"), ("1/2", "mangled"), ("80%%", "percent")),
    ],
)
def test_what_is_no_percentage(text: str, code: str) -> None:
    with pytest.raises(CellFault) as caught:
        parse_percent(text)
    assert caught.value.code == code


@pytest.mark.parametrize("ratio_bp", [0, 1, 99, 100, 101, 110, 8000, 8750, 3333, 9990, 10_000])
def test_a_percentage_is_written_as_it_is_read(ratio_bp: int) -> None:
    assert parse_percent(format_percent(ratio_bp)) == ratio_bp


@pytest.mark.parametrize("fen", [0, 1, 10, 99, 100, 101, 2_000_000, 2**53 - 1])
def test_an_amount_is_written_as_it_is_read(fen: int) -> None:
    assert parse_yuan(format_yuan(fen)) == fen


def test_days() -> None:
    assert [parse_days(text) for text in ("30", "30天", "30 days", "0")] == [30, 30, 30, 0]
    for text in ("30.0", "-1", "a month", ""):
        with pytest.raises(CellFault, match="days"):
            parse_days(text)


AT_RISK = [
    *("1-2", "1/2", "3-4-5", "MAR1", "Sept-3", "1-Mar", "1 May", "2024-01", "1E5", "12e3", "007", "1.5", "1.", "TRUE"),
    *("false", "1234567890123456", "12:30", "1.3.2024", "3月1日", "2024年1月", "JUNE2024"),
]


@pytest.mark.parametrize("code", AT_RISK)
def test_codes_that_a_spreadsheet_changes_are_at_risk(code: str) -> None:
    assert is_at_risk(code)
    with pytest.raises(CellFault):
        parse_code(code)


@pytest.mark.parametrize("code", ["0", "1", "2", "3", "A", "STD", "2024", "PLAN-1", "MARKET1", "A1-2", "E11.9", "OP_2"])
def test_codes_that_survive(code: str) -> None:
    assert not is_at_risk(code)
    assert parse_code(code) == code


@pytest.mark.parametrize("code", ["", "any", "ANY", "a b", "a/b", "方案", "-a", "a" * 41, "a\u0301"])
def test_what_is_no_code(code: str) -> None:
    with pytest.raises(CellFault, match="code"):
        parse_code(code)


def test_icd_prefixes() -> None:
    assert parse_icd_prefixes("C00 c01,N84.000x001、I21; M05.3+") == ["C00", "c01", "N84.000x001", "I21", "M05.3+"]
    for text, code in (("C00 10", "icd"), ("MAR1", "mangled"), ("C00 MAY1", "code_at_risk"), ("肿瘤", "icd")):
        with pytest.raises(CellFault) as caught:
            parse_icd_prefixes(text)
        assert caught.value.code == code


def test_choices_in_both_languages() -> None:
    assert parse_choice("Per_Visit", CHOICES["deductible_type"]) == "per_visit"
    assert parse_choice("每次", CHOICES["deductible_type"]) == "per_visit"
    assert [parse_choice(text, YES_NO) for text in ("是", "FALSE", "No")] == [True, False, False]
    with pytest.raises(CellFault, match="unknown_value"):
        parse_choice("perhaps", YES_NO)


def test_columns_are_named_as_on_the_screen() -> None:
    assert [column_name(column) for column in (0, 25, 26, 51, 52, 63)] == ["A", "Z", "AA", "AZ", "BA", "BL"]
