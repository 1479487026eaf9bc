"""Service fees between an administrator and its principal: a rate table and the statement of one period (seed 3-08).

Knows rates by year, person-month, visit and case, and how many of each there were. Must not know claims. Must always
hold: a fee is a whole rate times a whole count, in integer fen; a rate that is not in force in the whole period is a
fault, not a part of one.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from contracts.calendar import is_date
from contracts.errors import InputError
from contracts.reports.closings import list_faults, quote_words

Unit: TypeAlias = Literal["year", "person_month", "visit", "case"]
MAX_RATES: Final = 200
"""Rates of one table: some services, a few years."""
MAX_FEE_FEN: Final = 10**12
MAX_COUNT: Final = 10**9
Amount = Annotated[int, Meta(ge=0, le=MAX_FEE_FEN)]


class Rate(Struct, frozen=True, forbid_unknown_fields=True):
    """What one unit of a service costs from `first` to `last` (dates, both included). Cases are counted by the node
    unless `count` is given; all other units always name their count."""

    service: Annotated[str, Meta(min_length=1, max_length=100)]
    unit: Unit
    fen: Amount
    first: Annotated[str, Meta(max_length=10)]
    last: Annotated[str, Meta(max_length=10)]
    count: Annotated[int, Meta(ge=0, le=MAX_COUNT)] | None = None


class RateTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Rates of one contract between two parties."""

    provider: Annotated[str, Meta(min_length=1, max_length=100)]
    payer: Annotated[str, Meta(min_length=1, max_length=100)]
    currency: Annotated[str, Meta(min_length=3, max_length=3)]
    rate: Annotated[tuple[Rate, ...], Meta(min_length=1, max_length=MAX_RATES)]


class FeeLine(Struct, frozen=True, forbid_unknown_fields=True):
    """`count` units at `fen` each."""

    service: str
    unit: Unit
    count: int
    fen: int
    total_fen: int


class FeeStatement(Struct, frozen=True, forbid_unknown_fields=True):
    """What the payer owes the provider for the period (dates, both included)."""

    provider: str
    payer: str
    first: str
    last: str
    currency: str
    lines: tuple[FeeLine, ...]
    total_fen: int


def read_rates(document: Any) -> RateTable:
    """A rate table from its document (TOML or JSON). Raises InputError `rates`, naming every fault."""
    try:
        table = msgspec.convert(document, RateTable)
    except msgspec.ValidationError as error:
        raise InputError("rates", "", quote_words(error)) from None
    faults = [fault for place, rate in enumerate(table.rate) for fault in _faults(place, rate)]
    if faults:
        raise InputError("rates", "/rate", list_faults(faults))
    return table


def build_statement(table: RateTable, first: str, last: str, counted: Mapping[Unit, int]) -> FeeStatement:
    """The statement of a period. `counted` are units that the node counted itself.

    Raises InputError `period` (no dates, or backwards), `rates` (a count is missing, or a rate changes in between).
    """
    if not is_date(first) or not is_date(last) or last < first:
        raise InputError("period", "", "a period is two dates, YYYY-MM-DD, the earlier one first")
    chosen = [rate for rate in table.rate if rate.first <= last and first <= rate.last]
    faults = [f"{rate.service} changes within the period" for rate in chosen if rate.first > first or rate.last < last]
    faults += [f"{rate.service}: give the count" for rate in chosen if rate.count is None and rate.unit not in counted]
    if not chosen:
        faults.append("no rate is in force in the period")
    if faults:
        raise InputError("rates", "/rate", list_faults(faults))
    lines = tuple(_line(rate, counted) for rate in chosen)
    total = sum(line.total_fen for line in lines)
    return FeeStatement(table.provider, table.payer, first, last, table.currency, lines, total)


def _line(rate: Rate, counted: Mapping[Unit, int]) -> FeeLine:
    count = counted[rate.unit] if rate.count is None else rate.count
    return FeeLine(rate.service, rate.unit, count, rate.fen, count * rate.fen)


def _faults(place: int, rate: Rate) -> list[str]:
    if not is_date(rate.first) or not is_date(rate.last) or rate.last < rate.first:
        return [f"rate {place + 1}: first and last are dates, the earlier one first"]
    return []
