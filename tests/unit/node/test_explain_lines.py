"""The explanation of an amount: every kind of step and every reason has both texts, and the figures that it names."""

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from random import Random
from string import Formatter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.case import encode_case, read_case
from contracts.reasons import REASONS, Language
from node.audit import explain
from node.audit.explain import explain_lines
from node.audit.explain_texts import DEDUCTIBLES, DETAILS, OWNERS, SCOPES, TEXTS
from node.machine.programs import standard_examples
from tests.support.adjudication_builders import PROGRAM, case, expense, invoice, stay
from tests.support.adjudication_cases import build_paying_case, build_random_case

REVIEW = {
    "AMOUNT_OVER_THRESHOLD", "REPEATED_RETURN", "NON_DISCLOSURE", "RISK_MEDIUM", "RISK_HIGH", "RISK_UNGRADED",
}  # fmt: skip
LANGUAGES: tuple[Language, ...] = ("en", "zh")
KINDS = {"counted_days", "reason", "base", "share", "segment", "deductible", "ratio", "paid", "allowance", "lump_sum"}


def trace_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    trace: list[dict[str, Any]] = json.loads(PROGRAM.explain(encode_case(read_case(document))).trace or "")
    return trace


def traces() -> Iterator[list[dict[str, Any]]]:
    yield from (trace_of(json.loads(text)["input"]) for text in standard_examples())
    for seed in range(250):
        yield trace_of((build_paying_case if seed % 2 else build_random_case)(Random(seed)))


def figures(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


@pytest.mark.parametrize("texts", [TEXTS, DETAILS, OWNERS, SCOPES, DEDUCTIBLES], ids=["steps", "reasons", "", "", ""])
def test_both_languages_say_the_same_with_the_same_figures(texts: Mapping[str, Mapping[Language, str]]) -> None:
    for name, text in texts.items():
        assert set(text) == set(LANGUAGES), name
        assert figures(text["en"]) == figures(text["zh"]), name
        assert bool(text["en"]) == bool(text["zh"]), name


def test_every_reason_has_a_line_of_its_own() -> None:
    assert set(DETAILS) == set(REASONS) - REVIEW


def test_no_step_of_the_standard_program_lacks_a_text_or_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: object, name: str) -> None:
        raise AssertionError(f"no figure {name}")

    monkeypatch.setattr(explain._Blank, "__missing__", missing)
    seen: set[str] = set()
    reasons: set[str] = set()
    for trace in traces():
        for language in LANGUAGES:
            assert len(list(explain_lines(trace, language))) >= len(trace)
        seen |= {step["what"] for step in trace}
        reasons |= {step["result"] for step in trace if step["what"] == "reason"}
    assert seen == KINDS | {"review", "decision"} <= set(TEXTS)
    assert reasons == set(DETAILS)


def two_segments() -> dict[str, Any]:
    """A stay of seven days over the new year: a deductible, two ratios, and a yearly limit in the second year."""
    periods = [
        {"id": "2022", "start": "2022-01-01", "end": "2022-12-31", "plan": "A"},
        {"id": "2023", "start": "2023-01-01", "end": "2023-12-31", "plan": "B"},
    ]
    deductible = {"type": "per_case", "amount_fen": 20_000}
    first = expense("inpatient_expense", scope="social_only", ratios=[{"ratio_bp": 8_000}], deductible=deductible)
    second = first | {"ratios": [{"ratio_bp": 9_000}], "annual_limit_fen": 120_000}
    plans = {"A": {"benefits": {"IP": first}}, "B": {"benefits": {"IP": second}}}
    bill = invoice("inpatient", total_fen=486_250, pooled_fund_fen=131_180, self_funded_fen=22_220)
    over_new_year = stay(admission_date="2022-12-29", discharge_date="2023-01-05")
    return case({"IP": first}, [bill], stay=over_new_year, periods=periods, product={"plans": plans})


def test_why_this_amount_in_english() -> None:
    assert list(explain_lines(trace_of(two_segments()))) == [
        "Policy P",
        "  [3.3] counted days: 7; 3 in policy year 2022; 4 in policy year 2023",
        "  [3.5] IP 2022 /1: base 3,328.50 = total 4,862.50 - public scheme 1,311.80 - outside the scope 222.20"
        " - disallowed 0.00 (scope: what the public scheme recognises, class B co-payment included)",
        "  [3.6] IP 2022 /1: share 1,426.50 = 3,328.50 x 3/7 days; less deductible 200.00, at 80.00%",
        "  [3.6] IP 2022: 3 of 7 days, rounded once to 981.20",
        "  [3.7] IP 2022: paid 981.20 (before caps 981.20, loss left 3,550.70)",
        "  [3.5] IP 2023 /1: base 3,328.50 = total 4,862.50 - public scheme 1,311.80 - outside the scope 222.20"
        " - disallowed 0.00 (scope: what the public scheme recognises, class B co-payment included)",
        "  [3.6] IP 2023 /1: share 1,902.00 = 3,328.50 x 4/7 days; less deductible 0.00, at 90.00%",
        "  [3.6] IP 2023: 4 of 7 days, rounded once to 1,711.80",
        "  [3.7.4] IP 2023: limited by the yearly amount of the benefit: 1,711.80 is cut to 1,200.00 (ANNUAL_LIMIT)",
        "  [3.7] IP 2023: paid 1,200.00 (before caps 1,711.80, loss left 2,569.50)",
        "  [3.10] claimed 3,550.70: no review",
        "  [2] IP: 981.20 + 1,200.00 = 2,181.20",
        "  [2] total 2,181.20 - advance 0.00: approved",
    ]


def test_why_this_amount_in_chinese() -> None:
    lines = list(explain_lines(trace_of(two_segments()), "zh"))
    assert lines[3] == "  [3.6] IP 2022 /1: 分摊 1,426.50 = 3,328.50 x 3/7 天;扣除免赔 200.00,按 80.00% 赔付"
    assert lines[9] == "  [3.7.4] IP 2023: 受该责任年度限额限制:由 1,711.80 减至 1,200.00(ANNUAL_LIMIT)"
    assert lines[-2:] == ["  [2] IP:981.20 + 1,200.00 = 2,181.20", "  [2] 合计 2,181.20 - 预赔 0.00:赔付"]


def test_a_cap_is_told_after_what_it_cuts() -> None:
    for trace in traces():
        for before, step in pairwise(trace):
            if step["rule"].startswith("3.7."):
                assert before["what"] in ("ratio", "segment") or before["rule"].startswith("3.7."), step


@pytest.mark.parametrize(
    ("numerator", "unit", "shown"),
    [("300", 1, "3.00"), ("1", 2, "0.005"), ("1", 3, "0.0033…"), ("2000", 7, "2.8571…"), ("x", 1, "-"), (5, 1, "-")],
)
def test_shares_are_shown_exactly_or_with_dots(numerator: Any, unit: Any, shown: str) -> None:
    assert explain._share(numerator, unit) == shown


ANYTHING = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
FIGURES = st.sampled_from(
    ["scope", "type", "of", "taken", "days", "ratio_bp", "base_fen", "event_date", "self_funded_fen"]
)


@given(
    st.sampled_from(sorted({*TEXTS, "own"})), st.dictionaries(FIGURES, ANYTHING), ANYTHING, st.sampled_from(LANGUAGES)
)
def test_a_program_may_explain_otherwise(what: str, inputs: dict[str, Any], result: Any, language: Language) -> None:
    step = {"policy_no": "P", "rule": "x", "what": what, "at": {}, "inputs": inputs, "result": result}
    assert len(list(explain_lines([step], language))) >= 2
