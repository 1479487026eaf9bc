"""The closed schemas of every transaction body; those of a claim's byways stand in claimbodies. An unknown field is
refused; nothing personal has a field.

A body with a list carries one operation per item: one signature, one receipt each, judged one after the
other. Identifiers of claims, cases, pools, records, consents and payouts are derived (see identifiers).
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from contracts.claimbodies import CLAIM_BODIES, ClaimNegotiate, ClaimRuling
from contracts.consentbodies import CONSENT_BODIES, Attestations
from contracts.genesis import FinalityKey
from contracts.holdbodies import HOLD_BODIES
from contracts.riskbodies import RISK_BODIES
from contracts.statements import SignedStatement
from ledger.offences import Proof
from ledger.types import Count, Hex16, Hex32, Millis, Name, OrgId, Text

MAX_OPERATIONS = 500
"""Items in one body; the genesis limit may be lower."""
MAX_TOKEN_CHARS = 16_384
"""A consent token with every list at its bound is about 10 kB."""
MAX_CO_ADJUDICATORS = 8
MAX_POLICIES = 16
"""Policies of one insurer in one claim."""

MAX_CHANGES = 32
"""Changes in one proposal: more than any real change of a set needs, few enough to check within one block."""
MAX_OVERLAP_BLOCKS = 1_000_000
"""Blocks for which an old key may still count beside its successor."""

RecordType: TypeAlias = Literal["admission", "discharge", "invoice", "charges", "interim"]
MAX_RELEASE_BYTES = 256 * 1024
"""Program, tables and examples of one release together; the standard program takes 35 kB of it."""

Verdict: TypeAlias = Literal["accepted", "rejected"]
Token: TypeAlias = Annotated[str, Meta(max_length=MAX_TOKEN_CHARS)]
Attempt: TypeAlias = Annotated[int, Meta(ge=1, le=99)]
"""Of a payment: after 99 refusals by a bank people talk to each other."""


class _Body(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class PolicyCommitment(_Body, frozen=True):
    """One policy: commitments to its terms and first account, and who must agree to a payment under it."""

    policy_id: Hex16
    terms_commit: Hex32
    product_hash: Hex32
    account_id: Hex16
    account_v0_commit: Hex32
    co_adjudicators: Annotated[tuple[OrgId, ...], Meta(min_length=1, max_length=MAX_CO_ADJUDICATORS)]
    threshold: Annotated[int, Meta(ge=1, le=MAX_CO_ADJUDICATORS)]
    escalation_to: OrgId
    look_back_days: Annotated[int, Meta(ge=0, le=3660)]


class PolicyCommit(_Body, frozen=True):
    """`policy.commit`, by the insurer."""

    policies: Annotated[tuple[PolicyCommitment, ...], Meta(min_length=1, max_length=MAX_OPERATIONS)]


class ConsentGrant(_Body, frozen=True):
    """`consent.grant`, relayed by any participant: the customer's signature is inside each token. `attestations` of
    those that others signed for the customer name their token."""

    tokens: Annotated[tuple[Token, ...], Meta(min_length=1, max_length=MAX_OPERATIONS)]
    attestations: Attestations | UnsetType = UNSET


class ConsentRevoke(_Body, frozen=True):
    """`consent.revoke`: either a token signed with the consent's key, or the slip (preimage of revoke_hash)."""

    consent_id: Hex32
    token: Token | None
    slip: Hex32 | None


class PublishedRecord(_Body, frozen=True):
    """One record: commitments only. `padded_size` is a power of two from 64 kB."""

    case_id: Hex32
    consent_id: Hex32
    record_type: RecordType
    commitment: Hex32
    ciphertext_digest: Hex32
    padded_size: Count
    replaces: Hex32 | None


class RecordPublish(_Body, frozen=True):
    """`record.publish`, by the hospital."""

    records: Annotated[tuple[PublishedRecord, ...], Meta(min_length=1, max_length=MAX_OPERATIONS)]


