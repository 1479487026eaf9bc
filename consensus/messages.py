"""What validators say to each other, as bytes: a short canonical JSON document, with block bytes beside it.

Knows the closed list of messages and their sizes; knows nothing of what is true. Whatever is wrong with
foreign bytes, decoding raises DecodeError and nothing else.

    message = length[4, big-endian] JSON[length] payload[rest]     payload only in `proposal` and `payload`
"""

from typing import Annotated, Any, TypeAlias, cast

from msgspec import Meta, Struct

from consensus.types import Config
from ledger.certificates import MAX_CERTIFICATE_BYTES, Certificate, Kind, Vote
from ledger.encoding import decode_as, encode_trusted
from ledger.errors import DecodeError
from ledger.types import Count, Hex32

MAX_CARRIED = 64
"""A12: nullifications beside one proposal. Longer outages are rare; the rest is fetched (R10b)."""
MAX_DOCUMENT_BYTES = (MAX_CARRIED + 2) * MAX_CERTIFICATE_BYTES
"""The largest JSON part: a proposal with its parent certificate and MAX_CARRIED nullifications."""


class Proposal(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="proposal"):
    """A12. The leader's notarize vote is the proposal; it brings the proofs of its ancestry (None at the root)."""

    vote: Vote
    parent: Certificate | None
    nullifications: Annotated[tuple[Certificate, ...], Meta(max_length=MAX_CARRIED)]


class VoteCast(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="vote"):
    """One vote, sent by its signer and by nobody else."""

    vote: Vote


class Certified(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="certificate"):
    """A certificate; anybody may pass it on."""

    certificate: Certificate


class WantCertificate(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="want_certificate"):
    """R10: please send the certificate of this kind for this view, else any other of the view."""

    epoch: Count
    kind: Kind
    view: Count


class WantPayload(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="want_payload"):
    """R10c: please send the block bytes of this digest."""

    digest: Hex32


class Payload(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="payload"):
    """Block bytes travel behind the document."""

    digest: Hex32


class WantProposalVote(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="want_proposal_vote"):
    """R11: you voted for another block than the one proposed to me: show me the leader's signature on it."""

    epoch: Count
    view: Count


class ProposalVote(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="proposal_vote"):
    """R11: the leader's vote as I hold it. Evidence only; it is never counted."""

    vote: Vote


class AskPosition(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="ask_position"):
    """A9: before my first vote since I started: what is the last of mine that you hold?"""

    epoch: Count
    incarnation: Count


class TellPosition(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="tell_position"):
    """A9: the answer, with proof: the asker's highest vote and the highest certificate with its bit."""

    epoch: Count
    incarnation: Count
    vote: Vote | None
    certificate: Certificate | None


Wire: TypeAlias = (
    Proposal
    | VoteCast
    | Certified
    | WantCertificate
    | WantPayload
    | Payload
    | WantProposalVote
    | ProposalVote
    | AskPosition
    | TellPosition
)


def epoch_of(message: Wire) -> int | None:
    """The epoch a message speaks about; None for block bytes, which belong to none."""
    match message:
        case Proposal(vote=vote) | VoteCast(vote=vote) | ProposalVote(vote=vote):
            return vote.epoch
        case Certified(certificate=certificate):
            return certificate.epoch
        case WantPayload() | Payload():
            return None
        case _:
            return message.epoch


def max_message_bytes(config: Config) -> int:
    """Longer messages are never needed; a transport may drop them unread."""
    return 4 + MAX_DOCUMENT_BYTES + config.max_payload


def encode_message(message: Wire, payload: bytes = b"") -> bytes:
    """The bytes of a message; `payload` goes with Proposal and Payload."""
    document = encode_trusted(message)
    return len(document).to_bytes(4, "big") + document + payload


def encode_payload(digest: bytes, payload: bytes) -> bytes:
    """The answer to `Serve`: block bytes by digest."""
    return encode_message(Payload(digest.hex()), payload)


def decode_message(data: bytes, max_payload: int) -> tuple[Wire, bytes]:
    """The message and its payload (empty when it has none).

    Raises DecodeError: `truncated`, `too_large`, `payload` (bytes behind a message without any, or none where
    some belong), and the codes of canonical decoding.
    """
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 or length > len(data) - 4:
        raise DecodeError("truncated", f"{len(data)} bytes are shorter than the document they announce")
    payload = data[4 + length :]
    if len(payload) > max_payload:
        raise DecodeError("too_large", f"a payload of {len(payload)} bytes, at most {max_payload}")
    message = decode_as(data[4 : 4 + length], cast("type[Any]", Wire), limit=MAX_DOCUMENT_BYTES)
    if isinstance(message, (Proposal, Payload)) != bool(payload):
        raise DecodeError("payload", "block bytes travel with proposals and payload answers, and only there")
    return message, payload
