"""How many cases a second this machine adjudicates: the shipped examples, from case text to result text.

Knows the clock, the shipped examples and where a plain-Python reading of the rules stands beside the sources. Must not
know a rule. Always true: a figure covers all that `claimnode adjudicate` does for a case (reading and checking the
text, defaults, the crossing to the worker, the run, the checked result); each example is adjudicated once before
anything is measured, and must give its expected result; one case is under way at a time, on one core.

The plain-Python reading is the oracle of this project's own tests. It lives with them, so it is measured where the
tests folder stands beside the package, as in a clone, and is null elsewhere.
"""

import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

import cli
from contracts.case import decode_case, encode_case
from node.machine.programs import standard_examples, standard_program
from node.machine.runner import MachineRunner

Run: TypeAlias = Callable[[bytes], object]

ROUNDS: Final = 9
"""The median round counts: a round that another process disturbed does not."""
ORACLE: Final = Path(cli.__file__).parent.parent / "tests" / "support" / "adjudication_oracle.py"


def measure_adjudication(seconds: float) -> tuple[dict[str, Any], list[str]]:
    """The figures, and notes on what could not be measured. `seconds` is the time for each of the three."""
    examples = [msgspec.json.decode(text) for text in standard_examples()]
    texts = [msgspec.json.encode(example["input"]) for example in examples]
    plain = _load_plain_python(ORACLE)
    with _one_core(), MachineRunner(standard_program()) as runner:

        def bare(text: bytes) -> str:
            return runner.adjudicate(encode_case(decode_case(text)))

        def traced(text: bytes) -> str:
            return runner.explain(encode_case(decode_case(text))).result

        for run in (bare, traced, plain) if plain else (bare, traced):
            _check_results(run, texts, examples)
        figures = {
            "cases_per_s": _rate_of(bare, texts, seconds),
            "cases_per_s_with_trace": _rate_of(traced, texts, seconds),
            "plain_python_cases_per_s": _rate_of(plain, texts, seconds) if plain else None,
            "cases": len(texts),
        }
    notes = [] if plain else ["plain_python_cases_per_s: the plain-Python reading lives in tests/, which is not here"]
    return figures, notes


def _rate_of(run: Run, texts: Sequence[bytes], seconds: float) -> float:
    """Cases a second in the median of ROUNDS rounds, each of whole passes over the examples."""
    started = time.perf_counter()
    _pass(run, texts)
    passes = max(1, round(seconds / ROUNDS / (time.perf_counter() - started)))
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(passes):
            _pass(run, texts)
        rounds.append(passes * len(texts) / (time.perf_counter() - started))
    return round(statistics.median(rounds), 1)


def _pass(run: Run, texts: Sequence[bytes]) -> None:
    for text in texts:
        run(text)


def _check_results(run: Run, texts: Sequence[bytes], examples: Sequence[dict[str, Any]]) -> None:
    """Raises RuntimeError for an example with another result than it ships with: its speed would mean nothing."""
    for text, example in zip(texts, examples, strict=True):
        found = run(text)
        if not isinstance(found, str | bytes) or msgspec.json.decode(found) != example["expected"]:
            raise RuntimeError(f"the example {example['title']!r} gives another result than it ships with")


def _load_plain_python(path: Path) -> Run | None:
    """The oracle's reading as text in, text out; None where the tests are not installed."""
    if not path.is_file():
        return None
    spec = importlib.util.spec_from_file_location("claimnode_plain_python", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda text: msgspec.json.encode(module.adjudicate(msgspec.json.decode(text)))


@contextmanager
def _one_core() -> Iterator[None]:
    """This process, and the worker that it starts meanwhile, share one core where the system lets them be bound."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
