"""The life of a claim, a payout, a case and a record as one table: (status, action) -> step.

A status changes in no other way. Rows are added here, never in the modules that act; what is not in the table
is refused `WRONG_STATE`. Actions are transaction kinds (with a `/part` where one kind does several things), or
`ledger.*` where the ledger itself acts because something else happened. Who acts, under which guard, and what the
decision clock does are data: the tables of README.md and the tests of every cell are made from them
(`lifecycle_tables`). The class of a decision is private: in public a claim is DECIDED, whatever it got.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from contracts.errors import Refusal

Actor: TypeAlias = Literal[
    "ledger",
    "hospital",
    "commission",
    "insurer",
    "handler",
    "payee",
    "customer",
    "anyone",
    "arbiter",
    "auditor",
    "insurer or customer",
    "customer or TPA",
    "insurer and co-adjudicator",
    "handler and co-adjudicator",
    "arbiter and co-adjudicator",
    "insurer, co-adjudicator and customer",
    "customer, hospital, co-adjudicator, commission",
]
"""Handler: the insurer, or a TPA of its control group. Arbiter: who the policy names in `escalation_to`."""
Clock: TypeAlias = Literal["", "starts", "restarts", "runs", "pauses", "by reason", "as before", "stops"]
"""What a step does to the time that counts against whoever has to decide."""
Subject: TypeAlias = Literal["case", "record", "claim", "payout"]
REMEMBERED: Final = "(remembered)"
"""Where a suspension leads back to: the status that it interrupted."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where an action leads, whose act it is, what must hold, and what the decision clock does."""

    to: str
    actor: Actor
    guard: str = ""
    clock: Clock = ""


Table: TypeAlias = Mapping[tuple[str | None, str], Step]

_WORKED = ("FILED", "EVIDENCE_PENDING", "EVIDENCE_COMPLETE", "IN_REVIEW", "INVESTIGATION")
UNDECIDED: Final = ("REPORTED", *_WORKED, "SUSPENDED")
"""Statuses of a claim about which nobody has decided yet."""
AWAITING: Final = ("REPORTED", "EVIDENCE_PENDING", "EVIDENCE_COMPLETE", "IN_REVIEW", "INVESTIGATION", "SUSPENDED")
"""Statuses in which something is due of the insurer, and an escalated claim can be decided by the arbiter."""

_ASK = Step("EVIDENCE_PENDING", "handler", "once in a claim's life; customer and a hospital can read it", "pauses")
_SUSPEND = Step("SUSPENDED", "handler", "reason as a commitment", "by reason")
_ESCALATE_GUARD = "a deadline is over; once for each deadline"
_WITHDRAW_OPEN = Step("WITHDRAWN", "customer or TPA", "customer's token, or two organisations: a duplicate", "stops")
_SUBSTITUTE = Step("DECIDED", "arbiter and co-adjudicator", "escalated, case complete", "stops")
_REOPEN = Step("EVIDENCE_COMPLETE", "insurer or customer", "customer's token if it is not the insurer", "restarts")
_DISPUTE = Step("DISPUTED", "customer", "customer's token; not after a ruling on this attempt")
_AUDIT_GUARD = "outside the insurer's group, named by the consent; once for each auditor and attempt"

