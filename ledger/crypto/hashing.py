"""Tagged SHA-256: the only hash that signed or committed data goes through.

tagged_hash(tag, data) = SHA-256(T || T || data) with T = SHA-256("claimnode/" + tag), the construction of
BIP 340. Two tags never give the same hash for the same data, so a signature made for one purpose cannot
be used for another. The RFC 6962 log and the state map use their own prefixes (see merkle, statemap).
"""

import hashlib
from functools import lru_cache
from typing import Any

HASH_BYTES = 32


@lru_cache(maxsize=256)
def _primed(tag: str) -> "hashlib._Hash":
    digest = hashlib.sha256(b"claimnode/" + tag.encode("ascii")).digest()
    return hashlib.sha256(digest + digest)


def tagged_hash(tag: str, data: bytes) -> bytes:
    """32 bytes that bind `data` to the purpose `tag` (ASCII)."""
    state: Any = _primed(tag).copy()
    state.update(data)
    digest: bytes = state.digest()
    return digest


def tagged_hex(tag: str, data: bytes) -> str:
    """`tagged_hash` as 64 lower-case hexadecimal digits, the form used inside canonical JSON."""
    return tagged_hash(tag, data).hex()
