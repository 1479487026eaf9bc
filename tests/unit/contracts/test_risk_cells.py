"""Stays as counts: what is counted, months of a window, pairs, and returns."""

from typing import Any

import pytest

from contracts.cases.documents import Record
from contracts.cases.riskcells import (
    CellSums,
    CountedStay,
    add_stay,
    build_cells,
    is_readmission,
    list_months,
    measure_stay,
)
from tests.support.agent_world import discharge, invoice


def held(**changes: Any) -> list[Record]:
    documents = (discharge(**{"drg": "ES15", **changes}), invoice(1), invoice(2))
    return [Record(f"r{number}", kind, document, "") for number, (kind, document) in enumerate(documents)]


def stay(first: int, last: int, **changes: Any) -> CountedStay:
    fields: dict[str, Any] = {
        "hospital": "h",
        "month": "2021-12",
        "drg": "ES15",
        "level": "3",
        "cost_fen": 10,
        "self_funded_fen": 1,
    }
    return CountedStay(**(fields | {"admission_day": first, "discharge_day": last} | changes))


def test_a_stay_is_counted_with_all_its_invoices() -> None:
    found = measure_stay("h", "2021-12", held())
    assert found is not None
    assert (found.cell, found.cost_fen, found.self_funded_fen) == ("ES15/3", 410_000, 10_000)
    assert add_stay(add_stay(CellSums(), found), found) == CellSums(2, 820_000, 20_000, 0)


@pytest.mark.parametrize("changes", [{"drg": None}, {"drg": "ES1"}, {"drg": "ES15/3"}, {"drg": 5}, {"stay": None}])
def test_without_a_drg_or_a_stay_nothing_is_counted(changes: dict[str, Any]) -> None:
    assert measure_stay("h", "2021-12", held(**changes)) is None


@pytest.mark.parametrize(("gap", "expected"), [(0, False), (1, True), (15, True), (16, False), (-1, False)])
def test_a_return_is_within_days_and_no_transfer(gap: int, expected: bool) -> None:
    assert is_readmission(stay(10, 20), stay(20 + gap, 40), 15) is expected


def test_months_of_a_window() -> None:
    assert list_months("2022-02", 3) == ["2021-12", "2022-01", "2022-02"]
    assert len(list_months("2022-02", 12)) == 12


def test_pairs_are_the_divided_groups_alone() -> None:
    sums = {"h": {"ES11/3": CellSums(5), "ES15/3": CellSums(20), "ES19/3": CellSums(7), "ES13/2": CellSums(1)}}
    cells = build_cells("h", sums, 12, 15)
    (pair,) = cells.pairs
    assert (pair.pair, pair.stays, pair.heavy, pair.months) == ("ES1", 26, 6, 12)
    assert [(item.drg, item.level, item.stays) for item in cells.cells] == [
        ("ES11", "3", 5),
        ("ES13", "2", 1),
        ("ES15", "3", 20),
        ("ES19", "3", 7),
    ]
