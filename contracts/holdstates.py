"""What the ledger remembers of money before the decision and of money that comes back: one record for each family.

Like states, which it continues. Amounts are inside commitments. Must always hold: a family is written by its subject's
module alone (holds, recoveries, guarantees, batches), and only through `lifecycle` where a field is a status.
"""

from typing import ClassVar, Literal, TypeAlias

from msgspec import Struct

from contracts.states import State, read_state
from ledger.state import Reader

HoldKind: TypeAlias = Literal["advance", "guarantee"]


class HoldItem(Struct, frozen=True, forbid_unknown_fields=True):
    """One reservation that was made for a claim before its decision. The id of an advance is that of its payout."""

    hold_id: str
    kind: HoldKind
    policy_id: str
    record_id: str
    commit: str
    live: bool
    """False once a guarantee was released. The first decision takes the reservations of all live ones over."""


class HoldsState(State, frozen=True):
    """`holds/<claim_id>`: everything that was paid or guaranteed before this claim was decided, in order."""

    FAMILY: ClassVar[str] = "holds"
    items: tuple[HoldItem, ...]


class RecoveryState(State, frozen=True):
    """`recovery/<recovery_id>`: what was advanced beyond the decision, as a commitment."""

    FAMILY: ClassVar[str] = "recovery"
    claim_id: str
    policy_id: str
    insurer: str
    consent_id: str
    commit: str
    status: str
    opened_ms: int
    settlement_commit: str | None
    set_off_payout: str | None


class GuaranteeState(State, frozen=True):
    """`guarantee/<guarantee_id>`: an insurer's word to a hospital. `batch_id` is set while a batch has it as a line."""

    FAMILY: ClassVar[str] = "guarantee"
    claim_id: str
    policy_id: str
    insurer: str
    hospital: str
    consent_id: str
    commit: str
    status: str
    issued_ms: int
    valid_to_ms: int
    draw_commit: str | None
    drawn_ms: int | None
    batch_id: str | None


class BatchLineState(Struct, frozen=True, forbid_unknown_fields=True):
    """One line: `status` is `open`, `endorsed`, `returned`."""

    guarantee_id: str
    amount_commit: str
    status: str
    reason_commit: str | None


class BatchState(State, frozen=True):
    """`batch/<batch_id>`: a hospital's statement of account. Its sequence number and the places of lines never move."""

    FAMILY: ClassVar[str] = "batch"
    hospital: str
    insurer: str
    reviewer: str
    sequence: int
    from_ms: int
    to_ms: int
    totals_commit: str
    lines: tuple[BatchLineState, ...]
    status: str
    submitted_ms: int
    settlement_commit: str | None


class BatchCountState(State, frozen=True):
    """`batch-count/<hospital>/<insurer>`: how many batches there are."""

    FAMILY: ClassVar[str] = "batch-count"
    count: int


HOLD_FAMILIES = (HoldsState, RecoveryState, GuaranteeState, BatchState, BatchCountState)


def read_holds(read: Reader, claim_id: str) -> tuple[HoldItem, ...]:
    """The holds of a claim, in the order they were made."""
    found = read_state(read, HoldsState, claim_id)
    return found.items if found else ()


def read_recovery(read: Reader, recovery_id: str) -> RecoveryState | None:
    return read_state(read, RecoveryState, recovery_id)


def read_guarantee(read: Reader, guarantee_id: str) -> GuaranteeState | None:
    return read_state(read, GuaranteeState, guarantee_id)


def read_batch(read: Reader, batch_id: str) -> BatchState | None:
    return read_state(read, BatchState, batch_id)
