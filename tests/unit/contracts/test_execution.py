"""Blocks: what a proposer builds everybody else accepts, and every lie in a header or a block is named."""

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from contracts.bodies import ClaimClose, ConsentGrant, PolicyCommit, RecordPublish
from contracts.errors import Refusal
from contracts.execution import (
    ChainState,
    build_block,
    compare_changes,
    execute_block,
)
from contracts.policies import apply_commit
from contracts.receipts import receipts_root
from contracts.states import read_policy
from ledger.blocks import Block, header_hash, transactions_root
from ledger.encoding import decode_as, encode
from ledger.errors import InvalidBlock, InvalidTransaction
from ledger.merkle import leaf_hash, root_of
from ledger.state import Entry, map_key, map_value, value_digest
from ledger.statemap import StateMap
from ledger.transactions import SignedTransaction, decode_transaction
from tests.support.network_builder import (
    BLOCK_MS,
    HOUR_MS,
    MEMBERS,
    NETWORK,
    Network,
    make_bytes,
    make_genesis,
    make_hex,
    make_member,
    make_participant,
    make_signing_key,
    start_chain,
)


def policy_transaction(chain: Network, author: str = "insurer", /, **changes: Any) -> SignedTransaction:
    return chain.sign("policy.commit", PolicyCommit((chain.make_policy(),)), author, **changes)


def execute(network: Network, block: Block) -> None:
    execute_block(network.state, block, network.verify)


def refused(network: Network, block: Block) -> str:
    with pytest.raises((InvalidBlock, InvalidTransaction)) as caught:
        execute(network, block)
    return caught.value.code


def with_header(block: Block, **changes: Any) -> Block:
    return Block(header=structs.replace(block.header, **changes), transactions=block.transactions)


def test_the_first_block_follows_genesis() -> None:
    network = Network()
    start = network.state
    block = network.run(policy_transaction(network))
    header = block.block.header
    assert (header.height, header.parent, header.epoch) == (1, start.chain.hex(), 1)
    assert block.entries[0] == start.chain, "the first leaf of a block is the hash of the header before"
    assert header.log_size == len(block.entries) == 2
    assert header.log_root == root_of([leaf_hash(entry) for entry in block.entries]).hex()
    assert header.receipts_root == receipts_root(block.receipts).hex()
    assert header.tx_root == transactions_root(block.block.transactions).hex()
    assert header_hash(header) == block.header_hash
    second = network.run()
    assert second.entries == (block.header_hash,)
    assert second.block.header.state_root == header.state_root, "an empty block changes no state"


def test_entries_chain_the_versions_of_every_key() -> None:
    network = Network()
    policy = network.commit_policy()
    _, claim_id = network.ready_claim(policy.policy_id)
    network.adjudicate(claim_id)
    writes, key = [], f"account/{policy.account_id}"
    for executed in network.blocks:
        for data in executed.entries[1:]:
            entry = decode_as(data, Entry)
            assert entry.height == executed.block.header.height
            writes += [(write, leaf_hash(data)) for write in entry.writes if write.key == key]
    assert [write.version for write, _ in writes] == [1, 2, 3], "committed, leased, decided"
    assert [write.prev for write, _ in writes] == [None, writes[0][1].hex(), writes[1][1].hex()]
    stored = network.state.read(key)
    assert stored is not None
    assert stored.value is not None
    assert (stored.version, stored.entry) == (3, writes[2][1])
    assert writes[2][0].digest == value_digest(stored.value).hex()


def test_the_state_root_is_that_of_the_set_of_all_keys() -> None:
    network = Network()
    network.ready_claim(network.commit_policy().policy_id)
    start = start_chain(network.genesis_bytes)
    leaves = dict(start.state_map.items()) | {map_key(key): map_value(item) for key, item in network.store.items()}
    assert StateMap().update(leaves).root == network.state.state_map.root


def test_a_refused_operation_leaves_an_entry_without_writes() -> None:
    """X6: it stays in its block, with a code and no effect."""
    network = Network()
    before = network.state.state_map.root
    executed = network.run(policy_transaction(network, "hospital"))
    entry = decode_as(executed.entries[1], Entry)
    assert (entry.code, entry.writes, entry.author) == ("ROLE_MISSING", (), "hospital")
    assert network.state.state_map.root == before
    assert executed.changes == {}


