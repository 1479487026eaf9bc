"""What an audit of a data folder found wrong: where exactly, and what to do about it.

Knows tables and words. Must always hold: a fault names a table and a place in it, and never shows a value.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

MAX_FAULTS: Final = 100
"""Faults that are listed: a destroyed disk has as many as rows, and the first hundred say so."""
FETCH_AGAIN: Final = (
    "check the disk; stop the node, remove its ledger (data/ledger.db*, never keys/) and start it: it fetches all again"
)
ADVICE: Final = {
    "ledger": "the blocks themselves do not hold: keep this folder as evidence and compare it with another node's "
    "(claimnode audit diff)",
    "network": "this is not the ledger of that genesis: name the right folder or the right --trust",
}


class Fault(Struct, frozen=True):
    """One thing that does not hold. `table` is a table of the store, `database` (its file), or `ledger` (a block)."""

    table: str
    place: str
    code: str
    detail: str
    advice: str


class TooMany(Exception):
    """As many faults as are listed."""


class Faults:
    """The faults so far."""

    def __init__(self, most: int = MAX_FAULTS) -> None:
        self._most = most
        self.found: list[Fault] = []

    def add(self, table: str, place: str, code: str, detail: str) -> None:
        """One more. Raises TooMany with the last that is listed."""
        self.found.append(Fault(table, place, code, detail, ADVICE.get(table, FETCH_AGAIN)))
        if len(self.found) >= self._most:
            raise TooMany

    def add_all(self, table: str, faults: Iterable[tuple[str, str, str]]) -> None:
        """(place, code, detail) of each."""
        for place, code, detail in faults:
            self.add(table, place, code, detail)
