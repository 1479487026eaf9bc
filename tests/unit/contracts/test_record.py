"""record.publish: consent first, then everything else; and the report that the ledger makes by itself."""

from typing import Any

import pytest

from contracts.bodies import ConsentRevoke, RecordPublish
from contracts.genesis import Parameters
from contracts.states import read_case, read_claim, read_record
from tests.support.network_builder import (
    BLOCK_MS,
    CONTRACT_HASH,
    CONTRACT_TWO_HASH,
    DAY_MS,
    GENESIS_TIME_MS,
    PROGRAM,
    PROGRAM_TWO,
    Customer,
    Network,
    make_genesis,
    make_hex,
    make_program,
)


def with_customer(**changes: Any) -> tuple[Network, Customer]:
    network = Network()
    return network, network.grant(network.commit_policy().policy_id, **changes)


def publish_code(network: Network, customer: Customer, hospital: str = "hospital", **changes: Any) -> str:
    record = network.make_record(customer, changes.pop("record_type", "charges"), **changes)
    return network.do("record.publish", RecordPublish((record,)), hospital).code


def test_a_record_stands_under_its_derived_id() -> None:
    network, customer = with_customer()
    (record,) = network.publish(customer, "charges")
    stored = read_record(network.state.read, network.record_id(record))
    assert stored is not None
    assert (stored.commitment, stored.hospital, stored.status) == (record.commitment, "hospital", "PUBLISHED")
    assert stored.published_ms == network.now_ms


@pytest.mark.parametrize(
    ("hospital", "changes", "code"),
    [
        ("insurer", {}, "ROLE_MISSING"),
        ("hospital-two", {}, "HOSPITAL_NOT_LISTED"),
        ("hospital", {"consent_id": make_hex("unknown")}, "CONSENT_MISSING"),
        ("hospital", {"case_id": make_hex("unknown")}, "CASE_MISMATCH"),
        ("hospital", {"padded_size": 0}, "PADDED_SIZE"),
        ("hospital", {"padded_size": 65_535}, "PADDED_SIZE"),
        ("hospital", {"padded_size": 65_537}, "PADDED_SIZE"),
        ("hospital", {"padded_size": 2**33}, "PADDED_SIZE"),
        ("hospital", {"replaces": make_hex("unknown")}, "RECORD_UNKNOWN"),
        ("hospital", {"padded_size": 2**32}, "ok"),
    ],
)
def test_publications_that_are_refused(hospital: str, changes: dict[str, Any], code: str) -> None:
    network, customer = with_customer()
    assert publish_code(network, customer, hospital, **changes) == code


def test_consent_is_judged_at_the_block_that_executes() -> None:
    network, customer = with_customer()
    later = network.grant(network.commit_policy().policy_id, nbf_ms=network.now_ms + DAY_MS)
    assert publish_code(network, later) == "CONSENT_NOT_YET"
    network.wait(DAY_MS - 4 * BLOCK_MS)
    assert publish_code(network, later) == "CONSENT_NOT_YET"
    assert publish_code(network, later) == "ok", "nbf is the first moment"
    network.do("consent.revoke", ConsentRevoke(later.consent_id, None, later.slip), "auditor")
    assert publish_code(network, later) == "CONSENT_REVOKED"
    network.run(time_ms=customer.consent.exp_ms - 2 * BLOCK_MS)
    assert publish_code(network, customer) == "ok"
    assert publish_code(network, customer) == "CONSENT_EXPIRED", "exp is the first moment after"


def test_a_revocation_in_the_same_block_counts_in_its_order() -> None:
    network, customer = with_customer()
    record = network.sign("record.publish", RecordPublish((network.make_record(customer, "charges"),)), "hospital")
    revoke = network.sign("consent.revoke", ConsentRevoke(customer.consent_id, None, customer.slip), "auditor")
    again = network.sign("record.publish", RecordPublish((network.make_record(customer, "charges"),)), "hospital")
    receipts = network.run(record, revoke, again).receipts
    assert [receipt.code for receipt in receipts] == ["ok", "ok", "CONSENT_REVOKED"]


def test_a_commitment_is_published_once_by_a_hospital() -> None:
    network, customer = with_customer()
    (record,) = network.publish(customer, "charges")
    receipt = network.do("record.publish", RecordPublish((record,)), "hospital")
    assert (receipt.code, receipt.results[0].subject) == ("RECORD_EXISTS", network.record_id(record))


