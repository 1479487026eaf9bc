"""Advances, recoveries and guarantees on the ledger: who agrees, when, and every refusal."""

from typing import Any

import pytest

from contracts.bodies import ClaimClose, PayoutOrder
from contracts.claimbodies import ClaimWithdraw
from contracts.claimtokens import WITHDRAWAL_TYPE, Withdrawal
from contracts.holdlife import HOLD_TABLES
from contracts.kinds import KINDS
from contracts.states import read_payout
from contracts.tokens import encode_token
from tests.support.hold_story import STRANGER, HoldStory
from tests.support.network_builder import DAY_MS, make_hex


@pytest.mark.parametrize("filed", [True, False])
def test_an_advance_reserves_and_authorises_a_payout_of_its_own(filed: bool) -> None:
    story = HoldStory(filed=filed)
    before, status = story.account, story.claim.status
    assert story.advance() == "ok"
    hold_id = story.hold_id("advance")
    payout = read_payout(story.network.state.read, hold_id)
    assert payout is not None
    assert (payout.status, payout.claim_id, payout.payee_commit) == (
        "AUTHORISED",
        story.claim_id,
        story.customer.consent.payee_commit,
    )
    after = story.account
    assert (after.version, after.cause, after.lease) == (before.version + 1, f"advance/{hold_id}", before.lease)
    assert story.claim.status == status
    assert [item.hold_id for item in story.holds] == [hold_id]
    story.network.pay(hold_id)
    assert story.advance() == "ok", "there are several in one stay"
    assert [item.hold_id for item in story.holds] == [hold_id, story.hold_id("advance", 2)]


@pytest.mark.parametrize("kind", ["advance", "guarantee"])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"heard": ()}, "CO_ADJUDICATOR_MISSING"),
        ({"heard": ("commission",)}, "CO_ADJUDICATOR_MISSING"),
        ({"heard": ("hospital",)}, "CO_ADJUDICATOR_MISSING"),
        ({"claim_id": make_hex("no claim")}, "CLAIM_UNKNOWN"),
        ({"policy_id": "ab" * 16}, "POLICY_NOT_CLAIMED"),
        ({"record_id": make_hex("no record")}, "RECORD_UNKNOWN"),
        ({"account_version": 7}, "ACCOUNT_VERSION"),
    ],
)
def test_what_is_refused_moves_nothing(kind: str, changes: dict[str, Any], code: str) -> None:
    story = HoldStory()
    interim, before = story.interim(), story.account
    assert getattr(story, kind)(**{"record_id": interim} | changes) == code
    assert (story.account, story.holds) == (before, ())


@pytest.mark.parametrize("kind", ["advance", "guarantee"])
def test_it_is_computed_from_an_accepted_interim_record_of_this_stay_once(kind: str) -> None:
    story = HoldStory()
    make = getattr(story, kind)
    assert make(story.interim(accepted=False)) == "RECORD_NOT_ACCEPTED"
    assert make(story.interim("charges")) == "INTERIM_RECORD"
    other = HoldStory(story.network)
    assert make(other.interim()) == "CASE_MISMATCH"
    interim = story.interim()
    assert make(interim) == "ok"
    assert make(interim) == "INTERIM_USED"


@pytest.mark.parametrize("kind", ["advance", "guarantee"])
def test_it_is_the_insurers_and_ends_with_the_stay(kind: str) -> None:
    story = HoldStory()
    interim = story.interim()
    body = story.make(kind, interim)
    name = "advance.pay" if kind == "advance" else "guarantee.issue"
    assert story.do(name, body, "insurer-two") == "NOT_THE_INSURER"
    story.complete()
    assert story.do(name, story.make(kind, interim)) == "WRONG_STATE"


def test_a_claim_that_was_never_accepted_advances_nothing_after_its_stay() -> None:
    story = HoldStory(filed=False)
    interim = story.interim()
    story.complete()
    assert story.claim.status == "REPORTED"
    assert story.advance(interim) == "STAY_OVER"


