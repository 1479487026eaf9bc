"""The small proofs: one file each, binary or JSON, that its receiver checks with the genesis alone.

Knows their fields and their two spellings; what they prove is checked in `proofcheck`. The JSON form is the binary form
in base64 beside what a person wants to read of it. Must always hold: what is readable says what the binary says.
"""

import base64
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from contracts.invoicekeys import Identity
from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError, InvalidProof, LedgerError
from ledger.mapproofs import MapProof, decode_map_proof, encode_map_proof
from ledger.state import Entry
from node.audit.compact import (
    HASH,
    Lens,
    Pen,
    read_certificate,
    read_entry,
    read_header,
    read_validators,
    write_certificate,
    write_entry,
    write_header,
    write_validators,
)
from node.audit.dossier import MAX_EPOCHS, MAX_PATH, Anchor, EpochEnd

ProofKind: TypeAlias = Literal["invoice-absence", "invoice-presence", "record-inclusion"]
MAX_PROOF_BYTES: Final = 8 * 2**20
"""An anchor far from genesis brings the ends of the epochs before it: 10,000 changes among four validators."""
MAGIC: Final = b"CNP\x01"
"""First bytes of the binary form: claimnode proof, version 1."""
READABLE: Final = b'{"about":'
"""First bytes of the JSON form: its keys ascend."""
KINDS: Final[dict[ProofKind, int]] = {"invoice-absence": 1, "invoice-presence": 2, "record-inclusion": 3}
FAMILIES: Final = ("medical", "vat", "foreign")


class LogPlace(Struct, frozen=True):
    """A log entry and its path under a header's `log_root`."""

    entry: Entry
    leaf_index: int
    path: tuple[str, ...]


class AbsenceProof(Struct, frozen=True):
    """No invoice of this identity was endorsed up to the anchor's height."""

    anchor: Anchor
    epochs: tuple[EpochEnd, ...]
    identity: Identity
    signature: str
    path: MapProof


class PresenceProof(Struct, frozen=True):
    """An invoice of this identity was endorsed: its nullifier's latest version, and the entry that wrote it."""

    anchor: Anchor
    epochs: tuple[EpochEnd, ...]
    identity: Identity
    signature: str
    path: MapProof
    version: int
    place: LogPlace


class InclusionProof(Struct, frozen=True):
    """A record with this commitment was published, by the entry's author."""

    anchor: Anchor
    epochs: tuple[EpochEnd, ...]
    commitment: str
    place: LogPlace


Proof: TypeAlias = AbsenceProof | PresenceProof | InclusionProof


