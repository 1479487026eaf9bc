"""Cheap stand-in signatures for simulations, and validator sets with either kind of keys.

A fake signature is a hash of key and message: everybody could make it, so it serves only where no forger is
simulated. An aggregate is the XOR of its shares, and one share is its own aggregate, as with BLS.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

from ledger.certificates import Kind, Validator, ValidatorSet, build_validator_set
from ledger.crypto import bls, ed25519
from ledger.errors import SignatureError


@lru_cache(maxsize=50_000)
def _expand(key: bytes, message: bytes, size: int) -> bytes:
    return hashlib.shake_128(key + message).digest(size)


class FakeScheme:
    """Implements ledger.certificates.Scheme."""

    def verify_signature(self, key: bytes, message: bytes, signature: bytes) -> None:
        if signature != _expand(key, message, 64):
            raise SignatureError("bad_signature", "no such fake signature")

    def verify_aggregate(self, keys: Sequence[bytes], message: bytes, signature: bytes) -> None:
        if signature != self.aggregate([_expand(key, message, 96) for key in keys]):
            raise SignatureError("bad_signature", "no such fake aggregate")

    def aggregate(self, shares: Sequence[bytes]) -> bytes:
        total = 0
        for share in shares:
            total ^= int.from_bytes(share, "big")
        return total.to_bytes(96, "big")


class FakeSigner:
    """Signs for one fake validator."""

    def __init__(self, index: int) -> None:
        self.signing_key, self.finality_key = _fake_keys(index)

    @property
    def public_keys(self) -> tuple[bytes, bytes]:
        return self.signing_key, self.finality_key

    def sign_vote(self, kind: Kind, message: bytes) -> bytes:
        if kind == "finalize":
            return _expand(self.finality_key, message, 96)
        return _expand(self.signing_key, message, 64)


class RealSigner:
    """Signs with Ed25519 and BLS keys made from a number."""

    def __init__(self, index: int) -> None:
        self.seed = hashlib.sha256(b"seed%d" % index).digest()
        self.secret = bls.secret_key_from_seed(hashlib.sha256(b"bls%d" % index).digest())

    @property
    def public_keys(self) -> tuple[bytes, bytes]:
        return ed25519.public_key(self.seed), bls.public_key(self.secret)

    def sign_vote(self, kind: Kind, message: bytes) -> bytes:
        return bls.sign(self.secret, message) if kind == "finalize" else ed25519.sign(self.seed, message)


def _fake_keys(index: int) -> tuple[bytes, bytes]:
    return hashlib.sha256(b"ed%d" % index).digest(), hashlib.sha384(b"bls%d" % index).digest()


Seats: TypeAlias = dict[str, int]
"""Who votes: name -> number of its keys."""


@lru_cache(maxsize=1_000)
def signer_of(number: int, real: bool) -> "FakeSigner | RealSigner":
    """The holder of the keys of that number."""
    return RealSigner(number) if real else FakeSigner(number)


def seated_validators(seats: Seats, epoch: int, real: bool = False) -> ValidatorSet:
    """The set of an epoch."""
    return _validators(tuple(sorted(seats.items())), epoch, real)


@lru_cache(maxsize=1_000)
def _validators(seats: tuple[tuple[str, int], ...], epoch: int, real: bool) -> ValidatorSet:
    keys = {name: signer_of(number, real).public_keys for name, number in seats}
    return build_validator_set(epoch, [Validator(name, a.hex(), b.hex()) for name, (a, b) in keys.items()])


def fake_validators(n: int, epoch: int = 1) -> ValidatorSet:
    """Validators v00, v01, ... whose index is their number."""
    return seated_validators({f"v{i:02}": i for i in range(n)}, epoch)


def real_validators(n: int, epoch: int = 1) -> tuple[ValidatorSet, list[RealSigner]]:
    """The same with real keys, and their signers."""
    return seated_validators({f"v{i:02}": i for i in range(n)}, epoch, real=True), [RealSigner(i) for i in range(n)]
