"""Encrypted documents: one ciphertext, its key wrapped for each recipient.

    envelope  = u32be header length | header (canonical JSON) | ciphertext
    content   = u64be length | document | zeros, to a power of two from 64 kB
    ciphertext = AES-256-GCM(content key, nonce, content, associated data = {network, subject, v})
    digest    = tagged_hash("ciphertext", nonce | key commitment | ciphertext)

The ledger holds the digest. It leaves the recipients out, so that one can be added later, and takes the
key commitment in, so that all recipients who open the same digest see the same document: AES-GCM alone
lets a sender make one ciphertext that two keys open to two documents. Padding hides the size from whoever
stores or carries it. Each wrap is bound to network, subject, digest and recipient. Not pure: keys and
nonces are drawn here. Adding a recipient cannot be undone: what was read cannot be called back.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Meta

from ledger.crypto.hashing import tagged_hash, tagged_hex
from ledger.crypto.wrapping import (
    AEAD_TAG_BYTES,
    CONTENT_KEY_BYTES,
    X25519,
    unwrap_key,
    wrap_key,
    wrap_public_key,
    wrap_suite,
)
from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError, EnvelopeError
from ledger.types import Hex16, Hex32, NetworkId

VERSION: Final = 1
NONCE_BYTES = 12
LENGTH_BYTES = 8
MIN_PADDED = 64 * 2**10
"""Smallest content: letters, lists and images of a page all look alike."""
MAX_PADDED = 64 * 2**20
"""Largest content held in memory at once; larger documents need chunks, which version 1 does not have."""
MAX_DOCUMENT = MAX_PADDED - LENGTH_BYTES
MAX_RECIPIENTS = 32
"""Hospital, commission, insurers, their administrators and the customer: rarely above ten."""
MAX_HEADER = 96 * 2**10
"""Bytes of a header with 32 wraps of the largest suite (2,336 hexadecimal digits each), and some room."""

Subject: TypeAlias = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")]
"""What the document is, as the ledger names it: a record id, a claim id; never a person."""
Wrapped: TypeAlias = Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{2}){1,4096}\Z")]


class Recipient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content key for one holder of an envelope key."""

    key_id: Hex16
    wrapped: Wrapped


class EnvelopeHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All but the ciphertext. `size` is that of the ciphertext; recipients are in the order of key_id."""

    v: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    suite: Annotated[int, Meta(ge=1, le=255)]
    network: NetworkId
    subject: Subject
    nonce: Annotated[str, Meta(pattern=r"\A[0-9a-f]{24}\Z")]
    key_commitment: Hex32
    recipients: Annotated[tuple[Recipient, ...], Meta(min_length=1, max_length=MAX_RECIPIENTS)]
    size: Annotated[int, Meta(ge=MIN_PADDED + AEAD_TAG_BYTES, le=MAX_PADDED + AEAD_TAG_BYTES)]


@dataclass(frozen=True, slots=True)
class Envelope:
    """An encrypted document as it is stored and delivered."""

    header: EnvelopeHeader
    ciphertext: bytes


def seal(plaintext: bytes, *, network: str, subject: str, recipients: Sequence[bytes], suite: int = X25519) -> Envelope:
    """Encrypt `plaintext` once for all `recipients` (public keys of `suite`).

    Raises EnvelopeError `too_large`, `recipients` (none, too many, one twice), `bad_key`, `suite`,
    `format` (network or subject out of form).
    """
    if len(plaintext) > MAX_DOCUMENT:
        raise EnvelopeError("too_large", f"{len(plaintext)} bytes, an envelope takes {MAX_DOCUMENT}")
    _check_recipients([recipient_key_id(public) for public in recipients])
    content_key, nonce = os.urandom(CONTENT_KEY_BYTES), os.urandom(NONCE_BYTES)
    ciphertext = AESGCM(content_key).encrypt(nonce, _pad(plaintext), _associated(network, subject))
    commitment = _key_commitment(content_key)
    digest = _digest(nonce, commitment, ciphertext)
    wraps = [_wrap(suite, content_key, public, network, subject, digest) for public in recipients]
    header = EnvelopeHeader(
        v=VERSION,
        suite=suite,
        network=network,
        subject=subject,
        nonce=nonce.hex(),
        key_commitment=commitment.hex(),
        recipients=tuple(sorted(wraps, key=lambda wrap: wrap.key_id)),
        size=len(ciphertext),
    )
    _check_header(encode(header))
    return Envelope(header, ciphertext)


def open_envelope(envelope: Envelope, secret: bytes) -> bytes:
    """The document, for a holder of one of the recipients' secret keys.

    Raises EnvelopeError `no_recipient` (not addressed to this key), `not_authentic` (wrap, commitment or
    ciphertext was changed, or belongs to another network or subject), `padding`, `bad_key`, `suite`.
    The caller compares `ciphertext_digest` and the header's subject with the ledger before.
    """
    content_key = _content_key(envelope, secret)
    header = envelope.header
    try:
        content = AESGCM(content_key).decrypt(
            bytes.fromhex(header.nonce), envelope.ciphertext, _associated(header.network, header.subject)
        )
    except InvalidTag:
        raise EnvelopeError("not_authentic", "the ciphertext does not open with the wrapped key") from None
    return _unpad(content)


def add_recipient(envelope: Envelope, secret: bytes, public: bytes) -> Envelope:
    """The same ciphertext and digest, readable by `public` as well; `secret` is a recipient's.

    Raises what `open_envelope` raises, and `recipients` when `public` is one already or there is no room.
    """
    content_key = _content_key(envelope, secret)
    header = envelope.header
    _check_recipients([recipient.key_id for recipient in header.recipients] + [recipient_key_id(public)])
    digest = ciphertext_digest(envelope)
    added = _wrap(header.suite, content_key, public, header.network, header.subject, digest)
    recipients = sorted((*header.recipients, added), key=lambda wrap: wrap.key_id)
    return Envelope(msgspec.structs.replace(header, recipients=tuple(recipients)), envelope.ciphertext)


def ciphertext_digest(envelope: Envelope) -> str:
    """What the ledger holds of a document: 64 hexadecimal digits, the same whoever the recipients are."""
    header = envelope.header
    return _digest(bytes.fromhex(header.nonce), bytes.fromhex(header.key_commitment), envelope.ciphertext)


def recipient_key_id(public: bytes) -> str:
    """Short name of an envelope key, 32 hexadecimal digits."""
    return tagged_hash("envelope-key-id", public)[:16].hex()


def encode_envelope(envelope: Envelope) -> bytes:
    """The bytes that are stored and sent."""
    header = encode(envelope.header)
    return len(header).to_bytes(4, "big") + header + envelope.ciphertext


def decode_envelope(data: bytes) -> Envelope:
    """The envelope in `data`, checked for form only. Raises EnvelopeError `format`, `suite`, `recipients`."""
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 or length > MAX_HEADER or len(data) < 4 + length:
        raise EnvelopeError("format", f"{len(data)} bytes with a header of {length}, at most {MAX_HEADER}")
    header = _check_header(data[4 : 4 + length])
    ciphertext = data[4 + length :]
    if len(ciphertext) != header.size:
        raise EnvelopeError("format", f"the ciphertext has {len(ciphertext)} bytes, not {header.size}")
    return Envelope(header, ciphertext)


def _check_header(data: bytes) -> EnvelopeHeader:
    try:
        header = decode_as(data, EnvelopeHeader, limit=MAX_HEADER)
    except DecodeError as error:
        raise EnvelopeError("format", f"envelope header: {error}") from None
    padded = header.size - AEAD_TAG_BYTES
    if padded & (padded - 1):
        raise EnvelopeError("format", f"a content of {padded} bytes is not padded to a power of two")
    key_ids = [recipient.key_id for recipient in header.recipients]
    _check_recipients(key_ids)
    if key_ids != sorted(key_ids):
        raise EnvelopeError("recipients", "recipients are listed in the order of their key ids")
    digits = 2 * wrap_suite(header.suite).wrapped_bytes
    if any(len(recipient.wrapped) != digits for recipient in header.recipients):
        raise EnvelopeError("format", f"a wrapped key of suite {header.suite} has {digits} digits")
    return header


def _check_recipients(key_ids: list[str]) -> None:
    if not 0 < len(key_ids) <= MAX_RECIPIENTS:
        raise EnvelopeError("recipients", f"{len(key_ids)} recipients; 1 to {MAX_RECIPIENTS} are possible")
    if len(set(key_ids)) != len(key_ids):
        raise EnvelopeError("recipients", "a recipient is named twice")


def _content_key(envelope: Envelope, secret: bytes) -> bytes:
    header = envelope.header
    public = wrap_public_key(header.suite, secret)
    key_id = recipient_key_id(public)
    wrapped = next((found.wrapped for found in header.recipients if found.key_id == key_id), None)
    if wrapped is None:
        raise EnvelopeError("no_recipient", f"the envelope is not addressed to key {key_id}")
    context = _context(header.suite, header.network, header.subject, public, ciphertext_digest(envelope))
    content_key = unwrap_key(header.suite, bytes.fromhex(wrapped), secret, context)
    if _key_commitment(content_key).hex() != header.key_commitment:
        raise EnvelopeError("not_authentic", "the wrapped key is not the one the envelope commits to")
    return content_key


def _wrap(suite: int, key: bytes, public: bytes, network: str, subject: str, digest: str) -> Recipient:
    context = _context(suite, network, subject, public, digest)
    return Recipient(recipient_key_id(public), wrap_key(suite, key, public, context).hex())


def _context(suite: int, network: str, subject: str, public: bytes, digest: str) -> bytes:
    """HPKE `info`: a wrap opens for this network, subject, recipient and ciphertext, and no other."""
    fields = {"digest": digest, "network": network, "recipient": public.hex(), "subject": subject, "suite": suite}
    return tagged_hash("envelope-wrap", encode(fields))


def _associated(network: str, subject: str) -> bytes:
    return encode({"network": network, "subject": subject, "v": VERSION})


def _key_commitment(content_key: bytes) -> bytes:
    return tagged_hash("content-key", content_key)


def _digest(nonce: bytes, commitment: bytes, ciphertext: bytes) -> str:
    return tagged_hex("ciphertext", nonce + commitment + ciphertext)


def _padded_size(length: int) -> int:
    return max(MIN_PADDED, 1 << (LENGTH_BYTES + length - 1).bit_length())


def _pad(plaintext: bytes) -> bytes:
    content = len(plaintext).to_bytes(LENGTH_BYTES, "big") + plaintext
    return content.ljust(_padded_size(len(plaintext)), b"\x00")


def _unpad(content: bytes) -> bytes:
    length = int.from_bytes(content[:LENGTH_BYTES], "big")
    end = LENGTH_BYTES + length
    if end > len(content) or _padded_size(length) != len(content) or content[end:].strip(b"\x00"):
        raise EnvelopeError("padding", "the content is not a document with its zeros")
    return content[LENGTH_BYTES:end]