def test_only_the_insurer_that_decides_first_pays_in_advance() -> None:
    story = HoldStory()
    network = story.network
    second = network.commit_policy("insurer-two")
    story.customer = network.grant(story.policy_id, second.policy_id)
    network.publish(story.customer, "admission")
    claim_id = network.claim_id(story.customer, "insurer-two")
    body = story.make("advance", story.interim(), claim_id=claim_id, policy_id=second.policy_id, account_version=0)
    assert story.do("advance.pay", body, "insurer-two") == "RANK_NOT_REACHED"


def test_another_claim_that_holds_the_account_comes_first() -> None:
    story = HoldStory()
    story.customer = story.network.grant(story.policy_id)
    story.network.publish(story.customer, "admission")
    story.claim_id = story.network.claim_id(story.customer)
    assert story.advance() == "ACCOUNT_LEASED"


def test_a_consent_that_was_revoked_pays_nothing_more() -> None:
    from contracts.bodies import ConsentRevoke

    story = HoldStory()
    interim = story.interim()
    token = story.network.make_revocation(story.customer)
    assert story.do("consent.revoke", ConsentRevoke(story.customer.consent_id, token, None), heard=()) == "ok"
    assert story.advance(interim) == "CONSENT_REVOKED"


def test_a_claim_has_a_bounded_number_of_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    from contracts import holds

    monkeypatch.setattr(holds, "MAX_HOLDS", 1)
    story = HoldStory()
    assert story.advance() == "ok"
    assert story.advance() == "HOLDS_FULL"


def test_a_claim_closes_when_its_advances_are_paid() -> None:
    story = HoldStory()
    assert story.advance() == "ok"
    payout_id = story.decide()
    story.network.pay(payout_id)
    assert story.do("claim.close", ClaimClose(story.claim_id), heard=()) == "PAYOUT_OPEN"
    story.network.pay(story.hold_id("advance"))
    assert story.do("claim.close", ClaimClose(story.claim_id), heard=()) == "ok"


# --- recoveries


def decided() -> HoldStory:
    story = HoldStory()
    assert story.advance() == "ok"
    story.network.pay(story.hold_id("advance"))
    story.decide()
    return story


def test_a_recovery_is_opened_once_in_the_word_of_a_co_adjudicator() -> None:
    story = HoldStory()
    assert story.open_recovery() == "WRONG_STATE", "nothing is decided yet"
    story.decide()
    assert story.open_recovery() == "NOTHING_ADVANCED"
    story = decided()
    assert story.open_recovery(by="insurer-two") == "NOT_THE_INSURER"
    assert story.open_recovery(policy_id="ab" * 16) == "POLICY_NOT_CLAIMED"
    assert story.open_recovery(heard=()) == "CO_ADJUDICATOR_MISSING"
    assert story.open_recovery() == "ok"
    assert story.recovery is not None
    assert story.recovery.status == "OPEN"
    assert story.open_recovery() == "WRONG_STATE"


def test_what_the_customer_signed_is_settled_at_once_and_only_that() -> None:
    story = decided()
    assert story.do("recovery.settle", story.make_settle(recovery_id=make_hex("none"))) == "RECOVERY_UNKNOWN"
    story.open_recovery()
    word = story.sign_recovery
    for token, code in (
        ("a.b", "TOKEN_FORM"),
        (word(signed_by=STRANGER), "TOKEN_SIGNATURE"),
        (word(network="another-network"), "NETWORK_MISMATCH"),
        (word(settlement_commit=make_hex("less")), "RECOVERY_MISMATCH"),
        (word(recovery_id=make_hex("another")), "RECOVERY_MISMATCH"),
        (word(way="set_off"), "RECOVERY_MISMATCH"),
    ):
        assert story.do("recovery.settle", story.make_settle(token=token)) == code
    assert story.do("recovery.settle", story.make_settle(token=word()), "insurer-two") == "NOT_THE_INSURER"
    assert story.do("recovery.settle", story.make_settle(token=word())) == "ok"
    assert story.recovery is not None
    assert story.recovery.status == "SETTLED"
    assert story.do("recovery.settle", story.make_settle(token=word())) == "WRONG_STATE"


