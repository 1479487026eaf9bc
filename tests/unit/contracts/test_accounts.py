"""account.amend: an outcome taken back once, a correction that the insured signed, and never the insurer alone."""

from typing import Any

import pytest

from contracts.bodies import AccountAmend, ClaimAccept, ClaimClose
from contracts.identifiers import derive_pool_id
from contracts.states import AccountState, PoolState, read_account, read_claim, read_payout, read_pool
from contracts.tokens import AMENDMENT_TYPE, Amendment, encode_token
from tests.support.network_builder import Customer, Network, make_bytes, make_hex

NEXT = make_hex("account after the amendment")
NEXT_POOL = make_hex("pool after the amendment")


class Story:
    """One policy with a claim that was paid and closed."""

    def __init__(self, *, close: bool = True, **policy: Any) -> None:
        self.network = Network()
        self.policy = self.network.commit_policy(**policy)
        self.customer, self.claim_id = self.network.ready_claim(self.policy.policy_id)
        self.network.adjudicate(self.claim_id)
        self.payout_id = self.network.payout_id(self.claim_id, self.policy.policy_id)
        self.network.pay(self.payout_id)
        if close:
            assert self.network.do("claim.close", ClaimClose(self.claim_id), "insurer").code == "ok"

    @property
    def account(self) -> AccountState:
        found = read_account(self.network.state.read, self.policy.account_id)
        assert found is not None
        return found

    def amend(self, *, by: str = "insurer", heard: tuple[str, ...] = ("tpa",), **changes: Any) -> str:
        fields: dict[str, Any] = {
            "account_id": self.policy.account_id,
            "account_version": self.account.version,
            "account_commit": NEXT,
            "restores": None,
            "token": None,
            "pool_version": None,
            "pool_commit": None,
        }
        return self.network.do("account.amend", AccountAmend(**fields | changes), by, list(heard)).code

    @property
    def pool(self) -> PoolState:
        found = read_pool(self.network.state.read, derive_pool_id(self.customer.case_id))
        assert found is not None
        return found

    def restore(self, **changes: Any) -> str:
        fields = {"restores": self.payout_id, "pool_version": self.pool.version, "pool_commit": NEXT_POOL}
        return self.amend(**{**fields, **changes})

    def sign(self, customer: Customer | None = None, *, signed_by: bytes | None = None, **changes: Any) -> str:
        """The insured's token over the amendment."""
        customer = customer or self.customer
        fields: dict[str, Any] = {
            "v": 1,
            "network": self.network.genesis.network,
            "consent_id": customer.consent_id,
            "account_id": self.policy.account_id,
            "account_version": self.account.version,
            "account_commit": NEXT,
            "nonce": "00" * 16,
        }
        return encode_token(Amendment(**fields | changes), AMENDMENT_TYPE, signed_by or customer.seed)


def test_a_paid_outcome_is_taken_back_once() -> None:
    story = Story()
    before, pool = story.account, story.pool
    assert story.restore() == "ok"
    after, payout = story.account, read_payout(story.network.state.read, story.payout_id)
    assert (after.version, after.commit, after.lease) == (before.version + 1, NEXT, None)
    assert after.cause == f"restore/{story.payout_id}"
    assert payout is not None
    assert payout.status == "RESTORED"
    assert (story.pool.version, story.pool.commit) == (pool.version + 1, NEXT_POOL)
    assert story.restore() == "WRONG_STATE"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"by": "insurer-two"}, "NOT_THE_INSURER"),
        ({"by": "tpa"}, "NOT_THE_INSURER"),
        ({"account_id": "ab" * 16}, "ACCOUNT_UNKNOWN"),
        ({"account_version": 0}, "ACCOUNT_VERSION"),
        ({"restores": make_hex("no payout")}, "PAYOUT_UNKNOWN"),
        ({"restores": None}, "AMENDMENT_CAUSE"),
        ({"token": "a.b.c"}, "AMENDMENT_CAUSE"),
        ({"pool_commit": None}, "AMENDMENT_CAUSE"),
        ({"pool_version": None, "pool_commit": None}, "AMENDMENT_CAUSE"),
        ({"pool_version": 0}, "POOL_VERSION"),
        ({"heard": ()}, "CO_ADJUDICATOR_MISSING"),
        ({"heard": ("commission",)}, "CO_ADJUDICATOR_MISSING"),
        ({"heard": ("hospital",)}, "CO_ADJUDICATOR_MISSING"),
    ],
)
def test_restorations_that_are_refused(changes: dict[str, Any], code: str) -> None:
    story = Story()
    before, pool = story.account, story.pool
    assert story.restore(**changes) == code
    assert (story.account, story.pool) == (before, pool)


