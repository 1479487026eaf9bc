"""Forms, hashes and signatures of the second verifier, from the first sections of `ledger/README.md`."""

import hashlib
import json
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from nacl.bindings import crypto_core_ed25519_is_valid_point, crypto_sign_open
from nacl.exceptions import CryptoError

Json = dict[str, Any]


class Refused(Exception):
    """The first check that does not hold: (number, reason)."""


def need(holds: Any, number: int, reason: str) -> None:
    if not holds:
        raise Refused(number, reason)


def closed(value: Any, fields: str) -> None:
    """An object with exactly these fields; counts are whole numbers, true is none."""
    need(type(value) is dict and sorted(value) == sorted(fields.split()), 1, f"schema: {fields}")
    counts = [value[name] for name in ("v", "leaf_index", "version", "depth", "expires_time") if name in value]
    need(all(type(count) is int and count >= 0 for count in counts), 1, "a count")


def unhex(text: str) -> bytes:
    data = bytes.fromhex(text)
    need(data.hex() == text, 1, "hexadecimal")
    return data


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def decode(data: bytes) -> Any:
    """The value of canonical JSON."""
    need(len(data) <= 64 * 2**20, 1, "too large")
    depth = 0
    for bracket in re.sub(rb'(?s)"(?:[^"\\]|\\.)*"|[^\[\]{}"]+', b"", data):
        depth += 1 if bracket in b"[{" else -1
        need(depth <= 32, 1, "depth")
    value = json.loads(data.decode())
    need(encode(value) == data, 1, "not canonical")
    return value


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def tagged(tag: str, data: bytes) -> bytes:
    return sha(sha(b"claimnode/" + tag.encode()) * 2 + data)


def named(tag: str, value: Any) -> str:
    return tagged(tag, encode(value)).hex()


def merkle_root(leaves: list[bytes]) -> bytes:
    while len(leaves) > 1:
        pairs = [sha(b"\1" + a + b) for a, b in zip(leaves[::2], leaves[1::2], strict=False)]
        leaves = pairs + leaves[2 * len(pairs) :]
    return leaves[0] if leaves else sha(b"")


def is_signed(key: str, message: bytes, signature: bytes) -> bool:
    """Ed25519: a canonical key of prime order, S below the order, no cofactor."""
    try:
        return crypto_core_ed25519_is_valid_point(bytes.fromhex(key)) and bool(
            crypto_sign_open(signature + message, bytes.fromhex(key))
        )
    except CryptoError:
        return False


def ascend(names: Iterable[Any]) -> bool:
    return all(a < b for a, b in pairwise(names))
