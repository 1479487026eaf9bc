"""A hospital's statement of account to one insurer: drawn guarantees as lines, looked at one by one, paid at once.

Totals, amounts and reasons are commitments. Must always hold: the numbers of batches and the places of their lines
never move, a drawn guarantee is a line of one batch at a time (a returned line may come again in another), and a batch
is paid by one settlement for all its endorsed lines.
"""

from msgspec.structs import replace

from contracts.errors import Refusal
from contracts.holdbodies import BatchAck, BatchLine, BatchReview, BatchSettle, BatchSubmit, LineVerdict
from contracts.holdlife import next_hold_status
from contracts.holdstates import BatchCountState, BatchLineState, BatchState, GuaranteeState
from contracts.identifiers import derive_batch_id
from contracts.operations import Operation

OPEN, ENDORSED, RETURNED = "open", "endorsed", "returned"


def apply_submit(operation: Operation, body: BatchSubmit) -> str:
    """`batch.submit`: the next number of this hospital to this insurer, or `BATCH_SEQUENCE`."""
    operation.require_role("hospital")
    _check_reviewer(operation, body)
    count_id = f"{operation.author}/{body.insurer}"
    count = operation.get(BatchCountState, count_id) or BatchCountState(0)
    if body.sequence != count.count + 1:
        raise Refusal("BATCH_SEQUENCE", f"the next number is {count.count + 1}", body.insurer)
    if not body.from_ms < body.to_ms <= operation.time_ms:
        raise Refusal("BATCH_PERIOD", "a period begins before it ends, and is over", body.insurer)
    batch_id = derive_batch_id(operation.author, body.insurer, body.sequence)
    for line in body.lines:
        _take_line(operation, batch_id, body.insurer, line)
    batch = BatchState(
        hospital=operation.author,
        insurer=body.insurer,
        reviewer=body.reviewer,
        sequence=body.sequence,
        from_ms=body.from_ms,
        to_ms=body.to_ms,
        totals_commit=body.totals_commit,
        lines=tuple(BatchLineState(line.guarantee_id, line.amount_commit, OPEN, None) for line in body.lines),
        status=next_hold_status("batch", None, "batch.submit", batch_id),
        submitted_ms=operation.time_ms,
        settlement_commit=None,
    )
    operation.put(batch_id, batch)
    operation.put(count_id, BatchCountState(body.sequence))
    operation.emit("batch.submitted", batch_id)
    return batch_id


def apply_review(operation: Operation, body: BatchReview) -> str:
    """`batch.review`: the reviewer's word on some lines; with the last one the batch can be settled."""
    batch = _require(operation, body.batch_id)
    if batch.reviewer != operation.author:
        raise Refusal("NOT_THE_REVIEWER", f"the batch names {batch.reviewer}", body.batch_id)
    lines = list(batch.lines)
    for verdict in body.verdicts:
        lines[verdict.line] = _judge_line(operation, body.batch_id, lines, verdict)
    words = {line.status for line in lines}
    part = "part" if OPEN in words else "last" if ENDORSED in words else "none"
    status = next_hold_status("batch", batch.status, f"batch.review/{part}", body.batch_id)
    operation.put(body.batch_id, replace(batch, lines=tuple(lines), status=status))
    operation.emit("batch.reviewed", body.batch_id)
    return body.batch_id


def apply_settle(operation: Operation, body: BatchSettle) -> str:
    """`batch.settle`: the bank booked one payment for every endorsed line."""
    batch = _require(operation, body.batch_id)
    if batch.insurer != operation.author:
        raise Refusal("NOT_THE_INSURER", f"the batch is not one to {operation.author}", body.batch_id)
    status = next_hold_status("batch", batch.status, "batch.settle", body.batch_id)
    _move_lines(operation, batch, "batch.settle")
    operation.put(body.batch_id, replace(batch, status=status, settlement_commit=body.settlement_commit))
    operation.emit("batch.settled", body.batch_id)
    return body.batch_id


def apply_ack(operation: Operation, body: BatchAck) -> str:
    """`batch.ack`: the hospital found the payment of this settlement."""
    batch = _require(operation, body.batch_id)
    if batch.hospital != operation.author:
        raise Refusal("NOT_THE_HOSPITAL", f"the batch is not one of {operation.author}", body.batch_id)
    status = next_hold_status("batch", batch.status, "batch.ack", body.batch_id)
    if batch.settlement_commit != body.settlement_commit:
        raise Refusal("SETTLEMENT_MISMATCH", "the hospital saw another settlement", body.batch_id)
    _move_lines(operation, batch, "batch.ack")
    operation.put(body.batch_id, replace(batch, status=status))
    operation.emit("batch.paid", body.batch_id)
    return body.batch_id


def _check_reviewer(operation: Operation, body: BatchSubmit) -> None:
    """The insurer itself, or a TPA."""
    insurer = operation.participant(body.insurer)
    reviewer = operation.participant(body.reviewer)
    if "insurer" not in insurer.roles:
        raise Refusal("ROLE_MISSING", f"{body.insurer} is no insurer", body.insurer)
    if body.reviewer != body.insurer and "tpa" not in reviewer.roles:
        raise Refusal("ROLE_MISSING", f"{body.reviewer} is no tpa", body.reviewer)


def _take_line(operation: Operation, batch_id: str, insurer: str, line: BatchLine) -> None:
    guarantee = operation.require(GuaranteeState, line.guarantee_id, "GUARANTEE_UNKNOWN")
    if guarantee.hospital != operation.author or guarantee.insurer != insurer:
        raise Refusal("BATCH_LINE", "the guarantee is not this insurer's to this hospital", line.guarantee_id)
    if guarantee.status != "DRAWN":
        raise Refusal("BATCH_LINE", f"the guarantee is {guarantee.status}", line.guarantee_id)
    if guarantee.batch_id is not None:
        raise Refusal("IN_A_BATCH", "the guarantee is a line of a batch already", guarantee.batch_id)
    operation.put(line.guarantee_id, replace(guarantee, batch_id=batch_id))


def _judge_line(
    operation: Operation, batch_id: str, lines: list[BatchLineState], verdict: LineVerdict
) -> BatchLineState:
    """The line with its word. A returned one sets its guarantee free for another batch."""
    if verdict.line >= len(lines):
        raise Refusal("BATCH_LINE", f"the batch has {len(lines)} lines", batch_id)
    line = lines[verdict.line]
    if line.status != OPEN:
        raise Refusal("LINE_JUDGED", f"line {verdict.line} is {line.status}", batch_id)
    if (verdict.reason_commit is not None) != (verdict.verdict == RETURNED):
        raise Refusal("LINE_REASON", "a returned line has a reason, an endorsed one has none", batch_id)
    if verdict.verdict == RETURNED:
        guarantee = operation.require(GuaranteeState, line.guarantee_id, "GUARANTEE_UNKNOWN")
        operation.put(line.guarantee_id, replace(guarantee, batch_id=None))
    return replace(line, status=verdict.verdict, reason_commit=verdict.reason_commit)


def _move_lines(operation: Operation, batch: BatchState, action: str) -> None:
    for line in batch.lines:
        if line.status == ENDORSED:
            guarantee = operation.require(GuaranteeState, line.guarantee_id, "GUARANTEE_UNKNOWN")
            status = next_hold_status("guarantee", guarantee.status, action, line.guarantee_id)
            operation.put(line.guarantee_id, replace(guarantee, status=status))


def _require(operation: Operation, batch_id: str) -> BatchState:
    return operation.require(BatchState, batch_id, "BATCH_UNKNOWN")
