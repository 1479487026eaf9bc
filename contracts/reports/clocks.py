"""The clocks of a claim: who owes the next step, since when, until when, and who let it run out (SEED-2-64).

Knows block times and limits. Must not know the node's own clock: `now_ms` is the block time of the head. Must always
hold: a pause is never counted against a party, and a clock that ended is judged by its end, not by when it is read.
The ledger enforces some of these limits itself, by the next transaction; what stands here only tells people in time.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from contracts.genesis import Parameters
from contracts.reports.kpi import FLASH_MS
from contracts.reports.ranks import MEDIAN, TAIL, WHOLE_BP, Share, share_of, value_at
from contracts.reports.stories import ClaimStory

DAY_MS: Final = 86_400_000
INTAKE_MS: Final = DAY_MS
"""First document of a case to its report (seed 3-10); the ledger does both in one block, unless consent came late."""
NOTICE_MS: Final = 3 * DAY_MS
"""Notice of a decision, with its reasons, to the insured (Insurance Act art. 24)."""
MINIMUM_MS: Final = 60 * DAY_MS
"""After this the determinable minimum is due, decided or not (Insurance Act art. 25)."""
WARN_BP: Final = 8_000
"""Share of a limit at which a clock warns, where the node's configuration names no other."""

Stage: TypeAlias = Literal["intake", "endorse", "accept", "co_sign", "decide", "flash", "notify", "settle", "minimum"]
Standing: TypeAlias = Literal["running", "paused", "warned", "breached", "met", "late"]
OPEN: Final[frozenset[Standing]] = frozenset({"running", "paused", "warned", "breached"})
OVER: Final[frozenset[Standing]] = frozenset({"breached", "late"})


class ClockLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """Milliseconds each step may take, the longest that pauses take off a clock, and the share at which one warns."""

    accept_ms: int
    endorse_ms: int
    co_sign_ms: int
    decide_ms: int
    settle_ms: int
    complex_ms: int
    pause_ms: int
    intake_ms: int = INTAKE_MS
    notice_ms: int = NOTICE_MS
    flash_ms: int = FLASH_MS
    minimum_ms: int = MINIMUM_MS
    warn_bp: int = WARN_BP


class Clock(Struct, frozen=True, forbid_unknown_fields=True):
    """One clock of one claim. `party` owes the step. `due_ms` moves on with every pause; `used_bp` is its share.

    running, paused, warned, breached: still open; met, late: ended in time or not.
    """

    claim_id: str
    stage: Stage
    party: str
    started_ms: int
    limit_ms: int
    paused_ms: int
    ended_ms: int | None
    due_ms: int
    used_bp: int
    standing: Standing


class Turnaround(Struct, frozen=True, forbid_unknown_fields=True):
    """How one party did at one stage: ended clocks, their median and 95th percentile, and the share over the limit."""

    party: str
    stage: Stage
    open: int
    ended: int
    median_ms: int | None
    p95_ms: int | None
    over: Share


class _Span(Struct, frozen=True):
    stage: Stage
    party: str
    started_ms: int | None
    ended_ms: int | None
    limit_ms: int
    pausable: bool = False


def limits_of(parameters: Parameters, warn_bp: int = WARN_BP) -> ClockLimits:
    """The limits that a network's parameters name; the others are the law's."""
    return ClockLimits(
        accept_ms=parameters.accept_ms,
        endorse_ms=parameters.endorse_ms,
        co_sign_ms=parameters.co_sign_ms,
        decide_ms=parameters.decide_ms,
        settle_ms=parameters.settle_ms,
        complex_ms=parameters.complex_ms,
        pause_ms=parameters.pause_ms,
        warn_bp=warn_bp,
    )


def build_clocks(story: ClaimStory, limits: ClockLimits, now_ms: int) -> tuple[Clock, ...]:
    """Every clock of a claim that has started and whose times are known, in the order of the stages."""
    return tuple(_clock(story, span, limits, now_ms) for span in _spans(story, limits) if span.started_ms is not None)


