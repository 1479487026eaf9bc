"""The life of guarantees, recoveries and batches, and when a claim can be paid in part, as one table like lifecycle's.

A status changes in no other way; what is not in the table is refused `WRONG_STATE`. Actions are transaction kinds, with
a `/part` where one kind does several things. Must always hold: what is owed to a hospital ends PAID or RELEASED, and
what is to come back ends SETTLED.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from contracts.errors import Refusal

HoldSubject: TypeAlias = Literal["claim", "guarantee", "recovery", "batch"]


@dataclass(frozen=True, slots=True)
class HoldStep:
    """Where an action leads, whose act it is, and what must hold."""

    to: str
    actor: str
    guard: str = ""


HoldTable: TypeAlias = Mapping[tuple[str | None, str], HoldStep]

_OPEN_STAY = "case not complete, first rank, an accepted interim record, the account's version"
_JUDGED = "insurer and co-adjudicators"
_DUE = "more was advanced than decided"
CLAIM_HOLDS: Final[HoldTable] = {
    ("REPORTED", "advance.pay"): HoldStep("REPORTED", _JUDGED, _OPEN_STAY),
    ("FILED", "advance.pay"): HoldStep("FILED", _JUDGED, _OPEN_STAY),
    ("REPORTED", "guarantee.issue"): HoldStep("REPORTED", _JUDGED, _OPEN_STAY),
    ("FILED", "guarantee.issue"): HoldStep("FILED", _JUDGED, _OPEN_STAY),
    ("DECIDED", "recovery.open"): HoldStep("DECIDED", _JUDGED, _DUE),
    ("CLOSED", "recovery.open"): HoldStep("CLOSED", _JUDGED, _DUE),
    ("WITHDRAWN", "recovery.open"): HoldStep("WITHDRAWN", _JUDGED, "all that was advanced"),
}
"""A claim keeps its status."""
GUARANTEE_STEPS: Final[HoldTable] = {
    (None, "guarantee.issue"): HoldStep("ISSUED", _JUDGED, "one at a time for each policy of a claim"),
    ("ISSUED", "guarantee.draw"): HoldStep("DRAWN", "insurer and hospital", "claim decided, its payout not ordered"),
    ("ISSUED", "guarantee.release"): HoldStep(
        "RELEASED", "insurer and hospital", "or the insurer alone, 30 days after its last day"
    ),
    ("DRAWN", "batch.settle"): HoldStep("SETTLED", "insurer", "an endorsed line of the batch"),
    ("SETTLED", "batch.ack"): HoldStep("PAID", "hospital"),
}
RECOVERY_STEPS: Final[HoldTable] = {
    (None, "recovery.open"): HoldStep("OPEN", _JUDGED, _DUE),
    ("OPEN", "recovery.settle"): HoldStep(
        "SETTLED", "insurer and customer or payer", "a set-off takes the customer's token; without one, after 30 days"
    ),
}
BATCH_STEPS: Final[HoldTable] = {
    (None, "batch.submit"): HoldStep("SUBMITTED", "hospital", "the next number; drawn guarantees in no other batch"),
    ("SUBMITTED", "batch.review/part"): HoldStep("SUBMITTED", "reviewer", "some lines still without a word"),
    ("SUBMITTED", "batch.review/last"): HoldStep("REVIEWED", "reviewer", "every line has its word, one is endorsed"),
    ("SUBMITTED", "batch.review/none"): HoldStep("RETURNED", "reviewer", "every line was returned"),
    ("REVIEWED", "batch.settle"): HoldStep("SETTLED", "insurer"),
    ("SETTLED", "batch.ack"): HoldStep("PAID", "hospital"),
}
HOLD_TABLES: Final[Mapping[HoldSubject, HoldTable]] = {
    "claim": CLAIM_HOLDS,
    "guarantee": GUARANTEE_STEPS,
    "recovery": RECOVERY_STEPS,
    "batch": BATCH_STEPS,
}


def next_hold_status(subject: HoldSubject, status: str | None, action: str, identifier: str) -> str:
    """The status after `action`. Raises Refusal `WRONG_STATE`."""
    step = HOLD_TABLES[subject].get((status, action))
    if step is None:
        raise Refusal("WRONG_STATE", f"{action} is no step of a {subject} that is {status or 'new'}", identifier)
    return step.to
