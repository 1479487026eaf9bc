"""A product folder, read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.machine.bundle import ProgramBundle
from contracts.products.examples import Example


@dataclass(frozen=True, slots=True)
class FolderContent:
    """The parts of a product folder."""

    bundle: ProgramBundle
    tables: dict[str, Any]
    examples: tuple[Example, ...]
    title: str


def read_folder(files: Mapping[str, bytes], standard: ProgramBundle) -> FolderContent:
    """The parts of a product folder. Raises ProductRefused."""
    raise NotImplementedError
