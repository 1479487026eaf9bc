"""payout.order, settle and ack: attempts, and the one signature that makes a payout PAID."""

from typing import Any

import pytest

from contracts.bodies import ClaimClose, PayoutAck, PayoutOrder, PayoutSettle
from contracts.states import read_payout
from tests.support.network_builder import Network, make_bytes, make_hex

ORDER, SETTLEMENT = make_hex("order"), make_hex("settlement")


def authorised() -> tuple[Network, str, str]:
    network = Network()
    policy = network.commit_policy()
    _, claim_id = network.ready_claim(policy.policy_id)
    network.adjudicate(claim_id)
    return network, network.payout_id(claim_id, policy.policy_id), claim_id


def settled() -> tuple[Network, str]:
    network, payout_id, _ = authorised()
    network.do("payout.order", PayoutOrder(payout_id, 1, ORDER), "insurer")
    network.do("payout.settle", PayoutSettle(payout_id, 1, SETTLEMENT), "insurer")
    return network, payout_id


def test_the_whole_way_to_paid() -> None:
    network, payout_id, _ = authorised()
    seen = []
    for kind, body, author in (
        ("payout.order", PayoutOrder(payout_id, 1, ORDER), "insurer"),
        ("payout.settle", PayoutSettle(payout_id, 1, SETTLEMENT), "insurer"),
        ("payout.ack", None, "hospital-two"),
    ):
        receipt = network.do(kind, body or PayoutAck(network.make_ack(payout_id)), author)
        payout = read_payout(network.state.read, payout_id)
        assert payout is not None
        seen.append((receipt.results[0].events[0].topic, payout.status))
    assert seen == [
        ("payout.ordered", "ORDERED"),
        ("payout.settled", "SETTLED_CLAIMED"),
        ("payout.paid", "PAID"),
    ]
    assert (payout.attempt, payout.order_commit, payout.settlement_commit) == (1, ORDER, SETTLEMENT)


@pytest.mark.parametrize(
    ("author", "payout_id", "attempt", "code"),
    [
        ("insurer-two", None, 1, "NOT_THE_INSURER"),
        ("tpa", None, 1, "NOT_THE_INSURER"),
        ("insurer", make_hex("unknown"), 1, "PAYOUT_UNKNOWN"),
        ("insurer", None, 2, "ATTEMPT_MISMATCH"),
        ("insurer", None, 1, "ok"),
    ],
)
def test_orders(author: str, payout_id: str | None, attempt: int, code: str) -> None:
    network, own, _ = authorised()
    receipt = network.do("payout.order", PayoutOrder(payout_id or own, attempt, ORDER), author)
    assert receipt.code == code


def test_nothing_is_settled_before_it_was_ordered_nor_ordered_twice() -> None:
    network, payout_id, _ = authorised()
    order, settle = PayoutOrder(payout_id, 1, ORDER), PayoutSettle(payout_id, 1, SETTLEMENT)
    assert network.do("payout.settle", settle, "insurer").code == "WRONG_STATE"
    assert network.do("payout.order", order, "insurer").code == "ok"
    assert network.do("payout.order", order, "insurer").code == "WRONG_STATE"
    assert network.do("payout.order", PayoutOrder(payout_id, 2, ORDER), "insurer").code == "WRONG_STATE"
    assert network.do("payout.settle", PayoutSettle(payout_id, 2, SETTLEMENT), "insurer").code == "ATTEMPT_MISMATCH"
    assert network.do("payout.settle", settle, "insurer-two").code == "NOT_THE_INSURER"
    assert network.do("payout.settle", settle, "insurer").code == "ok"
    assert network.do("payout.settle", settle, "insurer").code == "WRONG_STATE"


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
def test_acknowledgements(changes: dict[str, Any], code: str) -> None:
    network, payout_id = settled()
    token = network.make_ack(payout_id, **changes)
    assert network.do("payout.ack", PayoutAck(token), "hospital").code == code


def test_an_acknowledgement_counts_once_and_only_after_the_settlement() -> None:
    network, payout_id, _ = authorised()
    early = PayoutAck(network.make_ack(payout_id))
    assert network.do("payout.ack", early, "hospital").code == "WRONG_STATE"
    network, payout_id = settled()
    ack = PayoutAck(network.make_ack(payout_id))
    assert network.do("payout.ack", ack, "hospital").code == "ok"
    assert network.do("payout.ack", ack, "hospital").code == "WRONG_STATE"
    assert network.do("payout.ack", PayoutAck("a.b"), "hospital").code == "TOKEN_FORM"


def test_a_closed_claim_pays_nothing_any_more() -> None:
    network, payout_id, claim_id = authorised()
    assert network.do("claim.close", ClaimClose(claim_id), "insurer", ["tpa"]).code == "ok"
    assert network.do("payout.order", PayoutOrder(payout_id, 1, ORDER), "insurer").code == "WRONG_STATE"
