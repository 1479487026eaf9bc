"""The memory of one core, and the questions that every rule asks of it.

Knows what is held; decides nothing, sends nothing. Must always hold: `cast` is the only place where this validator
signs, and it refuses a second statement of a kind in a view and nullify beside finalize; `delivered` never passes
`final_view`, and neither moves backwards.
"""

from dataclasses import dataclass

from consensus.effects import Blame, Block, Halt
from consensus.journal import OwnVote, Record
from consensus.leaders import leader_of, leader_order
from consensus.outbox import Outbox
from consensus.tails import is_tail
from consensus.timers import Activity, ViewClock, timeout
from consensus.types import ROOT_VIEW, Config, ConsensusError, Position, Ref, Verdict
from consensus.views import Candidate, ViewState
from ledger.certificates import Certificate, Kind, Subject, Vote, vote_message

RETENTION = 64
"""Views below the last delivered one whose certificates stay in memory for peers that ask (R10)."""
LOOKAHEAD = 2
"""A11: a proposal is kept for at most this many views ahead. One is normal, two after a jump."""


class Halted(Exception):
    """Internal: the step ends here and the core stops for ever."""

    def __init__(self, code: str, detail: str, certificates: tuple[Certificate, ...] = ()) -> None:
        super().__init__(code)
        self.halt = Halt(code, detail, certificates)


@dataclass(slots=True)
class Attempt:
    """R10: one thing that is being fetched."""

    next_at: int
    tries: int = 0


