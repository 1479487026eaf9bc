"""Which version of a claim contract decides a claim: the pins of a claim, and the choice among them.

Knows dates as text. Must not know state or how a version came about. Must always hold: the choice depends on the pins
and the date of the event alone, so that everybody who has both chooses the same version, then and in ten years.
"""

from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType


class PinnedVersion(Struct, frozen=True, forbid_unknown_fields=True):
    """One release of a line, as it stood when a claim was reported.

    In force in [from_date, until_date) of the network's calendar (None: no end). `withdrawn`: taken out of force before
    the report.
    """

    product_hash: str
    contract_hash: str
    tables_hash: str
    from_date: str
    until_date: str | None
    withdrawn: bool

    def is_in_force(self, date: str) -> bool:
        """Whether the version was in force on this date (YYYY-MM-DD)."""
        return self.from_date <= date and (self.until_date is None or date < self.until_date)


class ClaimPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """One policy of a claim and what may decide it, fixed when it was reported: programs (by hash), and `versions`,
    exactly those, where the policy commits to a release of the ledger."""

    policy_id: str
    account_id: str
    pinned: tuple[str, ...]
    versions: tuple[PinnedVersion, ...] | UnsetType = UNSET


def choose_version(pinned: Sequence[PinnedVersion], event_date: str) -> PinnedVersion:
    """The pinned version that decides an event of this date; `pinned` ascend by date and are not empty.

    The one in force on that day; of an event before all of them the earliest; in a gap that a withdrawal left the
    latest before it that was not withdrawn, or else the latest before it.
    """
    begun = [item for item in pinned if item.from_date <= event_date]
    if not begun:
        return pinned[0]
    in_force = [item for item in begun if item.is_in_force(event_date)]
    sound = [item for item in begun if not item.withdrawn]
    return (in_force or sound or begun)[-1]
