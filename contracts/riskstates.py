"""What the ledger remembers of a risk signal, its life as a table, and when it counts.

Knows times in milliseconds of block time. Must not know what a signal says or about whom. Must always hold: a signal
counts only from its block until it expires, is withdrawn, or an appeal against it went unanswered for ANSWER_MS; no
reader needs to look anything up to tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from contracts.errors import Refusal
from contracts.states import State, read_state
from ledger.state import Reader

DAY_MS: Final = 86_400_000
MAX_SIGNAL_MS: Final = 2 * 366 * DAY_MS
"""The longest life of a signal: a suspicion that nobody renewed in two years is none."""
ANSWER_MS: Final = 30 * DAY_MS
"""After an appeal the signal counts for so long at most. Who stands by it gives a new one, at the level it has then."""


class RiskSignalState(State, frozen=True):
    """`risk-signal/<signal_id>`."""

    FAMILY: ClassVar[str] = "risk-signal"
    author: str
    subject_commit: str
    content_commit: str
    level: str
    appeal_key: str
    delivered: tuple[str, ...]
    status: str
    signalled_ms: int
    expires_ms: int
    appealed_ms: int | None
    reason_commit: str | None

    def counts(self, time_ms: int) -> bool:
        """Whether anybody may weigh the signal at a block time."""
        if self.status == "WITHDRAWN" or time_ms >= self.expires_ms:
            return False
        return self.appealed_ms is None or time_ms < self.appealed_ms + ANSWER_MS


@dataclass(frozen=True, slots=True)
class SignalStep:
    """Where an action leads, whose act it is, and what must hold."""

    to: str
    actor: str
    guard: str = ""


SIGNAL_STEPS: Final[Mapping[tuple[str | None, str], SignalStep]] = {
    (None, "risk.signal"): SignalStep("SIGNALLED", "insurer, TPA or commission", "expires within two years"),
    ("SIGNALLED", "risk.appeal"): SignalStep("APPEALED", "subject", "its token, or the hospital itself; not expired"),
    ("SIGNALLED", "risk.withdraw"): SignalStep("WITHDRAWN", "who signalled"),
    ("APPEALED", "risk.withdraw"): SignalStep("WITHDRAWN", "who signalled"),
}
"""What is not in the table is refused `WRONG_STATE`. A signal that expired keeps its status and counts for nothing."""


def next_signal_status(status: str | None, action: str, identifier: str) -> str:
    """The status after `action`. Raises Refusal `WRONG_STATE`."""
    step = SIGNAL_STEPS.get((status, action))
    if step is None:
        raise Refusal("WRONG_STATE", f"{action} is no step of a signal that is {status or 'new'}", identifier)
    return step.to


def read_signal(read: Reader, signal_id: str) -> RiskSignalState | None:
    """The signal, None if there is none."""
    return read_state(read, RiskSignalState, signal_id)
