"""Documents in and answers out: one file, or one document a line (NDJSON).

Knows files, standard input and output, bounded lines, the error object in place of a bad line, and the
progress bar. Must not know what a document means: each command hands in a function from document bytes to
an answer. Always true: line n of the output answers line n of the input, and no line is read whole into
memory once it is longer than a document may be.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, TypeAlias

import click
import msgspec

from contracts.errors import InputError
from contracts.inputs import MAX_DOCUMENT_BYTES

Answer: TypeAlias = Callable[[bytes], Any]

EXIT_NO: Final = 1
"""The answer is no: the check finds violations."""
EXIT_WRONG_USE: Final = 2
"""The document cannot be used, or the command was called wrongly."""
SKIP_BYTES: Final = 2**16
"""Step in which the rest of an over-long line is passed over."""


class WrongUse(click.ClickException):
    """One line on stderr: what, where, what to do."""

    exit_code = EXIT_WRONG_USE


@contextmanager
def open_document(name: str) -> Iterator[BinaryIO]:
    """The named file for reading, or standard input for `-`."""
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(name, "rb")  # noqa: SIM115 - closed by the with statement below
    except OSError as error:
        raise WrongUse(f"{name}: cannot be read ({error.strerror}); name a file, or - for standard input") from None
    with stream:
        yield stream


def read_document(name: str) -> bytes:
    """One whole document. More than MAX_DOCUMENT_BYTES is cut just beyond it, for the decoder to refuse."""
    with open_document(name) as stream:
        try:
            return stream.read(MAX_DOCUMENT_BYTES + 1)
        except OSError as error:
            raise WrongUse(f"{name}: cannot be read ({error.strerror}); name a file, or -") from None


def write_answer(answer: Any, *, compact: bool) -> None:
    """One JSON document on standard output: sorted keys, UTF-8; indented unless `compact`."""
    text = _encode(answer)
    sys.stdout.buffer.write((text if compact else msgspec.json.format(text, indent=2)) + b"\n")


def answer_file(name: str, answer: Answer, *, as_json: bool) -> Any:
    """The answer for the one document in a file, written out and returned.

    A document that cannot be used ends the command with WrongUse; with `as_json` the error object is also
    written to standard output.
    """
    try:
        result = answer(read_document(name))
    except InputError as error:
        if as_json:
            write_answer({"error": error.as_dict()}, compact=True)
        place = f"{name}{'#' + error.path if error.path else ''}"
        raise WrongUse(f"{error.code}: {place}: {error.detail}") from None
    write_answer(result, compact=as_json)
    return result


def answer_lines(name: str, answer: Answer) -> None:
    """The answer of each line on a line of its own, in order; an error object where a line cannot be used.

    Each answer is out before the next line is read: the other end may wait for it.
    """
    out = sys.stdout.buffer
    with open_document(name) as stream, _progress(stream) as advance:
        for line in _read_lines(stream):
            out.write(_encode(_answer_line(line, answer)) + b"\n")
            out.flush()
            advance(len(line))


def _answer_line(line: bytes, answer: Answer) -> Any:
    try:
        return answer(line)
    except InputError as error:
        return {"error": error.as_dict()}


def _encode(answer: Any) -> bytes:
    return msgspec.json.encode(answer, order="sorted")


def _read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines without their end. One that is too long comes cut just beyond the limit."""
    while line := stream.readline(MAX_DOCUMENT_BYTES + 2):
        if not line.endswith(b"\n") and len(line) > MAX_DOCUMENT_BYTES:
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = stream.readline(SKIP_BYTES)
        yield line.removesuffix(b"\n").removesuffix(b"\r")


@contextmanager
def _progress(stream: BinaryIO) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, counted in bytes; nothing in a pipe, nor where the answers fill the terminal."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("documents", total=_size_of(stream))
        yield lambda count: bar.advance(task, count + 1)


def _size_of(stream: BinaryIO) -> int | None:
    """Bytes of a regular file; None for what has no length to speak of."""
    try:
        return os.fstat(stream.fileno()).st_size or None
    except (OSError, ValueError):
        return None
