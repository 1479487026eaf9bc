"""Calendar dates against the standard library's, which the contracts themselves must not use."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from contracts.calendar import date_after_epoch, day_number, is_date

ORIGIN = datetime.date(1970, 1, 1).toordinal() - day_number("1970-01-01")


@given(st.dates())
def test_day_number_grows_by_one_a_day(date: datetime.date) -> None:
    assert is_date(date.isoformat())
    assert day_number(date.isoformat()) + ORIGIN == date.toordinal()


@given(st.integers(0, 9999), st.integers(0, 14), st.integers(0, 33))
def test_is_date_knows_exactly_the_real_dates(year: int, month: int, day: int) -> None:
    text = f"{year:04}-{month:02}-{day:02}"
    try:
        datetime.date(year, month, day)
    except ValueError:
        assert not is_date(text)
    else:
        assert is_date(text)


@given(st.integers(0, 2_932_896))
def test_date_after_epoch_is_the_inverse(days: int) -> None:
    date = date_after_epoch(days)
    assert date == datetime.date.fromordinal(datetime.date(1970, 1, 1).toordinal() + days).isoformat()
    assert day_number(date) == day_number("1970-01-01") + days
