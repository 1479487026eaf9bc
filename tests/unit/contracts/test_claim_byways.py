"""A claim off its straight way, guard by guard: missing documents, suspension, four eyes, withdrawal, escalation."""

from typing import Any

import pytest
from msgspec import structs

from contracts import bodies, claimbodies
from contracts.claimlife import elapsed_ms
from contracts.claimtokens import WITHDRAWAL_TYPE, Withdrawal
from contracts.genesis import Parameters
from contracts.identifiers import derive_pool_id
from contracts.states import read_account, read_case, read_payout, read_pool
from tests.support.claim_lives import REASON, Lives, code, make_lives, sent_by
from tests.support.network_builder import DAY_MS, HOUR_MS, make_genesis, make_hex

# -- missing documents


def test_documents_are_asked_for_once_and_in_a_list_that_both_can_read() -> None:
    lives = make_lives()
    at = lives.reach("EVIDENCE_COMPLETE")
    readers = lives.readers(at[0])
    for unread in ((readers[0], readers[0]), (readers[1], readers[1])):
        assert code(lives, "claim.request_evidence", at, delivered=unread) == "DELIVERY_MISSING"
    assert code(lives, "claim.request_evidence", at) == "ok"
    lives.finish_case(at[0])
    assert lives.status(at[1]) == "EVIDENCE_COMPLETE"
    assert code(lives, "claim.request_evidence", at) == "EVIDENCE_REQUESTED"


def test_a_request_before_the_case_is_complete_ends_with_it() -> None:
    lives = make_lives()
    at = lives.reach("FILED")
    assert code(lives, "claim.request_evidence", at) == "ok"
    assert lives.claim(at[1]).lived.paused_since is None, "no clock runs before the case is complete"
    lives.finish_case(at[0])
    assert (lives.status(at[1]), lives.claim(at[1]).ready_ms) == ("EVIDENCE_COMPLETE", lives.now_ms)


def test_a_case_completed_again_has_its_next_pool_and_its_first_hour() -> None:
    lives = make_lives()
    at = lives.reach("EVIDENCE_PENDING")
    before = read_case(lives.state.read, at[0].case_id)
    lives.finish_case(at[0])
    after, pool = read_case(lives.state.read, at[0].case_id), read_pool(lives.state.read, derive_pool_id(at[0].case_id))
    assert before is not None
    assert after is not None
    assert pool is not None
    assert after.complete_ms == before.complete_ms
    assert after.evidence_root != before.evidence_root
    assert pool.version == 1
    lives.act("claim.adjudicate", *at)
    records = lives.publish(at[0], "discharge", "invoice")
    body = bodies.RecordEndorse(
        tuple(lives.make_endorsement(item) for item in records), (lives.make_completion(at[0], records),)
    )
    assert lives.do("record.endorse", body, "commission").results[-1].code == "WRONG_STATE"


@pytest.mark.parametrize(
    ("author", "expected"),
    [
        ("tpa-owned", "ok"),
        ("tpa", "NOT_THE_HANDLER"),
        ("insurer-two", "NOT_THE_HANDLER"),
        ("hospital", "NOT_THE_HANDLER"),
    ],
)
def test_the_handler_is_the_insurer_or_its_own_tpa(author: str, expected: str) -> None:
    lives = make_lives()
    at = lives.reach("EVIDENCE_COMPLETE")
    for action in ("claim.request_evidence", "claim.suspend", "claim.review/open"):
        assert sent_by(lives, author, action, lives.reach("EVIDENCE_COMPLETE")) == expected, action
    assert lives.status(at[1]) == "EVIDENCE_COMPLETE"


# -- suspension and the clock


def test_what_a_case_becomes_meanwhile_is_remembered() -> None:
    lives = make_lives()
    at = lives.reach("FILED")
    assert code(lives, "claim.suspend", at) == "ok"
    lives.finish_case(at[0])
    claim = lives.claim(at[1])
    assert (claim.status, claim.ready_ms, claim.lived.paused_since) == ("SUSPENDED", lives.now_ms, lives.now_ms)
    assert code(lives, "claim.resume", at) == "ok"
    assert lives.status(at[1]) == "EVIDENCE_COMPLETE"


