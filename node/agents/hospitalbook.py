"""The commission's book of stays: counts by hospital and month for RK04 and RK11, from the cases that it completed.

Knows names in the vault. Must not know a rule. Must always hold: a case is counted once; the book holds counts,
and of a person a salted pseudonym with the days of its stays, so that a return can be counted; and nothing is shown of
fewer than MIN_SHOWN stays.

    risk/salt                       of the pseudonyms, this node's own
    risk/celled/<case_id>           that the case was counted
    risk/returns/<pseudonym>        latest stays of a person: [CountedStay, whether its return was counted]
    risk/cell-places                [month, hospital] of every page, in the order of their first stay
    risk/cells/<month>/<hospital>   "drg/level" -> CellSums
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from msgspec import structs, to_builtins

from contracts.cases.documents import Record, pick_invoices
from contracts.cases.documents import read_record as open_record
from contracts.cases.errors import CaseError
from contracts.cases.evidence import date_of
from contracts.cases.riskcells import (
    MIN_SHOWN,
    CellSums,
    CountedStay,
    add_stay,
    build_cells,
    is_readmission,
    list_months,
    measure_stay,
)
from contracts.risk.assessment import assess_hospital
from contracts.risk.parameters import DEFAULTS
from contracts.risk.records import HospitalCells
from contracts.risk.results import as_document
from contracts.states import CaseState, read_record
from ledger.crypto.hashing import tagged_hex
from ledger.encoding import convert, encode
from node.agents.mail import open_latest
from node.agents.ports import Ports
from node.vault import VaultError

MAX_STAYS: Final = 20
"""Stays of one person that are remembered, the latest: a return is looked for within days."""


class HospitalBook:
    """Counts of one commission. Off where `ports.risk` is None."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._vault = ports.vault

    def count(self, case_id: str, case: CaseState) -> None:
        """Count a completed case, once. A document that does not open leaves it uncounted: its insurers say so."""
        if self._ports.risk is None or self._vault.get_secret(f"risk/celled/{case_id}") is not None:
            return
        try:
            hospital, records = self._open(case)
            stay = measure_stay(hospital, self._month(), records)
            person = self._pseudonym(records)
        except (CaseError, VaultError):
            return
        with self._vault.transaction():
            self._vault.put_secret(f"risk/celled/{case_id}", True)
            if stay is not None:
                self._change(stay, add_stay(self._cell(stay), stay))
                if person is not None:
                    self._count_returns(person, stay)

    def view(self, after: int, limit: int) -> dict[str, Any]:
        """{items, next, more}: hospitals with what the rules found, for this commission's own people.

        An item is {hospital, grade, hits, insufficient (rules), cells}. Cells below MIN_SHOWN stays are left out.
        """
        sums = self._sums()
        names = sorted(sums)
        page = names[after : after + limit]
        items = [self._row(name, sums) for name in page]
        return {"items": items, "next": after + len(page), "more": after + len(page) < len(names)}

    def assess(self, hospital: str) -> dict[str, Any]:
        """What RK04 and RK11 say of one hospital, with the parameters; of fewer than MIN_SHOWN stays: insufficient."""
        return self._assess(hospital, self._sums())[0]

    def _assess(self, hospital: str, sums: dict[str, dict[str, CellSums]]) -> tuple[dict[str, Any], HospitalCells]:
        parameters = self._ports.risk or DEFAULTS
        cells = build_cells(hospital, sums, parameters.upcoding_months, parameters.readmission_days)
        fewest = max(MIN_SHOWN, parameters.min_cases)
        return as_document(assess_hospital(cells, structs.replace(parameters, min_cases=fewest))), cells

    def _open(self, case: CaseState) -> tuple[str, list[Record]]:
        """The hospital that discharged, and the case's records. Raises CaseError, VaultError."""
        hospital, records = "", []
        for record_id in case.records:
            state = read_record(self._ports.ledger.final.read, record_id)
            if state is None:
                continue
            records.append(open_record(record_id, open_latest(self._ports, "record", record_id, sender=state.hospital)))
            hospital = state.hospital if state.record_type == "discharge" else hospital
        return hospital, records

    def _row(self, hospital: str, sums: dict[str, dict[str, CellSums]]) -> dict[str, Any]:
        document, cells = self._assess(hospital, sums)
        fewest, results = document["parameters"]["min_cases"], document["results"]
        shown = [item for item in cells.cells if item.institution == hospital and item.stays >= fewest]
        return {
            "hospital": hospital,
            "grade": document["grade"],
            "hits": [item for item in results if item["hit"]],
            "insufficient": sorted({item["rule"] for item in results if item["insufficient"]}),
            "cells": [to_builtins(item) for item in shown],
            "parameters_version": document["parameters"]["version"],
        }

    def _sums(self) -> dict[str, dict[str, CellSums]]:
        """Hospital -> cell -> sums over the months that the parameters look at."""
        found: dict[str, dict[str, CellSums]] = defaultdict(dict)
        if self._ports.risk is None:
            return found
        months = set(list_months(self._month(), self._ports.risk.upcoding_months))
        for month, hospital in self._vault.get_secret("risk/cell-places") or []:
            if month not in months:
                continue
            for name, kept in self._page(month, hospital).items():
                item, before = convert(kept, CellSums), found[hospital].get(name, CellSums())
                fields = CellSums.__struct_fields__
                found[hospital][name] = CellSums(*(getattr(item, part) + getattr(before, part) for part in fields))
        return found

    def _count_returns(self, person: str, stay: CountedStay) -> None:
        """Count each discharge that was followed by a return, whichever of the two stays was endorsed first."""
        assert self._ports.risk is not None, "counted only where grading is on"
        days = self._ports.risk.readmission_days
        kept = [(convert(item, CountedStay), bool(told)) for item, told in self._vault.get_secret(person) or []]
        told_now = any(is_readmission(stay, other, days) for other, _ in kept)
        if told_now:
            self._add_return(stay)
        listed = []
        for other, told in kept:
            returns = not told and is_readmission(other, stay, days)
            if returns:
                self._add_return(other)
            listed.append((other, told or returns))
        listed = sorted([*listed, (stay, told_now)], key=lambda item: item[0].discharge_day)[-MAX_STAYS:]
        self._vault.put_secret(person, [[to_builtins(item), told] for item, told in listed])

    def _add_return(self, stay: CountedStay) -> None:
        cell = self._cell(stay)
        self._change(stay, structs.replace(cell, readmissions=cell.readmissions + 1))

    def _cell(self, stay: CountedStay) -> CellSums:
        kept = self._page(stay.month, stay.hospital).get(stay.cell)
        return convert(kept, CellSums) if kept is not None else CellSums()

    def _change(self, stay: CountedStay, sums: CellSums) -> None:
        page = self._page(stay.month, stay.hospital)
        if not page:
            places = self._vault.get_secret("risk/cell-places") or []
            self._vault.put_secret("risk/cell-places", [*places, [stay.month, stay.hospital]])
        page[stay.cell] = to_builtins(sums)
        self._vault.put_secret(f"risk/cells/{stay.month}/{stay.hospital}", page)

    def _page(self, month: str, hospital: str) -> dict[str, Any]:
        return dict(self._vault.get_secret(f"risk/cells/{month}/{hospital}") or {})

    def _pseudonym(self, records: Iterable[Record]) -> str | None:
        """By insurance number and payer, as the first invoice names them; None where it names no insurance."""
        bill = pick_invoices(records)[0]
        number = bill.get("insurance_no")
        if not number:
            return None
        salt = self._vault.get_secret("risk/salt")
        if salt is None:
            salt = self._ports.salt()
            self._vault.put_secret("risk/salt", salt)
        named = {"salt": salt, "number": str(number), "payer": str(bill.get("payer_name") or "")}
        return f"risk/returns/{tagged_hex('risk-return', encode(named))}"

    def _month(self) -> str:
        final = self._ports.ledger.final
        return date_of(final.time_ms, final.genesis.parameters.utc_offset_minutes)[:7]
