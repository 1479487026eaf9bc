"""One simulated validator: the real core, a virtual disk, and a host that performs effects and can die anywhere.

The host keeps the contract of `consensus.effects`: effects in order, each finished before the next, no input before the
last effect of the step before, no answer over the end of an epoch. Whatever makes it slow (a full disk, a slow fsync, a
pause) holds the rest of the step and every input behind it.
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
    EpochClosed,
    Evidence,
    Halt,
    Persist,
    RequestBuild,
    RequestVerify,
    Rewrite,
    Send,
    Serve,
    ServeClosing,
    SetTimer,
)
from consensus.epochs import Epochs
from consensus.inputs import Built, Input, Message, NextEpoch, PayloadExpected, Start, TimerFired, Verified
from consensus.journal import JournalDamaged, Record
from consensus.messages import Certified, encode_message, encode_payload
from consensus.types import Config, Position
from ledger.certificates import Certificate
from ledger.crypto.hashing import tagged_hash
from tests.support.simulator_app import MAX_PAYLOAD, WALL_START_MS, Payloads, digest_of, execute, parent_of
from tests.support.simulator_application import Application
from tests.support.simulator_disk import Disk, NoSpace, SyncFailed
from tests.support.simulator_sync import Range, look_around, read_range, sync

if TYPE_CHECKING:
    from tests.support.simulator import Cluster

__all__ = ["MAX_PAYLOAD", "Node", "Payloads", "digest_of"]

FOLLOW_AFTER = {"store_behind_journal", "journal_behind_guard", "unknown_vote", "foreign_journal"}
"""Halts about the node's own past: it goes on as an observer."""
SPACE_RETRY_MS = 500
SWITCH_RETRY_MS = 20
MAX_WAITING = 2_000
"""Inputs that a host which stands still keeps; the rest is lost, as in full socket buffers."""


