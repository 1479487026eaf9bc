"""Salted commitments: the only form in which anything predictable about a person reaches the ledger.

`commit(kind, opening)` hashes a canonical object that holds its own random `salt` (32 bytes, hex). A document
is committed field by field, so that its holder can later disclose single fields: each top-level field has a
salt derived from the document's secret, its leaf hides the value, and the commitment is the RFC 6962 root over
the leaves in the order of field names.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from contracts.errors import InputError
from ledger.crypto.hashing import tagged_hash, tagged_hex
from ledger.encoding import encode
from ledger.merkle import leaf_hash, root_of

OpeningKind: TypeAlias = Literal[
    "terms",
    "account-version",
    "pool-version",
    "result",
    "payee",
    "event-date",
    "order",
    "settlement",
    "bank",
    "complaint",
    "ward",
    "hold",
    "recovery",
    "draw",
    "batch-line",
    "batch-totals",
    "batch-reason",
    "batch-settlement",
]
SALT_HEX = 64
MAX_FIELDS = 256
"""Top-level fields of one document."""


def commit(kind: OpeningKind, opening: Mapping[str, Any]) -> str:
    """Commitment to `opening`, which must hold a `salt` of 64 hexadecimal digits. Raises InputError `salt`."""
    salt = opening.get("salt")
    if not isinstance(salt, str) or len(salt) != SALT_HEX:
        raise InputError("salt", "/salt", f"an opening of kind {kind} needs a salt of 32 bytes in hex")
    return tagged_hex("commit-" + kind, encode(dict(opening)))


def field_salt(secret: str, name: str) -> str:
    """Salt of one field of a document, derived from the document's secret (64 hexadecimal digits)."""
    return tagged_hex("field-salt", bytes.fromhex(secret) + name.encode())


def field_leaf(name: str, salt: str, value: Any) -> bytes:
    """Leaf hash of one field: discloses nothing without salt and value."""
    return leaf_hash(tagged_hash("field", encode({"name": name, "salt": salt, "value": value})))


def document_leaves(document: Mapping[str, Any], secret: str) -> list[tuple[str, bytes]]:
    """(field name, leaf hash) ascending by name. Raises InputError `too_large` beyond MAX_FIELDS."""
    if len(document) > MAX_FIELDS:
        raise InputError("too_large", "", f"{len(document)} fields, at most {MAX_FIELDS}")
    return [(name, field_leaf(name, field_salt(secret, name), document[name])) for name in sorted(document)]


def commit_document(document: Mapping[str, Any], secret: str) -> str:
    """The record commitment of a document (a flat or nested JSON object; fields are its top level)."""
    return commit_leaves([leaf for _, leaf in document_leaves(document, secret)])


def commit_leaves(leaves: list[bytes]) -> str:
    """The record commitment from its leaves, for a verifier to whom only some fields were disclosed."""
    return tagged_hex("record-commitment", root_of(leaves))