def test_what_is_not_closed_is_not_taken_back() -> None:
    assert Story(close=False).restore() == "WRONG_STATE"


def test_a_payout_of_another_policy_moves_another_account() -> None:
    story = Story()
    other = story.network.commit_policy()
    assert story.restore(account_id=other.account_id, account_version=0) == "ACCOUNT_MISMATCH"


def test_an_amendment_waits_for_the_claim_that_holds_the_lease() -> None:
    story = Story()
    _, claim_id = story.network.ready_claim(story.policy.policy_id)
    claim = read_claim(story.network.state.read, claim_id)
    assert claim is not None
    assert story.account.lease == claim_id
    restored = (story.payout_id, None, story.pool.version, NEXT_POOL)
    fields = AccountAmend(story.policy.account_id, story.account.version, NEXT, *restored)
    receipt = story.network.do("account.amend", fields, "insurer", ["tpa"])
    assert (receipt.code, receipt.results[0].subject) == ("ACCOUNT_LEASED", claim_id), "it names who comes first"
    story.network.adjudicate(claim_id)
    assert story.restore() == "ok"


def test_the_insured_signs_what_no_claim_causes() -> None:
    story = Story()
    assert story.amend(token=story.sign()) == "ok"
    assert story.account.cause == f"amendment/{story.customer.consent_id}"
    assert story.amend(token=story.sign(), heard=()) == "CO_ADJUDICATOR_MISSING", "nor does anybody see only one side"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"network": "another.net"}, "NETWORK_MISMATCH"),
        ({"account_version": 7}, "AMENDMENT_MISMATCH"),
        ({"account_commit": make_hex("other")}, "AMENDMENT_MISMATCH"),
        ({"account_id": "ab" * 16}, "AMENDMENT_MISMATCH"),
        ({"consent_id": make_hex("no consent")}, "CONSENT_MISSING"),
        ({"signed_by": make_bytes("stranger")}, "TOKEN_SIGNATURE"),
        ({}, "ok"),
    ],
)
def test_tokens_of_amendments(changes: dict[str, Any], code: str) -> None:
    story = Story()
    assert story.amend(token=story.sign(**changes)) == code


def test_a_token_is_used_up_with_its_version() -> None:
    story = Story()
    token = story.sign()
    assert story.amend(token=token) == "ok"
    assert story.amend(token=token) == "AMENDMENT_MISMATCH"


def test_a_consent_in_which_no_hospital_wrote_signs_no_amendment() -> None:
    """Policy ids are seen by every member: a consent that somebody makes up must not stand for the insured."""
    story = Story()
    made_up = story.network.grant(story.policy.policy_id)
    assert story.amend(token=story.sign(made_up)) == "AMENDMENT_MISMATCH"
    other = story.network.commit_policy()
    customer, _ = story.network.ready_claim(other.policy_id)
    assert story.amend(token=story.sign(customer)) == "AMENDMENT_MISMATCH", "nor one about another policy"


def test_accepting_after_an_amendment_takes_the_new_version() -> None:
    story = Story()
    old = story.account.version
    assert story.restore() == "ok"
    customer = story.network.grant(story.policy.policy_id)
    story.network.publish(customer, "admission")
    claim_id = story.network.claim_id(customer)
    stale: ClaimAccept = story.network.make_accept(claim_id, **{story.policy.policy_id: old})
    assert story.network.do("claim.accept", stale, "insurer").code == "ACCOUNT_VERSION"
    assert story.network.accept(claim_id).code == "ok"
