"""What language level `starlark-c1` is: a suite of small programs with what they must give, refuse or fail with.

Knows the form of the suite's topics (contracts/machine/conformance/*.json) and how one is checked. Must not know an
interpreter: how a program is loaded and run is handed in. Always true: an interpreter, whatever its version, that
passes every topic is the level; one that does not must never decide a claim.

A topic holds any of
    gives      [expression, value]: `return expression` gives the value
    fails      expression: it loads, and its run stops with `program_failed`
    refused    [expression, code]: lint refuses it with the code
    programs   {name, source, case, expected | error, steps?}: a whole program; `steps` is the number of
               interruption points of its run, exactly
In gives and fails `case` is CASE and `trace` is None.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import msgspec

from contracts.machine.bundle import ProgramBundle, build_bundle
from contracts.machine.errors import MachineError
from contracts.machine.evaluation import MAX_STEPS
from contracts.machine.language import ENTRY_FILE
from contracts.machine.lint import lint_program

Run: TypeAlias = Callable[[str], str]
Load: TypeAlias = Callable[[ProgramBundle, int], Run]
"""(program, most steps) -> (case text -> result text). Both raise MachineError."""

CASE: Final = {"a": 1, "b": [None, True, -5]}


class WholeProgram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `programs`."""

    name: str
    source: str
    case: Any
    expected: Any = msgspec.UNSET
    error: str | None = None
    steps: int | None = None


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the suite."""

    gives: list[tuple[str, Any]] = []
    fails: list[str] = []
    refused: list[tuple[str, str]] = []
    programs: list[WholeProgram] = []

    @property
    def size(self) -> int:
        """How many things are checked."""
        return len(self.gives) + len(self.fails) + len(self.refused) + len(self.programs)


def build_topic(text: str | bytes) -> Topic:
    """A file of the suite. Raises msgspec.ValidationError: the suite is this project's own."""
    return msgspec.json.decode(text, type=Topic)


def check_topic(topic: Topic, load: Load) -> Iterator[str]:
    """One line for each thing that is not as the level says; nothing for an interpreter that conforms."""
    if topic.gives or topic.fails:
        yield from _check_rows(topic, load)
    for expression, code in topic.refused:
        found = {fault.code for fault in lint_program(_entry(f"    x = {expression}\n    return x\n"))}
        if code not in found:
            yield f"`{expression}` must be refused with `{code}`, lint says {sorted(found) or 'nothing'}"
    for program in topic.programs:
        yield from _check_program(program, load)


def _entry(body: str) -> str:
    return f"def adjudicate(case, trace):\n{body}"


def _check_rows(topic: Topic, load: Load) -> Iterator[str]:
    """All expressions in one program; the case says which one is looked at."""
    rows = [*(expression for expression, _ in topic.gives), *topic.fails]
    body = '    row = case["row"]\n    case = case["case"]\n'
    body += "".join(f"    if row == {number}:\n        return {text}\n" for number, text in enumerate(rows))
    try:
        run = load(build_bundle({ENTRY_FILE: _entry(body)}), MAX_STEPS)
    except MachineError as error:
        yield f"the program of {len(rows)} expressions does not load: {error}"
        return
    for number, text in enumerate(rows):
        expected = topic.gives[number][1] if number < len(topic.gives) else msgspec.UNSET
        found = _outcome(run, {"row": number, "case": CASE})
        wanted = "program_failed" if expected is msgspec.UNSET else _canonical(expected)
        if found != wanted:
            yield f"`{text}`: {found}, not {wanted}"


def _check_program(program: WholeProgram, load: Load) -> Iterator[str]:
    bundle = build_bundle({ENTRY_FILE: program.source})
    wanted = program.error or _canonical(program.expected)
    steps = MAX_STEPS if program.steps is None else program.steps
    try:
        found = _outcome(load(bundle, steps), program.case)
        if found != wanted:
            yield f"{program.name}: {found}, not {wanted}"
        if program.steps and _outcome(load(bundle, steps - 1), program.case) != "steps":
            yield f"{program.name}: fewer than {steps} steps"
    except MachineError as error:
        yield f"{program.name}: does not load: {error}"


def _outcome(run: Run, case: Any) -> str:
    """The canonical result, or the code of the error."""
    try:
        return run(_canonical(case))
    except MachineError as error:
        return error.code


def _canonical(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode("utf-8")
