"""Records: a hospital publishes commitments to documents, under a consent that names it.

Knows the commitment and the digest of the ciphertext, never the document. Publishing reserves nothing (protocol
rule 4): an invoice is locked when the commission endorses it, see evidence. The first record of a stay reports
the case to every insurer of the consent, in the same operation.
"""

from contracts.bodies import PublishedRecord
from contracts.claims import apply_report
from contracts.consents import open_case, require_reportable
from contracts.errors import Refusal
from contracts.identifiers import derive_record_id
from contracts.lifecycle import is_possible, next_status
from contracts.operations import Operation
from contracts.states import CaseState, ConsentState, RecordState

MIN_PADDED_BYTES = 65_536
MAX_PADDED_BYTES = 2**32
"""Ciphertexts are padded to a power of two from 64 kB, so that their size says little; 4 GB holds any imaging."""


def apply_publish(operation: Operation, item: PublishedRecord) -> str:
    """`record.publish`, one record (protocol rule 4)."""
    operation.require_role("hospital")
    consent = require_reportable(operation, item.consent_id)
    if operation.author not in consent.hospitals:
        raise Refusal("HOSPITAL_NOT_LISTED", f"the consent does not name {operation.author}", item.consent_id)
    _check_case(operation, item, consent)
    _check_padding(item.padded_size)
    record_id = derive_record_id(operation.block.network, operation.author, item.commitment)
    if operation.has(RecordState, record_id):
        raise Refusal("RECORD_EXISTS", "this commitment was published before", record_id)
    if item.replaces is not None:
        _check_replaced(operation, item, item.replaces)
    operation.put(record_id, _build_record(operation, item, record_id))
    operation.emit("record.published", record_id)
    if _reports(operation, item):
        apply_report(operation, item.case_id, consent)
    return record_id


def _check_case(operation: Operation, item: PublishedRecord, consent: ConsentState) -> None:
    """The consent's one case, or one of a standing consent's: the first record under a fresh id opens it.

    Such an id is the hash of a secret that the parties have (`identifiers.derive_standing_case`), so nobody else can
    have taken it before; what the ledger sees is that it was free.
    """
    if consent.lived.is_standing:
        case = operation.get(CaseState, item.case_id)
        if case is None:
            open_case(operation, item.consent_id, item.case_id)
        elif case.consent_id != item.consent_id:
            raise Refusal("CASE_MISMATCH", "the case is another consent's", item.case_id)
    elif consent.case_id != item.case_id:
        raise Refusal("CASE_MISMATCH", "the case is not the consent's", item.case_id)


def _check_padding(size: int) -> None:
    if not MIN_PADDED_BYTES <= size <= MAX_PADDED_BYTES or size & (size - 1):
        raise Refusal("PADDED_SIZE", "a ciphertext is padded to a power of two from 64 kB to 4 GB")


def _check_replaced(operation: Operation, item: PublishedRecord, replaced: str) -> None:
    before = operation.require(RecordState, replaced, "RECORD_UNKNOWN")
    if before.case_id != item.case_id or before.hospital != operation.author:
        raise Refusal("CASE_MISMATCH", "a record replaces one of its own case and hospital", replaced)
    if before.record_type != item.record_type:
        raise Refusal("RECORD_TYPE", "a record replaces one of its own type", replaced)


def _reports(operation: Operation, item: PublishedRecord) -> bool:
    """Admission reports the case; discharge does where there was none, or where the network reports on discharge."""
    on_admission = operation.block.parameters.report_on == "admission"
    if item.record_type != "discharge" and not (on_admission and item.record_type == "admission"):
        return False
    case = operation.require(CaseState, item.case_id, "CASE_MISMATCH")
    return is_possible("case", case.status, "ledger.report")


def _build_record(operation: Operation, item: PublishedRecord, record_id: str) -> RecordState:
    return RecordState(
        case_id=item.case_id,
        consent_id=item.consent_id,
        hospital=operation.author,
        record_type=item.record_type,
        commitment=item.commitment,
        ciphertext_digest=item.ciphertext_digest,
        padded_size=item.padded_size,
        replaces=item.replaces,
        status=next_status("record", None, "record.publish", record_id),
        published_ms=operation.time_ms,
        endorsed_by=None,
        profile=None,
        nullifier=None,
    )
