"""Frames: what is written is read, and foreign bytes raise one error whatever is wrong with them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.peers import Lane, PeerError
from node.peers.frames import (
    Kind,
    decode_frame,
    encode_answer,
    encode_hello,
    encode_message,
    encode_refusal,
    encode_request,
    is_code,
)
from node.peers.hello import build_hello, check_hello

CHAIN = b"\x07" * 32


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_every_kind_of_frame_is_read_as_written(payload: bytes, request_id: int) -> None:
    assert decode_frame(encode_hello(payload)) == (Kind.HELLO, Lane.GOSSIP, 0, "", payload)
    for lane in Lane:
        assert decode_frame(encode_message(lane, payload)) == (Kind.MESSAGE, lane, 0, "", payload)
    request = decode_frame(encode_request(request_id, "parcel.pull", payload))
    assert (request.kind, request.request_id, request.name, request.payload) == (
        Kind.REQUEST,
        request_id,
        "parcel.pull",
        payload,
    )
    answer = decode_frame(encode_answer(request_id, payload))
    assert (answer.kind, answer.request_id, answer.payload) == (Kind.ANSWER, request_id, payload)
    refusal = decode_frame(encode_refusal(request_id, "busy"))
    assert (refusal.kind, refusal.request_id, refusal.name) == (Kind.REFUSAL, request_id, "busy")


@given(st.binary(max_size=80))
def test_garbage_is_a_frame_or_a_bad_frame(data: bytes) -> None:
    with suppress(PeerError):
        decode_frame(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\x00\x00\x00\x00",
        b"\x01\x02\x00\x00\x00\x00",  # a lane that does not exist
        b"\x01\x00\x00\x00\x00\x01",  # a message with a request id
        b"\x02\x05\x00\x00\x00\x01abc",  # a method name longer than the frame
        b"\x02\x00\x00\x00\x00\x01abc",
        b"\x02\x02\x00\x00\x00\x01a\xffx",
        b"\x03\x01\x00\x00\x00\x01",
        b"\x04\x00\x00\x00\x00\x01",
        b"\x04\x00\x00\x00\x00\x01" + b"a" * 65,
        b"\x05\x00\x00\x00\x00\x00",
        b"\xff" * 40,
    ],
)
def test_malformed_frames_are_refused(data: bytes) -> None:
    with pytest.raises(PeerError) as caught:
        decode_frame(data)
    assert caught.value.code == "bad_frame"


def test_method_names_and_codes() -> None:
    assert is_code("block.fetch")
    assert not any(is_code(text) for text in ("", "1a", "a b", "a\n", "é", "a" * 65))


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (build_hello(CHAIN, "hospital"), None),
        (build_hello(b"\x08" * 32, "hospital"), "wrong_network"),
        (build_hello(CHAIN, "insurer"), "wrong_participant"),
        (build_hello(CHAIN, "hospital").replace(b'"v":1', b'"v":2'), "wrong_version"),
        (encode_message(Lane.CONSENSUS, b"{}"), "bad_hello"),
        (encode_hello(b"{}"), "bad_hello"),
        (encode_hello(b'{"v":1}' + b" " * 2_000), "bad_hello"),
        (b"", "bad_frame"),
    ],
)
def test_hello(frame: bytes, code: str | None) -> None:
    if code is None:
        check_hello(frame, CHAIN, "hospital")
        return
    with pytest.raises(PeerError) as caught:
        check_hello(frame, CHAIN, "hospital")
    assert caught.value.code == code
