"""What executing a transaction leaves behind: one result per operation, and the events that followed from it.

Receipts are hashed into the header (`receipts_root`, RFC 6962 over their canonical bytes), so codes are stable and
no free text is inside.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

from ledger.encoding import encode_trusted
from ledger.merkle import leaf_hash, root_of
from ledger.types import Hex32

Topic: TypeAlias = Literal[
    "policy.committed",
    "consent.granted",
    "consent.revoked",
    "consent.delegated",
    "consent.ratified",
    "consent.rekey_asked",
    "consent.rekeyed",
    "consent.rekey_vetoed",
    "record.published",
    "record.endorsed",
    "record.rejected",
    "claim.reported",
    "claim.accepted",
    "case.complete",
    "claim.ready",
    "claim.decided",
    "claim.closed",
    "claim.evidence_requested",
    "claim.suspended",
    "claim.resumed",
    "claim.in_review",
    "claim.released",
    "claim.investigated",
    "claim.withdrawn",
    "claim.escalated",
    "claim.disputed",
    "claim.ruled",
    "claim.reopened",
    "claim.audited",
    "payout.authorised",
    "payout.ordered",
    "payout.settled",
    "payout.paid",
    "payout.failed",
    "payout.contested",
    "payout.lapsed",
    "account.amended",
    "pool.restored",
    "advance.paid",
    "recovery.opened",
    "recovery.settled",
    "guarantee.issued",
    "guarantee.drawn",
    "guarantee.released",
    "batch.submitted",
    "batch.reviewed",
    "batch.settled",
    "batch.paid",
    "risk.signalled",
    "risk.appealed",
    "risk.withdrawn",
    "governance.proposed",
    "governance.passed",
    "governance.withdrawn",
    "contract.released",
    "contract.withdrawn",
    "participant.frozen",
    "validator.offence",
]


class Event(Struct, frozen=True, forbid_unknown_fields=True):
    """Something happened to `subject` (an id). Agents and subscribers act on these."""

    topic: Topic
    subject: str


class OperationResult(Struct, frozen=True, forbid_unknown_fields=True):
    """`code` is `ok` or a refusal code; `subject` is the object made, or the one a refusal collided with."""

    code: str
    subject: str | None
    events: tuple[Event, ...]


class Receipt(Struct, frozen=True, forbid_unknown_fields=True):
    """`code`: `ok` (all operations), `partial` (some), or the refusal code (of the whole, or of the first)."""

    tx_id: Hex32
    code: str
    results: tuple[OperationResult, ...]


def receipts_root(receipts: tuple[Receipt, ...]) -> bytes:
    """32 bytes for the header."""
    return root_of([leaf_hash(encode_trusted(item)) for item in receipts])