CASE_STEPS: Final[Table] = {
    (None, "consent.grant"): Step("OPEN", "ledger"),
    ("OPEN", "ledger.report"): Step("REPORTED", "ledger"),
    ("REPORTED", "record.endorse"): Step("COMPLETE", "commission", "a discharge and an invoice, accepted"),
    ("COMPLETE", "record.endorse/again"): Step(
        "COMPLETE", "commission", "a claim asks for evidence or was reopened, and none is decided"
    ),
}
RECORD_STEPS: Final[Table] = {
    (None, "record.publish"): Step("PUBLISHED", "hospital"),
    ("PUBLISHED", "accepted"): Step("ACCEPTED", "commission"),
    ("PUBLISHED", "rejected"): Step("REJECTED", "commission"),
}
CLAIM_STEPS: Final[Table] = {
    (None, "ledger.report"): Step("REPORTED", "ledger", "consent in force"),
    ("REPORTED", "claim.accept"): Step("FILED", "insurer", "a lease on every account"),
    **{
        (status, "claim.accept"): Step(status, "insurer", "takes back a lease that was lost", "as before")
        for status in ("FILED", "EVIDENCE_PENDING", "EVIDENCE_COMPLETE", "IN_REVIEW")
    },
    ("FILED", "ledger.complete"): Step("EVIDENCE_COMPLETE", "ledger", "case complete", "starts"),
    ("EVIDENCE_PENDING", "ledger.complete"): Step("EVIDENCE_COMPLETE", "ledger", "case complete (again)", "runs"),
    ("SUSPENDED", "ledger.complete"): Step("SUSPENDED", "ledger", "it remembers EVIDENCE_COMPLETE", "by reason"),
    ("FILED", "claim.request_evidence"): _ASK,
    ("EVIDENCE_COMPLETE", "claim.request_evidence"): _ASK,
    **{(status, "claim.suspend"): _SUSPEND for status in ("REPORTED", *_WORKED)},
    ("SUSPENDED", "claim.resume"): Step(REMEMBERED, "handler", "", "as before"),
    ("EVIDENCE_COMPLETE", "claim.review/open"): Step("IN_REVIEW", "handler", "preparer, reason as commitments", "runs"),
    ("IN_REVIEW", "claim.review/release"): Step(
        "EVIDENCE_COMPLETE",
        "handler and co-adjudicator",
        "another than prepared: co-adjudicator opened both",
        "runs",
    ),
    ("IN_REVIEW", "claim.investigate"): Step("INVESTIGATION", "handler", "reason as a commitment", "by reason"),
    ("INVESTIGATION", "claim.review/open"): Step("IN_REVIEW", "handler", "report as a commitment", "runs"),
    ("EVIDENCE_COMPLETE", "claim.adjudicate"): Step(
        "DECIDED", "insurer and co-adjudicator", "rank, leases, statements", "stops"
    ),
    ("IN_REVIEW", "claim.adjudicate"): Step(
        "DECIDED", "insurer and co-adjudicator", "rank, leases, statements", "stops"
    ),
    **{(status, "claim.adjudicate/substitute"): _SUBSTITUTE for status in AWAITING},
    **{
        (status, "claim.negotiate"): Step(
            "DECIDED", "insurer, co-adjudicator and customer", "customer's token over these statements", "stops"
        )
        for status in ("IN_REVIEW", "DISPUTED")
    },
    **{(status, "claim.withdraw"): _WITHDRAW_OPEN for status in UNDECIDED},
    ("DECIDED", "claim.withdraw"): Step(
        "WITHDRAWN", "insurer and co-adjudicator", "customer's token; no payout ordered; accounts and pool restored"
    ),
    **{
        (status, "claim.escalate"): Step(
            status, "customer, hospital, co-adjudicator, commission", _ESCALATE_GUARD, "as before"
        )
        for status in (*AWAITING, "DECIDED")
    },
    ("DECIDED", "claim.dispute"): _DISPUTE,
    ("CLOSED", "claim.dispute"): _DISPUTE,
    ("DISPUTED", "claim.ruling/award"): Step("DECIDED", "arbiter", "statements of the next attempt"),
    ("DISPUTED", "claim.ruling/dismiss"): Step("DECIDED", "arbiter", "reason as a commitment"),
    ("DECIDED", "claim.reopen"): _REOPEN,
    ("CLOSED", "claim.reopen"): _REOPEN,
    ("DECIDED", "ledger.reopen"): Step("EVIDENCE_COMPLETE", "ledger", "invoice of its evidence reversed", "restarts"),
    ("DECIDED", "claim.audit"): Step("DECIDED", "auditor", _AUDIT_GUARD),
    ("CLOSED", "claim.audit"): Step("CLOSED", "auditor", _AUDIT_GUARD),
    ("DECIDED", "claim.close"): Step("CLOSED", "insurer", "every payout paid, lapsed or not due"),
}
PAYOUT_STEPS: Final[Table] = {
    (None, "claim.adjudicate"): Step("AUTHORISED", "ledger", "a statement of a decided claim"),
    ("AUTHORISED", "payout.order"): Step("ORDERED", "insurer"),
    ("ORDERED", "payout.settle"): Step("SETTLED_CLAIMED", "insurer"),
    ("ORDERED", "payout.fail"): Step("FAILED", "insurer", "the bank's refusal or return as a commitment"),
    ("FAILED", "payout.order"): Step("ORDERED", "insurer", "the next attempt; another account takes the payee's token"),
    ("SETTLED_CLAIMED", "payout.ack"): Step("PAID", "payee"),
    ("SETTLED_CLAIMED", "payout.contest"): Step("CONTESTED", "payee", "in time"),
    ("SETTLED_CLAIMED", "payout.lapse"): Step("PAID_UNCONTESTED", "anyone", "that time is over"),
    ("CONTESTED", "payout.settle"): Step("SETTLED_CLAIMED", "insurer", "another proof"),
    ("CONTESTED", "payout.fail"): Step("FAILED", "insurer", "the bank's refusal or return as a commitment"),
    ("CONTESTED", "payout.ack"): Step("PAID", "payee"),
    ("PAID_UNCONTESTED", "payout.ack"): Step("PAID", "payee"),
    ("PAID", "account.amend"): Step("RESTORED", "insurer and co-adjudicator", "claim closed"),
    ("PAID_UNCONTESTED", "account.amend"): Step("RESTORED", "insurer and co-adjudicator", "claim closed"),
    ("AUTHORISED", "claim.close"): Step("NOT_DUE", "insurer and co-adjudicator", "nothing was to be paid"),
    ("AUTHORISED", "claim.withdraw"): Step("RELEASED", "insurer and co-adjudicator", "the claim is withdrawn"),
}
"""NOT_DUE: nothing was to be paid (zero or declined), and a co-adjudicator outside the insurer's group said so.
RELEASED: the customer withdrew the claim before anything was ordered. RESTORED: what was paid was taken back from the
coverage account after a reversal, in the word of a co-adjudicator. FAILED: the bank said no, or sent the money back;
silence is no failure, the payout stays ORDERED. PAID_UNCONTESTED: the payee neither acknowledged nor contested in
time; counted apart from PAID, and a later acknowledgement still counts."""
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
