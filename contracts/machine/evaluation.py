"""Loading and running a program, in the process that calls.

Knows the Starlark interpreter and its entry points, and checks what comes out. Must not know limits of
memory or time: those need a process of their own (node.machine). Always true: the same bundle and the same
case text give the same result text, byte for byte; a result is canonical JSON without floats.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import starlark

from contracts.machine.bundle import ProgramBundle, program_hash
from contracts.machine.errors import MachineLimit, ProgramFailed, ProgramRefused
from contracts.machine.language import HARNESS, MAX_CALL_DEPTH, PRELUDE
from contracts.machine.lint import lint_bundle

MAX_RESULT_BYTES: Final = 4 * 2**20
"""One result; that of fifty policies with a hundred benefits each is a quarter of it."""
MAX_TRACE_BYTES: Final = 16 * 2**20
"""One explanation: about a hundred thousand steps."""
MAX_STEPS: Final = 20_000
"""Interruption points of one run, one for about every 1,000 instructions; an ordinary case reaches none."""
MAX_INTEGER: Final = 2**53 - 1
MAX_DEPTH: Final = 32

_FILE: Final = "program"
_PLACES: Final = re.compile(r"(?:--> |\* )program:(\d+)")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The canonical result text of a run, and its explanation where one was asked for."""

    result: str
    trace: str | None = None


class LoadedProgram:
    """A linted and loaded program, ready to run any number of cases."""

    def __init__(self, bundle: ProgramBundle, module: Any) -> None:
        self.bundle = bundle
        self.hash = program_hash(bundle)
        self._module = module

    def run(self, case_text: str, *, max_steps: int = MAX_STEPS) -> Evaluation:
        """The result for a checked case. Raises ProgramFailed or MachineLimit."""
        return Evaluation(_check_result(self._call("machine_run", case_text, max_steps), MAX_RESULT_BYTES))

    def explain(self, case_text: str, *, max_steps: int = MAX_STEPS) -> Evaluation:
        """The same result, with every step that led to it. Raises ProgramFailed or MachineLimit."""
        result, trace = self._call("machine_explain", case_text, max_steps)
        return Evaluation(_check_result(result, MAX_RESULT_BYTES), _check_result(trace, MAX_TRACE_BYTES))

    def _call(self, function: str, case_text: str, max_steps: int) -> Any:
        counter = _StepCounter(max_steps)
        options = starlark.EvalOptions(check_cancelled=counter.is_over, max_callstack_size=MAX_CALL_DEPTH)
        try:
            return self._module.call_with(options, function, case_text).value
        except starlark.StarlarkError as error:
            if counter.steps > max_steps:
                raise MachineLimit("steps", f"more than {max_steps} thousand instructions") from None
            detail = f"stopped at {_place(self.bundle, str(error))}"
            raise ProgramFailed("program_failed", detail, private_text=str(error)) from None


class _StepCounter:
    """Counts interruption points; the count is the same in every run of a case."""

    def __init__(self, limit: int) -> None:
        self.steps = 0
        self._limit = limit

    def is_over(self) -> bool:
        self.steps += 1
        return self.steps > self._limit


def load_program(bundle: ProgramBundle) -> LoadedProgram:
    """Lints and loads a program. Raises ProgramRefused with the first fault, or for what Starlark refuses."""
    faults = lint_bundle(bundle)
    if faults:
        first = faults[0]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise ProgramRefused("lint", f"{first.file} line {first.line}: {first.detail}{more}")
    module = starlark.Module()
    try:
        tree = starlark.parse(_FILE, bundle.source + PRELUDE + HARNESS, _dialect())
        starlark.eval(module, tree, starlark.Globals.extended_by([starlark.LibraryExtension.Json]))
        return LoadedProgram(bundle, module.freeze())
    except starlark.StarlarkError as error:
        raise ProgramRefused("load", f"Starlark refuses {_place(bundle, str(error))}") from None


def _dialect() -> Any:
    """Functions, and nothing that the lint does not know."""
    dialect = starlark.Dialect.standard()
    dialect.enable_load = False
    dialect.enable_lambda = False
    dialect.enable_f_strings = False
    dialect.enable_top_level_stmt = False
    dialect.enable_types = starlark.DialectTypes.DISABLE
    return dialect


def _place(bundle: ProgramBundle, text: str) -> str:
    """The innermost place in the program that an error names, without what it says: that may quote the case."""
    places = [bundle.place_of(int(line)) for line in _PLACES.findall(text)]
    return next((place for place in reversed(places) if place is not None), "an unknown place")


def _check_result(text: Any, limit: int) -> str:
    """The text written canonically. Raises MachineLimit `size`, ProgramFailed `result`, `result_range`."""
    if not isinstance(text, str):
        raise ProgramFailed("result", "the program gave no JSON")
    if len(text) > limit:
        raise MachineLimit("size", f"the program gave more than {limit} bytes")
    value = msgspec.json.decode(text)
    _check_value(value, 0)
    return msgspec.json.encode(value, order="sorted").decode("utf-8")


def _check_value(value: Any, depth: int) -> None:
    """Whole numbers within +-(2^53-1), texts, truth values and nothing, MAX_DEPTH deep."""
    if depth > MAX_DEPTH:
        raise ProgramFailed("result", f"the result is nested deeper than {MAX_DEPTH}")
    kind = type(value)
    items = value.values() if kind is dict else value if kind is list else (value,)
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is int:
            if not -MAX_INTEGER <= item <= MAX_INTEGER:
                raise ProgramFailed("result_range", "a figure of the result is beyond +-(2^53-1)")
        elif kind is dict or kind is list:
            _check_value(item, depth + 1)
        elif kind is float:
            raise ProgramFailed("result", "the result holds a number that is not whole")
