"""The frames inside a link: u8 type, u8 detail, u32 request id (big-endian), payload. Pure; no sockets.

One WebSocket message is one frame. Decoding raises FrameError whatever is wrong with the bytes.
"""

from enum import IntEnum


class Lane(IntEnum):
    """Kinds of one-way messages, most urgent first."""

    CONSENSUS = 0
    GOSSIP = 1
