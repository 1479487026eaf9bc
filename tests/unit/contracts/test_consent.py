"""consent.grant and consent.revoke: whose word counts, for how long, and what a bad token is called."""

from typing import Any

import pytest
from msgspec import structs

from contracts.bodies import ConsentGrant, ConsentRevoke
from contracts.states import read_case, read_consent
from contracts.tokens import CONSENT_TYPE, Grantee, encode_token
from tests.support.network_builder import (
    DAY_MS,
    GENESIS_TIME_MS,
    YEAR_MS,
    Network,
    make_bytes,
    make_hex,
)


def grant_code(chain: Network, policy_ids: tuple[str, ...], /, **changes: Any) -> str:
    customer = chain.make_consent(policy_ids, **changes)
    return chain.do("consent.grant", ConsentGrant((customer.token,)), "hospital").code


def test_a_grant_opens_a_case_and_anybody_can_relay_it() -> None:
    network = Network()
    policy = network.commit_policy()
    customer = network.make_consent([policy.policy_id])
    receipt = network.do("consent.grant", ConsentGrant((customer.token,)), "auditor")
    assert receipt.results[0].subject == customer.consent_id
    assert [event.topic for event in receipt.results[0].events] == ["consent.granted"]
    consent = read_consent(network.state.read, customer.consent_id)
    case = read_case(network.state.read, customer.case_id)
    assert consent is not None
    assert case is not None
    assert (consent.case_id, consent.payee_commit) == (customer.case_id, customer.consent.payee_commit)
    assert (case.status, case.claims, case.consent_id) == ("OPEN", (), customer.consent_id)


def test_one_consent_is_granted_once() -> None:
    network = Network()
    customer = network.grant(network.commit_policy().policy_id)
    receipt = network.do("consent.grant", ConsentGrant((customer.token,)), "insurer")
    assert (receipt.code, receipt.results[0].subject) == ("CONSENT_EXISTS", customer.consent_id)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"network": "another.net"}, "NETWORK_MISMATCH"),
        ({"basis": "guardian"}, "CONSENT_FORM"),
        ({"basis": "emergency"}, "CONSENT_PERIOD"),
        ({"basis": "emergency", "scope": "standing"}, "SCOPE_BASIS"),
        ({"nbf_ms": GENESIS_TIME_MS, "exp_ms": GENESIS_TIME_MS}, "CONSENT_PERIOD"),
        ({"nbf_ms": GENESIS_TIME_MS, "exp_ms": GENESIS_TIME_MS + 3 * YEAR_MS + 1}, "CONSENT_PERIOD"),
        ({"nbf_ms": GENESIS_TIME_MS + 4 * YEAR_MS, "exp_ms": GENESIS_TIME_MS + 5 * YEAR_MS}, "CONSENT_PERIOD"),
        ({"nbf_ms": GENESIS_TIME_MS - DAY_MS, "exp_ms": GENESIS_TIME_MS}, "CONSENT_EXPIRED"),
        ({"hospitals": ("hospital", "hospital")}, "CONSENT_REPEATED"),
        ({"hospitals": ("insurer",)}, "GRANTEE_ROLE"),
        ({"hospitals": ("no-such-member",)}, "PARTICIPANT_UNKNOWN"),
    ],
)
def test_grants_that_are_refused(changes: dict[str, Any], code: str) -> None:
    network = Network()
    assert grant_code(network, (network.commit_policy().policy_id,), **changes) == code


def test_the_longest_consent_and_one_that_begins_later_are_granted() -> None:
    network = Network()
    policy_id = network.commit_policy().policy_id
    now = network.now_ms
    assert grant_code(network, (policy_id,), nbf_ms=now, exp_ms=now + 3 * YEAR_MS) == "ok"
    assert grant_code(network, (policy_id,), nbf_ms=now + DAY_MS, exp_ms=now + YEAR_MS) == "ok"


INSURER = Grantee("insurer", ("report", "adjudicate"), ("clinical",), 1)
COMMISSION = Grantee("commission", ("endorse",), ("clinical",), None)


@pytest.mark.parametrize(
    ("grantees", "code"),
    [
        ((INSURER, INSURER), "CONSENT_REPEATED"),
        ((INSURER, Grantee("no-such-member", ("audit",), (), None)), "PARTICIPANT_UNKNOWN"),
        ((INSURER, Grantee("tpa", ("endorse",), (), None)), "GRANTEE_ROLE"),
        ((INSURER, Grantee("tpa", ("adjudicate",), (), None)), "GRANTEE_ROLE"),
        ((INSURER, Grantee("hospital", ("co-adjudicate",), (), None)), "GRANTEE_ROLE"),
        ((INSURER, Grantee("commission", ("endorse", "pay"), (), None)), "GRANTEE_ROLE"),
        ((INSURER, Grantee("tpa", ("audit",), (), None)), "GRANTEE_ROLE"),
        ((INSURER, Grantee("hospital", ("report",), (), None)), "GRANTEE_ROLE"),
        ((COMMISSION,), "POLICY_NOT_GRANTED"),
        ((structs.replace(INSURER, purposes=("pay",)), COMMISSION), "POLICY_NOT_GRANTED"),
        ((INSURER, Grantee("insurer-two", ("adjudicate",), (), 2)), "POLICY_NOT_GRANTED"),
        ((structs.replace(INSURER, rank=None),), "CONSENT_RANK"),
        ((INSURER, structs.replace(COMMISSION, rank=2)), "CONSENT_RANK"),
    ],
)
def test_grantees_must_fit_their_roles_and_policies(grantees: tuple[Grantee, ...], code: str) -> None:
    network = Network()
    assert grant_code(network, (network.commit_policy().policy_id,), grantees=grantees) == code


