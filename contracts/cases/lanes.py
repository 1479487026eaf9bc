"""What a policy's terms allow beside the plain way: advances, guarantees, the flash lane, and where it pays directly.

    lanes   {advance: {ratio_bp, limit_fen, forecast_keys}, guarantee: {ratio_bp, limit_fen, days},
             flash: {limit_fen, minutes}, hospitals}

A lane that the terms do not name is closed. Terms are committed to and in the insured's certificate; a product's tables
are hashed with its program, so a setting there would make another product. Pure; must not know the ledger.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from contracts.cases.errors import CaseError
from ledger.encoding import convert
from ledger.errors import DecodeError
from ledger.types import Count, Hex32, OrgId

MAX_HOSPITALS: Final = 2_000
"""Designated hospitals of one policy: a province has about so many."""
MAX_KEYS: Final = 8
FLASH_MINUTES: Final = 30
Ratio = Annotated[int, Meta(ge=1, le=10_000)]


class _Part(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class AdvanceLane(_Part, frozen=True):
    """`ratio_bp` of what the interim charges would pay; at most `limit_fen` for all advances of a claim.

    With `forecast_keys` (Ed25519) a forecast that one of them signed can lower it, never raise it.
    """

    ratio_bp: Ratio
    limit_fen: Count | None = None
    forecast_keys: Annotated[tuple[Hex32, ...], Meta(max_length=MAX_KEYS)] = ()


class GuaranteeLane(_Part, frozen=True):
    """`ratio_bp` of the expenses that would be paid; the letter is valid for `days`."""

    ratio_bp: Ratio = 10_000
    limit_fen: Count | None = None
    days: Annotated[int, Meta(ge=1, le=366)] = 90


class FlashLane(_Part, frozen=True):
    """Claims of at most `limit_fen` that nobody has to look at: from complete evidence to the order in `minutes`."""

    limit_fen: Count
    minutes: Annotated[int, Meta(ge=1, le=1_440)] = FLASH_MINUTES


class Lanes(_Part, frozen=True):
    """`hospitals`: the designated ones (participants); null is every hospital."""

    advance: AdvanceLane | None = None
    guarantee: GuaranteeLane | None = None
    flash: FlashLane | None = None
    hospitals: Annotated[tuple[OrgId, ...], Meta(max_length=MAX_HOSPITALS)] | None = None

    def designates(self, hospital: str) -> bool:
        """Whether the policy names this hospital, or names none."""
        return self.hospitals is None or hospital in self.hospitals


def flash_faults(
    lanes: Lanes, *, claimed_fen: int, review_reasons: Collection[str], is_complete: bool, grade: str, hospital: str
) -> list[str]:
    """Why a claim cannot go the flash lane, sorted; empty if it can (grade: `low`, `medium`, `high`).

    `HOSPITAL_NOT_DESIGNATED` closes lanes and declines nothing: what a policy covers where is the product's to say.
    """
    faults = {
        "LANE_CLOSED": lanes.flash is None,
        "FLASH_LIMIT": lanes.flash is not None and claimed_fen > lanes.flash.limit_fen,
        "REVIEW_REASON": bool(review_reasons),
        "EVIDENCE": not is_complete,
        "RISK_GRADE": grade.lower() != "low",
        "HOSPITAL_NOT_DESIGNATED": not lanes.designates(hospital),
    }
    return sorted(code for code, holds in faults.items() if holds)


def flash_until_ms(lanes: Lanes, ready_ms: int) -> int | None:
    """When a flash claim's payment is to be ordered at the latest: block time of complete evidence, and the lane's
    minutes. None without that lane."""
    return None if lanes.flash is None else ready_ms + lanes.flash.minutes * 60_000


def read_lanes(terms: Mapping[str, Any]) -> Lanes:
    """The lanes of a policy's terms; none are open where they say nothing. Raises CaseError `LANES_FORM`."""
    try:
        return convert(terms.get("lanes") or {}, Lanes)
    except (AttributeError, DecodeError, TypeError):
        raise CaseError("LANES_FORM", "lanes of the terms are not in the form of this version") from None
