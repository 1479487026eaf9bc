"""The commission's book of faulty invoices: what was let pass with a warning, and counts by hospital and month.

Knows names in the vault. Must not know rules. Must always hold: a record is counted once, however often its receipt is
looked at, and the book holds codes and ids, nothing of an invoice.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import convert, to_builtins

from contracts.cases.evidence import date_of
from contracts.einvoice_errors import HospitalMonth, JudgedInvoice, Outcome, count_errors
from contracts.states import RecordState
from node.agents.ports import Ports


class InvoiceBook:
    """Kept in the vault as `warnings/CASE`, `counted/CASE`, `invoice-months` and `invoice-errors/MONTH/HOSPITAL`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._vault = ports.vault

    def keep_warnings(self, case_id: str, warnings: dict[str, list[str]]) -> None:
        """Remember what accepted records of the case were let pass with."""
        if warnings:
            self._vault.put_secret(f"warnings/{case_id}", self.warnings(case_id) | warnings)

    def warnings(self, case_id: str) -> dict[str, list[str]]:
        """Record id -> codes that its region still tolerated on its day of issue."""
        return dict(self._vault.get_secret(f"warnings/{case_id}") or {})

    def count(self, case_id: str, record_id: str, state: RecordState, outcome: Outcome, codes: Sequence[str]) -> bool:
        """Count one judged invoice; False if it was counted before."""
        known = self._vault.get_secret(f"counted/{case_id}") or []
        if state.record_type != "invoice" or record_id in known:
            return False
        offset_minutes = self._ports.ledger.final.genesis.parameters.utc_offset_minutes
        month = date_of(state.published_ms, offset_minutes)[:7]
        name = f"invoice-errors/{month}/{state.hospital}"
        before = self._vault.get_secret(name)
        item = JudgedInvoice(state.hospital, month, outcome, tuple(codes))
        (row,) = count_errors([item], [convert(before, HospitalMonth)] if before else [])
        with self._vault.transaction():
            if before is None:
                months = self._vault.get_secret("invoice-months") or []
                self._vault.put_secret("invoice-months", [*months, [month, state.hospital]])
            self._vault.put_secret(name, to_builtins(row))
            self._vault.put_secret(f"counted/{case_id}", [*known, record_id])
        return True

    def errors(self, *, after: int = 0, limit: int = 100) -> dict[str, Any]:
        """Rows in the order of their first invoice, from position `after` on, and where to go on."""
        months = self._vault.get_secret("invoice-months") or []
        page = months[after : after + limit]
        rows = [self._vault.need_secret(f"invoice-errors/{month}/{hospital}") for month, hospital in page]
        return {"items": rows, "next": after + len(page), "more": after + len(page) < len(months)}
