"""What a customer says about one claim: withdrawal, agreement, dispute, reopening, escalation. Compact JWS as tokens.

Each names consent, claim and attempt, so it speaks once: of an attempt that is over nothing can be said again. Knows
payloads and types; how a token is read and verified is in tokens. No field has room for a name or a reason in words.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from ledger.types import Count, Hex16, Hex32, NetworkId

WITHDRAWAL_TYPE = "claim-withdraw+jwt"
AGREEMENT_TYPE = "claim-negotiate+jwt"
DISPUTE_TYPE = "claim-dispute+jwt"
REOPENING_TYPE = "claim-reopen+jwt"
ESCALATION_TYPE = "claim-escalate+jwt"
Deadline: TypeAlias = Literal["accept", "co_sign", "decide", "settle"]
"""Deadlines of a claim after which it can be escalated (protocol rule 6)."""
MAX_AGREED = 16
"""Statements of one agreement: one for each policy of the claim."""


class ClaimWord(Struct, frozen=True, forbid_unknown_fields=True):
    """What every token about a claim names."""

    v: Literal[1]
    network: NetworkId
    consent_id: Hex32
    claim_id: Hex32
    attempt: Count
    nonce: Hex16


class Withdrawal(ClaimWord, frozen=True, forbid_unknown_fields=True):
    """The customer gives this claim up."""


class Agreement(ClaimWord, frozen=True, forbid_unknown_fields=True):
    """The customer agrees to these outcome statements (their digests, in the order of the transaction)."""

    statements: Annotated[tuple[Hex32, ...], Meta(min_length=1, max_length=MAX_AGREED)]


class Complaint(ClaimWord, frozen=True, forbid_unknown_fields=True):
    """The customer disputes the decision of this attempt. `disclosure_commit`: of what the arbiter gets."""

    complaint_commit: Hex32
    disclosure_commit: Hex32


class ReopeningRequest(ClaimWord, frozen=True, forbid_unknown_fields=True):
    """The customer asks to decide again, for a reason or on evidence that is committed to."""

    reason_commit: Hex32


class EscalationRequest(ClaimWord, frozen=True, forbid_unknown_fields=True):
    """The customer calls the arbiter: this deadline is over."""

    deadline: Deadline
