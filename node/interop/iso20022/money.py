"""Amounts of payment messages: decimal text and whole minor units, exactly. No float is made of either.

A currency has as many decimals as ISO 4217 gives it. Text with more decimals than that is refused unless they are zero:
rounding money that a bank booked would hide a fault.
"""

import re
from typing import Final

from node.interop.iso20022.errors import MessageError

MAX_DIGITS: Final = 18
"""totalDigits of the amount types."""
MAX_DECIMALS: Final = 5
"""fractionDigits of the amount types."""
DECIMALS: Final[dict[str, int]] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND"), 0),
    **dict.fromkeys(("VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""Currencies whose minor unit is not a hundredth (ISO 4217)."""
_AMOUNT = re.compile(r"([0-9]{1,18})(?:\.([0-9]{0,5}))?\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")


def decimals_of(currency: str, path: str = "") -> int:
    """Decimals of a currency. Raises MessageError `value` if this is no code of ISO 4217's form."""
    if not _CURRENCY.match(currency):
        raise MessageError("value", path, "a currency is three capital letters (ISO 4217)")
    return DECIMALS.get(currency, 2)


def format_amount(minor: int, currency: str) -> str:
    """Decimal text of minor units: 200403 CNY -> 2004.03. Raises MessageError `amount`, `value`."""
    decimals = decimals_of(currency)
    if minor < 0 or len(str(minor)) > MAX_DIGITS:
        raise MessageError("amount", "", f"an amount has 1 to {MAX_DIGITS} digits and no sign")
    digits = str(minor).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


def parse_amount(text: str, currency: str, path: str = "") -> int:
    """Minor units of decimal text. Raises MessageError `amount`, `value`."""
    decimals = decimals_of(currency, path)
    found = _AMOUNT.match(text)
    if found is None or len(found[1]) + len(found[2] or "") > MAX_DIGITS:
        raise MessageError("amount", path, f"an amount is at most {MAX_DIGITS} digits with a point and no sign")
    fraction = found[2] or ""
    if fraction[decimals:].strip("0"):
        raise MessageError("amount", path, f"{currency} has {decimals} decimals")
    return int(found[1] + fraction[:decimals].ljust(decimals, "0"))
