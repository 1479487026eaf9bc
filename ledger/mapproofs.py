"""Proofs about the state map: their closed form, their bytes, and the check that needs no map.

A path runs from the root along the bits of the key and ends in the key's own leaf (present), in nothing, or
in the leaf of another key with the same first bits (absent). Only siblings that are not empty are written;
a bitmap says where they stand. There is one spelling of each proof: anything that could be written shorter,
longer or otherwise is refused, as is a path that no tree with collapsed leaves can have.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from ledger.errors import InvalidProof
from ledger.types import Hex32

KEY_BYTES: Final = 32
KEY_BITS: Final = 256
EMPTY: Final = bytes(32)
"""Hash of an empty subtree; no leaf or inner node can have it."""
_EMPTY_HEX: Final = EMPTY.hex()


class OtherLeaf(Struct, frozen=True, forbid_unknown_fields=True):
    """The leaf found where the proved key would be."""

    key: Hex32
    value_hash: Hex32


class MapProof(Struct, frozen=True, forbid_unknown_fields=True):
    """A path of `depth` siblings from the root down.

    Bit i of `bitmap` (most significant first, whole bytes, rest zero) is set where the sibling at depth i+1
    is not empty; those hashes follow in the same order. `other` is the foreign leaf of an absence.
    """

    depth: Annotated[int, Meta(ge=0, le=KEY_BITS)]
    bitmap: Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{2}){0,32}\Z")]
    siblings: Annotated[tuple[Hex32, ...], Meta(max_length=KEY_BITS)]
    other: OtherLeaf | None


def map_leaf_hash(key: bytes, value_hash: bytes) -> bytes:
    """SHA-256(0x00 | key | value hash)."""
    return hashlib.sha256(b"\x00" + key + value_hash).digest()


def map_inner_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 | left | right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def build_map_proof(siblings: Sequence[bytes], other: OtherLeaf | None) -> MapProof:
    """The proof of a path with these siblings, from the root down, empty ones included."""
    depth = len(siblings)
    bits = "".join("0" if sibling == EMPTY else "1" for sibling in siblings)
    width = (depth + 7) // 8
    bitmap = int(bits.ljust(width * 8, "0") or "0", 2).to_bytes(width, "big").hex()
    present = tuple(sibling.hex() for sibling in siblings if sibling != EMPTY)
    return MapProof(depth=depth, bitmap=bitmap, siblings=present, other=other)


def verify_map_proof(root: bytes, key: bytes, value_hash: bytes | None, proof: MapProof) -> None:
    """Raise InvalidProof unless `key` has `value_hash` in the map under `root`, or is absent if None.

    Codes: `hash` (an input is not 32 bytes), `form` (not the one spelling), `path` (no such path can exist),
    `root` (another key, value or map).
    """
    _check_lengths(root, key, value_hash)
    siblings = _siblings(proof)
    number = int.from_bytes(key, "big")
    known = _end_hash(key, value_hash, proof)
    if known == EMPTY and proof.depth == 0:
        if root != EMPTY:
            raise InvalidProof("root", "the map is not empty")
        return
    if siblings and siblings[-1] == EMPTY:
        raise InvalidProof("path", "the last sibling is empty; the path would end above it")
    for depth in range(proof.depth - 1, -1, -1):
        on_right = number >> (KEY_BITS - 1 - depth) & 1
        sibling = siblings[depth]
        known = map_inner_hash(sibling, known) if on_right else map_inner_hash(known, sibling)
    if known != root:
        raise InvalidProof("root", "the path leads to another root")


def encode_map_proof(proof: MapProof) -> bytes:
    """u16be depth, one byte for `other` (0 or 1), bitmap, siblings, other leaf (64 bytes): below 1 kB."""
    other = proof.other
    head = proof.depth.to_bytes(2, "big") + bytes([other is not None])
    tail = bytes.fromhex(other.key + other.value_hash) if other else b""
    return head + bytes.fromhex(proof.bitmap + "".join(proof.siblings)) + tail


def decode_map_proof(data: bytes) -> MapProof:
    """The proof in `data`. Raises InvalidProof `form` for anything `encode_map_proof` does not write."""
    depth, flag = int.from_bytes(data[:2], "big"), data[2:3]
    width = (depth + 7) // 8
    bitmap = data[3 : 3 + width]
    count = int.from_bytes(bitmap, "big").bit_count()
    start = 3 + width + 32 * count
    tail = 64 if flag == b"\x01" else 0
    if depth > KEY_BITS or flag not in (b"\x00", b"\x01") or len(data) != start + tail:
        raise InvalidProof("form", f"{len(data)} bytes are no map proof")
    hashes = [data[at : at + 32].hex() for at in range(3 + width, len(data), 32)]
    other = OtherLeaf(key=hashes[count], value_hash=hashes[count + 1]) if tail else None
    proof = MapProof(depth=depth, bitmap=bitmap.hex(), siblings=tuple(hashes[:count]), other=other)
    _siblings(proof)
    return proof


def _check_lengths(*values: bytes | None) -> None:
    if any(value is not None and len(value) != KEY_BYTES for value in values):
        raise InvalidProof("hash", "roots, keys and value hashes have 32 bytes")


def _siblings(proof: MapProof) -> list[bytes]:
    """All siblings from the root down, empty ones filled in. Checks the form."""
    width = (proof.depth + 7) // 8
    bits = int(proof.bitmap or "0", 16)
    if len(proof.bitmap) != 2 * width or bits & ((1 << (8 * width - proof.depth)) - 1):
        raise InvalidProof("form", f"the bitmap does not fit a depth of {proof.depth}")
    if bits.bit_count() != len(proof.siblings) or _EMPTY_HEX in proof.siblings:
        raise InvalidProof("form", "the bitmap does not tell which siblings are given")
    given = iter(proof.siblings)
    top = 8 * width - 1
    return [bytes.fromhex(next(given)) if bits >> (top - at) & 1 else EMPTY for at in range(proof.depth)]


def _end_hash(key: bytes, value_hash: bytes | None, proof: MapProof) -> bytes:
    """Hash of what the path ends in, for the claim that is made."""
    other = proof.other
    if value_hash is not None:
        if other is not None:
            raise InvalidProof("form", "a proof of presence names no other leaf")
        return map_leaf_hash(key, value_hash)
    if other is None:
        return EMPTY
    found = bytes.fromhex(other.key)
    if found == key:
        raise InvalidProof("path", "the other leaf is the key itself: it is present")
    shared = KEY_BITS - (int.from_bytes(found, "big") ^ int.from_bytes(key, "big")).bit_length()
    if shared < proof.depth:
        raise InvalidProof("path", "the other leaf does not lie on the path of the key")
    return map_leaf_hash(found, bytes.fromhex(other.value_hash))
