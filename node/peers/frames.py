"""The frames inside a link: u8 type, u8 detail, u32 request id (big-endian), payload. Pure; no sockets.

`detail` is the lane of a message, the length of the method name of a request, 0 elsewhere. One WebSocket
message is one frame, so lengths cannot lie. Decoding raises PeerError `bad_frame` whatever is wrong.
"""

import re
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from node.peers.errors import PeerError

_HEAD: Final = Struct(">BBI")
HEAD_BYTES: Final = _HEAD.size
MAX_REQUEST_ID: Final = 2**32 - 1
MAX_CODE: Final = 64
"""Characters of a method name or refusal code."""
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)


class Lane(IntEnum):
    """Kinds of one-way messages, most urgent first."""

    CONSENSUS = 0
    GOSSIP = 1


class Kind(IntEnum):
    """What a frame is. HELLO comes first and once, each way."""

    HELLO = 0
    MESSAGE = 1
    REQUEST = 2
    ANSWER = 3
    REFUSAL = 4


class Frame(NamedTuple):
    """One decoded frame. `name`: the method of a request, the code of a refusal, else empty."""

    kind: Kind
    lane: Lane
    request_id: int
    name: str
    payload: bytes


def encode_hello(payload: bytes) -> bytes:
    """The first frame of a link."""
    return _HEAD.pack(Kind.HELLO, 0, 0) + payload


def encode_message(lane: Lane, payload: bytes) -> bytes:
    """A one-way message."""
    return _HEAD.pack(Kind.MESSAGE, lane, 0) + payload


def encode_request(request_id: int, method: str, payload: bytes) -> bytes:
    """A request; `method` passed `is_code`."""
    return _HEAD.pack(Kind.REQUEST, len(method), request_id) + method.encode("ascii") + payload


def encode_answer(request_id: int, payload: bytes) -> bytes:
    """The answer to a request."""
    return _HEAD.pack(Kind.ANSWER, 0, request_id) + payload


def encode_refusal(request_id: int, code: str) -> bytes:
    """The refusal of a request: a code and no more, so that no detail leaves the node."""
    return _HEAD.pack(Kind.REFUSAL, 0, request_id) + code.encode("ascii")


def is_code(text: str) -> bool:
    """Whether `text` can be a method name or a refusal code."""
    return _CODE.fullmatch(text) is not None


def decode_frame(data: bytes) -> Frame:
    """The frame that `data` is. Raises PeerError `bad_frame`."""
    if len(data) < HEAD_BYTES:
        raise PeerError("bad_frame", f"a frame has at least {HEAD_BYTES} bytes, not {len(data)}")
    kind, detail, request_id = _HEAD.unpack_from(data)
    body = data[HEAD_BYTES:]
    if kind == Kind.MESSAGE and detail in (Lane.CONSENSUS, Lane.GOSSIP) and request_id == 0:
        return Frame(Kind.MESSAGE, Lane(detail), 0, "", body)
    if kind == Kind.REQUEST:
        return Frame(Kind.REQUEST, Lane.GOSSIP, request_id, _name(body[:detail], detail), body[detail:])
    if kind == Kind.ANSWER and detail == 0:
        return Frame(Kind.ANSWER, Lane.GOSSIP, request_id, "", body)
    if kind == Kind.REFUSAL and detail == 0:
        return Frame(Kind.REFUSAL, Lane.GOSSIP, request_id, _name(body, len(body)), b"")
    if kind == Kind.HELLO and detail == 0 and request_id == 0:
        return Frame(Kind.HELLO, Lane.GOSSIP, 0, "", body)
    raise PeerError("bad_frame", f"no frame of type {kind} has detail {detail} and request {request_id}")


def _name(raw: bytes, length: int) -> str:
    text = raw.decode("latin-1")
    if len(raw) != length or not is_code(text):
        raise PeerError("bad_frame", "a method name or code that is none")
    return text
