"""Validator sets, the statements that validators sign, and the certificates that a quorum of them makes.

Knows the three statements of ordering (notarize, nullify, finalize), their signed bytes and the bitmap
form of a certificate. Knows nothing of views being entered, timers or peers (consensus), nor of headers
and blocks: `digest` is an opaque 32-byte name. Must always hold: everything that can be refused by
counting is refused before the first signature is looked at, and a certificate that verifies carries at
least quorum(n) valid statements of distinct members of exactly that set, epoch, chain and kind.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol, TypeAlias

from msgspec import Meta, Struct

from ledger.crypto import bls, ed25519
from ledger.crypto.hashing import tagged_hash
from ledger.encoding import MAX_INT, decode_as, encode_trusted
from ledger.errors import InvalidCertificate, SignatureError
from ledger.types import Count, Hex32, Hex48, OrgId

Kind: TypeAlias = Literal["notarize", "nullify", "finalize"]
MAX_VALIDATORS = 128
"""Members of one set. Every vote goes to every member, so a larger set would be slow, and bitmaps stay 16 bytes."""
MAX_CERTIFICATE_BYTES = 512 + MAX_VALIDATORS * 132
"""Canonical JSON of the largest certificate: one quoted Ed25519 signature a member, and the fixed fields."""

_ED25519_HEX = 128
_BLS_HEX = 192


class Validator(Struct, frozen=True, forbid_unknown_fields=True):
    """A member that votes: its participant id and its two public keys."""

    id: OrgId
    signing_key: Hex32
    finality_key: Hex48


class Subject(Struct, frozen=True, forbid_unknown_fields=True):
    """What a vote or certificate speaks about. A nullify statement has parent_view 0 and no digest."""

    kind: Kind
    epoch: Count
    view: Count
    parent_view: Count
    digest: Hex32 | None


class Vote(Struct, frozen=True, forbid_unknown_fields=True):
    """One statement of one validator. `signer` is its index in the set; the signature is 64 or 96 bytes."""

    kind: Kind
    epoch: Count
    view: Count
    parent_view: Count
    digest: Hex32 | None
    signer: Annotated[int, Meta(ge=0, lt=MAX_VALIDATORS)]
    signature: Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{128}|[0-9a-f]{192})\Z")]

    @property
    def subject(self) -> Subject:
        return Subject(self.kind, self.epoch, self.view, self.parent_view, self.digest)


class Certificate(Struct, frozen=True, forbid_unknown_fields=True):
    """A quorum's statement. `signers` is a bitmap (hex, ceil(n/8) bytes, least significant bit first);
    `signatures` has one Ed25519 signature a signer in index order, or one BLS aggregate for finalize."""

    kind: Kind
    epoch: Count
    view: Count
    parent_view: Count
    digest: Hex32 | None
    signers: Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{2}){1,16}\Z")]
    signatures: Annotated[
        tuple[Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{128}|[0-9a-f]{192})\Z")], ...],
        Meta(min_length=1, max_length=MAX_VALIDATORS),
    ]

    @property
    def subject(self) -> Subject:
        return Subject(self.kind, self.epoch, self.view, self.parent_view, self.digest)


class Scheme(Protocol):
    """The signature operations of votes. Production uses `SIGNATURES`; simulations may use a cheap stand-in."""

    def verify_signature(self, key: bytes, message: bytes, signature: bytes) -> None: ...

    def verify_aggregate(self, keys: Sequence[bytes], message: bytes, signature: bytes) -> None: ...

    def aggregate(self, shares: Sequence[bytes]) -> bytes: ...


class _Signatures:
    """Ed25519 for notarize and nullify, BLS12-381 (min-pk, proof of possession) for finalize."""

    def verify_signature(self, key: bytes, message: bytes, signature: bytes) -> None:
        ed25519.verify(key, message, signature)

    def verify_aggregate(self, keys: Sequence[bytes], message: bytes, signature: bytes) -> None:
        bls.fast_aggregate_verify(list(keys), message, signature)

    def aggregate(self, shares: Sequence[bytes]) -> bytes:
        return bls.aggregate(list(shares))


SIGNATURES: Scheme = _Signatures()


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """The voters of one epoch in their fixed order (sorted by id); the index is the bit in every bitmap.

    Raises InvalidCertificate `validator_set` for an empty, oversized, unsorted or repeating set. That keys are
    sound (on the curve, with proof of possession) is checked when a participant is registered, not here.
    """

    epoch: int
    validators: tuple[Validator, ...]
    signing_keys: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    finality_keys: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    quorum: int = field(init=False, repr=False, compare=False)
    hash: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        members = self.validators
        if not 0 <= self.epoch <= MAX_INT:
            raise InvalidCertificate("validator_set", f"epoch {self.epoch} is out of range")
        if not 1 <= len(members) <= MAX_VALIDATORS:
            raise InvalidCertificate("validator_set", f"{len(members)} validators; 1 to {MAX_VALIDATORS} are possible")
        if [m.id for m in members] != sorted({m.id for m in members}):
            raise InvalidCertificate("validator_set", "validators are listed once each, sorted by id")
        for keys in ({m.signing_key for m in members}, {m.finality_key for m in members}):
            if len(keys) != len(members):
                raise InvalidCertificate("validator_set", "two validators share a key")
        put = object.__setattr__
        put(self, "signing_keys", tuple(bytes.fromhex(m.signing_key) for m in members))
        put(self, "finality_keys", tuple(bytes.fromhex(m.finality_key) for m in members))
        put(self, "quorum", quorum(len(members)))
        put(self, "hash", tagged_hash("validator-set", encode_trusted({"epoch": self.epoch, "validators": members})))

    def __len__(self) -> int:
        return len(self.validators)

    def index_of(self, participant: str) -> int | None:
        """The bit of a participant, or None when it has no vote in this epoch."""
        return next((i for i, m in enumerate(self.validators) if m.id == participant), None)


def build_validator_set(epoch: int, validators: Iterable[Validator]) -> ValidatorSet:
    """The set in its fixed order, whatever order the members come in."""
    return ValidatorSet(epoch, tuple(sorted(validators, key=lambda member: member.id)))


def quorum(n: int) -> int:
    """Votes that make a certificate: n - floor((n-1)/3). Two quorums always meet in an honest member; 2f+1 would not
    do that when n is not 3f+1."""
    if n < 1:
        raise InvalidCertificate("validator_set", f"{n} validators cannot decide")
    return n - (n - 1) // 3


def vote_message(chain: bytes, subject: Subject) -> bytes:
    """The 32 bytes that a validator signs: identical for all signers of the subject, with no time inside.

    `chain` is the genesis hash (32 bytes). The kind is bound by the hash tag, so no statement can serve as another.
    """
    fields: dict[str, object] = {"chain": chain.hex(), "epoch": subject.epoch, "view": subject.view}
    if subject.kind != "nullify":
        fields |= {"parent_view": subject.parent_view, "digest": subject.digest}
    return tagged_hash(f"vote-{subject.kind}", encode_trusted(fields))


def check_subject(subject: Subject) -> None:
    """Raises InvalidCertificate `view`, `parent_view` or `digest` for a subject that no honest validator signs."""
    if subject.view < 1:
        raise InvalidCertificate("view", "views start at 1; view 0 is the root of the epoch")
    if subject.kind == "nullify":
        if subject.parent_view != 0 or subject.digest is not None:
            raise InvalidCertificate("digest", "a nullify statement names a view and nothing else")
        return
    if subject.parent_view >= subject.view:
        raise InvalidCertificate("parent_view", f"parent view {subject.parent_view} is not below view {subject.view}")
    if subject.digest is None:
        raise InvalidCertificate("digest", f"a {subject.kind} statement names a digest")


def verify_vote(vote: Vote, validators: ValidatorSet, chain: bytes, scheme: Scheme = SIGNATURES) -> None:
    """Raises InvalidCertificate `epoch`, `view`, `parent_view`, `digest`, `signer`, `signature_size` or `signature`."""
    _check_epoch(vote.epoch, validators)
    check_subject(vote.subject)
    if vote.signer >= len(validators):
        raise InvalidCertificate("signer", f"validator {vote.signer} of {len(validators)} does not exist")
    _check_signature_sizes(vote.kind, (vote.signature,))
    _verify_statements(vote.subject, [vote.signer], (vote.signature,), validators, chain, scheme)


def encode_certificate(certificate: Certificate) -> bytes:
    """Canonical JSON of a certificate."""
    return encode_trusted(certificate)


def decode_certificate(data: bytes) -> Certificate:
    """The certificate in canonical JSON. Raises DecodeError; nothing is verified yet."""
    return decode_as(data, Certificate, limit=MAX_CERTIFICATE_BYTES)


def signers_of(certificate: Certificate) -> tuple[int, ...]:
    """Indices of the set bits, ascending."""
    bits = int.from_bytes(bytes.fromhex(certificate.signers), "little")
    return tuple(index for index in range(bits.bit_length()) if bits >> index & 1)


def build_certificate(votes: Iterable[Vote], validators: ValidatorSet, scheme: Scheme = SIGNATURES) -> Certificate:
    """A certificate from verified votes for one subject by distinct signers of the set.

    Raises InvalidCertificate `subject` for mixed subjects, `signer` for a repeated or unknown signer, `quorum`
    for too few; SignatureError when finalize shares cannot be added up. The shares are not verified here.
    """
    ordered = sorted(votes, key=lambda vote: vote.signer)
    if len(ordered) < validators.quorum:
        raise InvalidCertificate("quorum", f"{len(ordered)} votes, {validators.quorum} are needed")
    subject = ordered[0].subject
    if any(vote.subject != subject for vote in ordered):
        raise InvalidCertificate("subject", "the votes speak about different things")
    indices = [vote.signer for vote in ordered]
    if len(set(indices)) != len(indices) or indices[-1] >= len(validators):
        raise InvalidCertificate("signer", "a signer is repeated or not in the set")
    signatures = tuple(vote.signature for vote in ordered)
    if subject.kind == "finalize":
        signatures = (scheme.aggregate([bytes.fromhex(share) for share in signatures]).hex(),)
    bitmap = sum(1 << index for index in indices).to_bytes(bitmap_bytes(len(validators)), "little").hex()
    return Certificate(
        subject.kind, subject.epoch, subject.view, subject.parent_view, subject.digest, bitmap, signatures
    )


def bitmap_bytes(n: int) -> int:
    """Length of the signer bitmap of a set of n."""
    return (n + 7) // 8


def check_certificate(certificate: Certificate, validators: ValidatorSet) -> tuple[int, ...]:
    """Everything that counting can refuse; returns the signers. Costs no signature check.

    Raises InvalidCertificate `epoch`, `view`, `parent_view`, `digest`, `bitmap_size`, `bitmap_range`, `quorum`,
    `signature_count` or `signature_size`.
    """
    _check_epoch(certificate.epoch, validators)
    check_subject(certificate.subject)
    if len(certificate.signers) != 2 * bitmap_bytes(len(validators)):
        raise InvalidCertificate("bitmap_size", f"a bitmap of {len(validators)} validators has another length")
    signers = signers_of(certificate)
    if signers and signers[-1] >= len(validators):
        raise InvalidCertificate("bitmap_range", f"bit {signers[-1]} is set, the set has {len(validators)} validators")
    if len(signers) < validators.quorum:
        raise InvalidCertificate("quorum", f"{len(signers)} signers, {validators.quorum} are needed")
    expected = 1 if certificate.kind == "finalize" else len(signers)
    if len(certificate.signatures) != expected:
        raise InvalidCertificate("signature_count", f"{len(certificate.signatures)} signatures, not {expected}")
    _check_signature_sizes(certificate.kind, certificate.signatures)
    return signers


def verify_certificate(
    certificate: Certificate, validators: ValidatorSet, chain: bytes, scheme: Scheme = SIGNATURES
) -> None:
    """Raises the codes of `check_certificate`, then InvalidCertificate `signature`."""
    signers = check_certificate(certificate, validators)
    _verify_statements(certificate.subject, signers, certificate.signatures, validators, chain, scheme)


def tail_digest(boundary: bytes) -> bytes:
    """The one name of every tail block of an epoch (rule R12): `boundary` is the digest of the block that closes it.

    Honest validators vote for it only above that block, so a finalization of a tail proves the boundary.
    """
    return tagged_hash("epoch-tail", boundary)


def verify_finality(
    certificate: Certificate, digest: bytes, validators: ValidatorSet, chain: bytes, scheme: Scheme = SIGNATURES
) -> None:
    """`verify_certificate` for a reader who wants to know that the block named `digest` is final.

    Only a certificate of kind finalize proves a header: its own, or that of a tail block above it where the block
    closes its epoch. Adds the codes `kind` and `digest`.
    """
    if certificate.kind != "finalize":
        raise InvalidCertificate("kind", f"a {certificate.kind} certificate does not prove that a block is final")
    if certificate.digest not in (digest.hex(), tail_digest(digest).hex()):
        raise InvalidCertificate("digest", f"the certificate speaks about {certificate.digest}, not {digest.hex()}")
    verify_certificate(certificate, validators, chain, scheme)


def _check_epoch(epoch: int, validators: ValidatorSet) -> None:
    if epoch != validators.epoch:
        raise InvalidCertificate("epoch", f"of epoch {epoch}; this set votes in epoch {validators.epoch}")


def _check_signature_sizes(kind: Kind, signatures: Sequence[str]) -> None:
    size = _BLS_HEX if kind == "finalize" else _ED25519_HEX
    if any(len(signature) != size for signature in signatures):
        raise InvalidCertificate("signature_size", f"a {kind} signature has {size // 2} bytes")


def _verify_statements(
    subject: Subject,
    signers: Sequence[int],
    signatures: Sequence[str],
    validators: ValidatorSet,
    chain: bytes,
    scheme: Scheme,
) -> None:
    message = vote_message(chain, subject)
    try:
        if subject.kind == "finalize":
            keys = [validators.finality_keys[index] for index in signers]
            scheme.verify_aggregate(keys, message, bytes.fromhex(signatures[0]))
            return
        for index, signature in zip(signers, signatures, strict=True):
            scheme.verify_signature(validators.signing_keys[index], message, bytes.fromhex(signature))
    except SignatureError as error:
        raise InvalidCertificate("signature", f"{subject.kind} of view {subject.view}: {error.detail}") from None
