"""A chain on disk without ordering: blocks are executed and committed by hand."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from contracts.execution import ExecutedBlock, build_block
from contracts.genesis import genesis_hash
from ledger.store import Store
from ledger.transactions import SignedTransaction
from node.chain import Chain
from tests.support.cluster import TestNetwork, memory_identity, sign_policy

NOW = 1_700_000_000_000
STEP_MS = 1_000


@dataclass
class World:
    """A chain on disk and the means to grow it."""

    folder: Path
    network: TestNetwork
    chain: Chain
    url: str | None = None
    """Of the database, if it is not a file in the folder."""

    def reopen(self) -> None:
        self.close()
        self.chain = open_chain(self.folder, self.network, self.url)

    def close(self) -> None:
        self.chain.close()
        self.chain.store.close()

    def execute(self, *transactions: SignedTransaction, on: bytes | None = None, later_ms: int = 0) -> ExecutedBlock:
        """Execute a block on a digest (default: the final block) and keep it."""
        state = self.chain.state_after(on or self.chain.final.header_hash)
        assert state is not None
        executed = build_block(state, transactions, time_ms=state.time_ms + STEP_MS + later_ms)
        assert len(executed.transactions) == len(transactions)
        self.chain.add(executed)
        return executed

    def commit(self, *blocks: ExecutedBlock) -> None:
        asyncio.run(self.chain.commit([(b.after.height, b.header_hash) for b in blocks], b"certificate"))

    def grow(self, *transactions: SignedTransaction) -> ExecutedBlock:
        block = self.execute(*transactions)
        self.commit(block)
        return block


def open_chain(folder: Path, network: TestNetwork, url: str | None = None) -> Chain:
    store = Store(url or f"sqlite:///{folder / 'ledger.db'}", genesis_hash(network.genesis))
    try:
        return Chain(store, network.genesis)
    except BaseException:
        store.close()
        raise


def policy(expires_ms: int = NOW + 40_000_000) -> SignedTransaction:
    return sign_policy(memory_identity("insurer-1", True), "tpa-3", expires_ms=expires_ms)
