"""One simulated validator: the real core, a virtual disk, and a host that performs effects and can die anywhere.

The host keeps the contract of `consensus.effects`: effects in order, each finished before the next, no input before the
last effect of the step before. Whatever makes it slow (a full disk, a slow fsync, a pause) holds the rest of the step
and every input behind it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from consensus.core import Core
from consensus.effects import (
    AwaitTransactions,
    Behind,
    Blame,
    Block,
    Deliver,
    Effect,
    Evidence,
    Halt,
    Persist,
    RequestBuild,
    RequestVerify,
    Rewrite,
    Send,
    Serve,
    SetTimer,
)
from consensus.inputs import Built, Input, Message, PayloadExpected, Start, TimerFired, Verified
from consensus.journal import JournalDamaged, Record
from consensus.messages import encode_payload
from consensus.types import Config, Position, Ref, Verdict
from ledger.certificates import Certificate
from ledger.crypto.hashing import tagged_hash
from tests.support.simulator_app import (
    GENESIS,
    MAX_BLOCK_TXS,
    MAX_DRIFT_MS,
    MAX_PAYLOAD,
    WALL_START_MS,
    Executed,
    Payloads,
    build_block,
    digest_of,
    execute,
    find_fault,
    parent_of,
    root_in,
    time_of,
    transactions_of,
)
from tests.support.simulator_disk import Disk, NoSpace

if TYPE_CHECKING:
    from tests.support.simulator import Cluster

__all__ = ["MAX_PAYLOAD", "Node", "Payloads", "digest_of"]

FOLLOW_AFTER = {"store_behind_journal", "journal_behind_guard", "unknown_vote", "foreign_journal"}
"""Halts about the node's own past: it goes on as an observer."""
SPACE_RETRY_MS = 500
MAX_WAITING = 2_000
"""Inputs that a host which stands still keeps; the rest is lost, as in full socket buffers."""


