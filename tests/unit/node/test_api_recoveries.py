"""Money that comes back, over the interface: only in the customer's word, about this recovery."""

from collections.abc import Callable
from typing import Any

import pytest

from contracts.holdtokens import RecoveryWord
from contracts.tokens import decode_recovery_word
from node.wallet import ConsentWallet, WalletError
from node.wallet_recoveries import build_repayment, make_recovery_word
from tests.support.api_node import settle_tasks
from tests.support.hold_story import HoldStory
from tests.support.network_builder import make_hex
from tests.unit.node.test_api import Desk, run

__all__ = ["run"]
OWED = 87_597


def opened() -> HoldStory:
    story = HoldStory()
    story.advance()
    story.decide()
    assert story.open_recovery() == "ok"
    return story


def wallet_of(story: HoldStory) -> ConsentWallet:
    customer = story.customer
    return ConsentWallet(
        network=customer.consent.network,
        consent_id=customer.consent_id,
        case_id=customer.case_id,
        seed=customer.seed.hex(),
        mailbox_secret=make_hex("mailbox"),
        slip=customer.slip,
        payee={},
        token=customer.token,
    )


def say(story: HoldStory, recovery_id: str | None = None) -> str:
    repayment = build_repayment(recovery_id or story.recovery_id, OWED, "CNY", "R-1")
    return make_recovery_word(wallet_of(story), repayment, OWED)


def test_a_customer_signs_for_the_sum_that_its_decision_names() -> None:
    story = opened()
    word = decode_recovery_word(say(story), story.customer.consent.key)
    assert isinstance(word, RecoveryWord)
    assert (word.recovery_id, word.way) == (story.recovery_id, "paid")
    repayment = build_repayment(story.recovery_id, OWED + 1, "CNY", "R-1")
    with pytest.raises(WalletError, match="87597"):
        make_recovery_word(wallet_of(story), repayment, OWED)


def test_the_insurer_settles_in_the_customers_word(run: Callable[..., None]) -> None:
    story = opened()

    async def play(desk: Desk) -> None:
        desk.node.chain.catch_up()
        await settle_tasks()
        path = f"/v1/recoveries/{story.recovery_id}"
        assert (await desk.get(path))["status"] == "OPEN"
        assert (await desk.post(f"{path}/settlement", {"token": "x.y.z"}, 422))["code"].startswith("token_")
        another = {"token": say(story, make_hex("another"))}
        assert (await desk.post(f"{path}/settlement", another, 422))["code"] == "token_subject"
        told = await desk.post(f"{path}/settlement?wait=1", {"token": say(story)}, 200)
        assert told["receipt"]["code"] == "ok"
        assert (await desk.get(path))["status"] == "SETTLED"
        unknown: Any = await desk.get(f"/v1/recoveries/{make_hex('none')}", 404)
        assert unknown["code"] == "not_found"

    run(play, "insurer", story.network)


def test_a_stranger_to_the_consent_sees_no_recovery(run: Callable[..., None]) -> None:
    story = opened()

    async def play(desk: Desk) -> None:
        assert (await desk.get(f"/v1/recoveries/{story.recovery_id}", 404))["code"] == "not_found"

    run(play, "insurer-two", story.network)
