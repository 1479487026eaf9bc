"""Tokens about a consent that is on the ledger: ratification, another key, the old key's veto. And attestations.

A participant attests a token by signing its id: "this person, or who speaks for them, signed the form named here before
us". Knows payloads, types and that message; how a token is read is in tokens. No field has room for a name.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from contracts.errors import TokenError
from ledger.crypto.hashing import tagged_hash, tagged_hex
from ledger.encoding import encode_trusted
from ledger.types import Hex16, Hex32, Hex64, Millis, NetworkId, OrgId

RATIFICATION_TYPE = "consent-ratification+jwt"
REKEYING_TYPE = "consent-rekey+jwt"
VETO_TYPE = "consent-rekey-veto+jwt"
MAX_ATTESTATIONS = 8
"""Signatures under one token; two are needed."""


class Ratification(Struct, frozen=True, forbid_unknown_fields=True):
    """The customer, or who speaks for them now, takes an emergency consent over as it stands, with a key of their own.

    Signed with `key`. `basis` is how it was given; `form_hash` and `ward_commit` as in a consent.
    """

    v: Literal[1]
    network: NetworkId
    consent_id: Hex32
    basis: Literal["self", "paper", "guardian"]
    key: Hex32
    payee_commit: Hex32
    mailbox_key: Hex32
    revoke_hash: Hex32
    notify: Literal["mailbox", "none"]
    exp_ms: Millis
    nonce: Hex16
    form_hash: Hex32 | UnsetType = UNSET
    ward_commit: Hex32 | UnsetType = UNSET


class Rekeying(Struct, frozen=True, forbid_unknown_fields=True):
    """The customer lost their key: `key` and `mailbox_key` take the place of the old. Signed with the new `key`."""

    v: Literal[1]
    network: NetworkId
    consent_id: Hex32
    key: Hex32
    mailbox_key: Hex32
    nonce: Hex16


class RekeyVeto(Struct, frozen=True, forbid_unknown_fields=True):
    """The holder of the present key says no: `key` was asked for by somebody else."""

    v: Literal[1]
    network: NetworkId
    consent_id: Hex32
    key: Hex32
    nonce: Hex16


class Attestation(Struct, frozen=True, forbid_unknown_fields=True):
    """One participant's Ed25519 signature over `attestation_message` of the token with the id `token_id`."""

    token_id: Hex32
    participant: OrgId
    key_id: Hex16
    signature: Hex64


def derive_token_id(token: str) -> str:
    """What an attestation names: a hash of what the token's own signature covers. Raises TokenError `token_form`."""
    signed, point, _ = token.rpartition(".")
    if not point or not token.isascii():
        raise TokenError("token_form", "a compact JWS has three parts: header.payload.signature")
    return tagged_hex("attested-token", signed.encode("ascii"))


def attestation_message(token_id: str, participant: str, key_id: str) -> bytes:
    """The 32 bytes that a participant signs."""
    named = {"token_id": token_id, "participant": participant, "key_id": key_id}
    return tagged_hash("consent-attestation", encode_trusted(named))
