"""HPKE suites (RFC 9180, base mode): how a content key is wrapped for one recipient.

A suite has a number that envelopes carry, so that another one can be added without touching what exists.
Keys and wraps are plain bytes here; the library's key objects stay inside. Not pure: wrapping takes
randomness. Base mode does not tell who wrapped: the signed transaction that holds the digest does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from ledger.errors import EnvelopeError

CONTENT_KEY_BYTES = 32
AEAD_TAG_BYTES = 16
MLKEM768_PUBLIC_BYTES = 1184
MLKEM768_SEED_BYTES = 64

X25519: Final = 1
"""DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Keys of 32 bytes."""
MLKEM768_X25519: Final = 2
"""The same with the hybrid KEM ML-KEM-768 + X25519: stays closed to a recorder with a quantum computer.

Public key = ML-KEM-768 key (1184) + X25519 key (32); secret key = ML-KEM seed (64) + X25519 key (32).
"""


@dataclass(frozen=True, slots=True)
class WrapSuite:
    """One suite: sizes in bytes, and how its plain keys become the library's."""

    hpke: Suite
    public_bytes: int
    secret_bytes: int
    wrapped_bytes: int
    load_public: Callable[[bytes], Any]
    load_secret: Callable[[bytes], Any]
    raw_public: Callable[[bytes], bytes]


def wrap_suite(number: int) -> WrapSuite:
    """The suite of a number. Raises EnvelopeError `suite`."""
    suite = _SUITES.get(number)
    if suite is None:
        raise EnvelopeError("suite", f"suite {number} is unknown; known are {sorted(_SUITES)}")
    return suite


def wrap_key(number: int, content_key: bytes, public: bytes, context: bytes) -> bytes:
    """`content_key` sealed to `public`, openable only with the same `context` (at most 64 bytes).

    Raises EnvelopeError `bad_key` when the key is not usable (wrong length, low order).
    """
    suite = wrap_suite(number)
    _check_length(public, suite.public_bytes, "public")
    try:
        return suite.hpke.encrypt(content_key, suite.load_public(public), info=context)
    except ValueError as error:
        raise EnvelopeError("bad_key", f"the recipient's key cannot be used: {error}") from None


def unwrap_key(number: int, wrapped: bytes, secret: bytes, context: bytes) -> bytes:
    """The 32-byte content key. Raises EnvelopeError `bad_key`, `not_authentic`."""
    suite = wrap_suite(number)
    _check_length(secret, suite.secret_bytes, "secret")
    try:
        content_key = suite.hpke.decrypt(wrapped, suite.load_secret(secret), info=context)
    except (InvalidTag, ValueError):
        raise EnvelopeError("not_authentic", "the wrapped key does not open with this key and context") from None
    if len(content_key) != CONTENT_KEY_BYTES:
        raise EnvelopeError("not_authentic", "the wrap holds no content key")
    return content_key


def wrap_public_key(number: int, secret: bytes) -> bytes:
    """The public key that belongs to a secret key of suite `number`. Raises EnvelopeError `bad_key`."""
    suite = wrap_suite(number)
    _check_length(secret, suite.secret_bytes, "secret")
    return suite.raw_public(secret)


def _check_length(key: bytes, length: int, kind: str) -> None:
    if len(key) != length:
        raise EnvelopeError("bad_key", f"a {kind} key of this suite has {length} bytes, not {len(key)}")


def _x25519_public(secret: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def _load_hybrid_public(public: bytes) -> MLKEM768X25519PublicKey:
    lattice, curve = public[:MLKEM768_PUBLIC_BYTES], public[MLKEM768_PUBLIC_BYTES:]
    return MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(lattice), X25519PublicKey.from_public_bytes(curve)
    )


def _load_hybrid_secret(secret: bytes) -> MLKEM768X25519PrivateKey:
    lattice, curve = secret[:MLKEM768_SEED_BYTES], secret[MLKEM768_SEED_BYTES:]
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(lattice), X25519PrivateKey.from_private_bytes(curve)
    )


def _hybrid_public(secret: bytes) -> bytes:
    lattice = MLKEM768PrivateKey.from_seed_bytes(secret[:MLKEM768_SEED_BYTES])
    return lattice.public_key().public_bytes_raw() + _x25519_public(secret[MLKEM768_SEED_BYTES:])


def _suite(kem: KEM) -> Suite:
    return Suite(kem, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _wrapped_bytes(kem: KEM) -> int:
    return kem.enc_length() + CONTENT_KEY_BYTES + AEAD_TAG_BYTES


_SUITES: Final = {
    X25519: WrapSuite(
        _suite(KEM.X25519),
        32,
        32,
        _wrapped_bytes(KEM.X25519),
        X25519PublicKey.from_public_bytes,
        X25519PrivateKey.from_private_bytes,
        _x25519_public,
    ),
    MLKEM768_X25519: WrapSuite(
        _suite(KEM.MLKEM768_X25519),
        MLKEM768_PUBLIC_BYTES + 32,
        MLKEM768_SEED_BYTES + 32,
        _wrapped_bytes(KEM.MLKEM768_X25519),
        _load_hybrid_public,
        _load_hybrid_secret,
        _hybrid_public,
    ),
}
