"""The signed transaction: who says what, in which order it is signed, and what its id covers.

Endorsers sign first, over the core. The author signs last, over the core's hash and the endorsements, so
that nobody can strip, add, swap or reorder one without breaking the author's signature; the id covers the
same bytes. What a body means is the contracts' business; here it is any canonical object.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from ledger.crypto import ed25519
from ledger.crypto.hashing import tagged_hash
from ledger.encoding import convert, decode, encode, encode_trusted
from ledger.errors import DecodeError, InvalidTransaction, SignatureError
from ledger.types import Hex16, Hex64, Millis, NetworkId, OrgId

MAX_TRANSACTION_BYTES = 640 * 1024
"""One transaction: a proposal of a claim contract, whose 256 kB of text double where every letter needs an escape. A
network's own limit for everything else is lower; a batch of 200 record commitments is about 100 kB."""
MAX_ENDORSEMENTS = 16
"""Signatures beside the author's; no policy asks for more than a handful."""
MAX_LIFETIME_MS = 48 * 3600 * 1000
"""A transaction expires at most this long after the block that carries it: the width of the replay window."""

Kind: TypeAlias = Annotated[str, Meta(pattern=r"\A[a-z]+\.[a-z_]+\Z", max_length=40)]
KeyResolver: TypeAlias = Callable[[str, str], bytes | None]
"""(participant, key id) -> Ed25519 public key, also of a retired key; None if that pair was never registered."""


class Endorsement(Struct, frozen=True, forbid_unknown_fields=True):
    """A participant's signature over the core, naming itself and its key."""

    participant: OrgId
    key_id: Hex16
    signature: Hex64


class Transaction(Struct, frozen=True, forbid_unknown_fields=True):
    """A transaction as it travels. `v` selects the crypto suite (1 = Ed25519, BLS12-381, SHA-256, X25519)."""

    v: Literal[1]
    network: NetworkId
    kind: Kind
    body: dict[str, Any]
    author: OrgId
    key_id: Hex16
    nonce: Hex16
    expires_time: Millis
    endorsements: Annotated[tuple[Endorsement, ...], Meta(max_length=MAX_ENDORSEMENTS)]
    signature: Hex64


class SignedTransaction(Struct, frozen=True):
    """A decoded transaction with its exact bytes and the two hashes that are made of it."""

    content: Transaction
    encoded: bytes
    core_hash: bytes
    tx_id: str


def compute_core_hash(
    *, network: str, kind: str, body: dict[str, Any], author: str, nonce: str, expires_time: int
) -> bytes:
    """What endorsers sign (through `endorsement_message`) and the author includes."""
    core = {
        "v": 1,
        "network": network,
        "kind": kind,
        "body": body,
        "author": author,
        "nonce": nonce,
        "expires_time": expires_time,
    }
    return tagged_hash("tx-core", encode(core))


def endorsement_message(core_hash: bytes, participant: str, key_id: str) -> bytes:
    """The 32 bytes an endorser signs."""
    content = {"core_hash": core_hash.hex(), "participant": participant, "key_id": key_id}
    return tagged_hash("tx-endorsement", encode(content))


def author_part(core_hash: bytes, key_id: str, endorsements: Iterable[Endorsement]) -> bytes:
    """The bytes behind the author's signature and the transaction id."""
    listed = [msgspec.to_builtins(item) for item in endorsements]
    return encode_trusted({"core_hash": core_hash.hex(), "key_id": key_id, "endorsements": listed})


def build_transaction(
    *,
    network: str,
    kind: str,
    body: Any,
    author: str,
    key_id: str,
    seed: bytes,
    nonce: str,
    expires_time: int,
    endorsements: Iterable[Endorsement] = (),
) -> SignedTransaction:
    """Sign as author. `endorsements` were made over the same core (`compute_core_hash`)."""
    plain = msgspec.to_builtins(body) if isinstance(body, Struct) else body
    core_hash = compute_core_hash(
        network=network, kind=kind, body=plain, author=author, nonce=nonce, expires_time=expires_time
    )
    ordered = tuple(sorted(endorsements, key=lambda item: (item.participant, item.key_id)))
    message = tagged_hash("tx-author", author_part(core_hash, key_id, ordered))
    content = Transaction(
        v=1,
        network=network,
        kind=kind,
        body=plain,
        author=author,
        key_id=key_id,
        nonce=nonce,
        expires_time=expires_time,
        endorsements=ordered,
        signature=ed25519.sign(seed, message).hex(),
    )
    return decode_transaction(encode(content))


