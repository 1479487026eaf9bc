"""README of products names what the code has: every column in both languages, every fault code, every bound."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.products.columns import BENEFIT_COLUMNS, CHOICES, PLAN_COLUMNS, SOCIAL_SETTLED, Column
from contracts.products.settings import KEYS

FOLDER = Path(__file__).resolve().parents[3] / "contracts" / "products"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
POSITION = {"add": 2, "fault": 1, "_fault": 1, "CellFault": 0}
"""Which argument of a call is the code of a fault."""


@pytest.mark.parametrize("column", [*PLAN_COLUMNS[:2], *BENEFIT_COLUMNS], ids=lambda column: column.key)
def test_every_column_is_described_in_both_languages(column: Column) -> None:
    assert f"`{column.key}`" in README
    assert column.chinese in README


def test_levels_settlement_and_settings_are_described() -> None:
    for column in PLAN_COLUMNS[2:]:
        assert column.chinese in README
    assert f"`{SOCIAL_SETTLED.key}`" in README
    assert all(f"| `{key}` |" in README for key in KEYS)


def test_every_word_of_a_choice_is_described() -> None:
    words = {word for choices in CHOICES.values() for word in choices}
    assert not [word for word in words if word not in README]


def codes_of(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        found: ast.expr | None = None
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            index = POSITION.get(name, len(node.args))
            found = node.args[index] if index < len(node.args) else None
        elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 3:
            found = node.value.elts[1]
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
            found = node.value.elts[0]
        if isinstance(found, ast.Constant) and isinstance(found.value, str) and found.value.isidentifier():
            yield found.value


def test_every_fault_code_is_listed() -> None:
    codes = {code for path in FOLDER.glob("*.py") for code in codes_of(path.read_text(encoding="utf-8"))}
    assert {"no_ratio", "mangled", "unknown_column", "code_at_risk", "two_programs", "unreached"} <= codes
    assert not sorted(code for code in codes if f"`{code}`" not in README)
