"""Customers' tokens: compact JWS (RFC 7515) signed with Ed25519, read by the ledger's own verifier.

The header is a closed list: `alg` (`EdDSA` of RFC 8037 or `Ed25519` of RFC 9864) and `typ`. Header and payload
are canonical JSON, base64url without padding and without spare bits, so one token has one spelling. The key
that signs a consent stands in the consent and nowhere else: consents of one person cannot be linked. No field
has room for a name.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from contracts.errors import TokenError
from contracts.holdtokens import RECOVERY_TYPE, RecoveryWord
from contracts.identifiers import derive_consent_id
from contracts.risktokens import APPEAL_TYPE, AppealWord
from ledger.crypto import ed25519
from ledger.encoding import convert, decode, encode
from ledger.errors import DecodeError, SignatureError
from ledger.types import Count, Hex16, Hex32, Millis, NetworkId, OrgId

MAX_TOKEN_BYTES = 16_384
VERIFIED_CONSENTS = 4_096
"""Verified tokens remembered, about 16 MB: each is read when it is admitted, when its block is made, and on a fork."""
CONSENT_TYPE = "consent+jwt"
REVOCATION_TYPE = "consent-revocation+jwt"
ACKNOWLEDGEMENT_TYPE = "payout-ack+jwt"
AMENDMENT_TYPE = "account-amend+jwt"
CONTEST_TYPE = "payout-contest+jwt"
PAYEE_TYPE = "payout-payee+jwt"
ALGORITHMS = ("EdDSA", "Ed25519")

Purpose: TypeAlias = Literal["report", "endorse", "adjudicate", "co-adjudicate", "pay", "audit"]
DataClass: TypeAlias = Literal["identity", "clinical", "charges"]
T = TypeVar("T", bound=Struct)


class Grantee(Struct, frozen=True, forbid_unknown_fields=True):
    """What one participant may do with which data. `rank` orders insurers (1 first); null for the others."""

    participant: OrgId
    purposes: Annotated[tuple[Purpose, ...], Meta(min_length=1, max_length=6)]
    data_classes: Annotated[tuple[DataClass, ...], Meta(max_length=3)]
    rank: Annotated[int, Meta(ge=1, le=16)] | None


class Consent(Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of a consent token (protocol rule 7). `key` signs it; `revoke_hash` is SHA-256-tagged of the slip."""

    v: Literal[1]
    network: NetworkId
    basis: Literal["self", "paper", "guardian", "emergency", "court"]
    scope: Literal["case", "standing"]
    key: Hex32
    nonce: Hex16
    hospitals: Annotated[tuple[OrgId, ...], Meta(min_length=1, max_length=32)]
    grantees: Annotated[tuple[Grantee, ...], Meta(min_length=1, max_length=32)]
    policy_ids: Annotated[tuple[Hex16, ...], Meta(max_length=16)]
    payee_commit: Hex32
    mailbox_key: Hex32
    revoke_hash: Hex32
    notify: Literal["mailbox", "none"]
    nbf_ms: Millis
    exp_ms: Millis
    delegable: bool
    form_hash: Hex32 | UnsetType = UNSET
    """Of the signed form or order, for every basis but `self` and `emergency`."""
    ward_commit: Hex32 | UnsetType = UNSET
    """Of the ward's birthday, for the basis `guardian`: contracts.commitments, purpose `ward`."""


