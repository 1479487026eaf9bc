"""A node's folder with a ledger on disk: a test network's blocks, really certified, in a real store."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from contracts import bodies
from contracts.execution import ExecutedBlock
from contracts.genesis import genesis_hash
from ledger.certificates import encode_certificate
from ledger.store import Store
from node.chain import Chain
from node.statepages import StatePages
from tests.support.ledger_source import certify
from tests.support.network_builder import Network

STATE_KEYS = 4
"""So few that pages of the state map are written."""


@lru_cache(maxsize=1)
def long_network() -> Network:
    """A claim's way to its decision, and so many policies that the log has full tiles."""
    network = Network()
    first = network.commit_policy()
    _, claim_id = network.ready_claim(first.policy_id)
    network.adjudicate(claim_id)
    for _ in range(5):
        policies = tuple(network.make_policy() for _ in range(50))
        network.do("policy.commit", bodies.PolicyCommit(policies), "insurer")
    network.pay(network.payout_id(claim_id, first.policy_id))
    return network


def write_folder(
    folder: Path,
    network: Network,
    blocks: Sequence[ExecutedBlock] | None = None,
    *,
    uncertified: Iterable[int] = (),
    write_keys: int = 80,
) -> Path:
    """`folder` with genesis.json and data/ledger.db."""
    (folder / "data").mkdir(parents=True)
    (folder / "genesis.json").write_bytes(network.genesis_bytes)
    store = Store(f"sqlite:///{folder / 'data' / 'ledger.db'}", genesis_hash(network.genesis_bytes))
    chain = Chain(store, network.genesis_bytes, StatePages(store, write_keys, retained=3), STATE_KEYS)
    asyncio.run(append_blocks(chain, network, network.blocks if blocks is None else blocks, frozenset(uncertified)))
    chain.close()
    store.close()
    return folder


async def append_blocks(
    chain: Chain, network: Network, blocks: Sequence[ExecutedBlock], uncertified: frozenset[int] = frozenset()
) -> None:
    """Commit these blocks, each with a certificate of its own but for those that a later one proves."""
    waiting: list[tuple[int, bytes]] = []
    for block in blocks:
        chain.add(block)
        waiting.append((block.after.height, block.header_hash))
        if block.after.height not in uncertified:
            certificate = certify(network, block.header_hash)
            await chain.commit(waiting, encode_certificate(certificate))
            waiting = []
