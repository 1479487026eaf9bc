"""Byte strings joined so that they can be told apart again: each behind its length (4 bytes, big-endian).

Two different lists never give the same bytes. Not an encoding of anything that is hashed or signed.
"""

from collections.abc import Iterable
from struct import Struct

from ledger.errors import DecodeError

_LENGTH = Struct(">I")


def join_parts(parts: Iterable[bytes]) -> bytes:
    """Each part behind its length."""
    joined: list[bytes] = []
    for part in parts:
        joined += (len(part).to_bytes(4, "big"), part)
    return b"".join(joined)


def split_parts(data: bytes, *, most: int | None = None) -> tuple[bytes, ...]:
    """What `join_parts` joined. Raises DecodeError `truncated`, or `too_many` beyond `most` parts."""
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data) or at + 4 > len(data):
            raise DecodeError("truncated", f"the part at byte {at} is cut off")
        if len(parts) == most:
            raise DecodeError("too_many", f"more than {most} parts")
        parts.append(data[at + 4 : end])
        at = end
    return tuple(parts)


def first_part(data: bytes) -> bytes:
    """The part that stands first. Raises DecodeError `truncated`."""
    end = 4 + int.from_bytes(data[:4], "big")
    if end > len(data):
        raise DecodeError("truncated", "the part at byte 0 is cut off")
    return data[4:end]


def part_at(data: bytes, number: int) -> bytes | None:
    """Part `number` (0-based), None if there are fewer or it is cut off. The others are not looked at."""
    at, size = 0, len(data)
    for _ in range(number):
        if at + 4 > size:
            return None
        at += 4 + _LENGTH.unpack_from(data, at)[0]
    end = at + 4 + int.from_bytes(data[at : at + 4], "big")
    return data[at + 4 : end] if end <= size and at + 4 <= size else None