def test_without_the_customer_a_payer_says_so_after_30_days_of_notice() -> None:
    story = decided()
    story.open_recovery()
    assert story.recovery is not None
    settle = story.make_settle()
    story.network.run(time_ms=story.recovery.opened_ms + 30 * DAY_MS - 1_001)
    assert story.do("recovery.settle", settle, heard=("hospital",)) == "NOTICE_RUNNING"
    assert story.do("recovery.settle", settle, heard=()) == "PAYER_MISSING"
    assert story.do("recovery.settle", settle, heard=("insurer",)) == "PAYER_MISSING"
    assert story.do("recovery.settle", settle, heard=("hospital",)) == "ok"


def test_a_set_off_takes_the_customers_signature_and_a_payout_that_is_not_ordered() -> None:
    story = decided()
    story.open_recovery()
    payout_id = story.network.payout_id(story.claim_id, story.policy_id)
    settle = story.make_settle(way="set_off", set_off_payout=payout_id)
    story.network.wait(40 * DAY_MS)
    assert story.do("recovery.settle", settle, heard=("hospital",)) == "SET_OFF_UNSIGNED"
    assert story.do("recovery.settle", story.make_settle(set_off_payout=payout_id)) == "SET_OFF_PAYOUT"
    assert story.do("recovery.settle", story.make_settle(way="set_off")) == "SET_OFF_PAYOUT"

    def signed(payout: str) -> Any:
        token = story.sign_recovery(way="set_off", set_off_payout=payout)
        return story.make_settle(way="set_off", set_off_payout=payout, token=token)

    assert story.do("recovery.settle", signed(make_hex("no payout"))) == "PAYOUT_UNKNOWN"
    other = HoldStory(story.network)
    assert story.do("recovery.settle", signed(other.decide())) == "SET_OFF_PAYOUT"
    assert story.do("recovery.settle", signed(story.hold_id("advance"))) == "SET_OFF_PAYOUT", "it was paid"
    assert story.do("recovery.settle", signed(payout_id)) == "ok"


def withdrawn(*, paid: bool) -> HoldStory:
    story = HoldStory()
    assert story.advance() == "ok"
    if paid:
        story.network.pay(story.hold_id("advance"))
    withdraw(story)
    return story


def withdraw(story: HoldStory) -> None:
    word = Withdrawal(1, story.network.genesis.network, story.customer.consent_id, story.claim_id, 1, "00" * 16)
    token = encode_token(word, WITHDRAWAL_TYPE, story.customer.seed)
    assert story.do("claim.withdraw", ClaimWithdraw(story.claim_id, token, None, None), heard=()) == "ok"
    assert story.claim.status == "WITHDRAWN"


def test_a_withdrawn_claim_gives_its_advances_back() -> None:
    story = withdrawn(paid=True)
    version = story.account.version
    assert story.open_recovery() == "ACCOUNT_VERSION", "the account still holds what was advanced"
    moved = {"account_version": version, "account_commit": make_hex("without advances")}
    assert story.open_recovery(**moved | {"account_version": 0}) == "ACCOUNT_VERSION"
    assert story.open_recovery(**moved, heard=()) == "CO_ADJUDICATOR_MISSING"
    assert story.open_recovery(**moved) == "ok"
    assert (story.account.version, story.account.cause) == (version + 1, f"recovery/{story.recovery_id}")
    assert story.do("recovery.settle", story.make_settle(token=story.sign_recovery())) == "ok"


def test_a_guarantee_of_a_withdrawn_claim_is_given_back_by_the_account() -> None:
    story = HoldStory()
    story.guarantee()
    withdraw(story)
    assert story.release(("hospital",), None) == "ACCOUNT_VERSION"
    assert story.release(("hospital", "tpa"), story.account.version) == "ok"


def test_after_a_decision_a_recovery_moves_no_account() -> None:
    story = decided()
    moved = {"account_version": story.account.version, "account_commit": make_hex("another")}
    assert story.open_recovery(**moved) == "ACCOUNT_MISMATCH"


def test_an_advance_that_was_not_ordered_ends_with_its_withdrawn_claim() -> None:
    story = withdrawn(paid=False)
    payout = read_payout(story.network.state.read, story.hold_id("advance"))
    assert payout is not None
    assert payout.status == "RELEASED"
    order = PayoutOrder(story.hold_id("advance"), 1, make_hex("order"))
    assert story.do("payout.order", order, heard=()) == "WRONG_STATE"


# --- guarantees