def decode_transaction(data: bytes) -> SignedTransaction:
    """Received bytes as a transaction; no signature is checked yet.

    Raises DecodeError (`too_large`, `json`, `not_canonical`, `schema`, ...) or InvalidTransaction
    `endorsement_order` (endorsements out of order, or twice by one key).
    """
    value = decode(data, limit=MAX_TRANSACTION_BYTES)
    content = convert(value, Transaction)
    names = [(item.participant, item.key_id) for item in content.endorsements]
    if any(first >= second for first, second in itertools.pairwise(names)):
        raise InvalidTransaction("endorsement_order", "endorsements ascend by participant and key, without repeats")
    core = {key: value[key] for key in ("v", "network", "kind", "body", "author", "nonce", "expires_time")}
    core_hash = tagged_hash("tx-core", encode_trusted(core))
    signed = author_part(core_hash, content.key_id, content.endorsements)
    return SignedTransaction(
        content=content, encoded=data, core_hash=core_hash, tx_id=tagged_hash("tx-id", signed).hex()
    )


class _Pieces(Struct, frozen=True):
    """The fields of a transaction as the bytes that stand for them."""

    author: msgspec.Raw
    body: msgspec.Raw
    endorsements: msgspec.Raw
    expires_time: msgspec.Raw
    key_id: msgspec.Raw
    kind: msgspec.Raw
    network: msgspec.Raw
    nonce: msgspec.Raw
    v: msgspec.Raw


_pieces_decoder = msgspec.json.Decoder(_Pieces)


def certified_transaction_id(data: bytes) -> bytes:
    """The id of a transaction that stands in a final block, a tenth of the cost of `decode_transaction`.

    Its canonical form was checked by the quorum, so the bytes of its fields are those that were hashed. Raises
    DecodeError `json`.
    """
    try:
        part = _pieces_decoder.decode(data)
    except msgspec.MsgspecError:
        raise DecodeError("json", "no transaction of a final block") from None
    core = b'{"author":%b,"body":%b,"expires_time":%b,"kind":%b,"network":%b,"nonce":%b,"v":%b}' % (
        bytes(part.author),
        bytes(part.body),
        bytes(part.expires_time),
        bytes(part.kind),
        bytes(part.network),
        bytes(part.nonce),
        bytes(part.v),
    )
    named = b'{"core_hash":"%b","endorsements":%b,"key_id":%b}' % (
        tagged_hash("tx-core", core).hex().encode(),
        bytes(part.endorsements),
        bytes(part.key_id),
    )
    return tagged_hash("tx-id", named)


def verify_transaction(transaction: SignedTransaction, resolve: KeyResolver) -> None:
    """Check every signature. Whether a key was active is judged where the transaction executes.

    Raises InvalidTransaction `unknown_signer` or `bad_signature`, naming the participant.
    """
    content = transaction.content
    for item in content.endorsements:
        message = endorsement_message(transaction.core_hash, item.participant, item.key_id)
        _verify_one(resolve, item.participant, item.key_id, message, item.signature)
    signed = author_part(transaction.core_hash, content.key_id, content.endorsements)
    message = tagged_hash("tx-author", signed)
    _verify_one(resolve, content.author, content.key_id, message, content.signature)


def _verify_one(resolve: KeyResolver, participant: str, key_id: str, message: bytes, signature: str) -> None:
    public_key = resolve(participant, key_id)
    if public_key is None:
        raise InvalidTransaction("unknown_signer", f"{participant} never registered key {key_id}")
    try:
        ed25519.verify(public_key, message, bytes.fromhex(signature))
    except SignatureError as error:
        raise InvalidTransaction("bad_signature", f"signature of {participant}: {error.code}") from None


__all__ = [
    "MAX_ENDORSEMENTS",
    "MAX_LIFETIME_MS",
    "MAX_TRANSACTION_BYTES",
    "DecodeError",
    "Endorsement",
    "KeyResolver",
    "SignedTransaction",
    "Transaction",
    "author_part",
    "build_transaction",
    "compute_core_hash",
    "decode_transaction",
    "endorsement_message",
    "verify_transaction",
]
