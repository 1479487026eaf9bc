"""consent.delegate and consent.rekey: narrower and three deep at most; another key only after 72 hours without a no."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from contracts.bodies import ConsentRevoke, PayoutFail, PayoutOrder, PayoutSettle
from contracts.claimbodies import ClaimWithdraw
from contracts.claimtokens import WITHDRAWAL_TYPE, Withdrawal
from contracts.consentbodies import ConsentDelegate
from contracts.consentforce import is_allowed, list_readers
from contracts.consentlife import HOUR_MS, MAX_DELEGATIONS, REKEY_MS
from contracts.genesis import FinalityKey
from contracts.states import ConsentState, read_consent
from contracts.tokens import PAYEE_TYPE, PayeeChange, encode_token
from ledger.crypto import bls, ed25519
from tests.support.consents import apply_key, make_rekeying, make_veto
from tests.support.network_builder import Customer, Network, make_bytes, make_hex
from tests.support.network_members import (
    MEMBERS,
    make_genesis,
    make_member,
    make_participant,
    make_signing_key,
)


def delegable() -> tuple[Network, Customer]:
    network = Network()
    return network, network.grant(network.commit_policy().policy_id, delegable=True)


def delegate(network: Network, customer: Customer, author: str = "insurer", **changes: Any) -> str:
    body = ConsentDelegate(
        consent_id=customer.consent_id,
        to="tpa-owned",
        purposes=("report", "pay"),
        data_classes=("charges",),
        until_ms=customer.consent.exp_ms,
    )
    return network.do("consent.delegate", structs.replace(body, **changes), author).code


def state_of(network: Network, customer: Customer) -> ConsentState:
    consent = read_consent(network.state.read, customer.consent_id)
    assert consent is not None
    return consent


def test_an_insurer_passes_part_of_what_it_may_on_to_its_administrator() -> None:
    network, customer = delegable()
    now = network.now_ms
    assert not is_allowed(state_of(network, customer), "tpa-owned", "pay", now)
    assert delegate(network, customer, until_ms=now + HOUR_MS) == "ok"
    consent = state_of(network, customer)
    assert is_allowed(consent, "tpa-owned", "pay", now)
    assert "tpa-owned" in list_readers(consent, "charges", now)
    assert "tpa-owned" not in list_readers(consent, "clinical", now)
    assert not is_allowed(consent, "tpa-owned", "pay", now + HOUR_MS)


@pytest.mark.parametrize(
    ("author", "changes", "code"),
    [
        ("insurer-two", {}, "NOT_GRANTED"),
        ("commission", {}, "DELEGATION_PARTY"),
        ("insurer", {"to": "auditor"}, "DELEGATION_PARTY"),
        ("insurer", {"to": "insurer-two"}, "DELEGATION_PARTY"),
        ("insurer", {"to": "tpa"}, "DELEGATION_REPEATED"),
        ("insurer", {"purposes": ("audit",)}, "GRANTEE_ROLE"),
        ("insurer", {"until_ms": 2**50}, "DELEGATION_WIDER"),
        ("insurer", {"until_ms": 1}, "CONSENT_PERIOD"),
        ("tpa", {"purposes": ("pay",)}, "DELEGATION_WIDER"),
        ("tpa", {"purposes": ("report",), "data_classes": ("identity",)}, "DELEGATION_WIDER"),
    ],
)
def test_delegations_that_are_refused(author: str, changes: dict[str, Any], code: str) -> None:
    network, customer = delegable()
    assert delegate(network, customer, author, **changes) == code


@pytest.mark.parametrize("purpose", ["adjudicate", "endorse", "co-adjudicate"])
def test_judging_is_never_passed_on(purpose: str) -> None:
    network, customer = delegable()
    assert delegate(network, customer, purposes=(purpose,)) == "BODY_SCHEMA"


def test_a_consent_that_lets_nobody_in_is_not_passed_on() -> None:
    network = Network()
    assert delegate(network, network.grant(network.commit_policy().policy_id)) == "DELEGATION_BARRED"


def with_administrators(*names: str) -> Network:
    """A network with more members of the role TPA, each an owner of its own."""
    usual = [make_participant(name) for name in sorted(MEMBERS)]
    sample = make_participant("tpa-owned")
    more = []
    for name in names:
        member = make_member(name)
        finality = FinalityKey(
            public_key=bls.public_key(member.finality_secret).hex(),
            possession=bls.prove_possession(member.finality_secret).hex(),
        )
        fields = {
            "id": name,
            "control_group": name,
            "signing_keys": (make_signing_key(member),),
            "finality_key": finality,
            "envelope_key": make_hex(f"envelope {name}"),
            "note_key": ed25519.public_key(make_bytes(f"note {name}")).hex(),
            "transport_spki": make_hex(f"transport {name}"),
        }
        more.append(structs.replace(sample, **fields))
    return Network(make_genesis(participants=sorted([*usual, *more], key=lambda item: item.id)))


def test_each_step_is_narrower_and_there_are_three() -> None:
    network = with_administrators("tpa-b", "tpa-c", "tpa-d")
    customer = network.grant(network.commit_policy().policy_id, delegable=True)
    both: Any = {"data_classes": ("charges", "clinical")}
    assert delegate(network, customer, **both) == "ok"
    assert delegate(network, customer, "tpa-owned", to="tpa-b", **both) == "DELEGATION_WIDER", "as much is not less"
    assert delegate(network, customer, "tpa-owned", to="tpa-b", purposes=("pay",), **both) == "ok"
    assert delegate(network, customer, "tpa-b", to="tpa-c") == "DELEGATION_WIDER"
    assert delegate(network, customer, "tpa-b", to="tpa-c", purposes=("pay",)) == "ok"
    assert [item.depth for item in state_of(network, customer).lived.delegations] == [1, 2, 3]
    assert delegate(network, customer, "tpa-c", to="tpa-d", purposes=("pay",), data_classes=()) == "DELEGATION_DEPTH"


def test_a_consent_keeps_a_bounded_number_of_delegations() -> None:
    names = [f"tpa-{letter}" for letter in "bcdefghijklmnopqr"]
    network = with_administrators(*names)
    customer = network.grant(network.commit_policy().policy_id, delegable=True)
    codes = [delegate(network, customer, to=name) for name in names]
    assert codes == ["ok"] * MAX_DELEGATIONS + ["DELEGATIONS_FULL"]


def test_delegations_end_with_the_consent() -> None:
    network, customer = delegable()
    assert delegate(network, customer) == "ok"
    network.do("consent.revoke", ConsentRevoke(customer.consent_id, None, customer.slip), "tpa")
    assert delegate(network, customer, to="tpa") == "CONSENT_REVOKED"


# --- another key

NEW = make_bytes("another key")


def rekeying() -> tuple[Network, Customer]:
    network = Network()
    return network, network.grant(network.commit_policy().policy_id)


def test_another_key_takes_its_place_after_72_hours() -> None:
    network, customer = rekeying()
    ask = make_rekeying(network, customer.consent_id, "hospital", "commission")
    receipt = network.do("consent.rekey", ask, "tpa")
    assert [event.topic for event in receipt.results[0].events] == ["consent.rekey_asked"]
    assert network.do("consent.rekey", ask, "tpa").code == "REKEY_OPEN"
    apply = apply_key(customer.consent_id)
    assert network.do("consent.rekey", apply, "auditor").code == "REKEY_EARLY"
    old = state_of(network, customer)
    network.wait(REKEY_MS - 4_000)
    assert network.do("consent.rekey", apply, "auditor").code == "REKEY_EARLY"
    network.wait(2_000)
    assert network.do("consent.rekey", apply, "auditor").code == "ok"
    consent = state_of(network, customer)
    assert consent.key != old.key
    assert consent.mailbox_key == make_hex("another mailbox")
    assert consent.revoke_hash == old.revoke_hash
    revoke = {"consent_id": customer.consent_id, "slip": None, "token": network.make_revocation(customer)}
    assert network.do("consent.revoke", revoke, "tpa").code == "TOKEN_SIGNATURE"
    revoke["token"] = network.make_revocation(customer, signed_by=NEW)
    assert network.do("consent.revoke", revoke, "tpa").code == "ok"


def test_the_old_keys_no_is_for_good() -> None:
    network, customer = rekeying()
    network.do("consent.rekey", make_rekeying(network, customer.consent_id, "hospital", "commission"), "tpa")
    wrong = make_veto(network, customer.consent_id, NEW)
    assert network.do("consent.rekey", wrong, "insurer").code == "TOKEN_SIGNATURE"
    other = make_veto(network, customer.consent_id, customer.seed, key_of=make_bytes("third"))
    assert network.do("consent.rekey", other, "insurer").code == "REKEY_PROOF"
    veto = make_veto(network, customer.consent_id, customer.seed)
    assert network.do("consent.rekey", veto, "insurer").code == "ok"
    network.wait(REKEY_MS)
    assert network.do("consent.rekey", apply_key(customer.consent_id), "tpa").code == "REKEY_NONE"
    again = make_rekeying(network, customer.consent_id, "hospital", "commission")
    assert network.do("consent.rekey", again, "tpa").code == "REKEY_VETOED"


@pytest.mark.parametrize(
    ("signers", "changes", "code"),
    [
        (("hospital",), {}, "ATTESTATION_MISSING"),
        (("insurer", "tpa"), {}, "ATTESTATION_MISSING"),
        (("hospital", "tpa"), {"network": "another.net"}, "NETWORK_MISMATCH"),
        (("hospital", "tpa"), {"consent_id": make_hex("other")}, "CONSENT_MISMATCH"),
        (("hospital", "tpa"), {"key": make_hex("no key")}, "TOKEN_KEY"),
    ],
)
def test_wishes_that_are_refused(signers: tuple[str, ...], changes: dict[str, Any], code: str) -> None:
    network, customer = rekeying()
    body = make_rekeying(network, customer.consent_id, *signers, changes=changes)
    assert network.do("consent.rekey", body, "tpa").code == code


def test_steps_and_tokens_go_together() -> None:
    network, customer = rekeying()
    ask = make_rekeying(network, customer.consent_id, "hospital", "commission")
    assert network.do("consent.rekey", structs.replace(ask, token=None), "tpa").code == "REKEY_PROOF"
    assert network.do("consent.rekey", structs.replace(ask, step="apply"), "tpa").code == "REKEY_PROOF"
    own = make_rekeying(network, customer.consent_id, "hospital", "commission", seed=customer.seed)
    assert network.do("consent.rekey", own, "tpa").code == "REKEY_PROOF"


def test_a_new_key_sends_no_older_payout_elsewhere_alone() -> None:
    network = Network()
    policy = network.commit_policy().policy_id
    customer, claim_id = network.ready_claim(policy)
    network.adjudicate(claim_id)
    payout_id = network.payout_id(claim_id, policy)
    network.do("payout.order", PayoutOrder(payout_id, 1, make_hex("order")), "insurer")
    network.do("payout.settle", PayoutSettle(payout_id, 1, make_hex("settlement")), "insurer")
    network.do("consent.rekey", make_rekeying(network, customer.consent_id, "hospital", "commission"), "tpa")
    network.wait(REKEY_MS)
    assert network.do("consent.rekey", apply_key(customer.consent_id), "tpa").code == "ok"
    network.customers[customer.consent_id] = replace(customer, seed=NEW)
    network.do("payout.contest", {"token": network.make_contest(payout_id)}, "tpa")
    assert network.do("payout.fail", PayoutFail(payout_id, 1, make_hex("bank")), "insurer").code == "ok"
    change = PayeeChange(1, "test.claims", customer.consent_id, payout_id, 2, make_hex("thief"), make_hex("n", 16))
    body = PayoutOrder(payout_id, 2, make_hex("order two"), encode_token(change, PAYEE_TYPE, NEW))
    assert network.do("payout.order", body, "insurer").code == "CONSENT_REKEYED"
    assert network.do("payout.order", body, "insurer", ("tpa",)).code == "CONSENT_REKEYED"
    assert network.do("payout.order", body, "insurer", ("hospital",)).code == "ok"


def test_a_new_key_withdraws_no_older_claim_alone() -> None:
    network = Network()
    customer, claim_id = network.ready_claim(network.commit_policy().policy_id)
    network.do("consent.rekey", make_rekeying(network, customer.consent_id, "hospital", "commission"), "tpa")
    network.wait(REKEY_MS)
    assert network.do("consent.rekey", apply_key(customer.consent_id), "tpa").code == "ok"
    word = Withdrawal(1, "test.claims", customer.consent_id, claim_id, 1, make_hex("word", 16))
    body = ClaimWithdraw(claim_id, encode_token(word, WITHDRAWAL_TYPE, NEW), None, None)
    assert network.do("claim.withdraw", body, "tpa").code == "CONSENT_REKEYED"
    assert network.do("claim.withdraw", body, "tpa", ("hospital",)).code == "ok"
