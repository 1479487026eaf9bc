"""Readers: small functions that take one JSON value, check it, and give it back with its defaults filled in.

Knows JSON types, ranges and the codes of input errors. Must not know any particular document. Always true:
a reader returns a value of its own kind or raises InputError; unknown fields of a record are dropped; an
absent optional field and a null one mean the same. Defaults are shared and must not be changed.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from contracts.calendar import is_date
from contracts.errors import InputError

Reader: TypeAlias = Callable[[Any], Any]

MAX_INTEGER: Final = 2**53 - 1
"""Largest magnitude that every JSON reader holds exactly (RFC 8259 section 6)."""
MAX_TEXT: Final = 1_000
"""Characters of one text. Codes and names are far shorter; free text has no place in a case."""
MAX_ENTRIES: Final = 5_000
"""Entries of one list or map, where nothing tighter is said: thirteen years of days."""
REQUIRED: Final[Any] = object()
"""The default of a field that has none."""


class Field(NamedTuple):
    """One field of a record: how it is read, and what its absence means."""

    name: str
    reader: Reader
    default: Any = REQUIRED


def read_text(value: Any) -> str:
    """Any text up to MAX_TEXT characters, the empty one included."""
    if not isinstance(value, str):
        raise InputError("type", "", "expected text")
    if len(value) > MAX_TEXT:
        raise InputError("too_large", "", f"a text of more than {MAX_TEXT} characters")
    return value


def read_date(value: Any) -> str:
    """A real calendar date as `YYYY-MM-DD`."""
    if not isinstance(value, str):
        raise InputError("type", "", "expected a date as text")
    if not is_date(value):
        raise InputError("date", "", "expected a real date, YYYY-MM-DD")
    return value


def read_boolean(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise InputError("type", "", "expected true or false")
    return value


def integer(low: int = -MAX_INTEGER, high: int = MAX_INTEGER) -> Reader:
    """A reader of JSON integers from `low` to `high`; neither 1.0 nor true is one."""

    def read_integer(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise InputError("type", "", "expected an integer")
        if not low <= value <= high:
            raise InputError("range", "", f"expected an integer from {low} to {high}")
        return value

    return read_integer


def choice(*choices: str) -> Reader:
    """A reader of one of the named values."""

    def read_choice(value: Any) -> str:
        if not isinstance(value, str):
            raise InputError("type", "", "expected text")
        if value not in choices:
            raise InputError("unknown_value", "", f"expected one of {', '.join(choices)}")
        return value

    return read_choice


def list_of(reader: Reader, limit: int = MAX_ENTRIES) -> Reader:
    """A reader of lists of at most `limit` entries."""

    def read_list(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise InputError("type", "", "expected a list")
        if len(value) > limit:
            raise InputError("too_large", "", f"more than {limit} entries")
        return [_read_at(index, reader, item) for index, item in enumerate(value)]

    return read_list


def map_of(reader: Reader, limit: int = MAX_ENTRIES, *, key_reader: Reader = read_text) -> Reader:
    """A reader of maps of at most `limit` entries, whose keys `key_reader` accepts."""

    def read_map(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InputError("type", "", "expected an object")
        if len(value) > limit:
            raise InputError("too_large", "", f"more than {limit} entries")
        return {_read_at(key, key_reader, key): _read_at(key, reader, item) for key, item in value.items()}

    return read_map


def record(*fields: Field) -> Reader:
    """A reader of objects with these fields; others are dropped."""
    return lambda value: read_record(value, fields)


def read_record(value: Any, fields: Sequence[Field]) -> dict[str, Any]:
    """The named fields of an object, in the order of `fields`, with defaults filled in."""
    if not isinstance(value, dict):
        raise InputError("type", "", "expected an object")
    found: dict[str, Any] = {}
    for name, reader, default in fields:
        item = value.get(name)
        if item is not None:
            try:
                found[name] = reader(item)
            except InputError as error:
                raise error.under(name) from None
        elif default is not REQUIRED:
            found[name] = default
        elif name in value:
            raise InputError("type", f"/{name}", "null, but this field has no default")
        else:
            raise InputError("missing", f"/{name}", "this field is required")
    return found


def _read_at(step: str | int, reader: Reader, value: Any) -> Any:
    try:
        return reader(value)
    except InputError as error:
        raise error.under(step) from None
