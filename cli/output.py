"""What commands print: text for people by default, one JSON document with --json.

Knows standard output, tables and the --json option. Must not know what the figures mean. Always true: with
--json there is exactly one document on standard output and nothing else.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Decorator: the flag `--json`, handed to the command as `as_json`."""
    option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    return cast(F, option(command))


def print_json(value: Any) -> None:
    """One JSON document on a line of its own, keys sorted."""
    sys.stdout.flush()
    sys.stdout.buffer.write(msgspec.json.encode(value, order="sorted") + b"\n")
    sys.stdout.buffer.flush()


def print_text(text: str) -> None:
    """A line, or several, for people."""
    click.echo(text)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A plain table: columns padded to their widest cell (a Chinese character counts as two)."""
    cells = [list(columns), *([str(cell) for cell in row] for row in rows)]
    widths = [max(_width(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def print_note(text: str) -> None:
    """A remark on standard error: progress and advice, never part of the answer."""
    click.echo(text, err=True)


def is_terminal() -> bool:
    """Whether progress may be drawn: only where a person watches standard error."""
    return sys.stderr.isatty()


def format_money(amount_fen: int, currency: str) -> str:
    """1234567 fen as `12,345.67 CNY`; integer arithmetic only."""
    sign, whole = ("-" if amount_fen < 0 else ""), abs(amount_fen)
    return f"{sign}{whole // 100:,}.{whole % 100:02d} {currency}"


def _width(text: str) -> int:
    return sum(2 if ord(character) >= 0x2E80 else 1 for character in text)
