"""Is a release fit to be voted on? Its program is linted, its examples are run, what differs is named.

Knows lint, examples and how two values are compared. Must not know how a program is run: the caller hands in `run`,
which bounds it. Always true: a release without an example is not fit; an example holds if every field that it expects
is there with that value, lists being compared entry by entry and in length; a run that fails is an example that fails.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from contracts.case import encode_case
from contracts.errors import InputError, pointer, shorten
from contracts.machine.errors import MachineError
from contracts.machine.lint import Fault, lint_bundle
from contracts.products.examples import Example, build_case
from contracts.products.faults import ProductFault
from contracts.products.release import Release
from contracts.products.rules import check_tables, review_tables
from ledger.encoding import encode

Run: TypeAlias = Callable[[str], str]
"""Case text (contracts.case.encode_case) in, result text out; raises MachineError."""
MAX_SHOWN: Final = 300
"""Characters of a value that a report repeats."""
ABSENT: Final = "absent"


@dataclass(frozen=True, slots=True)
class ExampleReport:
    """How one example went. `path` is the first field that differs, as JSON Pointer into the result; `expected` and
    `got` are JSON texts, cut to MAX_SHOWN, or `absent`; `code` says why there is no result, "" if there is one.
    """

    name: str
    title: str
    ok: bool
    path: str = ""
    expected: str = ""
    got: str = ""
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a voter reads. `remarks` do not make a release unfit."""

    contract_hash: str
    tables_hash: str
    product_hash: str
    lint: tuple[Fault, ...]
    faults: tuple[ProductFault, ...]
    remarks: tuple[ProductFault, ...]
    examples: tuple[ExampleReport, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong and at least one example holds."""
        return not self.lint and not self.faults and bool(self.examples) and all(item.ok for item in self.examples)

    def as_dict(self) -> dict[str, Any]:
        """The report as one JSON document."""
        value: dict[str, Any] = msgspec.to_builtins(self)
        return {"ok": self.ok, **value}


def check_release(release: Release, run: Run) -> CheckReport:
    """Lint, rules and examples of a release. A program with lint faults is not run."""
    lint = tuple(lint_bundle(release.bundle))
    faults = tuple(ProductFault("tables", *found) for found in check_tables(release.tables))
    remarks = tuple(ProductFault("tables", *found) for found in review_tables(release.tables))
    if lint:
        examples = tuple(
            _without_result(item, "lint", "the program has faults and was not run") for item in release.examples
        )
    else:
        examples = tuple(check_example(item, release.tables, run) for item in release.examples)
    return CheckReport(
        release.contract_hash, release.tables_hash, release.product_hash, lint, faults, remarks, examples
    )


def check_example(example: Example, tables: dict[str, Any], run: Run) -> ExampleReport:
    """One example: its case is run and compared."""
    try:
        case_text = encode_case(build_case(example, tables))
    except InputError as error:
        return _without_result(example, error.code, f"input{error.path}: {error.detail}")
    try:
        result = msgspec.json.decode(run(case_text))
    except MachineError as error:
        return _without_result(example, error.code, error.detail)
    for path, expected, got in differences(example.expected, result):
        return ExampleReport(example.name, example.title, False, path, expected, got)
    return ExampleReport(example.name, example.title, True)


def differences(expected: Any, got: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """(path, expected, got) of each field that is expected and is not so, in the order of the expected value."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key, item in expected.items():
            at = pointer(path, key)
            if key in got:
                yield from differences(item, got[key], at)
            else:
                yield at, _show(item), ABSENT
    elif isinstance(expected, list) and isinstance(got, list):
        for index, item in enumerate(expected):
            if index < len(got):
                yield from differences(item, got[index], pointer(path, index))
            else:
                yield pointer(path, index), _show(item), ABSENT
        if len(got) > len(expected):
            yield pointer(path, len(expected)), ABSENT, _show(got[len(expected)])
    elif type(expected) is not type(got) or expected != got:
        yield path, _show(expected), _show(got)


def _show(value: Any) -> str:
    return shorten(encode(value).decode("utf-8"), MAX_SHOWN)


def _without_result(example: Example, code: str, detail: str) -> ExampleReport:
    return ExampleReport(example.name, example.title, False, code=code, detail=detail)
