"""The dossier: one canonical-JSON file with the life of one claim, self-contained but for the trust in its genesis.

Every byte is bound to something: hashes lead to the anchor header, whose finality certificate leads, over the ends of
the epochs before it, to the validator set of the genesis; openings and documents lead to commitments inside proved
transactions. Nothing here may be left unchecked by the verifier, and nothing that cannot be checked has a field.
"""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from contracts.bodies import MAX_RELEASE_BYTES
from contracts.commitments import MAX_FIELDS
from contracts.holds import MAX_HOLDS
from ledger.blocks import Header
from ledger.certificates import MAX_VALIDATORS, Certificate, Validator
from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError
from ledger.mapproofs import MapProof
from ledger.notes import MAX_NOTE_BYTES
from ledger.state import Entry, StateKey
from ledger.types import Count, Hex16, Hex32, OrgId

MAX_DOSSIER_BYTES = 64 * 2**20
"""One claim with its documents; the founding case is about 100 kB."""
MAX_ITEMS = 10_000
"""Entries, headers or transactions in one dossier."""
MAX_EPOCHS = 10_000
"""Changes of the set before the anchor: one a day for 27 years."""
MAX_PATH = 64
"""Hashes of one log proof: enough for 2^64 leaves."""

MAX_PROGRAMS = 16
"""Programs of one verdict: no more than policies of one claim."""
ProgramText: TypeAlias = Annotated[str, Meta(max_length=MAX_RELEASE_BYTES)]
Path: TypeAlias = Annotated[tuple[Hex32, ...], Meta(max_length=MAX_PATH)]


class _Part(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Anchor(_Part, frozen=True, forbid_unknown_fields=True):
    """The header everything is proved under, and its finality."""

    header: Header
    certificate: Certificate


class EpochEnd(_Part, frozen=True, forbid_unknown_fields=True):
    """The last header of an epoch, its finality by that epoch's set, and the set that it hands over to."""

    header: Header
    certificate: Certificate
    validators: Annotated[tuple[Validator, ...], Meta(min_length=1, max_length=MAX_VALIDATORS)]


class ProvedHeader(_Part, frozen=True, forbid_unknown_fields=True):
    """An earlier header; its hash is the first log leaf of the next block."""

    header: Header
    leaf_index: Count
    path: Path


class ProvedEntry(_Part, frozen=True, forbid_unknown_fields=True):
    """A log entry under the anchor's `log_root`. Entries ascend by leaf index."""

    entry: Entry
    leaf_index: Count
    path: Path


class CarriedValue(_Part, frozen=True, forbid_unknown_fields=True):
    """A state value written by a proved entry whose transaction is no part of this claim's life."""

    key: StateKey
    version: Count
    value: dict[str, Any]


class Head(_Part, frozen=True, forbid_unknown_fields=True):
    """Proof under the anchor's `state_root` that the last entry listed for `key` is the latest there is."""

    key: StateKey
    path: MapProof


class DisclosedRecord(_Part, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A document with the secret from which the salts of its fields are derived, or some of its fields.

    Of a part: no secret, the shown fields with a salt each, and the commitment's leaves in the order of field names,
    null where the next shown field belongs. Of a whole document `salts` and `leaves` are not written.
    """

    record_id: Hex32
    secret: Hex32 | None
    document: dict[str, Any]
    salts: dict[str, Hex32] | None = None
    leaves: Annotated[tuple[Hex32 | None, ...], Meta(min_length=1, max_length=MAX_FIELDS)] | None = None


class PolicyOpening(_Part, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that was committed to for one policy's outcome. `tables` is the product, `holds` what was advanced and
    guaranteed before, `earlier` what the attempt before gave."""

    policy_id: Hex16
    terms: dict[str, Any]
    tables: dict[str, Any]
    account_in: dict[str, Any]
    account_out: dict[str, Any]
    pool_in: dict[str, Any]
    pool_out: dict[str, Any]
    event_date: dict[str, Any]
    result: dict[str, Any]
    holds: Annotated[tuple[dict[str, Any], ...], Meta(max_length=MAX_HOLDS)] = ()
    earlier: dict[str, Any] | None = None


class PaymentOpening(_Part, frozen=True, forbid_unknown_fields=True):
    """What was ordered and booked for one payout; null where it never came to that or is not disclosed."""

    payout_id: Hex32
    order: dict[str, Any] | None
    settlement: dict[str, Any] | None


class WitnessedCheckpoint(_Part, frozen=True, forbid_unknown_fields=True):
    """A checkpoint with cosignatures (C2SP signed note): `path` leads from the header that ends the last epoch before
    the anchor's to its root, `consistency` from the smaller of checkpoint and anchor to the larger."""

    checkpoint: Annotated[str, Meta(max_length=MAX_NOTE_BYTES)]
    path: Path
    consistency: Path


class Dossier(_Part, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole file. `insurer` is whose claim it is; the embedded genesis is no reason to trust."""

    v: Literal[1]
    kind: Literal["claim-dossier"]
    genesis: dict[str, Any]
    claim_id: Hex32
    insurer: OrgId
    epochs: Annotated[tuple[EpochEnd, ...], Meta(max_length=MAX_EPOCHS)]
    anchor: Anchor
    headers: Annotated[tuple[ProvedHeader, ...], Meta(max_length=MAX_ITEMS)]
    entries: Annotated[tuple[ProvedEntry, ...], Meta(max_length=MAX_ITEMS)]
    transactions: Annotated[tuple[dict[str, Any], ...], Meta(max_length=MAX_ITEMS)]
    carried: Annotated[tuple[CarriedValue, ...], Meta(max_length=MAX_ITEMS)]
    heads: Annotated[tuple[Head, ...], Meta(max_length=MAX_ITEMS)]
    records: Annotated[tuple[DisclosedRecord, ...], Meta(max_length=MAX_ITEMS)]
    payee: dict[str, Any] | None
    policies: Annotated[tuple[PolicyOpening, ...], Meta(max_length=64)]
    payments: Annotated[tuple[PaymentOpening, ...], Meta(max_length=64)]
    witness: WitnessedCheckpoint | None = None
    """Not written where the file crosses no change of validators, or no checkpoint covers it."""
    programs: Annotated[tuple[ProgramText, ...], Meta(min_length=1, max_length=MAX_PROGRAMS)] | None = None
    """Canonical bundles, ascending by hash, of the verdict's programs that the genesis lacks; not written without."""


def embedded_genesis(dossier: Dossier) -> bytes:
    """The canonical bytes of the genesis inside the file."""
    return encode(dossier.genesis)


def decode_dossier(data: bytes) -> Dossier:
    """Canonical bytes as a dossier. Raises DecodeError."""
    dossier = decode_as(data, Dossier, limit=MAX_DOSSIER_BYTES)
    if encode_dossier(dossier) != data:
        raise DecodeError("not_canonical", "what a whole document leaves out is not written as null")
    return dossier


def encode_dossier(dossier: Dossier) -> bytes:
    """The file."""
    return encode(dossier)
