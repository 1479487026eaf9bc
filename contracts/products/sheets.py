"""A table as a spreadsheet saves it: bytes in, rows of cells out, each cell with the name that the spreadsheet shows.

Knows encodings, separators, quoting, remarks and bounds. Must not know what a column means. Always true: the same
cells come out whichever program saved the file (byte order mark, CRLF, commas, semicolons or tabs, UTF-8, UTF-16 or
GB 18030, empty cells and rows at the end); row numbers are those on the screen.
"""

import csv
import io
import re
from dataclasses import dataclass
from typing import Final

from contracts.products.faults import FaultList

MAX_SHEET_BYTES: Final = 256 * 1024
"""One table; a row has about 100 bytes."""
MAX_ROWS: Final = 2_000
"""Rows of one table, empty ones and remarks included: 100 plans with 20 benefits."""
MAX_COLUMNS: Final = 64
"""Columns of one table; the widest has 18, the rest is room for remarks."""
MAX_CELL: Final = 8_000
"""Characters of one cell: a list of a thousand ICD codes."""
SEPARATORS: Final = ",;\t"
"""What spreadsheets write between cells, by the language they are set to."""
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_SEPARATOR_LINE: Final = re.compile(r"sep=([,;\t])")
"""A first line that spreadsheets obey and do not show or count."""
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_TO_ASCII: Final = (
    {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    | dict.fromkeys((0x00A0, 0x2007, 0x2009, 0x202F, 0x3000), 0x20)
    | {0xFFE5: 0x00A5}
)
"""Full-width forms (U+FF01 to U+FF5E, U+FFE5) and the spaces that only look like one."""
_ERRORS: Final = ("#REF!", "#NAME?", "#N/A", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "##")


@dataclass(frozen=True, slots=True)
class Row:
    """One row that is neither empty nor a remark. `number` counts from 1, cells have no white space around them."""

    number: int
    cells: tuple[str, ...]

    def text(self, column: int) -> str:
        """The cell of a column counted from 0; "" beyond the last."""
        return self.cells[column] if column < len(self.cells) else ""

    def place(self, column: int) -> str:
        """The cell's name: C7."""
        return f"{column_name(column)}{self.number}"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: its first row and the others."""

    file: str
    header: Row
    rows: tuple[Row, ...]


def read_sheet(file: str, data: bytes, faults: FaultList) -> Sheet | None:
    """The table in a file; None, with the faults noted, if there is none.

    A row whose first cell begins with # is a remark. Faults: `too_large`, `encoding`, `csv`, `empty`.
    """
    if len(data) > MAX_SHEET_BYTES:
        faults.add(file, "", "too_large", f"more than {MAX_SHEET_BYTES} bytes")
        return None
    text = _decode(data)
    if text is None:
        faults.add(file, "", "encoding", "neither UTF-8 nor GB 18030 text; save the sheet as CSV UTF-8")
        return None
    before = len(faults)
    rows = _rows(file, text, faults)
    if len(faults) > before:
        return None
    if not rows:
        faults.add(file, "", "empty", "no row with the names of the columns")
        return None
    return Sheet(file, rows[0], tuple(rows[1:]))


def column_name(column: int) -> str:
    """The letters over a column that is counted from 0: A to Z, AA, AB."""
    letters = ""
    while column >= 0:
        column, letter = column // 26 - 1, column % 26
        letters = chr(ord("A") + letter) + letters
    return letters


def is_spreadsheet_error(text: str) -> bool:
    """Whether the cell holds what a spreadsheet shows for a formula that fails or a column that is too narrow."""
    return text.upper().startswith(_ERRORS)


def plain(text: str) -> str:
    """A cell's text with full-width letters, digits and signs as ASCII, without white space around it."""
    return text.translate(_TO_ASCII).strip()


def _decode(data: bytes) -> str | None:
    """UTF-16 by its mark, else UTF-8, else what spreadsheets of a Chinese system save when nothing is chosen."""
    encodings = ("utf-16",) if data.startswith(_UTF_16) else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _rows(file: str, text: str, faults: FaultList) -> list[Row]:
    first, _, rest = text.partition("\n")
    named = _SEPARATOR_LINE.fullmatch(first.rstrip("\r"))
    if named is not None:
        text, separator = rest, named[1]
    else:
        separator = max(SEPARATORS, key=text.lstrip().split("\n", 1)[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[Row] = []
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            if number > MAX_ROWS:
                faults.add(file, f"row {number}", "too_large", f"more than {MAX_ROWS} rows")
                break
            row = _row(file, number, cells, faults)
            if row is not None:
                rows.append(row)
    except csv.Error as error:
        faults.add(file, f"row {number + 1}", "csv", f"no CSV table: {error}")
    return rows


def _row(file: str, number: int, cells: list[str], faults: FaultList) -> Row | None:
    while cells and not cells[-1].strip():
        cells.pop()
    if not cells or (cells[0].startswith("#") and not is_spreadsheet_error(cells[0])):
        return None
    if len(cells) > MAX_COLUMNS:
        faults.add(file, f"row {number}", "too_large", f"more than {MAX_COLUMNS} columns")
        return None
    for column, cell in enumerate(cells):
        if len(cell) > MAX_CELL:
            faults.add(file, f"{column_name(column)}{number}", "too_large", f"more than {MAX_CELL} characters")
            return None
    return Row(number, tuple(plain(cell) for cell in cells))
