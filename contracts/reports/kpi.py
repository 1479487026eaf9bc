"""The key figures of a set of claims: counts, rates, amounts, times in each stage (SEED-2-103).

Knows ClaimStory. Must not know a node, a vault or who asks: what a story does not say is not counted. Must always hold:
every rate names what it is a share of, every time is one that occurred, and adding a claim changes no other's figures.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from contracts.reports.ranks import MEDIAN, TAIL, Share, share_of, value_at
from contracts.reports.stories import ClaimStory, Lane

FLASH_MS: Final = 30 * 60_000
"""The promise of the flash lane: money authorised within 30 minutes of complete evidence (seed 0)."""
PAID: Final = frozenset({"PAID", "PAID_UNCONTESTED"})
NOTHING_DUE: Final = frozenset({"NOT_DUE", "RESTORED"})
LEGS: Final = (
    ("REPORTED", "FILED"),
    ("FILED", "EVIDENCE_COMPLETE"),
    ("EVIDENCE_COMPLETE", "DECIDED"),
    ("DECIDED", "SETTLED"),
    ("SETTLED", "PAID"),
    ("DECIDED", "CLOSED"),
    ("REPORTED", "PAID"),
)
"""Ways through a claim's life whose time is told; the last is filing to payment."""


class Selection(Struct, frozen=True, forbid_unknown_fields=True):
    """Which claims: reported in [from_ms, until_ms), of a lane, a hospital, an insurer. None: all."""

    from_ms: int | None = None
    until_ms: int | None = None
    lane: Lane | None = None
    hospital: str | None = None
    insurer: str | None = None

    def includes_time(self, reported_ms: int) -> bool:
        """Whether a claim of this report time is meant."""
        return (self.from_ms or 0) <= reported_ms and (self.until_ms is None or reported_ms < self.until_ms)

    def includes(self, story: ClaimStory) -> bool:
        """Whether this claim is meant."""
        return (
            self.includes_time(story.reported_ms)
            and self.lane in (None, story.lane)
            and (self.hospital is None or self.hospital in story.hospitals)
            and self.insurer in (None, story.insurer)
        )


class NameCount(Struct, frozen=True, forbid_unknown_fields=True):
    """How many claims bear a name: a status, a decision, a reason."""

    name: str
    claims: int


class LegTime(Struct, frozen=True, forbid_unknown_fields=True):
    """Milliseconds between two stages over the claims that came to both; pauses are included."""

    begin: str
    end: str
    claims: int
    fastest_ms: int
    median_ms: int
    p95_ms: int


class Amount(Struct, frozen=True, forbid_unknown_fields=True):
    """Sums in minor units of one currency, over the claims whose amounts the viewer knows."""

    currency: str
    claims: int
    claimed_fen: int
    payable_fen: int
    paid_fen: int


class Kpi(Struct, frozen=True, forbid_unknown_fields=True):
    """Key figures. `explained` is how many decided claims the viewer knows from the inside: what decisions, lanes,
    reasons and amounts are shares of. `advances_outstanding_fen` is absent: stories hold no advances yet."""

    claims: int
    decided: int
    closed: int
    explained: int
    statuses: tuple[NameCount, ...]
    straight_through: Share
    reviewed: Share
    declined: Share
    overturned: Share
    disputed: Share
    escalated: Share
    complete_at_first: Share
    within_30_minutes: Share
    decisions: tuple[NameCount, ...]
    reasons: tuple[NameCount, ...]
    declined_for: tuple[NameCount, ...]
    review_reasons: tuple[NameCount, ...]
    human_steps: int
    amounts: tuple[Amount, ...]
    times: tuple[LegTime, ...]
    advances_outstanding_fen: int | None = None


def build_kpi(stories: Iterable[ClaimStory], selection: Selection | None = None) -> Kpi:
    """The figures of the selected claims."""
    chosen = [story for story in stories if selection is None or selection.includes(story)]
    decided = [story for story in chosen if story.is_decided]
    known = [story for story in decided if story.decision is not None]
    told = [story for story in decided if story.lane != "unknown"]
    ready = [story for story in chosen if story.at("EVIDENCE_COMPLETE") is not None]
    declined = [story for story in known if story.decision == "declined"]
    return Kpi(
        claims=len(chosen),
        decided=len(decided),
        closed=sum(story.at("CLOSED") is not None for story in chosen),
        explained=len(known),
        statuses=_count([story.status] for story in chosen),
        straight_through=_share(told, [story.lane == "flash" and not story.human_steps for story in told]),
        reviewed=_share(told, [story.lane == "review" for story in told]),
        declined=share_of(len(declined), len(known)),
        overturned=_share(decided, [story.is_overturned for story in decided]),
        disputed=_share(decided, [story.disputed for story in decided]),
        escalated=_share(chosen, [story.escalated for story in chosen]),
        complete_at_first=_share(ready, [story.returned == 0 for story in ready]),
        within_30_minutes=_share(decided, [_is_flash(story) for story in decided]),
        decisions=_count([str(story.decision)] for story in known),
        reasons=_count(story.reasons for story in known),
        declined_for=_count(story.reasons for story in declined),
        review_reasons=_count(story.review_reasons for story in chosen),
        human_steps=sum(story.human_steps or 0 for story in chosen),
        amounts=_amounts(known),
        times=_times(chosen),
    )


def _share(of: Sequence[ClaimStory], holds: Sequence[bool]) -> Share:
    return share_of(sum(holds), len(of))


def _is_flash(story: ClaimStory) -> bool:
    ready, decided = story.at("EVIDENCE_COMPLETE"), story.at("DECIDED")
    return ready is not None and decided is not None and decided - ready <= FLASH_MS


def _count(names: Iterable[Iterable[str]]) -> tuple[NameCount, ...]:
    """Claims by name, most first; one claim counts once for each of its names."""
    counted = Counter(name for of_claim in names for name in set(of_claim))
    return tuple(
        NameCount(name, count) for name, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    )


def _amounts(known: Iterable[ClaimStory]) -> tuple[Amount, ...]:
    rows: dict[str, list[ClaimStory]] = {}
    for story in known:
        if story.payable_fen is not None:
            rows.setdefault(story.currency, []).append(story)
    return tuple(
        Amount(
            currency=currency,
            claims=len(of_currency),
            claimed_fen=sum(story.claimed_fen or 0 for story in of_currency),
            payable_fen=sum(story.payable_fen or 0 for story in of_currency),
            paid_fen=sum(story.payable_fen or 0 for story in of_currency if _is_paid(story)),
        )
        for currency, of_currency in sorted(rows.items())
    )


def _is_paid(story: ClaimStory) -> bool:
    """Whether nothing of a claim is left to pay, and something was."""
    statuses = {payout.status for payout in story.payouts}
    return bool(statuses & PAID) and statuses <= PAID | NOTHING_DUE


def _times(chosen: Sequence[ClaimStory]) -> tuple[LegTime, ...]:
    rows = []
    for begin, end in LEGS:
        spans = [span for story in chosen if (span := _span(story, begin, end)) is not None]
        median, tail = value_at(MEDIAN, spans), value_at(TAIL, spans)
        if median is not None and tail is not None:
            rows.append(LegTime(begin, end, len(spans), min(spans), median, tail))
    return tuple(rows)


def _span(story: ClaimStory, begin: str, end: str) -> int | None:
    first, last = story.at(begin), story.at(end)
    return None if first is None or last is None or last < first else last - first
