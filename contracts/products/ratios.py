"""Ratios as a cross decision table: rows by plan, benefit and settlement, columns by relation and hospital level.

Knows the one reading order: rows from top to bottom, in each row cells from left to right; the first cell that
matches an invoice decides (specification 1, "the first matching row wins"). Must not know other tables. Always true:
the list of ratio rows is the sequence of filled cells in that order, so any list can be written as a table and is read
back as the same list.
"""

from collections.abc import Iterator
from typing import Any, Final

from contracts.errors import pointer
from contracts.products.cells import ANY
from contracts.products.columns import BENEFIT, EXPENSES, PLAN, RATIO_COLUMNS, RATIO_KEYS, SOCIAL_SETTLED, Column
from contracts.products.faults import FaultList
from contracts.products.grids import Line, Origins, lines_of
from contracts.products.sheets import Sheet

MAX_RATIOS: Final = 20_000
"""Ratios of all benefits together; `any` multiplies rows. Ten plans with five benefits and 24 cells each are 1,200."""
_KEYS_OF: Final = {column.key: keys for keys, column in RATIO_COLUMNS.items()}
_POSITION: Final = {keys: index for index, keys in enumerate(RATIO_COLUMNS)}
_ANY_WORDS: Final = frozenset({ANY, "不限", "全部"})


def build_ratios(
    sheet: Sheet, plans: dict[str, Any], origins: Origins, faults: FaultList, *, has_benefits: bool = True
) -> None:
    """Puts the ratios of each expense benefit into it. Without a table of benefits, only the cells are looked at."""
    known = (*RATIO_KEYS, *RATIO_COLUMNS.values())
    columns, lines = lines_of(sheet, known, (PLAN, BENEFIT), faults)
    in_order = sorted((index, key) for key, index in columns.items() if key in _KEYS_OF)
    ratio_columns = [RATIO_COLUMNS[_KEYS_OF[key]] for _, key in in_order]
    total = 0
    if not ratio_columns:
        faults.add(sheet.file, "row 1", "missing_column", "no column of ratios, as employee_percent or anyone_percent")
    for line in lines:
        cells = list(_cells(line, ratio_columns))
        if total > MAX_RATIOS:
            line.fault(PLAN, "too_large", f"more than {MAX_RATIOS} ratios, each counted for every plan and benefit")
            return
        for plan, code in _addressed(line, plans) if has_benefits else ():
            path = pointer(pointer("/plans", plan) + "/benefits", code) + "/ratios"
            ratios = plans[plan]["benefits"][code].setdefault("ratios", [])
            for place, ratio in cells:
                origins.note(f"{path}/{len(ratios)}", line.file, place)
                origins.note(path, line.file, place)
                ratios.append(dict(ratio))
            total += len(cells)


def _cells(line: Line, columns: list[Column]) -> Iterator[tuple[str, dict[str, Any]]]:
    settled = line.value(SOCIAL_SETTLED)
    if columns and not any(line.text(column) for column in columns):
        line.fault(columns[0], "missing", "a row without any ratio: fill a cell or delete the row")
    for column in columns:
        ratio_bp = line.value(column)
        if ratio_bp is not None:
            relation, level = _KEYS_OF[column.key]
            ratio = {"relation": relation, "social_settled": settled, "level": level, "ratio_bp": ratio_bp}
            yield line.place(column), ratio


def _addressed(line: Line, plans: dict[str, Any]) -> list[tuple[str, str]]:
    """The (plan, benefit) pairs that a row is for; noted as a fault if there is none."""
    plan, code = _code(line, PLAN), _code(line, BENEFIT)
    if plan is None or code is None:
        return []
    if plan != ANY and plan not in plans:
        line.fault(PLAN, "unknown_plan", "this plan has no row in the table of plans")
        return []
    pairs = [
        (name, key)
        for name, item in plans.items()
        if plan in (ANY, name)
        for key, benefit in item["benefits"].items()
        if code in (ANY, key) and benefit["type"] in EXPENSES
    ]
    if not pairs:
        line.fault(BENEFIT, "unknown_benefit", "no expense benefit of this code in the table of benefits")
    return pairs


def _code(line: Line, column: Column) -> str | None:
    if line.text(column).lower() in _ANY_WORDS:
        return ANY
    value: str | None = line.required(column)
    return value


def lay_out(ratios: list[dict[str, Any]]) -> Iterator[tuple[bool | None, dict[tuple[str | None, str | None], int]]]:
    """A list of ratio rows as the fewest table rows in reading order: (social_settled, cells by column)."""
    cells: dict[tuple[str | None, str | None], int] = {}
    settled: bool | None = None
    last = -1
    for ratio in ratios:
        keys = (ratio["relation"], ratio["level"])
        if cells and (ratio["social_settled"] != settled or _POSITION[keys] <= last):
            yield settled, cells
            cells = {}
        settled, last = ratio["social_settled"], _POSITION[keys]
        cells[keys] = ratio["ratio_bp"]
    if cells:
        yield settled, cells
