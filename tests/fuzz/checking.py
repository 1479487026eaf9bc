"""What every decoder must do with any input: give a value that it would write the same way, or its own error.

Knows no decoder. An error has a code that stands in the program's text and a short printable message; no input makes
a decoder raise anything else, recurse, hang, or hold much more memory than the input has bytes.
"""

import ast
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.fuzz.mutations import Sample

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("ledger", "consensus", "contracts", "node", "cli")
MAX_MESSAGE: Final = 400
"""Characters of an error's text. The longest own sentences have 150; the rest is room for a path or an identifier."""
MAX_CPU_S: Final = 2.0
"""Of one case. The slowest honest one takes 30 ms; a case that takes this long costs a peer nothing to send."""
MEMORY_FACTOR: Final = 64
"""Bytes held at the peak for one byte of input: an empty list in JSON is three bytes, in memory sixty-four."""
MEMORY_BASE: Final = 2 * 2**20
MEASURED: Final = 64
"""Every n-th case has its memory measured: measuring makes it five times slower."""


class TooSlow(BaseException):
    """A decoder was still at work after MAX_CPU_S. No Exception, so that no decoder can take it for an input error."""


@dataclass(frozen=True)
class Decoder:
    """One way in. `name` is module:function, so that the registry can be held against the source."""

    name: str
    decode: Callable[[bytes], Any]
    samples: Callable[[], list[Sample]]
    errors: tuple[type[Exception], ...]
    encode: Callable[[Any], bytes] | None = None
    """The value's bytes."""
    canonical: bool = True
    """Whether the format has one spelling, so that those bytes must be the input; else they mean the same value."""
    weight: int = 4
    """Share of the cases: 12 for what any stranger or peer can send, 4 for what a member sends, 1 for own files."""
    message: int = MAX_MESSAGE


@cache
def known_codes() -> frozenset[str]:
    """Every string constant of the program: a code made from input is in none of its files."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in files)
    nodes = (node for tree in trees for node in ast.walk(tree))
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def check_case(decoder: Decoder, data: bytes, *, measured: bool = False) -> None:
    """One case. Raises AssertionError, or whatever the decoder raised and must not."""
    try:
        with _bounded_time(), _bounded_memory(len(data), measured):
            value = decoder.decode(data)
    except decoder.errors as error:
        _check_error(decoder, error)
        return
    except (Exception, TooSlow) as error:
        error.add_note(f"input: {data[:2_000]!r}")
        raise
    if decoder.encode is None:
        return
    same = decoder.encode(value) == data if decoder.canonical else decoder.decode(decoder.encode(value)) == value
    assert same, f"accepted, but written differently: {data[:2_000]!r}"


def _check_error(decoder: Decoder, error: Exception) -> None:
    code, text = getattr(error, "code", None), str(error)
    assert type(error) in decoder.errors, f"{type(error).__name__} is a kind of its own: name it"
    assert code in known_codes(), f"the code {code!r} is not one of the program's"
    assert len(text) <= decoder.message, f"a message of {len(text)} characters: {text[:200]}"
    assert text.isprintable(), f"a message that a terminal or log would take for more than text: {text[:200]!r}"


@contextmanager
def _bounded_time() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlow(f"more than {MAX_CPU_S} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MAX_CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def _bounded_memory(size: int, measured: bool) -> Iterator[None]:
    if not measured:
        yield
        return
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    allowed = MEMORY_BASE + MEMORY_FACTOR * size
    assert peak <= allowed, f"{peak} bytes held at the peak for an input of {size}"