class Node:
    """Host around one core. `crash_hook(effect)` says whether to die just before an effect."""

    def __init__(self, cluster: "Cluster", name: str, offset: int) -> None:
        self.cluster, self.name, self.offset = cluster, name, offset
        self.disk = Disk(tagged_hash("salt", name.encode())[:16])
        self.application = Application(cluster.root)
        self.config = cluster.config_of(self)
        self.epochs: Epochs | None = None
        self.life = 0
        self.generation = 0
        """Rises when answers to earlier requests stop counting."""
        self.halted: Halt | None = None
        self.evidence: list[Evidence] = []
        self.blamed: list[Blame] = []
        self.crash_hook: Callable[[Effect], bool] = lambda effect: False
        self.treason: Callable[[Node, str | None, bytes], list[tuple[str | None, bytes]]] | None = None
        """What a traitor sends instead of what its core or its store says."""
        self.forge_block: Callable[[Node, bytes], bytes] = lambda node, payload: payload
        """What a traitor proposes instead of the block it built."""
        self.forge_range: Callable[[Node, Range | None], Range | None] = lambda node, offered: offered
        """What a traitor answers to a peer that asks for final blocks."""
        self.build_ms, self.verify_ms, self.commit_ms, self.sync_ms, self.switch_ms = 2, 2, 0, 0, 0
        self.skew = 0
        """How wrong the wall clock is, in milliseconds; the monotonic one is never wrong."""
        self.verdict: Callable[[RequestVerify], Verified | None] = lambda request: None
        self.is_dumb = False
        """The application hangs: no request is answered."""
        self._restart()
        self.wakes = self.stalls = 0
        self.resume: Callable[[], None] = lambda: None
        """Ends the pause or the wait for the disk, if there is one."""

    def _restart(self) -> None:
        """Everything that a process forgets."""
        self.application.restart(self.disk)
        self.stalled = False
        self.waiting: deque[Input] = deque()
        self.committing: list[tuple[Block, Certificate]] = []
        self.is_barred = False
        """Its own past forbids it to vote, in this life."""

    @property
    def core(self) -> Core | None:
        """The core of the newest epoch."""
        return None if self.epochs is None else self.epochs._core

    @property
    def alive(self) -> bool:
        return self.epochs is not None

    @property
    def now(self) -> int:
        return self.cluster.now + self.offset

    @property
    def wall(self) -> int:
        return WALL_START_MS + self.cluster.now + self.skew

    @property
    def is_observer(self) -> bool:
        return self.config.me is None

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A process begins: everything but the disk is new."""
        if self.epochs is not None:
            return
        self.life += 1
        self._restart()
        self.halted = None
        self._read_config()
        try:
            records = self.disk.load().records
        except JournalDamaged as error:
            self._stop_voting(Halt(f"journal_{error.code}", error.detail))
            return
        self.epochs = Epochs(self.config)
        guard = self.disk.load_guard()
        self._begin(*((), None) if self.is_observer else (records, guard))
        look_around(self)

    def _read_config(self) -> Config:
        """The set in force and the own place in it, from the own store."""
        config = self.cluster.config_of(self)
        self.config = replace(config, me=None, signer=None) if self.is_barred else config
        return self.config

    def _begin(self, records: tuple[Record, ...], guard: Position | None) -> None:
        self.give(Start(self.now, records, self.disk.floor(self.config.root), guard, self.life))

    def _stop_voting(self, halt: Halt) -> None:
        """The operator is paged; a node that must not vote may still follow."""
        self.halted = halt
        self.cluster.note("halt", f"{self.name} {halt.code}")
        self.cluster.checks.halted(self, halt)
        if halt.code in FOLLOW_AFTER or halt.code.startswith("journal_"):
            self.is_barred = True
            self.generation += 1
            self.committing = []
            self.epochs = Epochs(self._read_config())
            self._begin((), None)

    def crash(self, power: bool = False) -> None:
        """The process is gone; only the disk stays. A power cut may take back what was not synced."""
        self.epochs = None
        self._restart()
        if power:
            self.disk.cut_power(self.cluster.chance)
        self.cluster.note("crash", self.name)

    def pause(self, milliseconds: int) -> None:
        """The process is stopped and goes on later, with everything that came in meanwhile."""
        if self.epochs is not None and not self.stalled:
            self._stall(milliseconds, ())

    # --- steps ----------------------------------------------------------------------------------------------------

    def give(self, event: Input) -> None:
        """One input, then all its effects in order."""
        if self.epochs is None:
            return
        if self.stalled:
            if len(self.waiting) < MAX_WAITING:
                self.waiting.append(event)
            return
        heard = self.cluster.checks.before_step(self, event)
        effects = self.epochs.step(event)
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
            except SyncFailed:
                self._end_after_failed_sync(effect)
                return
            if self.sync_ms and isinstance(effect, Persist):
                self._stall(self.sync_ms, effects[at + 1 :])
                return

    def _end_after_failed_sync(self, effect: Effect) -> None:
        """P8: never retried. The write may be there as a whole or in part, and nothing after it was done."""
        if self.cluster.chance.random() < 0.5:
            self.perform(effect)
        elif isinstance(effect, Persist):
            self.disk.tear(effect.records, self.cluster.chance)
        self.crash()

    def _stall(self, milliseconds: int, rest: tuple[Effect, ...]) -> None:
        self.stalled, life = True, self.life
        self.stalls += 1
        stall = self.stalls

        def resume() -> None:
            if self.life != life or self.epochs is None or self.stalls != stall or not self.stalled:
                return
            self.stalled = False
            self._work(rest)
            while self.waiting and not self.stalled:
                self.give(self.waiting.popleft())

        self.resume = resume
        self.cluster.after(milliseconds, resume)

    def later(self, delay: int, make: Callable[[], Input]) -> None:
        """Give an input after a while, if this process still lives then and still wants it."""
        life, generation = self.life, self.generation

        def fire() -> None:
            if self.life == life and self.generation == generation and self.alive:
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
            case Send(to, data):
                if self.treason is None:
                    self.cluster.checks.said(self, data)
                self._say(to, data)
            case Serve(to, digest):
                for block in self.disk.blocks:
                    if block.ref.digest == digest:
                        self._say(to, encode_payload(digest, block.payload))
            case ServeClosing(to, epoch):
                closing = self.disk.closing_of(epoch)
                if closing is not None:
                    self._say(to, encode_message(Certified(closing)))
            case SetTimer(at):
                self.wakes += 1
                wake, life = self.wakes, self.life
                delay = max(at - self.now, 0)
                self.cluster.at(self.cluster.now + delay, lambda: self._wake(wake, life))
            case AwaitTransactions():
                self.application.awaiting = effect
                self.answer_expected()
            case RequestBuild(view):
                if not self.is_dumb:
                    payload = self._build(effect)
                    closes = self.cluster.membership.closes(payload)
                    self.later(self.build_ms, lambda: Built(self.now, view, digest_of(payload), payload, closes))
            case RequestVerify():
                if not self.is_dumb:
                    answer = self.verdict(effect) or self.judge(effect)
                    self.later(self.verify_ms, lambda: answer)
            case Deliver(blocks, certificate):
                self.committing.extend((block, certificate) for block in blocks)
                self._flush_later()
            case Behind(certificate):
                self._flush()
                sync(self, certificate)
            case EpochClosed(boundary):
                self._leave_epoch(boundary)
            case Evidence():
                self.evidence.append(effect)
                self.cluster.checks.accused(self, effect)
            case Blame():
                self.blamed.append(effect)
                self.cluster.checks.blamed(self, effect)
            case Halt():
                self._stop_voting(effect)

    def _say(self, to: str | None, data: bytes) -> None:
        said = [(to, data)] if self.treason is None else self.treason(self, to, data)
        for receiver, words in said:
            self.cluster.post(self.name, receiver, words)

    def _wake(self, wake: int, life: int) -> None:
        if wake == self.wakes and life == self.life:
            self.give(TimerFired(self.now))

    def hear(self, sender: str, data: bytes) -> None:
        self.give(Message(self.now, sender, data))

    def tell_height(self, asker: str, height: int) -> None:
        """A neighbour has so many blocks: with more of them, send the proof of the last."""
        if self.alive and not self.stalled and len(self.disk.blocks) > height:
            self._say(asker, encode_message(Certified(self.disk.certificates[-1])))

    # --- epochs -----------------------------------------------------------------------------------------------------

    def _leave_epoch(self, boundary: bytes) -> None:
        """R12: what was asked before is void; when all is durable, the next set follows from the store."""
        self.generation += 1
        self.waiting = deque(one for one in self.waiting if isinstance(one, Message))
        life, generation = self.life, self.generation

        def switch() -> None:
            if self.life != life or self.generation != generation or not self.alive:
                return
            if self.committing or self.stalled:
                self.cluster.after(SWITCH_RETRY_MS, switch)
                return
            assert self.disk.blocks[-1].ref.digest == boundary, f"{self.name} is told of another boundary"
            self.application.awaiting = None
            config = self._read_config()
            self.give(NextEpoch(self.now, config, None if self.is_observer else self.disk.load_guard()))

        self.cluster.after(self.switch_ms, switch)

    # --- the store ------------------------------------------------------------------------------------------------

    def _flush_later(self) -> None:
        if not self.commit_ms:
            self._flush()
            return
        life = self.life
        self.cluster.after(self.commit_ms, lambda: self._flush() if self.life == life and self.alive else None)

    def _flush(self) -> None:
        """Commit what was delivered, in order, as soon as there is space."""
        if self.committing and self.disk.is_full:
            life = self.life
            self.cluster.after(SPACE_RETRY_MS, lambda: self._flush_later() if self.life == life else None)
            return
        queued, self.committing = self.committing, []
        for block, certificate in queued:
            self.commit(block, certificate)

    def commit(self, block: Block, certificate: Certificate) -> None:
        before = self.application.executed[parent_of(block.payload)]
        self.cluster.checks.delivered(self, block, certificate, execute(before, block.payload))
        self.disk.append(block, certificate)
        self.application.remember(block.payload, before)
        self.application.forget_pending(block.payload)
        self.cluster.note("final", f"{self.name} {block.ref.view} {block.ref.digest.hex()[:8]}")

    def final_transactions(self) -> set[bytes]:
        return self.application.final_transactions(self.disk)

    def offer(self, height: int, epoch: int) -> Range | None:
        """What this node answers to a peer that asks for the final blocks of an epoch above a height."""
        return self.forge_range(self, read_range(self, height, epoch))

    # --- the application ------------------------------------------------------------------------------------------

    def receive_transaction(self, tx: bytes) -> None:
        if self.alive and self.application.receive(tx, self.disk):
            self.answer_expected()

    def answer_expected(self) -> None:
        view = self.application.take_awaited(self.disk)
        if view is not None:
            self.later(0, lambda: PayloadExpected(self.now, view))

    def _build(self, request: RequestBuild) -> bytes:
        payload = self.application.build(request.view, request.parent, self.wall, self.disk)
        payload = self.forge_block(self, payload)
        self.application.remember(payload, self.application.executed[request.parent.digest])
        return payload

    def judge(self, request: RequestVerify) -> Verified:
        closes = self.cluster.membership.closes(request.payload)
        return self.application.judge(request, self.now, self.wall, self.disk, closes)
