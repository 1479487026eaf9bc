"""Bases of consents: who signs beside the key, for how long, for what; standing consents; ratification."""

from typing import Any

import pytest
from msgspec import structs

from contracts.bodies import ConsentGrant, ConsentRevoke, RecordEndorse, RecordPublish
from contracts.consentlife import DAY_MS
from contracts.identifiers import derive_standing_case
from contracts.states import read_case, read_claim, read_consent
from tests.support.consents import (
    BASES,
    MONTH_MS,
    SIGNERS,
    attest,
    grant_based,
    make_based,
    make_ratification,
)
from tests.support.network_builder import Customer, Network, make_bytes, make_hex
from tests.support.network_members import MEMBERS, make_genesis, make_member, make_participant

ATTESTED = ("paper", "guardian", "court")


@pytest.mark.parametrize("basis", BASES)
def test_each_basis_is_granted_with_its_signatures_and_remembered(basis: str) -> None:
    network = Network()
    customer = make_based(network, basis, network.commit_policy().policy_id)
    assert grant_based(network, customer).code == "ok"
    consent = read_consent(network.state.read, customer.consent_id)
    assert consent is not None
    assert (consent.lived.basis, consent.lived.attested_by) == (basis, tuple(sorted(SIGNERS[basis])))
    assert consent.lived.form_hash == BASES[basis].get("form_hash")
    if basis == "self":
        assert b"life" not in (network.store[f"consent/{customer.consent_id}"].value or b""), (
            "a plain one keeps its bytes"
        )


@pytest.mark.parametrize("basis", ATTESTED)
@pytest.mark.parametrize(
    ("signers", "code"),
    [
        ((), "ATTESTATION_MISSING"),
        (("hospital",), "ATTESTATION_MISSING"),
        (("commission", "commission"), "ATTESTATION_MISSING"),
        (("insurer", "tpa-owned"), "ATTESTATION_MISSING"),
        (("insurer", "tpa"), "ATTESTATION_MISSING"),
        (("hospital-two", "insurer"), "ATTESTATION_MISSING"),
        (("hospital", "insurer"), "ok"),
        (("commission-east", "insurer"), "ok"),
        (("hospital", "commission"), "ok"),
    ],
)
def test_two_control_groups_one_of_them_hospital_or_commission(basis: str, signers: tuple[str, ...], code: str) -> None:
    network = Network()
    customer = make_based(network, basis, network.commit_policy().policy_id)
    assert grant_based(network, customer, signers).code == code


def test_attestations_are_of_this_token_and_of_registered_keys() -> None:
    network = Network()
    policy = network.commit_policy().policy_id
    customer, other = make_based(network, "paper", policy), make_based(network, "paper", policy)
    foreign = attest(network, other.token, "hospital", "commission")
    assert network.do("consent.grant", ConsentGrant((customer.token,), foreign), "hospital").code == (
        "ATTESTATION_MISSING"
    )
    stranger = make_member("commission", key=7)
    assert grant_based(network, customer, ("hospital", stranger)).code == "CONSENT_ATTESTATION"
    moved = (foreign[0], attest(network, customer.token, "commission")[0])
    false = (type(moved[0])(moved[1].token_id, "hospital", moved[0].key_id, moved[0].signature), moved[1])
    receipt = network.do("consent.grant", ConsentGrant((customer.token,), false), "hospital")
    assert receipt.code == "CONSENT_ATTESTATION"
    both = (*foreign, *attest(network, customer.token, "hospital", "commission"))
    receipt = network.do("consent.grant", ConsentGrant((customer.token, other.token), both), "tpa")
    assert [item.code for item in receipt.results] == ["ok", "ok"]


@pytest.mark.parametrize("basis", [*ATTESTED, "emergency"])
def test_what_others_signed_is_for_one_case_and_a_month(basis: str) -> None:
    network = Network()
    policy = network.commit_policy().policy_id

    def code(**changes: Any) -> str:
        return grant_based(network, make_based(network, basis, policy, **changes)).code

    assert code(scope="standing") == "SCOPE_BASIS"
    assert code(exp_ms=network.now_ms + MONTH_MS + 5) == "CONSENT_PERIOD"
    assert code(nbf_ms=network.now_ms, exp_ms=network.now_ms + MONTH_MS) == "ok"
    if basis != "court":
        assert code(delegable=True) == "SCOPE_BASIS"