def test_a_pause_does_not_count_and_a_long_one_counts_again() -> None:
    lives = Lives(make_genesis(parameters=Parameters(decide_ms=DAY_MS, pause_max_ms=10 * HOUR_MS)))
    customer, claim_id = at = lives.start()
    lives.accept(claim_id)
    lives.finish_case(customer)
    ready_ms = lives.now_ms
    for hours, pauses in ((3, False), (4, True), (20, True)):
        code(lives, "claim.suspend", at, pauses_clock=pauses)
        lives.wait(hours * HOUR_MS)
        code(lives, "claim.resume", at)
    claim = lives.claim(claim_id)
    assert claim.ready_ms == ready_ms
    assert 24 * HOUR_MS <= claim.lived.paused_ms < 25 * HOUR_MS
    counted = elapsed_ms(claim.lived, ready_ms, lives.now_ms, 10 * HOUR_MS)
    assert counted == lives.now_ms - ready_ms - 10 * HOUR_MS
    assert sent_by(lives, "hospital", "claim.escalate", at) == "ESCALATION_EARLY"
    lives.wait(8 * HOUR_MS)
    assert sent_by(lives, "hospital", "claim.escalate", at) == "ok"


def test_an_earlier_rank_that_is_paused_keeps_its_turn_for_as_long() -> None:
    lives = Lives(make_genesis(parameters=Parameters(decide_ms=DAY_MS)))
    first, second = lives.commit_policy(), lives.commit_policy("insurer-two")
    customer = lives.grant(first.policy_id, second.policy_id)
    lives.publish(customer, "admission")
    claims = [lives.claim_id(customer, name) for name in ("insurer", "insurer-two")]
    for claim_id, name in zip(claims, ("insurer", "insurer-two"), strict=True):
        lives.accept(claim_id, name)
    lives.finish_case(customer)
    lives.act("claim.suspend", customer, claims[0])
    lives.wait(3 * DAY_MS)
    body = lives.make_adjudication(claims[1], ("insurer-two", "tpa"))
    assert lives.do("claim.adjudicate", body, "insurer-two").code == "RANK_NOT_REACHED"
    lives.act("claim.withdraw", customer, claims[0])
    body = lives.make_adjudication(claims[1], ("insurer-two", "tpa"))
    assert lives.do("claim.adjudicate", body, "insurer-two").code == "ok", "a withdrawn claim holds no turn"


# -- four eyes


def test_a_review_is_released_by_another_in_a_co_adjudicators_word() -> None:
    lives = make_lives()
    at = lives.reach("IN_REVIEW")
    preparer = lives.claim(at[1]).lived.preparer_commit
    assert code(lives, "claim.review/release", at, person_commit=preparer) == "FOUR_EYES"
    for endorsers in ((), ("commission",), ("tpa-owned",), ("auditor",)):
        assert sent_by(lives, "insurer", "claim.review/release", at, *endorsers) == "CO_ADJUDICATOR_MISSING"
    assert code(lives, "claim.review/release", at) == "ok"
    life = lives.claim(at[1]).lived
    assert life.reviewer_commit not in (None, preparer)


def test_a_complex_claim_has_longer() -> None:
    lives = Lives(make_genesis(parameters=Parameters(decide_ms=HOUR_MS, complex_decide_ms=DAY_MS)))
    customer, claim_id = at = lives.start()
    lives.accept(claim_id)
    lives.finish_case(customer)
    assert code(lives, "claim.review/open", at, is_complex=True) == "ok"
    lives.wait(2 * HOUR_MS)
    assert code(lives, "claim.escalate", at) == "ESCALATION_EARLY"
    lives.wait(DAY_MS)
    assert code(lives, "claim.escalate", at) == "ok"


# -- withdrawal


def test_a_withdrawal_sets_the_account_free() -> None:
    lives = make_lives()
    customer, claim_id = at = lives.reach("SUSPENDED")
    account_id = lives.claim(claim_id).policies[0].account_id
    token = lives.word(customer, claim_id, WITHDRAWAL_TYPE, Withdrawal)
    assert code(lives, "claim.withdraw", at, restored=_some_restoration(lives, claim_id)) == "NOTHING_TO_RESTORE"
    assert code(lives, "claim.withdraw", at, token=None) == "WITHDRAWAL_CAUSE"
    assert code(lives, "claim.withdraw", at, duplicate_of=claim_id) == "WITHDRAWAL_CAUSE"
    assert code(lives, "claim.withdraw", at, token=token) == "ok"
    account = read_account(lives.state.read, account_id)
    assert account is not None
    assert (account.lease, account.version) == (None, 0)
    assert code(lives, "claim.withdraw", at, token=token) == "WRONG_STATE", "twice"


def _some_restoration(lives: Lives, claim_id: str) -> claimbodies.Restoration:
    item = claimbodies.RestoredAccount(lives.claim(claim_id).policies[0].policy_id, 0, make_hex("x"))
    return claimbodies.Restoration((item,), 0, make_hex("y"))


