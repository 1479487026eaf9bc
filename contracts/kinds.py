"""Which transaction kinds exist, what operations a body is made of, and what each costs before it executes.

Knows the list of kinds and the handler of each; no rule of any subject. A body becomes operations in the order
of its lists, one receipt result each. Must always hold: `KINDS` and `bodies.BODIES` name the same kinds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from msgspec import Struct, UnsetType

from contracts import (
    accounts,
    adjudication,
    auditing,
    batches,
    bodies,
    claimbodies,
    claims,
    claimwork,
    consents,
    deadlines,
    delegations,
    disputes,
    evidence,
    governance,
    guarantees,
    holdbodies,
    holds,
    offences,
    payouts,
    policies,
    records,
    recoveries,
    rekeying,
    releases,
    riskbodies,
    risksignals,
    withdrawals,
)
from contracts.consentbases import GrantedToken
from contracts.consentbodies import ConsentDelegate, ConsentRatify, ConsentRekey
from contracts.operations import Handler
from ledger.encoding import convert
from ledger.errors import DecodeError
from ledger.transactions import SignedTransaction

Step: TypeAlias = tuple[Handler, Any]
"""A handler and the item it is called with."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of transaction is taken apart."""

    body: type[Struct]
    steps: Callable[[Any], list[Step]]
    signatures: Callable[[Any], int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A transaction read against its schema. `fault` is the code that refuses it whole, `steps` is then empty."""

    signed: SignedTransaction
    steps: tuple[Step, ...]
    signatures: int
    fault: str | None

    @property
    def operations(self) -> int:
        """Results and log entries it will leave: one even where it is refused whole."""
        return len(self.steps) or 1


def prepare(signed: SignedTransaction) -> Prepared:
    """Take a transaction apart. Faults of kind and body are codes here, never errors: they become receipts."""
    content = signed.content
    own = 1 + len(content.endorsements)
    kind = KINDS.get(content.kind)
    if kind is None:
        return Prepared(signed, (), own, "UNKNOWN_KIND")
    try:
        body = convert(content.body, kind.body)
    except DecodeError:
        return Prepared(signed, (), own, "BODY_SCHEMA")
    steps = kind.steps(body)
    if not steps:
        return Prepared(signed, (), own, "BODY_SCHEMA")
    return Prepared(signed, tuple(steps), own + kind.signatures(body), None)


def _single(handler: Handler) -> Callable[[Any], list[Step]]:
    return lambda body: [(handler, body)]


def _each(handler: Handler, name: str) -> Callable[[Any], list[Step]]:
    return lambda body: [(handler, item) for item in getattr(body, name)]


def _grant_steps(body: bodies.ConsentGrant) -> list[Step]:
    attestations = () if isinstance(body.attestations, UnsetType) else body.attestations
    return [(consents.apply_grant, GrantedToken(token, attestations)) for token in body.tokens]


def _endorse_steps(body: bodies.RecordEndorse) -> list[Step]:
    endorsements: list[Step] = [(evidence.apply_endorse, item) for item in body.endorsements]
    return endorsements + [(evidence.apply_completion, item) for item in body.completions]


def _none(_: Any) -> int:
    return 0


def _one(_: Any) -> int:
    return 1


def _two(_: Any) -> int:
    return 2


def _count_tokens(body: bodies.ConsentGrant) -> int:
    return len(body.tokens) + (0 if isinstance(body.attestations, UnsetType) else len(body.attestations))


def _count_attested(body: ConsentRatify | ConsentRekey) -> int:
    return len(body.attestations) + int(body.token is not None)


def _count_token(body: Any) -> int:
    return int(body.token is not None)


def _count_payee_token(body: bodies.PayoutOrder) -> int:
    return int(isinstance(body.payee_token, str))


def _count_statements(body: Any) -> int:
    return sum(len(item.signatures) for item in body.statements)


def _count_agreed(body: claimbodies.ClaimNegotiate) -> int:
    return 1 + _count_statements(body)


def _count_possessions(body: bodies.GovernancePropose) -> int:
    return sum(isinstance(item, bodies.SeatGiven) for item in body.changes)


KINDS: Final[Mapping[str, Kind]] = {
    "consensus.evidence": Kind(bodies.ConsensusEvidence, _single(offences.apply_evidence), _two),
    "governance.propose": Kind(bodies.GovernancePropose, _single(governance.apply_propose), _count_possessions),
    "governance.vote": Kind(bodies.GovernanceVote, _single(governance.apply_vote), _none),
    "governance.freeze": Kind(bodies.GovernanceFreeze, _single(governance.apply_freeze), _none),
    "governance.withdraw": Kind(bodies.GovernanceWithdraw, _single(releases.apply_withdraw), _none),
    "policy.commit": Kind(bodies.PolicyCommit, _each(policies.apply_commit, "policies"), _none),
    "consent.grant": Kind(bodies.ConsentGrant, _grant_steps, _count_tokens),
    "consent.revoke": Kind(bodies.ConsentRevoke, _single(consents.apply_revoke), _one),
    "consent.delegate": Kind(ConsentDelegate, _single(delegations.apply_delegate), _none),
    "consent.ratify": Kind(ConsentRatify, _single(rekeying.apply_ratify), _count_attested),
    "consent.rekey": Kind(ConsentRekey, _single(rekeying.apply_rekey), _count_attested),
    "record.publish": Kind(bodies.RecordPublish, _each(records.apply_publish, "records"), _none),
    "record.endorse": Kind(bodies.RecordEndorse, _endorse_steps, _none),
    "claim.accept": Kind(bodies.ClaimAccept, _single(claims.apply_accept), _none),
    "claim.adjudicate": Kind(bodies.ClaimAdjudicate, _single(adjudication.apply_adjudicate), _count_statements),
    "claim.close": Kind(bodies.ClaimClose, _single(claims.apply_close), _none),
    "claim.request_evidence": Kind(claimbodies.ClaimRequestEvidence, _single(claimwork.apply_request_evidence), _none),
    "claim.suspend": Kind(claimbodies.ClaimSuspend, _single(claimwork.apply_suspend), _none),
    "claim.resume": Kind(claimbodies.ClaimResume, _single(claimwork.apply_resume), _none),
    "claim.review": Kind(claimbodies.ClaimReview, _single(claimwork.apply_review), _none),
    "claim.investigate": Kind(claimbodies.ClaimInvestigate, _single(claimwork.apply_investigate), _none),
    "claim.withdraw": Kind(claimbodies.ClaimWithdraw, _single(withdrawals.apply_withdraw), _count_token),
    "claim.negotiate": Kind(claimbodies.ClaimNegotiate, _single(disputes.apply_negotiate), _count_agreed),
    "claim.dispute": Kind(claimbodies.ClaimDispute, _single(disputes.apply_dispute), _one),
    "claim.ruling": Kind(claimbodies.ClaimRuling, _single(disputes.apply_ruling), _count_statements),
    "claim.reopen": Kind(claimbodies.ClaimReopen, _single(disputes.apply_reopen), _count_token),
    "claim.escalate": Kind(claimbodies.ClaimEscalate, _single(deadlines.apply_escalate), _count_token),
    "claim.audit": Kind(claimbodies.ClaimAudit, _single(auditing.apply_audit), _none),
    "payout.order": Kind(bodies.PayoutOrder, _single(payouts.apply_order), _count_payee_token),
    "payout.settle": Kind(bodies.PayoutSettle, _single(payouts.apply_settle), _none),
    "payout.ack": Kind(bodies.PayoutAck, _single(payouts.apply_ack), _one),
    "payout.fail": Kind(bodies.PayoutFail, _single(payouts.apply_fail), _none),
    "payout.contest": Kind(bodies.PayoutContest, _single(payouts.apply_contest), _one),
    "payout.lapse": Kind(bodies.PayoutLapse, _single(payouts.apply_lapse), _none),
    "account.amend": Kind(bodies.AccountAmend, _single(accounts.apply_amend), _count_token),
    "advance.pay": Kind(holdbodies.AdvancePay, _single(holds.apply_advance), _none),
    "recovery.open": Kind(holdbodies.RecoveryOpen, _single(recoveries.apply_open), _none),
    "recovery.settle": Kind(holdbodies.RecoverySettle, _single(recoveries.apply_settle), _count_token),
    "guarantee.issue": Kind(holdbodies.GuaranteeIssue, _single(holds.apply_issue), _none),
    "guarantee.draw": Kind(holdbodies.GuaranteeDraw, _single(guarantees.apply_draw), _none),
    "guarantee.release": Kind(holdbodies.GuaranteeRelease, _single(guarantees.apply_release), _none),
    "batch.submit": Kind(holdbodies.BatchSubmit, _single(batches.apply_submit), _none),
    "batch.review": Kind(holdbodies.BatchReview, _single(batches.apply_review), _none),
    "batch.settle": Kind(holdbodies.BatchSettle, _single(batches.apply_settle), _none),
    "batch.ack": Kind(holdbodies.BatchAck, _single(batches.apply_ack), _none),
    "risk.signal": Kind(riskbodies.RiskSignal, _single(risksignals.apply_signal), _none),
    "risk.appeal": Kind(riskbodies.RiskAppeal, _single(risksignals.apply_appeal), _count_token),
    "risk.withdraw": Kind(riskbodies.RiskWithdraw, _single(risksignals.apply_withdraw), _none),
}
"""Every kind this version executes."""