def list_due(clocks: Iterable[Clock]) -> list[Clock]:
    """Open clocks that warn or have run out, the earliest due first."""
    found = [clock for clock in clocks if clock.standing in ("warned", "breached")]
    return sorted(found, key=lambda clock: (clock.due_ms, clock.claim_id, clock.stage))


def build_turnaround(clocks: Iterable[Clock]) -> tuple[Turnaround, ...]:
    """One row for each party and stage, in that order."""
    rows: dict[tuple[str, Stage], list[Clock]] = {}
    for clock in clocks:
        rows.setdefault((clock.party, clock.stage), []).append(clock)
    return tuple(_turnaround(*key, rows[key]) for key in sorted(rows))


def _turnaround(party: str, stage: Stage, clocks: list[Clock]) -> Turnaround:
    times = [clock.ended_ms - clock.started_ms - clock.paused_ms for clock in clocks if clock.ended_ms is not None]
    over = sum(clock.standing in OVER for clock in clocks)
    return Turnaround(
        party=party,
        stage=stage,
        open=len(clocks) - len(times),
        ended=len(times),
        median_ms=value_at(MEDIAN, times),
        p95_ms=value_at(TAIL, times),
        over=share_of(over, len(clocks)),
    )


def _spans(story: ClaimStory, limits: ClockLimits) -> Iterator[_Span]:
    hospital = story.hospitals[0] if story.hospitals else ""
    ready, decided = story.at("EVIDENCE_COMPLETE"), story.at("DECIDED")
    closed = story.at("CLOSED") or story.at("WITHDRAWN")
    yield _Span("intake", hospital, story.published_ms, story.reported_ms, limits.intake_ms)
    if story.endorsed_by is not None:
        yield _Span("endorse", story.endorsed_by, story.at("PUBLISHED"), ready, limits.endorse_ms)
    yield _Span("accept", story.insurer, story.reported_ms, story.at("FILED") or closed, limits.accept_ms)
    yield _Span("co_sign", story.insurer, story.proposed_ms, decided or closed, limits.co_sign_ms)
    decide_ms = limits.complex_ms if story.is_complex else limits.decide_ms
    yield _Span("decide", story.insurer, ready, decided or closed, decide_ms, pausable=True)
    if story.lane == "flash":
        yield _Span("flash", story.insurer, ready, decided or closed, limits.flash_ms, pausable=True)
    if story.decision is not None:
        yield _Span("notify", story.insurer, decided, story.notified_ms, limits.notice_ms)
    for payout in story.payouts:
        if payout.status != "NOT_DUE":
            yield _Span("settle", story.insurer, payout.authorised_ms, payout.settled_ms, limits.settle_ms)
    yield _Span("minimum", story.insurer, ready, decided or closed, limits.minimum_ms)


def _clock(story: ClaimStory, span: _Span, limits: ClockLimits, now_ms: int) -> Clock:
    started = span.started_ms or 0
    paused_since = story.paused_since_ms if span.pausable and span.ended_ms is None else None
    paused = story.paused_ms if span.pausable else 0
    if paused_since is not None:
        paused += max(0, now_ms - paused_since)
    paused = min(paused, limits.pause_ms)
    end = now_ms if span.ended_ms is None else span.ended_ms
    elapsed = max(0, end - started - paused)
    used_bp = elapsed * WHOLE_BP // span.limit_ms if span.limit_ms else 0
    return Clock(
        claim_id=story.claim_id,
        stage=span.stage,
        party=span.party,
        started_ms=started,
        limit_ms=span.limit_ms,
        paused_ms=paused,
        ended_ms=span.ended_ms,
        due_ms=started + span.limit_ms + paused,
        used_bp=used_bp,
        standing=_standing(span, elapsed, used_bp, limits.warn_bp, paused_since is not None),
    )


def _standing(span: _Span, elapsed_ms: int, used_bp: int, warn_bp: int, is_paused: bool) -> Standing:
    over = elapsed_ms > span.limit_ms
    if span.ended_ms is not None:
        return "late" if over else "met"
    if over:
        return "breached"
    if is_paused:
        return "paused"
    return "warned" if used_bp >= warn_bp else "running"