def test_a_guarantee_is_drawn_by_both_after_the_decision() -> None:
    story = HoldStory()
    assert story.guarantee() == "ok"
    letter = story.read_guarantee()
    assert (letter.status, letter.hospital, letter.commit) == ("ISSUED", "hospital", story.holds[0].commit)
    assert story.draw() == "WRONG_STATE", "nothing is decided"
    payout_id = story.decide()
    assert story.draw(by="insurer-two") == "NOT_THE_INSURER"
    assert story.draw(heard=()) == "HOSPITAL_SIGNATURE_MISSING"
    assert story.draw(heard=("hospital-two", "tpa")) == "HOSPITAL_SIGNATURE_MISSING"
    assert story.do("claim.close", ClaimClose(story.claim_id)) == "GUARANTEE_OPEN"
    assert story.draw() == "ok"
    assert story.read_guarantee().status == "DRAWN"
    assert story.draw() == "WRONG_STATE"
    assert story.do("claim.close", ClaimClose(story.claim_id)) == "ok"
    assert read_payout(story.network.state.read, payout_id) is not None


def test_nothing_is_drawn_beside_a_payout_that_was_ordered() -> None:
    story = HoldStory()
    story.guarantee()
    payout_id = story.decide()
    assert story.do("payout.order", PayoutOrder(payout_id, 1, make_hex("order")), heard=()) == "ok"
    assert story.draw() == "PAYOUT_OPEN"


def test_one_guarantee_at_a_time_within_a_year() -> None:
    story = HoldStory()
    now = story.network.now_ms
    assert story.guarantee(valid_to_ms=now) == "GUARANTEE_PERIOD"
    assert story.guarantee(valid_to_ms=now + 400 * DAY_MS) == "GUARANTEE_PERIOD"
    assert story.guarantee() == "ok"
    assert story.guarantee() == "GUARANTEE_OPEN"
    assert story.release(("hospital", "tpa"), story.account.version) == "ok"
    assert story.guarantee() == "ok"


def test_a_release_before_the_decision_moves_the_account() -> None:
    story = HoldStory()
    assert story.release(("hospital",), None) == "GUARANTEE_UNKNOWN"
    story.guarantee()
    before = story.account
    assert story.release(("hospital", "tpa"), None) == "ACCOUNT_VERSION"
    assert story.release(("hospital", "tpa"), 0) == "ACCOUNT_VERSION"
    assert story.release(("hospital",), before.version) == "CO_ADJUDICATOR_MISSING"
    assert story.release(("tpa",), before.version) == "HOSPITAL_SIGNATURE_MISSING"
    assert story.release(("hospital", "tpa"), before.version, "insurer-two") == "NOT_THE_INSURER"
    assert story.release(("hospital", "tpa"), before.version) == "ok"
    assert (story.account.version, story.account.lease) == (before.version + 1, before.lease)
    assert not story.holds[0].live
    assert story.release(("hospital", "tpa"), before.version + 1) == "WRONG_STATE"


def test_after_the_decision_a_release_moves_no_account_and_silence_takes_30_days() -> None:
    story = HoldStory()
    story.guarantee()
    story.decide()
    assert story.release(("hospital",), story.account.version) == "ACCOUNT_MISMATCH"
    end = story.read_guarantee().valid_to_ms + 30 * DAY_MS
    story.network.run(time_ms=end - 1_000)
    assert story.release((), None) == "HOSPITAL_SIGNATURE_MISSING", "the last millisecond of the hospital's time"
    assert story.release((), None) == "ok"
    assert story.read_guarantee().status == "RELEASED"


# --- the tables


@pytest.mark.parametrize(
    ("subject", "ends"),
    [("guarantee", {"PAID", "RELEASED"}), ("recovery", {"SETTLED"}), ("batch", {"PAID", "RETURNED"})],
)
def test_every_status_is_reached_and_leads_to_an_end(subject: Any, ends: set[str]) -> None:
    table = HOLD_TABLES[subject]
    reached: set[str | None] = {None}
    for _ in table:
        reached |= {step.to for (status, _), step in table.items() if status in reached}
    assert reached == {None} | {step.to for step in table.values()}
    assert reached - {status for (status, _), step in table.items() if step.to != status} == ends
    assert {action.partition("/")[0] for _, action in table} <= set(KINDS)
