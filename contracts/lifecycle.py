"""The life of a claim, a payout, a case and a record as one table: (status, action) -> step.

A status changes in no other way. Rows are added here, never in the modules that act; what is not in the table
is refused `WRONG_STATE`. Actions are transaction kinds, or `ledger.*` where the ledger itself acts because
something else happened. The class of a decision is private: in public a claim is DECIDED, whatever it got.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from contracts.errors import Refusal

Actor: TypeAlias = Literal[
    "ledger", "hospital", "commission", "insurer", "payee", "anyone", "insurer and co-adjudicator"
]
Subject: TypeAlias = Literal["case", "record", "claim", "payout"]


@dataclass(frozen=True, slots=True)
class Step:
    """Where an action leads and whose act it is."""

    to: str
    actor: Actor


Table: TypeAlias = Mapping[tuple[str | None, str], Step]

CASE_STEPS: Final[Table] = {
    (None, "consent.grant"): Step("OPEN", "ledger"),
    ("OPEN", "ledger.report"): Step("REPORTED", "ledger"),
    ("REPORTED", "record.endorse"): Step("COMPLETE", "commission"),
}
RECORD_STEPS: Final[Table] = {
    (None, "record.publish"): Step("PUBLISHED", "hospital"),
    ("PUBLISHED", "accepted"): Step("ACCEPTED", "commission"),
    ("PUBLISHED", "rejected"): Step("REJECTED", "commission"),
}
CLAIM_STEPS: Final[Table] = {
    (None, "ledger.report"): Step("REPORTED", "ledger"),
    ("REPORTED", "claim.accept"): Step("FILED", "insurer"),
    ("FILED", "claim.accept"): Step("FILED", "insurer"),
    ("EVIDENCE_COMPLETE", "claim.accept"): Step("EVIDENCE_COMPLETE", "insurer"),
    ("FILED", "ledger.complete"): Step("EVIDENCE_COMPLETE", "ledger"),
    ("EVIDENCE_COMPLETE", "claim.adjudicate"): Step("DECIDED", "insurer and co-adjudicator"),
    ("DECIDED", "claim.close"): Step("CLOSED", "insurer"),
}
"""`claim.accept` after the first one takes back a lease that was lost to another claim; see claims."""
PAYOUT_STEPS: Final[Table] = {
    (None, "claim.adjudicate"): Step("AUTHORISED", "ledger"),
    ("AUTHORISED", "payout.order"): Step("ORDERED", "insurer"),
    ("ORDERED", "payout.settle"): Step("SETTLED_CLAIMED", "insurer"),
    ("ORDERED", "payout.fail"): Step("FAILED", "insurer"),
    ("FAILED", "payout.order"): Step("ORDERED", "insurer"),
    ("SETTLED_CLAIMED", "payout.ack"): Step("PAID", "payee"),
    ("SETTLED_CLAIMED", "payout.contest"): Step("CONTESTED", "payee"),
    ("SETTLED_CLAIMED", "payout.lapse"): Step("PAID_UNCONTESTED", "anyone"),
    ("CONTESTED", "payout.settle"): Step("SETTLED_CLAIMED", "insurer"),
    ("CONTESTED", "payout.fail"): Step("FAILED", "insurer"),
    ("CONTESTED", "payout.ack"): Step("PAID", "payee"),
    ("PAID_UNCONTESTED", "payout.ack"): Step("PAID", "payee"),
    ("PAID", "account.amend"): Step("RESTORED", "insurer and co-adjudicator"),
    ("PAID_UNCONTESTED", "account.amend"): Step("RESTORED", "insurer and co-adjudicator"),
    ("AUTHORISED", "claim.close"): Step("NOT_DUE", "insurer and co-adjudicator"),
}
"""NOT_DUE: nothing was to be paid (zero or declined), and a co-adjudicator outside the insurer's group said so.
RESTORED: what was paid was taken back from the coverage account after a reversal, in the word of a co-adjudicator.
FAILED: the bank said no, or sent the money back; silence is no failure, the payout stays ORDERED. PAID_UNCONTESTED: the
payee neither acknowledged nor contested in time; counted apart from PAID, and a later acknowledgement still counts."""
TABLES: Final[Mapping[Subject, Table]] = {
    "case": CASE_STEPS,
    "record": RECORD_STEPS,
    "claim": CLAIM_STEPS,
    "payout": PAYOUT_STEPS,
}


def next_status(subject: Subject, status: str | None, action: str, identifier: str) -> str:
    """The status after `action`. Raises Refusal `WRONG_STATE` naming `identifier` if the table has no such row."""
    step = TABLES[subject].get((status, action))
    if step is None:
        raise Refusal("WRONG_STATE", f"{action} is not possible for a {subject} that is {status}", identifier)
    return step.to


def is_possible(subject: Subject, status: str | None, action: str) -> bool:
    """Whether the table has a row for this."""
    return (status, action) in TABLES[subject]
