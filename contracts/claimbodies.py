"""The closed schemas of what happens to a claim off its straight way. The others are in bodies, which lists them all.

Reasons, lists of missing documents and people are commitments: nothing personal has a field.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from contracts.claimtokens import Deadline
from contracts.statements import MAX_DELIVERIES, Delivery, SignedStatement
from contracts.tokens import MAX_TOKEN_BYTES
from ledger.types import Count, Hex16, Hex32

MAX_POLICIES = 16
"""Policies of one insurer in one claim."""
Token: TypeAlias = Annotated[str, Meta(max_length=MAX_TOKEN_BYTES)]
Statements: TypeAlias = Annotated[tuple[SignedStatement, ...], Meta(min_length=1, max_length=MAX_POLICIES)]


class _Body(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class ClaimRequestEvidence(_Body, frozen=True):
    """`claim.request_evidence`, by the handler, once in a claim's life: a list of what is missing, as a commitment.

    `delivered`: its ciphertexts, for the customer's mailbox key and the envelope key of a hospital of the consent.
    """

    claim_id: Hex32
    items_commit: Hex32
    delivered: Annotated[tuple[Delivery, ...], Meta(min_length=2, max_length=MAX_DELIVERIES)]


class ClaimSuspend(_Body, frozen=True):
    """`claim.suspend`, by the handler."""

    claim_id: Hex32
    reason_commit: Hex32
    pauses_clock: bool


class ClaimResume(_Body, frozen=True):
    """`claim.resume`, by the handler: back to the status that the suspension interrupted."""

    claim_id: Hex32


class ClaimReview(_Body, frozen=True):
    """`claim.review`, by the handler. `person_commit`: of the preparer when it opens, of the reviewer when it releases;
    a release is endorsed by a co-adjudicator that opened both. `is_complex` declares the longer time to decide."""

    claim_id: Hex32
    step: Literal["open", "release"]
    person_commit: Hex32
    reason_commit: Hex32
    is_complex: bool


class ClaimInvestigate(_Body, frozen=True):
    """`claim.investigate`, by the handler, out of a review."""

    claim_id: Hex32
    reason_commit: Hex32
    pauses_clock: bool


class RestoredAccount(_Body, frozen=True):
    """The next version of a policy's account, without what the withdrawn decision reserved."""

    policy_id: Hex16
    account_version: Count
    account_commit: Hex32


class Restoration(_Body, frozen=True):
    """What a decision took, given back: one account for each of its payouts, and the loss pool."""

    accounts: Annotated[tuple[RestoredAccount, ...], Meta(min_length=1, max_length=MAX_POLICIES)]
    pool_version: Count
    pool_commit: Hex32


class ClaimWithdraw(_Body, frozen=True):
    """`claim.withdraw`: the customer's `token`, relayed by anyone; or a TPA's word that it repeats `duplicate_of`.

    A decided claim gives back what it took (`restored`), by the insurer with co-adjudicators as a verdict has them.
    """

    claim_id: Hex32
    token: Token | None
    duplicate_of: Hex32 | None
    restored: Restoration | None


class ClaimNegotiate(_Body, frozen=True):
    """`claim.negotiate`, by the insurer: statements as a verdict has them, and the customer's token over them."""

    claim_id: Hex32
    statements: Statements
    token: Token


class ClaimDispute(_Body, frozen=True):
    """`claim.dispute`: the customer's token. Relayed by anyone."""

    token: Token


class ClaimRuling(_Body, frozen=True):
    """`claim.ruling`, by the arbiter: statements of the next attempt, or none: the dispute is dismissed."""

    claim_id: Hex32
    reason_commit: Hex32
    statements: Annotated[tuple[SignedStatement, ...], Meta(max_length=MAX_POLICIES)]


class ClaimReopen(_Body, frozen=True):
    """`claim.reopen`, by the insurer, or by anyone with the customer's token."""

    claim_id: Hex32
    reason_commit: Hex32
    token: Token | None


class ClaimEscalate(_Body, frozen=True):
    """`claim.escalate`: a deadline of the claim is over. By a party, or by anyone with the customer's token."""

    claim_id: Hex32
    deadline: Deadline
    token: Token | None


class ClaimAudit(_Body, frozen=True):
    """`claim.audit`, by an auditor or commission: what running the decision of `attempt` again gave."""

    claim_id: Hex32
    attempt: Count
    code: Literal["same", "differs", "unreadable"]
    result_commit: Hex32


CLAIM_BODIES: dict[str, type[Struct]] = {
    "claim.request_evidence": ClaimRequestEvidence,
    "claim.suspend": ClaimSuspend,
    "claim.resume": ClaimResume,
    "claim.review": ClaimReview,
    "claim.investigate": ClaimInvestigate,
    "claim.withdraw": ClaimWithdraw,
    "claim.negotiate": ClaimNegotiate,
    "claim.dispute": ClaimDispute,
    "claim.ruling": ClaimRuling,
    "claim.reopen": ClaimReopen,
    "claim.escalate": ClaimEscalate,
    "claim.audit": ClaimAudit,
}
"""Kinds of this module."""