@pytest.mark.parametrize(
    ("basis", "changes"),
    [
        ("self", {"form_hash": make_hex("form")}),
        ("self", {"ward_commit": make_hex("ward")}),
        ("emergency", {"form_hash": make_hex("form")}),
        ("paper", {"ward_commit": make_hex("ward")}),
    ],
)
def test_forms_and_wards_belong_to_their_bases(basis: str, changes: dict[str, Any]) -> None:
    network = Network()
    customer = make_based(network, basis, network.commit_policy().policy_id, **changes)
    assert grant_based(network, customer, ("hospital", "commission")).code == "CONSENT_FORM"


def test_a_guardians_consent_ends_when_its_time_does() -> None:
    """Expiry is the ward's 18th birthday where that comes first; the ledger knows no birthday, only that end."""
    network = Network()
    birthday = network.now_ms + 5 * DAY_MS
    customer = make_based(network, "guardian", network.commit_policy().policy_id, exp_ms=birthday)
    grant_based(network, customer)
    network.publish(customer, "admission")
    network.wait(birthday - network.now_ms - 2_000)
    network.publish(customer, "discharge")
    late = RecordPublish((network.make_record(customer, "invoice"),))
    assert network.do("record.publish", late, "hospital").code == "CONSENT_EXPIRED"


def emergency(network: Network) -> Customer:
    customer = make_based(network, "emergency", network.commit_policy().policy_id)
    assert grant_based(network, customer).code == "ok"
    return customer


def test_an_emergency_reports_but_nothing_is_read_or_decided_before_it_is_ratified() -> None:
    network = Network()
    customer = emergency(network)
    records = network.publish(customer, "admission", "discharge", "invoice")
    claim_id = network.claim_id(customer)
    claim = read_claim(network.state.read, claim_id)
    assert claim is not None
    assert claim.status == "REPORTED"
    accept = network.make_accept(claim_id)
    assert network.do("claim.accept", accept, "insurer").code == "CONSENT_UNRATIFIED"
    endorsement = RecordEndorse((network.make_endorsement(records[0]),), ())
    assert network.do("record.endorse", endorsement, "commission").code == "CONSENT_UNRATIFIED"
    body, seed = make_ratification(network, customer, "hospital")
    receipt = network.do("consent.ratify", body, "insurer")
    assert [event.topic for event in receipt.results[0].events] == ["consent.ratified"]
    consent = read_consent(network.state.read, customer.consent_id)
    assert consent is not None
    assert (consent.lived.basis, consent.lived.ratify_by_ms) == ("self", None)
    assert consent.payee_commit == make_hex("their payee")
    network.complete(customer, records)
    assert network.accept(claim_id).code == "ok"
    stolen = ConsentRevoke(customer.consent_id, network.make_revocation(customer), None)
    assert network.do("consent.revoke", stolen, "tpa").code == "TOKEN_SIGNATURE", "the hospital's key counts no more"
    own = ConsentRevoke(customer.consent_id, network.make_revocation(customer, signed_by=seed), None)
    assert network.do("consent.revoke", own, "tpa").code == "ok"


def test_an_emergency_that_nobody_ratified_is_over_after_its_days() -> None:
    network = Network()
    customer = emergency(network)
    network.publish(customer, "admission")
    network.wait(MONTH_MS - 3_000 - (network.now_ms - customer.consent.nbf_ms))
    network.publish(customer, "discharge")
    network.wait(3_000)
    late = RecordPublish((network.make_record(customer, "invoice"),))
    assert network.do("record.publish", late, "hospital").code == "CONSENT_LAPSED"
    body, _ = make_ratification(network, customer, "hospital")
    assert network.do("consent.ratify", body, "hospital").code == "CONSENT_LAPSED"


