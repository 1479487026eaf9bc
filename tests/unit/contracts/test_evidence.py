"""record.endorse: the commission's verdicts, the invoice lock, and when a case is complete."""

from typing import Any

import pytest

from contracts.bodies import ConsentRevoke, EvidenceCompletion, PublishedRecord, RecordEndorse
from contracts.identifiers import derive_evidence_root, derive_pool_id
from contracts.receipts import Receipt
from contracts.states import read_case, read_claim, read_nullifier, read_pool, read_record
from contracts.tokens import Grantee
from tests.support.network_builder import Customer, Network, make_hex


def with_records(*types: str) -> tuple[Network, Customer, list[PublishedRecord]]:
    network = Network()
    customer = network.grant(network.commit_policy().policy_id)
    return network, customer, network.publish(customer, *types)


def endorse(network: Network, *items: Any, author: str = "commission") -> Receipt:
    return network.do("record.endorse", RecordEndorse(tuple(items), ()), author)


def complete(network: Network, *items: EvidenceCompletion, author: str = "commission") -> Receipt:
    return network.do("record.endorse", RecordEndorse((), tuple(items)), author)


def test_an_accepted_invoice_brings_its_nullifier_into_state() -> None:
    network, _, (record,) = with_records("invoice")
    item = network.make_endorsement(record)
    receipt = endorse(network, item)
    assert [event.topic for event in receipt.results[0].events] == ["record.endorsed"]
    stored = read_record(network.state.read, item.record_id)
    assert stored is not None
    assert (stored.status, stored.endorsed_by, stored.nullifier) == ("ACCEPTED", "commission", item.nullifier)
    assert stored.profile == "national-2021"
    nullifier = read_nullifier(network.state.read, item.nullifier or "")
    assert nullifier is not None
    assert (nullifier.record_id, nullifier.commission) == (item.record_id, "commission")


def test_a_rejected_record_has_a_verdict_and_no_nullifier() -> None:
    network, _, (record,) = with_records("invoice")
    rejected = network.make_endorsement(record, verdict="rejected", code="EVIDENCE_INVALID", nullifier=None)
    receipt = endorse(network, rejected)
    assert [event.topic for event in receipt.results[0].events] == ["record.rejected"]
    assert endorse(network, network.make_endorsement(record)).code == "ALREADY_ENDORSED"


@pytest.mark.parametrize(
    ("record_type", "author", "changes", "code"),
    [
        ("invoice", "hospital", {}, "ROLE_MISSING"),
        ("invoice", "commission-east", {}, "NOT_GRANTED"),
        ("invoice", "commission", {"record_id": make_hex("unknown")}, "RECORD_UNKNOWN"),
        ("invoice", "commission", {"commitment": make_hex("other")}, "COMMITMENT_MISMATCH"),
        ("invoice", "commission", {"nullifier": None}, "NULLIFIER_FORM"),
        ("discharge", "commission", {"nullifier": make_hex("n")}, "NULLIFIER_FORM"),
        ("discharge", "commission", {"reverses": make_hex("n")}, "NULLIFIER_FORM"),
        ("invoice", "commission", {"verdict": "rejected", "code": "EVIDENCE_INVALID"}, "NULLIFIER_FORM"),
        ("invoice", "commission", {"verdict": "rejected", "nullifier": None}, "VERDICT_CODE"),
        ("invoice", "commission", {"reverses": make_hex("never endorsed")}, "REVERSES_UNKNOWN"),
        ("discharge", "commission", {}, "ok"),
    ],
)
def test_endorsements(record_type: str, author: str, changes: dict[str, Any], code: str) -> None:
    network, _, (record,) = with_records(record_type)
    receipt = endorse(network, network.make_endorsement(record, **changes), author=author)
    assert receipt.code == code


def test_the_same_invoice_is_endorsed_once_whoever_publishes_it() -> None:
    """X5: under two customers and two insurers."""
    network, _, (first,) = with_records("invoice")
    other = network.grant(network.commit_policy("insurer-two").policy_id)
    (second,) = network.publish(other, "invoice")
    accepted = network.make_endorsement(first)
    assert endorse(network, accepted).code == "ok"
    receipt = endorse(network, network.make_endorsement(second, nullifier=accepted.nullifier))
    assert (receipt.code, receipt.results[0].subject) == ("DUPLICATE_OF", accepted.record_id)
    stored = read_record(network.state.read, network.record_id(second))
    assert stored is not None
    assert stored.status == "PUBLISHED", "a refused endorsement leaves the record as it was"


def test_duplicates_are_found_within_one_transaction() -> None:
    """X5: twice in one transaction."""
    network, _, records = with_records("invoice", "invoice")
    first = network.make_endorsement(records[0])
    receipt = endorse(network, first, network.make_endorsement(records[1], nullifier=first.nullifier))
    assert [item.code for item in receipt.results] == ["ok", "DUPLICATE_OF"]


def test_a_red_invoice_reverses_a_blue_one_once() -> None:
    network, _, records = with_records("invoice", "invoice", "invoice", "invoice")
    blue = network.make_endorsement(records[0])
    red = network.make_endorsement(records[1], reverses=blue.nullifier)
    assert endorse(network, blue, red).code == "ok"
    original = read_nullifier(network.state.read, blue.nullifier or "")
    assert original is not None
    assert original.reversed_by == red.nullifier
    twice = network.make_endorsement(records[2], reverses=blue.nullifier)
    of_red = network.make_endorsement(records[3], reverses=red.nullifier)
    receipt = endorse(network, twice, of_red)
    assert [item.code for item in receipt.results] == ["REVERSES_USED", "REVERSES_USED"]
    assert read_nullifier(network.state.read, twice.nullifier or "") is None


