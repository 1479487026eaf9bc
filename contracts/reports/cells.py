"""What an employer that owns a balance may see: totals of many people, never a person (protocol rule 9).

Knows who belongs to which group and what was paid. Must not know illnesses, reasons or claims one by one. Must always
hold: no figure speaks of fewer than MIN_CELL_PEOPLE people, neither by itself nor as the difference of two figures.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

MIN_CELL_PEOPLE: Final = 20
"""The smallest group of people that a figure for an employer may speak of."""


class MemberClaim(Struct, frozen=True, forbid_unknown_fields=True):
    """One decided claim of one insured person of a group. `person` is any reference that stays the same for them."""

    person: str
    month: str
    payable_fen: int
    currency: str


class Cell(Struct, frozen=True, forbid_unknown_fields=True):
    """Totals of one month (YYYY-MM), or of all (``total``), in one currency."""

    month: str
    currency: str
    people: int
    claims: int
    payable_fen: int


class GroupTotals(Struct, frozen=True, forbid_unknown_fields=True):
    """`cells` that may be shown; `withheld` months were left out or merged into the total because too few people."""

    total: Cell | None
    months: tuple[Cell, ...]
    withheld: int


def build_totals(claims: Iterable[MemberClaim], currency: str) -> GroupTotals:
    """Totals of a group in one currency.

    A month with fewer than MIN_CELL_PEOPLE people is withheld. The total would betray what is withheld, so while the
    people of all withheld months together are fewer than that, the smallest shown month is withheld too.
    """
    of_currency = [item for item in claims if item.currency == currency]
    if _people(of_currency) < MIN_CELL_PEOPLE:
        return GroupTotals(None, (), len({item.month for item in of_currency}))
    months: dict[str, list[MemberClaim]] = {}
    for item in of_currency:
        months.setdefault(item.month, []).append(item)
    shown = {month for month, items in months.items() if _people(items) >= MIN_CELL_PEOPLE}
    while shown and len(shown) < len(months) and _people(_of(months, set(months) - shown)) < MIN_CELL_PEOPLE:
        shown.remove(min(shown, key=lambda month: (_people(months[month]), month)))
    cells = tuple(_cell(month, currency, months[month]) for month in sorted(shown))
    return GroupTotals(_cell("total", currency, of_currency), cells, len(months) - len(shown))


def _of(months: dict[str, list[MemberClaim]], names: set[str]) -> list[MemberClaim]:
    return [item for name in sorted(names) for item in months[name]]


def _people(items: Sequence[MemberClaim]) -> int:
    return len({item.person for item in items})


def _cell(month: str, currency: str, items: Sequence[MemberClaim]) -> Cell:
    return Cell(month, currency, _people(items), len(items), sum(item.payable_fen for item in items))
