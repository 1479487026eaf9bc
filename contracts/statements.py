"""The verdict: what adjudicators sign, and what each field binds (protocol rule 5).

Signing as co-adjudicator attests: every commitment was opened, terms and account were checked, the program was
re-run, and the customer's ciphertext opens to this result.
"""

from functools import lru_cache
from typing import Annotated, Literal

from msgspec import Meta, Struct

from ledger.crypto import ed25519
from ledger.crypto.hashing import tagged_hash
from ledger.encoding import encode_trusted
from ledger.types import Count, Hex16, Hex32, Hex64, Millis, NetworkId, OrgId

MAX_DELIVERIES = 8
MAX_STATEMENT_SIGNATURES = 9
VERIFIED_SIGNATURES = 16_384
"""Good signatures remembered, about 8 MB: a block is executed when it is built or voted for, and again on a fork."""


class Delivery(Struct, frozen=True, forbid_unknown_fields=True):
    """A ciphertext of the result that `to` (an X25519 mailbox key) can open."""

    to: Hex32
    ciphertext_digest: Hex32


class OutcomeStatement(Struct, frozen=True, forbid_unknown_fields=True):
    """The outcome of one policy in one claim. Class, amount and reasons are inside `result_commit`."""

    v: Literal[1]
    network: NetworkId
    claim_id: Hex32
    attempt: Count
    policy_id: Hex16
    account_id: Hex16
    account_version_in: Count
    account_commit_out: Hex32
    pool_id: Hex32
    pool_version_in: Count
    pool_commit_out: Hex32
    evidence_root: Hex32
    consent_id: Hex32
    contract_hash: Hex32
    tables_hash: Hex32
    machine: Literal["starlark-c1"]
    event_date_commit: Hex32
    payee_commit: Hex32
    result_commit: Hex32
    delivered: Annotated[tuple[Delivery, ...], Meta(min_length=1, max_length=MAX_DELIVERIES)]
    valid_until: Millis


class StatementSignature(Struct, frozen=True, forbid_unknown_fields=True):
    """One adjudicator's Ed25519 signature over `statement_message`."""

    participant: OrgId
    key_id: Hex16
    signature: Hex64


class SignedStatement(Struct, frozen=True, forbid_unknown_fields=True):
    """A statement with its signatures, ascending by (participant, key_id)."""

    statement: OutcomeStatement
    signatures: Annotated[tuple[StatementSignature, ...], Meta(min_length=1, max_length=MAX_STATEMENT_SIGNATURES)]


def statement_message(statement: OutcomeStatement) -> bytes:
    """The 32 bytes adjudicators sign; also the statement's digest."""
    return tagged_hash("outcome-statement", encode_trusted(statement))


def verify_statement(statement: OutcomeStatement, signature: str, public_key: str) -> None:
    """Check one adjudicator's signature (hex) by its Ed25519 key (hex). Raises SignatureError."""
    _verify_once(statement_message(statement), signature, public_key)


@lru_cache(maxsize=VERIFIED_SIGNATURES)
def _verify_once(message: bytes, signature: str, public_key: str) -> None:
    ed25519.verify(bytes.fromhex(public_key), message, bytes.fromhex(signature))