def test_tokens_of_others_and_of_other_attempts_say_nothing() -> None:
    lives = make_lives()
    customer, claim_id = at = lives.reach("EVIDENCE_COMPLETE")
    other, other_id = lives.reach("FILED")
    cases: list[tuple[str, dict[str, Any]]] = [
        ("NETWORK_MISMATCH", {"network": "other.net"}),
        ("CONSENT_MISMATCH", {"consent_id": other.consent_id}),
        ("ATTEMPT_MISMATCH", {"attempt": 2}),
        ("TOKEN_SCHEMA", {"nonce": "no"}),
    ]
    for expected, wrong in cases:
        token = lives.word(customer, claim_id, WITHDRAWAL_TYPE, Withdrawal, **wrong)
        assert code(lives, "claim.withdraw", at, token=token) == expected
    foreign = lives.word(other, claim_id, WITHDRAWAL_TYPE, Withdrawal, consent_id=customer.consent_id)
    assert code(lives, "claim.withdraw", at, token=foreign) == "TOKEN_SIGNATURE"
    theirs = lives.word(other, other_id, WITHDRAWAL_TYPE, Withdrawal)
    assert code(lives, "claim.withdraw", at, token=theirs) == "CLAIM_MISMATCH"
    unknown = lives.word(customer, claim_id, WITHDRAWAL_TYPE, Withdrawal, claim_id=make_hex("no claim"))
    assert code(lives, "claim.withdraw", at, token=unknown) == "CLAIM_UNKNOWN"


def test_a_decision_is_given_back_whole_or_not_at_all() -> None:
    lives = make_lives()
    at = lives.reach("DECIDED")
    claim = lives.claim(at[1])
    right = lives.make_restoration(at[1])
    stale = structs.replace(right.accounts[0], account_version=0)
    cases: list[tuple[str, Any]] = [
        ("RESTORATION_MISSING", None),
        ("ACCOUNT_VERSION", structs.replace(right, accounts=(stale,))),
        ("POLICY_SET_INCOMPLETE", structs.replace(right, accounts=(right.accounts[0], right.accounts[0]))),
        ("POOL_VERSION", structs.replace(right, pool_version=right.pool_version + 1)),
    ]
    for expected, restored in cases:
        assert code(lives, "claim.withdraw", at, restored=restored) == expected
    assert sent_by(lives, "insurer", "claim.withdraw", at) == "CO_ADJUDICATOR_MISSING"
    assert sent_by(lives, "hospital-two", "claim.withdraw", at, "tpa") == "NOT_THE_INSURER"
    assert code(lives, "claim.withdraw", at) == "ok"
    payout, account = (
        read_payout(lives.state.read, claim.payouts[0]),
        read_account(lives.state.read, claim.policies[0].account_id),
    )
    assert payout is not None
    assert account is not None
    assert (payout.status, account.version, account.cause) == ("RELEASED", 2, f"withdraw/{at[1]}")
    order = bodies.PayoutOrder(claim.payouts[0], 1, make_hex("order"))
    assert lives.do("payout.order", order, "insurer").code == "WRONG_STATE"


def test_what_was_ordered_is_not_withdrawn() -> None:
    lives = make_lives()
    at = lives.reach("DECIDED")
    lives.do("payout.order", bodies.PayoutOrder(lives.claim(at[1]).payouts[0], 1, make_hex("order")), "insurer")
    assert code(lives, "claim.withdraw", at) == "PAYOUT_ORDERED"


def test_a_duplicate_takes_two_organisations() -> None:
    lives = make_lives()
    policy = lives.commit_policy()
    claims = []
    for _ in range(2):
        customer = lives.grant(policy.policy_id)
        lives.publish(customer, "admission")
        claims.append((customer, lives.claim_id(customer)))
    (_, first), at = claims[0], claims[1]
    said: dict[str, Any] = {"token": None, "duplicate_of": first}
    assert sent_by(lives, "tpa", "claim.withdraw", at, **said) == "SECOND_VOICE_MISSING"
    assert sent_by(lives, "tpa", "claim.withdraw", at, "hospital-two", **said) == "SECOND_VOICE_MISSING"
    assert sent_by(lives, "tpa-owned", "claim.withdraw", at, "hospital", **said) == "NOT_GRANTED"
    assert sent_by(lives, "insurer", "claim.withdraw", at, "hospital", **said) == "ROLE_MISSING"
    _, foreign = lives.start()
    for other in (at[1], foreign):
        wrong = {"token": None, "duplicate_of": other}
        assert sent_by(lives, "tpa", "claim.withdraw", at, "hospital", **wrong) == "NO_DUPLICATE"
    assert sent_by(lives, "tpa", "claim.withdraw", at, "hospital", **said) == "ok"
    decided = lives.reach("DECIDED")
    twin = {"token": None, "duplicate_of": decided[1], "restored": None}
    assert sent_by(lives, "tpa", "claim.withdraw", decided, "hospital", **twin) in ("NO_DUPLICATE", "WRONG_STATE")


