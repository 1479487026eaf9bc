"""Closing exports: closed claims in the columns that an insurer or its administrator asks for (seed 3-58).

Knows a closed claim's fields and a mapping of columns. Must not know files or formats around the rows. Must always
hold: money leaves as integer fen or as yuan with two digits, never through a fraction; a cell that a spreadsheet would
run as a formula is made text; a mapping with faults is answered with all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from contracts.calendar import date_after_epoch
from contracts.errors import InputError

Form: TypeAlias = Literal["text", "fen", "yuan", "date", "count"]
MAX_COLUMNS: Final = 100
"""Columns of one mapping: the widest export of the seeds has about forty."""
DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
LIST_SEPARATOR: Final = ";"
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


class ClosedClaim(Struct, frozen=True, forbid_unknown_fields=True):
    """One closed claim. `number` is its place in `batch` (a day of intake), given once; `supplements` are sub-numbers
    of documents that came again. Times are block times; amounts minor units of `currency`."""

    batch: str
    number: int
    supplements: tuple[str, ...]
    claim_id: str
    case_id: str
    insurer: str
    hospitals: tuple[str, ...]
    status: str
    attempt: int
    lane: str
    decision: str
    reasons: tuple[str, ...]
    review_reasons: tuple[str, ...]
    policy_nos: tuple[str, ...]
    payouts: tuple[str, ...]
    human_steps: int
    claimed_fen: int
    payable_fen: int
    currency: str
    reported_ms: int
    accepted_ms: int | None
    ready_ms: int | None
    decided_ms: int | None
    closed_ms: int
    archive: str = ""
    """Where the originals and the dossier are kept: the hash of the evidence that the decision names."""

    @property
    def sequence(self) -> str:
        """`20260131-000017`: batch and place, as it is written on the case."""
        return f"{self.batch}-{self.number:06d}"


MAX_WORDS: Final = 300
"""Characters that an error repeats of what the schema found: keys of a document from outside may be long."""
MAX_SHOWN: Final = 20
"""Faults that one error names; the others are counted."""
FIELDS: Final = frozenset({*ClosedClaim.__struct_fields__, "sequence"})
FORMS: Final[Mapping[str, frozenset[str]]] = {
    "fen": frozenset({"claimed_fen", "payable_fen"}),
    "yuan": frozenset({"claimed_fen", "payable_fen"}),
    "date": frozenset({"reported_ms", "accepted_ms", "ready_ms", "decided_ms", "closed_ms"}),
    "count": frozenset({"number", "attempt", "human_steps"}),
}
"""What a form can show; `text` shows everything."""


class Column(Struct, frozen=True, forbid_unknown_fields=True):
    """One column: its heading, the field or a fixed value, the form, and words for codes (`words`)."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    field: Annotated[str, Meta(max_length=40)] | None = None
    value: Annotated[str, Meta(max_length=200)] | None = None
    form: Form = "text"
    words: Annotated[dict[str, Annotated[str, Meta(max_length=200)]], Meta(max_length=200)] = {}


class ClosingMapping(Struct, frozen=True, forbid_unknown_fields=True):
    """The columns of one insurer's closing export, in their order."""

    column: Annotated[tuple[Column, ...], Meta(min_length=1, max_length=MAX_COLUMNS)]


def read_mapping(document: Any) -> ClosingMapping:
    """A mapping from its document (TOML or JSON). Raises InputError `mapping`, naming every faulty column."""
    try:
        mapping = msgspec.convert(document, ClosingMapping)
    except msgspec.ValidationError as error:
        raise InputError("mapping", "", quote_words(error)) from None
    faults = [fault for place, column in enumerate(mapping.column) for fault in _faults(place, column)]
    if any(column.field is not None and column.field not in FIELDS for column in mapping.column):
        faults.append(f"fields are {', '.join(sorted(FIELDS))}")
    names = [column.name for column in mapping.column]
    faults += [f"{name!r} heads two columns" for name in sorted({name for name in names if names.count(name) > 1})]
    if faults:
        raise InputError("mapping", "/column", list_faults(faults))
    return mapping


def render_row(claim: ClosedClaim, mapping: ClosingMapping, utc_offset_minutes: int) -> dict[str, str]:
    """Heading -> cell. Dates are those of the zone; what is absent is an empty cell."""
    return {column.name: _cell(claim, column, utc_offset_minutes) for column in mapping.column}


def quote_words(error: Exception) -> str:
    """The printable part of a schema's error, at most `MAX_WORDS` characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(error)[:MAX_WORDS])


def list_faults(faults: Sequence[str]) -> str:
    """The first `MAX_SHOWN` faults as one text, and how many more there are."""
    more = len(faults) - MAX_SHOWN
    return "; ".join(faults[:MAX_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _faults(place: int, column: Column) -> list[str]:
    if (column.field is None) == (column.value is None):
        return [f"column {place + 1}: name either a field or a value"]
    if column.field is None:
        return []
    if column.field not in FIELDS:
        return [f"column {place + 1}: there is no field {column.field!r}"]
    if column.form != "text" and column.field not in FORMS[column.form]:
        return [f"column {place + 1}: {column.field} has no form {column.form}"]
    return []


def _cell(claim: ClosedClaim, column: Column, utc_offset_minutes: int) -> str:
    if column.field is None:
        return _safe(column.value or "")
    value = getattr(claim, column.field)
    if value is None:
        return ""
    if column.form in ("text", "count"):
        return _safe(_text(value, column.words))
    shown: dict[str, Callable[[int], str]] = {
        "fen": str,
        "yuan": _yuan,
        "date": lambda time_ms: date_after_epoch((time_ms + utc_offset_minutes * MINUTE_MS) // DAY_MS),
    }
    return shown[column.form](int(value))


def _text(value: Any, words: Mapping[str, str]) -> str:
    items = value if isinstance(value, tuple) else (value,)
    return LIST_SEPARATOR.join(words.get(str(item), str(item)) for item in items)


def _yuan(amount_fen: int) -> str:
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def _safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
