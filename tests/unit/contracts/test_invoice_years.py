"""Which of the commission's keys locks an invoice: that of its issue year, or the first one for older invoices."""

import pytest

from contracts.cases.evidence import key_year_of


@pytest.mark.parametrize(("issued", "key_year"), [(1930, 2020), (2019, 2020), (2020, 2020), (2022, 2022), (2031, 2031)])
def test_older_invoices_use_the_first_key(issued: int, key_year: int) -> None:
    assert key_year_of(issued, [2020, 2021, 2022]) == key_year


def test_an_invoice_without_a_year_has_no_key() -> None:
    assert key_year_of(0, [2020]) == 0
