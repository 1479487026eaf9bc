"""The state machine: `Core.step(input) -> effects`.

Knows the order in which the rules are tried, and nothing else; each rule lives in the module of its subject and is
named there. Must always hold: the same inputs give the same effects; after a Halt nothing is signed again.
"""

from consensus.certifying import certify, check_agreement, close, deliver, enter_view, raise_floor, vote_finalize
from consensus.effects import Effect, Rewrite, SetTimer
from consensus.inputs import (
    BuildFailed,
    Built,
    CaughtUp,
    Input,
    Message,
    NextEpoch,
    PayloadExpected,
    Start,
    TimerFired,
    Verified,
)
from consensus.journal import FloorMark, OwnVote, Record, StoredCertificate, StoredPayload
from consensus.outbox import Outbox
from consensus.proposing import give_up, judge_proposal, learn_foreign, on_built, propose
from consensus.receiving import on_message
from consensus.repair import fetch, next_time, repeat_all, repeat_nullify, watch_gap
from consensus.startup import ask_positions, on_start
from consensus.state import Halted, State
from consensus.types import Config, ConsensusError, Position, Ref, Status, Verdict

CHECKPOINT_BYTES = 32 * 2**20
"""Block bytes journaled before the journal is rewritten without what was delivered."""

MAX_UNWRITTEN = 16
"""Finalizations that wait for a frame. A validator signs in nearly every view, so one or two do; one that signs
nothing writes at least every so many."""


