"""Blocks after the end of an epoch: what stands in them, and when one is right (R12).

A boundary block that was notarized but not finalized in its own view still has to become final, so its epoch goes
on with tail blocks above it. Knows their bytes and nothing else. Must always hold: the bytes follow from the
boundary alone, so a tail carries nothing, and whoever sees one finalized knows which block became final.
"""

from ledger.certificates import tail_digest

MARK = b"CNT1"


def tail_payload(boundary: bytes) -> bytes:
    """The bytes of every tail block above the block `boundary` (a 32-byte digest)."""
    return MARK + boundary


def is_tail(digest: bytes, payload: bytes) -> bool:
    """Whether these are the bytes of a tail block of that name, above whatever boundary."""
    boundary = payload[len(MARK) :]
    return payload[: len(MARK)] == MARK and len(boundary) == 32 and tail_digest(boundary) == digest
