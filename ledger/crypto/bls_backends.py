"""Curve arithmetic for bls.py: a fast native library, and a slow readable one that must always agree.

A backend decodes strictly (canonical encoding, on the curve, in the subgroup), refuses the identity as key,
as sum of keys, as signature and as sum of signatures, and reports anything wrong as SignatureError
`bad_key` or `bad_signature`. Naive pairing code accepts the identity for every message; both classes are
tested against that. Lengths, counts and duplicates are the caller's concern (bls.py).
"""

import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, Protocol

from py_arkworks_bls12381 import GT, G1Point, G2Point, Scalar

from ledger.errors import SignatureError

CURVE_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""r, the order of the three groups."""

DECODED_KEYS = 4096
"""Public keys kept as points: the validators of many epochs; each saves 0.1 ms of decoding."""
HASHED_MESSAGES = 32
"""Messages kept as points: one header's votes are signed and verified over the same one (0.7 ms each)."""


class BlsBackend(Protocol):
    """What bls.py needs of a curve library. Secrets are integers in 1..r-1, points compressed bytes."""

    def public_key(self, secret: int) -> bytes: ...

    def sign(self, secret: int, message: bytes, suite: bytes) -> bytes: ...

    def check_public_key(self, public: bytes) -> None: ...

    def check_signature(self, signature: bytes) -> None: ...

    def aggregate(self, signatures: Sequence[bytes]) -> bytes: ...

    def is_signed(self, publics: Sequence[bytes], message: bytes, signature: bytes, suite: bytes) -> bool:
        """Whether `signature` is by the sum of `publics`. Raises SignatureError for a bad point."""
        ...


class ArkworksBackend:
    """py-arkworks-bls12381: 3 ms a verification, releases the interpreter lock."""

    def public_key(self, secret: int) -> bytes:
        return (_G1 * Scalar(secret)).to_compressed_bytes()

    def sign(self, secret: int, message: bytes, suite: bytes) -> bytes:
        return (_hashed_message(message, suite) * Scalar(secret)).to_compressed_bytes()

    def check_public_key(self, public: bytes) -> None:
        _decoded_key(public)

    def check_signature(self, signature: bytes) -> None:
        _decoded_signature(signature)

    def aggregate(self, signatures: Sequence[bytes]) -> bytes:
        total = _G2_IDENTITY
        for signature in signatures:
            total = total + _decoded_signature(signature)
        if total == _G2_IDENTITY:
            raise _bad_signature("the signatures add up to the identity")
        return total.to_compressed_bytes()

    def is_signed(self, publics: Sequence[bytes], message: bytes, signature: bytes, suite: bytes) -> bool:
        key = _G1_IDENTITY
        for public in publics:
            key = key + _decoded_key(public)
        if key == _G1_IDENTITY:
            raise _bad_key("the keys add up to the identity")
        point = _decoded_signature(signature)
        return GT.pairing_check([key, _MINUS_G1], [_hashed_message(message, suite), point])


class PyEccBackend:
    """py_ecc, the readable reference: 0.5 s a verification. For tests and for a second opinion offline."""

    def public_key(self, secret: int) -> bytes:
        return bytes(_py_ecc().SkToPk(secret))

    def sign(self, secret: int, message: bytes, suite: bytes) -> bytes:
        return bytes(_py_ecc()._CoreSign(secret, message, suite))

    def check_public_key(self, public: bytes) -> None:
        if not _py_ecc().KeyValidate(public):
            raise _bad_key("not a canonical point of the subgroup, or the identity")

    def check_signature(self, signature: bytes) -> None:
        _py_ecc()
        points = import_module("py_ecc.bls.g2_primitives")
        try:
            point = points.signature_to_G2(signature)
            good = points.subgroup_check(point) and not points.is_inf(point)
        except (ValueError, AssertionError) as error:
            raise _bad_signature(type(error).__name__) from None
        if not good:
            raise _bad_signature("outside the subgroup, or the identity")

    def aggregate(self, signatures: Sequence[bytes]) -> bytes:
        for signature in signatures:
            self.check_signature(signature)
        total = bytes(_py_ecc().Aggregate(signatures))
        self.check_signature(total)
        return total

    def is_signed(self, publics: Sequence[bytes], message: bytes, signature: bytes, suite: bytes) -> bool:
        for public in publics:
            self.check_public_key(public)
        key = publics[0] if len(publics) == 1 else bytes(_py_ecc()._AggregatePKs(publics))
        self.check_public_key(key)
        self.check_signature(signature)
        return bool(_py_ecc()._CoreVerify(key, message, signature, suite))


_G1 = G1Point()
_MINUS_G1 = -_G1
_G1_IDENTITY = G1Point.identity()
_G2_IDENTITY = G2Point.identity()


@lru_cache(maxsize=DECODED_KEYS)
def _decoded_key(public: bytes) -> G1Point:
    try:
        point = G1Point.from_compressed_bytes(public)
    except ValueError as error:
        raise _bad_key(str(error)) from None
    if point == _G1_IDENTITY:
        raise _bad_key("the identity")
    return point


def _decoded_signature(signature: bytes) -> G2Point:
    try:
        point = G2Point.from_compressed_bytes(signature)
    except ValueError as error:
        raise _bad_signature(str(error)) from None
    if point == _G2_IDENTITY:
        raise _bad_signature("the identity")
    return point


@lru_cache(maxsize=HASHED_MESSAGES)
def _hashed_message(message: bytes, suite: bytes) -> G2Point:
    return G2Point.hash_to_curve(message, suite)


def _py_ecc() -> Any:
    """The reference scheme, imported on first use: it takes half a second to load.

    Importing it raises the interpreter's recursion limit to 100,000, and then nested JSON from a stranger
    overflows the C stack of the parser instead of being refused. So the limit is put back.
    """
    limit = sys.getrecursionlimit()
    try:
        return import_module("py_ecc.bls").G2ProofOfPossession
    finally:
        sys.setrecursionlimit(limit)


def _bad_key(reason: str) -> SignatureError:
    return SignatureError("bad_key", f"BLS public key: {reason}")


def _bad_signature(reason: str) -> SignatureError:
    return SignatureError("bad_signature", f"BLS signature: {reason}")
