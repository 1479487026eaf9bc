"""The table of the mutation gate fits the source: whoever moves a guard sees it here, not minutes later in the gate."""

import ast
from pathlib import Path

import pytest

from tests.mutation.__main__ import COPIED, ROOT, judge
from tests.mutation.guards import GUARDS, MAX_GUARDS, Guard, Removal, TableError, mutate

REQUIRED = {
    *("R1", "R4", "R5", "R6", "R11", "R12"),
    *("A1", "A2", "A5", "A7", "A8", "A9", "A10", "A11", "A12"),
    *("durability", "domain", "quorum", "bitmap", "bytes", "keys", "replay"),
}
IDS = [guard.name for guard in GUARDS]


def test_the_table_is_short_and_complete() -> None:
    assert len(GUARDS) <= MAX_GUARDS
    assert len(set(IDS)) == len(IDS)
    assert {rule for guard in GUARDS for rule in guard.rules} >= REQUIRED


@pytest.mark.parametrize("guard", GUARDS, ids=IDS)
def test_every_removal_fits_the_source(guard: Guard) -> None:
    assert guard.removals
    assert len(set(guard.removals)) == len(guard.removals)
    for removal in guard.removals:
        assert Path(removal.path).parts[0] in COPIED
        assert mutate(ROOT, guard, removal)


@pytest.mark.parametrize("guard", GUARDS, ids=IDS)
def test_every_named_test_exists(guard: Guard) -> None:
    path, _, name = guard.test.partition("::")
    defined = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    assert name in [node.name for node in defined if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize(
    ("text", "removal"),
    [
        ("does not exist", Removal("gone.py", "a", "b")),
        ("occurs 0 times in m.py", Removal("m.py", "zz", "b")),
        ("occurs 2 times in m.py", Removal("m.py", "x = ", "y = ")),
        ("changes nothing", Removal("m.py", "x = 1", "x = 1")),
        ("does not compile", Removal("m.py", "x = 1", "x = (")),
    ],
)
def test_a_row_that_does_not_fit_names_its_guard(tmp_path: Path, text: str, removal: Removal) -> None:
    (tmp_path / "m.py").write_text("x = 1\nx = 2\n")
    with pytest.raises(TableError, match=f"^some-guard: .*{text}"):
        mutate(tmp_path, Guard("some-guard", ("R1",), "t.py::t", (removal,)), removal)


@pytest.mark.parametrize(
    ("returncode", "output", "verdict"),
    [
        (1, "E   assert 1 == 2\n1 failed in 0.10s", "red"),
        (1, "E   Failed: DID NOT RAISE\n1 failed, 3 passed in 0.10s", "red"),
        (0, "3 passed in 0.10s", "SURVIVED"),
        (0, "1 skipped in 0.10s", "BROKEN"),
        (0, "3 passed, 1 skipped in 0.10s", "BROKEN"),
        (1, "1 error in 0.10s", "BROKEN"),
        (1, "E       NameError: name 'x' is not defined\n1 failed in 0.10s", "BROKEN"),
        (2, "E   ImportError: no\n1 error in 0.10s", "BROKEN"),
        (4, "ERROR: not found\nno tests ran in 0.01s", "BROKEN"),
        (5, "no tests ran in 0.01s", "BROKEN"),
        (-1, "", "BROKEN"),
    ],
)
def test_only_a_failed_test_is_red(returncode: int, output: str, verdict: str) -> None:
    assert judge(returncode, output) == verdict
