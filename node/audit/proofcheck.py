"""Verifying the small proofs: numbered checks, the first that fails ends it.

Needs the file and the trusted genesis; no network, no database, no clock. Must always hold: the prover chooses nothing
that the answer depends on. The validators follow from the genesis, the header is finalized by its own certificate, the
commission's key follows from genesis, code and number.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from msgspec import Struct

from contracts.errors import InputError
from contracts.execution import ChainState
from contracts.identifiers import derive_nullifier, derive_record_id, invoice_message
from contracts.invoicekeys import Identity, check_identity, find_lock_key
from contracts.states import NullifierState, RecordState, state_key
from ledger.blocks import header_hash
from ledger.certificates import signers_of, verify_finality
from ledger.crypto import bls
from ledger.encoding import encode_trusted
from ledger.errors import LedgerError
from ledger.mapproofs import verify_map_proof
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.state import Versioned, Write, map_key, map_value
from node.audit.epochs import FinalityCheck, check_epochs
from node.audit.history import find_write
from node.audit.proofs import (
    AbsenceProof,
    InclusionProof,
    LogPlace,
    PresenceProof,
    Proof,
    ProofKind,
    decode_proof,
    kind_of,
)
from node.audit.report import AuditFailure, Check

_COMMON: Final = {
    1: "the file is one proof, written in its one form",
    2: "it speaks about the network of the trusted genesis",
    3: "a quorum of the validators that follow from the genesis finalized its header",
}
_SIGNED: Final = "the commission's key for this code and number, taken from the genesis, signed the invoice's identity"
TITLES_OF_PROOFS: Final[dict[ProofKind, dict[int, str]]] = {
    "invoice-absence": _COMMON
    | {4: _SIGNED, 5: "the nullifier made of that signature is not in the state of the header"},
    "invoice-presence": _COMMON
    | {
        4: _SIGNED,
        5: "the nullifier made of that signature is in the state of the header, last written by the entry",
        6: "the entry is a leaf of the header's log and wrote the nullifier",
    },
    "record-inclusion": _COMMON
    | {
        4: "the entry is a leaf of the header's log",
        5: "the entry publishes the record: its id is that of the network, the hospital and the commitment",
    },
}


class Proved(Struct, frozen=True):
    """A proof that holds: its lines, and what it says in one sentence."""

    kind: ProofKind
    checks: tuple[Check, ...]
    statement: str
    height: int
    time_ms: int
    header_hash: str
    about: dict[str, Any]


def verify_proof(
    data: bytes, start: ChainState, *, invoice: Identity | None = None, finality: FinalityCheck = verify_finality
) -> Proved:
    """All checks against a trusted genesis. `invoice`: the one that the reader holds, which the proof has to be about.

    Raises AuditFailure: the first check that does not hold.
    """
    proof = _guard(1, lambda: decode_proof(data))
    header = proof.anchor.header
    if header.network != start.genesis.network:
        raise AuditFailure(2, "other_network", "the header is of another network than the genesis")
    _check_final(proof, start, finality)
    if isinstance(proof, InclusionProof):
        details, statement, about = _check_inclusion(proof, start.genesis.network)
    else:
        details, statement, about = _check_invoice(proof, start, invoice)
    kind = kind_of(proof)
    voters = len(signers_of(proof.anchor.certificate))
    size = f"{len(data)} bytes"
    details = {
        1: size,
        2: f"genesis {start.chain.hex()[:16]}",
        3: f"height {header.height}, {voters} validators",
    } | details
    titles = TITLES_OF_PROOFS[kind]
    return Proved(
        kind=kind,
        checks=tuple(Check(number, titles[number], "proved", details[number]) for number in titles),
        statement=statement,
        height=header.height,
        time_ms=header.time_ms,
        header_hash=header_hash(header).hex(),
        about=about,
    )


def _guard(number: int, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except LedgerError as error:
        raise AuditFailure(number, error.code, error.detail) from None


def _check_final(proof: Proof, start: ChainState, finality: FinalityCheck) -> None:
    anchor = proof.anchor
    validators = check_epochs(proof.epochs, anchor.header, start, finality)
    _guard(3, lambda: finality(anchor.certificate, header_hash(anchor.header), validators, start.chain))


def _check_invoice(
    proof: AbsenceProof | PresenceProof, start: ChainState, invoice: Identity | None
) -> tuple[dict[int, str], str, dict[str, Any]]:
    if invoice is not None and invoice != proof.identity:
        raise AuditFailure(4, "other_invoice", "the proof is about another invoice than the one given")
    try:
        check_identity(proof.identity)
    except InputError as error:
        raise AuditFailure(4, error.code, error.detail) from None
    key = find_lock_key(start.genesis, proof.identity)
    if key is None:
        raise AuditFailure(4, "no_invoice_key", "the genesis has no key for invoices of this code and year")
    signature = bytes.fromhex(proof.signature)
    message = invoice_message(*proof.identity)
    _guard(4, lambda: bls.verify(bytes.fromhex(key.public_key), message, signature))
    name = state_key(NullifierState, derive_nullifier(signature))
    state_root = bytes.fromhex(proof.anchor.header.state_root)
    family, code, number = proof.identity
    about = {"type": family, "code": code, "number": number, "commission": key.participant}
    details = {4: f"{key.participant}, {key.region} {key.year}"}
    shown = f"{family} invoice {code} {number}".replace("  ", " ")
    height = proof.anchor.header.height
    if isinstance(proof, AbsenceProof):
        _guard(5, lambda: verify_map_proof(state_root, map_key(name), None, proof.path))
        return details | {5: f"nullifier {name[10:26]}"}, f"{shown}: not used up to height {height}", about
    entry = _check_latest(proof, name, state_root)
    return (
        details | {5: f"nullifier {name[10:26]}, version {proof.version}", 6: f"leaf {proof.place.leaf_index}"},
        f"{shown}: CLAIMED, last written by {entry} at height {proof.place.entry.height}",
        about,
    )


def _check_latest(proof: PresenceProof, name: str, state_root: bytes) -> str:
    entry = proof.place.entry
    leaf = encode_trusted(entry)
    latest = map_value(Versioned(version=proof.version, entry=leaf_hash(leaf), value=b""))
    _guard(5, lambda: verify_map_proof(state_root, map_key(name), latest, proof.path))
    _check_place(6, proof, proof.place)
    write = find_write(entry, name)
    if write is None or write.version != proof.version or write.digest is None:
        raise AuditFailure(6, "other_entry", "the entry did not write the nullifier at this version")
    return entry.author


def _check_place(number: int, proof: Proof, place: LogPlace) -> None:
    header = proof.anchor.header
    path = [bytes.fromhex(item) for item in place.path]
    leaf, root = leaf_hash(encode_trusted(place.entry)), bytes.fromhex(header.log_root)
    _guard(number, partial(verify_inclusion, leaf, place.leaf_index, header.log_size, path, root))


def _check_inclusion(proof: InclusionProof, network: str) -> tuple[dict[int, str], str, dict[str, Any]]:
    entry = proof.place.entry
    _check_place(4, proof, proof.place)
    record_id = derive_record_id(network, entry.author, proof.commitment)
    write: Write | None = find_write(entry, state_key(RecordState, record_id))
    is_publication = entry.kind == "record.publish" and entry.code == "ok"
    if not is_publication or write is None or write.version != 1 or write.digest is None:
        raise AuditFailure(5, "other_entry", "the entry does not publish a record with this commitment")
    about = {"record_id": record_id, "hospital": entry.author, "commitment": proof.commitment, "tx_id": entry.tx_id}
    statement = f"record {record_id}: published by {entry.author} at height {entry.height}"
    return {4: f"leaf {proof.place.leaf_index}", 5: f"record {record_id[:16]}"}, statement, about
