"""Whose key locks an invoice: one answer for each identity, found in the code and number alone.

Knows the registry's invoice keys and how fiscal codes are made. Must not know dates, totals or anything else that a
publisher could write otherwise: what chooses the key must be what makes the invoice the same one, else a false date or
another commission would give it a second nullifier. The registry's invoice keys come from genesis and never change.

How codes are made (public rules of the fiscal authorities), digits counted from 1:
  medical e-invoice   8 digits: 1-2 province, 3-4 class, 5-6 kind, 7-8 year
  VAT, printed        10 digits: 1-4 place (1-2 province), 5-6 year;  12 digits: 2-5 place (2-3 province), 6-7 year
  VAT, fully digital  no code; the number's 20 digits: 1-2 year, 3-4 province
A foreign bill's identity holds neither.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from contracts.errors import InputError
from contracts.genesis import Genesis

Identity: TypeAlias = tuple[str, str, str]
"""(family, code, number), as `contracts.cases.evidence.invoice_identity` gives it."""
CENTURY: Final = 2000
"""Codes of this form exist since 2002 (VAT) and 2017 (medical)."""
_PLACES: Final[Mapping[tuple[str, int], tuple[int, int]]] = {
    ("medical", 8): (0, 6),
    ("vat", 10): (0, 4),
    ("vat", 12): (1, 5),
}
"""(family, digits of the code) -> where province and year begin."""
_DIGITAL_NUMBER: Final = 20
_FORMS: Final = {
    "medical": re.compile(r"[0-9]{8} [0-9]{10}"),
    "vat": re.compile(r"(?:[0-9]{10}|[0-9]{12}) [0-9]{8}| [0-9]{20}"),
    "foreign": re.compile(r"[0-9A-Z]{1,2000} [0-9A-Z]{1,1280}"),
}
"""Code and number as they come out of an accepted invoice: V02 for fiscal ones, F02 and F03 for foreign bills."""


@dataclass(frozen=True, slots=True)
class LockKey:
    """One registered invoice key and the commission that holds it."""

    participant: str
    region: str
    year: int
    public_key: str


def check_identity(identity: Identity) -> None:
    """Raise InputError `identity` for what no accepted invoice has: of that, anything could be said to be unused."""
    family, code, number = identity
    form = _FORMS.get(family)
    if form is None or form.fullmatch(f"{code} {number}") is None:
        raise InputError("identity", "/invoice", "type, code and number are not in the one form of rules V02, F02, F03")


def province_and_year(identity: Identity) -> tuple[str, int]:
    """(two digits, year) that code and number name; ("", 0) where they name none."""
    family, code, number = identity
    text, places = code, _PLACES.get((family, len(code)))
    if family == "vat" and not code and len(number) == _DIGITAL_NUMBER:
        text, places = number, (2, 0)
    if places is None or not (text.isascii() and text.isdigit()):
        return "", 0
    province, year = places
    return text[province : province + 2], CENTURY + int(text[year : year + 2])


def key_year_of(year: int, years: Iterable[int]) -> int:
    """The year whose key locks an invoice of `year`: its own, or the first there is for older ones and for none.

    Keys are added for later years only, so an invoice's key never changes.
    """
    return max(year, min(years))


def find_lock_key(genesis: Genesis, identity: Identity) -> LockKey | None:
    """The one key that locks this invoice on this network; None if there is none of its year.

    The region is that of the code's province, the first by name if there are several, and the network's first region
    for every invoice of no province or of one without a commission.
    """
    keys = [
        LockKey(member.id, key.region, key.year, key.public_key)
        for member in genesis.participants
        for key in member.invoice_keys
    ]
    if not keys:
        return None
    province, year = province_and_year(identity)
    own = [key.region for key in keys if province and _province_of(key.region) == province]
    region = min(own or [key.region for key in keys])
    years = {key.year: key for key in keys if key.region == region}
    return years.get(key_year_of(year, years))


def _province_of(region: str) -> str:
    """First two digits of a region's name: 33 of CN-33 and of 330100."""
    return "".join(filter(str.isdigit, region))[:2]