# -- escalation


def test_who_can_escalate_and_when() -> None:
    lives = make_lives()
    customer, claim_id = at = lives.reach("EVIDENCE_COMPLETE")
    for stranger in ("hospital-two", "insurer", "insurer-two", "auditor", "tpa-owned"):
        assert sent_by(lives, stranger, "claim.escalate", at) == "NOT_A_PARTY"
    for early in ("accept", "settle"):
        assert code(lives, "claim.escalate", at, deadline=early) == "ESCALATION_EARLY"
    token = lives.escalation_word(customer, claim_id, "settle")
    assert sent_by(lives, "hospital-two", "claim.escalate", at, token=token) == "CLAIM_MISMATCH"
    token = lives.escalation_word(customer, claim_id, "decide")
    assert sent_by(lives, "hospital-two", "claim.escalate", at, token=token) == "ok"
    assert sent_by(lives, "tpa", "claim.escalate", at) == "ESCALATED_ALREADY"
    assert sent_by(lives, "insurer", "claim.escalate", at, deadline="co_sign") == "ok"
    assert [(item.deadline, item.by) for item in lives.claim(claim_id).lived.escalations] == [
        ("decide", "customer"),
        ("co_sign", "insurer"),
    ]


def test_the_arbiter_stands_for_the_silent_one_and_no_more() -> None:
    lives = make_lives()
    at = lives.reach("EVIDENCE_COMPLETE")
    assert code(lives, "claim.adjudicate/substitute", at) == "ESCALATION_MISSING"
    lives.act("claim.escalate", *at)
    made = lives.make_adjudication

    def judged(*signers: str) -> str:
        return lives.do("claim.adjudicate", made(at[1], signers), "commission").code

    assert judged("insurer", "tpa") == "ARBITER_SIGNATURE_MISSING"
    assert judged("commission") == "CO_ADJUDICATOR_MISSING"
    assert judged("commission", "tpa-owned") == "CO_ADJUDICATOR_MISSING"
    assert (
        lives.do("claim.adjudicate", made(at[1], ("insurer", "commission")), "insurer").code == "CO_ADJUDICATOR_MISSING"
    )
    lives.act("claim.escalate", *at, deadline="co_sign")
    assert judged("commission") == "ok"
    assert lives.status(at[1]) == "DECIDED"


def test_an_arbiter_that_is_a_co_adjudicator_too_has_one_voice() -> None:
    lives = make_lives()
    policy = lives.commit_policy(co_adjudicators=("commission", "tpa"))
    draft = lives.make_consent([policy.policy_id])
    both = tuple(
        structs.replace(item, purposes=("endorse", "co-adjudicate")) if item.participant == "commission" else item
        for item in draft.consent.grantees
    )
    customer = lives.grant(policy.policy_id, grantees=both)
    claim_id = lives.claim_id(customer)
    lives.publish(customer, "admission")
    lives.accept(claim_id)
    lives.finish_case(customer)
    lives.wait(6 * DAY_MS)
    assert lives.act("claim.escalate", customer, claim_id).code == "ok"
    alone, together = (lives.make_adjudication(claim_id, names) for names in (("commission",), ("commission", "tpa")))
    assert lives.do("claim.adjudicate", alone, "commission").code == "CO_ADJUDICATOR_MISSING"
    assert lives.do("claim.adjudicate", together, "commission").code == "ok"


def test_the_insurer_goes_on_with_the_arbiter_where_co_signers_are_silent() -> None:
    lives = make_lives()
    at = lives.reach("EVIDENCE_COMPLETE")
    lives.do("claim.escalate", claimbodies.ClaimEscalate(at[1], "co_sign", None), "insurer")
    body = lives.make_adjudication(at[1], ("insurer", "commission"))
    assert lives.do("claim.adjudicate", body, "insurer").code == "ok"


def test_a_claim_nobody_accepted_is_decided_without_a_lease() -> None:
    lives = make_lives()
    at = lives.reach("REPORTED")
    lives.act("claim.escalate", *at)
    assert code(lives, "claim.adjudicate/substitute", at) == "ok"
    claim = lives.claim(at[1])
    assert (claim.status, claim.accepted_ms, claim.lived.escalations[0].deadline) == ("DECIDED", None, "accept")


def test_reasons_stay_commitments() -> None:
    lives = make_lives()
    at = lives.reach("INVESTIGATION")
    assert lives.claim(at[1]).lived.reason_commit == REASON
