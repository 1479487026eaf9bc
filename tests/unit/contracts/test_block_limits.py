"""Limits of genesis: the proposer leaves out what the voter would refuse, and nobody fills a block alone."""

from typing import Any

import pytest

from contracts.bodies import ConsentGrant, PolicyCommit, RecordPublish
from contracts.execution import build_block, execute_block
from contracts.genesis import Limits
from contracts.kinds import KINDS, prepare
from contracts.limits import Budget
from ledger.blocks import Block
from ledger.errors import InvalidBlock, InvalidTransaction
from ledger.transactions import SignedTransaction
from tests.support.network_builder import BLOCK_MS, Network, make_genesis


def network_with(**limits: int) -> Network:
    return Network(make_genesis(limits=Limits(**limits)))


def policies(network: Network, count: int, author: str = "insurer") -> list[SignedTransaction]:
    bodies = [PolicyCommit((network.make_policy(),)) for _ in range(count)]
    return [network.sign("policy.commit", body, author) for body in bodies]


def built(network: Network, candidates: list[SignedTransaction]) -> list[SignedTransaction]:
    executed = build_block(network.state, candidates, time_ms=network.now_ms + BLOCK_MS)
    execute_block(network.state, executed.block, network.verify)
    return list(executed.transactions)


def refused(network: Network, candidates: list[SignedTransaction]) -> str:
    """The code with which a voter refuses a block of all these."""
    header = build_block(network.state, [], time_ms=network.now_ms + BLOCK_MS).block.header
    block = Block(header=header, transactions=tuple(item.encoded for item in candidates))
    with pytest.raises((InvalidBlock, InvalidTransaction)) as caught:
        execute_block(network.state, block, network.verify)
    return caught.value.code


def test_one_author_has_half_of_each_block() -> None:
    network = network_with(block_transactions=6)
    mine, theirs = policies(network, 5), policies(network, 2, "insurer-two")
    assert built(network, mine + theirs) == mine[:3] + theirs
    assert refused(network, mine[:4]) == "author_share_bp"
    assert refused(network, mine[:3] + theirs + policies(network, 2, "tpa")) == "block_transactions"


def test_the_share_is_a_parameter() -> None:
    network = network_with(block_transactions=4, author_share_bp=10_000)
    mine = policies(network, 5)
    assert built(network, mine) == mine[:4]
    assert refused(network, mine) == "block_transactions"
    network = network_with(block_transactions=10, author_share_bp=2_500)
    assert len(built(network, policies(network, 5))) == 2


def test_bytes_of_a_block() -> None:
    probe = Network()
    size = len(policies(probe, 1)[0].encoded) + 4
    network = network_with(transaction_bytes=size, block_bytes=3 * size + 10, author_share_bp=10_000)
    mine = policies(network, 4)
    taken = built(network, mine)
    assert taken == mine[:3]
    assert refused(network, mine) == "block_bytes"


def test_operations_of_a_block() -> None:
    network = network_with(transaction_operations=3, block_operations=6)
    three = network.sign("policy.commit", PolicyCommit(tuple(network.make_policy() for _ in range(3))), "insurer")
    four = network.sign("policy.commit", PolicyCommit(tuple(network.make_policy() for _ in range(4))), "insurer-two")
    others = policies(network, 4, "insurer-two")
    assert built(network, [three, four, *others]) == [three, *others[:3]]
    assert refused(network, [four]) == "transaction_operations"
    assert refused(network, others) == "author_share_bp"
    assert refused(network, [three, *others[:3], *policies(network, 1, "tpa")]) == "block_operations"


def test_a_transaction_that_is_refused_whole_counts_as_one_operation() -> None:
    network = Network()
    assert prepare(network.sign("claim.dream", {}, "tpa")).operations == 1
    assert prepare(network.sign("claim.close", {}, "tpa")).operations == 1


def test_bytes_and_signatures_of_a_transaction() -> None:
    network = network_with(transaction_bytes=600)
    assert refused(network, policies(network, 1)) == "transaction_bytes"
    assert built(network, policies(network, 1)) == []
    network = network_with(transaction_signatures=2)
    tokens = tuple(network.make_consent([]).token for _ in range(2))
    grant = network.sign("consent.grant", ConsentGrant(tokens), "hospital")
    assert refused(network, [grant]) == "transaction_signatures"
    assert built(network, [grant]) == []


