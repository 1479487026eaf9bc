"""The host of the consensus core: takes inputs one by one, performs every effect in order, answers requests.

Knows journal, chain, workshop, links and timers; decides nothing about order. Must always hold: all effects of a
step are done before the next input; nothing is sent before the `Persist` of its step returned; only this task
commits. A failed fsync ends the task (and with it the process), a full disk holds it until there is room, a Halt
leaves the node readable and never voting.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from consensus.effects import (
    AwaitTransactions,
    Behind,
    Blame,
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
from consensus.inputs import (
    BuildFailed,
    Built,
    Input,
    Message,
    NextEpoch,
    PayloadExpected,
    Start,
    TimerFired,
    Verified,
)
from consensus.journal import JournalDamaged, Record
from consensus.messages import Certified, encode_message, encode_payload
from consensus.types import Floor, Position, Ref, Verdict
from ledger.certificates import Certificate, decode_certificate, encode_certificate
from ledger.errors import StoreError
from node.errors import Halted
from node.ordering.catchup import CatchUp, Outcomes
from node.ordering.committer import Committer
from node.ordering.disagreement import Disagreements
from node.ordering.epochs import closing_certificate
from node.ordering.inbox import Inbox
from node.ordering.journalfile import WAITS, JournalFile
from node.ordering.reports import Reports
from node.ordering.stopping import FOLLOW_AFTER, advice_for, is_about_key, may_follow
from node.ordering.votedisk import VoteDisk
from node.ordering.wiring import Counters, Wiring
from node.peers.frames import Lane


@dataclass(frozen=True, slots=True)
class _Build:
    view: int
    parent: Ref


class Driver:
    """Runs one core. `start`, then `run` until cancelled."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring
        self.counters = Counters()
        self.reports = Reports(wiring.folder, wiring.log, wiring.links.blame)
        self.inbox = Inbox()
        self.halted: Halted | None = None
        self.damage: str | None = None  # what of the store could not be read back when a peer asked for it
        self.view = 0
        self._disk = VoteDisk(wiring, self.counters)
        self._working = False
        self._config = wiring.epochs.config()
        self._core = Epochs(self._config)
        self._timer: asyncio.TimerHandle | None = None
        self._build_timer: asyncio.TimerHandle | None = None
        self._awaiting: AwaitTransactions | None = None
        self._last_block_ms = wiring.clock.monotonic_ms()
        self._committer = Committer(self._commit)
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.disagreements = Disagreements(wiring.chain, wiring.links, wiring.folder, wiring.log)
        wiring.workshop.on_mismatch = self.disagreements.note
        outcomes = Outcomes(self.inbox.put, self._stop_voting, self._fail)
        self.catch_up = CatchUp(wiring, self._commit, self.reports.blame, outcomes)
        self.sync = self.catch_up.sync

    # --- life -------------------------------------------------------------------------------------------------

    async def start(self, *, renewed: bool = False) -> None:
        """Read the disk and give the core its first input; `renewed`: the chain has grown since this was made.

        Raises StoreError, JournalFailed."""
        if renewed:
            self._config, self._core = (config := self._w.epochs.config()), Epochs(config)
        records, guard = self._open_journal() if self._config.me is not None else ((), None)
        await self._step(self._start_input(records, guard))

    def _open_journal(self) -> tuple[tuple[Record, ...], Position | None]:
        try:
            recovered = self._disk.open()
        except JournalDamaged as error:
            self._stop_voting(error.code if is_about_key(error.code) else f"journal_{error.code}", error.detail)
            return (), None
        self._w.log.info("journal_read", records=len(recovered.records), torn_bytes=recovered.torn_bytes)
        return recovered.records, recovered.guard

    def _start_input(self, records: tuple[Record, ...], guard: Position | None) -> Start:
        row = self._w.chain.floor()
        floor = Floor(Ref(0, self._config.root), None)
        if row is not None and row.header_hash != self._config.root:
            if row.certificate is None:
                raise StoreError("damaged", f"the last block ({row.height}) has no certificate")
            floor = Floor(Ref(row.view, row.header_hash), decode_certificate(row.certificate))
        return Start(self._now(), records, floor, guard, incarnation=self._w.clock.now_ms())

    async def run(self) -> None:
        """Serve the core for ever. Raises JournalFailed or StoreError when the disk fails."""
        tasks = [asyncio.ensure_future(self._pump()), asyncio.ensure_future(self._committer.run())]
        try:
            done, _ = await asyncio.wait((*tasks, self._failed), return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            for task in (*tasks, self._failed):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self) -> None:
        while True:
            self._working = False
            sender, arrival, item = await self.inbox.get()
            self._working = True
            if sender is not None:  # the time of arrival: what came in time is not late because this node was busy
                await self._step(Message(arrival, sender, item))
            elif isinstance(item, _Build):
                self._build(item)
            elif isinstance(item, RequestVerify):
                self._judge(item)
            else:
                await self._step(item)

    async def stop(self) -> None:
        """Release timers, sync and journal. `run` was cancelled before."""
        for handle in (self._timer, self._build_timer):
            if handle is not None:
                handle.cancel()
        await self.disagreements.stop()
        await self.catch_up.stop()
        self._disk.stop()

    @property
    def is_busy(self) -> bool:
        """Whether a step is under way or an input waits."""
        return self._working or len(self.inbox) > 0

    @property
    def is_syncing(self) -> bool:
        """Whether blocks are being fetched from others' stores."""
        return self.catch_up.is_syncing

    @property
    def is_voting(self) -> bool:
        """Whether this node is a validator that has not been stopped."""
        return self._config.me is not None and self.halted is None

    @property
    def journal(self) -> JournalFile | None:
        """The open journal, None for a node that does not vote."""
        return self._disk.journal

    @property
    def waiting(self) -> str | None:
        """The code of a disk that takes nothing now; nothing new is voted meanwhile."""
        return self._disk.waiting

    @property
    def not_voting(self) -> str | None:
        """The code of what keeps this node from voting now, None when it votes (`node.ordering.stopping`)."""
        if self.halted is not None:
            return self.halted.code
        if self._config.me is None:
            return "keys_not_in_set" if self._w.epochs.has_seat else "observer"
        return self.waiting or (None if self._core.status.may_vote else "asking_peers")

    # --- from outside -----------------------------------------------------------------------------------------

    def on_message(self, sender: str, data: bytes) -> None:
        """A consensus message of an authenticated peer."""
        if not self.inbox.put_message(sender, data, self._now()):
            self.reports.blame(sender, "inbox_full")

    def transactions_known(self) -> None:
        """New transactions were admitted and told on, or blocks became final: is a block expected now?"""
        awaited = self._awaiting
        if awaited is not None and self._w.workshop.has_fresh(awaited.parent.digest):
            self._awaiting = None
            self.inbox.put(PayloadExpected(self._now(), awaited.view))

    # --- one step ---------------------------------------------------------------------------------------------

    async def _step(self, event: Input) -> None:
        started = time.perf_counter()
        core = self._core
        effects = core.step(event)
        self.counters.step_done(time.perf_counter() - started)
        for effect in effects:
            await self._perform(effect)
            if self._core is not core:  # it was stopped: nothing more of what it wanted is done
                return

    async def _perform(self, effect: Effect) -> None:  # noqa: C901 - one case an effect, none with a rule of its own
        match effect:
            case Persist(records, guard):
                await self._disk.persist(records, guard)
            case Rewrite(records):
                await self._committer.drained()  # what is left out must be in the store by now
                await self._disk.rewrite(records)
            case Send(None, data):
                self._w.links.broadcast(Lane.CONSENSUS, data)
            case Send(str(to), data):
                self._w.links.send(to, Lane.CONSENSUS, data)
            case Serve(to, digest):
                self._serve(to, digest)
            case ServeClosing(to, epoch):
                self._serve_closing(to, epoch)
            case SetTimer(at):
                self._set_timer(at)
            case AwaitTransactions():
                self._awaiting, self.view = effect, effect.view
                self.transactions_known()
            case RequestBuild(view, parent):
                self._plan_build(_Build(view, parent))
            case RequestVerify():
                self.inbox.put_first(effect)
            case Deliver():
                await self._deliver(effect)
            case Behind(certificate):
                await self._committer.drained()
                self.catch_up.start(certificate)
            case EpochClosed():
                await self._begin_epoch()
            case Evidence():
                self.reports.keep_evidence(effect)
                if effect.signer == self._w.epochs.keys.participant and self.is_voting:
                    await self._halt("unknown_vote", "this node's own key has signed two contradicting statements", ())
            case Blame(peer, code):
                self.reports.blame(peer, code)
            case Halt(code, detail, certificates):
                await self._halt(code, detail, certificates)

    # --- blocks -----------------------------------------------------------------------------------------------

    def _plan_build(self, build: _Build) -> None:
        wait_ms = self._last_block_ms + self._w.block_interval_ms - self._now()
        if self._build_timer is not None:
            self._build_timer.cancel()
        if wait_ms <= 0 or self._w.workshop.pending >= self._w.full_block:
            self.inbox.put(build)
        else:
            self._build_timer = asyncio.get_running_loop().call_later(wait_ms / 1000, self.inbox.put, build)

    def _build(self, build: _Build) -> None:
        started = time.perf_counter()
        try:
            executed = self._w.workshop.build(build.parent.digest)
        except Exception as error:  # a defect that only this node has costs it its turn, not its place
            self._w.log.error("build_failed", view=build.view, error=type(error).__name__)
            executed = None
        self.counters.build_done(time.perf_counter() - started)
        if executed is None:
            self._w.log.warning("build_without_parent", view=build.view)
            self.inbox.put(BuildFailed(self._now(), build.view))
            return
        self._last_block_ms = self._now()
        digest = executed.header_hash
        closes = self._w.chain.closes_epoch(digest)
        self.inbox.put_first(Built(self._now(), build.view, digest, executed.encoded, closes))

    def _judge(self, request: RequestVerify) -> None:
        started = time.perf_counter()
        judged = self._w.workshop.judge(
            request.parent.digest, request.digest, request.payload, notarized=request.notarized
        )
        self.counters.judge_done(time.perf_counter() - started)
        if judged is None:
            self._w.log.warning("judge_without_parent", view=request.view)
            return
        now = self._now()
        if judged.verdict is Verdict.VALID:
            self._last_block_ms = now
        elif judged.verdict is Verdict.INVALID:
            self._w.log.error("block_invalid", view=request.view, digest=request.digest.hex(), detail=judged.detail)
        closes = judged.verdict is Verdict.VALID and self._w.chain.closes_epoch(request.digest)
        until = now + judged.wait_ms
        answer = Verified(now, request.view, request.digest, judged.verdict, until, judged.detail, closes)
        self.inbox.put_first(answer)

    async def _deliver(self, effect: Deliver) -> None:
        blocks = [(block.ref.view, block.ref.digest) for block in effect.blocks]
        await self._committer.put(blocks, encode_certificate(effect.certificate))

    async def _commit(self, blocks: list[tuple[int, bytes]], certificate: bytes) -> None:
        started = time.perf_counter()
        await self._disk.patiently("store", lambda: self._w.chain.commit(blocks, certificate))
        self.counters.commit_done(len(blocks), time.perf_counter() - started)
        self.transactions_known()

    def _serve(self, to: str, digest: bytes) -> None:
        if (payload := self._read_back(lambda: self._w.chain.encoded(digest))) is not None:
            self._w.links.send(to, Lane.CONSENSUS, encode_payload(digest, payload))

    def _serve_closing(self, to: str, epoch: int) -> None:
        certificate = self._read_back(lambda: closing_certificate(self._w.chain, epoch))
        if certificate is not None:
            self._w.links.send(to, Lane.CONSENSUS, encode_message(Certified(decode_certificate(certificate))))

    def _read_back(self, read: Callable[[], bytes | None]) -> bytes | None:
        """What is damaged is not served, and no reason to end the node at a peer's question."""
        try:
            return read()
        except StoreError as error:
            if self.damage is None and error.code not in WAITS:
                self._w.log.error("store_damaged", code=error.code, detail=error.detail, do=advice_for("store_damaged"))
                self.damage = error.detail
            return None

    async def _begin_epoch(self) -> None:
        """R12: the boundary is delivered; when it is durable, state says who votes from here on."""
        await self._committer.drained()
        if self._build_timer is not None:
            self._build_timer.cancel()
        self._awaiting = None
        self.inbox.drop_own()
        self._config = self._w.epochs.config()
        self._forget_old_key()
        guard: Position | None = None
        if self.halted is None and self._config.me is not None and self.journal is None:
            _, guard = self._open_journal()
            if self.halted is not None:  # a new core follows from the boundary on, as after a start
                await self._step(self._start_input((), None))
                return
        if self.halted is not None:
            self._config = replace(self._config, me=None, signer=None)
        self._w.log.info("epoch", number=self._config.epoch, height=self._w.chain.height, votes=self.is_voting)
        await self._step(NextEpoch(self._now(), self._config, guard))

    def _forget_old_key(self) -> None:
        """A lost seat needs no journal. With another key in the seat the past of the old one binds nobody."""
        changed = self._disk.key != self._w.epochs.vote_key_id
        if changed or self._config.me is None:
            self._disk.close()
        if changed and self.halted is not None and may_follow(self.halted.code):
            self.halted = None

    # --- trouble ----------------------------------------------------------------------------------------------

    async def _halt(self, code: str, detail: str, certificates: tuple[Certificate, ...]) -> None:
        self._stop_voting(code, detail, certificates)
        if code in FOLLOW_AFTER:
            await self._step(self._start_input((), None))

    def _stop_voting(self, code: str, detail: str, certificates: tuple[Certificate, ...] = ()) -> None:
        """No vote from here on. After a fault of this node's own past it follows as an observer."""
        self.reports.keep_halt(code, f"{detail}. What to do: {advice_for(code)}", certificates)
        self.halted = Halted(code, detail)
        if code == "disagreement":
            self.disagreements.begin(detail)
        if is_about_key(code):
            self._disk.refuse(code, detail)
        self._disk.close()
        if may_follow(code):
            self._config = replace(self._config, me=None, signer=None)
            self._core = Epochs(self._config)

    def _fail(self, error: Exception) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)

    # --- time -------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return self._w.clock.monotonic_ms()

    def _set_timer(self, at: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(max(0, at - self._now()) / 1000, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.inbox.put(TimerFired(self._now()))
