"""Work done ahead by other processes: it is believed only for the keys and the set that state names."""

from dataclasses import replace

import msgspec
import pytest

from ledger.blocks import encode_block, transactions_root
from ledger.certificates import encode_certificate
from node.audit.ahead import AHEAD_BLOCKS, NOTHING, Ahead, StoredBlock, check_ahead, read_ahead
from node.audit.replay import LedgerFault, Replayer, start_at_genesis
from tests.support.ledger_source import certify
from tests.support.network_builder import Network


@pytest.fixture(scope="module")
def network() -> Network:
    network = Network()
    network.commit_policy()
    return network


def stored(network: Network) -> StoredBlock:
    block = network.blocks[0]
    return StoredBlock(1, block.encoded, encode_certificate(certify(network, block.header_hash)))


def ahead_of(network: Network, block: StoredBlock) -> Ahead:
    replayer = Replayer(start_at_genesis(network.genesis_bytes))
    return check_ahead(block, replayer.keys, replayer.state.validators, replayer.state.chain)


def test_a_worker_vouches_for_what_holds(network: Network) -> None:
    ahead = ahead_of(network, stored(network))
    assert ahead.set_hash == network.state.validators.hash
    assert [item is not None for item in ahead.transactions] == [True]
    replayer = Replayer(start_at_genesis(network.genesis_bytes))
    assert replayer.take(stored(network), ahead).header_hash == network.blocks[0].header_hash


def test_a_worker_vouches_for_nothing_else(network: Network) -> None:
    block = stored(network)
    replayer = Replayer(start_at_genesis(network.genesis_bytes))
    assert check_ahead(StoredBlock(1, b"rubbish", None), {}, replayer.state.validators, b"") == NOTHING
    assert check_ahead(block, {}, replayer.state.validators, bytes(32)) == Ahead((None,), None)


def forged(network: Network) -> StoredBlock:
    """The block with another author's signature in its transaction, and a header that fits."""
    block = network.blocks[0]
    content = msgspec.json.decode(block.transactions[0].encoded)
    content["signature"] = "00" * 64
    transactions = (msgspec.json.encode(content, order="sorted"),)
    header = msgspec.structs.replace(block.block.header, tx_root=transactions_root(transactions).hex())
    return StoredBlock(
        1, encode_block(msgspec.structs.replace(block.block, header=header, transactions=transactions)), None
    )


def test_a_signature_by_a_key_that_state_does_not_know_is_checked_again(network: Network) -> None:
    """A worker that knew other keys vouched for it: the replay looks itself, and refuses."""
    vouched = ahead_of(network, stored(network)).transactions[0]
    assert vouched is not None
    name, identifier, _ = vouched.keys[0]
    other = Ahead((replace(vouched, keys=((name, identifier, bytes(32)),)),), None)
    replayer = Replayer(start_at_genesis(network.genesis_bytes))
    with pytest.raises(LedgerFault, match="bad_signature"):
        replayer.take(forged(network), other)


def test_a_certificate_under_another_set_is_checked_again(network: Network) -> None:
    block = StoredBlock(1, network.blocks[0].encoded, encode_certificate(certify(network, bytes(32))))
    replayer = Replayer(start_at_genesis(network.genesis_bytes))
    with pytest.raises(LedgerFault, match="height 1: digest"):
        replayer.take(block, Ahead((None,), bytes(32)))


def test_blocks_are_read_a_bounded_number_ahead() -> None:
    class Done:
        def result(self) -> Ahead:
            return NOTHING

    submitted: list[int] = []

    def submit(block: StoredBlock) -> Done:
        submitted.append(block.height)
        return Done()

    blocks = (StoredBlock(height, b"x", None) for height in range(1, 1_000))
    seen = []
    for block, _ in read_ahead(blocks, submit):  # type: ignore[arg-type]
        seen.append(block.height)
        assert len(submitted) - len(seen) < AHEAD_BLOCKS
    assert seen == list(range(1, 1_000))