def test_what_counts_as_a_signature() -> None:
    network = Network()
    policy = network.commit_policy()
    customer, claim_id = network.ready_claim(policy.policy_id)
    adjudication = network.sign("claim.adjudicate", network.make_adjudication(claim_id), "insurer", ["tpa"])
    network.run(adjudication)
    network.do(
        "payout.order",
        {"payout_id": network.payout_id(claim_id, policy.policy_id), "attempt": 1, "order_commit": "00" * 32},
        "insurer",
    )
    revoke = {"consent_id": customer.consent_id, "token": None, "slip": customer.slip}
    ack = {"token": network.make_ack(network.payout_id(claim_id, policy.policy_id))}
    counts = {
        "claim.adjudicate": prepare(adjudication).signatures,
        "consent.revoke": prepare(network.sign("consent.revoke", revoke, "hospital")).signatures,
        "payout.ack": prepare(network.sign("payout.ack", ack, "hospital")).signatures,
        "policy.commit": prepare(policies(network, 1)[0]).signatures,
        "unknown": prepare(network.sign("claim.dream", {}, "tpa", ["auditor"])).signatures,
    }
    assert counts == {"claim.adjudicate": 4, "consent.revoke": 2, "payout.ack": 2, "policy.commit": 1, "unknown": 2}


def test_signatures_of_a_block() -> None:
    network = network_with(transaction_signatures=3, block_signatures=6, author_share_bp=5_000)
    tokens = [network.make_consent([]).token for _ in range(3)]
    two = [
        network.sign("consent.grant", ConsentGrant((tokens[0], tokens[1])), "hospital"),
        network.sign("consent.grant", ConsentGrant((tokens[2],)), "tpa"),
        network.sign("consent.grant", ConsentGrant((tokens[2],)), "auditor"),
    ]
    assert built(network, two) == two[:2]
    assert refused(network, two) == "block_signatures"


def test_a_transaction_that_writes_too_much_is_refused_from_there_on() -> None:
    network = network_with(transaction_writes=5)
    receipt = network.do("policy.commit", PolicyCommit(tuple(network.make_policy() for _ in range(4))), "insurer")
    assert [item.code for item in receipt.results] == ["ok", "ok", "LIMIT_WRITES", "LIMIT_WRITES"]
    assert receipt.code == "partial"


def test_a_later_operation_that_still_fits_is_executed() -> None:
    network = network_with(transaction_writes=4)
    customer = network.grant(network.commit_policy().policy_id)
    records = tuple(network.make_record(customer, name) for name in ("charges", "charges", "admission", "charges"))
    receipt = network.do("record.publish", RecordPublish(records), "hospital")
    assert [item.code for item in receipt.results] == ["ok", "ok", "LIMIT_WRITES", "ok"]


def test_written_keys_of_a_block() -> None:
    network = network_with(transaction_writes=2, block_writes=7)
    mine = policies(network, 4)
    assert built(network, mine) == mine[:3], "a proposer stops while the largest transaction would still fit"
    assert refused(network, mine) == "block_writes"


def test_a_proposer_gives_up_looking_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    from contracts import execution

    network = Network()
    expired = policies(network, 3)
    network.run(time_ms=network.now_ms + 49 * 3_600_000)
    fresh = policies(network, 1)
    assert built(network, expired + fresh) == fresh
    monkeypatch.setattr(execution, "MAX_PASSED_OVER", 3)
    assert built(network, expired + fresh) == []


def test_every_kind_has_a_schema() -> None:
    from contracts.bodies import BODIES

    assert {name: kind.body for name, kind in KINDS.items()} == BODIES


def test_a_budget_counts_by_author_and_in_all() -> None:
    network = Network()
    limits = Limits(block_transactions=4)
    budget = Budget(limits)
    prepared: list[Any] = [prepare(item) for item in policies(network, 3)]
    for item in prepared[:2]:
        assert budget.exceeded(item) is None
        budget.take(item)
    assert budget.exceeded(prepared[2]) == "author_share_bp"
    assert budget.has_room_for_writes(limits.block_writes - limits.transaction_writes)
    assert not budget.has_room_for_writes(limits.block_writes - limits.transaction_writes + 1)