def test_a_record_replaces_one_of_its_own_case_and_type() -> None:
    network, customer = with_customer(hospitals=("hospital", "hospital-two"))
    stranger = network.grant(network.commit_policy().policy_id)
    (old,) = network.publish(customer, "invoice")
    old_id = network.record_id(old)
    assert publish_code(network, customer, record_type="charges", replaces=old_id) == "RECORD_TYPE"
    assert publish_code(network, stranger, record_type="invoice", replaces=old_id) == "CASE_MISMATCH"
    assert publish_code(network, customer, "hospital-two", record_type="invoice", replaces=old_id) == "CASE_MISMATCH"
    assert publish_code(network, customer, record_type="invoice", replaces=old_id) == "ok"


def test_the_first_admission_reports_the_case_to_every_insurer_in_rank_order() -> None:
    network = Network()
    second = network.commit_policy("insurer-two")
    first = network.commit_policy()
    third = network.commit_policy()
    customer = network.grant(second.policy_id, first.policy_id, third.policy_id)
    record = network.make_record(customer, "admission")
    receipt = network.do("record.publish", RecordPublish((record,)), "hospital")
    topics = [event.topic for event in receipt.results[0].events]
    assert topics == ["record.published", "claim.reported", "claim.reported"]
    case = read_case(network.state.read, customer.case_id)
    assert case is not None
    assert case.claims == (network.claim_id(customer, "insurer-two"), network.claim_id(customer, "insurer"))
    claim = read_claim(network.state.read, case.claims[1])
    assert claim is not None
    assert [item.policy_id for item in claim.policies] == [first.policy_id, third.policy_id]
    assert (claim.status, claim.rank, claim.reported_ms) == ("REPORTED", 2, network.now_ms)
    again = network.do("record.publish", RecordPublish((network.make_record(customer, "admission"),)), "hospital")
    assert [event.topic for event in again.results[0].events] == ["record.published"]


@pytest.mark.parametrize(
    ("report_on", "types", "reported_by"),
    [
        ("admission", ["charges", "invoice", "admission", "discharge"], 2),
        ("admission", ["charges", "discharge", "admission"], 1),
        ("discharge", ["admission", "charges", "discharge"], 2),
        ("admission", ["charges", "invoice"], None),
    ],
)
def test_which_record_reports(report_on: Any, types: list[str], reported_by: int | None) -> None:
    network = Network(make_genesis(parameters=Parameters(report_on=report_on)))
    customer = network.grant(network.commit_policy().policy_id)
    records = tuple(network.make_record(customer, name) for name in types)
    results = network.do("record.publish", RecordPublish(records), "hospital").results
    reporting = [n for n, item in enumerate(results) if any(event.topic == "claim.reported" for event in item.events)]
    assert reporting == ([] if reported_by is None else [reported_by])


def test_a_claim_pins_the_programs_in_force_when_it_is_reported() -> None:
    later = GENESIS_TIME_MS + 10 * DAY_MS
    programs = [make_program(PROGRAM), make_program(PROGRAM_TWO, active_from_ms=later)]
    network = Network(make_genesis(programs=programs))
    early = network.grant(network.commit_policy().policy_id)
    network.publish(early, "admission")
    network.run(time_ms=later)
    late = network.grant(network.commit_policy().policy_id)
    network.publish(late, "admission")
    pinned = []
    for customer in (early, late):
        claim = read_claim(network.state.read, network.claim_id(customer))
        assert claim is not None
        pinned.append(claim.policies[0].pinned)
    assert pinned == [(CONTRACT_HASH,), tuple(sorted((CONTRACT_HASH, CONTRACT_TWO_HASH)))]


def test_a_program_that_ended_within_the_look_back_stays_pinned() -> None:
    from contracts.claims import _pin_programs
    from contracts.states import PolicyState, ProgramState

    class View:
        time_ms = 100 * DAY_MS

        def programs(self) -> tuple[ProgramState, ...]:
            return (
                ProgramState("aa", "starlark-c1", 0, 90 * DAY_MS),
                ProgramState("bb", "starlark-c1", 0, 91 * DAY_MS),
                ProgramState("cc", "starlark-c1", 100 * DAY_MS, None),
                ProgramState("dd", "starlark-c1", 100 * DAY_MS + 1, None),
            )

    policy = PolicyState("insurer", "", "", "", ("tpa",), 1, "commission", look_back_days=10)
    assert _pin_programs(View(), policy) == ("bb", "cc")  # type: ignore[arg-type]
