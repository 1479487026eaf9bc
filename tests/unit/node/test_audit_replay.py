"""Replaying whole ledgers: a true one gives its roots, a changed one fails at the height that was changed."""

import pytest

from ledger.certificates import encode_certificate
from node.audit.replay import LedgerFault, StoredBlock, replay_ledger
from tests.support.ledger_source import certify
from tests.support.network_builder import Network


@pytest.fixture(scope="module")
def network() -> Network:
    network = Network()
    policy = network.commit_policy()
    network.ready_claim(policy.policy_id)
    return network


def stored(network: Network, certified: set[int]) -> list[StoredBlock]:
    return [
        StoredBlock(
            height=height,
            block=block.encoded,
            certificate=encode_certificate(certify(network, block.header_hash)) if height in certified else None,
        )
        for height, block in enumerate(network.blocks, start=1)
    ]


def test_a_true_ledger_gives_its_roots(network: Network) -> None:
    seen: list[int] = []
    replay = replay_ledger(network.genesis_bytes, stored(network, {2, len(network.blocks)}), seen.append)
    assert replay.state_root == network.state.state_map.root.hex()
    assert (replay.height, replay.certificates) == (len(network.blocks), 2)
    assert seen == list(range(1, len(network.blocks) + 1))


def test_blocks_above_the_last_certificate_are_not_final(network: Network) -> None:
    with pytest.raises(LedgerFault, match="not_final"):
        replay_ledger(network.genesis_bytes, stored(network, {2}))


def test_a_missing_block_is_named(network: Network) -> None:
    blocks = stored(network, {len(network.blocks)})
    with pytest.raises(LedgerFault, match="height 2: missing"):
        replay_ledger(network.genesis_bytes, [blocks[0], *blocks[2:]])


def test_a_changed_block_fails_at_its_height(network: Network) -> None:
    blocks = stored(network, {len(network.blocks)})
    changed = StoredBlock(height=3, block=blocks[2].block[:-1] + b"x", certificate=None)
    with pytest.raises(LedgerFault, match="height 3"):
        replay_ledger(network.genesis_bytes, [*blocks[:2], changed, *blocks[3:]])


def test_a_certificate_of_another_block_proves_nothing(network: Network) -> None:
    blocks = stored(network, {len(network.blocks)})
    wrong = StoredBlock(height=1, block=blocks[0].block, certificate=blocks[-1].certificate)
    with pytest.raises(LedgerFault, match="height 1: digest"):
        replay_ledger(network.genesis_bytes, [wrong, *blocks[1:]])
