"""The effects of one step, collected and put into their one right order.

Must always hold: what was signed or learned is persisted before anything that depends on it leaves, so
`effects` puts the one Persist of the step first, and a step that halts sends no vote: only certificates that
exclude each other, so that the other honest nodes stop too.
"""

from dataclasses import dataclass, field

from consensus.effects import (
    AwaitTransactions,
    Behind,
    Deliver,
    Effect,
    EpochClosed,
    Halt,
    Persist,
    Rewrite,
    Send,
    SetTimer,
)
from consensus.journal import Record
from consensus.messages import Certified, Wire, encode_message
from consensus.types import Position


@dataclass(slots=True)
class Outbox:
    """What the current step asks for so far."""

    records: list[Record] = field(default_factory=list)
    guard: Position | None = None
    reports: list[Effect] = field(default_factory=list)
    """Evidence and Blame."""
    sends: list[Effect] = field(default_factory=list)
    """Send, Serve and ServeClosing."""
    deliveries: list[Deliver] = field(default_factory=list)
    rewrite: Rewrite | None = None
    behind: Behind | None = None
    requests: list[Effect] = field(default_factory=list)
    """RequestBuild, RequestVerify."""
    awaiting: AwaitTransactions | None = None
    timer: SetTimer | None = None
    closed: EpochClosed | None = None
    halt: Halt | None = None

    def send(self, to: str | None, message: Wire, payload: bytes = b"") -> None:
        """One message to one peer or, with None, to all."""
        self.sends.append(Send(to, encode_message(message, payload)))

    def effects(self) -> tuple[Effect, ...]:
        """Durability first, then words, then deeds of the application, then questions to it."""
        found: list[Effect] = []
        if self.records:
            found.append(Persist(tuple(self.records), self.guard))
        found.extend(self.reports)
        if self.halt is not None:  # R11: the only words of such a step are the certificates that others must see too
            proofs = self.halt.certificates if len(self.halt.certificates) > 1 else ()
            return (*found, *(Send(None, encode_message(Certified(one))) for one in proofs), self.halt)
        found.extend(self.sends)
        found.extend(self.deliveries)
        if self.closed is not None:
            return (*found, self.closed)
        found.extend(one for one in (self.rewrite, self.behind) if one is not None)
        found.extend(self.requests)
        found.extend(one for one in (self.awaiting, self.timer) if one is not None)
        return tuple(found)
