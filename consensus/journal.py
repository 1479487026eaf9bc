"""The journal as bytes: what a validator must remember so that it never signs twice.

Knows records, frames and checksums; the file is the host's. A journal is a header and frames; a frame is the
batch of one `Persist`, so a batch is there as a whole or not at all. Must always hold: a damaged frame is
dropped only when it is the torn end of the file, that is when no good frame follows it; anything else is
damage and the reader refuses. The salt in every checksum keeps block bytes chosen by others from posing
as frames.

    header = "CNJ1" salt[16] check[16]
    frame  = "CNF1" sequence[8] length[4] records[length] check[16]      integers big-endian
    record = type[1] length[4] body[length]
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Struct

from consensus.types import Position
from ledger.certificates import Certificate, Vote
from ledger.crypto.hashing import tagged_hash
from ledger.encoding import decode_as, encode_trusted
from ledger.errors import DecodeError
from ledger.types import Count, Hex32

HEADER_MAGIC = b"CNJ1"
FRAME_MAGIC = b"CNF1"
SALT_BYTES = 16
CHECK_BYTES = 16
HEADER_BYTES = 4 + SALT_BYTES + CHECK_BYTES
FRAME_OVERHEAD = 4 + 8 + 4 + CHECK_BYTES
MAX_FRAME_BYTES = 64 * 2**20
"""One batch: a block or a few, votes and certificates. Keeps a damaged length from asking for the moon."""


class JournalDamaged(Exception):
    """The journal cannot be trusted: this validator must not vote. `code` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class OwnVote:
    """A statement this validator signed."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate this node verified or assembled."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """The bytes of a block this node voted for or holds for others."""

    view: int
    digest: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class FloorMark:
    """Everything up to and with this view was delivered when the journal was rewritten; older records are gone."""

    epoch: int
    view: int


Record: TypeAlias = OwnVote | StoredCertificate | StoredPayload | FloorMark


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal that was read: append the next frame with `next_sequence` at offset `good_bytes`, after cutting
    off what follows it (a torn frame of `torn_bytes`; nothing sent depends on it)."""

    salt: bytes
    records: tuple[Record, ...]
    next_sequence: int
    good_bytes: int
    torn_bytes: int


class _FloorBody(Struct, frozen=True, forbid_unknown_fields=True):
    epoch: Count
    view: Count


class _GuardBody(Struct, frozen=True, forbid_unknown_fields=True):
    check: Hex32
    epoch: Count
    view: Count
    step: Count


def encode_header(salt: bytes) -> bytes:
    """The start of a new journal. `salt`: 16 fresh random bytes, never shown to peers."""
    if len(salt) != SALT_BYTES:
        raise JournalDamaged("salt", f"a journal salt has {SALT_BYTES} bytes, not {len(salt)}")
    return HEADER_MAGIC + salt + _check("journal-header", salt, b"")


def encode_frame(salt: bytes, sequence: int, records: Iterable[Record]) -> bytes:
    """The batch as one frame, to be appended and made durable at once. Sequences count from 0 without gaps."""
    body = b"".join(_encode_record(record) for record in records)
    if len(body) > MAX_FRAME_BYTES:
        raise JournalDamaged("frame_size", f"a batch of {len(body)} bytes, at most {MAX_FRAME_BYTES}")
    head = sequence.to_bytes(8, "big") + len(body).to_bytes(4, "big")
    return FRAME_MAGIC + head + body + _check("journal-frame", salt, head + body)


def encode_journal(salt: bytes, records: Iterable[Record]) -> bytes:
    """A whole journal of one frame: what `Rewrite` and the first start write. The next sequence is 1."""
    return encode_header(salt) + encode_frame(salt, 0, records)


