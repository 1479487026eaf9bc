"""A parcel: one envelope on its way from one participant to another, with what it is about.

    parcel = u32be header length | {kind, subject, case_id} (canonical JSON) | encoded envelope

Knows the kinds and their form. Who may send which kind is `acceptance`. Must always hold: the envelope inside is
bound to the parcel's kind and subject, so a ciphertext cannot be passed off as something else.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from ledger.crypto.envelopes import MAX_DOCUMENT, Envelope, decode_envelope, encode_envelope
from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError, EnvelopeError
from ledger.types import Hex32
from node.vault.errors import ParcelRefused

MAX_PARCEL_HEADER = 512
MAX_PARCEL = 8 * 2**20
"""Bytes of one parcel on a link: an itemised list of 10,000 lines is about 2 MB."""
assert MAX_PARCEL < MAX_DOCUMENT

Kind: TypeAlias = Literal[
    "record",  # hospital -> grantees: document and secret
    "verdict",  # commission -> hospital: why a record was rejected (V-codes)
    "pool",  # commission or insurer -> next rank, hospital: opening of a loss pool version
    "payee",  # relay node -> insurers: opening of the consent's payee commitment
    "account",  # insurer -> its escalation participant: account openings at accept
    "adjudication",  # insurer -> co-adjudicator: every opening and the proposed statements
    "signatures",  # co-adjudicator -> insurer: signatures, or refusal codes
    "decision",  # insurer -> customer's mailbox, kept for pick-up; also to co-adjudicators
    "notice",  # insurer -> customer's mailbox: the decision in words
    "signal",  # insurer, TPA or commission -> whoever may weigh it: content of a risk signal
    "risk-notice",  # the same -> its subject: how to appeal
    "settlement",  # insurer -> customer's mailbox: opening of a settlement
    "closing",  # insurer -> co-adjudicator: endorse that a payout was never due
    "closure",  # co-adjudicator -> insurer: that endorsement
    "restoring",  # insurer -> co-adjudicator: the account without an outcome that was reversed
    "restored",  # co-adjudicator -> insurer: the endorsement of that amendment
    "holding",  # insurer -> co-adjudicator: an advance, guarantee or recovery to be endorsed
    "held",  # co-adjudicator -> insurer: that endorsement
    "draw",  # insurer -> hospital, co-adjudicators: opening of what was drawn on a guarantee
    "batch",  # hospital -> insurer, reviewer: lines and totals of a batch
    "batch-word",  # reviewer -> hospital, insurer: why lines were returned
    "batch-payment",  # insurer -> hospital: the one payment, line by line
]
KINDS: tuple[str, ...] = get_args(Kind)


class ParcelHeader(Struct, frozen=True, forbid_unknown_fields=True):
    """`subject` is an id of the ledger: record, case, claim, consent, payout, guarantee or batch, by kind."""

    kind: Kind
    subject: Hex32
    case_id: Hex32 | None


@dataclass(frozen=True, slots=True)
class Parcel:
    """What travels."""

    kind: Kind
    subject: str
    case_id: str | None
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class StoredParcel:
    """What a vault knows of a parcel it holds. `state` is `ready`, or `pending` until the ledger confirms it."""

    id: int
    kind: Kind
    subject: str
    case_id: str | None
    sender: str
    digest: str
    state: str


def envelope_subject(kind: str, subject: str) -> str:
    """What the envelope of a parcel is bound to. Records carry their bare id, as the hospital sealed them."""
    return subject if kind == "record" else f"{kind}:{subject}"


def encode_parcel(parcel: Parcel) -> bytes:
    """The bytes of one `parcel.put`."""
    header = encode(ParcelHeader(parcel.kind, parcel.subject, parcel.case_id))
    return len(header).to_bytes(4, "big") + header + encode_envelope(parcel.envelope)


def decode_parcel(data: bytes) -> Parcel:
    """Received bytes as a parcel; form only. Raises ParcelRefused `form`, `subject`."""
    if len(data) > MAX_PARCEL:
        raise ParcelRefused("form", f"{len(data)} bytes, a parcel has at most {MAX_PARCEL}")
    length = int.from_bytes(data[:4], "big")
    if length > MAX_PARCEL_HEADER or len(data) < 4 + length:
        raise ParcelRefused("form", "the parcel's header is cut off or too long")
    try:
        header = decode_as(data[4 : 4 + length], ParcelHeader, limit=MAX_PARCEL_HEADER)
        envelope = decode_envelope(data[4 + length :])
    except (DecodeError, EnvelopeError) as error:
        raise ParcelRefused("form", f"no parcel: {error.code}") from None
    if envelope.header.subject != envelope_subject(header.kind, header.subject):
        raise ParcelRefused("subject", "the envelope is bound to another subject than the parcel names")
    return Parcel(header.kind, header.subject, header.case_id, envelope)
