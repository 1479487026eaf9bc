"""Bodies of what moves money before a decision, and of what comes back: advances, guarantees, recoveries, batches.

Closed schemas like those in bodies, which lists the kinds. Amounts, reasons and bank references are commitments. Must
always hold: nothing personal has a field.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from ledger.types import Count, Hex16, Hex32, Millis, OrgId

MAX_TOKEN_CHARS = 16_384
"""As for every other token of a customer."""
MAX_LINES = 500
"""Lines of one batch: a body carries as many operations at most, and each line is judged by itself."""
Token: TypeAlias = Annotated[str, Meta(max_length=MAX_TOKEN_CHARS)]
Sequence: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]


class _Body(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class AdvancePay(_Body, frozen=True):
    """`advance.pay`, by the insurer, endorsed by co-adjudicators as a verdict is: a part is paid during the stay.

    `account_commit` is the next version of the policy's account, with the reservation; `hold_commit` the commitment of
    the advance's opening (contracts/cases/holds). `record_id` names the interim record that both were computed from.
    """

    claim_id: Hex32
    policy_id: Hex16
    record_id: Hex32
    account_version: Count
    account_commit: Hex32
    hold_commit: Hex32


class RecoveryOpen(_Body, frozen=True):
    """`recovery.open`, by the insurer, endorsed by co-adjudicators: more was advanced than the decision pays.

    Of a claim that was withdrawn undecided it is a movement of the account as well, which gives the advances back."""

    claim_id: Hex32
    policy_id: Hex16
    recovery_commit: Hex32
    account_version: Count | None = None
    account_commit: Hex32 | None = None


class RecoverySettle(_Body, frozen=True):
    """`recovery.settle`, by the insurer: the money came back (`paid`), or is taken from another payout (`set_off`).

    `token` is the customer's word over this settlement. Without it only money that was `paid` counts, in the word of
    the payer who endorses, and not before the time of notice is over.
    """

    recovery_id: Hex32
    way: Literal["paid", "set_off"]
    settlement_commit: Hex32
    set_off_payout: Hex32 | None
    token: Token | None


class GuaranteeIssue(_Body, frozen=True):
    """`guarantee.issue`, by the insurer, endorsed by co-adjudicators: the insurer stands in for a stay's expenses.

    The hospital is the one that published `record_id`, an interim record with what the stay is expected to cost."""

    claim_id: Hex32
    policy_id: Hex16
    record_id: Hex32
    account_version: Count
    account_commit: Hex32
    hold_commit: Hex32
    valid_to_ms: Millis


class GuaranteeDraw(_Body, frozen=True):
    """`guarantee.draw`, by the insurer with the hospital's endorsement, after the decision: what the hospital gets."""

    guarantee_id: Hex32
    draw_commit: Hex32


class GuaranteeRelease(_Body, frozen=True):
    """`guarantee.release`, by the insurer. Before the decision it is a movement of the account as well."""

    guarantee_id: Hex32
    account_version: Count | None
    account_commit: Hex32 | None


class BatchLine(_Body, frozen=True):
    """One drawn guarantee that the hospital asks to be paid. `amount_commit` is that of its line's opening."""

    guarantee_id: Hex32
    amount_commit: Hex32


class BatchSubmit(_Body, frozen=True):
    """`batch.submit`, by the hospital: its statement of account for a period, to one insurer.

    `sequence` counts the batches of this hospital to this insurer without a gap; a line keeps its place for good.
    `reviewer` is the insurer itself, or the TPA that looks at the lines for it.
    """

    insurer: OrgId
    reviewer: OrgId
    sequence: Sequence
    from_ms: Millis
    to_ms: Millis
    totals_commit: Hex32
    lines: Annotated[tuple[BatchLine, ...], Meta(min_length=1, max_length=MAX_LINES)]


class LineVerdict(_Body, frozen=True):
    """The reviewer's word on one line, by its place from 0. A returned one has the commitment of a reason."""

    line: Annotated[int, Meta(ge=0, lt=MAX_LINES)]
    verdict: Literal["endorsed", "returned"]
    reason_commit: Hex32 | None


class BatchReview(_Body, frozen=True):
    """`batch.review`, by the reviewer that the batch names."""

    batch_id: Hex32
    verdicts: Annotated[tuple[LineVerdict, ...], Meta(min_length=1, max_length=MAX_LINES)]


class BatchSettle(_Body, frozen=True):
    """`batch.settle`, by the insurer: one net payment for all endorsed lines. The opening breaks it down by line."""

    batch_id: Hex32
    settlement_commit: Hex32


class BatchAck(_Body, frozen=True):
    """`batch.ack`, by the hospital: the payment of this settlement arrived."""

    batch_id: Hex32
    settlement_commit: Hex32


HOLD_BODIES: dict[str, type[Struct]] = {
    "advance.pay": AdvancePay,
    "recovery.open": RecoveryOpen,
    "recovery.settle": RecoverySettle,
    "guarantee.issue": GuaranteeIssue,
    "guarantee.draw": GuaranteeDraw,
    "guarantee.release": GuaranteeRelease,
    "batch.submit": BatchSubmit,
    "batch.review": BatchReview,
    "batch.settle": BatchSettle,
    "batch.ack": BatchAck,
}