@pytest.mark.parametrize(
    ("signers", "changes", "code"),
    [
        ((), {}, "ATTESTATION_MISSING"),
        (("commission", "insurer"), {}, "ATTESTATION_MISSING"),
        (("hospital",), {"basis": "paper", "form_hash": make_hex("form")}, "ATTESTATION_MISSING"),
        (("hospital", "insurer"), {"basis": "paper", "form_hash": make_hex("form")}, "ok"),
        (("hospital", "insurer"), {"basis": "paper"}, "CONSENT_FORM"),
        (("hospital",), {"network": "another.net"}, "NETWORK_MISMATCH"),
        (("hospital",), {"consent_id": make_hex("other")}, "CONSENT_MISMATCH"),
        (("hospital",), {"exp_ms": 1}, "CONSENT_PERIOD"),
        (("hospital",), {"key": make_hex("no such key")}, "TOKEN_KEY"),
    ],
)
def test_ratifications(signers: tuple[str, ...], changes: dict[str, Any], code: str) -> None:
    network = Network()
    customer = emergency(network)
    body, _ = make_ratification(network, customer, *signers, **changes)
    assert network.do("consent.ratify", body, "hospital").code == code
    if code == "ok":
        again, _ = make_ratification(network, customer, "hospital")
        assert network.do("consent.ratify", again, "hospital").code == "WRONG_STATE"


def test_only_an_emergency_that_stands_is_ratified() -> None:
    network = Network()
    plain = network.grant(network.commit_policy().policy_id)
    assert (
        network.do("consent.ratify", make_ratification(network, plain, "hospital")[0], "hospital").code == "WRONG_STATE"
    )
    customer = emergency(network)
    network.do("consent.revoke", ConsentRevoke(customer.consent_id, None, customer.slip), "tpa")
    body, _ = make_ratification(network, customer, "hospital")
    assert network.do("consent.ratify", body, "hospital").code == "CONSENT_REVOKED"


def test_a_standing_consent_opens_a_fresh_case_for_each_number() -> None:
    network = Network()
    policy = network.commit_policy().policy_id
    customer = make_based(network, "self", policy, scope="standing")
    assert grant_based(network, customer).code == "ok"
    assert read_case(network.state.read, customer.case_id) is None, "there is no case until one is opened"
    secret = make_bytes("case secret").hex()
    cases = [derive_standing_case(secret, number) for number in (0, 1)]
    assert len(set(cases)) == 2
    for case_id in cases:
        records = [network.make_record(customer, kind, case_id=case_id) for kind in ("admission", "discharge")]
        assert network.do("record.publish", RecordPublish(tuple(records)), "hospital").code == "ok"
        case = read_case(network.state.read, case_id)
        assert case is not None
        assert (case.status, case.consent_id, len(case.claims)) == ("REPORTED", customer.consent_id, 1)
    other = make_based(network, "self", policy, scope="standing")
    grant_based(network, other)
    taken = RecordPublish((network.make_record(other, "admission", case_id=cases[0]),))
    assert network.do("record.publish", taken, "hospital").code == "CASE_MISMATCH"
    network.do("consent.revoke", ConsentRevoke(customer.consent_id, None, customer.slip), "tpa")
    more = RecordPublish((network.make_record(customer, "invoice", case_id=cases[1]),))
    assert network.do("record.publish", more, "hospital").code == "CONSENT_REVOKED"


def test_two_of_one_owner_are_one_voice() -> None:
    """A hospital and its sister, both named by the consent, belong to one group: that is no second pair of eyes."""
    usual = [make_participant(name) for name in sorted(MEMBERS)]
    owned = [structs.replace(item, control_group="hospital") if item.id == "hospital-two" else item for item in usual]
    network = Network(make_genesis(participants=owned))
    policy = network.commit_policy().policy_id
    hospitals = ("hospital", "hospital-two")
    one_group = make_based(network, "paper", policy, hospitals=hospitals)
    assert grant_based(network, one_group, hospitals).code == "ATTESTATION_MISSING"
    assert grant_based(network, one_group, (*hospitals, "tpa")).code == "ok"
