"""One cell, one value: money, percentages, days, choices, codes, exactly or not at all.

Knows the spellings that people and spreadsheets give a value. Must not know tables. Always true: no amount passes
through a float; a text that could mean two values is refused, with the spelling to use; a code that a spreadsheet
would turn into a date or a number is refused before it is lost, and what such a change leaves behind is recognised.
"""

import re
from collections.abc import Mapping
from typing import Final, TypeVar

from contracts.errors import ContractError
from contracts.product import FULL_RATIO_BP
from contracts.products.faults import quote
from contracts.products.sheets import is_spreadsheet_error
from contracts.schema import MAX_INTEGER

T = TypeVar("T")

MAX_DIGITS: Final = 16
"""Digits of a number: as many as 2^53-1 has."""
ANY: Final = "any"
"""The cell that matches everything; no code may be called so."""
NOTHING: Final = frozenset({"-", "—", "–", "/"})
"""What people write into a cell that stays empty."""

_MONTH: Final = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?"
    "|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE: Final = re.compile(
    rf"\d{{1,4}}[-/年]\d{{1,2}}(?:[-/月]\d{{0,4}}日?)?|\d{{1,2}}月\d{{1,2}}日?|\d{{1,2}}\.\d{{1,2}}\.\d{{2,4}}"
    rf"|\d{{1,4}}[- ]?{_MONTH}(?:[- ]\d{{2,4}})?|{_MONTH}[- ]?\d{{1,4}}|\d{{1,2}}:\d\d(?::\d\d)?",
    re.IGNORECASE | re.ASCII,
)
_SCIENTIFIC: Final = re.compile(r"[0-9]+(?:[.,][0-9]+)?E[+-]?[0-9]+", re.IGNORECASE)
_OTHER_NUMBER: Final = re.compile(r"0[0-9]+|[0-9]{16,}|[0-9]+[.][0-9]*|TRUE|FALSE", re.IGNORECASE)
"""Codes of which a spreadsheet drops zeros or digits, or which it spells its own way."""
_AMOUNT: Final = re.compile(r"[¥]? ?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.([0-9]{1,2}))? ?元?")
_PERCENT: Final = re.compile(r"([0-9]+)(?:\.([0-9]{1,2}))? ?(%?)")
_DAYS: Final = re.compile(r"([0-9]+) ?(?:天|日|days?)?")
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_ICD: Final = re.compile(r"[A-Za-z][A-Za-z0-9.+*-]{0,31}")
_BETWEEN: Final = re.compile(r"[\s,;、|]+")


class CellFault(ContractError):
    """What is wrong with one cell."""


def parse_yuan(text: str) -> int:
    """Yuan as people write it (`20,000`, `20000.00`, `¥ 20000`), in fen. Raises CellFault."""
    _check_unmangled(text)
    found = _AMOUNT.fullmatch(text)
    if found is None:
        how = "yuan with at most two digits after a point, as 20000, 20,000 or 20000.50"
        raise CellFault("amount", f"{quote(text)} is no amount: write {how}")
    yuan, fen = found.groups(default="")
    return _whole(yuan.replace(",", "") + fen.ljust(2, "0"), text)


def parse_percent(text: str) -> int:
    """A percentage (`80`, `80%`, `87.5`) in basis points, 0 to 10000. Raises CellFault."""
    _check_unmangled(text)
    found = _PERCENT.fullmatch(text)
    if found is None:
        raise CellFault(
            "percent", f"{quote(text)} is no percentage: write 80, 80% or 87.5 (two digits after the point)"
        )
    whole, part, sign = found.groups(default="")
    ratio_bp = _whole(whole + part.ljust(2, "0"), text)
    if ratio_bp > FULL_RATIO_BP:
        raise CellFault("range", f"{quote(text)} is more than 100 %")
    if 0 < ratio_bp <= FULL_RATIO_BP // 100 and not sign:
        raise CellFault(
            "percent", f"{quote(text)} could mean a share of 1: write 80 for 80 %, or {text}% if you mean that"
        )
    return ratio_bp


def parse_days(text: str) -> int:
    """A number of days. Raises CellFault."""
    _check_unmangled(text)
    found = _DAYS.fullmatch(text)
    if found is None:
        raise CellFault("days", f"{quote(text)} is no number of days: write a whole number, as 30")
    return _whole(found[1], text)


def parse_choice(text: str, words: Mapping[str, T]) -> T:
    """One of some words, in any case of letters. Raises CellFault."""
    if text.lower() not in words:
        raise CellFault("unknown_value", f"{quote(text)} is none of {', '.join(words)}")
    return words[text.lower()]


def parse_code(text: str) -> str:
    """The code of a plan or benefit. Raises CellFault."""
    _check_unmangled(text)
    fault = code_fault(text)
    if fault is not None:
        raise CellFault(*fault)
    return text


def parse_icd_prefixes(text: str) -> list[str]:
    """Beginnings of ICD codes with spaces or commas between them. Raises CellFault."""
    _check_unmangled(text)
    found = [part for part in _BETWEEN.split(text) if part]
    for part in found:
        fault = icd_fault(part)
        if fault is not None:
            raise CellFault(*fault)
    return found


def code_fault(code: str) -> tuple[str, str] | None:
    """Why this cannot be the code of a plan, a benefit or a product: (code, detail); None if it can."""
    if _CODE.fullmatch(code) is None or code.lower() == ANY:
        return "code", f"{quote(code)} is no code: 1 to 40 of A-Z a-z 0-9 . _ - and not {ANY!r}"
    if is_at_risk(code):
        return "code_at_risk", f"a spreadsheet would change {quote(code)}: use a code that is no date and no number"
    return None


def icd_fault(prefix: str) -> tuple[str, str] | None:
    """Why this cannot be the beginning of an ICD code; None if it can."""
    if _ICD.fullmatch(prefix) is None:
        return "icd", f"{quote(prefix)} is no beginning of an ICD code: a letter, then letters, digits, point"
    if is_at_risk(prefix):
        return "code_at_risk", f"a spreadsheet would change {quote(prefix)} into a date"
    return None


def is_at_risk(code: str) -> bool:
    """Whether a spreadsheet that opens this text shows, and saves, something else. Short whole numbers are safe."""
    return any(form.fullmatch(code) for form in (_DATE, _SCIENTIFIC, _OTHER_NUMBER))


def _check_unmangled(text: str) -> None:
    if not text.isprintable():
        raise CellFault("invisible", "the cell holds a line end or another invisible character: type it again")
    if is_spreadsheet_error(text):
        raise CellFault("mangled", f"{quote(text)} is an error of the spreadsheet: put it right there and save again")
    if text.startswith(("=", "@")):
        raise CellFault("mangled", f"{quote(text)} is a formula: type its value")
    if _DATE.fullmatch(text) or _SCIENTIFIC.fullmatch(text):
        raise CellFault(
            "mangled", f"{quote(text)}: a spreadsheet made a date or a rounded number of it; format the cell as text"
        )


def _whole(digits: str, text: str) -> int:
    digits = digits.lstrip("0") or "0"
    value = int(digits) if len(digits) <= MAX_DIGITS else MAX_INTEGER + 1
    if value > MAX_INTEGER:
        raise CellFault("range", f"{quote(text)} is beyond any amount")
    return value