def test_an_operation_that_wrote_and_was_then_refused_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from contracts import kinds

    def write_and_refuse(operation: Any, item: Any) -> str:
        apply_commit(operation, item)
        assert len(operation.writes) == 2
        raise Refusal("WRONG_STATE", "after all")

    network = Network()
    first, second = network.make_policy(), network.make_policy()
    real = kinds.KINDS["policy.commit"]
    spoiled = replace(real, steps=lambda body: [(write_and_refuse, body.policies[0]), *real.steps(body)])
    monkeypatch.setitem(kinds.KINDS, "policy.commit", spoiled)  # type: ignore[arg-type]
    receipt = network.do("policy.commit", PolicyCommit((first, second)), "insurer")
    assert [item.code for item in receipt.results] == ["WRONG_STATE", "ok", "ok"], (
        "the id was not taken by the refused one"
    )


def test_unknown_kinds_and_bad_bodies_are_receipts() -> None:
    network = Network()
    cases: list[tuple[str, Any, str]] = [
        ("claim.dream", {"x": 1}, "UNKNOWN_KIND"),
        ("governance.dream", {}, "UNKNOWN_KIND"),
        ("governance.vote", {}, "BODY_SCHEMA"),
        ("claim.close", {}, "BODY_SCHEMA"),
        ("claim.close", {"claim_id": make_hex("c"), "note": "unknown field"}, "BODY_SCHEMA"),
        ("claim.close", {"claim_id": "short"}, "BODY_SCHEMA"),
        ("record.publish", {"records": []}, "BODY_SCHEMA"),
    ]
    for kind, body, code in cases:
        receipt = network.do(kind, body, "insurer")
        assert (receipt.code, [item.code for item in receipt.results]) == (code, [code])
        assert receipt.results[0].subject is None


def test_a_retired_key_is_refused_and_a_future_one_too() -> None:
    keys = (
        make_signing_key(make_member("auditor", 0), until_height=2),
        make_signing_key(make_member("auditor", 1), from_height=3),
    )
    members = [
        make_participant(name, keys=keys) if name == "auditor" else make_participant(name) for name in sorted(MEMBERS)
    ]
    network = Network(make_genesis(participants=members))
    old, new = make_member("auditor", 0), make_member("auditor", 1)
    body = ClaimClose(make_hex("unknown"))
    assert network.do("claim.close", body, "auditor", member=new).code == "KEY_NOT_ACTIVE"
    assert network.do("claim.close", body, "auditor", member=old).code == "CLAIM_UNKNOWN"
    assert network.do("claim.close", body, "auditor", member=old).code == "KEY_NOT_ACTIVE"
    assert network.do("claim.close", body, "auditor", member=new).code == "CLAIM_UNKNOWN"


def test_an_endorsement_by_an_inactive_key_is_void() -> None:
    keys = (make_signing_key(make_member("tpa", 0)), make_signing_key(make_member("tpa", 1), until_height=3))
    members = [
        make_participant(name, keys=keys) if name == "tpa" else make_participant(name) for name in sorted(MEMBERS)
    ]
    network = Network(make_genesis(participants=members))
    policy = network.commit_policy()
    _, claim_id = network.ready_claim(policy.policy_id)
    network.adjudicate(claim_id)
    network.members["tpa"] = make_member("tpa", 1)
    assert network.do("claim.close", ClaimClose(claim_id), "insurer", ["tpa"]).code == "CO_ADJUDICATOR_MISSING"
    network.members["tpa"] = make_member("tpa", 0)
    assert network.do("claim.close", ClaimClose(claim_id), "insurer", ["tpa"]).code == "ok"


def test_every_field_of_a_header_is_checked() -> None:
    """B7: each field of a header, one by one."""
    network = Network()
    network.run()
    block = build_block(network.state, [policy_transaction(network)], time_ms=network.now_ms + 1).block
    execute(network, block)
    other = make_hex("other")
    cases = [
        ({"network": "other.net"}, "network"),
        ({"height": 1}, "height"),
        ({"height": 3}, "height"),
        ({"parent": other}, "parent"),
        ({"epoch": 2}, "epoch"),
        ({"time_ms": network.now_ms}, "time"),
        ({"validator_set_hash": other}, "validator_set"),
        ({"next_validator_set_hash": other}, "root_mismatch"),
        ({"tx_root": other}, "root_mismatch"),
        ({"receipts_root": other}, "root_mismatch"),
        ({"log_size": 9}, "root_mismatch"),
        ({"log_root": other}, "root_mismatch"),
        ({"state_root": other}, "root_mismatch"),
    ]
    for changes, code in cases:
        assert refused(network, with_header(block, **changes)) == code