class RecordEndorsement(_Body, frozen=True):
    """The commission's word on one record. `profile` names the rule set it was checked against.

    `nullifier` is given for invoices exactly; `reverses` for red ones: the nullifier of the original.
    A rejected record has no nullifier and the code `EVIDENCE_INVALID`.
    """

    record_id: Hex32
    commitment: Hex32
    profile: Name
    verdict: Verdict
    code: Name
    nullifier: Hex32 | None
    reverses: Hex32 | None


class EvidenceCompletion(_Body, frozen=True):
    """The records that together are the evidence of one case, and the loss pool's first version."""

    case_id: Hex32
    records: Annotated[tuple[Hex32, ...], Meta(min_length=1, max_length=MAX_OPERATIONS)]
    pool_commit: Hex32


class RecordEndorse(_Body, frozen=True):
    """`record.endorse`, by the commission: endorsements first, then completions, one operation each."""

    endorsements: Annotated[tuple[RecordEndorsement, ...], Meta(max_length=MAX_OPERATIONS)]
    completions: Annotated[tuple[EvidenceCompletion, ...], Meta(max_length=MAX_OPERATIONS)]


class ClaimAccept(_Body, frozen=True):
    """`claim.accept`, by the insurer: takes a lease on each account at the version it will adjudicate on."""

    claim_id: Hex32
    leases: Annotated[tuple["AccountLease", ...], Meta(min_length=1, max_length=MAX_POLICIES)]
    escalation_digest: Hex32


class AccountLease(_Body, frozen=True):
    """`escalation_digest` of the body is the ciphertext digest of these openings, sealed to `escalation_to`."""

    policy_id: Hex16
    account_version: Count


class ClaimAdjudicate(_Body, frozen=True):
    """`claim.adjudicate`, by the insurer: exactly one statement for each policy of the claim."""

    claim_id: Hex32
    statements: Annotated[tuple[SignedStatement, ...], Meta(min_length=1, max_length=MAX_POLICIES)]


Decision: TypeAlias = ClaimAdjudicate | ClaimNegotiate | ClaimRuling
"""What decides a claim: each has `claim_id` and `statements`; a ruling without any leaves what was decided."""


class ClaimClose(_Body, frozen=True):
    """`claim.close`, by the insurer; with the endorsement of a co-adjudicator where a payout was never due."""

    claim_id: Hex32


class PayoutOrder(_Body, frozen=True):
    """`payout.order`, by the insurer, before the payment file leaves. After a failure `payee_token` may be the payee's
    word on another account."""

    payout_id: Hex32
    attempt: Attempt
    order_commit: Hex32
    payee_token: Token | UnsetType = UNSET


class PayoutSettle(_Body, frozen=True):
    """`payout.settle`, by the insurer: the bank booked it; after a contest with another proof."""

    payout_id: Hex32
    attempt: Attempt
    settlement_commit: Hex32


class PayoutFail(_Body, frozen=True):
    """`payout.fail`, by the insurer: the bank rejected this attempt or sent the money back. `bank_commit` is the
    commitment of its message; silence of the bank is no failure."""

    payout_id: Hex32
    attempt: Attempt
    bank_commit: Hex32


class PayoutAck(_Body, frozen=True):
    """`payout.ack`: the payee's token over the payout and the settlement it saw. Relayed by anyone."""

    token: Token


class PayoutContest(_Body, frozen=True):
    """`payout.contest`: the payee's token that this settlement's money did not arrive. Relayed by anyone."""

    token: Token


class PayoutLapse(_Body, frozen=True):
    """`payout.lapse`, by any participant: the payee's time to contest is over."""

    payout_id: Hex32


class AccountAmend(_Body, frozen=True):
    """`account.amend`, by the insurer, endorsed by co-adjudicators as a verdict is: the next version of an account.

    Its cause is the paid payout whose outcome it `restores`, or else the insured's `token` over this version. With a
    payout comes the next version of the loss pool, without what that outcome paid; `pool_version` is the one before.
    """

    account_id: Hex16
    account_version: Count
    account_commit: Hex32
    restores: Hex32 | None
    token: Token | None
    pool_version: Count | None
    pool_commit: Hex32 | None


class SeatGiven(_Body, frozen=True, tag_field="change", tag="validator.seat"):
    """A seat for a participant, or other keys for the one it has. The signing key is registered and has no end."""

    participant: OrgId
    signing_key: Hex32
    finality_key: FinalityKey


