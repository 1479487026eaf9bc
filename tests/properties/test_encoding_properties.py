"""The canonical encoder against an independent RFC 8785 implementation, and against itself."""

import contextlib
from typing import Any

import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.encoding import MAX_INT, decode, encode
from ledger.errors import DecodeError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ascii_keys = st.text(st.characters(max_codepoint=127), max_size=8)
canonical: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INT, MAX_INT) | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(ascii_keys, inner, max_size=5),
    max_leaves=25,
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=15,
)


@given(canonical)
@settings(max_examples=400, deadline=None)
def test_same_bytes_as_rfc_8785(value: Any) -> None:
    data = encode(value)
    assert data == rfc8785.dumps(value)
    assert decode(data) == value


@given(anything)
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_rfc_8785_or_refused(value: Any) -> None:
    try:
        data = encode(value)
    except DecodeError:
        return
    assert data == rfc8785.dumps(value)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:01e.-\\u aé', max_size=30).map(str.encode))
@settings(max_examples=500, deadline=None)
def test_decoding_accepts_only_what_it_would_write(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert encode(decode(data)) == data


@given(canonical, st.data())
@settings(max_examples=200, deadline=None)
def test_different_bytes_are_different_values(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(encode(value))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(DecodeError):
        assert encode(decode(bytes(encoded))) == encoded != encode(value)
