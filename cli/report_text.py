"""How reports are written: comma-separated lines, shares, spans of time.

Knows standard output. Must not know what a figure means. Always true: integers in, text out, no fraction in between.
"""

import csv
import sys
from collections.abc import Iterable
from typing import Any, Final

DAY_S: Final = 86_400


def write_csv(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Comma-separated lines on standard output (RFC 4180), UTF-8."""
    writer = csv.writer(sys.stdout, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)


def format_bp(basis_points: int) -> str:
    """9342 as `93.42 %`."""
    return f"{basis_points // 100}.{basis_points % 100:02d} %"


def format_span(milliseconds: int | None) -> str:
    """Milliseconds as `2 d 03:04:05`, below a minute as `5.250 s`; `-` for none."""
    if milliseconds is None:
        return "-"
    seconds, rest = divmod(milliseconds, 1000)
    if seconds < 60:
        return f"{seconds}.{rest:03d} s"
    days, seconds = divmod(seconds, DAY_S)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{days} d {clock}" if days else clock