class SeatTaken(_Body, frozen=True, tag_field="change", tag="validator.remove"):
    """The participant votes no more; it stays a member."""

    participant: OrgId


class KeyRotated(_Body, frozen=True, tag_field="change", tag="key.rotate"):
    """A new signing key from the next epoch's first block on; the key with the id `retires` counts for `overlap_blocks`
    blocks more. A seat held with the retired key goes over to the new one."""

    participant: OrgId
    public_key: Hex32
    retires: Hex16
    overlap_blocks: Annotated[int, Meta(ge=0, le=MAX_OVERLAP_BLOCKS)]


class Thawed(_Body, frozen=True, tag_field="change", tag="participant.thaw"):
    """What a frozen participant signs counts again."""

    participant: OrgId


class ContractRelease(_Body, frozen=True, tag_field="change", tag="contract.release"):
    """A claim contract of the author's, in force from `effective_ms` on, the start of a day.

    Each text is canonical JSON: a program bundle, the `product` of an adjudication case, a list of examples.
    `supersedes` is the product_hash of the newest release of the line that it continues, null for a new line.
    """

    product_code: Text
    title: Text
    program: Annotated[str, Meta(max_length=MAX_RELEASE_BYTES)]
    tables: Annotated[str, Meta(max_length=MAX_RELEASE_BYTES)]
    examples: Annotated[str, Meta(max_length=MAX_RELEASE_BYTES)]
    contract_hash: Hex32
    tables_hash: Hex32
    supersedes: Hex32 | None
    effective_ms: Millis


class ContractWithdrawn(_Body, frozen=True, tag_field="change", tag="contract.withdraw"):
    """The release is no more in force, from the block on in which this passes."""

    product_hash: Hex32
    reason: Literal["fault", "law", "market"]


Change: TypeAlias = SeatGiven | SeatTaken | KeyRotated | Thawed | ContractRelease | ContractWithdrawn


class GovernancePropose(_Body, frozen=True):
    """`governance.propose`, by any participant. Applied as a whole and in order when it has passed; `expires_ms` is the
    block time after which votes for it are refused."""

    changes: Annotated[tuple[Change, ...], Meta(min_length=1, max_length=MAX_CHANGES)]
    expires_ms: Millis


class GovernanceVote(_Body, frozen=True):
    """`governance.vote`, by a participant with a seat: yes. There is no other vote."""

    proposal_id: Hex32


class GovernanceWithdraw(_Body, frozen=True):
    """`governance.withdraw`, by its author: an open proposal about a claim contract is taken back."""

    proposal_id: Hex32


class GovernanceFreeze(_Body, frozen=True):
    """`governance.freeze`, by a participant with a seat outside the other's control group."""

    participant: OrgId


class ConsensusEvidence(Proof, frozen=True):
    """`consensus.evidence`, by any participant: two statements that no honest validator signs both."""


BODIES: dict[str, type[Struct]] = {
    "consensus.evidence": ConsensusEvidence,
    "governance.propose": GovernancePropose,
    "governance.vote": GovernanceVote,
    "governance.freeze": GovernanceFreeze,
    "governance.withdraw": GovernanceWithdraw,
    "policy.commit": PolicyCommit,
    "consent.grant": ConsentGrant,
    "consent.revoke": ConsentRevoke,
    "record.publish": RecordPublish,
    "record.endorse": RecordEndorse,
    "claim.accept": ClaimAccept,
    "claim.adjudicate": ClaimAdjudicate,
    "claim.close": ClaimClose,
    **CLAIM_BODIES,
    **CONSENT_BODIES,
    "payout.order": PayoutOrder,
    "payout.settle": PayoutSettle,
    "payout.ack": PayoutAck,
    "payout.fail": PayoutFail,
    "payout.contest": PayoutContest,
    "payout.lapse": PayoutLapse,
    "account.amend": AccountAmend,
    **HOLD_BODIES,
    **RISK_BODIES,
}
"""Every kind this version executes. Any other kind is refused `UNKNOWN_KIND`."""
