"""After a decision: dispute and ruling, agreement, reopening, and the audit lottery."""

from typing import Any

import pytest
from msgspec import structs

from contracts import bodies
from contracts.auditing import DENOMINATOR, apply_audit, find_obliged, is_drawn
from contracts.claimbodies import ClaimAudit
from contracts.claimlife import MAX_ATTEMPTS, MAX_AUDITS, Audit
from contracts.deadlines import put_claim
from contracts.errors import Refusal
from contracts.holdbodies import RecoveryOpen
from contracts.identifiers import derive_payout_id
from contracts.operations import BlockContext, Operation, Speaker
from contracts.states import read_account, read_participant, read_payout
from tests.support.claim_lives import Lives, code, make_lives, sent_by
from tests.support.network_builder import Customer, make_bytes, make_hex


@pytest.fixture
def lives() -> Lives:
    return make_lives()


def close(lives: Lives, claim_id: str) -> None:
    assert lives.do("claim.close", bodies.ClaimClose(claim_id), "insurer", ("tpa",)).code == "ok"


# -- disputes and rulings


def test_a_ruling_supersedes_and_earlier_payouts_stay(lives: Lives) -> None:
    at = lives.reach("DISPUTED")
    before = lives.claim(at[1])
    assert sent_by(lives, "tpa", "claim.ruling/award", at) == "NOT_THE_ARBITER"
    stale = lives.make_adjudication(at[1], ("commission",)).statements
    assert code(lives, "claim.ruling/award", at, statements=stale) == "ATTEMPT_MISMATCH"
    assert (
        code(lives, "claim.ruling/award", at, statements=lives.statements(at[1], "insurer"))
        == "ARBITER_SIGNATURE_MISSING"
    )
    assert code(lives, "claim.ruling/award", at) == "ok"
    after = lives.claim(at[1])
    policy_id = after.policies[0].policy_id
    assert (after.status, after.attempt, after.lived.ruled_attempt) == ("DECIDED", 2, 2)
    assert after.payouts == (*before.payouts, derive_payout_id(at[1], policy_id, 2))
    for payout_id in after.payouts:
        payout = read_payout(lives.state.read, payout_id)
        assert payout is not None
        assert payout.status == "AUTHORISED"
    account = read_account(lives.state.read, after.policies[0].account_id)
    assert account is not None
    assert account.version == 2
    assert code(lives, "claim.dispute", at) == "RULED_ALREADY"


def test_a_dismissal_is_final_for_its_attempt(lives: Lives) -> None:
    at = lives.reach("DISPUTED")
    assert code(lives, "claim.ruling/dismiss", at) == "ok"
    claim = lives.claim(at[1])
    assert (claim.status, claim.attempt, len(claim.payouts)) == ("DECIDED", 1, 1)
    assert code(lives, "claim.dispute", at) == "RULED_ALREADY"
    assert code(lives, "claim.reopen", at) == "ok", "new evidence opens it again"


def test_a_dispute_token_is_used_once(lives: Lives) -> None:
    at = lives.reach("DECIDED")
    token = lives.make("claim.dispute", *at).body.token
    assert code(lives, "claim.dispute", at, token=token) == "ok"
    assert code(lives, "claim.dispute", at, token=token) == "WRONG_STATE"
    lives.act("claim.ruling/award", *at)
    assert code(lives, "claim.dispute", at, token=token) == "ATTEMPT_MISMATCH"


def test_a_closed_claim_is_open_while_it_is_disputed(lives: Lives) -> None:
    at = lives.reach("CLOSED")
    assert code(lives, "claim.dispute", at) == "ok"
    assert lives.claim(at[1]).closed_ms is None
    lives.act("claim.ruling/dismiss", *at)
    close(lives, at[1])


def test_a_ruling_waits_for_the_account(lives: Lives) -> None:
    at = lives.reach("DISPUTED")
    policy_id = lives.claim(at[1]).policies[0].policy_id
    other = lives.grant(policy_id)
    lives.publish(other, "admission")
    lives.accept(lives.claim_id(other))
    assert code(lives, "claim.ruling/award", at) == "ACCOUNT_LEASED"


# -- agreement


