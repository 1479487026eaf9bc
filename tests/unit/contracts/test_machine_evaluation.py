"""The boundary of a program: what goes in comes out, whole numbers only, and errors that quote nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.calendar import day_number
from contracts.machine.bundle import build_bundle
from contracts.machine.errors import MachineLimit, ProgramFailed, ProgramRefused
from contracts.machine.evaluation import LoadedProgram, load_program

BIG = 2**53 - 1
ROOT = Path(__file__).resolve().parents[3]


def load(body: str) -> LoadedProgram:
    return load_program(build_bundle({"program.star": f"def adjudicate(case, trace):\n    {body}\n"}))


ECHO = load("return case")
PRELUDE = load('return [mul(case["a"], case["b"]), day_number(case["d"]), round_half_up(case["n"], case["m"])]')
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-BIG, BIG) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_nested_values_cross_both_ways_unchanged(value: Any) -> None:
    text = json.dumps(value)
    assert json.loads(ECHO.run(text).result) == value
    assert type(json.loads(ECHO.run(text).result)) is type(value)


def test_results_are_written_canonically() -> None:
    assert ECHO.run('{"b": [ -9007199254740991, 9007199254740991 ], "a": "\\u4e2d"}').result == (
        '{"a":"中","b":[-9007199254740991,9007199254740991]}'
    )


@given(
    st.integers(-(10**9), 10**9),
    st.integers(-(10**9), 10**6),
    st.dates(),
    st.integers(0, 10**12),
    st.integers(1, 10**6),
)
def test_the_prelude_calculates_exactly(a: int, b: int, date: Any, n: int, m: int) -> None:
    case = json.dumps({"a": a, "b": b % 9_000_000, "d": date.isoformat(), "n": n, "m": m})
    product, number, rounded = json.loads(PRELUDE.run(case).result)
    assert product == a * (b % 9_000_000)
    assert number == day_number(date.isoformat())
    assert 2 * n - m < 2 * m * rounded <= 2 * n + m


@pytest.mark.parametrize(("a", "b"), [('"x"', "5"), ("[1]", "5"), ("5", "null"), ("true", "5")])
def test_mul_multiplies_whole_numbers_only(a: str, b: str) -> None:
    with pytest.raises(ProgramFailed) as caught:
        load('return mul(case["a"], case["b"])').run(f'{{"a":{a},"b":{b}}}')
    assert caught.value.code == "program_failed"
    assert "program.star line 2" in caught.value.detail


def test_mul_is_bounded() -> None:
    squared = "for i in range(6):\n        case = mul(case, case)\n    return mul(case, 0)"
    assert load(squared).run("2").result == "0"
    with pytest.raises(ProgramFailed):
        load(squared.replace("range(6)", "range(9)")).run("2")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("return mul(9007199254740991, 2)", "result_range"),
        ("return (1, adjust(case))\ndef adjust(x):\n    return x[0]", "program_failed"),
        ("return 1 // case", "program_failed"),
        ('return fail("no")', "program_failed"),
    ],
)
def test_a_run_without_a_result(body: str, code: str) -> None:
    with pytest.raises(ProgramFailed) as caught:
        load(body).run("0")
    assert caught.value.code == code


def test_an_error_says_where_but_quotes_no_case() -> None:
    with pytest.raises(ProgramFailed) as caught:
        load('return case["张三"]').run('{"李四": 1}')
    assert caught.value.detail == "stopped at program.star line 2"
    assert "张三" in caught.value.private_text


def test_places_are_those_of_the_file() -> None:
    body = "def adjudicate(case, trace):\n    return helper(case)\n"
    files = {"a.star": "\n\ndef helper(x):\n    for y in x:\n        x = y[1]\n    return x\n", "program.star": body}
    with pytest.raises(ProgramFailed) as caught:
        load_program(build_bundle(files)).run("[[0]]")
    assert caught.value.detail == "stopped at a.star line 5"


def test_a_program_that_only_python_reads_is_refused() -> None:
    for body in ('return "a" "b"', "return unknown_name", "return u'a'"):
        with pytest.raises(ProgramRefused):
            load(body)


def test_steps_are_limited_and_the_program_can_be_run_again() -> None:
    program = load(
        "for i in range(10000):\n        for j in range(case):\n            pass\n    return 1".replace(
            "range(case)", "range(len(case))"
        )
    )
    for _ in range(2):
        with pytest.raises(MachineLimit) as caught:
            program.run(json.dumps([0] * 10_000), max_steps=100)
        assert caught.value.code == "steps"
        assert program.run("[0]").result == "1"


def test_the_trace_comes_beside_the_result() -> None:
    program = load('if trace != None:\n        trace.append({"rule": "1"})\n    return {"results": []}')
    assert (program.run("{}").result, program.run("{}").trace) == ('{"results":[]}', None)
    explained = program.explain("{}")
    assert (explained.result, explained.trace) == ('{"results":[]}', '[{"rule":"1"}]')


def test_no_transaction_can_reach_the_machine() -> None:
    """Executing a block imports no interpreter: programs never run inside it."""
    code = "import sys, contracts.execution, contracts.transition; sys.exit('starlark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
