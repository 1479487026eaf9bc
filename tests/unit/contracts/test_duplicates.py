"""The same thing twice, and what was fine when it was admitted: one is accepted, the other gets a reason for good."""

import pytest
from msgspec import structs

from contracts.bodies import PolicyCommit, PublishedRecord, RecordEndorse, SeatTaken
from contracts.errors import GenesisError
from contracts.execution import build_block, execute_block
from contracts.genesis import FinalityKey, Genesis
from contracts.membership import check_genesis
from contracts.receipts import Receipt
from contracts.states import read_nullifier, read_record
from ledger.blocks import Block, decode_block
from ledger.crypto import bls
from ledger.encoding import decode_as
from ledger.errors import InvalidBlock
from ledger.state import Entry
from tests.support.governance import decide, finality_key, propose, seat
from tests.support.network_builder import (
    BLOCK_MS,
    MEMBERS,
    Customer,
    Network,
    make_bytes,
    make_genesis,
    make_participant,
)


def with_invoices(count: int) -> tuple[Network, Customer, list[PublishedRecord]]:
    network = Network()
    customer = network.grant(network.commit_policy().policy_id)
    return network, customer, network.publish(customer, *["invoice"] * count)


def endorse_as(network: Network, record: PublishedRecord, nullifier: str) -> Receipt:
    item = network.make_endorsement(record, nullifier=nullifier)
    return network.do("record.endorse", RecordEndorse((item,), ()), "commission")


NULLIFIER = "5e" * 32


@pytest.mark.parametrize("apart", ["one block", "two blocks", "two epochs"])
def test_the_same_invoice_twice(apart: str) -> None:
    """X5: in one block, in two, or with another set of validators between: one is accepted, the other is in the log
    with the code and the id of the first."""
    network, _, (first, second) = with_invoices(2)
    items = [network.make_endorsement(record, nullifier=NULLIFIER) for record in (first, second)]
    bodies = [RecordEndorse((item,), ()) for item in items]
    if apart == "one block":
        block = network.run(*(network.sign("record.endorse", body, "commission") for body in bodies))
        receipts = list(block.receipts)
    else:
        receipts = [network.do("record.endorse", bodies[0], "commission")]
        if apart == "two epochs":
            assert decide(network, SeatTaken("tpa"), seat("auditor")).code == "ok"
            assert network.state.validators.epoch == 2
        receipts.append(network.do("record.endorse", bodies[1], "commission"))
        block = network.blocks[-1]
    assert [receipt.code for receipt in receipts] == ["ok", "DUPLICATE_OF"]
    assert receipts[1].results[0].subject == items[0].record_id
    entries = [decode_as(data, Entry) for data in block.entries[1:]]
    refusals = [entry for entry in entries if entry.code == "DUPLICATE_OF"]
    assert [entry.writes for entry in refusals] == [()], "the refusal is a leaf of the log and writes nothing"
    stored = read_nullifier(network.state.read, NULLIFIER)
    assert stored is not None
    assert stored.record_id == items[0].record_id
    left = read_record(network.state.read, items[1].record_id)
    assert left is not None
    assert left.status == "PUBLISHED"


@pytest.mark.parametrize("apart", ["one block", "two blocks", "two epochs"])
def test_the_same_transaction_twice(apart: str) -> None:
    """X5: an id stands once in a chain, whoever proposes it again: a builder leaves it out, a voter refuses it."""
    network = Network()
    signed = network.sign("policy.commit", PolicyCommit((network.make_policy(),)), "insurer")
    if apart == "one block":
        carried: tuple[bytes, ...] = (signed.encoded, signed.encoded)
    else:
        network.run(signed)
        if apart == "two epochs":
            assert decide(network, SeatTaken("tpa"), seat("auditor")).code == "ok"
        carried = (signed.encoded,)
    built = build_block(network.state, [signed, signed], time_ms=network.now_ms + BLOCK_MS)
    assert len(built.transactions) == (1 if apart == "one block" else 0)
    with pytest.raises(InvalidBlock) as refused:
        execute_block(network.state, Block(built.block.header, carried), network.verify)
    assert refused.value.code in {"replay", "tx_root"}
    if apart != "one block":
        assert signed.tx_id in network.recent


