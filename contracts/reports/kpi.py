"""The key figures of a set of claims: counts, rates, amounts, times in each stage (SEED-2-103).

Knows ClaimLife. Must not know a node, a vault or who asks: what a life does not say is not counted. Must always hold:
every rate names what it is a share of, every time is one that occurred, and adding a claim changes no other's figures.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from contracts.reports.lives import ClaimLife, Lane
from contracts.reports.ranks import MEDIAN, TAIL, Share, share_of, value_at

FLASH_MS: Final = 30 * 60_000
"""The promise of the flash lane: money authorised within 30 minutes of complete evidence (seed 0)."""
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

    def includes(self, life: ClaimLife) -> bool:
        """Whether this claim is meant."""
        return (
            self.includes_time(life.reported_ms)
            and self.lane in (None, life.lane)
            and (self.hospital is None or self.hospital in life.hospitals)
            and self.insurer in (None, life.insurer)
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
    reasons and amounts are shares of. `advances_outstanding_fen` stays 0 while no advance can be paid."""

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
    advances_outstanding_fen: int = 0


def build_kpi(lives: Iterable[ClaimLife], selection: Selection | None = None) -> Kpi:
    """The figures of the selected claims."""
    chosen = [life for life in lives if selection is None or selection.includes(life)]
    decided = [life for life in chosen if life.is_decided]
    known = [life for life in decided if life.decision is not None]
    told = [life for life in decided if life.lane != "unknown"]
    ready = [life for life in chosen if life.at("EVIDENCE_COMPLETE") is not None]
    declined = [life for life in known if life.decision == "declined"]
    return Kpi(
        claims=len(chosen),
        decided=len(decided),
        closed=sum(life.at("CLOSED") is not None for life in chosen),
        explained=len(known),
        statuses=_count([life.status] for life in chosen),
        straight_through=_share(told, [life.lane == "flash" and not life.human_steps for life in told]),
        reviewed=_share(told, [life.lane == "review" for life in told]),
        declined=share_of(len(declined), len(known)),
        overturned=_share(decided, [life.is_overturned for life in decided]),
        disputed=_share(decided, [life.disputed for life in decided]),
        escalated=_share(chosen, [life.escalated for life in chosen]),
        complete_at_first=_share(ready, [life.returned == 0 for life in ready]),
        within_30_minutes=_share(decided, [_is_flash(life) for life in decided]),
        decisions=_count([str(life.decision)] for life in known),
        reasons=_count(life.reasons for life in known),
        declined_for=_count(life.reasons for life in declined),
        review_reasons=_count(life.review_reasons for life in chosen),
        human_steps=sum(life.human_steps or 0 for life in chosen),
        amounts=_amounts(known),
        times=_times(chosen),
    )


def _share(of: Sequence[ClaimLife], holds: Sequence[bool]) -> Share:
    return share_of(sum(holds), len(of))


def _is_flash(life: ClaimLife) -> bool:
    ready, decided = life.at("EVIDENCE_COMPLETE"), life.at("DECIDED")
    return ready is not None and decided is not None and decided - ready <= FLASH_MS


def _count(names: Iterable[Iterable[str]]) -> tuple[NameCount, ...]:
    """Claims by name, most first; one claim counts once for each of its names."""
    counted = Counter(name for of_claim in names for name in set(of_claim))
    return tuple(
        NameCount(name, count) for name, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    )


def _amounts(known: Iterable[ClaimLife]) -> tuple[Amount, ...]:
    rows: dict[str, list[ClaimLife]] = {}
    for life in known:
        if life.payable_fen is not None:
            rows.setdefault(life.currency, []).append(life)
    return tuple(
        Amount(
            currency=currency,
            claims=len(of_currency),
            claimed_fen=sum(life.claimed_fen or 0 for life in of_currency),
            payable_fen=sum(life.payable_fen or 0 for life in of_currency),
            paid_fen=sum(life.payable_fen or 0 for life in of_currency if _is_paid(life)),
        )
        for currency, of_currency in sorted(rows.items())
    )


def _is_paid(life: ClaimLife) -> bool:
    """Whether nothing of a claim is left to pay: every payout reached the payee or was not due."""
    done = ("PAID", "PAID_UNCONTESTED", "NOT_DUE")
    return bool(life.payouts) and all(payout.status in done for payout in life.payouts)


def _times(chosen: Sequence[ClaimLife]) -> tuple[LegTime, ...]:
    rows = []
    for begin, end in LEGS:
        spans = [span for life in chosen if (span := _span(life, begin, end)) is not None]
        median, tail = value_at(MEDIAN, spans), value_at(TAIL, spans)
        if median is not None and tail is not None:
            rows.append(LegTime(begin, end, len(spans), min(spans), median, tail))
    return tuple(rows)


def _span(life: ClaimLife, begin: str, end: str) -> int | None:
    first, last = life.at(begin), life.at(end)
    return None if first is None or last is None or last < first else last - first
