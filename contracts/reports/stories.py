"""One claim as a report sees it: its stages with block times, and what its viewer may know of the rest.

Knows shapes. Must not know where they come from: the node builds them from final state and from its own vault. Must
always hold: times are block times in milliseconds, amounts are integer minor units, and what the viewer does not
know is None or empty, never a guess.
"""

from typing import Literal, TypeAlias

from msgspec import Struct

from contracts.claims import FIRST_ATTEMPT

Lane: TypeAlias = Literal["flash", "review", "unknown"]
"""`flash`: no person had to look (seed 0); `review`: one had; `unknown`: the viewer is not told."""
Decision: TypeAlias = Literal["approved", "partial", "zero_pay", "declined"]


class Moment(Struct, frozen=True, forbid_unknown_fields=True):
    """The claim came to a stage at a block time."""

    stage: str
    time_ms: int


class PayoutStory(Struct, frozen=True, forbid_unknown_fields=True):
    """One payout. `settled_ms`, `paid_ms`: block times, None while it did not happen or where they are not known."""

    status: str
    authorised_ms: int
    settled_ms: int | None = None
    paid_ms: int | None = None


class ClaimStory(Struct, frozen=True, forbid_unknown_fields=True):
    """One claim of one insurer. `moments` ascend and begin with REPORTED; `attempt` counts adjudications.

    `human_steps`, `decision`, amounts, `currency` and reasons are None or empty where the viewer's own vault does not
    say. `returned` counts records that a commission rejected or that were replaced.
    """

    claim_id: str
    case_id: str
    insurer: str
    hospitals: tuple[str, ...]
    status: str
    attempt: int
    moments: tuple[Moment, ...]
    lane: Lane = "unknown"
    paused_ms: int = 0
    paused_since_ms: int | None = None
    published_ms: int | None = None
    endorsed_by: str | None = None
    payouts: tuple[PayoutStory, ...] = ()
    proposed_ms: int | None = None
    notified_ms: int | None = None
    human_steps: int | None = None
    decision: Decision | None = None
    claimed_fen: int | None = None
    payable_fen: int | None = None
    currency: str = ""
    reasons: tuple[str, ...] = ()
    review_reasons: tuple[str, ...] = ()
    returned: int = 0
    is_complex: bool = False
    disputed: bool = False
    escalated: bool = False

    def at(self, stage: str) -> int | None:
        """When the claim first came to a stage; None if it did not, or it is not known."""
        return next((moment.time_ms for moment in self.moments if moment.stage == stage), None)

    @property
    def reported_ms(self) -> int:
        """When the ledger reported it."""
        return self.moments[0].time_ms

    @property
    def is_decided(self) -> bool:
        """Whether it was ever decided."""
        return self.at("DECIDED") is not None

    @property
    def is_overturned(self) -> bool:
        """Whether its first decision did not stand: it was decided again, or what it paid was taken back."""
        restored = any(payout.status == "RESTORED" for payout in self.payouts)
        return self.is_decided and (self.attempt > FIRST_ATTEMPT or restored)