class Core:
    """One validator's (or observer's) part in ordering one epoch."""

    def __init__(self, config: Config) -> None:
        self._state = State(config)
        self._timer_at: int | None = None
        self._halted = False

    def step(self, event: Input) -> tuple[Effect, ...]:
        """What the host has to do now, in this order.

        Raises ConsensusError only when the host broke the contract of an input; foreign bytes never raise.
        """
        if self._halted:
            return ()
        state, out = self._state, Outbox()
        if isinstance(event, Start) == state.started:
            raise ConsensusError("start", "Start is the first input, and comes once")
        state.now = max(state.now, event.now)
        try:
            self._apply(event, out)
            if not state.closed:
                self._advance(out)
        except Halted as halted:
            self._halted, out.halt = True, halted.halt
            self._gather_records(out)
            return out.effects()
        if not state.closed:
            self._set_timer(out)
        self._gather_records(out)
        return out.effects()

    @property
    def is_closed(self) -> bool:
        """R12: whether the last block of the epoch was delivered."""
        return self._state.closed

    @property
    def is_halted(self) -> bool:
        """Whether a Halt was returned."""
        return self._halted

    @property
    def guard(self) -> Position | None:
        """The highest position this key is known to have signed at."""
        return self._state.guard

    @property
    def status(self) -> Status:
        """A snapshot for people and metrics."""
        state = self._state
        return Status(
            epoch=state.config.epoch,
            view=state.view,
            leader=state.ids[state.leader(state.view)],
            final_view=state.final_view,
            delivered_view=state.delivered.view,
            may_vote=state.may_vote and not self._halted,
            halted=self._halted,
            syncing=state.syncing,
            patience=state.clock.patience,
            silent=tuple(name for i, name in enumerate(state.ids) if state.activity.is_silent(i)),
        )

    def _apply(self, event: Input, out: Outbox) -> None:
        state = self._state
        match event:
            case Start():
                on_start(state, out, event)
            case TimerFired():
                self._timer_at = None
                if not state.may_vote and state.now >= state.ask_again_at:
                    ask_positions(state, out)
            case Message(_, sender, data):
                on_message(state, out, sender, data)
            case PayloadExpected(_, view):
                if view == state.view and state.clock.expected_at is None:
                    state.clock.expected_at = state.now
            case Built():
                on_built(state, out, event)
            case BuildFailed(_, view):
                state.build_failed |= view == state.view and state.build_asked  # R5
            case Verified():
                self._take_verdict(event)
            case CaughtUp():
                self._take_sync(event, out)
            case NextEpoch():
                raise ConsensusError("next_epoch", "a core orders one epoch; `Epochs` takes this input")

    def _advance(self, out: Outbox) -> None:
        """Try every rule until none changes anything. Finality first, then the current view, then repair."""
        state = self._state
        while True:
            certify(state, out)
            vote_finalize(state, out)
            deliver(state, out)
            if state.closed:
                return
            if enter_view(state, out):
                continue
            before = (state.view, state.final_view, state.exit_view)
            self._press(state)
            propose(state, out)
            judge_proposal(state, out)
            give_up(state, out)
            if (state.view, state.final_view, state.exit_view) == before and not self._is_open(out):
                break
        repeat_nullify(state, out)
        repeat_all(state, out)
        watch_gap(state, out)
        fetch(state, out)
        self._maybe_rewrite(out)

    def _is_open(self, out: Outbox) -> bool:
        """Whether a certificate made in this round lets an earlier rule fire."""
        state = self._state
        return any(state.usable(number) and number >= state.view for number in state.pending)

    @staticmethod
    def _press(state: State) -> None:
        """R2b: f+1 nullify votes mean that an honest validator expected a block: so do we."""
        if state.clock.pressed_at is None and state.at(state.view).tally.count("nullify") > state.faulty:
            state.clock.pressed_at = state.now

    def _take_verdict(self, event: Verified) -> None:
        """The application's answer; a late one, about a view or block no longer open, changes nothing."""
        view = self._state.views.get(event.view)
        if view is None:
            return
        for candidate in view.named(event.digest):
            if not candidate.asked:
                continue
            candidate.asked = False
            if event.verdict is Verdict.LATER:  # A5: held, not refused; at once when a quorum spoke meanwhile
                held_until = max(event.retry_at, self._state.now + 1)
                candidate.retry_at = 0 if view.decided is candidate else held_until
            else:
                candidate.verdict, candidate.detail = event.verdict, event.detail
                candidate.closes = event.digest if event.closes else None
        check_agreement(view)

    def _take_sync(self, event: CaughtUp, out: Outbox) -> None:
        """The host's block sync ended: delivery goes on above the block it reached."""
        state, certificate = self._state, event.certificate
        state.syncing = False
        if state.closed or certificate is None or certificate.view <= state.delivered.view:
            return
        if certificate.kind != "finalize" or certificate.digest is None:
            raise ConsensusError("caught_up", "only a finalization says how far the store is")
        if not learn_foreign(state, out, "", certificate):
            raise ConsensusError("caught_up", "the finalization of the synced block does not verify")
        raise_floor(state, Ref(certificate.view, bytes.fromhex(certificate.digest)))
        if event.boundary is not None:
            close(state, out, event.boundary)

    def _gather_records(self, out: Outbox) -> None:
        """R7: a finalization alone is not worth an fsync. It goes into the frame of the next vote: nothing signed rests
        on it, whoever it is forwarded to can check it, and the store commits it with its block. A step that ends this
        core leaves nothing unwritten."""
        state = self._state
        records = [*state.unwritten, *out.records]
        waits = len(records) <= MAX_UNWRITTEN and all(_is_finalization(record) for record in records)
        if waits and out.halt is None and out.closed is None:
            state.unwritten, out.records = records, []
        else:
            state.unwritten, out.records = [], records

    def _maybe_rewrite(self, out: Outbox) -> None:
        state = self._state
        state.journal_bytes += sum(len(r.payload) for r in out.records if isinstance(r, StoredPayload))
        if state.journal_bytes >= CHECKPOINT_BYTES and out.deliveries:
            records = tuple(surviving_records(state))
            out.rewrite = Rewrite(records)
            state.journal_bytes = sum(len(r.payload) for r in records if isinstance(r, StoredPayload))

    def _set_timer(self, out: Outbox) -> None:
        at = next_time(self._state)
        if at != self._timer_at:
            self._timer_at = at
            out.timer = SetTimer(at)


def _is_finalization(record: Record) -> bool:
    return isinstance(record, StoredCertificate) and record.certificate.kind == "finalize"


def surviving_records(state: State) -> list[Record]:
    """Everything that a rewritten journal must keep: the floor, recent certificates, own votes and bytes above it."""
    records: list[Record] = [FloorMark(state.config.epoch, state.delivered.view)]
    for number in sorted(state.views):
        view = state.views[number]
        records.extend(StoredCertificate(certificate) for certificate in view.certificates.values())
        if number <= state.delivered.view:
            continue
        for candidate in view.candidates.values():
            if candidate.stored and candidate.payload is not None:
                records.append(StoredPayload(number, candidate.digest, candidate.payload))
        records.extend(OwnVote(vote) for vote in view.own.values())
    return records
