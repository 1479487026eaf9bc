"""Risk signals on the ledger: given, appealed, withdrawn, expired, and every refusal; and what a stranger can see."""

from typing import Any

import pytest

from contracts.errors import InputError, Refusal
from contracts.kinds import KINDS
from contracts.riskcontent import check_content, commit_content, commit_subject
from contracts.riskstates import ANSWER_MS, DAY_MS, MAX_SIGNAL_MS, SIGNAL_STEPS, next_signal_status
from ledger.encoding import encode
from tests.support.network_builder import make_bytes, make_hex
from tests.support.risk_signals import APPEAL_SEED, SUBJECT_SALT, SignalStory, make_content


def signalled() -> SignalStory:
    story = SignalStory()
    assert story.signal().code == "ok"
    return story


@pytest.mark.parametrize("author", ["insurer", "tpa", "commission"])
def test_insurers_administrators_and_commissions_signal(author: str) -> None:
    story = SignalStory()
    receipt = story.signal(author)
    assert receipt.code == "ok"
    assert [event.topic for event in receipt.results[0].events] == ["risk.signalled"]


@pytest.mark.parametrize("author", ["hospital", "auditor"])
def test_nobody_else_signals(author: str) -> None:
    assert SignalStory().signal(author).code == "ROLE_MISSING"


def test_the_same_content_is_signalled_once() -> None:
    story = signalled()
    assert story.signal(expires_ms=story.content.expires_ms + 1).code == "SIGNAL_EXISTS"
    assert story.signal("commission").code == "ok", "another participant's word is its own"


def test_a_signal_ends_within_two_years() -> None:
    story = SignalStory()
    now = story.network.now_ms
    assert story.signal(expires_ms=1).code == "SIGNAL_PERIOD"
    assert story.signal(expires_ms=now).code == "SIGNAL_PERIOD"
    assert story.signal(expires_ms=now + MAX_SIGNAL_MS + 3_600_000).code == "SIGNAL_PERIOD"
    assert story.signal(expires_ms=now + MAX_SIGNAL_MS).code == "ok"


@pytest.mark.parametrize("changes", [{"delivered": ()}, {"delivered": (make_hex("x"),) * 17}, {"level": "RUMOURED"}])
def test_signals_outside_the_schema(changes: dict[str, Any]) -> None:
    assert SignalStory().signal(**changes).code == "BODY_SCHEMA"


def test_the_subject_appeals_with_a_token_that_anybody_relays() -> None:
    story = signalled()
    assert story.appeal() == "ok"
    assert (story.state.status, story.state.appealed_ms) == ("APPEALED", story.network.now_ms)


def test_a_hospital_appeals_in_its_own_name() -> None:
    story = signalled()
    assert story.appeal("hospital", token=None, subject_salt=SUBJECT_SALT) == "ok"


@pytest.mark.parametrize(
    ("author", "changes", "code"),
    [
        ("insurer-two", {"signal_id": "ab" * 32}, "SIGNAL_UNKNOWN"),
        ("hospital", {"token": None}, "APPEAL_PROOF"),
        ("hospital", {"subject_salt": SUBJECT_SALT}, "APPEAL_PROOF"),
        ("hospital", {"token": None, "subject_salt": make_hex("another salt")}, "APPEAL_PROOF"),
        ("hospital-two", {"token": None, "subject_salt": SUBJECT_SALT}, "APPEAL_PROOF"),
        ("insurer-two", {"token": None, "subject_salt": SUBJECT_SALT}, "ROLE_MISSING"),
        ("insurer-two", {"reason_commit": make_hex("another reason")}, "APPEAL_MISMATCH"),
        ("insurer-two", {"token": "a.b"}, "TOKEN_FORM"),
    ],
)
def test_appeals_that_are_refused(author: str, changes: dict[str, Any], code: str) -> None:
    story = signalled()
    assert story.appeal(author, **changes) == code
    assert story.state.status == "SIGNALLED"


