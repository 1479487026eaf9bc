"""Calendar dates as text (`YYYY-MM-DD`, proleptic Gregorian) and as day numbers.

Knows the calendar alone: no clock, no time zone, no library that reads one. Always true: two dates compare
as text exactly as they follow each other, and day_number grows by one from each date to the next.
"""

import re
from typing import Any, Final

_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_ERA_DAYS: Final = 146_097
"""Days of four hundred years."""
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_date(value: Any) -> bool:
    """A real date of the years 0001 to 9999 (ISO 8601 extended form), as text and nothing around it."""
    matched = _DATE.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        return False
    year, month, day = (int(part) for part in matched.groups())
    return year >= 1 and 1 <= month <= 12 and 1 <= day <= _days_in_month(year, month)


def day_number(date: str) -> int:
    """Days since 0000-03-01; `date` must satisfy is_date.

    Years are counted from March, so that the leap day is the last day of its year.
    """
    year, month, day = int(date[0:4]), int(date[5:7]), int(date[8:10])
    if month < 3:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 1


def date_after_epoch(days: int) -> str:
    """The date `days` after 1970-01-01, for days from 0 to the end of the year 9999; the inverse of day_number."""
    number = days + _EPOCH
    era, rest = divmod(number, _ERA_DAYS)
    year = (rest - rest // 1460 + rest // 36524 - rest // 146096) // 365
    day_of_year = rest - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return f"{year + 400 * era + (month <= 2):04d}-{month:02d}-{day:02d}"


def _days_in_month(year: int, month: int) -> int:
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and is_leap else _MONTH_DAYS[month - 1]


_EPOCH: Final = day_number("1970-01-01")
