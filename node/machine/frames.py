"""Messages between a node and its machine worker: one kind byte, a length, that many bytes.

Knows the framing on two pipes. Must not know what a message means. Always true: no message is longer than
MAX_FRAME_BYTES, and a stream that ends or breaks its framing raises EndOfWorker.
"""

import os
import select
import struct
import time
from typing import Final

MAX_FRAME_BYTES: Final = 32 * 2**20
"""A result and its explanation together; a request is far smaller."""
READ_BYTES: Final = 2**18
"""One read from a pipe."""
_HEADER: Final = struct.Struct(">cI")


class EndOfWorker(Exception):
    """The other end has gone, or sends no frames."""


class OutOfTime(Exception):
    """No complete frame has come before the deadline."""


def write_frame(pipe: int, kind: bytes, payload: bytes) -> None:
    """Writes one whole frame to a blocking pipe."""
    if len(payload) > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {len(payload)} bytes; at most {MAX_FRAME_BYTES} are sent")
    data = memoryview(_HEADER.pack(kind, len(payload)) + payload)
    try:
        while data:
            data = data[os.write(pipe, data) :]
    except BrokenPipeError:
        raise EndOfWorker from None


def read_frame(pipe: int, *, seconds: float | None = None) -> tuple[bytes, bytes]:
    """The kind and payload of the next frame, waiting at most `seconds` for all of it (None: for ever).

    The other end sends one frame and then waits, so that a frame is mostly one read; more than a frame is none.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    start = _read_some(pipe, deadline)
    while len(start) < _HEADER.size:
        start += _read_some(pipe, deadline)
    kind, length = _HEADER.unpack_from(start)
    missing = _HEADER.size + length - len(start)
    if length > MAX_FRAME_BYTES or missing < 0:
        raise EndOfWorker
    parts = [start[_HEADER.size :]]
    while missing:
        parts.append(_read_some(pipe, deadline, missing))
        missing -= len(parts[-1])
    return kind, b"".join(parts)


def _read_some(pipe: int, deadline: float | None, most: int = READ_BYTES) -> bytes:
    if deadline is not None:
        _wait(pipe, deadline)
    part = os.read(pipe, min(most, READ_BYTES))
    if not part:
        raise EndOfWorker
    return part


def _wait(pipe: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    if not poll.poll(max(0, (deadline - time.monotonic()) * 1000)):
        raise OutOfTime
