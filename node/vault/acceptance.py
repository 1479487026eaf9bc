"""Who may send which parcel to whom, judged on final state. Pure.

A parcel is `ready` when the ledger shows that its sender may send it and its receiver may have it, `pending` while the
ledger does not know its subject yet (the parcel travelled faster than the block). The same rule serves a pull: a node
hands out what the asking node would accept from it. Must always hold: a document leaves and enters a vault only under
a consent in force that names both sides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from contracts.consentforce import find_bar, is_party
from contracts.holdstates import BatchState, read_batch, read_guarantee
from contracts.identifiers import derive_claim_id
from contracts.risksignals import SIGNALLERS
from contracts.riskstates import read_signal
from contracts.states import (
    ClaimState,
    ConsentState,
    read_case,
    read_claim,
    read_consent,
    read_participant,
    read_payout,
    read_policy,
    read_record,
)
from ledger.crypto.envelopes import recipient_key_id
from ledger.state import Reader
from node.vault.errors import ParcelRefused
from node.vault.parcels import Kind, Parcel

Verdict: TypeAlias = Literal["ready", "pending"]

SENDER_ROLES: Final[Mapping[str, frozenset[str]]] = {
    "record": frozenset({"hospital"}),
    "verdict": frozenset({"commission"}),
    "pool": frozenset({"commission", "insurer"}),
    "payee": frozenset({"hospital", "commission", "insurer", "tpa", "auditor"}),
    "account": frozenset({"insurer"}),
    "adjudication": frozenset({"insurer"}),
    "signatures": frozenset({"tpa", "commission", "auditor", "insurer"}),
    "decision": frozenset({"insurer"}),
    "notice": frozenset({"insurer"}),
    "signal": SIGNALLERS,
    "risk-notice": SIGNALLERS,
    "settlement": frozenset({"insurer"}),
    "closing": frozenset({"insurer"}),
    "closure": frozenset({"tpa", "commission", "auditor", "insurer"}),
    "restoring": frozenset({"insurer"}),
    "restored": frozenset({"tpa", "commission", "auditor", "insurer"}),
    "holding": frozenset({"insurer"}),
    "held": frozenset({"tpa", "commission", "auditor", "insurer"}),
    "draw": frozenset({"insurer"}),
    "batch": frozenset({"hospital"}),
    "batch-word": frozenset({"tpa", "insurer"}),
    "batch-payment": frozenset({"insurer"}),
}
WAITING: Final = frozenset({"CONSENT_NOT_YET", "CONSENT_UNRATIFIED"})
"""Reasons that time or a ratification removes: the parcel stays owed."""
KEPT_FOR_CUSTOMER: Final = frozenset({"decision", "notice", "settlement", "risk-notice"})
"""Kinds that a node of the case keeps for the customer without being able to open them."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One parcel between two participants, on final state."""

    read: Reader
    time_ms: int
    sender: str
    receiver: str
    subject: str
    case_id: str | None
    digest: str


def judge_parcel(read: Reader, time_ms: int, sender: str, receiver: str, parcel: Parcel, digest: str) -> Verdict:
    """Whether `receiver` may take this parcel from `sender`.

    Raises ParcelRefused `unknown_sender`, `role`, `not_addressed`, `no_party`, `not_author`, `digest`, `consent`,
    `subject`.
    """
    member = read_participant(read, sender)
    if member is None:
        raise ParcelRefused("unknown_sender", f"{sender} is no participant")
    if SENDER_ROLES[parcel.kind].isdisjoint(member.roles):
        raise ParcelRefused("role", f"{sender} holds no role that sends a parcel of kind {parcel.kind}")
    if parcel.kind not in KEPT_FOR_CUSTOMER:
        _check_addressed(read, receiver, parcel)
    return _RULES[parcel.kind](Transfer(read, time_ms, sender, receiver, parcel.subject, parcel.case_id, digest))


def _check_addressed(read: Reader, receiver: str, parcel: Parcel) -> None:
    member = read_participant(read, receiver)
    key_id = recipient_key_id(bytes.fromhex(member.envelope_key)) if member else ""
    if all(item.key_id != key_id for item in parcel.envelope.header.recipients):
        raise ParcelRefused("not_addressed", f"the envelope is not addressed to {receiver}")


def _judge_record(transfer: Transfer) -> Verdict:
    record = read_record(transfer.read, transfer.subject)
    if record is None:
        return "pending"
    _check_case(transfer, record.case_id)
    if record.hospital != transfer.sender:
        raise ParcelRefused("not_author", f"record {transfer.subject} is of another hospital")
    if record.ciphertext_digest != transfer.digest:
        raise ParcelRefused("digest", f"record {transfer.subject} was published with another ciphertext")
    consent = _require_consent(transfer, record.consent_id)
    _check_readable(transfer, consent)
    _check_party(transfer, consent, transfer.receiver)
    return "ready"


