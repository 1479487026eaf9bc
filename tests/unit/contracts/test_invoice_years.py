"""One key for each invoice: chosen by code and number, never by what a publisher can write otherwise."""

import itertools
from functools import cache

import pytest

from contracts.cases.evidence import invoice_identity
from contracts.genesis import Genesis
from contracts.invoicekeys import find_lock_key, key_year_of, province_and_year
from tests.support.agent_world import invoice
from tests.support.network_builder import MEMBERS, make_genesis, make_invoice_key, make_participant

KEYS = {
    "commission": (("CN-33", 2020), ("CN-33", 2021), ("CN-45", 2021)),
    "commission-east": (("CN-11", 2020), ("CN-11", 2021), ("330200", 2021)),
}


@cache
def genesis() -> Genesis:
    keys = {name: tuple(itertools.starmap(make_invoice_key, places)) for name, places in KEYS.items()}
    return make_genesis(
        participants=[make_participant(name, invoice_keys=keys.get(name, ())) for name in sorted(MEMBERS)]
    )


@pytest.mark.parametrize(("issued", "key_year"), [(1930, 2020), (2019, 2020), (2020, 2020), (2022, 2022), (2031, 2031)])
def test_older_invoices_use_the_first_key(issued: int, key_year: int) -> None:
    assert key_year_of(issued, [2020, 2021, 2022]) == key_year


def test_an_identity_without_a_year_uses_the_first_key() -> None:
    assert key_year_of(0, [2021, 2020]) == 2020


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (("medical", "33060121", "0000000001"), ("33", 2021)),
        (("vat", "3300214130", "12345678"), ("33", 2021)),
        (("vat", "033002100412", "12345678"), ("33", 2021)),
        (("vat", "", "21332000000012345678"), ("33", 2021)),
        (("foreign", "STMARYHOSPITAL", "INV0017A"), ("", 0)),
        (("foreign", "33060121", "0000000001"), ("", 0)),
        (("medical", "3306012", "0000000001"), ("", 0)),
        (("medical", "３３０６０１２１", "0000000001"), ("", 0)),
    ],
)
def test_what_code_and_number_say(identity: tuple[str, str, str], expected: tuple[str, int]) -> None:
    assert province_and_year(identity) == expected


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("11060120", ("commission-east", "CN-11", 2020)),
        ("11060119", ("commission-east", "CN-11", 2020)),
        ("45060221", ("commission", "CN-45", 2021)),
        ("33060121", ("commission-east", "330200", 2021)),  # two regions of one province: the first by name
        ("44060121", ("commission-east", "330200", 2021)),  # a province without a commission: the first region
    ],
)
def test_the_code_names_one_key_on_the_whole_network(code: str, place: tuple[str, str, int]) -> None:
    key = find_lock_key(genesis(), ("medical", code, "0000000001"))
    assert key is not None
    assert (key.participant, key.region, key.year) == place


def test_a_year_without_a_key_has_none() -> None:
    assert find_lock_key(genesis(), ("medical", "11060122", "0000000001")) is None
    assert find_lock_key(make_genesis(), ("medical", "11060120", "0000000001")) is None


def test_nothing_but_the_identity_moves_the_lock() -> None:
    _, true = invoice()
    for changes in (
        {"issue_date": "2020-01-01"},
        {"issue_date": "2029-01-01"},
        {"region": "CN-11"},
        {"type": "outpatient"},
        {"total_fen": 1},
        {"institution_name": "another"},
    ):
        false = true | changes
        assert find_lock_key(genesis(), invoice_identity(false)) == find_lock_key(genesis(), invoice_identity(true))
