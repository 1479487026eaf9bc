"""What a release asks of its tables beyond their shape."""

from collections.abc import Iterator
from typing import Any

from contracts.products.faults import FaultList


def check_tables(tables: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(path, code, detail) of each rule that tables break."""
    yield from ()


def check_title(file: str, title: str, faults: FaultList) -> None:
    """A title is printable text of one line."""
