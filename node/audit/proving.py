"""Building the small proofs from a node's ledger, under its last header that has a finality certificate of its own.

Knows the port that dossiers are built from. Must always hold: all parts are of one head.
"""

from typing import Any

from contracts.identifiers import derive_nullifier
from contracts.invoicekeys import Identity
from contracts.states import NullifierState, RecordState, read_record, state_key
from ledger.encoding import decode_as
from ledger.state import Entry
from node.audit.build import LedgerSource, build_epochs
from node.audit.dossier import Anchor
from node.audit.history import find_write
from node.audit.proofs import AbsenceProof, InclusionProof, LogPlace, PresenceProof


class UnknownRecord(Exception):
    """There is no such record in the final state."""

    code = "not_found"
    detail = "no such record on this ledger"


def build_invoice_proof(source: LedgerSource, identity: Identity, signature: bytes) -> AbsenceProof | PresenceProof:
    """What the ledger says about an invoice, given the commission's signature over its identity."""
    name = state_key(NullifierState, derive_nullifier(signature))
    common: dict[str, Any] = _anchor(source) | {
        "identity": identity,
        "signature": signature.hex(),
        "path": source.prove_key(name),
    }
    found = source.read(name)
    if found is None or found.value is None:
        return AbsenceProof(**common)
    return PresenceProof(**common, version=found.version, place=_place(source, found.entry))


def build_inclusion(source: LedgerSource, record_id: str) -> InclusionProof:
    """That a record was published. Raises UnknownRecord."""
    record, name = read_record(source.read, record_id), state_key(RecordState, record_id)
    found = source.read(name)
    if record is None or found is None:
        raise UnknownRecord
    place = _place(source, found.entry)
    while (write := find_write(place.entry, name)) is not None and write.prev is not None:
        place = _place(source, bytes.fromhex(write.prev))
    return InclusionProof(**_anchor(source), commitment=record.commitment, place=place)


def _anchor(source: LedgerSource) -> dict[str, Any]:
    header, certificate = source.head
    return {"anchor": Anchor(header, certificate), "epochs": build_epochs(source, header.epoch)}


def _place(source: LedgerSource, leaf: bytes) -> LogPlace:
    index = source.leaf_index(leaf)
    path = tuple(item.hex() for item in source.leaf_path(index))
    return LogPlace(decode_as(source.leaf(index), Entry), index, path)