def test_tokens_that_are_not_the_subjects() -> None:
    story = signalled()
    assert story.appeal(token=story.token(signed_by=make_bytes("somebody"))) == "TOKEN_SIGNATURE"
    assert story.appeal(token=story.token(network="another.claims")) == "NETWORK_MISMATCH"
    assert story.appeal(token=story.token(signal_id="ab" * 32)) == "APPEAL_MISMATCH"


def test_an_appeal_is_made_once_and_in_time() -> None:
    story = signalled()
    assert story.appeal() == "ok"
    assert story.appeal() == "WRONG_STATE"
    late = signalled()
    late.network.wait(90 * DAY_MS)
    assert late.appeal() == "SIGNAL_EXPIRED"


def test_only_who_gave_a_signal_withdraws_it_and_once() -> None:
    story = signalled()
    assert story.withdraw("commission") == "NOT_THE_SIGNALLER"
    assert story.withdraw(signal_id="ab" * 32) == "SIGNAL_UNKNOWN"
    assert story.appeal() == "ok"
    assert story.withdraw() == "ok"
    assert story.withdraw() == "WRONG_STATE"
    assert story.appeal() == "WRONG_STATE"
    assert not story.state.counts(story.network.now_ms)


def test_an_expired_signal_counts_for_nothing() -> None:
    story = signalled()
    assert story.state.counts(story.state.expires_ms - 1)
    assert not story.state.counts(story.state.expires_ms)


def test_an_appeal_that_nobody_answers_ends_the_signal() -> None:
    story = signalled()
    story.appeal()
    appealed_ms = story.state.appealed_ms or 0
    assert story.state.counts(appealed_ms + ANSWER_MS - 1)
    assert not story.state.counts(appealed_ms + ANSWER_MS)


def test_the_table_is_the_kinds_and_everything_else_is_refused() -> None:
    assert {action for _, action in SIGNAL_STEPS} == {kind for kind in KINDS if kind.startswith("risk.")}
    for status in (None, "SIGNALLED", "APPEALED", "WITHDRAWN"):
        for action in ("risk.signal", "risk.appeal", "risk.withdraw"):
            if (status, action) in SIGNAL_STEPS:
                assert next_signal_status(status, action, "x") == SIGNAL_STEPS[status, action].to
                continue
            with pytest.raises(Refusal) as caught:
                next_signal_status(status, action, "x")
            assert caught.value.code == "WRONG_STATE"


def test_a_member_sees_nothing_but_commitments() -> None:
    """Protocol rule 9: neither rule, grade, person nor hospital stand in transactions or state."""
    story = signalled()
    story.appeal()
    story.withdraw()
    seen = b"".join(entry.encoded for entry in story.network.blocks) + b"".join(
        item.value or b"" for key, item in story.network.store.items() if key.startswith("risk-signal/")
    )
    secrets = SUBJECT_SALT.encode(), APPEAL_SEED.hex().encode()
    for hidden in (b"RK09", b"HIGH", b"STAY", b"rec-1", b'"insured"', *secrets):
        assert hidden not in seen
    signal = encode(story.body())
    assert b"hospital" not in signal


def test_two_signals_about_one_subject_cannot_be_linked() -> None:
    assert commit_subject("hospital", make_hex("one")) != commit_subject("hospital", make_hex("two"))


def test_content_is_used_only_if_both_commitments_are_its_own() -> None:
    content = make_content()
    subject, whole = commit_subject("hospital", SUBJECT_SALT), commit_content(content)
    value = {name: getattr(content, name) for name in content.__struct_fields__}
    value["hits"] = [{"rule": "RK09", "severity": "HIGH"}]
    assert check_content(value, subject, whole) == content
    for changed, subject_commit, content_commit, code in (
        (value | {"grade": "LOW"}, subject, whole, "commitment"),
        (value, commit_subject("hospital-two", SUBJECT_SALT), whole, "commitment"),
        (value | {"name": "somebody"}, subject, whole, "schema"),
        (value | {"hits": [{"rule": "RK13", "severity": "HIGH"}]}, subject, whole, "schema"),
    ):
        with pytest.raises(InputError) as caught:
            check_content(changed, subject_commit, content_commit)
        assert caught.value.code == code