class Node:
    """Host and application around one core. `crash_hook(effect)` says whether to die just before an effect."""

    def __init__(self, cluster: "Cluster", config: Config, name: str, offset: int) -> None:
        self.cluster, self.config, self.name, self.offset = cluster, config, name, offset
        self.disk = Disk(tagged_hash("salt", name.encode())[:16])
        self.core: Core | None = None
        self.life = 0
        self.halted: Halt | None = None
        self.evidence: list[Evidence] = []
        self.blamed: list[Blame] = []
        self.crash_hook: Callable[[Effect], bool] = lambda effect: False
        self.treason: Callable[[Node, str | None, bytes], list[tuple[str | None, bytes]]] | None = None
        """What a traitor sends instead of what its core says."""
        self.forge_block: Callable[[Node, bytes], bytes] = lambda node, payload: payload
        """What a traitor proposes instead of the block it built."""
        self.build_ms, self.verify_ms, self.commit_ms, self.sync_ms = 2, 2, 0, 0
        self.skew = 0
        """How wrong the wall clock is, in milliseconds; the monotonic one is never wrong."""
        self.verdict: Callable[[RequestVerify], Verified | None] = lambda request: None
        self.is_dumb = False
        """The application hangs: no request is answered."""
        self._restart()
        self.mempool: list[bytes] = []
        self._final: set[bytes] = set()
        self._final_count = 0
        self.wakes = self.stalls = 0
        self.resume: Callable[[], None] = lambda: None
        """Ends the pause or the wait for the disk, if there is one."""

    def _restart(self) -> None:
        """Everything that a process forgets."""
        self.payloads: dict[bytes, bytes] = {}
        self.executed: dict[bytes, Executed] = {self.config.root: GENESIS}
        self.awaiting: AwaitTransactions | None = None
        self.stalled = False
        self.waiting: deque[Input] = deque()
        self.committing: list[tuple[Block, Certificate]] = []
        self.is_observer = False

    @property
    def alive(self) -> bool:
        return self.core is not None

    @property
    def now(self) -> int:
        return self.cluster.now + self.offset

    @property
    def wall(self) -> int:
        return WALL_START_MS + self.cluster.now + self.skew

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A process begins: everything but the disk is new."""
        if self.core is not None:
            return
        self.life += 1
        self._restart()
        self.halted = None
        if self.disk.blocks:
            last = self.disk.blocks[-1]
            self.executed[last.ref.digest] = Executed(
                len(self.disk.blocks), time_of(last.payload), root_in(last.payload)
            )
        try:
            records = self.disk.load().records
        except JournalDamaged as error:
            self._stop_voting(Halt(f"journal_{error.code}", error.detail))
            return
        self.core = Core(self.config)
        self._begin(records, self.disk.load_guard())

    def _begin(self, records: tuple[Record, ...], guard: Position | None) -> None:
        self.give(Start(self.now, records, self.disk.floor(self.config.root), guard, self.life))

    def _stop_voting(self, halt: Halt) -> None:
        """The operator is paged; a node that must not vote may still follow."""
        self.halted = halt
        self.cluster.note("halt", f"{self.name} {halt.code}")
        self.cluster.checks.halted(self, halt)
        if halt.code in FOLLOW_AFTER or halt.code.startswith("journal_"):
            self.is_observer = True
            self.core = Core(replace(self.config, me=None, signer=None))
            self._begin((), None)

    def crash(self, power: bool = False) -> None:
        """The process is gone; only the disk stays. A power cut may take back what was not synced."""
        self.core = None
        self._restart()
        if power:
            self.disk.cut_power(self.cluster.chance)
        self.cluster.note("crash", self.name)

    def pause(self, milliseconds: int) -> None:
        """The process is stopped and goes on later, with everything that came in meanwhile."""
        if self.core is not None and not self.stalled:
            self._stall(milliseconds, ())

    # --- steps ----------------------------------------------------------------------------------------------------

    def give(self, event: Input) -> None:
        """One input, then all its effects in order."""
        if self.core is None:
            return
        if self.stalled:
            if len(self.waiting) < MAX_WAITING:
                self.waiting.append(event)
            return
        heard = self.cluster.checks.before_step(self, event)
        effects = self.core.step(event)
        self._work(effects)
        self.cluster.checks.after_step(self, effects, heard)

    def _work(self, effects: tuple[Effect, ...]) -> None:
        for at, effect in enumerate(effects):
            if self.crash_hook(effect):
                if isinstance(effect, Persist) and not self.is_observer and not self.disk.is_full:
                    self.disk.tear(effect.records, self.cluster.chance)
                self.crash(power=self.cluster.chance.random() < 0.3)
                return
            try:
                self.perform(effect)
            except NoSpace:
                self._stall(SPACE_RETRY_MS, effects[at:])
                return
            if self.sync_ms and isinstance(effect, Persist):
                self._stall(self.sync_ms, effects[at + 1 :])
                return

    def _stall(self, milliseconds: int, rest: tuple[Effect, ...]) -> None:
        self.stalled, life = True, self.life
        self.stalls += 1
        stall = self.stalls

        def resume() -> None:
            if self.life != life or self.core is None or self.stalls != stall or not self.stalled:
                return
            self.stalled = False
            self._work(rest)
            while self.waiting and not self.stalled:
                self.give(self.waiting.popleft())

        self.resume = resume
        self.cluster.after(milliseconds, resume)

    def later(self, delay: int, make: Callable[[], Input]) -> None:
        """Give an input after a while, if this process still lives then."""
        life = self.life

        def fire() -> None:
            if self.life == life and self.alive:
                self.give(make())

        self.cluster.at(self.cluster.now + delay, fire)

    def perform(self, effect: Effect) -> None:  # noqa: C901 - one short case for each effect
        match effect:
            case Persist(records, guard):
                if not self.is_observer:
                    self.disk.persist(records, guard)
                    self.cluster.checks.persisted(self, records)
            case Rewrite(records):
                self._flush()
                if not self.is_observer:
                    self.disk.rewrite(records)
                    self.cluster.checks.rewritten(self)
            case Send(to, data) if self.treason is None:
                self.cluster.checks.said(self, data)
                self.cluster.post(self.name, to, data)
            case Send(to, data) if self.treason is not None:
                for receiver, words in self.treason(self, to, data):
                    self.cluster.post(self.name, receiver, words)
            case Serve(to, digest):
                for block in self.disk.blocks:
                    if block.ref.digest == digest:
                        self.cluster.post(self.name, to, encode_payload(digest, block.payload))
            case SetTimer(at):
                self.wakes += 1
                wake, life = self.wakes, self.life
                delay = max(at - self.now, 0)
                self.cluster.at(self.cluster.now + delay, lambda: self._wake(wake, life))
            case AwaitTransactions():
                self.awaiting = effect
                self.answer_expected()
            case RequestBuild(view, parent):
                if not self.is_dumb:
                    payload = self._build(view, parent)
                    self.later(self.build_ms, lambda: Built(self.now, view, digest_of(payload), payload))
            case RequestVerify():
                if not self.is_dumb:
                    answer = self.verdict(effect) or self._judge(effect)
                    self.later(self.verify_ms, lambda: answer)
            case Deliver(blocks, certificate):
                self.committing.extend((block, certificate) for block in blocks)
                self._flush_later()
            case Behind(certificate):
                self._flush()
                self.cluster.sync(self, certificate)
            case Evidence():
                self.evidence.append(effect)
                self.cluster.checks.accused(self, effect)
            case Blame():
                self.blamed.append(effect)
                self.cluster.checks.blamed(self, effect)
            case Halt():
                self._stop_voting(effect)

    def _wake(self, wake: int, life: int) -> None:
        if wake == self.wakes and life == self.life:
            self.give(TimerFired(self.now))

    def hear(self, sender: str, data: bytes) -> None:
        self.give(Message(self.now, sender, data))

    # --- the store ------------------------------------------------------------------------------------------------

    def _flush_later(self) -> None:
        if not self.commit_ms:
            self._flush()
            return
        life = self.life
        self.cluster.after(self.commit_ms, lambda: self._flush() if self.life == life and self.alive else None)

    def _flush(self) -> None:
        """Commit what was delivered, in order. Raises NoSpace."""
        if self.committing and self.disk.is_full:
            life = self.life
            self.cluster.after(SPACE_RETRY_MS, lambda: self._flush_later() if self.life == life else None)
            return
        queued, self.committing = self.committing, []
        for block, certificate in queued:
            self.commit(block, certificate)

    def commit(self, block: Block, certificate: Certificate) -> None:
        before = self.executed[parent_of(block.payload)]
        self.cluster.checks.delivered(self, block, certificate, execute(before, block.payload))
        self.disk.append(block, certificate)
        self.payloads[block.ref.digest] = block.payload
        self.executed[block.ref.digest] = execute(before, block.payload)
        done = set(transactions_of(block.payload))
        self.mempool = [tx for tx in self.mempool if tx not in done]
        self.cluster.note("final", f"{self.name} {block.ref.view} {block.ref.digest.hex()[:8]}")

    def final_transactions(self) -> set[bytes]:
        blocks = self.disk.blocks
        if self._final_count > len(blocks):
            self._final, self._final_count = set(), 0
        for block in blocks[self._final_count :]:
            self._final.update(transactions_of(block.payload))
        self._final_count = len(blocks)
        return self._final

    # --- the application ------------------------------------------------------------------------------------------

    def receive_transaction(self, tx: bytes) -> None:
        if self.alive and tx not in self.mempool and tx not in self.final_transactions():
            self.mempool.append(tx)
            self.answer_expected()

    def answer_expected(self) -> None:
        if self.awaiting is not None and self._includable(self.awaiting.parent):
            view, self.awaiting = self.awaiting.view, None
            self.later(0, lambda: PayloadExpected(self.now, view))

    def _includable(self, parent: Ref) -> list[bytes]:
        known = self._in_ancestry(parent)
        return [tx for tx in self.mempool if tx not in known]

    def _in_ancestry(self, parent: Ref) -> set[bytes]:
        """Transactions of the blocks up to `parent` that are not in the store yet."""
        known: set[bytes] = set()
        digest = parent.digest
        while digest in self.payloads and digest not in self.disk.digests:
            known.update(transactions_of(self.payloads[digest]))
            digest = parent_of(self.payloads[digest])
        return known

    def _build(self, view: int, parent: Ref) -> bytes:
        before = self.executed[parent.digest]
        fresh = self._includable(parent)[:MAX_BLOCK_TXS]
        payload = self.forge_block(self, build_block(parent.digest, before, view, self.wall, fresh))
        self._remember(payload, before)
        return payload

    def _judge(self, request: RequestVerify) -> Verified:
        """A5: the clock matters only while no quorum has spoken."""
        before = self.executed.get(request.parent.digest)
        assert before is not None, "asked to execute on a parent that was never executed here"
        fault = find_fault(request, before)
        carried = set(transactions_of(request.payload))
        if not fault and carried & (self._in_ancestry(request.parent) | self.final_transactions()):
            fault = "repeated transaction"
        ahead = time_of(request.payload) - self.wall - MAX_DRIFT_MS
        if fault:
            return Verified(self.now, request.view, request.digest, Verdict.INVALID, detail=fault)
        if ahead > 0 and not request.notarized:
            return Verified(self.now, request.view, request.digest, Verdict.LATER, retry_at=self.now + ahead)
        self._remember(request.payload, before)
        return Verified(self.now, request.view, request.digest, Verdict.VALID)

    def _remember(self, payload: bytes, before: Executed) -> None:
        self.payloads[digest_of(payload)] = payload
        self.executed[digest_of(payload)] = execute(before, payload)
