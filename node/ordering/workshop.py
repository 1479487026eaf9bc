"""Blocks for the consensus core: built, named, checked and executed on the chain's overlays.

Knows the chain, the mempool and the clock; must not know votes or certificates. Must always hold: a block is VALID
only after this node executed it on its parent and got every root of its header; the test of the block's time
against this node's clock decides about voting alone, never about a block that a quorum vouched for.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from consensus.types import Verdict
from contracts.errors import ContractError
from contracts.execution import ChainState, ExecutedBlock, build_block, check_roots, reexecute_block
from ledger.blocks import Block, Header, decode_block, header_hash
from ledger.errors import LedgerError, StoreError
from node.chain import Chain
from node.clock import Clock
from node.errors import describe_fault
from node.mempool import Mempool
from node.signatures import SignatureMemory

MAX_DRIFT_MS = 2_000
"""A5: a proposal further ahead of this node's clock is held, not refused."""
EXECUTION_S = 0.15
"""A leader makes blocks that take about this long to execute here, so that a starved machine orders smaller blocks
instead of missing its timers."""
MIN_TRANSACTIONS = 20
"""Smaller blocks would cost more in votes than in transactions."""
DECODED = 8
"""Blocks whose decoded form is kept between naming them and executing them."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What this node makes of a block. `wait_ms` goes with LATER."""

    verdict: Verdict
    wait_ms: int = 0
    detail: str = ""


@dataclass(slots=True)
class PayloadNames:
    """How blocks are named: by the hash of their header, which binds every byte (`consensus.types.PayloadRule`)."""

    _decoded: dict[bytes, Block] = field(default_factory=dict)

    def is_payload(self, digest: bytes, payload: bytes) -> bool:
        """Whether `payload` is the block named `digest`."""
        try:
            block = decode_block(payload)
        except LedgerError:
            return False
        if header_hash(block.header) != digest:
            return False
        self._decoded[hashlib.sha256(payload).digest()] = block
        while len(self._decoded) > DECODED:
            self._decoded.pop(next(iter(self._decoded)))
        return True

    def decode(self, payload: bytes) -> Block:
        """`decode_block`, at no cost for bytes that were named just before."""
        found = self._decoded.pop(hashlib.sha256(payload).digest(), None)
        return decode_block(payload) if found is None else found


class Workshop:
    """Builds and judges blocks. Synchronous: one call is one block."""

    def __init__(
        self, chain: Chain, mempool: Mempool, signatures: SignatureMemory, clock: Clock, *, max_transactions: int
    ) -> None:
        self.names = PayloadNames()
        self._chain = chain
        self._mempool = mempool
        self._signatures = signatures
        self._clock = clock
        self._max_transactions = max_transactions
        self._per_transaction_s = 0.0
        self.on_mismatch: Callable[[Header, ExecutedBlock, ChainState], None] | None = None
        """Told of a block that gave other roots here than its header says."""

    @property
    def pending(self) -> int:
        """Transactions waiting, those in blocks that are not final included."""
        return len(self._mempool)

    @staticmethod
    def name_of(block: Block) -> bytes:
        """The digest that ordering knows a block by."""
        return header_hash(block.header)

    def build(self, parent: bytes) -> ExecutedBlock | None:
        """A block of pending transactions on `parent`, executed and kept; None if the parent is not executed here, or
        too many blocks wait to become final."""
        state = self._chain.state_after(parent)
        if state is None or self._chain.is_full:
            return None
        time_ms = max(state.time_ms + 1, self._clock.now_ms())
        fresh = (item for item in self._mempool if not state.is_recent(item.tx_id))
        started = time.perf_counter()
        executed = build_block(state, islice(fresh, self._affordable()), time_ms=time_ms)
        self._learn(started, len(executed.transactions))
        self._chain.add(executed)
        return executed

    def judge(self, parent: bytes, digest: bytes, payload: bytes, *, notarized: bool) -> Judgement | None:
        """Execute a block on its parent and keep it. None if the parent is not executed here, or too many blocks wait
        to become final: then this node has nothing to say."""
        if self._chain.is_executed(digest):
            return Judgement(Verdict.VALID)
        state = self._chain.state_after(parent)
        if state is None or self._chain.is_full:
            return None
        try:
            block = self.names.decode(payload)
            ahead = block.header.time_ms - self._clock.now_ms() - MAX_DRIFT_MS
            if ahead > 0 and not notarized:
                return Judgement(Verdict.LATER, wait_ms=ahead)
            self._chain.add(self.execute(state, block))
        except StoreError:
            raise
        except (LedgerError, ContractError) as error:
            return Judgement(Verdict.INVALID, detail=f"{error.code}: {error.detail}")
        except Exception as error:  # a defect here must not end the node: the others may compute it (A7)
            return Judgement(Verdict.INVALID, detail=f"execution_failed: {describe_fault(error)}")
        return Judgement(Verdict.VALID)

    def execute(self, state: ChainState, block: Block) -> ExecutedBlock:
        """Execute with this node's memory of checked signatures. Raises InvalidBlock, InvalidTransaction."""
        started = time.perf_counter()
        executed = reexecute_block(
            state, block, lambda item: self._signatures.verify_in_block(item, state.read), self._signatures.decode
        )
        self._learn(started, len(executed.transactions))
        if executed.header_hash != header_hash(block.header) and self.on_mismatch is not None:
            self.on_mismatch(block.header, executed, state)
        check_roots(block.header, executed.block.header)
        return executed

    def _affordable(self) -> int:
        if not self._per_transaction_s:
            return self._max_transactions
        return min(self._max_transactions, max(MIN_TRANSACTIONS, int(EXECUTION_S / self._per_transaction_s)))

    def _learn(self, started: float, transactions: int) -> None:
        """Follow the cost of one transaction; blocks too small to measure say nothing."""
        if transactions >= MIN_TRANSACTIONS:
            cost = (time.perf_counter() - started) / transactions
            self._per_transaction_s += (cost - self._per_transaction_s) * (0.3 if self._per_transaction_s else 1.0)

    def has_fresh(self, parent: bytes) -> bool:
        """Whether a pending transaction is not in the ancestry of `parent`."""
        state = self._chain.state_after(parent)
        return state is not None and any(not state.is_recent(item.tx_id) for item in self._mempool)