@pytest.mark.parametrize(("status", "attempt"), [("IN_REVIEW", 1), ("DISPUTED", 2)])
def test_an_agreement_is_about_these_statements(lives: Lives, status: str, attempt: int) -> None:
    at = lives.reach(status)
    other = lives.make("claim.negotiate", *at).body
    assert code(lives, "claim.negotiate", at, statements=other.statements) == "AGREEMENT_MISMATCH"
    assert sent_by(lives, "insurer-two", "claim.negotiate", at) == "NOT_THE_INSURER"
    assert code(lives, "claim.negotiate", at) == "ok"
    assert (lives.status(at[1]), lives.claim(at[1]).attempt) == ("DECIDED", attempt)


def test_an_agreement_takes_the_co_adjudicator(lives: Lives) -> None:
    at = lives.reach("IN_REVIEW")
    sent = lives.make("claim.negotiate", *at)
    alone = tuple(
        structs.replace(item, signatures=tuple(one for one in item.signatures if one.participant == "insurer"))
        for item in sent.body.statements
    )
    body = structs.replace(sent.body, statements=alone)
    assert lives.do(sent.kind, body, "insurer").code == "CO_ADJUDICATOR_MISSING"


# -- reopening


def test_a_reopened_claim_is_decided_again_and_pays_apart(lives: Lives) -> None:
    at = lives.reach("CLOSED")
    assert sent_by(lives, "insurer-two", "claim.reopen", at, token=None) == "NOT_THE_INSURER"
    assert code(lives, "claim.reopen", at, reason_commit=make_hex("another")) == "CLAIM_MISMATCH"
    assert sent_by(lives, "insurer", "claim.reopen", at, token=None) == "ok"
    claim = lives.claim(at[1])
    assert (claim.status, claim.attempt, claim.decided_ms, claim.closed_ms) == ("EVIDENCE_COMPLETE", 2, None, None)
    assert claim.ready_ms == lives.now_ms
    assert code(lives, "claim.adjudicate", at) == "LEASE_MISSING"
    lives.accept(at[1])
    assert code(lives, "claim.adjudicate", at) == "ok"
    assert len(lives.claim(at[1]).payouts) == 2
    close(lives, at[1])


@pytest.mark.parametrize("paid", [False, True])
def test_what_an_attempt_before_paid_can_be_recovered(lives: Lives, paid: bool) -> None:
    at = lives.reach("DECIDED")
    policy_id = lives.claim(at[1]).policies[0].policy_id
    body = RecoveryOpen(at[1], policy_id, make_hex("recovery"), None, None)
    if paid:
        lives.pay(derive_payout_id(at[1], policy_id, 1))
    assert lives.do("recovery.open", body, "insurer", ("tpa",)).code == "NOTHING_ADVANCED", "nothing was paid before it"
    assert code(lives, "claim.reopen", at) == "ok"
    lives.accept(at[1])
    assert code(lives, "claim.adjudicate", at) == "ok"
    expected = "ok" if paid else "NOTHING_ADVANCED"
    assert lives.do("recovery.open", body, "insurer", ("tpa",)).code == expected


def test_a_claim_is_decided_a_bounded_number_of_times(lives: Lives) -> None:
    at = lives.reach("DECIDED")
    for _ in range(MAX_ATTEMPTS - 1):
        assert code(lives, "claim.reopen", at) == "ok"
        lives.accept(at[1])
        assert code(lives, "claim.adjudicate", at) == "ok"
    assert code(lives, "claim.reopen", at) == "ATTEMPTS_USED"
    assert code(lives, "claim.dispute", at) == "ok"
    assert code(lives, "claim.ruling/award", at) == "ATTEMPTS_USED"
    assert code(lives, "claim.ruling/dismiss", at) == "ok"


