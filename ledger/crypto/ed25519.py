"""Ed25519 (RFC 8032) under one strict rule, the same for every signature that the ledger ever judges.

Verifiers of different libraries disagree about odd keys and signatures, and validators that disagree split
a network. So there is exactly one rule: the key is 32 bytes, canonical, and a point of the prime-order
subgroup other than the identity; S is below the group order; the equation is checked without a cofactor.
Every key is checked, registered or not: there is no way to verify that skips it. Knows nothing of who
holds a key or whether it may sign.
"""

from functools import lru_cache

from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError

from ledger.crypto.hashing import tagged_hash
from ledger.errors import SignatureError

PUBLIC_KEY_BYTES = 32
SECRET_SEED_BYTES = 32
SIGNATURE_BYTES = 64
KEY_ID_BYTES = 16

CHECKED_KEYS = 65_536
"""Keys remembered as good: all participants and the customers of a busy day, about 10 MB at most."""
EXPANDED_SEEDS = 64
"""Secret seeds kept expanded: the keys of one node; a load generator holds a few dozen."""


def check_public_key(public: bytes) -> None:
    """Raise SignatureError `bad_key` unless `public` is a canonical point of prime order.

    Refused: a wrong length, y >= p, points off the curve, the identity, small and mixed orders. Those would
    make one signature valid for several messages, or valid in one library and not in another.
    """
    if len(public) != PUBLIC_KEY_BYTES:
        raise SignatureError("bad_key", f"an Ed25519 public key has 32 bytes, not {len(public)}")
    if not _is_prime_order_point(public):
        raise SignatureError("bad_key", "the Ed25519 public key is no canonical point of prime order")


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Raise SignatureError (`bad_key`, `bad_signature`) unless `signature` over `message` is by `public`."""
    check_public_key(public)
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureError("bad_signature", f"an Ed25519 signature has 64 bytes, not {len(signature)}")
    try:
        crypto_sign_open(signature + message, public)
    except BadSignatureError:
        raise SignatureError("bad_signature", f"no signature by key {key_id(public)} over this") from None


def sign(secret_seed: bytes, message: bytes) -> bytes:
    """The 64-byte signature of `message`; the same inputs give the same bytes (RFC 8032 section 5.1.6)."""
    signed: bytes = crypto_sign(message, _expand(secret_seed)[1])
    return signed[:SIGNATURE_BYTES]


def public_key(secret_seed: bytes) -> bytes:
    """The 32-byte public key of a 32-byte secret seed. Raises SignatureError `bad_secret`."""
    return _expand(secret_seed)[0]


def key_id(public: bytes) -> str:
    """Short name of a key, 32 hexadecimal digits: where a signature says by which key it was made."""
    return tagged_hash("key-id", public)[:KEY_ID_BYTES].hex()


@lru_cache(maxsize=CHECKED_KEYS)
def _is_prime_order_point(public: bytes) -> bool:
    return bool(crypto_core_ed25519_is_valid_point(public))


def _expand(secret_seed: bytes) -> tuple[bytes, bytes]:
    if len(secret_seed) != SECRET_SEED_BYTES:
        raise SignatureError("bad_secret", f"an Ed25519 secret seed has 32 bytes, not {len(secret_seed)}")
    return _expand_seed(secret_seed)


@lru_cache(maxsize=EXPANDED_SEEDS)
def _expand_seed(secret_seed: bytes) -> tuple[bytes, bytes]:
    public, secret = crypto_sign_seed_keypair(secret_seed)
    return public, secret