def test_a_root_mismatch_names_the_root_and_both_values() -> None:
    """P15 B7: the report has what was found and what was computed."""
    network = Network()
    executed = build_block(network.state, [policy_transaction(network)], time_ms=network.now_ms + 1)
    with pytest.raises(InvalidBlock) as caught:
        execute(network, with_header(executed.block, state_root=make_hex("other"), log_root=make_hex("x")))
    assert caught.value.detail.startswith("log_root: ")
    assert executed.block.header.log_root in caught.value.detail
    other = dict(executed.changes)
    key = sorted(other)[1]
    other[key] = structs.replace(other[key], version=9)
    assert compare_changes(executed.changes, other) == key
    assert compare_changes(executed.changes, {}) == sorted(other)[0]
    assert compare_changes(executed.changes, dict(executed.changes)) is None


def test_time_must_advance() -> None:
    """B24: a block is later than its parent."""
    network = Network()
    for time_ms in (network.now_ms, network.now_ms - 1):
        with pytest.raises(InvalidBlock) as caught:
            build_block(network.state, [], time_ms=time_ms)
        assert caught.value.code == "time"


def forge(network: Network, *transactions: bytes) -> Block:
    """A block with these bytes and the header of an empty one: enough to reach the checks before execution."""
    empty = build_block(network.state, [], time_ms=network.now_ms + BLOCK_MS).block
    return Block(header=empty.header, transactions=transactions)


def test_transactions_that_no_block_may_carry() -> None:
    """B7: a leader's own selection is checked like its header."""
    network = Network()
    now = network.now_ms + BLOCK_MS
    stranger = make_member("stranger")
    good = policy_transaction(network)
    network.members["stranger"] = stranger
    wrong_key = policy_transaction(network, member=make_member("tpa"))
    cases = [
        (policy_transaction(network, expires_time=now), "expired"),
        (policy_transaction(network, expires_time=now + 48 * HOUR_MS + 1), "lifetime"),
        (policy_transaction(network, network="other.net"), "network"),
        (network.sign("claim.close", ClaimClose(make_hex("c")), "stranger"), "unknown_signer"),
        (wrong_key, "unknown_signer"),
        (network.sign("claim.close", ClaimClose(make_hex("c")), "insurer", ["stranger"]), "unknown_signer"),
        (_with_signature(good, "00" * 64), "bad_signature"),
    ]
    for transaction, code in cases:
        assert refused(network, forge(network, transaction.encoded)) == code
        if code != "bad_signature":
            assert build_block(network.state, [transaction], time_ms=now).transactions == ()
    assert refused(network, forge(network, b"noise")) == "json"
    assert refused(network, forge(network, good.encoded + b" ")) == "not_canonical"
    for edge in (now + 1, now + 48 * HOUR_MS):
        assert build_block(network.state, [policy_transaction(network, expires_time=edge)], time_ms=now).transactions


def _with_signature(signed: SignedTransaction, signature: str) -> SignedTransaction:
    return decode_transaction(encode(structs.replace(signed.content, signature=signature)))


def test_endorsements_cannot_be_stripped_added_reordered_or_swapped() -> None:
    network = Network()
    signed = network.sign("claim.close", ClaimClose(make_hex("c")), "insurer", ["auditor", "tpa"])
    bare = network.sign("claim.close", ClaimClose(make_hex("c")), "insurer", nonce=signed.content.nonce)
    auditor, tpa = signed.content.endorsements
    assert signed.tx_id != bare.tx_id
    assert signed.core_hash == bare.core_hash
    for endorsements, code in (
        ((), "bad_signature"),
        ((auditor,), "bad_signature"),
        ((tpa, auditor), "endorsement_order"),
        ((tpa, tpa), "endorsement_order"),
        (
            (structs.replace(auditor, signature=tpa.signature), structs.replace(tpa, signature=auditor.signature)),
            "bad_signature",
        ),
    ):
        changed = encode(structs.replace(signed.content, endorsements=endorsements))
        assert refused(network, forge(network, changed)) == code
    added = encode(structs.replace(bare.content, endorsements=(auditor,)))
    assert refused(network, forge(network, added)) == "bad_signature"
    other = network.sign("claim.close", ClaimClose(make_hex("d")), "insurer")
    moved = encode(structs.replace(other.content, endorsements=(auditor, tpa)))
    assert refused(network, forge(network, moved)) == "bad_signature"
    assert network.run(signed).receipts[0].code == "CLAIM_UNKNOWN"