def decode_journal(data: bytes) -> Journal:
    """Every record in order.

    Raises JournalDamaged: `header`, or `frame` when a frame is bad though a good one follows it or the sequence
    jumps, or `record` when a good frame holds no records of this version.
    """
    salt = data[4 : 4 + SALT_BYTES]
    if len(data) < HEADER_BYTES or data[:HEADER_BYTES] != encode_header(salt):
        raise JournalDamaged("header", f"no journal header in the first {HEADER_BYTES} of {len(data)} bytes")
    offset, sequence = HEADER_BYTES, 0
    records: list[Record] = []
    while offset < len(data):
        end = _frame_end(data, offset, salt)
        if end is None:
            _check_torn(data, offset, salt)
            break
        if data[offset + 4 : offset + 12] != sequence.to_bytes(8, "big"):
            raise JournalDamaged("frame", f"frame {sequence} is missing at byte {offset}")
        records.extend(_decode_records(data[offset + 16 : end - CHECK_BYTES], offset))
        offset, sequence = end, sequence + 1
    return Journal(salt, tuple(records), sequence, offset, len(data) - offset)


def encode_guard(position: Position) -> bytes:
    """The guard file: the highest position this key ever signed at."""
    fields = {"epoch": position.epoch, "view": position.view, "step": position.step}
    return encode_trusted(fields | {"check": tagged_hash("vote-guard", encode_trusted(fields)).hex()})


def decode_guard(data: bytes) -> Position:
    """Raises JournalDamaged `guard` for anything that `encode_guard` did not write."""
    try:
        body = decode_as(data, _GuardBody, limit=1_000)
    except DecodeError as error:
        raise JournalDamaged("guard", f"the guard file cannot be read: {error.detail}") from None
    position = Position(body.epoch, body.view, body.step)
    if encode_guard(position) != data:
        raise JournalDamaged("guard", "the guard file's check does not match")
    return position


def _check(tag: str, salt: bytes, data: bytes) -> bytes:
    return tagged_hash(tag, salt + data)[:CHECK_BYTES]


def _frame_end(data: bytes, offset: int, salt: bytes) -> int | None:
    """Where the good frame at `offset` ends, or None when there is none."""
    head = data[offset : offset + 16]
    if len(head) < 16 or head[:4] != FRAME_MAGIC:
        return None
    length = int.from_bytes(head[12:], "big")
    end = offset + FRAME_OVERHEAD + length
    if length > MAX_FRAME_BYTES or end > len(data):
        return None
    body_end = end - CHECK_BYTES
    return end if data[body_end:end] == _check("journal-frame", salt, data[offset + 4 : body_end]) else None


def _check_torn(data: bytes, offset: int, salt: bytes) -> None:
    """A bad frame is a torn write only if no good frame starts anywhere behind it."""
    behind = data.find(FRAME_MAGIC, offset + 1)
    while behind != -1:
        if _frame_end(data, behind, salt) is not None:
            raise JournalDamaged("frame", f"bytes {offset} to {behind} are damaged, a good frame follows")
        behind = data.find(FRAME_MAGIC, behind + 1)


def _encode_record(record: Record) -> bytes:
    match record:
        case OwnVote(vote):
            kind, body = 1, encode_trusted(vote)
        case StoredCertificate(certificate):
            kind, body = 2, encode_trusted(certificate)
        case StoredPayload(view, digest, payload):
            kind, body = 3, view.to_bytes(8, "big") + digest + payload
        case FloorMark(epoch, view):
            kind, body = 4, encode_trusted(_FloorBody(epoch, view))
    return bytes((kind,)) + len(body).to_bytes(4, "big") + body


def _decode_records(body: bytes, offset: int) -> Iterator[Record]:
    at = 0
    while at < len(body):
        length = int.from_bytes(body[at + 1 : at + 5], "big")
        part = body[at + 5 : at + 5 + length]
        if len(part) != length or at + 5 > len(body):
            raise JournalDamaged("record", f"a record of the frame at byte {offset} is cut off")
        try:
            yield _decode_record(body[at], part)
        except DecodeError as error:
            raise JournalDamaged("record", f"frame at byte {offset}: {error.detail}") from None
        at += 5 + length


def _decode_record(kind: int, body: bytes) -> Record:
    if kind == 1:
        return OwnVote(decode_as(body, Vote))
    if kind == 2:
        return StoredCertificate(decode_as(body, Certificate))
    if kind == 3 and len(body) >= 40:
        return StoredPayload(int.from_bytes(body[:8], "big"), body[8:40], body[40:])
    if kind == 4:
        floor = decode_as(body, _FloorBody)
        return FloorMark(floor.epoch, floor.view)
    raise DecodeError("record", f"record type {kind} is unknown to this version")
