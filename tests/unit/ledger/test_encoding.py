"""One value, one spelling: what the canonical encoder writes and what its decoder refuses."""

from typing import Any

import msgspec
import pytest

from ledger.encoding import MAX_DEPTH, MAX_INT, convert, decode, decode_as, encode, encode_trusted
from ledger.errors import DecodeError


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    y: int
    x: int


def _code(attempt: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(DecodeError) as refusal:
        attempt(*arguments, **named)
    return refusal.value.code


def test_what_is_written() -> None:
    value = {"b": [1, -2, True, None], "a": {"text": '保险\n\u2028"/\x7f', "A": ""}, "": 0}
    expected = '{"":0,"a":{"A":"","text":"保险\\n\u2028\\"/\x7f"},"b":[1,-2,true,null]}'
    assert encode(value) == expected.encode()
    assert decode(encode(value)) == value


def test_structs_are_written_by_key() -> None:
    assert encode(Point(y=1, x=2)) == encode_trusted(Point(y=1, x=2)) == b'{"x":2,"y":1}'
    assert decode_as(b'{"x":2,"y":1}', Point) == Point(y=1, x=2)


NOT_CANONICAL = {
    "duplicate key": b'{"a":1,"a":1}',
    "white space": b'{"a": 1}',
    "trailing newline": b"{}\n",
    "leading space": b" {}",
    "other order": b'{"b":1,"a":1}',
    "escaped letter": b'{"a":"\\u0043"}',
    "escaped slash": b'"\\/"',
    "upper-case escape": b'"\\u001F"',
    "long escape of a newline": b'"\\u000a"',
    "escaped key": b'{"\\u0061":1}',
    "minus zero": b"-0",
}


@pytest.mark.parametrize("data", NOT_CANONICAL.values(), ids=NOT_CANONICAL.keys())
def test_other_spellings_are_refused(data: bytes) -> None:
    assert _code(decode, data) in ("not_canonical", "float")


NO_JSON = {
    "empty": b"",
    "cut off": b'{"a":',
    "two documents": b"{}{}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "not UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\x80"',
    "encoded surrogate": b'"\xed\xa0\x80"',
    "lone surrogate": b'"\\ud800"',
    "NaN": b"NaN",
    "leading zero": b"01",
    "plus": b"+1",
    "bare control character": b'"\n"',
    "single quotes": b"'a'",
}


@pytest.mark.parametrize("data", NO_JSON.values(), ids=NO_JSON.keys())
def test_what_is_no_json(data: bytes) -> None:
    assert _code(decode, data) == "json"


@pytest.mark.parametrize("data", [b"1.0", b"1e0", b"1E2", b"0.1", b'{"a":[1.5]}', b"1e400"])
def test_floats_are_refused(data: bytes) -> None:
    assert _code(decode, data) in ("float", "json")


@pytest.mark.parametrize("number", [MAX_INT + 1, -MAX_INT - 1, 2**63, 2**64, 2**70, -(2**64)])
def test_integers_that_not_every_reader_holds(number: int) -> None:
    assert _code(decode, str(number).encode()) in ("integer_range", "float")
    assert _code(encode, number) == "integer_range"


@pytest.mark.parametrize("number", [0, -1, MAX_INT, -MAX_INT])
def test_integers_in_range(number: int) -> None:
    assert decode(encode(number)) == number


def test_keys_are_ascii() -> None:
    assert _code(decode, '{"é":1}'.encode()) == "key"
    assert _code(encode, {"é": 1}) == "key"
    assert _code(encode, {1: 1}) == "key"


def test_depth() -> None:
    """X1: nesting is bounded before anything is parsed."""
    deepest = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert encode(decode(deepest)) == deepest
    assert _code(decode, b"[" + deepest + b"]") == "depth"
    assert _code(decode, b"[" * 500_000) == "depth"
    assert decode(encode("[" * 1_000)) == "[" * 1_000
    circle: list[Any] = []
    circle.append(circle)
    assert _code(encode, circle) == "depth"


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), 1j, [b""], {"a": {"b": bytearray()}}])
def test_values_without_a_canonical_form(value: Any) -> None:
    assert _code(encode, value) == "type"


@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, float("nan"), float("inf"), [1.0], {"a": 2.0}])
def test_floats_are_not_written(value: Any) -> None:
    assert _code(encode, value) == "float"


def test_lone_surrogates_are_not_written() -> None:
    assert _code(encode, "\ud800") == "type"


def test_limit() -> None:
    assert decode(b'"aa"', limit=4) == "aa"
    assert _code(decode, b'"aaa"', limit=4) == "too_large"


@pytest.mark.parametrize(
    "value", [{"x": 1}, {"x": 1, "y": 2, "z": 3}, {"x": "1", "y": 2}, {"x": True, "y": 2}, [], None, "x"]
)
def test_closed_schemas(value: Any) -> None:
    assert _code(decode_as, encode(value), Point) == "schema"
    assert _code(convert, value, Point) == "schema"
