"""Entry bundles: up to 256 entries of the log in one file, as C2SP tlog-tiles serves them beside the tiles.

Knows bytes and lengths; must not know what an entry says. Must always hold: a bundle has one spelling, and the leaf
hashes of its entries are the level-0 tile of the same number.
"""

from collections.abc import Sequence
from typing import Final

from ledger.errors import InvalidProof
from ledger.logtiles import TILE_WIDTH

MAX_BUNDLED_BYTES: Final = 2**16 - 1
"""An entry's length stands in two bytes before it."""


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """An entry bundle (C2SP tlog-tiles): each entry behind its length, two bytes big-endian.

    Raises InvalidProof `entry_size` for an entry that the format cannot hold.
    """
    if any(len(entry) > MAX_BUNDLED_BYTES for entry in entries):
        raise InvalidProof("entry_size", f"an entry of more than {MAX_BUNDLED_BYTES} bytes fits no bundle")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_entries(data: bytes) -> tuple[bytes, ...]:
    """The entries of a bundle, at most 256. Raises InvalidProof `form`."""
    entries = list[bytes]()
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data) or len(entries) == TILE_WIDTH:
            raise InvalidProof("form", "a bundle is up to 256 entries, each whole behind its length")
        entries.append(data[at + 2 : end])
        at = end
    return tuple(entries)
