"""What the bank and the payee say: failures and further attempts, contests in time, and time that is over."""

from typing import Any

import pytest

from contracts.bodies import (
    ClaimClose,
    PayoutAck,
    PayoutContest,
    PayoutFail,
    PayoutLapse,
    PayoutOrder,
    PayoutSettle,
)
from contracts.errors import TokenError
from contracts.genesis import CONTEST_MS, Parameters
from contracts.lifecycle import PAYOUT_STEPS
from contracts.states import PayoutState, read_payout
from contracts.tokens import CONTEST_TYPE, PAYEE_TYPE, Contest, PayeeChange, decode_payee_change, encode_token
from tests.support.network_builder import Network, make_bytes, make_hex
from tests.support.network_chain import BLOCK_MS

ORDER, SETTLEMENT, PROOF, ANSWER = (make_hex(name) for name in ("order", "settlement", "other proof", "bank"))
ACCOUNT = make_hex("another account")


class Story:
    """One authorised payout, and everything that can be said about it."""

    def __init__(self) -> None:
        self.network = Network()
        policy = self.network.commit_policy()
        self.customer, self.claim_id = self.network.ready_claim(policy.policy_id)
        self.network.adjudicate(self.claim_id)
        self.payout_id = self.network.payout_id(self.claim_id, policy.policy_id)

    @property
    def payout(self) -> PayoutState:
        found = read_payout(self.network.state.read, self.payout_id)
        assert found is not None
        return found

    def do(self, kind: str, body: Any, author: str = "insurer") -> str:
        return self.network.do(kind, body, author).code

    def order(self, attempt: int = 1, token: str | None = None, author: str = "insurer") -> str:
        body = PayoutOrder(self.payout_id, attempt, ORDER, **({"payee_token": token} if token else {}))
        return self.do("payout.order", body, author)

    def settle(self, commitment: str = SETTLEMENT, attempt: int = 1) -> str:
        return self.do("payout.settle", PayoutSettle(self.payout_id, attempt, commitment))

    def fail(self, attempt: int = 1, author: str = "insurer") -> str:
        return self.do("payout.fail", PayoutFail(self.payout_id, attempt, ANSWER), author)

    def contest(self, **changes: Any) -> str:
        return self.do("payout.contest", PayoutContest(self.sign_contest(**changes)), "hospital-two")

    def lapse(self, author: str = "hospital-two") -> str:
        return self.do("payout.lapse", PayoutLapse(self.payout_id), author)

    def ack(self) -> str:
        return self.do("payout.ack", PayoutAck(self.network.make_ack(self.payout_id)), "hospital")

    def close(self) -> str:
        return self.do("claim.close", ClaimClose(self.claim_id))

    def sign_contest(self, *, signed_by: bytes | None = None, **changes: Any) -> str:
        fields: dict[str, Any] = {
            "v": 1,
            "network": self.network.genesis.network,
            "consent_id": self.payout.consent_id,
            "payout_id": self.payout_id,
            "settlement_commit": self.payout.settlement_commit or make_hex("nothing"),
            "nonce": "00" * 16,
        }
        return encode_token(Contest(**fields | changes), CONTEST_TYPE, signed_by or self.customer.seed)

    def sign_payee(self, *, signed_by: bytes | None = None, **changes: Any) -> str:
        fields: dict[str, Any] = {
            "v": 1,
            "network": self.network.genesis.network,
            "consent_id": self.payout.consent_id,
            "payout_id": self.payout_id,
            "attempt": 2,
            "payee_commit": ACCOUNT,
            "nonce": "00" * 16,
        }
        return encode_token(PayeeChange(**fields | changes), PAYEE_TYPE, signed_by or self.customer.seed)


def settled() -> Story:
    story = Story()
    assert [story.order(), story.settle()] == ["ok", "ok"]
    return story


def contested() -> Story:
    story = settled()
    assert story.contest() == "ok"
    return story


def failed() -> Story:
    story = Story()
    assert [story.order(), story.fail()] == ["ok", "ok"]
    return story


def lapsed() -> Story:
    story = settled()
    story.network.wait(CONTEST_MS + 1)
    assert story.lapse() == "ok"
    return story


def test_a_failed_attempt_is_followed_by_the_next_and_by_nothing_else() -> None:
    story = failed()
    payout = story.payout
    assert (payout.status, payout.attempt, payout.bank_commit) == ("FAILED", 1, ANSWER)
    assert [story.settle(), story.fail(), story.close(), story.lapse()] == [
        "WRONG_STATE",
        "WRONG_STATE",
        "PAYOUT_OPEN",
        "WRONG_STATE",
    ]
    assert [story.order(1), story.order(3), story.order(2)] == ["ATTEMPT_MISMATCH", "ATTEMPT_MISMATCH", "ok"]
    assert [story.fail(1), story.settle(attempt=1)] == ["ATTEMPT_MISMATCH", "ATTEMPT_MISMATCH"]
    assert [story.settle(attempt=2), story.ack(), story.close()] == ["ok", "ok", "ok"]
    assert story.payout.bank_commit == ANSWER, "the failure stays on record"


def test_silence_never_leads_to_a_second_order() -> None:
    story = Story()
    assert story.order() == "ok"
    story.network.wait(400 * 86_400_000)
    assert [story.order(2), story.lapse(), story.close()] == ["WRONG_STATE", "WRONG_STATE", "PAYOUT_OPEN"]
    assert story.payout.status == "ORDERED"