class State:
    """Everything the core remembers. Rules are functions over it, one module per subject."""

    def __init__(self, config: Config) -> None:
        validators = config.validators
        n = len(validators)
        self.config = config
        self.n = n
        self.quorum = validators.quorum
        self.faulty = (n - 1) // 3
        self.me = config.me
        self.ids = tuple(member.id for member in validators.validators)
        self.index = {member: i for i, member in enumerate(self.ids)}
        self.order = leader_order(config.leader_seed, config.epoch, n)
        self.root = Ref(ROOT_VIEW, config.root)

        self.now = 0
        self.started = False
        self.may_vote = False
        self.view = 1
        self.clock = ViewClock(0, config.timing.base)
        self.activity = Activity(n, self.quorum, config.me)
        self.build_asked = False
        self.build_failed = False
        self.build_parent = ROOT_VIEW
        self.failures = 0
        """A3: armed views that ended nullified since the last finalization."""

        self.views: dict[int, ViewState] = {}
        self.pending: list[int] = []
        """Decided views above `delivered`, ascending: the blocks whose fate is still open."""
        self.delivered = self.root
        self.finalized: Certificate | None = None
        self.final_view = ROOT_VIEW
        self.exit_view = ROOT_VIEW
        """The highest view with a nullification: whoever holds it may leave that view."""
        self.last_block_at = 0
        self.last_final_at = 0
        self.behind_since: int | None = None
        self.syncing = False
        """A `Behind` is unanswered; until then nothing is delivered."""
        self.last_seen: dict[int, tuple[Vote | None, Certificate | None]] = {}
        """A9: by signer, the highest vote and certificate of it that came by."""
        self.helped_at: dict[int, int] = {}
        self.standstill_at = 0
        """R9: when everything was last sent again, or the last finalization came."""
        self.standstill_wait = config.timing.standstill
        self.wants: dict[tuple[str, int], Attempt] = {}
        self.incarnation = 0
        self.answers: set[int] = set()
        self.closed = False
        """R12: the last block of the epoch was delivered. Nothing is signed or asked for any more."""
        self.told_at: dict[str, int] = {}
        """R12: when a peer of another epoch was last answered."""
        self.ask_again_at = 0
        self.guard: Position | None = None
        self.vouched_view = ROOT_VIEW
        """A9: the highest view that the journal spoke of at the start; a vote above it was not signed with it."""
        self.journal_bytes = 0
        self.unwritten: list[Record] = []
        """R7: finalizations on their way into the frame of the next vote."""

    # --- views and blocks -------------------------------------------------------------------------------------

    def at(self, view: int) -> ViewState:
        """The state of a view, made when new. Callers bound which views they ask for."""
        found = self.views.get(view)
        if found is None:
            found = self.views[view] = ViewState(view)
        return found

    def leader(self, view: int) -> int:
        return leader_of(view, self.order)

    def is_leader(self) -> bool:
        return self.me is not None and self.leader(self.view) == self.me

    def holds(self, kind: Kind, view: int) -> bool:
        """Whether the certificate of this kind is held for the view."""
        found = self.views.get(view)
        return found is not None and kind in found.certificates

    def ref(self, view: int) -> Ref | None:
        """The decided block of a view, or the delivered one."""
        if view == self.delivered.view:
            return self.delivered
        found = self.views.get(view)
        return Ref(view, found.decided.digest) if found is not None and found.decided is not None else None

    def usable(self, view: int) -> bool:
        """Decided, its bytes here and valid on its parent (which was usable then), or delivered."""
        if view <= self.delivered.view:
            return view == self.delivered.view
        found = self.views.get(view)
        return found is not None and found.decided is not None and found.decided.verdict is Verdict.VALID

    def closes_at(self, view: int) -> bytes | None:
        """R12: the boundary, if the decided block of this view is it or a tail above it: only tails build on that."""
        found = self.views.get(view)
        return found.decided.closes if found is not None and found.decided is not None else None

    def is_payload(self, digest: bytes, payload: bytes) -> bool:
        """Whether these are the bytes that the digest names: a block of the application, or a tail."""
        return is_tail(digest, payload) or self.config.payloads.is_payload(digest, payload)

    def best_parent(self) -> int | None:
        """R3, A6: the highest usable view below the current one with a nullification for every view between; None
        while a proof or the bytes are missing."""
        for view in range(self.view - 1, self.delivered.view, -1):
            if self.usable(view):
                return view
            if view <= self.final_view or not self.holds("nullify", view):
                return None
        return self.delivered.view

    def find_payload(self, digest: bytes) -> bytes | None:
        """Block bytes above the floor by digest."""
        for state in self.views.values():
            for candidate in state.named(digest):
                if candidate.payload is not None:
                    return candidate.payload
        return None

    def blocks_between(self, top: int) -> list[Block]:
        """The usable chain from the block after `delivered` up to view `top`.

        Raises Halted `finality_conflict` when it leads past the delivered block: two finalized blocks disagree.
        """
        blocks: list[Block] = []
        view = top
        while view > self.delivered.view:
            candidate = self.views[view].decided
            assert candidate is not None, "a usable view is decided"
            assert candidate.payload is not None, "a usable view has its bytes"
            blocks.append(Block(Ref(view, candidate.digest), candidate.payload))
            view = candidate.parent_view
        if view != self.delivered.view:
            detail = f"view {top} is final and does not descend from {self.delivered.view}"
            below = self.at(self.delivered.view).certificates.get("finalize")
            raise Halted("finality_conflict", detail, tuple(one for one in (below, self.finalized) if one is not None))
        blocks.reverse()
        return blocks

    # --- time ---------------------------------------------------------------------------------------------------

    def heartbeat_due(self) -> int:
        """When a block is due though no transaction is known: the heartbeat, or sooner when a notarized block still
        waits to become final (its transactions must not wait for the next client)."""
        due = self.last_block_at + self.config.timing.heartbeat
        if any(view > self.final_view for view in self.pending):
            due = min(due, self.clock.entered_at + self.config.timing.settle)
        return due

    def armed_at(self) -> int:
        return self.clock.armed_at(self.heartbeat_due())

    def nullify_at(self) -> int:
        silent = self.activity.is_silent(self.leader(self.view))
        return self.clock.nullify_at(self.heartbeat_due(), silent)

    def restart_clock(self) -> None:
        """R2 on entering the current view."""
        self.clock = ViewClock(self.now, timeout(self.config.timing, self.failures))
        self.build_asked = self.build_failed = False

    # --- votes --------------------------------------------------------------------------------------------------

    def cast(self, kind: Kind, view: int, candidate: Candidate | None, out: Outbox) -> Vote:
        """Sign, remember, journal and count one own statement; the caller sends it.

        Raises ConsensusError when the statement would contradict an earlier one: a defect in a rule, which must
        never leave the process as a signature.
        """
        own = self.at(view).own
        forbidden: dict[Kind, Kind] = {"nullify": "finalize", "finalize": "nullify"}
        if not self.may_vote or kind in own or forbidden.get(kind) in own:
            raise ConsensusError("double_vote", f"a second statement ({kind}) in view {view} was about to be signed")
        parent, digest = (0, None) if candidate is None else (candidate.parent_view, candidate.digest.hex())
        subject = Subject(kind, self.config.epoch, view, parent, digest)
        assert self.config.signer is not None, "observers never vote"
        assert self.me is not None, "observers never vote"
        signature = self.config.signer.sign_vote(kind, vote_message(self.config.chain, subject))
        vote = Vote(kind, subject.epoch, view, parent, digest, self.me, signature.hex())
        own[kind] = vote
        position = Position(subject.epoch, view, 1 if kind == "notarize" else 2)
        self.guard = position if self.guard is None else max(self.guard, position)
        out.records.append(OwnVote(vote))
        out.guard = self.guard
        return vote

    def blame(self, out: Outbox, peer: str, code: str) -> None:
        out.reports.append(Blame(peer, code))
