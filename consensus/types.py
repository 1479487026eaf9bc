"""The nouns of ordering: views, block references, timing, positions, and the two ports a host plugs in.

Views, times and digests are distinct on purpose. Views count from 1 in each epoch; view 0 is the root, the
block (or genesis) that the epoch builds on, and counts as final. Arithmetic on views is plain integer
arithmetic and never wraps. Times are integer milliseconds of one monotonic clock of the host; the core
compares and adds them and knows no calendar. Nothing here may know what a digest names.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ledger.certificates import SIGNATURES, Certificate, Kind, Scheme, ValidatorSet

ROOT_VIEW = 0
"""The view of the root reference: final by definition, never voted on."""


class ConsensusError(Exception):
    """We misused the core or the host gave it impossible input. `code` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Ref:
    """A block as ordering knows it: the view it was proposed in and its opaque 32-byte digest."""

    view: int
    digest: bytes


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far a key has signed: epoch, view, and the step inside the view (1 notarize, 2 nullify or finalize)."""

    epoch: int
    view: int
    step: int


class Verdict(Enum):
    """The application's answer about one block. Only `LATER` depends on the clock of this node."""

    VALID = "valid"
    INVALID = "invalid"
    """Permanently wrong: malformed, breaks a rule, or its roots are not what this node computes."""
    LATER = "later"
    """Well-formed but its block time is too far ahead (A5); ask again at the time given."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in milliseconds; all are local and none can hurt safety.

    `base` is D in the rules: a proposal is awaited 2 D, a notarization 3 D; each armed view that ends nullified
    makes D half as long again, up to `cap`, until something is finalized.
    """

    base: int = 500
    cap: int = 8_000
    heartbeat: int = 30_000
    """An idle ledger makes one block in this time."""
    settle: int = 2_000
    """A notarized block that nobody finalized is built upon after this time even if the ledger is idle."""
    retry: int = 1_000
    """R8: repetition of a nullify vote while the view does not end."""
    standstill: int = 2_000
    """R9: without a new finalization for this long, everything above the last one is sent again."""
    fetch_grace: int = 100
    """R10: what others already know of is usually on its way; only then it is asked for."""
    fetch_retry: int = 300
    """R10: after this the next peer is asked."""
    behind: int = 2_000
    """A gap that single fetches have not closed after this long is handed to the host's block sync."""

    def __post_init__(self) -> None:
        if not 0 < self.base <= self.cap:
            raise ConsensusError("timing", f"need 0 < base <= cap, got base {self.base}, cap {self.cap}")
        rest = (self.heartbeat, self.settle, self.retry, self.standstill, self.fetch_grace, self.fetch_retry)
        if min(*rest, self.behind) <= 0:
            raise ConsensusError("timing", "every duration is a positive number of milliseconds")


class Signer(Protocol):
    """Holder of this validator's keys. Deterministic: the same kind and message give the same signature."""

    def sign_vote(self, kind: Kind, message: bytes) -> bytes:
        """Ed25519 over `message` for notarize and nullify (64 bytes), BLS for finalize (96 bytes)."""
        ...


class PayloadRule(Protocol):
    """How the application names its blocks."""

    def is_payload(self, digest: bytes, payload: bytes) -> bool:
        """Whether these are exactly the bytes that `digest` commits to. Pure; false for any malformed bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Config:
    """What is fixed while one epoch is ordered. `me` is None for an observer: it follows and never signs."""

    chain: bytes
    validators: ValidatorSet
    me: int | None
    root: bytes
    """Digest that view 0 stands for: the genesis hash in epoch 1, the boundary block's digest afterwards."""
    leader_seed: bytes
    payloads: PayloadRule
    signer: Signer | None = None
    scheme: Scheme = SIGNATURES
    timing: Timing = Timing()
    max_payload: int = 8 * 2**20
    """Bytes of one block; a longer payload is refused before it is hashed."""

    def __post_init__(self) -> None:
        if len(self.chain) != 32 or len(self.root) != 32:
            raise ConsensusError("config", "chain and root are 32-byte hashes")
        if self.me is not None and not 0 <= self.me < len(self.validators):
            raise ConsensusError("config", f"validator {self.me} of {len(self.validators)} does not exist")
        if (self.me is None) != (self.signer is None):
            raise ConsensusError("config", "a validator has a signer, an observer has none")

    @property
    def epoch(self) -> int:
        return self.validators.epoch


@dataclass(frozen=True, slots=True)
class Status:
    """Where a core stands, for readiness, metrics and people. Nothing may be decided by it."""

    epoch: int
    view: int
    leader: str
    final_view: int
    delivered_view: int
    may_vote: bool
    halted: bool
    syncing: bool
    patience: int
    """D of the current view in milliseconds: above `Timing.base` when views were given up lately."""
    silent: tuple[str, ...]
    """Validators whose turns are skipped because they are not heard (A4)."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The application's last durable block: where delivery resumes. `certificate` is the finalization that
    covered it (its own or a descendant's); None only at the root."""

    ref: Ref
    certificate: Certificate | None
