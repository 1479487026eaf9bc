"""What a release asks of its tables beyond their shape, and what it only remarks on.

Knows which tables cannot be meant. Must not know files. Always true: whatever invoice a case brings, tables without
faults have a ratio for it (`no_ratio` cannot happen); they can be written as a folder that reads back the same; every
benefit is in the order in which benefits are paid.
"""

from collections.abc import Iterator
from typing import Any, Final

from contracts.errors import pointer
from contracts.product import LEVELS, RELATIONS
from contracts.products.cells import code_fault, icd_fault
from contracts.products.columns import EXPENSES
from contracts.products.faults import FaultList

MAX_TITLE: Final = 200
"""Characters of a title: one line of a list."""
Found = tuple[str, str, str]
"""(JSON Pointer into the tables, code, detail)."""
_Invoice = tuple[str, bool, str | None]
"""(relation, socially settled, level): all that a ratio looks at."""


def check_title(file: str, title: str, faults: FaultList) -> None:
    """A title is one printable line."""
    if not title.isprintable() or title != title.strip() or len(title) > MAX_TITLE:
        faults.add(file, "title", "title", f"one line of at most {MAX_TITLE} printable characters")


def check_tables(tables: dict[str, Any]) -> Iterator[Found]:
    """Every fault of tables that contracts.product has read."""
    yield from _code("/product_code", tables["product_code"])
    yield from _icd("/excluded_icd_prefixes", tables["excluded_icd_prefixes"])
    if not tables["plans"]:
        yield "/plans", "missing", "a product has at least one plan"
    yield from _order(tables)
    for plan_id, plan in tables["plans"].items():
        path = pointer("/plans", plan_id)
        yield from _code(path, plan_id)
        levels = plan["covered_hospital_levels"]
        if levels is not None and levels != sorted(set(levels)):
            yield f"{path}/covered_hospital_levels", "not_canonical", "levels ascend and are named once"
        for code, benefit in plan["benefits"].items():
            at = pointer(f"{path}/benefits", code)
            yield from _code(at, code)
            yield from _benefit(at, benefit)


def review_tables(tables: dict[str, Any]) -> Iterator[Found]:
    """What is allowed and probably not meant: ratios that no invoice reaches, benefits that never pay."""
    known = {code for plan in tables["plans"].values() for code in plan["benefits"]}
    for index, code in enumerate(tables["benefit_order"]):
        if code not in known:
            yield f"/benefit_order/{index}", "unknown_benefit", "no plan has this benefit: it pays nothing"
    for plan_id, plan in tables["plans"].items():
        for code, benefit in plan["benefits"].items():
            at = pointer(pointer("/plans", plan_id) + "/benefits", code)
            if benefit["type"] == "lump_sum" and not benefit["icd_prefixes"]:
                yield at, "never_pays", "no diagnosis is named: the lump sum is never paid"
            if benefit["type"] in EXPENSES:
                yield from _unreached(f"{at}/ratios", benefit["ratios"], _invoices(benefit))


def _code(path: str, code: str) -> Iterator[Found]:
    fault = code_fault(code)
    if fault is not None:
        yield path, *fault


def _icd(path: str, prefixes: list[str]) -> Iterator[Found]:
    for index, prefix in enumerate(prefixes):
        fault = icd_fault(prefix)
        if fault is not None:
            yield f"{path}/{index}", *fault


def _order(tables: dict[str, Any]) -> Iterator[Found]:
    """A benefit outside the order is never looked at: nobody means that."""
    for index, code in enumerate(tables["benefit_order"]):
        if code_fault(code) is not None:
            yield f"/benefit_order/{index}", *(code_fault(code) or ("", ""))
    known = {code: None for plan in tables["plans"].values() for code in plan["benefits"]}
    for code in known:
        if code not in tables["benefit_order"]:
            yield "/benefit_order", "benefit_order", f"benefit {code} is not in it: it would never be paid"


def _benefit(path: str, benefit: dict[str, Any]) -> Iterator[Found]:
    yield from _icd(f"{path}/icd_prefixes", benefit.get("icd_prefixes", []))
    if benefit["type"] not in EXPENSES:
        return
    deductible = benefit["deductible"]
    if deductible["type"] == "none" and deductible["amount_fen"]:
        yield f"{path}/deductible", "missing", "an amount without a type is never deducted"
    missing = [_words(invoice) for invoice in _invoices(benefit) if _match(benefit["ratios"], invoice) is None]
    if missing:
        more = f" and {len(missing) - 1} more kinds of invoice" if len(missing) > 1 else ""
        detail = f"no ratio for {missing[0]}{more}: fill the cell, with 0 where nothing is paid"
        yield f"{path}/ratios", "no_ratio", detail


def _invoices(benefit: dict[str, Any]) -> list[_Invoice]:
    """Every kind of invoice that a ratio of this benefit may be asked for. A pharmacy's has perhaps no level."""
    found: list[_Invoice] = [
        (relation, settled, level) for relation in RELATIONS for settled in (True, False) for level in LEVELS
    ]
    if benefit.get("vat") == "cover":
        found += [(relation, False, None) for relation in RELATIONS]
    return found


def _match(ratios: list[dict[str, Any]], invoice: _Invoice) -> int | None:
    """The index of the first row that matches (specification 1)."""
    relation, settled, level = invoice
    for index, row in enumerate(ratios):
        if (
            row["relation"] in (None, relation)
            and row["social_settled"] in (None, settled)
            and row["level"] in (None, level)
        ):
            return index
    return None


def _unreached(path: str, ratios: list[dict[str, Any]], invoices: list[_Invoice]) -> Iterator[Found]:
    reached = {_match(ratios, invoice) for invoice in invoices}
    for index in range(len(ratios)):
        if index not in reached:
            yield f"{path}/{index}", "unreached", "no invoice reaches this ratio: cells before it match them all"


def _words(invoice: _Invoice) -> str:
    relation, settled, level = invoice
    settlement = "settled by social insurance" if settled else "not settled by social insurance"
    place = f"hospital level {level}" if level is not None else "a pharmacy without a level"
    return f"{relation}, {settlement}, {place}"
