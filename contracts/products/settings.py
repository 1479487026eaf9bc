"""product.toml: what a product says once, and not for each plan.

Knows its keys and their values. Must not know tables. Always true: money and numbers are read exactly, from text or
whole numbers; a key that nobody knows is a fault; no value becomes a float.
"""

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from contracts.errors import pointer
from contracts.product import DEFAULT_REVIEW_THRESHOLD_FEN, MAX_BENEFITS
from contracts.products.cells import CellFault, code_fault, icd_fault, parse_days, parse_yuan
from contracts.products.faults import FaultList, quote
from contracts.products.rules import check_title
from contracts.products.sheets import BYTE_ORDER_MARK, plain
from contracts.schema import MAX_ENTRIES, MAX_INTEGER
from ledger.encoding import check_nesting
from ledger.errors import DecodeError

SETTINGS_FILE: Final = "product.toml"
MAX_SETTINGS_BYTES: Final = 64 * 1024
"""product.toml; an ordinary one has 500 bytes, the rest is room for excluded ICD codes."""
MAX_TOML_DEPTH: Final = 8
"""Nesting in product.toml; one list is all that it needs."""
_LONG_KEY: Final = re.compile(rb"""(?:\.[ \t]*(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*){16}""")
"""A key of many dotted parts: no product has one, and the standard library needs the square of their number."""
STANDARD: Final = "standard"
KEYS: Final = (
    "product_code",
    "title",
    "program",
    "pre_existing",
    "review_threshold_yuan",
    "run_off_days",
    "benefit_order",
    "excluded_icd_prefixes",
)


class _Fraction:
    """A number with a point in product.toml: never a float, always a fault."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What product.toml says. `fields` are those of the specification; `program` is `standard` or None."""

    fields: dict[str, Any]
    title: str
    program: str | None


def build_settings(data: bytes, faults: FaultList) -> Settings:
    """The settings in a file; faulty ones are noted and count as absent."""
    given = _load(data, faults)
    for key in given:
        if key not in KEYS:
            faults.add(SETTINGS_FILE, pointer("", key)[1:], "unknown_key", f"the keys are {', '.join(KEYS)}")
    if "product_code" not in given:
        faults.add(SETTINGS_FILE, "product_code", "missing", "the product's own short code")
    read = _Reader(given, faults)
    title = read.text("title")
    check_title(SETTINGS_FILE, title, faults)
    fields = {
        "product_code": read.text("product_code"),
        "pre_existing": read.choice("pre_existing", ("exclude", "cover")),
        "review_threshold_fen": read.number("review_threshold_yuan", parse_yuan, DEFAULT_REVIEW_THRESHOLD_FEN),
        "run_off_days": read.number("run_off_days", parse_days, 0),
        "benefit_order": read.codes("benefit_order", code_fault, MAX_BENEFITS),
        "excluded_icd_prefixes": read.codes("excluded_icd_prefixes", icd_fault, MAX_ENTRIES),
    }
    return Settings(fields, title, read.choice("program", (STANDARD,)) if "program" in given else None)


def encode_settings(tables: dict[str, Any], title: str, *, is_standard: bool, yuan: Callable[[int], str]) -> bytes:
    """product.toml for these tables; `yuan` spells an amount."""
    lines = [
        ("product_code", tables["product_code"], "产品代码"),
        ("title", title, "产品名称"),
        *([("program", STANDARD, "标准理算程序")] if is_standard else []),
        ("pre_existing", tables["pre_existing"], "既往症 exclude = 除外, cover = 承保"),
        ("review_threshold_yuan", yuan(tables["review_threshold_fen"]), "申请金额超过即转人工(元)"),
        ("run_off_days", tables["run_off_days"], "保险期满后住院延续(天)"),
        ("benefit_order", tables["benefit_order"], "责任理算次序"),
        ("excluded_icd_prefixes", tables["excluded_icd_prefixes"], "除外疾病编码"),
    ]
    text = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}  # {note}\n" for key, value, note in lines)
    return text.encode("utf-8")


def _load(data: bytes, faults: FaultList) -> dict[str, Any]:
    if len(data) > MAX_SETTINGS_BYTES:
        faults.add(SETTINGS_FILE, "", "too_large", f"more than {MAX_SETTINGS_BYTES} bytes")
        return {}
    raw = data.removeprefix(BYTE_ORDER_MARK)
    if _LONG_KEY.search(raw) is not None:
        faults.add(SETTINGS_FILE, "", "toml", "a key of many parts; the keys of a product have no points")
        return {}
    try:
        check_nesting(raw, MAX_TOML_DEPTH)
        return tomllib.loads(raw.decode("utf-8"), parse_float=lambda _: _Fraction())
    except UnicodeDecodeError:
        faults.add(SETTINGS_FILE, "", "encoding", "is not UTF-8 text")
    except DecodeError:
        faults.add(SETTINGS_FILE, "", "too_large", f"nested deeper than {MAX_TOML_DEPTH}")
    except (ValueError, RecursionError) as error:
        detail = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a value that cannot be read"
        faults.add(SETTINGS_FILE, "", "toml", f"no TOML: {quote(detail)[1:-1]}")
    return {}


class _Reader:
    """The values of some keys; a value of another kind is noted and counts as absent."""

    def __init__(self, given: dict[str, Any], faults: FaultList) -> None:
        self._given = given
        self._faults = faults

    def text(self, key: str) -> str:
        value = self._given.get(key, "")
        if not isinstance(value, str):
            self._fault(key, "type", 'expected text in quotes, as "..."')
            return ""
        return value.strip()

    def choice(self, key: str, words: tuple[str, ...]) -> str:
        value = self._given.get(key, words[0])
        if value not in words:
            self._fault(key, "unknown_value", f"expected one of {', '.join(words)}")
            return words[0]
        return str(value)

    def number(self, key: str, parse: Callable[[str], int], default: int) -> int:
        value = self._given.get(key, default)
        if key not in self._given:
            return default
        if isinstance(value, bool) or not isinstance(value, int | str):
            self._fault(key, "type", 'expected a whole number, or an amount in quotes, as "5000.50"')
            return default
        if isinstance(value, int) and not 0 <= value <= MAX_INTEGER:
            self._fault(key, "range", f"expected a number from 0 to {MAX_INTEGER}")
            return default
        try:
            return parse(plain(str(value)))
        except CellFault as error:
            self._fault(key, error.code, error.detail)
            return default

    def codes(self, key: str, fault_of: Callable[[str], tuple[str, str] | None], most: int) -> list[str]:
        value = self._given.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value) or len(value) > most:
            self._fault(key, "type", f'expected a list of at most {most} codes in quotes, as ["A", "B"]')
            return []
        for item in value:
            fault = fault_of(item)
            if fault is not None:
                self._fault(key, *fault)
        return [item for item in value if fault_of(item) is None]

    def _fault(self, key: str, code: str, detail: str) -> None:
        self._faults.add(SETTINGS_FILE, key, code, detail)
