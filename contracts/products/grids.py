"""A table whose columns have been recognised, and the values of its rows.

Knows how titles are matched and how a cell becomes a value or a fault. Must not know what a row means. Always true: a
column that nobody knows is a fault, not a loss; a fault names the cell; a cell that is faulty counts as empty, so that
the rest of the table is still looked at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.products.cells import (
    NOTHING,
    CellFault,
    parse_choice,
    parse_code,
    parse_days,
    parse_icd_prefixes,
    parse_percent,
    parse_yuan,
)
from contracts.products.columns import CHOICES, SETTLED, YES_NO, Column, column_key
from contracts.products.faults import FaultList, quote
from contracts.products.sheets import Row, Sheet

_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "code": parse_code,
    "yuan": parse_yuan,
    "days": parse_days,
    "percent": parse_percent,
    "icd": parse_icd_prefixes,
    "yes_no": lambda text: parse_choice(text, YES_NO),
    "settled": lambda text: parse_choice(text, SETTLED),
}


class Origins:
    """Where each part of the tables was written: JSON Pointer -> file and cell."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[str, str]] = {}

    def note(self, path: str, file: str, place: str) -> None:
        """`path` comes from this cell; the first one counts."""
        self._places.setdefault(path, (file, place))

    def find(self, path: str) -> tuple[str, str]:
        """The cell of a path, or of the smallest part around it that has one."""
        while path not in self._places and path:
            path = path.rpartition("/")[0]
        return self._places.get(path, ("product.toml", ""))


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a grid."""

    file: str
    row: Row
    columns: Mapping[str, int]
    faults: FaultList

    def text(self, column: Column) -> str:
        """What stands in a column; "" for an empty cell, a dash, or a column that the table does not have."""
        index = self.columns.get(column.key)
        text = "" if index is None else self.row.text(index)
        return "" if text in NOTHING else text

    def place(self, column: Column) -> str:
        """The cell's name; the row's where the table has no such column."""
        index = self.columns.get(column.key)
        return f"row {self.row.number}" if index is None else self.row.place(index)

    def value(self, column: Column) -> Any:
        """The value of a cell; None if it is empty, or faulty and noted so."""
        text = self.text(column)
        if not text:
            return None
        try:
            if column.kind == "choice":
                return parse_choice(text, CHOICES[column.key])
            return _PARSERS[column.kind](text)
        except CellFault as error:
            self.fault(column, error.code, error.detail)
            return None

    def required(self, column: Column) -> Any:
        """The value of a cell that must not be empty; None if it is, and noted so."""
        if not self.text(column):
            self.fault(column, "missing", f"{column.key} must be given here")
        return self.value(column)

    def fault(self, column: Column, code: str, detail: str) -> None:
        """Notes a fault of the cell."""
        self.faults.add(self.file, self.place(column), code, detail)


def lines_of(
    sheet: Sheet, known: Sequence[Column], required: Sequence[Column], faults: FaultList
) -> tuple[dict[str, int], Iterator[Line]]:
    """The columns of a sheet by key, and its rows. Unknown, repeated and missing columns are noted."""
    columns = _match_titles(sheet, known, faults)
    for column in required:
        if column.key not in columns:
            faults.add(sheet.file, "row 1", "missing_column", f"no column {column.key} ({column.chinese})")
            return columns, iter(())
    return columns, (Line(sheet.file, row, columns, faults) for row in sheet.rows)


def _match_titles(sheet: Sheet, known: Sequence[Column], faults: FaultList) -> dict[str, int]:
    by_title = {column_key(title): column.key for column in known for title in (column.key, column.chinese)}
    width = max(len(row.cells) for row in (sheet.header, *sheet.rows))
    columns: dict[str, int] = {}
    for index in range(width):
        title = sheet.header.text(index)
        key = by_title.get(column_key(title))
        if title.startswith("#") or (not title and not any(row.text(index) for row in sheet.rows)):
            continue
        if key is None:
            detail = f"{quote(title)} is no column of this table; a title that begins with # is a remark"
            faults.add(sheet.file, sheet.header.place(index), "unknown_column", detail)
        elif key in columns:
            faults.add(sheet.file, sheet.header.place(index), "repeated_column", f"{key} stands here twice")
        else:
            columns[key] = index
    return columns