class _Readable(Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON form."""

    v: Literal[1]
    kind: ProofKind
    network: str
    height: int
    about: dict[str, Any]
    proof: Annotated[str, Meta(max_length=MAX_PROOF_BYTES * 4 // 3 + 4)]


def kind_of(proof: Proof) -> ProofKind:
    """The proof's name."""
    if isinstance(proof, AbsenceProof):
        return "invoice-absence"
    return "invoice-presence" if isinstance(proof, PresenceProof) else "record-inclusion"


def is_proof(data: bytes) -> bool:
    """Whether a file claims to be one of these proofs rather than a dossier. It promises nothing more."""
    return data.startswith((MAGIC[:3], READABLE))


def encode_proof(proof: Proof) -> bytes:
    """The binary form. Raises InvalidProof for parts that do not go together."""
    pen = Pen()
    pen.raw(MAGIC)
    pen.number(KINDS[kind_of(proof)], 1)
    if isinstance(proof, InclusionProof):
        pen.hex(proof.commitment)
        _write_place(pen, proof.place)
    else:
        _write_identity(pen, proof.identity)
        pen.hex(proof.signature)
        pen.blob(encode_map_proof(proof.path))
        if isinstance(proof, PresenceProof):
            pen.number(proof.version, 8)
            _write_place(pen, proof.place)
    write_header(pen, proof.anchor.header)
    write_certificate(pen, proof.anchor.certificate, proof.anchor.header)
    _write_epochs(pen, proof.epochs)
    return pen.data


def encode_readable(proof: Proof) -> bytes:
    """The JSON form."""
    header = proof.anchor.header
    text = base64.b64encode(encode_proof(proof)).decode("ascii")
    return encode(_Readable(1, kind_of(proof), header.network, header.height, about(proof), text))


def about(proof: Proof) -> dict[str, Any]:
    """What the proof speaks about, for people."""
    if isinstance(proof, InclusionProof):
        return {"hospital": proof.place.entry.author, "commitment": proof.commitment}
    return dict(zip(("type", "code", "number"), proof.identity, strict=True))


def decode_proof(data: bytes) -> Proof:
    """Either form. Raises DecodeError or InvalidProof: whatever is not exactly what would be written."""
    if len(data) > MAX_PROOF_BYTES * 2:
        raise DecodeError("too_large", f"{len(data)} bytes are no proof")
    if data.startswith(b"{"):
        readable = decode_as(data, _Readable, limit=MAX_PROOF_BYTES * 2)
        proof = _decode_binary(_decode_base64(readable.proof))
        if encode_readable(proof) != data:
            raise DecodeError("not_canonical", "the readable part says something else than the proof")
        return proof
    return _decode_binary(data)


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise DecodeError("base64", "the proof is not in base64") from None


def _decode_binary(data: bytes) -> Proof:
    if len(data) > MAX_PROOF_BYTES:
        raise DecodeError("too_large", f"{len(data)} bytes, at most {MAX_PROOF_BYTES} are read")
    lens = Lens(data)
    if lens.raw(len(MAGIC)) != MAGIC:
        raise DecodeError("magic", "neither a proof nor a dossier of this version")
    number = lens.number(1)
    if number not in KINDS.values():
        raise DecodeError("proof_kind", f"{number} is no kind of proof")
    proof = _read_inclusion(lens) if number == KINDS["record-inclusion"] else _read_invoice(lens, number)
    if not lens.is_done:
        raise DecodeError("trailing", "bytes after the end of the proof")
    try:
        written = encode_proof(proof)
    except LedgerError as error:
        raise DecodeError("not_canonical", error.detail) from None
    if written != data:
        raise DecodeError("not_canonical", "the proof would be written differently")
    return proof


def _read_inclusion(lens: Lens) -> InclusionProof:
    commitment, place = lens.hex(), _read_place(lens)
    anchor, epochs = _read_anchor(lens)
    return InclusionProof(anchor, epochs, commitment, place)


def _read_invoice(lens: Lens, number: int) -> AbsenceProof | PresenceProof:
    identity, signature, path = _read_identity(lens), lens.hex(96), decode_map_proof(lens.blob())
    if number == KINDS["invoice-absence"]:
        anchor, epochs = _read_anchor(lens)
        return AbsenceProof(anchor, epochs, identity, signature, path)
    version, place = lens.number(8), _read_place(lens)
    anchor, epochs = _read_anchor(lens)
    return PresenceProof(anchor, epochs, identity, signature, path, version, place)


def _write_identity(pen: Pen, identity: Identity) -> None:
    family, code, number = identity
    if family not in FAMILIES:
        raise InvalidProof("form", "an invoice is medical, vat or foreign")
    pen.number(FAMILIES.index(family), 1)
    pen.text(code)
    pen.text(number)


def _read_identity(lens: Lens) -> Identity:
    family = lens.number(1)
    if family >= len(FAMILIES):
        raise DecodeError("family", f"{family} is no family of invoices")
    return FAMILIES[family], lens.text(), lens.text()


def _write_place(pen: Pen, place: LogPlace) -> None:
    write_entry(pen, place.entry)
    pen.number(place.leaf_index, 8)
    pen.number(len(place.path), 1)
    pen.hex(*place.path)


def _read_place(lens: Lens) -> LogPlace:
    entry, index, count = read_entry(lens), lens.number(8), lens.number(1)
    if count > MAX_PATH:
        raise DecodeError("path_length", f"{count} hashes, at most {MAX_PATH}")
    return LogPlace(entry, index, tuple(lens.hex(HASH) for _ in range(count)))


def _write_epochs(pen: Pen, epochs: tuple[EpochEnd, ...]) -> None:
    pen.number(len(epochs), 2)
    for end in epochs:
        write_header(pen, end.header)
        write_certificate(pen, end.certificate, end.header)
        write_validators(pen, end.validators)


def _read_anchor(lens: Lens) -> tuple[Anchor, tuple[EpochEnd, ...]]:
    header = read_header(lens)
    anchor = Anchor(header, read_certificate(lens, header))
    count = lens.number(2)
    if count > MAX_EPOCHS:
        raise DecodeError("epochs", f"{count} changes of the set, at most {MAX_EPOCHS}")
    return anchor, tuple(_read_end(lens) for _ in range(count))


def _read_end(lens: Lens) -> EpochEnd:
    header = read_header(lens)
    certificate = read_certificate(lens, header)
    return EpochEnd(header, certificate, read_validators(lens))
