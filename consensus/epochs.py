"""One epoch after the other: the core of each, and the short time in which two of them matter (R12).

Knows when an epoch ended and who answers for the old one; all rules of ordering are the cores'. What the host drives
is an `Epochs`: it takes the same inputs as a `Core` and `NextEpoch` besides. Must always hold: only the newest core
signs, writes the journal or delivers; its journal begins empty, after everything of the epoch before is durable.
"""

from consensus.core import Core
from consensus.effects import Blame, Effect, Evidence, Halt, Rewrite, Send, Serve, ServeClosing
from consensus.inputs import Input, Message, NextEpoch, Start
from consensus.journal import FloorMark
from consensus.messages import decode_message, epoch_of
from consensus.types import ROOT_VIEW, Config, ConsensusError, Floor, Ref, Status
from ledger.errors import DecodeError

ANSWERS = (Send, Serve, ServeClosing, Evidence, Blame, Halt)
"""What the core of a closed epoch may still ask for. Its records would not belong into the new journal."""


class Epochs:
    """One validator's (or observer's) part in ordering, through all changes of the set."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._core = Core(config)
        self._old: Core | None = None
        self._incarnation = 0

    @property
    def epoch(self) -> int:
        """The epoch that is being ordered, or just closed while the host has not given the next one."""
        return self._config.epoch

    @property
    def status(self) -> Status:
        """Where the newest core stands."""
        return self._core.status

    def step(self, event: Input) -> tuple[Effect, ...]:
        """What the host has to do now, in this order.

        Raises ConsensusError only when the host broke the contract of an input; foreign bytes never raise.
        """
        if self._core.is_halted:
            return ()
        match event:
            case NextEpoch():
                return self._begin(event)
            case Message() if self._old is not None and self._is_of_old(event):
                return self._answer_for(self._old, event)
            case Start():
                self._incarnation = event.incarnation
        effects = self._core.step(event)
        if self._core.status.final_view > ROOT_VIEW:
            self._old = None  # a block of the new epoch is final: from here on the store answers
        return effects

    def _begin(self, event: NextEpoch) -> tuple[Effect, ...]:
        """R12: a new core on the boundary. It asks the peers as after any start (A9), for it cannot know whether this
        key has signed in that epoch before."""
        config, old = event.config, self._core
        if not old.is_closed or config.epoch != self._config.epoch + 1 or config.chain != self._config.chain:
            raise ConsensusError("next_epoch", f"epoch {config.epoch} does not follow a closed {self._config.epoch}")
        guard = max([one for one in (old.guard, event.guard) if one is not None], default=None)
        self._old, self._core, self._config = old, Core(config), config
        floor = Floor(Ref(ROOT_VIEW, config.root), None)
        effects = self._core.step(Start(event.now, (), floor, guard, self._incarnation))
        if config.me is None:
            return effects
        return (Rewrite((FloorMark(config.epoch, ROOT_VIEW),)), *effects)

    def _is_of_old(self, event: Message) -> bool:
        try:
            message, _ = decode_message(event.data, self._config.max_payload)
        except DecodeError:
            return False
        return epoch_of(message) == self._config.epoch - 1

    def _answer_for(self, old: Core, event: Message) -> tuple[Effect, ...]:
        effects = old.step(event)
        found = tuple(effect for effect in effects if isinstance(effect, ANSWERS))
        if old.is_halted:  # the chain that this epoch builds on is in doubt
            self._core = old
        return found
