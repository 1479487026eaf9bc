"""One simulated validator: the real core, a virtual disk, and a host that performs effects and can die anywhere.

Its application makes blocks of parent digest and transactions; an executed block is remembered by digest.
"""

from collections.abc import Callable
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
from consensus.messages import Certified, Proposal, VoteCast, decode_message, encode_message, encode_payload
from consensus.types import Config, Ref, Verdict
from ledger.certificates import Certificate
from ledger.crypto.hashing import tagged_hash
from tests.support.epoch_simulator_disk import Disk

if TYPE_CHECKING:
    from tests.support.epoch_simulator import Cluster

MAX_PAYLOAD = 100_000
TX_BYTES = 8


class Payloads:
    """Implements consensus.types.PayloadRule: a block's name is its hash."""

    def is_payload(self, digest: bytes, payload: bytes) -> bool:
        return len(payload) >= 32 and digest_of(payload) == digest


def digest_of(payload: bytes) -> bytes:
    return tagged_hash("header", payload)


def transactions_of(payload: bytes) -> list[bytes]:
    """Transactions of a simulated block; its first 32 bytes are the parent's digest, the next 8 a counter."""
    return [payload[i : i + TX_BYTES] for i in range(40, len(payload), TX_BYTES)]


class Node:
    """Host and application around one core. `crash_hook(effect)` says whether to die just before an effect."""

    def __init__(self, cluster: "Cluster", config: Config, name: str, offset: int) -> None:
        self.cluster, self.config, self.name, self.offset = cluster, config, name, offset
        self.disk = Disk(tagged_hash("salt", name.encode())[:16])
        self.epochs: Epochs | None = None
        self.life = 0
        self.halted: Halt | None = None
        self.evidence: list[Evidence] = []
        self.blamed: list[Blame] = []
        self.crash_hook: Callable[[Effect], bool] = lambda effect: False
        self.treason: Callable[[Node, str | None, bytes], list[tuple[str | None, bytes]]] | None = None
        """What a traitor sends instead of what its core says."""
        self.build_ms, self.verify_ms, self.switch_ms = 2, 2, 0
        self.verdict: Callable[[RequestVerify], Verified | None] = lambda request: None
        self.payloads: dict[bytes, bytes] = {}
        self.mempool: list[bytes] = []
        self.awaiting: AwaitTransactions | None = None
        self.wakes = 0

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

    def start(self) -> None:
        """A process begins: everything but the disk is new."""
        if self.epochs is not None:
            return
        journal = self.disk.load()
        self.life += 1
        self.config = self.cluster.config_of(self)
        self.epochs = Epochs(self.config)
        self.awaiting = None
        self.payloads = {block.ref.digest: block.payload for block in self.disk.blocks}
        floor = self.disk.floor(self.config.root)
        if self.config.me is None:
            self.give(Start(self.now, (), floor, None, self.life))
        else:
            self.give(Start(self.now, journal.records, floor, self.disk.load_guard(), self.life))

    def crash(self) -> None:
        """The process is gone; only the disk stays."""
        self.epochs = None
        self.cluster.note("crash", self.name)

    def give(self, event: Input) -> None:
        """One input, then all its effects in order."""
        if self.epochs is None or self.halted is not None:
            return
        for effect in self.epochs.step(event):
            if self.crash_hook(effect):
                if isinstance(effect, Persist):
                    self.disk.tear(effect.records, self.cluster.chance.random())
                self.crash()
                return
            self.perform(effect)

    def later(self, delay: int, make: Callable[[], Input]) -> None:
        """Give an input after a while, if this process still lives then, in the same epoch."""
        life, epoch = self.life, self.config.epoch

        def fire() -> None:
            if self.life == life and self.alive and self.config.epoch == epoch:
                self.give(make())

        self.cluster.at(self.cluster.now + delay, fire)

    def perform(self, effect: Effect) -> None:  # noqa: C901 - one short case for each effect
        match effect:
            case Persist(records, guard):
                self.disk.persist(records, guard)
            case Rewrite(records):
                self.disk.rewrite(records)
            case Send(to, data) if self.treason is None:
                self._check_words(data)
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
                payload = self._build(view, parent)
                self.later(self.build_ms, lambda: self._built(view, payload))
            case RequestVerify():
                answer = self.verdict(effect) or self._judge(effect)
                self.later(self.verify_ms, lambda: answer)
            case Deliver(blocks, certificate):
                for block in blocks:
                    self.commit(block, certificate)
            case ServeClosing(to, epoch):
                closing = [one for one in self.disk.certificates if one.epoch == epoch][-1]
                self.cluster.post(self.name, to, encode_message(Certified(closing)))
            case EpochClosed(boundary):
                assert self.disk.blocks[-1].ref.digest == boundary
                self.later(self.switch_ms, self._next_epoch)
            case Behind(certificate):
                self.cluster.sync(self, certificate)
            case Evidence():
                self.evidence.append(effect)
            case Blame():
                self.blamed.append(effect)
            case Halt():
                self.halted = effect
                self.cluster.note("halt", f"{self.name} {effect.code}")

    def _built(self, view: int, payload: bytes) -> Built:
        return Built(self.now, view, digest_of(payload), payload, self.cluster.closes(payload))

    def _next_epoch(self) -> NextEpoch:
        self.config = self.cluster.config_of(self)
        self.awaiting = None
        return NextEpoch(self.now, self.config, self.disk.load_guard() if self.config.me is not None else None)

    def commit(self, block: Block, certificate: object) -> None:
        self.cluster.checks.delivered(self, block, block.payload[:32])
        self.disk.append(block, certificate)  # type: ignore[arg-type]
        self.payloads[block.ref.digest] = block.payload
        done = set(transactions_of(block.payload))
        self.mempool = [tx for tx in self.mempool if tx not in done]
        self.cluster.note("final", f"{self.name} {block.ref.view} {block.ref.digest.hex()[:8]}")

    def has_reached(self, target: Certificate) -> bool:
        """Whether the store holds what this finalization covers."""
        if not self.disk.blocks:
            return False
        place = (self.disk.epochs[-1], self.disk.blocks[-1].ref.view)
        return place >= (target.epoch, target.view) or self.config.epoch > target.epoch

    def receive_transaction(self, tx: bytes) -> None:
        if self.alive and tx not in self.mempool and tx not in self.final_transactions():
            self.mempool.append(tx)
            self.answer_expected()

    def final_transactions(self) -> set[bytes]:
        return {tx for block in self.disk.blocks for tx in transactions_of(block.payload)}

    def answer_expected(self) -> None:
        if self.awaiting is not None and self._includable(self.awaiting.parent):
            view, self.awaiting = self.awaiting.view, None
            self.later(0, lambda: PayloadExpected(self.now, view))

    def _includable(self, parent: Ref) -> list[bytes]:
        known: set[bytes] = set()
        digest = parent.digest
        while digest in self.payloads:
            known |= set(transactions_of(self.payloads[digest]))
            digest = self.payloads[digest][:32]
        return [tx for tx in self.mempool if tx not in known]

    def _build(self, view: int, parent: Ref) -> bytes:
        payload = parent.digest + view.to_bytes(8, "big") + b"".join(self._includable(parent))
        self.payloads[digest_of(payload)] = payload
        return payload

    def _judge(self, request: RequestVerify) -> Verified:
        good = request.payload[:32] == request.parent.digest
        known = request.parent.digest in self.payloads or request.parent.view == 0
        assert known, "asked to execute on a parent that was never executed here"
        if good:
            self.payloads[request.digest] = request.payload
        closes = good and self.cluster.closes(request.payload)
        verdict = Verdict.VALID if good else Verdict.INVALID
        return Verified(self.now, request.view, request.digest, verdict, 0, "" if good else "parent", closes)

    def _wake(self, wake: int, life: int) -> None:
        if wake == self.wakes and life == self.life:
            self.give(TimerFired(self.now))

    def hear(self, sender: str, data: bytes) -> None:
        self.give(Message(self.now, sender, data))

    def _check_words(self, data: bytes) -> None:
        message, _ = decode_message(data, MAX_PAYLOAD)
        if isinstance(message, (VoteCast, Proposal)):
            self.cluster.checks.sent_vote(self.name, message.vote)
        elif isinstance(message, Certified):
            self.cluster.checks.saw_certificate(message.certificate, self.cluster.honest())
