"""`contracts/COVERAGE.md` is true as far as a machine can tell: each requirement has one row, what it names exists.

Knows the ids of the founding requirements and which of them no program can answer. Reads tests as text and never
imports them. Whether a test shows what its row says is for readers to judge.
"""

import ast
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click

from cli.main import claimnode

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "contracts" / "COVERAGE.md"
LAST = {0: 33, 1: 20, 2: 103, 3: 62, 4: 43}
"""Seed to its last requirement; each seed's are numbered from 1 without a gap."""
OUTSIDE = {
    1: {17, 18},
    2: {4, 12, 44, 49, 56, 62, 65, 67, 68, 71, 87, 91, 96, 97, 98},
    3: {49, 60},
    4: {9, 10, 11, 12, 13, 15, 16, 34, 35, 36, 37},
}
"""Requirements that ask for no rule, exchange of data, interface or figure of claims."""
IDS = [f"SEED-{seed}-{number:02d}" for seed, last in LAST.items() for number in range(1, last + 1)]
OUT_OF_SCOPE = {f"SEED-{seed}-{number:02d}" for seed, numbers in OUTSIDE.items() for number in numbers}
STATES = ("done", "partly", "not yet")
TEST_ID = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
SUM = re.compile(r"^\| (all|\d: [^|]+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)
QUOTED = re.compile(r"`([^`]+)`")
MIN_REASON = 10
"""Letters of a reason below which it says nothing."""


@dataclass(frozen=True)
class Row:
    """One requirement: what is asked, how far it is here, the places that do it, its tests, and what is missing."""

    name: str
    asked: str
    state: str
    places: tuple[str, ...]
    tests: tuple[tuple[str, str], ...]
    missing: str


@cache
def lines() -> tuple[tuple[str, ...], ...]:
    """The cells of every line that begins with an id."""
    page = PAGE.read_text(encoding="utf-8")
    return tuple(
        tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
        for line in page.splitlines()
        if line.startswith("| SEED-")
    )


def rows() -> list[Row]:
    """Requirements that a program can answer: lines of five cells."""
    found = []
    for name, asked, state, where, shown in (cells for cells in lines() if len(cells) == 5):
        tests = tuple((path, test) for path, test in TEST_ID.findall(shown))
        missing = shown.partition("not yet:")[2].strip()
        found.append(Row(name, asked, state, tuple(QUOTED.findall(where)), tests, missing))
    return found


@cache
def functions(path: str) -> frozenset[str]:
    """The tests of a file."""
    parsed = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(parsed)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def is_command(words: list[str]) -> bool:
    """Whether the command line has this command (`claimnode` first)."""
    command: click.Command | None = claimnode
    for word in words[1:]:
        if not isinstance(command, click.Group):
            return False
        command = command.get_command(click.Context(command), word)
    return words[0] == "claimnode" and command is not None


def test_every_requirement_has_exactly_one_row() -> None:
    counted = Counter(cells[0] for cells in lines())
    assert sorted(counted) == sorted(IDS)
    assert not [name for name, count in counted.items() if count != 1]


def test_no_row_is_empty_and_each_has_the_cells_of_its_table() -> None:
    assert not [cells for cells in lines() if not all(cells)]
    assert {cells[0] for cells in lines() if len(cells) == 3} == OUT_OF_SCOPE
    assert {cells[0] for cells in lines() if len(cells) == 5} == set(IDS) - OUT_OF_SCOPE


def absent(row: Row) -> list[str]:
    """What a row names and is not there."""
    commands = [place for place in row.places if place.startswith("claimnode")]
    faults = [place for place in commands if not is_command(place.split())]
    faults += [place for place in row.places if place not in commands and not (ROOT / place).exists()]
    for path, test in row.tests:
        if not (ROOT / path).is_file() or test not in functions(path):
            faults.append(f"{path}::{test}")
    return faults


def test_every_place_command_and_test_exists() -> None:
    assert not [(row.name, faults) for row in rows() if (faults := absent(row))]


def test_a_row_shows_what_is_here_and_says_what_is_missing() -> None:
    assert not [row.name for row in rows() if row.state not in STATES]
    assert not [row.name for row in rows() if (row.state == "done") != (not row.missing)], "done, or what is missing"
    assert not [row.name for row in rows() if row.missing and len(row.missing) < MIN_REASON]
    assert not [row.name for row in rows() if row.state != "not yet" and not (row.places and row.tests)]
    assert not [row.name for row in rows() if row.state == "not yet" and row.tests]


def test_a_missing_part_that_points_to_another_row_finds_it_open() -> None:
    states = {row.name: row.state for row in rows()}
    pointers = [(row.name, name) for row in rows() for name in re.findall(r"as (SEED-\d-\d+)", row.missing)]
    assert pointers
    assert not [pair for pair in pointers if states[pair[1]] == "done"]


def test_the_sums_are_those_of_the_rows() -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = {name.split(":")[0]: [int(n) for n in rest] for name, *rest in re.findall(SUM, page)}
    states: dict[str, str] = dict.fromkeys(OUT_OF_SCOPE, "out of scope")
    states |= {row.name: row.state for row in rows()}
    for seed in LAST:
        counted = Counter(state for name, state in states.items() if name.startswith(f"SEED-{seed}-"))
        assert told[str(seed)] == [counted[state] for state in (*STATES, "out of scope")]
    counted = Counter(states.values())
    assert told["all"] == [counted[state] for state in (*STATES, "out of scope")]