@pytest.mark.parametrize(
    ("status", "expected"), [("DECIDED", "EVIDENCE_COMPLETE"), ("CLOSED", "CLOSED"), ("IN_REVIEW", "IN_REVIEW")]
)
def test_a_red_invoice_opens_what_was_decided_on_its_blue_one(lives: Lives, status: str, expected: str) -> None:
    customer, claim_id = lives.start()
    lives.accept(claim_id)
    records = lives.publish(customer, "discharge", "invoice")
    blue = make_hex("blue invoice")
    endorsed = tuple(
        lives.make_endorsement(item, **({"nullifier": blue} if item.record_type == "invoice" else {}))
        for item in records
    )
    lives.do(
        "record.endorse", bodies.RecordEndorse(endorsed, (lives.make_completion(customer, records),)), "commission"
    )
    if status == "IN_REVIEW":
        lives.act("claim.review/open", customer, claim_id)
    else:
        lives.act("claim.adjudicate", customer, claim_id)
    if status == "CLOSED":
        close(lives, claim_id)
    (red,) = lives.publish(customer, "invoice")
    receipt = lives.do(
        "record.endorse", bodies.RecordEndorse((lives.make_endorsement(red, reverses=blue),), ()), "commission"
    )
    assert receipt.code == "ok"
    assert lives.status(claim_id) == expected
    if expected == "EVIDENCE_COMPLETE":
        assert lives.claim(claim_id).attempt == 2
        assert "claim.reopened" in [event.topic for event in receipt.results[0].events]
        lives.finish_case(customer)
        lives.accept(claim_id)
        assert lives.act("claim.adjudicate", customer, claim_id).code == "ok"


# -- audits


def audit(lives: Lives, at: tuple[Customer, str], author: str = "auditor", **changes: Any) -> str:
    return sent_by(lives, author, "claim.audit", at, **changes)


def test_who_audits_and_how_often(lives: Lives) -> None:
    at = lives.reach("DECIDED")
    assert audit(lives, at, "commission") == "NOT_GRANTED"
    assert audit(lives, at, attempt=2) == "ATTEMPT_MISMATCH"
    assert audit(lives, at, code="differs") == "ok"
    assert audit(lives, at) == "AUDITED_ALREADY"
    lives.act("claim.dispute", *at)
    lives.act("claim.ruling/award", *at)
    assert audit(lives, at) == "ok", "each attempt once"
    assert [(item.attempt, item.code) for item in lives.claim(at[1]).lived.audits] == [(1, "differs"), (2, "same")]


def test_an_auditor_of_the_insurers_group_does_not_count() -> None:

    lives = make_lives()
    _, claim_id = lives.reach("DECIDED")
    owned = read_participant(lives.state.read, "auditor")
    assert owned is not None
    operation = operation_of(lives, "auditor")
    operation.put("auditor", structs.replace(owned, control_group="insurer"))
    with pytest.raises(Refusal) as caught:
        apply_audit(operation, ClaimAudit(claim_id, 1, "same", make_hex("audit")))
    assert caught.value.code == "CONTROL_GROUP"


def test_audits_are_bounded() -> None:

    lives = make_lives()
    _, claim_id = lives.reach("DECIDED")
    operation = operation_of(lives, "auditor")
    claim = lives.claim(claim_id)
    many = tuple(Audit(f"auditor-{number}", 1, "same", make_hex("audit")) for number in range(MAX_AUDITS))
    put_claim(operation, claim_id, claim, structs.replace(claim.lived, audits=many))
    with pytest.raises(Refusal) as caught:
        apply_audit(operation, ClaimAudit(claim_id, 1, "same", make_hex("audit")))
    assert caught.value.code == "AUDITS_FULL"


def operation_of(lives: Lives, author: str) -> Operation:
    context = BlockContext(lives.genesis.network, lives.state.height + 1, lives.now_ms + 1, lives.state.read)
    return Operation(context, Speaker(author, frozenset()))


def test_the_lottery_draws_about_its_rate_and_everybody_the_same() -> None:
    headers = [make_bytes(f"header {number}") for number in range(4_000)]
    claim_id = make_hex("claim")
    drawn = sum(is_drawn(header, claim_id, 500) for header in headers)
    assert 140 < drawn < 260, "200 of 4,000 are expected"
    assert not any(is_drawn(header, claim_id, 0) for header in headers)
    assert all(is_drawn(header, claim_id, DENOMINATOR) for header in headers[:100])
    names = ["auditor", "commission", "commission-east"]
    assert find_obliged(headers[0], claim_id, names) == find_obliged(headers[0], claim_id, names[::-1])
    assert {find_obliged(header, claim_id, names) for header in headers[:100]} == set(names)
    assert find_obliged(headers[0], claim_id, []) is None