def _judge_verdict(transfer: Transfer) -> Verdict:
    record = read_record(transfer.read, transfer.subject)
    if record is None:
        return "pending"
    _check_case(transfer, record.case_id)
    consent = _require_consent(transfer, record.consent_id)
    if record.hospital != transfer.receiver or not consent.grants(transfer.sender, "endorse"):
        raise ParcelRefused("no_party", "a verdict goes from the endorsing commission to the record's hospital")
    return "ready"


def _judge_pool(transfer: Transfer) -> Verdict:
    case = read_case(transfer.read, transfer.subject)
    if case is None or case.complete_ms is None:
        return "pending"
    _check_case(transfer, transfer.subject)
    consent = _require_consent(transfer, case.consent_id)
    _check_party(transfer, consent, transfer.sender)
    _check_party(transfer, consent, transfer.receiver)
    return "ready"


def _judge_payee(transfer: Transfer) -> Verdict:
    consent = read_consent(transfer.read, transfer.subject)
    if consent is None:
        return "pending"
    _check_case(transfer, None)
    _check_party(transfer, consent, transfer.receiver)
    return "ready"


def _judge_to_adjudicator(transfer: Transfer) -> Verdict:
    claim = read_claim(transfer.read, transfer.subject)
    if claim is None:
        return "pending"
    _check_case(transfer, claim.case_id)
    if claim.insurer != transfer.sender or transfer.receiver not in _adjudicators(transfer.read, claim):
        raise ParcelRefused("no_party", "an insurer's openings go to its own policies' adjudicators")
    _check_undecided(transfer, claim)
    return "ready"


def _judge_from_adjudicator(transfer: Transfer) -> Verdict:
    claim = read_claim(transfer.read, transfer.subject)
    if claim is None:
        return "pending"
    _check_case(transfer, claim.case_id)
    if claim.insurer != transfer.receiver or transfer.sender not in _adjudicators(transfer.read, claim):
        raise ParcelRefused("no_party", "signatures come from the adjudicators of this node's own policies")
    _check_undecided(transfer, claim)
    return "ready"


def _judge_decision(transfer: Transfer) -> Verdict:
    claim = read_claim(transfer.read, transfer.subject)
    if claim is None:
        return "pending"
    _check_case(transfer, claim.case_id)
    return _judge_kept(transfer, claim.insurer, claim.consent_id, _adjudicators(transfer.read, claim))


def _judge_signal(transfer: Transfer) -> Verdict:
    """About a person: between parties of the case's consent. About a hospital: to whoever may give signals itself."""
    return _judge_risk(transfer, SIGNALLERS, is_told_to_others=True)


def _judge_risk_notice(transfer: Transfer) -> Verdict:
    """About a person: to nodes of the case, for the customer, whatever became of the consent. Of a hospital: to it."""
    return _judge_risk(transfer, frozenset({"hospital"}), is_told_to_others=False)


def _judge_risk(transfer: Transfer, without_case: frozenset[str], *, is_told_to_others: bool) -> Verdict:
    signal = read_signal(transfer.read, transfer.subject)
    if signal is None:
        return "pending"
    if signal.author != transfer.sender:
        raise ParcelRefused("not_author", f"the signal is not {transfer.sender}'s")
    if transfer.digest not in signal.delivered:
        raise ParcelRefused("digest", "the signal names other ciphertexts")
    if not signal.counts(transfer.time_ms):
        raise ParcelRefused("expired", "the signal counts for nothing any more")
    if transfer.case_id is None:
        member = read_participant(transfer.read, transfer.receiver)
        if member is None or without_case.isdisjoint(member.roles):
            raise ParcelRefused("no_party", f"{transfer.receiver} holds no role that this goes to")
        return "ready"
    case = read_case(transfer.read, transfer.case_id)
    if case is None:
        raise ParcelRefused("subject", "the ledger has no such case")
    consent = _require_consent(transfer, case.consent_id)
    if is_told_to_others:
        _check_readable(transfer, consent)
    _check_party(transfer, consent, transfer.sender)
    _check_party(transfer, consent, transfer.receiver)
    return "ready"


def _judge_settlement(transfer: Transfer) -> Verdict:
    payout = read_payout(transfer.read, transfer.subject)
    if payout is None:
        return "pending"
    claim = read_claim(transfer.read, payout.claim_id)
    _check_case(transfer, None if claim is None else claim.case_id)
    return _judge_kept(transfer, payout.insurer, payout.consent_id, frozenset())


