"""Reading documents from outside the network: cases to adjudicate, e-invoices to validate.

Knows JSON text, its limits and the one error that bad input gives. Must not know what a case or an invoice
means. Always true: whatever bytes come in, the answer is a JSON value or an InputError with a code of
ERROR_CODES and a JSON Pointer (RFC 6901), and the text of the error repeats no value of the document.
"""

import json
import re
from typing import Any, Final, Never

from contracts.errors import InputError, pointer
from ledger.encoding import check_nesting
from ledger.errors import DecodeError

ERROR_CODES: Final = frozenset(
    {
        "json",
        "missing",
        "type",
        "range",
        "date",
        "unknown_value",
        "periods_overlap",
        "no_ratio",
        "too_large",
    }
)
MAX_DOCUMENT_BYTES: Final = 4 * 2**20
"""One case or invoice. The largest real list, 5,000 items of 400 bytes, is half of it."""
MAX_DEPTH: Final = 64
"""Nesting of arrays and objects. A case needs nine; the rest is room for fields that are ignored."""

_HALF_PAIR: Final = re.compile(rb"\\u[dD][89a-fA-F]")
"""Only such an escape can make a string that is no Unicode text: raw bytes have been read as UTF-8 by then."""


def decode_document(data: bytes | str, *, limit: int = MAX_DOCUMENT_BYTES) -> Any:
    """The JSON value of one document (RFC 8259, UTF-8).

    Raises InputError `too_large` over `limit` bytes or MAX_DEPTH, `json` for everything that is no JSON
    text, that names a key twice, or whose strings are no Unicode text. A number with a fraction or an
    exponent comes out as a float, for the reader's schema to refuse at its place.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > limit:
        raise InputError("too_large", "", f"more than {limit} bytes")
    try:
        check_nesting(raw, MAX_DEPTH)
        text = raw.decode("utf-8")
        if text.startswith("\ufeff"):
            raise InputError("json", "", "starts with a byte order mark; save it as plain UTF-8")
        value = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise InputError("json", "", f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        at = f"line {error.lineno} column {error.colno}"
        raise InputError("json", "", f"no JSON text: {error.msg} at {at}") from None
    except DecodeError:
        raise InputError("too_large", "", f"nested deeper than {MAX_DEPTH}") from None
    except ValueError:
        raise InputError("json", "", "a number of more than 4,000 digits") from None
    if _HALF_PAIR.search(raw):
        _check_strings(value, "", 0)
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InputError("json", "", "an object names a key twice")
    return found


def _refuse_constant(name: str) -> Never:
    raise InputError("json", "", f"{name} is no JSON number")


def _check_strings(value: Any, path: str, depth: int) -> None:
    """Half a surrogate pair is JSON but no text: it could not be written out again."""
    if depth > MAX_DEPTH:
        raise InputError("too_large", path, f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        if not _is_text(value):
            raise InputError("json", path, "a string that is no Unicode text (half a surrogate pair)")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if not isinstance(item, int):
                _check_strings(item, f"{path}/{index}", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not _is_text(key):
                raise InputError("json", path, "a key that is no Unicode text (half a surrogate pair)")
            if not isinstance(item, int):
                _check_strings(item, pointer(path, key), depth + 1)


def _is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