class Revocation(Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of a revocation signed with the consent's key."""

    v: Literal[1]
    network: NetworkId
    consent_id: Hex32
    nonce: Hex16


class Acknowledgement(Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of a payee's acknowledgement: the money of this settlement arrived."""

    v: Literal[1]
    network: NetworkId
    consent_id: Hex32
    payout_id: Hex32
    settlement_commit: Hex32
    nonce: Hex16


class Contest(Acknowledgement, frozen=True, forbid_unknown_fields=True):
    """Payload of a payee's contest: the money of this settlement did not arrive as it says."""


class PayeeChange(Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of a payee's word on another account for one attempt of one payout, after the one before it failed."""

    v: Literal[1]
    network: NetworkId
    consent_id: Hex32
    payout_id: Hex32
    attempt: Annotated[int, Meta(ge=2, le=99)]
    payee_commit: Hex32
    nonce: Hex16


class Amendment(Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of an insured's word on a change of their coverage account that no claim causes: `account_version` is the
    one that is amended, `account_commit` the commitment of the next."""

    v: Literal[1]
    network: NetworkId
    consent_id: Hex32
    account_id: Hex16
    account_version: Count
    account_commit: Hex32
    nonce: Hex16


class DecodedConsent(Struct, frozen=True):
    """A verified consent token and its id."""

    consent_id: str
    consent: Consent


def encode_token(payload: Struct, token_type: str, seed: bytes, algorithm: str = "Ed25519") -> str:
    """Sign `payload` with an Ed25519 seed."""
    header = encode({"alg": algorithm, "typ": token_type})
    signing_input = _to_base64(header) + b"." + _to_base64(encode(msgspec.to_builtins(payload)))
    return (signing_input + b"." + _to_base64(ed25519.sign(seed, signing_input))).decode("ascii")


@lru_cache(maxsize=VERIFIED_CONSENTS)
def decode_consent(token: str) -> DecodedConsent:
    """A consent token with its signature verified by the key it names. Raises TokenError."""
    signing_input, consent, signature = _split(token, CONSENT_TYPE, Consent)
    _verify(consent.key, signing_input, signature)
    return DecodedConsent(consent_id=derive_consent_id(signing_input), consent=consent)


def decode_revocation(token: str, key: str) -> Revocation:
    """A revocation signed with the consent's key. Raises TokenError."""
    signing_input, revocation, signature = _split(token, REVOCATION_TYPE, Revocation)
    _verify(key, signing_input, signature)
    return revocation


def peek_token(token: str, token_type: str, kind: type[T]) -> T:
    """The payload of any token before its key is known; nothing is verified yet. Raises TokenError."""
    return _split(token, token_type, kind)[1]


def decode_token(token: str, token_type: str, kind: type[T], key: str) -> T:
    """The payload of any token, verified with the consent's key (hex). Raises TokenError."""
    signing_input, payload, signature = _split(token, token_type, kind)
    _verify(key, signing_input, signature)
    return payload


def peek_acknowledgement(token: str) -> Acknowledgement:
    """The payload of an acknowledgement before its key is known; nothing is verified yet."""
    return _split(token, ACKNOWLEDGEMENT_TYPE, Acknowledgement)[1]


def decode_acknowledgement(token: str, key: str) -> Acknowledgement:
    """A payee's acknowledgement, verified with the consent's key. Raises TokenError."""
    signing_input, payload, signature = _split(token, ACKNOWLEDGEMENT_TYPE, Acknowledgement)
    _verify(key, signing_input, signature)
    return payload


def peek_contest(token: str) -> Contest:
    """The payload of a contest before its key is known; nothing is verified yet."""
    return _split(token, CONTEST_TYPE, Contest)[1]


def decode_contest(token: str, key: str) -> Contest:
    """A payee's contest, verified with the consent's key. Raises TokenError."""
    signing_input, payload, signature = _split(token, CONTEST_TYPE, Contest)
    _verify(key, signing_input, signature)
    return payload


def decode_payee_change(token: str, key: str) -> PayeeChange:
    """A payee's word on another account, verified with the consent's key. Raises TokenError."""
    signing_input, payload, signature = _split(token, PAYEE_TYPE, PayeeChange)
    _verify(key, signing_input, signature)
    return payload


def decode_recovery_word(token: str, key: str) -> RecoveryWord:
    """A customer's word on a recovery, verified with the consent's key. Raises TokenError."""
    signing_input, payload, signature = _split(token, RECOVERY_TYPE, RecoveryWord)
    _verify(key, signing_input, signature)
    return payload


def decode_risk_appeal(token: str, key: str) -> AppealWord:
    """An appeal against a risk signal, verified with the key that the signal names. Raises TokenError."""
    signing_input, payload, signature = _split(token, APPEAL_TYPE, AppealWord)
    _verify(key, signing_input, signature)
    return payload


def peek_amendment(token: str) -> Amendment:
    """The payload of an amendment before its key is known; nothing is verified yet."""
    return _split(token, AMENDMENT_TYPE, Amendment)[1]


def decode_amendment(token: str, key: str) -> Amendment:
    """An insured's amendment, verified with the consent's key. Raises TokenError."""
    signing_input, payload, signature = _split(token, AMENDMENT_TYPE, Amendment)
    _verify(key, signing_input, signature)
    return payload


def _split(token: str, token_type: str, kind: type[T]) -> tuple[bytes, T, bytes]:
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise TokenError("token_size", f"a token is at most {MAX_TOKEN_BYTES} ASCII characters")
    parts = token.encode("ascii").split(b".")
    if len(parts) != 3:
        raise TokenError("token_form", "a compact JWS has three parts: header.payload.signature")
    header = _read_json(parts[0], "header")
    if isinstance(header, dict) and "crit" in header:
        raise TokenError("token_critical", "no extension of the header is understood here (RFC 7515, 4.1.11)")
    if not isinstance(header, dict) or set(header) != {"alg", "typ"}:
        raise TokenError("token_header", "the header holds exactly alg and typ")
    if header["alg"] not in ALGORITHMS:
        raise TokenError("token_algorithm", "alg is Ed25519 (RFC 9864) or EdDSA (RFC 8037)")
    if header["typ"] != token_type:
        raise TokenError("token_type", f"typ must be {token_type}")
    try:
        payload = convert(_read_json(parts[1], "payload"), kind)
    except DecodeError as error:
        raise TokenError("token_schema", error.detail) from None
    return parts[0] + b"." + parts[1], payload, _from_base64(parts[2], "signature")


def _read_json(part: bytes, name: str) -> Any:
    try:
        return decode(_from_base64(part, name), limit=MAX_TOKEN_BYTES)
    except DecodeError as error:
        if error.code == "not_canonical" and _has_duplicates(_from_base64(part, name)):
            raise TokenError("token_duplicate", f"{name}: a name stands twice in one object") from None
        raise TokenError("token_json", f"{name}: {error}") from None


def _has_duplicates(data: bytes) -> bool:
    """Whether an object of this JSON document, which is sound but for its spelling, has a name twice."""
    found: list[bool] = []
    json.loads(data, object_pairs_hook=lambda pairs: found.append(len(dict(pairs)) != len(pairs)))
    return any(found)


def _verify(key: str, signing_input: bytes, signature: bytes) -> None:
    try:
        ed25519.verify(bytes.fromhex(key), signing_input, signature)
    except SignatureError as error:
        if error.code == "bad_key":
            raise TokenError("token_key", "the key is no canonical Ed25519 point of prime order") from None
        raise TokenError("token_signature", f"the signature does not verify: {error.code}") from None


def _to_base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _from_base64(part: bytes, name: str) -> bytes:
    try:
        data = urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except (Base64Error, ValueError):
        raise TokenError("token_base64", f"{name} is not base64url") from None
    if _to_base64(data) != part:
        raise TokenError("token_base64", f"{name} is not in its one spelling (no padding, no spare bits)")
    return data
