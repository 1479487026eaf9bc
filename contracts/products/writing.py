"""A product folder, written."""

from typing import Any

from contracts.machine.bundle import ProgramBundle
from contracts.products.examples import Example


def write_folder(
    tables: dict[str, Any], title: str, bundle: ProgramBundle | None, examples: tuple[Example, ...]
) -> dict[str, bytes]:
    """Files of a folder that reads back to these parts."""
    raise NotImplementedError