def test_a_transaction_is_in_an_ancestry_once() -> None:
    """X5 B7: twice in a block, or again above its block."""
    network = Network()
    signed = policy_transaction(network)
    twice = build_block(network.state, [signed, signed], time_ms=network.now_ms + 1)
    assert len(twice.transactions) == 1
    assert refused(network, forge(network, signed.encoded, signed.encoded)) == "replay"
    parent = build_block(network.state, [signed], time_ms=network.now_ms + 1).after
    grandparent = build_block(parent, [], time_ms=network.now_ms + 2).after
    for ancestor in (parent, grandparent):
        child = build_block(ancestor, [signed], time_ms=network.now_ms + 3)
        assert child.transactions == ()
        block = Block(header=child.block.header, transactions=(signed.encoded,))
        with pytest.raises(InvalidBlock) as caught:
            execute_block(ancestor, block, network.verify)
        assert caught.value.code == "replay"
    fork = build_block(network.state, [signed], time_ms=network.now_ms + 5)
    assert fork.transactions == (signed,), "another ancestry does not know it"


def test_overlays_stack_without_touching_their_parents() -> None:
    network = Network()
    policy = network.make_policy()
    signed = network.sign("policy.commit", PolicyCommit((policy,)), "insurer")
    one = build_block(network.state, [signed], time_ms=network.now_ms + 1)
    two = build_block(one.after, [], time_ms=network.now_ms + 2)
    assert read_policy(network.state.read, policy.policy_id) is None
    assert read_policy(one.after.read, policy.policy_id) is not None
    assert read_policy(two.after.read, policy.policy_id) is not None
    assert two.after.state_map.root == one.after.state_map.root != network.state.state_map.root


def test_signatures_are_checked_by_the_function_that_was_given() -> None:
    network = Network()
    block = build_block(network.state, [policy_transaction(network)], time_ms=network.now_ms + 1).block
    seen: list[str] = []
    execute_block(network.state, block, lambda signed: seen.append(signed.tx_id))
    assert len(seen) == 1


def test_a_value_is_decoded_again_when_its_bytes_changed() -> None:
    """Two operations of one block on one key: the second sees what the first wrote."""
    network = Network()
    customer = network.grant(network.commit_policy().policy_id)
    records = tuple(network.make_record(customer, "admission") for _ in range(2))
    signed = [network.sign("record.publish", RecordPublish((record,)), "hospital") for record in records]
    executed = network.run(*signed)
    topics = [[event.topic for event in receipt.results[0].events] for receipt in executed.receipts]
    assert topics == [["record.published", "claim.reported"], ["record.published"]]


STORY = """
import sys
sys.path.insert(0, {root!r})
from tests.support.network_builder import Network
network = Network()
one, two = network.commit_policy(), network.commit_policy("insurer-two")
customer = network.grant(one.policy_id, two.policy_id)
records = network.publish(customer, "admission", "charges", "discharge", "invoice")
network.complete(customer, records)
claim_id = network.claim_id(customer)
network.accept(claim_id)
network.adjudicate(claim_id)
network.pay(network.payout_id(claim_id, one.policy_id))
print([block.header_hash.hex() for block in network.blocks])
"""


def test_the_same_story_gives_the_same_headers_under_any_hash_seed() -> None:
    root = os.getcwd()
    told = {
        subprocess.run(
            [sys.executable, "-c", STORY.format(root=root)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(told) == 1
    assert len(told.pop()) > 500


def test_chain_state_is_a_value() -> None:
    state = Network().state
    assert isinstance(state, ChainState)
    with pytest.raises(AttributeError):
        state.height = 5  # type: ignore[misc]
    assert state.genesis.network == NETWORK


def test_one_bad_token_does_not_spoil_its_neighbours() -> None:
    network = Network()
    good = network.make_consent([network.commit_policy().policy_id])
    bad = network.make_consent([], signed_by=make_bytes("stranger"))
    receipt = network.do("consent.grant", ConsentGrant((bad.token, good.token)), "hospital")
    assert (receipt.code, [item.code for item in receipt.results]) == ("partial", ["TOKEN_SIGNATURE", "ok"])
