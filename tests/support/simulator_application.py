"""The application of one simulated validator: pending transactions, executed blocks, building and judging.

Knows blocks and its own clock; votes, disks of journals and peers are the host's (`simulator_node`). What it
remembers in memory a crash takes; pending transactions come back, as clients repeat them.
"""

from dataclasses import dataclass, field

from consensus.effects import AwaitTransactions, RequestVerify
from consensus.inputs import Verified
from consensus.types import Ref, Verdict
from tests.support.simulator_app import (
    GENESIS,
    MAX_BLOCK_TXS,
    MAX_DRIFT_MS,
    Executed,
    build_block,
    digest_of,
    execute,
    find_fault,
    parent_of,
    root_in,
    time_of,
    transactions_of,
)
from tests.support.simulator_disk import Disk


@dataclass(slots=True)
class Application:
    """State by block. `payloads` and `executed` are keyed by digest."""

    root: bytes
    mempool: list[bytes] = field(default_factory=list)
    payloads: dict[bytes, bytes] = field(default_factory=dict)
    executed: dict[bytes, Executed] = field(default_factory=dict)
    awaiting: AwaitTransactions | None = None
    _final: set[bytes] = field(default_factory=set)
    _final_count: int = 0

    def restart(self, disk: Disk) -> None:
        """A process forgets all but the last stored block."""
        self.payloads, self.executed, self.awaiting = {}, {self.root: GENESIS}, None
        if disk.blocks:
            last = disk.blocks[-1]
            after = Executed(len(disk.blocks), time_of(last.payload), root_in(last.payload))
            self.executed[last.ref.digest] = after

    def receive(self, tx: bytes, disk: Disk) -> bool:
        """A client's transaction. False when it is known."""
        if tx in self.mempool or tx in self.final_transactions(disk):
            return False
        self.mempool.append(tx)
        return True

    def final_transactions(self, disk: Disk) -> set[bytes]:
        blocks = disk.blocks
        if self._final_count > len(blocks):
            self._final, self._final_count = set(), 0
        for block in blocks[self._final_count :]:
            self._final.update(transactions_of(block.payload))
        self._final_count = len(blocks)
        return self._final

    def take_awaited(self, disk: Disk) -> int | None:
        """The view that waits for a transaction, once there is one for it."""
        if self.awaiting is None or not self.includable(self.awaiting.parent, disk):
            return None
        view, self.awaiting = self.awaiting.view, None
        return view

    def includable(self, parent: Ref, disk: Disk) -> list[bytes]:
        known = self._in_ancestry(parent, disk)
        return [tx for tx in self.mempool if tx not in known]

    def _in_ancestry(self, parent: Ref, disk: Disk) -> set[bytes]:
        """Transactions of the blocks up to `parent` that are not in the store yet."""
        known: set[bytes] = set()
        digest = parent.digest
        while digest in self.payloads and digest not in disk.digests:
            known.update(transactions_of(self.payloads[digest]))
            digest = parent_of(self.payloads[digest])
        return known

    def build(self, view: int, parent: Ref, wall: int, disk: Disk) -> bytes:
        before = self.executed[parent.digest]
        return build_block(parent.digest, before, view, wall, self.includable(parent, disk)[:MAX_BLOCK_TXS])

    def judge(self, request: RequestVerify, now: int, wall: int, disk: Disk, closes: bool) -> Verified:
        """A5: the clock matters only while no quorum has spoken. A block that block sync stored meanwhile is valid."""
        if request.digest in disk.digests:
            return Verified(now, request.view, request.digest, Verdict.VALID, closes=closes)
        before = self.executed.get(request.parent.digest)
        assert before is not None, "asked to execute on a parent that was never executed here"
        fault = find_fault(request, before)
        carried = set(transactions_of(request.payload))
        if not fault and carried & (self._in_ancestry(request.parent, disk) | self.final_transactions(disk)):
            fault = "repeated transaction"
        ahead = time_of(request.payload) - wall - MAX_DRIFT_MS
        if fault:
            return Verified(now, request.view, request.digest, Verdict.INVALID, detail=fault)
        if ahead > 0 and not request.notarized:
            return Verified(now, request.view, request.digest, Verdict.LATER, retry_at=now + ahead)
        self.remember(request.payload, before)
        return Verified(now, request.view, request.digest, Verdict.VALID, closes=closes)

    def remember(self, payload: bytes, before: Executed) -> None:
        digest = digest_of(payload)
        self.payloads[digest] = payload
        self.executed[digest] = execute(before, payload)

    def forget_pending(self, payload: bytes) -> None:
        """The block is final."""
        done = set(transactions_of(payload))
        self.mempool = [tx for tx in self.mempool if tx not in done]