def test_a_revoked_consent_stops_endorsement_and_completion() -> None:
    network, customer, records = with_records("discharge", "invoice")
    endorse(network, *(network.make_endorsement(record) for record in records[:1]))
    network.do("consent.revoke", ConsentRevoke(customer.consent_id, None, customer.slip), "hospital")
    assert endorse(network, network.make_endorsement(records[1])).code == "CONSENT_REVOKED"
    assert complete(network, network.make_completion(customer, records)).code == "CONSENT_REVOKED"


def test_completion_fixes_the_evidence_and_opens_the_pool() -> None:
    network, customer, records = with_records("admission", "discharge", "invoice")
    claim_id = network.claim_id(customer)
    network.accept(claim_id)
    completion = network.make_completion(customer, list(reversed(records)))
    body = RecordEndorse(tuple(network.make_endorsement(record) for record in records), (completion,))
    receipt = network.do("record.endorse", body, "commission")
    assert [event.topic for event in receipt.results[3].events] == ["case.complete", "claim.ready"]
    case = read_case(network.state.read, customer.case_id)
    pool = read_pool(network.state.read, derive_pool_id(customer.case_id))
    claim = read_claim(network.state.read, claim_id)
    assert case is not None
    assert pool is not None
    assert claim is not None
    ids = [(network.record_id(record), record.commitment) for record in records]
    assert case.records == tuple(sorted(name for name, _ in ids))
    assert (case.status, case.evidence_root) == ("COMPLETE", derive_evidence_root(ids))
    assert (pool.version, pool.commit, pool.case_id) == (0, completion.pool_commit, customer.case_id)
    assert (claim.status, claim.ready_ms) == ("EVIDENCE_COMPLETE", network.now_ms)
    assert complete(network, completion).code == "WRONG_STATE"


def test_a_claim_accepted_after_completion_is_ready_at_once() -> None:
    network, customer, records = with_records("discharge", "invoice")
    network.complete(customer, records)
    claim_id = network.claim_id(customer)
    claim = read_claim(network.state.read, claim_id)
    assert claim is not None
    assert claim.status == "REPORTED"
    receipt = network.accept(claim_id)
    assert [event.topic for event in receipt.results[0].events] == ["claim.accepted", "claim.ready"]


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("role", "ROLE_MISSING"),
        ("grant", "NOT_GRANTED"),
        ("unknown case", "CASE_UNKNOWN"),
        ("unknown record", "RECORD_UNKNOWN"),
        ("twice", "RECORD_REPEATED"),
        ("other case", "CASE_MISMATCH"),
        ("not accepted", "RECORD_NOT_ACCEPTED"),
        ("no invoice", "EVIDENCE_INCOMPLETE"),
        ("no discharge", "EVIDENCE_INCOMPLETE"),
        ("replaced", "RECORD_REPLACED"),
    ],
)
def test_completions_that_are_refused(case: str, code: str) -> None:
    network, customer, records = with_records("discharge", "invoice", "charges")
    corrected = network.make_record(customer, "discharge", replaces=network.record_id(records[0]))
    other = network.grant(network.commit_policy().policy_id)
    foreign = network.make_record(other, "invoice")
    network.do("record.publish", {"records": [_plain(corrected), _plain(foreign)]}, "hospital")
    accepted = [*records[:2], corrected, foreign]
    assert endorse(network, *(network.make_endorsement(record) for record in accepted)).code == "ok"
    discharge, invoice, charges = (network.record_id(record) for record in records)
    listed = {
        "unknown record": (discharge, invoice, make_hex("unknown")),
        "twice": (discharge, invoice, invoice),
        "other case": (discharge, invoice, network.record_id(foreign)),
        "not accepted": (discharge, invoice, charges),
        "no invoice": (discharge,),
        "no discharge": (invoice,),
        "replaced": (discharge, network.record_id(corrected), invoice),
    }.get(case, (discharge, invoice))
    case_id = make_hex("unknown") if case == "unknown case" else customer.case_id
    author = {"role": "tpa", "grant": "commission-east"}.get(case, "commission")
    receipt = complete(network, EvidenceCompletion(case_id, listed, make_hex("pool")), author=author)
    assert receipt.code == code


def test_a_commission_without_a_grant_for_endorsing() -> None:
    network = Network()
    policy = network.commit_policy()
    customer = network.make_consent([policy.policy_id])
    auditing = Grantee("commission", ("audit",), ("clinical",), None)
    grantees = (*(item for item in customer.consent.grantees if item.participant == "insurer"), auditing)
    granted = network.grant(policy.policy_id, grantees=grantees)
    (record,) = network.publish(granted, "discharge")
    assert endorse(network, network.make_endorsement(record)).code == "NOT_GRANTED"


def test_a_body_without_any_operation_is_refused() -> None:
    network = Network()
    assert network.do("record.endorse", RecordEndorse((), ()), "commission").code == "BODY_SCHEMA"


def _plain(record: PublishedRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}
