"""Evidence: the commission's word on each record, the invoice lock, and the completion of a case.

A nullifier enters state here and nowhere else (protocol rule 4), so one invoice can be endorsed once on this
ledger, whoever publishes it. Knows nullifiers and commitments, never an invoice number. Must always hold: a
complete case names accepted records of its own, among them a discharge and an invoice, and has a loss pool.
"""

from msgspec.structs import replace

from contracts.bodies import EvidenceCompletion, RecordEndorsement
from contracts.claims import apply_complete
from contracts.consents import require_granted
from contracts.disputes import reopen_reversed
from contracts.errors import Refusal
from contracts.identifiers import derive_evidence_root, derive_pool_id
from contracts.lifecycle import next_status
from contracts.operations import Operation
from contracts.states import CaseState, ClaimState, NullifierState, PoolState, RecordState

REJECTION_CODE = "EVIDENCE_INVALID"
NEEDED_TYPES = frozenset({"discharge", "invoice"})


def apply_endorse(operation: Operation, item: RecordEndorsement) -> str:
    """`record.endorse`, one endorsement: a verdict, and for an accepted invoice its nullifier."""
    operation.require_role("commission")
    record = operation.require(RecordState, item.record_id, "RECORD_UNKNOWN")
    require_granted(operation, record.consent_id, "endorse")
    if record.commitment != item.commitment:
        raise Refusal("COMMITMENT_MISMATCH", "another commitment was published", item.record_id)
    if record.status != "PUBLISHED":
        raise Refusal("ALREADY_ENDORSED", f"this record is {record.status}", item.record_id)
    _check_form(item, record.record_type)
    if item.nullifier is not None:
        _apply_nullifier(operation, item, item.nullifier)
    judged = replace(
        record,
        status=next_status("record", record.status, item.verdict, item.record_id),
        endorsed_by=operation.author,
        profile=item.profile,
        nullifier=item.nullifier,
    )
    operation.put(item.record_id, judged)
    operation.emit("record.endorsed" if item.verdict == "accepted" else "record.rejected", item.record_id)
    return item.record_id


def apply_completion(operation: Operation, item: EvidenceCompletion) -> str:
    """`record.endorse`, one completion: the records that are the evidence, and version 0 of the loss pool."""
    operation.require_role("commission")
    case = operation.require(CaseState, item.case_id, "CASE_UNKNOWN")
    require_granted(operation, case.consent_id, "endorse")
    again = case.status == "COMPLETE"
    if again:
        _require_asked(operation, case, item.case_id)
    status = next_status("case", case.status, "record.endorse/again" if again else "record.endorse", item.case_id)
    records = _require_evidence(operation, item)
    complete = replace(
        case,
        status=status,
        complete_ms=operation.time_ms if case.complete_ms is None else case.complete_ms,
        records=tuple(sorted(records)),
        evidence_root=derive_evidence_root((name, record.commitment) for name, record in records.items()),
    )
    operation.put(item.case_id, complete)
    pool_id = derive_pool_id(item.case_id)
    pool = operation.get(PoolState, pool_id)
    version = 0 if pool is None else pool.version + 1
    operation.put(pool_id, PoolState(case_id=item.case_id, version=version, commit=item.pool_commit))
    operation.emit("case.complete", item.case_id)
    for claim_id in case.claims:
        apply_complete(operation, claim_id)
    return item.case_id


def _require_asked(operation: Operation, case: CaseState, case_id: str) -> None:
    """A complete case is completed again when a claim asks for evidence or was reopened, and none stands decided: the
    loss pool begins anew, so nobody may have taken from it."""
    claims = [operation.require(ClaimState, name, "CLAIM_UNKNOWN") for name in case.claims]
    if any(claim.decided_ms is not None and claim.status != "WITHDRAWN" for claim in claims):
        raise Refusal("WRONG_STATE", "a claim of this case is decided on its evidence", case_id)
    if not any(_awaits_evidence(claim) for claim in claims):
        raise Refusal("WRONG_STATE", "no claim of this case asks for evidence", case_id)


def _awaits_evidence(claim: ClaimState) -> bool:
    suspension = claim.lived.suspension
    waits = claim.status if suspension is None else suspension.status
    return waits == "EVIDENCE_PENDING" or (claim.attempt > 1 and waits == "EVIDENCE_COMPLETE")


def _check_form(item: RecordEndorsement, record_type: str) -> None:
    needs_nullifier = record_type == "invoice" and item.verdict == "accepted"
    if (item.nullifier is not None) != needs_nullifier:
        raise Refusal("NULLIFIER_FORM", "accepted invoices have a nullifier, nothing else has one", item.record_id)
    if item.reverses is not None and not needs_nullifier:
        raise Refusal("NULLIFIER_FORM", "only an accepted red invoice reverses another", item.record_id)
    if item.verdict == "rejected" and item.code != REJECTION_CODE:
        raise Refusal("VERDICT_CODE", f"a rejected record has the code {REJECTION_CODE}", item.record_id)


def _apply_nullifier(operation: Operation, item: RecordEndorsement, nullifier: str) -> None:
    used = operation.get(NullifierState, nullifier)
    if used is not None:
        raise Refusal("DUPLICATE_OF", "this invoice was endorsed before", used.record_id)
    if item.reverses is not None:
        _apply_reversal(operation, item.reverses, nullifier)
    operation.put(
        nullifier,
        NullifierState(record_id=item.record_id, commission=operation.author, reverses=item.reverses, reversed_by=None),
    )


def _apply_reversal(operation: Operation, reversed_one: str, nullifier: str) -> None:
    original = operation.require(NullifierState, reversed_one, "REVERSES_UNKNOWN")
    record = operation.require(RecordState, original.record_id, "RECORD_UNKNOWN")
    if original.reverses is not None or original.reversed_by is not None:
        raise Refusal("REVERSES_USED", "a red invoice reverses one blue invoice, once", reversed_one)
    operation.put(reversed_one, replace(original, reversed_by=nullifier))
    reopen_reversed(operation, record.case_id, original.record_id)


def _require_evidence(operation: Operation, item: EvidenceCompletion) -> dict[str, RecordState]:
    """The named records by id: distinct, of this case, accepted, not superseded, and enough."""
    records = {name: operation.require(RecordState, name, "RECORD_UNKNOWN") for name in item.records}
    if len(records) != len(item.records):
        raise Refusal("RECORD_REPEATED", "a record is listed twice", item.case_id)
    for name, record in records.items():
        if record.case_id != item.case_id:
            raise Refusal("CASE_MISMATCH", "this record belongs to another case", name)
        if record.status != "ACCEPTED":
            raise Refusal("RECORD_NOT_ACCEPTED", f"this record is {record.status}", name)
        if record.replaces in records:
            raise Refusal("RECORD_REPLACED", "another listed record replaces this one", record.replaces)
    if not {record.record_type for record in records.values()} >= NEEDED_TYPES:
        raise Refusal("EVIDENCE_INCOMPLETE", "a case needs a discharge and at least one invoice", item.case_id)
    return records
