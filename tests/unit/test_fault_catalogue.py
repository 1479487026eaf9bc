"""`tests/faults.md` is true: every row of the catalogue is there once, and its tests exist and say its id.

Reads tests as text and never imports them. What a test tries is for readers to judge; that it exists, is named for its
row and is not left out in silence is judged here.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "tests" / "faults.md"
IDS = [
    *(f"N{i}" for i in range(1, 14)),
    *(f"P{i}" for i in range(1, 16)),
    *(f"B{i}" for i in range(1, 25)),
    *(f"X{i}" for i in range(1, 7)),
    *(f"O{i}" for i in range(1, 11)),
]
MAY_WAIT = {"B19", "O4", "O5", "O6", "O7", "O9"}
"""Rows about features that are not here yet."""
BUGS = [str(number) for number in range(1, 31)]
MUST_BE_TRIED = {"1", "2", "3", "4", "5", "6", "8", "10", "11", "16", "22", "24", "25", "29"}
"""Known bugs of other implementations that this protocol could have too."""
TEST_ID = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@dataclass(frozen=True)
class Row:
    """One line of a table: its first cell, and the last one, which lists tests."""

    name: str
    holds: str
    tests: tuple[tuple[str, str], ...]
    rest: str
    """What the last cell says beside test ids."""


@cache
def _rows(heading: str) -> tuple[Row, ...]:
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(r"[A-Z]?\d+", cells[0]):
            tests = tuple((path, name) for path, name in TEST_ID.findall(cells[-1]))
            rows.append(Row(cells[0], cells[-2], tests, TEST_ID.sub("", cells[-1])))
    return tuple(rows)


def catalogue() -> tuple[Row, ...]:
    return _rows("Catalogue")


def known_bugs() -> tuple[Row, ...]:
    return _rows("Known bugs of others")


@cache
def _functions(path: str) -> dict[str, str]:
    """Tests of a file: name to everything in which it may name a row (name, docstring, parameters)."""
    found = {}
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            marks = " ".join(ast.unparse(mark) for mark in node.decorator_list if "param" in ast.unparse(mark))
            found[node.name] = f"{node.name.replace('_', ' ')} {ast.get_docstring(node) or ''} {marks}"
    return found


def test_every_row_is_there_once() -> None:
    assert sorted(row.name for row in catalogue()) == sorted(IDS)
    assert [row.name for row in known_bugs()] == BUGS


@pytest.mark.parametrize("row", catalogue(), ids=lambda row: row.name)
def test_a_row_says_what_must_hold_and_names_tests_that_name_it(row: Row) -> None:
    assert len(row.holds) > 10
    assert row.tests or row.name in MAY_WAIT, "no test"
    waits = "later" in row.rest
    assert not waits or row.name in MAY_WAIT, "only rows about features that are not here may wait"
    if waits:
        assert len(row.rest.split("later")[1].strip(" :.")) > 15, "say which feature it waits for"
    for path, name in row.tests:
        assert (ROOT / path).is_file(), path
        assert name in _functions(path), f"{path} has no {name}"
        says = re.search(rf"(?<![A-Za-z0-9]){row.name}(?![0-9])", _functions(path)[name], re.IGNORECASE)
        assert says, f"{path}::{name} does not say that it tries {row.name}"


@pytest.mark.parametrize("row", known_bugs(), ids=lambda row: f"bug {row.name}")
def test_a_known_bug_is_tried_or_cannot_be(row: Row) -> None:
    assert row.tests or row.rest.startswith(("cannot", "not")), "name a test or say why not"
    assert row.tests or row.name not in MUST_BE_TRIED or row.rest.startswith("cannot"), row
    for path, name in row.tests:
        assert (ROOT / path).is_file(), path
        assert name in _functions(path), f"{path} has no {name}"
