"""claim.accept and claim.close: leases on accounts, and how a claim ends."""

import pytest
from msgspec import structs

from contracts.bodies import AccountLease, ClaimAccept, ClaimClose, ConsentRevoke, PayoutAck, PayoutOrder, PayoutSettle
from contracts.genesis import Parameters
from contracts.states import read_account, read_claim, read_payout
from tests.support.network_builder import DAY_MS, HOUR_MS, Network, make_genesis, make_hex


def reported(network: Network, *policy_ids: str) -> str:
    customer = network.grant(*policy_ids)
    network.publish(customer, "admission")
    return network.claim_id(customer)


def lease_of(network: Network, account_id: str) -> str | None:
    account = read_account(network.state.read, account_id)
    assert account is not None
    return account.lease


def test_accepting_leases_every_account() -> None:
    network = Network()
    one, two = network.commit_policy(), network.commit_policy()
    claim_id = reported(network, one.policy_id, two.policy_id)
    receipt = network.accept(claim_id)
    assert [event.topic for event in receipt.results[0].events] == ["claim.accepted"]
    claim = read_claim(network.state.read, claim_id)
    assert claim is not None
    assert (claim.status, claim.accepted_ms) == ("FILED", network.now_ms)
    assert claim.escalation_digest == make_hex(f"escalation {claim_id}")
    assert {lease_of(network, item.account_id) for item in (one, two)} == {claim_id}


def test_who_accepts_and_with_which_leases() -> None:
    network = Network()
    one, two = network.commit_policy(), network.commit_policy()
    claim_id = reported(network, one.policy_id, two.policy_id)
    body = network.make_accept(claim_id)
    lease = AccountLease(one.policy_id, 0)
    cases = [
        ("insurer-two", body, "NOT_THE_INSURER"),
        ("insurer", structs.replace(body, claim_id=make_hex("unknown")), "CLAIM_UNKNOWN"),
        ("insurer", structs.replace(body, leases=(lease,)), "POLICY_SET_INCOMPLETE"),
        ("insurer", structs.replace(body, leases=(lease, lease)), "POLICY_SET_INCOMPLETE"),
        ("insurer", structs.replace(body, leases=(*body.leases, lease)), "POLICY_SET_INCOMPLETE"),
        (
            "insurer",
            structs.replace(body, leases=(lease, AccountLease(make_hex("foreign", 16), 0))),
            "POLICY_SET_INCOMPLETE",
        ),
        ("insurer", structs.replace(body, leases=(lease, AccountLease(two.policy_id, 1))), "ACCOUNT_VERSION"),
    ]
    for author, changed, code in cases:
        assert network.do("claim.accept", changed, author).code == code
    assert lease_of(network, one.account_id) is None, "a refused accept takes no lease, not even the first"


def test_accepting_again_is_refused_while_every_lease_is_held() -> None:
    network = Network()
    claim_id = reported(network, network.commit_policy().policy_id)
    network.accept(claim_id)
    assert network.do("claim.accept", network.make_accept(claim_id), "insurer").code == "WRONG_STATE"


def test_a_second_claim_waits_for_the_account() -> None:
    network = Network()
    policy = network.commit_policy()
    _, first = network.ready_claim(policy.policy_id)
    second = reported(network, policy.policy_id)
    receipt = network.do("claim.accept", network.make_accept(second), "insurer")
    assert (receipt.code, receipt.results[0].subject) == ("ACCOUNT_LEASED", first)
    network.adjudicate(first)
    assert lease_of(network, policy.account_id) is None
    network.accept(second)
    assert lease_of(network, policy.account_id) == second


def test_a_lease_ends_with_its_consent() -> None:
    network = Network()
    policy = network.commit_policy()
    customer, first = network.ready_claim(policy.policy_id)
    network.do("consent.revoke", ConsentRevoke(customer.consent_id, None, customer.slip), "hospital")
    assert network.do("claim.accept", network.make_accept(first), "insurer").code == "CONSENT_REVOKED"
    second = reported(network, policy.policy_id)
    network.accept(second)
    assert lease_of(network, policy.account_id) == second


def test_a_lease_ends_when_its_consent_expires() -> None:
    network = Network()
    policy = network.commit_policy()
    short = network.grant(policy.policy_id, exp_ms=network.now_ms + HOUR_MS)
    network.publish(short, "admission")
    network.accept(network.claim_id(short))
    network.wait(2 * HOUR_MS)
    network.accept(reported(network, policy.policy_id))


def test_a_lease_ends_with_the_decision_clock_and_can_be_taken_back() -> None:
    network = Network(make_genesis(parameters=Parameters(decide_ms=DAY_MS)))
    policy = network.commit_policy()
    _, slow = network.ready_claim(policy.policy_id)
    second = reported(network, policy.policy_id)
    accept_second = network.make_accept(second)
    assert network.do("claim.accept", accept_second, "insurer").code == "ACCOUNT_LEASED"
    network.wait(DAY_MS)
    assert network.do("claim.accept", accept_second, "insurer").code == "ok"
    late = network.make_adjudication(slow)
    assert network.do("claim.adjudicate", late, "insurer").code == "ACCOUNT_LEASED"
    assert network.do("claim.accept", network.make_accept(slow), "insurer").code == "ACCOUNT_LEASED"
    other = read_claim(network.state.read, second)
    assert other is not None
    customer = network.customers[other.consent_id]
    network.do("consent.revoke", ConsentRevoke(customer.consent_id, None, customer.slip), "hospital")
    receipt = network.accept(slow)
    assert [event.topic for event in receipt.results[0].events] == ["claim.accepted"]
    network.adjudicate(slow)


