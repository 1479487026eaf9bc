"""BLS signatures on BLS12-381: minimal public keys, proof of possession (draft-irtf-cfrg-bls-signature).

Keys are 48 bytes (G1), signatures 96 bytes (G2). Signatures of many keys over one message add up to one:
a header's finality certificate. This file holds the scheme and every refusal; the curve arithmetic is
behind `BlsBackend` (see bls_backends). It must hold that no key and no signature is ever the identity, that
every received point is canonical and in the prime-order subgroup, and that keys are only aggregated after
their proofs of possession were checked (`verify_possession`, at registration) - without it a rogue key
could sign for others.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from ledger.crypto.bls_backends import CURVE_ORDER, ArkworksBackend, BlsBackend, PyEccBackend
from ledger.errors import SignatureError

__all__ = [
    "ArkworksBackend",
    "BlsBackend",
    "PyEccBackend",
    "aggregate",
    "check_public_key",
    "check_signature",
    "fast_aggregate_verify",
    "prove_possession",
    "public_key",
    "secret_key_from_seed",
    "sign",
    "verify",
    "verify_possession",
]

SUITE: Final = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
"""Domain of signatures: the ciphersuite id (section 4.2.3)."""
POSSESSION_SUITE: Final = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
"""Domain of proofs of possession; another one, so that no signature can pass for a proof."""

SECRET_KEY_BYTES = 32
PUBLIC_KEY_BYTES = 48
SIGNATURE_BYTES = 96
MIN_SEED_BYTES = 32
MAX_AGGREGATE = 1024
"""Parts of one aggregate: far above any validator set; bounds the work that a message can ask for."""

DEFAULT_BACKEND: Final[BlsBackend] = ArkworksBackend()


def secret_key_from_seed(seed: bytes) -> bytes:
    """KeyGen (section 2.3) with empty key_info: 32 or more secret random bytes -> 32-byte secret key."""
    if len(seed) < MIN_SEED_BYTES:
        raise SignatureError("bad_secret", f"a BLS seed has at least 32 bytes, not {len(seed)}")
    salt = b"BLS-SIG-KEYGEN-SALT-"
    secret = 0
    while secret == 0:  # leaves the loop at once, save for one seed in 2^255
        salt = hashlib.sha256(salt).digest()
        extracted = hmac.digest(salt, seed + b"\x00", "sha256")
        secret = int.from_bytes(_expand(extracted, (48).to_bytes(2, "big")), "big") % CURVE_ORDER
    return secret.to_bytes(SECRET_KEY_BYTES, "big")


def public_key(secret: bytes, *, backend: BlsBackend = DEFAULT_BACKEND) -> bytes:
    """The 48-byte public key. Raises SignatureError `bad_secret`."""
    return backend.public_key(_scalar(secret))


def sign(secret: bytes, message: bytes, *, backend: BlsBackend = DEFAULT_BACKEND) -> bytes:
    """The one 96-byte signature that `secret` can make over `message`; no chance is involved."""
    return backend.sign(_scalar(secret), message, SUITE)


def verify(public: bytes, message: bytes, signature: bytes, *, backend: BlsBackend = DEFAULT_BACKEND) -> None:
    """Raise SignatureError (`bad_key`, `bad_signature`) unless `signature` is by `public` over `message`."""
    _verify((public,), message, signature, SUITE, backend)


def aggregate(signatures: Sequence[bytes], *, backend: BlsBackend = DEFAULT_BACKEND) -> bytes:
    """The sum of `signatures`. Each is checked to be a point of the subgroup, none is verified.

    Raises SignatureError `empty`, `too_many`, `duplicate` (no honest collector counts one vote twice),
    `bad_signature` (also when the sum is the identity, which no verifier accepts).
    """
    _check_count(signatures, "signatures")
    for signature in signatures:
        _check_length(signature, SIGNATURE_BYTES, "bad_signature", "BLS signature")
    return backend.aggregate(signatures)


def fast_aggregate_verify(
    publics: Sequence[bytes], message: bytes, signature: bytes, *, backend: BlsBackend = DEFAULT_BACKEND
) -> None:
    """Raise SignatureError unless `signature` is the sum of one signature over `message` by each key.

    Sound only for keys whose proof of possession was verified. Codes: `empty`, `too_many`, `duplicate`,
    `bad_key` (one of them, or their sum is the identity), `bad_signature`.
    """
    _check_count(publics, "keys")
    _verify(publics, message, signature, SUITE, backend)


def prove_possession(secret: bytes, *, backend: BlsBackend = DEFAULT_BACKEND) -> bytes:
    """A 96-byte proof that the secret of the public key is known (section 3.3.2)."""
    scalar = _scalar(secret)
    return backend.sign(scalar, backend.public_key(scalar), POSSESSION_SUITE)


def verify_possession(public: bytes, proof: bytes, *, backend: BlsBackend = DEFAULT_BACKEND) -> None:
    """Raise SignatureError (`bad_key`, `bad_signature`) unless `proof` shows possession (section 3.3.3)."""
    _verify((public,), public, proof, POSSESSION_SUITE, backend)


def check_public_key(public: bytes, *, backend: BlsBackend = DEFAULT_BACKEND) -> None:
    """Raise SignatureError `bad_key` unless canonical, in the subgroup and not the identity."""
    _check_length(public, PUBLIC_KEY_BYTES, "bad_key", "BLS public key")
    backend.check_public_key(public)


def check_signature(signature: bytes, *, backend: BlsBackend = DEFAULT_BACKEND) -> None:
    """Raise SignatureError `bad_signature` unless canonical, in the subgroup and not the identity."""
    _check_length(signature, SIGNATURE_BYTES, "bad_signature", "BLS signature")
    backend.check_signature(signature)


def _verify(publics: Sequence[bytes], message: bytes, signature: bytes, suite: bytes, backend: BlsBackend) -> None:
    for public in publics:
        _check_length(public, PUBLIC_KEY_BYTES, "bad_key", "BLS public key")
    _check_length(signature, SIGNATURE_BYTES, "bad_signature", "BLS signature")
    if not backend.is_signed(publics, message, signature, suite):
        raise SignatureError("bad_signature", f"no BLS signature of {len(publics)} keys over this message")


def _check_count(parts: Sequence[bytes], what: str) -> None:
    if not parts:
        raise SignatureError("empty", f"an aggregate of no {what}")
    if len(parts) > MAX_AGGREGATE:
        raise SignatureError("too_many", f"{len(parts)} {what}, at most {MAX_AGGREGATE}")
    if len(set(parts)) != len(parts):
        raise SignatureError("duplicate", f"the same one twice among {len(parts)} {what}")


def _check_length(value: bytes, length: int, code: str, what: str) -> None:
    if len(value) != length:
        raise SignatureError(code, f"a {what} has {length} bytes, not {len(value)}")


def _scalar(secret: bytes) -> int:
    if len(secret) != SECRET_KEY_BYTES:
        raise SignatureError("bad_secret", f"a BLS secret key has 32 bytes, not {len(secret)}")
    value = int.from_bytes(secret, "big")
    if not 0 < value < CURVE_ORDER:
        raise SignatureError("bad_secret", "a BLS secret key lies between 1 and the group order")
    return value


def _expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand (RFC 5869 section 2.3) to the 48 bytes that KeyGen reduces."""
    first = hmac.digest(key, info + b"\x01", "sha256")
    return (first + hmac.digest(key, first + info + b"\x02", "sha256"))[:48]
