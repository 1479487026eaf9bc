"""How often which rule was broken: counts of invoices by hospital and month.

Knows hospitals, months and codes. Must not know an invoice, a person or an amount. Always true: an invoice is counted
once, and adding up parts gives the same as adding up all.

No minimum of cases: what is counted are faults of documents that a hospital issued, by the hospital that signed them. A
count of 1 says that one bill of a hospital had a wrong sum; it says nothing of whose bill it was or of an illness.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct

Outcome: TypeAlias = Literal["accepted", "warned", "refused"]


class JudgedInvoice(Struct, frozen=True, forbid_unknown_fields=True):
    """One invoice that a commission has judged. `month` is YYYY-MM of its publication; `codes` what it broke."""

    hospital: str
    month: str
    outcome: Outcome
    codes: tuple[str, ...] = ()


class HospitalMonth(Struct, frozen=True, forbid_unknown_fields=True):
    """A hospital's invoices of one month. `codes`: rule -> invoices that broke it."""

    hospital: str
    month: str
    invoices: int
    warned: int
    refused: int
    codes: dict[str, int]


def count_errors(judged: Iterable[JudgedInvoice], before: Iterable[HospitalMonth] = ()) -> tuple[HospitalMonth, ...]:
    """One row for each month and hospital, in that order; `before` holds counts of other invoices to add to."""
    rows = {(row.month, row.hospital): row for row in before}
    for item in judged:
        key = (item.month, item.hospital)
        row = rows.get(key) or HospitalMonth(item.hospital, item.month, 0, 0, 0, {})
        codes = dict(row.codes)
        for code in set(item.codes):
            codes[code] = codes.get(code, 0) + 1
        rows[key] = HospitalMonth(
            hospital=item.hospital,
            month=item.month,
            invoices=row.invoices + 1,
            warned=row.warned + (item.outcome == "warned"),
            refused=row.refused + (item.outcome == "refused"),
            codes=dict(sorted(codes.items())),
        )
    return tuple(rows[key] for key in sorted(rows))