def _judge_draw(transfer: Transfer) -> Verdict:
    """What was decided is brought to its end, whatever became of the consent."""
    guarantee = read_guarantee(transfer.read, transfer.subject)
    if guarantee is None or guarantee.draw_commit is None:
        return "pending"
    claim, policy = read_claim(transfer.read, guarantee.claim_id), read_policy(transfer.read, guarantee.policy_id)
    _check_case(transfer, None if claim is None else claim.case_id)
    told = {guarantee.hospital, *(policy.co_adjudicators if policy else ())}
    return _judge_way(transfer, guarantee.insurer, told)


def _judge_batch(transfer: Transfer) -> Verdict:
    return _judge_billing(transfer, lambda batch: (batch.hospital, {batch.insurer, batch.reviewer}))


def _judge_batch_word(transfer: Transfer) -> Verdict:
    return _judge_billing(transfer, lambda batch: (batch.reviewer, {batch.hospital, batch.insurer}))


def _judge_batch_payment(transfer: Transfer) -> Verdict:
    return _judge_billing(transfer, lambda batch: (batch.insurer, {batch.hospital}))


def _judge_billing(transfer: Transfer, way: Callable[[BatchState], tuple[str, set[str]]]) -> Verdict:
    batch = read_batch(transfer.read, transfer.subject)
    if batch is None:
        return "pending"
    _check_case(transfer, None)
    return _judge_way(transfer, *way(batch))


def _judge_way(transfer: Transfer, sender: str, receivers: set[str]) -> Verdict:
    if transfer.sender != sender:
        raise ParcelRefused("not_author", f"this is {sender}'s to send")
    if transfer.receiver not in receivers:
        raise ParcelRefused("no_party", f"{transfer.receiver} is no party of it")
    return "ready"


def _judge_kept(transfer: Transfer, insurer: str, consent_id: str, others: frozenset[str]) -> Verdict:
    if insurer != transfer.sender:
        raise ParcelRefused("not_author", "only the claim's insurer writes to its customer")
    consent = _require_consent(transfer, consent_id)
    if transfer.receiver not in others:
        _check_party(transfer, consent, transfer.receiver)
    return "ready"


def claim_of_case(case_id: str, insurer: str) -> str:
    """The id of an insurer's claim in a case, whether it exists or not."""
    return derive_claim_id(case_id, insurer)


def _adjudicators(read: Reader, claim: ClaimState) -> frozenset[str]:
    named: set[str] = set()
    for item in claim.policies:
        policy = read_policy(read, item.policy_id)
        if policy is not None:
            named |= {*policy.co_adjudicators, policy.escalation_to}
    return frozenset(named)


def _require_consent(transfer: Transfer, consent_id: str) -> ConsentState:
    consent = read_consent(transfer.read, consent_id)
    assert consent is not None, "what names a consent on the ledger was checked against it"
    return consent


def _check_case(transfer: Transfer, case_id: str | None) -> None:
    """The case on the label is the subject's: parcels are looked up by it."""
    if transfer.case_id != case_id:
        raise ParcelRefused("subject", "the parcel names another case than the ledger")


def _check_readable(transfer: Transfer, consent: ConsentState) -> None:
    """Nothing that a customer's documents are in, or were computed from, moves without a consent in force."""
    bar = find_bar(consent, transfer.time_ms)
    if bar in WAITING:
        raise ParcelRefused("consent_waits", "the consent has not begun, or waits to be ratified")
    if bar is not None:
        raise ParcelRefused("consent", "the consent is no longer in force")


def _check_undecided(transfer: Transfer, claim: ClaimState) -> None:
    """What leads to a decision stops with the consent; what was decided is brought to its end (contracts rule 10)."""
    if claim.decided_ms is None:
        _check_readable(transfer, _require_consent(transfer, claim.consent_id))


def _check_party(transfer: Transfer, consent: ConsentState, participant: str) -> None:
    if not is_party(consent, participant, transfer.time_ms):
        raise ParcelRefused("no_party", f"the consent does not name {participant}")


_RULES: Final[Mapping[Kind, Callable[[Transfer], Verdict]]] = {
    "record": _judge_record,
    "verdict": _judge_verdict,
    "pool": _judge_pool,
    "payee": _judge_payee,
    "account": _judge_to_adjudicator,
    "adjudication": _judge_to_adjudicator,
    "signatures": _judge_from_adjudicator,
    "decision": _judge_decision,
    "notice": _judge_decision,
    "signal": _judge_signal,
    "risk-notice": _judge_risk_notice,
    "settlement": _judge_settlement,
    "closing": _judge_to_adjudicator,
    "closure": _judge_from_adjudicator,
    "restoring": _judge_to_adjudicator,
    "restored": _judge_from_adjudicator,
    "holding": _judge_to_adjudicator,
    "held": _judge_from_adjudicator,
    "draw": _judge_draw,
    "batch": _judge_batch,
    "batch-word": _judge_batch_word,
    "batch-payment": _judge_batch_payment,
}
