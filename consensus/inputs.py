"""Everything that can happen to the core: the closed list of inputs of `Core.step`.

Each carries `now`, integer milliseconds of the host's monotonic clock, never smaller than before (a
smaller one is treated as the largest seen). An input that answers an effect names the view and digest it is
about, so that a late answer is recognised and ignored. The host may give inputs in any order and repeat them.
"""

from dataclasses import dataclass
from typing import TypeAlias

from consensus.journal import Record
from consensus.types import Config, Floor, Position, Verdict
from ledger.certificates import Certificate


@dataclass(frozen=True, slots=True)
class Start:
    """First input, exactly once: what the disk holds.

    `records` is the decoded journal in order, `floor` the last block that the application made durable, `guard` the
    separately stored highest signed position (None when no such file exists), `incarnation` a number that no
    earlier start of this node used (wall clock milliseconds will do); it tells old answers from new ones.
    """

    now: int
    records: tuple[Record, ...]
    floor: Floor
    guard: Position | None
    incarnation: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time of the last `SetTimer` has come. Harmless at any other time."""

    now: int


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes from a peer. `sender` is the participant id that the transport authenticated."""

    now: int
    sender: str
    data: bytes


@dataclass(frozen=True, slots=True)
class PayloadExpected:
    """Answer to `AwaitTransactions(view)`: a block of this view is now expected by the application."""

    now: int
    view: int


@dataclass(frozen=True, slots=True)
class Built:
    """Answer to `RequestBuild`: the block, already executed by the host on the parent named there. `closes`: the set
    of validators changes after it (R12)."""

    now: int
    view: int
    digest: bytes
    payload: bytes
    closes: bool = False


@dataclass(frozen=True, slots=True)
class BuildFailed:
    """Answer to `RequestBuild`: no block can be made on that parent."""

    now: int
    view: int


@dataclass(frozen=True, slots=True)
class Verified:
    """Answer to `RequestVerify`. `retry_at` (same clock as `now`) goes with LATER; `detail` with INVALID: which
    rule or which roots disagree, without personal data; `closes` with VALID: the set of validators changes after
    this block (R12)."""

    now: int
    view: int
    digest: bytes
    verdict: Verdict
    retry_at: int = 0
    detail: str = ""
    closes: bool = False


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Answer to `Behind`: the host made durable every block up to the one that this finalization names (the one asked
    for or a later one). None: it gave up and the store still ends at the last delivered block. `boundary` is the
    digest of the last durable block if that one closes the epoch (R12)."""

    now: int
    certificate: Certificate | None
    boundary: bytes | None = None


@dataclass(frozen=True, slots=True)
class NextEpoch:
    """Answer to `EpochClosed` (R12): the boundary block is durable, and this is what state says of the epoch after it.
    `config.root` is the boundary's digest. `guard` is the guard file's content where this host was an observer."""

    now: int
    config: Config
    guard: Position | None = None


Input: TypeAlias = (
    Start | TimerFired | Message | PayloadExpected | Built | BuildFailed | Verified | CaughtUp | NextEpoch
)