def test_a_late_decision_stands_while_nobody_else_waits() -> None:
    network = Network(make_genesis(parameters=Parameters(decide_ms=HOUR_MS)))
    _, claim_id = network.ready_claim(network.commit_policy().policy_id)
    network.wait(DAY_MS)
    network.adjudicate(claim_id)


def test_a_claim_closes_when_every_payout_is_paid() -> None:
    network = Network()
    one, two = network.commit_policy(), network.commit_policy()
    _, claim_id = network.ready_claim(one.policy_id, two.policy_id)
    assert network.do("claim.close", ClaimClose(claim_id), "insurer").code == "WRONG_STATE"
    network.adjudicate(claim_id)
    for policy in (one, two):
        network.pay(network.payout_id(claim_id, policy.policy_id))
    assert network.do("claim.close", ClaimClose(claim_id), "insurer-two").code == "NOT_THE_INSURER"
    receipt = network.do("claim.close", ClaimClose(claim_id), "insurer")
    assert [event.topic for event in receipt.results[0].events] == ["claim.closed"]
    assert network.do("claim.close", ClaimClose(claim_id), "insurer").code == "WRONG_STATE"


@pytest.mark.parametrize(
    ("endorsers", "code"),
    [
        ((), "CO_ADJUDICATOR_MISSING"),
        (("commission",), "CO_ADJUDICATOR_MISSING"),
        (("tpa-owned",), "CO_ADJUDICATOR_MISSING"),
        (("auditor",), "CO_ADJUDICATOR_MISSING"),
        (("tpa",), "ok"),
        (("commission", "tpa"), "ok"),
    ],
)
def test_nothing_due_takes_the_word_of_an_outside_co_adjudicator(endorsers: tuple[str, ...], code: str) -> None:
    """The commission is not listed, `tpa-owned` is the insurer's, the auditor may not read under this consent."""
    network = Network()
    policy = network.commit_policy(co_adjudicators=("tpa", "tpa-owned", "auditor"))
    _, claim_id = network.ready_claim(policy.policy_id)
    network.adjudicate(claim_id)
    payout_id = network.payout_id(claim_id, policy.policy_id)
    assert network.do("claim.close", ClaimClose(claim_id), "insurer", endorsers).code == code
    payout = read_payout(network.state.read, payout_id)
    assert payout is not None
    assert payout.status == ("NOT_DUE" if code == "ok" else "AUTHORISED")
    order = network.do("payout.order", PayoutOrder(payout_id, 1, make_hex("order")), "insurer")
    assert order.code == ("WRONG_STATE" if code == "ok" else "ok")


def test_a_payout_on_its_way_keeps_the_claim_open() -> None:
    network = Network()
    policy = network.commit_policy()
    _, claim_id = network.ready_claim(policy.policy_id)
    network.adjudicate(claim_id)
    payout_id = network.payout_id(claim_id, policy.policy_id)
    close = ClaimClose(claim_id)
    network.do("payout.order", PayoutOrder(payout_id, 1, make_hex("order")), "insurer")
    assert network.do("claim.close", close, "insurer", ["tpa"]).code == "PAYOUT_OPEN"
    network.do("payout.settle", PayoutSettle(payout_id, 1, make_hex("settlement")), "insurer")
    assert network.do("claim.close", close, "insurer", ["tpa"]).code == "PAYOUT_OPEN"
    network.do("payout.ack", PayoutAck(network.make_ack(payout_id)), "hospital")
    assert network.do("claim.close", close, "insurer").code == "ok"


def test_an_insurer_told_without_a_right_to_decide_can_still_be_refused() -> None:
    network = Network()
    policy = network.commit_policy()
    draft = network.make_consent([policy.policy_id])
    grantees = tuple(
        structs.replace(item, purposes=("report",)) if item.participant == "insurer" else item
        for item in draft.consent.grantees
    )
    customer = network.grant(policy.policy_id, grantees=grantees)
    records = network.publish(customer, "discharge", "invoice")
    network.complete(customer, records)
    claim_id = network.claim_id(customer)
    network.accept(claim_id)
    assert network.do("claim.adjudicate", network.make_adjudication(claim_id), "insurer").code == "NOT_GRANTED"


def test_accept_names_a_known_claim_body() -> None:
    network = Network()
    body = ClaimAccept(make_hex("unknown"), (AccountLease(make_hex("p", 16), 0),), make_hex("e"))
    assert network.do("claim.accept", body, "insurer").code == "CLAIM_UNKNOWN"


def test_a_claim_that_lost_its_lease_accepts_again_at_the_new_version() -> None:
    network = Network(make_genesis(parameters=Parameters(decide_ms=DAY_MS)))
    policy = network.commit_policy()
    _, slow = network.ready_claim(policy.policy_id)
    network.wait(2 * DAY_MS)
    _, quick = network.ready_claim(policy.policy_id)
    network.adjudicate(quick)
    assert network.do("claim.adjudicate", network.make_adjudication(slow), "insurer").code == "LEASE_MISSING"
    stale = network.make_accept(slow)
    stale = structs.replace(stale, leases=(AccountLease(policy.policy_id, 0),))
    assert network.do("claim.accept", stale, "insurer").code == "ACCOUNT_VERSION"
    network.accept(slow)
    network.adjudicate(slow)
