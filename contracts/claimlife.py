"""What a claim remembers beside its straight way: its clock, pauses, reviews, escalations, disputes, audits.

A claim that was never paused, reviewed or disputed has none of it, and its bytes are those of a plain claim. The
decision clock is block time from `ready_ms` on, less what was paused; whole milliseconds. Must always hold: the clock
is paused exactly while its status says so, it never runs backwards, and pauses beyond the network's longest count
nothing: nobody strands a claim by pausing it.
"""

from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

MAX_ATTEMPTS = 9
"""Decisions of one claim: verdicts, rulings and what follows reopenings. Then it takes a court."""
MAX_AUDITS = 8
"""Audits kept of one claim; the lottery draws an attempt once."""


class _Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Suspension(_Part, frozen=True):
    """The status that was interrupted, and why (a commitment)."""

    status: str
    reason_commit: str
    pauses_clock: bool


class Escalation(_Part, frozen=True):
    """Which deadline was over, who said so (a participant, or `customer`), and when."""

    deadline: str
    by: str
    time_ms: int


class Audit(_Part, frozen=True):
    """What an auditor that ran the attempt again found."""

    auditor: str
    attempt: int
    code: str
    result_commit: str


class ClaimLife(_Part, frozen=True):
    """`paused_since` while the clock is paused. Commitments are opened by people, never on the ledger."""

    paused_ms: int = 0
    paused_since: int | None = None
    request_commit: str | None = None
    suspension: Suspension | None = None
    is_complex: bool = False
    preparer_commit: str | None = None
    reviewer_commit: str | None = None
    reason_commit: str | None = None
    investigation_pauses: bool = False
    escalations: tuple[Escalation, ...] = ()
    complaint_commit: str | None = None
    disclosure_commit: str | None = None
    ruled_attempt: int = 0
    audits: tuple[Audit, ...] = ()


PLAIN = ClaimLife()
Life: TypeAlias = ClaimLife


def is_paused(status: str, life: ClaimLife) -> bool:
    """Whether the clock of a claim with this status stands still."""
    match status:
        case "EVIDENCE_PENDING":
            return True
        case "INVESTIGATION":
            return life.investigation_pauses
        case "SUSPENDED":
            assert life.suspension is not None, "what is suspended remembers"
            return life.suspension.pauses_clock or is_paused(life.suspension.status, life)
    return False


def fold_clock(life: ClaimLife, status: str, ready_ms: int | None, time_ms: int) -> ClaimLife:
    """`life` with its pause begun, ended or left, as `status` asks. Before `ready_ms` there is no clock to pause."""
    pause = ready_ms is not None and is_paused(status, life)
    if pause and life.paused_since is None:
        return replace(life, paused_since=time_ms)
    if not pause and life.paused_since is not None:
        return replace(life, paused_ms=life.paused_ms + time_ms - life.paused_since, paused_since=None)
    return life


def paused_ms(life: ClaimLife, time_ms: int, longest: int) -> int:
    """Milliseconds that do not count, up to `time_ms` and at most `longest`."""
    open_ms = 0 if life.paused_since is None else time_ms - life.paused_since
    return min(longest, life.paused_ms + open_ms)


def elapsed_ms(life: ClaimLife, ready_ms: int | None, time_ms: int, longest: int) -> int:
    """Milliseconds that count against whoever decides; 0 before the clock started."""
    return 0 if ready_ms is None else time_ms - ready_ms - paused_ms(life, time_ms, longest)
