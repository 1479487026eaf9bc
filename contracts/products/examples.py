"""Worked examples of a product: a case, what it must come to, and the words that say why.

Knows the form of an example and how it stands in a proposal. Must not know what any rule pays. Always true: an
example that has been read is a canonical value; its case may leave out `product` of a policy, and then the product
that the example belongs to stands there, so that examples follow their tables.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from contracts.case import Case, read_case
from contracts.errors import InputError
from contracts.inputs import decode_document
from contracts.products.faults import FaultList
from ledger.encoding import encode
from ledger.errors import DecodeError

MAX_EXAMPLES: Final = 200
"""Examples of one product; each is a run of the program by every voter."""
MAX_EXAMPLE_BYTES: Final = 64 * 1024
"""One example; those of the standard program have 1 to 4 kB."""
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FIELDS: Final = {"title": str, "worked": str, "input": dict, "expected": dict}


@dataclass(frozen=True, slots=True)
class Example:
    """`input` is a case, `expected` the result or the part of it that the example is about."""

    name: str
    title: str
    worked: str
    input: dict[str, Any]
    expected: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The example as a file holds it; its name is the file's."""
        return {"title": self.title, "worked": self.worked, "input": self.input, "expected": self.expected}


def build_case(example: Example, tables: dict[str, Any]) -> Case:
    """The case of an example, with the product's tables where a policy names none. Raises InputError."""
    policies = example.input.get("policies")
    if not isinstance(policies, list):
        return read_case(example.input)
    filled = [
        item | {"product": tables} if isinstance(item, dict) and item.get("product") is None else item
        for item in policies
    ]
    return read_case(example.input | {"policies": filled})


def read_example(file: str, name: str, data: bytes, faults: FaultList) -> Example | None:
    """The example in a JSON file; None, with the faults noted under `file`, if it is none."""
    if NAME.fullmatch(name) is None:
        faults.add(file, "", "name", "small letters, digits, - and _ only, then .json")
        return None
    try:
        value = decode_document(data.removeprefix(b"\xef\xbb\xbf"), limit=MAX_EXAMPLE_BYTES)
    except InputError as error:
        faults.add(file, error.path, error.code, error.detail)
        return None
    return check_example(file, "", name, value, faults)


def check_example(file: str, path: str, name: str, value: Any, faults: FaultList) -> Example | None:
    """A decoded example; None, with the faults noted at `path` of `file`, if it is none."""
    if not isinstance(value, dict):
        faults.add(file, path, "type", "expected an object with title, worked, input and expected")
        return None
    before = len(faults)
    for key in value:
        if key not in _FIELDS:
            faults.add(file, path, "unknown_field", f"an example has {', '.join(_FIELDS)} and nothing else")
    for field, kind in _FIELDS.items():
        if not isinstance(value.get(field, "" if field == "worked" else None), kind):
            faults.add(file, f"{path}/{field}", "type", "expected text" if kind is str else "expected an object")
    try:
        encode(value)
    except DecodeError as error:
        faults.add(file, path, error.code, error.detail)
    if len(faults) > before:
        return None
    return Example(name, value["title"], value.get("worked", ""), value["input"], value["expected"])
