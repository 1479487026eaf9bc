"""What is wrong with a product: every fault, each with its file and its cell.

Knows how faults are collected, bounded and shown. Must not know what a product is. Always true: a fault has a
stable code, names a place that its author can find (a cell as spreadsheets name it, a key, a line), and quotes at
most a few printable characters of what stands there. Product tables are public: they may be quoted.
"""

from dataclasses import dataclass
from typing import Final

from contracts.errors import ContractError, shorten

MAX_FAULTS: Final = 200
"""Faults that are collected; a table that is wrong throughout is not put right from a longer list."""
MAX_FAULTS_IN_LINE: Final = 8
"""Faults that the one-line text of the error holds; all of them are in `faults`."""
MAX_NAME: Final = 100
"""Characters of a file's name: whoever sends the folder chose it."""
MAX_QUOTED: Final = 40
"""Characters of a cell that a fault repeats."""


@dataclass(frozen=True, slots=True, order=True)
class ProductFault:
    """One fault. `place` is a cell (`C7`), a key, a line or a JSON Pointer into `file`; "" is the whole file."""

    file: str
    place: str
    code: str
    detail: str

    def __str__(self) -> str:
        return f"{self.file}{' ' + self.place if self.place else ''}: {self.code}: {self.detail}"

    def as_dict(self) -> dict[str, str]:
        """The fault as `--json` shows it."""
        return {"file": self.file, "place": self.place, "code": self.code, "detail": self.detail}


class ProductRefused(ContractError):
    """A product that cannot be used. `faults` holds all that were found, in the order of the files."""

    def __init__(self, faults: tuple[ProductFault, ...]) -> None:
        shown = "; ".join(str(fault) for fault in faults[:MAX_FAULTS_IN_LINE])
        more = len(faults) - MAX_FAULTS_IN_LINE
        super().__init__("product", shown + (f"; and {more} more" if more > 0 else ""))
        self.faults = faults


class FaultList:
    """Faults while they are collected, at most MAX_FAULTS of them, no two alike."""

    def __init__(self) -> None:
        self._faults: dict[ProductFault, None] = {}
        self._noted = 0

    def add(self, file: str, place: str, code: str, detail: str) -> None:
        """One more fault; beyond the bound it is dropped."""
        self._noted += 1
        if len(self._faults) < MAX_FAULTS:
            name = shorten(file, MAX_NAME)
            self._faults[ProductFault(name, place, code, detail)] = None

    def __len__(self) -> int:
        """How many were noted, those included that the bound dropped: it grows with every fault."""
        return self._noted

    def has(self, *files: str) -> bool:
        """Whether one of these files has a fault."""
        return any(fault.file in files for fault in self._faults)

    def check(self) -> None:
        """Raises ProductRefused if there is any."""
        if self._faults:
            raise ProductRefused(tuple(self._faults))


def quote(text: str) -> str:
    """Foreign text as a fault repeats it."""
    return f"{shorten(text, MAX_QUOTED)!r}"