def test_what_is_refused_at_its_execution_stays_in_its_block() -> None:
    """X6: valid when admitted, invalid behind what the same or an earlier block did: the transaction keeps its place,
    a code is its outcome, and every node computes the same roots from the same bytes."""
    network, _, (first, second) = with_invoices(2)
    sure = network.sign(
        "record.endorse", RecordEndorse((network.make_endorsement(first, nullifier=NULLIFIER),), ()), "commission"
    )
    late = network.sign(
        "record.endorse", RecordEndorse((network.make_endorsement(second, nullifier=NULLIFIER),), ()), "commission"
    )
    for signed in (sure, late):
        network.verify(signed)
        alone = build_block(network.state, [signed], time_ms=network.now_ms + BLOCK_MS)
        assert alone.receipts[0].code == "ok", "each is fine when it is admitted"
    reversed_block = build_block(network.state, [late, sure], time_ms=network.now_ms + BLOCK_MS)
    assert [receipt.code for receipt in reversed_block.receipts] == ["ok", "DUPLICATE_OF"], "the order decides"
    again = execute_block(network.state, decode_block(reversed_block.encoded), network.verify)
    assert again.header_hash == reversed_block.header_hash
    executed = network.run(sure, late)
    assert [receipt.code for receipt in executed.receipts] == ["ok", "DUPLICATE_OF"]
    assert executed.transactions == (sure, late)


# --- B11: keys that must not be registered ----------------------------------------------------------------------------

OWN = finality_key("fresh")
SECRET = bls.secret_key_from_seed(make_bytes("finality fresh"))


def _head(mask: int, flip: int) -> str:
    """Our key with other flags in its first byte."""
    return f"{int(OWN.public_key[:2], 16) & mask ^ flip:02x}" + OWN.public_key[2:]


def _unsound_keys() -> dict[str, FinalityKey]:
    stranger = finality_key("somebody else")
    signature = bls.sign(SECRET, bytes.fromhex(OWN.public_key)).hex()
    return {
        "no possession": structs.replace(OWN, possession="00" * 96),
        "the possession of another key": structs.replace(OWN, possession=stranger.possession),
        "a vote's domain instead of the possession's": structs.replace(OWN, possession=signature),
        "infinity as possession": structs.replace(OWN, possession="c0" + "00" * 95),
        "infinity as key": FinalityKey("c0" + "00" * 47, "c0" + "00" * 95),
        "outside the subgroup": structs.replace(OWN, public_key="80" + "00" * 46 + "04"),
        "zeros": structs.replace(OWN, public_key="00" * 48),
        "ones": structs.replace(OWN, public_key="ff" * 48),
        "not compressed": structs.replace(OWN, public_key=_head(0x7F, 0)),
        "the other sign": structs.replace(OWN, public_key=_head(0xFF, 0x20)),
    }


@pytest.mark.parametrize("name", _unsound_keys())
def test_a_finality_key_that_is_not_its_holders_is_not_registered(name: str) -> None:
    """B11: neither in a genesis nor by a proposal."""
    bad = _unsound_keys()[name]
    with pytest.raises(GenesisError) as caught:
        check_genesis(_genesis_with(bad))
    assert "proof of possession" in caught.value.detail
    network = Network()
    receipt = propose(network, structs.replace(seat("auditor"), finality_key=bad))
    assert receipt.code == "KEY_UNSOUND"
    assert network.state.validators.epoch == 1


def _genesis_with(key: FinalityKey) -> Genesis:
    members = [
        structs.replace(make_participant(name), **({"finality_key": key} if name == "insurer" else {}))
        for name in sorted(MEMBERS)
    ]
    return make_genesis(participants=members)
