"""Everything the core can ask of its host: the closed list of effects that `Core.step` returns.

The host performs the effects of one step one after the other in the order given and finishes each before the
next; it finishes all of them before it gives the next input. MUST marks what safety rests on.
"""

from dataclasses import dataclass
from typing import TypeAlias

from consensus.journal import Record
from consensus.types import Position, Ref
from ledger.certificates import Certificate, Vote


@dataclass(frozen=True, slots=True)
class Persist:
    """Append the records to the journal as one frame and make them durable with one fsync; then write `guard`, if
    given, to the guard file (atomic replace; it needs no fsync). MUST be done before any later effect. A failing
    fsync is fatal: exit, never retry."""

    records: tuple[Record, ...]
    guard: Position | None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Replace the journal by a new one with exactly these records: write aside, fsync, rename, fsync the
    folder. MUST be atomic. Comes only after everything that is left out was delivered."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """Send to one peer, or to all connected peers when `to` is None. May be lost, never altered. Peers that cannot
    keep up are dropped, not waited for. Never sent to oneself."""

    to: str | None
    data: bytes


@dataclass(frozen=True, slots=True)
class Serve:
    """A peer wants the bytes of a block that is below the core's memory. If the store has them, send the peer
    `messages.encode_payload(digest, payload)`; otherwise do nothing."""

    to: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class ServeClosing:
    """A peer is still in `epoch`, which is closed (R12). If the store has the closing finalization of that epoch, send
    the peer `messages.encode_message(Certified(it))`; otherwise do nothing."""

    to: str
    epoch: int


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Give `TimerFired` at `at`. Replaces the earlier timer. `at` may be in the past: then at once."""

    at: int


@dataclass(frozen=True, slots=True)
class AwaitTransactions:
    """Answer `PayloadExpected(view)` once, as soon as an admitted transaction is known that is not in the ancestry
    of `parent` (at once if there is one) and that was passed on to `leader`. Replaces any earlier request."""

    view: int
    parent: Ref
    leader: str


@dataclass(frozen=True, slots=True)
class RequestBuild:
    """Build and execute a block on `parent`; it may be empty. Answer `Built` or `BuildFailed`."""

    view: int
    parent: Ref


@dataclass(frozen=True, slots=True)
class RequestVerify:
    """Execute the block on `parent` (verified before, or final) and answer `Verified`. When `notarized` the
    A5 test of the block time against this node's clock MUST be left out: a quorum has spoken."""

    view: int
    digest: bytes
    payload: bytes
    parent: Ref
    notarized: bool


@dataclass(frozen=True, slots=True)
class Block:
    """One delivered block."""

    ref: Ref
    payload: bytes


@dataclass(frozen=True, slots=True)
class Deliver:
    """The blocks are final, oldest first; the first one's parent is the last delivered block, each was verified.
    Make block, its `ref`, the certificate and the application's state durable in one transaction each (or one for all);
    `certificate` is the finalization of the last one, or of a tail block above it, and covers all."""

    blocks: tuple[Block, ...]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Behind:
    """This block is final and its ancestors are not here. Fetch the blocks from the last delivered one up to it
    from peers' stores, check them against this certificate before executing, make them durable with it, then answer
    `CaughtUp`. Until then there is no `Deliver` and no other `Behind`."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class EpochClosed:
    """The block `boundary` is final and the last of its epoch (R12). When everything delivered is durable, answer
    `NextEpoch`; answers to requests made before this effect must not be given any more."""

    boundary: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two statements, both correctly signed by validator `signer`, that no honest validator signs together.
    Self-contained: keep it and raise it with the members."""

    signer: str
    first: Vote
    second: Vote


@dataclass(frozen=True, slots=True)
class Blame:
    """A peer sent what no correct node sends (`code` is stable). Lower its score, disconnect at will."""

    peer: str
    code: str


@dataclass(frozen=True, slots=True)
class Halt:
    """The core stopped for ever: it signs nothing more and answers every input with no effect. Page the operator with
    `code`, `detail` and the certificates. Restarting without a person's decision halts again."""

    code: str
    detail: str
    certificates: tuple[Certificate, ...] = ()


Effect: TypeAlias = (
    Persist
    | Rewrite
    | Send
    | Serve
    | ServeClosing
    | SetTimer
    | AwaitTransactions
    | RequestBuild
    | RequestVerify
    | Deliver
    | Behind
    | EpochClosed
    | Evidence
    | Blame
    | Halt
)