def test_two_insurers_need_two_ranks() -> None:
    network = Network()
    mine, theirs = network.commit_policy(), network.commit_policy("insurer-two")
    both = (mine.policy_id, theirs.policy_id)
    other = structs.replace(INSURER, participant="insurer-two")
    assert grant_code(network, both, grantees=(INSURER, other)) == "CONSENT_RANK"
    assert grant_code(network, both, grantees=(INSURER, structs.replace(other, rank=2))) == "ok"


def test_policies_must_exist_and_be_listed_once() -> None:
    network = Network()
    policy_id = network.commit_policy().policy_id
    assert grant_code(network, (make_hex("unknown", 16),)) == "POLICY_UNKNOWN"
    assert grant_code(network, (policy_id, policy_id)) == "CONSENT_REPEATED"


def test_a_token_signed_by_another_key_is_refused() -> None:
    network = Network()
    customer = network.make_consent([network.commit_policy().policy_id], signed_by=make_bytes("stranger"))
    assert network.do("consent.grant", ConsentGrant((customer.token,)), "hospital").code == "TOKEN_SIGNATURE"
    assert network.do("consent.grant", ConsentGrant(("no token",)), "hospital").code == "TOKEN_FORM"


def test_both_names_of_the_algorithm_are_read() -> None:
    network = Network()
    customer = network.make_consent([network.commit_policy().policy_id])
    token = encode_token(customer.consent, CONSENT_TYPE, customer.seed, "EdDSA")
    assert network.do("consent.grant", ConsentGrant((token,)), "hospital").code == "ok"


def test_many_tokens_are_judged_one_by_one() -> None:
    network = Network()
    policy_id = network.commit_policy().policy_id
    good, late = network.make_consent([policy_id]), network.make_consent([policy_id], basis="court")
    receipt = network.do("consent.grant", ConsentGrant((good.token, late.token, good.token)), "hospital")
    assert [item.code for item in receipt.results] == ["ok", "CONSENT_FORM", "CONSENT_EXISTS"]


def test_revocation_by_token_and_by_slip() -> None:
    network = Network()
    policy_id = network.commit_policy().policy_id
    one, two = network.grant(policy_id), network.grant(policy_id)
    by_token = ConsentRevoke(one.consent_id, network.make_revocation(one), None)
    by_slip = ConsentRevoke(two.consent_id, None, two.slip)
    receipt = network.do("consent.revoke", by_token, "hospital-two")
    assert [event.topic for event in receipt.results[0].events] == ["consent.revoked"]
    assert network.do("consent.revoke", by_slip, "auditor").code == "ok"
    for customer in (one, two):
        consent = read_consent(network.state.read, customer.consent_id)
        assert consent is not None
        assert consent.revoked_ms is not None
    assert network.do("consent.revoke", by_slip, "auditor").code == "CONSENT_REVOKED"


def test_revocations_that_prove_nothing() -> None:
    network = Network()
    policy_id = network.commit_policy().policy_id
    one, two = network.grant(policy_id), network.grant(policy_id)
    token = network.make_revocation(one)
    cases = [
        (ConsentRevoke(make_hex("unknown"), None, one.slip), "CONSENT_MISSING"),
        (ConsentRevoke(one.consent_id, None, None), "REVOCATION_PROOF"),
        (ConsentRevoke(one.consent_id, token, one.slip), "REVOCATION_PROOF"),
        (ConsentRevoke(one.consent_id, None, two.slip), "REVOCATION_PROOF"),
        (ConsentRevoke(two.consent_id, token, None), "TOKEN_SIGNATURE"),
        (ConsentRevoke(one.consent_id, network.make_revocation(one, signed_by=two.seed), None), "TOKEN_SIGNATURE"),
        (
            ConsentRevoke(two.consent_id, network.make_revocation(one, signed_by=two.seed), None),
            "REVOCATION_PROOF",
        ),
        (ConsentRevoke(one.consent_id, network.make_revocation(one, network="other.net"), None), "NETWORK_MISMATCH"),
        (ConsentRevoke(one.consent_id, one.token, None), "TOKEN_TYPE"),
    ]
    for body, code in cases:
        assert network.do("consent.revoke", body, "hospital").code == code