def test_only_the_insurer_says_that_an_attempt_failed() -> None:
    story = Story()
    assert story.fail() == "WRONG_STATE"
    assert story.order() == "ok"
    assert [story.fail(author="tpa"), story.fail(author="insurer-two"), story.fail(2)] == [
        "NOT_THE_INSURER",
        "NOT_THE_INSURER",
        "ATTEMPT_MISMATCH",
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"network": "another.net"}, "NETWORK_MISMATCH"),
        ({"payout_id": make_hex("unknown")}, "PAYOUT_UNKNOWN"),
        ({"consent_id": make_hex("unknown")}, "CONSENT_MISMATCH"),
        ({"settlement_commit": make_hex("other")}, "SETTLEMENT_MISMATCH"),
        ({"signed_by": make_bytes("stranger")}, "TOKEN_SIGNATURE"),
        ({}, "ok"),
    ],
)
def test_contests(changes: dict[str, Any], code: str) -> None:
    assert settled().contest(**changes) == code


def test_an_acknowledgement_is_no_contest_nor_the_other_way_round() -> None:
    story = settled()
    ack, contest = story.network.make_ack(story.payout_id), story.sign_contest()
    assert story.do("payout.contest", PayoutContest(ack)) == "TOKEN_TYPE"
    assert story.do("payout.ack", PayoutAck(contest)) == "TOKEN_TYPE"


def test_a_contested_settlement_takes_another_proof_or_a_failure() -> None:
    story = contested()
    assert (story.payout.status, story.close(), story.contest()) == ("CONTESTED", "PAYOUT_OPEN", "WRONG_STATE")
    assert [story.order(2), story.settle(), story.settle(PROOF)] == ["WRONG_STATE", "SETTLEMENT_REPEATED", "ok"]
    assert story.payout.status == "SETTLED_CLAIMED"
    assert story.contest() == "ok", "and the other proof can be contested again"
    assert [story.fail(), story.order(2)] == ["ok", "ok"]
    assert (story.payout.settlement_commit, story.payout.attempt) == (None, 2)


def test_a_payee_who_finds_the_money_after_all_acknowledges() -> None:
    for story in (contested(), lapsed()):
        assert [story.ack(), story.payout.status] == ["ok", "PAID"]


def test_the_time_to_contest_ends_with_its_last_millisecond_and_runs_from_each_settlement() -> None:
    story = settled()
    begun = story.payout.settled_ms
    assert begun == story.network.now_ms
    story.network.wait(CONTEST_MS - 2 * BLOCK_MS)
    assert story.lapse() == "LAPSE_EARLY"
    assert story.contest() == "ok"
    assert story.network.now_ms == begun + CONTEST_MS
    story = contested()
    story.network.wait(CONTEST_MS)
    assert story.settle(PROOF) == "ok"
    assert story.lapse() == "LAPSE_EARLY"
    story.network.wait(CONTEST_MS + 1)
    assert [story.contest(), story.lapse()] == ["CONTEST_LATE", "ok"]


def test_a_claim_closes_with_what_nobody_contested() -> None:
    story = lapsed()
    assert story.payout.status == "PAID_UNCONTESTED", "counted apart from what a payee acknowledged"
    assert [story.lapse(), story.contest(), story.order(2), story.close()] == [
        "WRONG_STATE",
        "WRONG_STATE",
        "WRONG_STATE",
        "ok",
    ]


def test_a_genesis_may_name_another_time() -> None:
    assert Parameters().contest_ms == CONTEST_MS == 864_000_000
    assert Parameters(contest_window_ms=5).contest_ms == 5


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"network": "another.net"}, "NETWORK_MISMATCH"),
        ({"attempt": 3}, "PAYEE_CHANGE_MISMATCH"),
        ({"payout_id": make_hex("unknown")}, "PAYEE_CHANGE_MISMATCH"),
        ({"consent_id": make_hex("unknown")}, "PAYEE_CHANGE_MISMATCH"),
        ({"signed_by": make_bytes("stranger")}, "TOKEN_SIGNATURE"),
        ({}, "ok"),
    ],
)
def test_the_payee_alone_names_another_account(changes: dict[str, Any], code: str) -> None:
    story = failed()
    before = story.payout.payee_commit
    assert story.order(2, story.sign_payee(**changes)) == code
    assert story.payout.payee_commit == (ACCOUNT if code == "ok" else before)


def test_an_account_changes_after_a_failure_only() -> None:
    story = Story()
    assert story.order(1, story.sign_payee()) == "PAYEE_CHANGE_MISMATCH"
    with pytest.raises(TokenError, match="attempt"):
        decode_payee_change(story.sign_payee(attempt=1), story.customer.consent.key)


REACHED = {
    "AUTHORISED": Story,
    "SETTLED_CLAIMED": settled,
    "CONTESTED": contested,
    "FAILED": failed,
    "PAID_UNCONTESTED": lapsed,
}


@pytest.mark.parametrize("status", sorted(REACHED))
def test_every_cell_of_the_table_is_what_the_ledger_does(status: str) -> None:
    for action in ("payout.order", "payout.settle", "payout.fail", "payout.contest", "payout.lapse", "payout.ack"):
        story = REACHED[status]()
        assert story.payout.status == status
        if action == "payout.lapse":
            story.network.wait(2 * CONTEST_MS)
        attempt = max(story.payout.attempt, 1)
        act = {
            "payout.order": lambda story=story: story.order(story.payout.attempt + 1),
            "payout.settle": lambda story=story, attempt=attempt: story.settle(PROOF, attempt),
            "payout.fail": lambda story=story, attempt=attempt: story.fail(attempt),
            "payout.contest": lambda story=story: story.contest(),
            "payout.lapse": lambda story=story: story.lapse(),
            "payout.ack": lambda story=story: story.ack(),
        }[action]
        code, step = act(), PAYOUT_STEPS.get((status, action))
        assert (code, story.payout.status) == (("ok", step.to) if step else ("WRONG_STATE", status)), (status, action)
