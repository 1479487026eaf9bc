"""Plans and benefits: from the rows of their tables to the fields of the specification, and back.

Knows what the columns of plans.csv and benefits.csv mean. Must not know ratios, nor rules between tables. Always
true: an empty cell is an absent field, a field that is absent is an empty cell; a cell that a benefit of this type
has no use for is a fault, not a remark.
"""

from typing import Any

from contracts.errors import pointer
from contracts.products.columns import (
    BENEFIT,
    BENEFIT_COLUMNS,
    COLUMNS_OF_TYPE,
    DEDUCTIBLE,
    DEDUCTIBLE_TYPE,
    LEVEL_COLUMNS,
    PLAN,
    PLAN_COLUMNS,
    REQUIRED_OF_TYPE,
    TYPE,
    field_of,
)
from contracts.products.faults import FaultList, quote
from contracts.products.grids import Line, Origins, lines_of
from contracts.products.sheets import Sheet

_DEDUCTIBLE_KEYS = (DEDUCTIBLE_TYPE.key, DEDUCTIBLE.key)


def build_plans(sheet: Sheet, origins: Origins, faults: FaultList) -> dict[str, Any]:
    """Plan id -> plan without benefits."""
    plans: dict[str, Any] = {}
    for line in lines_of(sheet, PLAN_COLUMNS, (PLAN,), faults)[1]:
        plan = line.required(PLAN)
        if plan in plans:
            line.fault(PLAN, "repeated", f"plan {plan} has a row above")
        if plan is None or plan in plans:
            continue
        limit = line.value(PLAN_COLUMNS[1])
        plans[plan] = {"annual_limit_fen": limit, "covered_hospital_levels": _levels(line), "benefits": {}}
        origins.note(pointer("/plans", plan), line.file, line.place(PLAN))
    return plans


def _levels(line: Line) -> list[str] | None:
    """All level cells empty: every hospital. Else each says yes or no."""
    given = {level: line.value(column) for level, column in LEVEL_COLUMNS.items()}
    if not any(line.text(column) for column in LEVEL_COLUMNS.values()):
        return None
    for column in LEVEL_COLUMNS.values():
        if not line.text(column):
            line.fault(column, "missing", "say yes or no for every hospital level, or leave all four cells empty")
    return sorted(level for level, covered in given.items() if covered)


def build_benefits(
    sheet: Sheet, plans: dict[str, Any], origins: Origins, faults: FaultList, *, has_plans: bool = True
) -> None:
    """Puts each benefit into its plan. Without a table of plans, every plan that is named counts as one."""
    for line in lines_of(sheet, BENEFIT_COLUMNS, (PLAN, BENEFIT, TYPE), faults)[1]:
        plan, benefit, kind = line.required(PLAN), line.required(BENEFIT), line.required(TYPE)
        if plan is not None and not has_plans:
            plans.setdefault(plan, {"benefits": {}})
        if plan is not None and plan not in plans:
            line.fault(PLAN, "unknown_plan", f"{quote(plan)} has no row in the table of plans")
        values = _values(line, kind) if kind is not None else {}
        if plan not in plans or benefit is None or kind is None:
            continue
        if benefit in plans[plan]["benefits"]:
            line.fault(BENEFIT, "repeated", f"plan {plan} has a row for {benefit} above")
            continue
        plans[plan]["benefits"][benefit] = {"type": kind} | values
        origins.note(pointer(pointer("/plans", plan) + "/benefits", benefit), line.file, line.place(BENEFIT))


def _values(line: Line, kind: str) -> dict[str, Any]:
    """The fields of a benefit that its row gives."""
    values: dict[str, Any] = {}
    for column in BENEFIT_COLUMNS[3:]:
        if column.key in COLUMNS_OF_TYPE[kind]:
            required = column.key in REQUIRED_OF_TYPE[kind]
            values[field_of(column.key)] = line.required(column) if required else line.value(column)
        elif line.text(column):
            line.fault(column, "not_for_type", f"a benefit of type {kind} has no {column.key}: leave the cell empty")
    if DEDUCTIBLE.key in COLUMNS_OF_TYPE[kind]:
        values["deductible"] = _deductible(line, values.pop("deductible_type"), values.pop("deductible_fen"))
    return {field: value for field, value in values.items() if value is not None}


def _deductible(line: Line, kind: str | None, amount_fen: int | None) -> dict[str, Any]:
    if amount_fen and kind in (None, "none") and (kind or not line.text(DEDUCTIBLE_TYPE)):
        line.fault(DEDUCTIBLE_TYPE, "missing", "a deductible needs its type: per_visit, per_case, per_year, ...")
    if kind not in (None, "none") and amount_fen is None and not line.text(DEDUCTIBLE):
        line.fault(DEDUCTIBLE, "missing", "how much is deducted, in yuan")
    return {"type": kind or "none", "amount_fen": amount_fen or 0}
