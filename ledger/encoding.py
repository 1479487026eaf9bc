"""The one canonical encoder: RFC 8785 JSON, cut down to what two programs can never write differently.

Values are objects with ASCII keys, arrays, strings, integers within +-(2^53-1), booleans and null. No
floats. Decoding refuses every byte string that would be re-encoded differently (duplicate keys, other
spellings, white space, another order), so equal values have equal bytes and equal bytes equal values.
Nothing else in the project turns a value into bytes that are hashed or signed.
"""

import re
from typing import Any, TypeAlias, TypeVar

import msgspec

from ledger.errors import DecodeError

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool | None"
T = TypeVar("T")

MAX_INT = 2**53 - 1
"""Largest magnitude of an integer: what every JSON reader holds exactly (RFC 8785 section 3.2.2.3)."""
MAX_DEPTH = 32
"""Nesting of arrays and objects; no signed structure needs more than eight."""
DEFAULT_LIMIT = 16 * 2**20
"""Bytes of one document, for callers without a tighter bound of their own."""

_OPENING = b"[{"
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_QUOTING = re.compile(r"(Object contains unknown field|Invalid(?: enum)? value) (`.*`|'.*')( - at `[^`]*`)?", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_encoder = msgspec.json.Encoder(order="sorted")
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def encode(value: Any) -> bytes:
    """Canonical bytes of a JSON value or of a struct made of such values.

    Raises DecodeError (`float`, `integer_range`, `key`, `type`, `depth`) for a value outside the canonical
    range: a caller that builds one from foreign data learns of it here, not in another program.
    """
    builtin = msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value
    _check_value(builtin, 0)
    return _encode_checked(builtin)


def encode_trusted(value: Any) -> bytes:
    """`encode` without the range check, for structs whose field types already enforce it."""
    return _encoder.encode(value)


def decode(data: bytes, *, limit: int = DEFAULT_LIMIT) -> Any:
    """The value whose canonical encoding is `data`.

    Raises DecodeError with code `too_large`, `json`, `float`, `integer_range`, `key`, `depth` or
    `not_canonical`, whatever is wrong with the bytes.
    """
    if len(data) > limit:
        raise DecodeError("too_large", f"{len(data)} bytes, at most {limit} are read")
    check_nesting(data)
    try:
        value = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError("json", f"no JSON document: {error}") from None
    _check_value(value, 0)
    if _encode_checked(value) != data:
        raise DecodeError("not_canonical", "the document would be written differently (RFC 8785)")
    return value


def decode_as(data: bytes, kind: type[T], *, limit: int = DEFAULT_LIMIT) -> T:
    """`decode`, then the closed schema `kind` (a struct with forbid_unknown_fields). Adds code `schema`."""
    return convert(decode(data, limit=limit), kind)


def convert(value: Any, kind: type[T]) -> T:
    """A decoded value as the closed schema `kind`. Raises DecodeError `schema`, naming the place."""
    try:
        return msgspec.convert(value, type=kind, strict=True)
    except (msgspec.ValidationError, RecursionError) as error:
        raise DecodeError("schema", schema_fault(error)) from None


def schema_fault(error: Exception) -> str:
    """What a ValidationError of msgspec says, without the foreign value that it quotes: that may be personal, and long.

    The name of an unknown field stays where it looks like a name, because it is most often a misspelt one.
    """
    found = _QUOTING.fullmatch(str(error))
    if found is None:
        return str(error)
    what, quoted, place = found.groups()
    return what + (f" `{quoted[1:-1]}`" if "field" in what and _NAME.fullmatch(quoted[1:-1]) else "") + (place or "")


def check_nesting(data: bytes, most: int = MAX_DEPTH) -> None:
    """Refuse deep nesting (DecodeError `depth`) before a parser recurses.

    How deep it may go depends on the whole process: a library that raises the limit of recursion turns a deep text
    into the end of the process.
    """
    brackets = data.translate(None, _NO_BRACKETS)
    if _depth_of(brackets) > most and _depth_of(_STRING.sub(b"", data).translate(None, _NO_BRACKETS)) > most:
        raise DecodeError("depth", f"nested deeper than {most}")


def _depth_of(brackets: bytes) -> int:
    depth = deepest = 0
    for bracket in brackets:
        depth += 1 if bracket in _OPENING else -1
        if depth > deepest:
            deepest = depth
    return deepest


def _encode_checked(value: Any) -> bytes:
    try:
        return _encoder.encode(value)
    except (TypeError, UnicodeEncodeError, ValueError, RecursionError) as error:
        raise DecodeError("type", f"not a canonical value: {type(error).__name__}") from None


def _check_value(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        if not -MAX_INT <= value <= MAX_INT:
            raise DecodeError("integer_range", "an integer beyond +-(2^53-1); write it as a string")
    elif kind is dict:
        _check_depth(depth)
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                raise DecodeError("key", "object keys are ASCII strings")
            if type(item) is not str:  # most values are: a call for each would double the cost of a transaction
                _check_value(item, depth + 1)
    elif kind is list or kind is tuple:
        _check_depth(depth)
        for item in value:
            if type(item) is not str:
                _check_value(item, depth + 1)
    elif kind is float:
        raise DecodeError("float", "numbers are integers; floats have no canonical place here")
    else:
        raise DecodeError("type", f"{kind.__name__} is no canonical value")


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise DecodeError("depth", f"nested deeper than {MAX_DEPTH}")
