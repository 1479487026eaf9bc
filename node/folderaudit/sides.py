"""One of two ledgers that are compared: what is asked of it, and the answers of a data folder.

Knows rows. Must not know the other side. Must always hold: an answer is decoded from the rows that the node itself
would serve; what cannot be read raises StoreError with its place.
"""

from typing import Protocol

import msgspec

from contracts.receipts import Receipt
from ledger.blocks import Header, decode_block
from ledger.errors import StoreError
from ledger.rowreader import StoreRows
from ledger.state import Versioned
from ledger.storetables import decode_changes, open_parts
from node.folderaudit.faults import Faults, TooMany
from node.folderaudit.tables import check_map

_receipts = msgspec.json.Decoder(tuple[Receipt, ...])


class Side(Protocol):
    """A ledger as one node has it."""

    name: str
    first: int
    """The lowest height that it has."""
    last: int

    def header(self, height: int) -> Header: ...

    def transactions(self, height: int) -> tuple[bytes, ...]: ...

    def receipts(self, height: int) -> tuple[Receipt, ...]: ...

    def entries(self, height: int) -> tuple[bytes, ...]:
        """The log entries of a block; the first is the hash of the header below."""

    def changes(self, height: int) -> dict[str, Versioned]:
        """What a block wrote."""

    def current(self, key: str) -> Versioned | None:
        """The value of a key at `last`, proved by the map where the side proves anything."""

    def map_fault(self) -> str | None:
        """What is wrong with the stored pages of the state map, as far as they can be seen."""


class FolderSide:
    """The data folder of a node, at the moment when it was opened."""

    def __init__(self, name: str, rows: StoreRows) -> None:
        """Raises StoreError."""
        rows.begin()
        self.name = name
        self.rows = rows
        self.first, self.last = rows.first(), rows.last()

    def header(self, height: int) -> Header:
        return decode_block(self._body(height, "block")).header

    def transactions(self, height: int) -> tuple[bytes, ...]:
        return decode_block(self._body(height, "block")).transactions

    def receipts(self, height: int) -> tuple[Receipt, ...]:
        try:
            return _receipts.decode(self._body(height, "receipts"))
        except msgspec.MsgspecError:
            raise StoreError("damaged", f"{self.name}: the receipts of height {height} are none") from None

    def entries(self, height: int) -> tuple[bytes, ...]:
        return open_parts(self._body(height, "entries"))

    def changes(self, height: int) -> dict[str, Versioned]:
        return decode_changes(self._body(height, "changes"))

    def current(self, key: str) -> Versioned | None:
        return self.rows.state_row(key)

    def map_fault(self) -> str | None:
        faults = Faults(1)
        try:
            check_map(self.rows, lambda height: self.header(height).state_root, faults)
        except TooMany:
            fault = faults.found[0]
            return f"{fault.table} {fault.place}: {fault.code}: {fault.detail}"
        return None

    def _body(self, height: int, column: str) -> bytes:
        try:
            return self.rows.body(height, column)
        except StoreError as error:
            raise StoreError(error.code, f"{self.name}: bodies {height}/{column}: {error.detail}") from None
