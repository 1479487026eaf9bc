"""A product as a folder: the files from which the same product is read.

Knows the spelling of each value. Must not know where files go. Always true: what is written reads back to the same
tables, title, program and examples; tables open in a spreadsheet as they stand (UTF-8 with a byte order mark, CRLF, a
row of remarks under the titles).
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from contracts.machine.bundle import ProgramBundle
from contracts.products.columns import (
    BENEFIT_COLUMNS,
    BENEFITS_FILE,
    COLUMNS_OF_TYPE,
    EXPENSES,
    LEVEL_COLUMNS,
    PLAN_COLUMNS,
    PLANS_FILE,
    RATIO_COLUMNS,
    RATIO_KEYS,
    RATIOS_FILE,
    Column,
    field_of,
)
from contracts.products.examples import Example
from contracts.products.ratios import lay_out
from contracts.products.settings import SETTINGS_FILE, encode_settings
from contracts.products.sheets import BYTE_ORDER_MARK

EXAMPLES_FOLDER: Final = "examples/"


def write_folder(
    tables: dict[str, Any], title: str, bundle: ProgramBundle | None, examples: tuple[Example, ...]
) -> dict[str, bytes]:
    """Files of a folder that reads back to these parts; without a bundle the program is the standard one."""
    files = {
        SETTINGS_FILE: encode_settings(tables, title, is_standard=bundle is None, yuan=format_yuan),
        PLANS_FILE: _encode_sheet(PLAN_COLUMNS, _plan_rows(tables)),
        BENEFITS_FILE: _encode_sheet(BENEFIT_COLUMNS, _benefit_rows(tables)),
    }
    ratio_rows = list(_ratio_rows(tables))
    if ratio_rows:
        used = {key for row in ratio_rows for key in row}
        columns = (*RATIO_KEYS, *(column for column in RATIO_COLUMNS.values() if column.key in used))
        files[RATIOS_FILE] = _encode_sheet(columns, ratio_rows)
    for name, source in bundle.files if bundle is not None else ():
        files[name] = source.encode("utf-8")
    for example in examples:
        text = json.dumps(example.as_dict(), ensure_ascii=False, indent=2)
        files[f"{EXAMPLES_FOLDER}{example.name}.json"] = text.encode("utf-8") + b"\n"
    return files


def format_yuan(fen: int) -> str:
    """2000000 fen as `20000`, 5 fen as `0.05`: as parse_yuan reads it."""
    return f"{fen // 100}.{fen % 100:02d}" if fen % 100 else str(fen // 100)


def format_percent(ratio_bp: int) -> str:
    """8750 basis points as `87.5`; one percent and less keep the sign, so that nobody takes them for shares of 1."""
    text = f"{ratio_bp // 100}.{ratio_bp % 100:02d}".rstrip("0").rstrip(".")
    return f"{text}%" if 0 < ratio_bp <= 100 else text


def _encode_sheet(columns: Iterable[Column], rows: Iterable[dict[str, str]]) -> bytes:
    columns = list(columns)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(column.key for column in columns)
    writer.writerow(("# " if index == 0 else "") + column.chinese for index, column in enumerate(columns))
    writer.writerows([row.get(column.key, "") for column in columns] for row in rows)
    return BYTE_ORDER_MARK + text.getvalue().encode("utf-8")


def _plan_rows(tables: dict[str, Any]) -> Iterator[dict[str, str]]:
    for plan_id, plan in tables["plans"].items():
        row = {"plan": plan_id, "annual_limit_yuan": _optional(plan["annual_limit_fen"])}
        levels = plan["covered_hospital_levels"]
        if levels is not None:
            row |= {column.key: "yes" if level in levels else "no" for level, column in LEVEL_COLUMNS.items()}
        yield row


def _benefit_rows(tables: dict[str, Any]) -> Iterator[dict[str, str]]:
    for plan_id, plan in tables["plans"].items():
        for code, benefit in plan["benefits"].items():
            fields = dict(benefit)
            if "deductible" in fields and fields["deductible"]["type"] != "none":
                deductible = fields.pop("deductible")
                fields |= {"deductible_type": deductible["type"], "deductible_fen": deductible["amount_fen"]}
            cells = {
                column.key: _cell(column, fields.get(field_of(column.key)))
                for column in BENEFIT_COLUMNS
                if column.key in COLUMNS_OF_TYPE[benefit["type"]]
            }
            yield {"plan": plan_id, "benefit": code, "type": benefit["type"]} | cells


def _ratio_rows(tables: dict[str, Any]) -> Iterator[dict[str, str]]:
    for plan_id, plan in tables["plans"].items():
        for code, benefit in plan["benefits"].items():
            for settled, cells in lay_out(benefit["ratios"]) if benefit["type"] in EXPENSES else ():
                settlement = {True: "yes", False: "no", None: "any"}[settled]
                row = {"plan": plan_id, "benefit": code, "social_settled": settlement}
                yield row | {RATIO_COLUMNS[keys].key: format_percent(ratio) for keys, ratio in cells.items()}


def _cell(column: Column, value: Any) -> str:
    if column.kind == "yuan":
        return _optional(value)
    if column.kind == "icd":
        return " ".join(value)
    return "" if value is None else str(value)


def _optional(fen: int | None) -> str:
    return "" if fen is None else format_yuan(fen)
