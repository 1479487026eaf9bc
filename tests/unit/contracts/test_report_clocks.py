"""Clocks of a claim: who owes a step, pauses, warnings, ends, and each party's turnaround."""

from typing import Any

from contracts.genesis import Parameters
from contracts.reports.clocks import DAY_MS, Clock, build_clocks, build_turnaround, limits_of, list_due
from contracts.reports.kpi import FLASH_MS
from contracts.reports.stories import ClaimStory, PayoutStory
from tests.unit.contracts.test_report_figures import decided, story

LIMITS = limits_of(Parameters(), 8_000)
READY = 10_000


def clock(claim: ClaimStory, stage: str, now_ms: int) -> Clock:
    (found,) = [item for item in build_clocks(claim, LIMITS, now_ms) if item.stage == stage]
    return found


def waiting(**changes: Any) -> ClaimStory:
    return story(1, ("FILED", 2_000), ("EVIDENCE_COMPLETE", READY), **changes)


def test_limits_come_from_the_networks_parameters() -> None:
    limits = limits_of(Parameters(accept_ms=5, decide_ms=7))
    assert (limits.accept_ms, limits.decide_ms, limits.notice_ms, limits.minimum_ms) == (5, 7, 3 * DAY_MS, 60 * DAY_MS)


def test_an_open_clock_runs_warns_and_breaches_at_exact_times() -> None:
    limit = LIMITS.decide_ms
    for used, standing in ((0, "running"), (limit * 8 // 10 - 1, "running"), (limit * 8 // 10, "warned")):
        assert clock(waiting(), "decide", READY + used).standing == standing
    assert clock(waiting(), "decide", READY + limit).standing == "warned"
    assert clock(waiting(), "decide", READY + limit + 1).standing == "breached"


def test_an_ended_clock_is_judged_by_its_end() -> None:
    late_ms = LIMITS.decide_ms + 1
    assert clock(decided(1, LIMITS.decide_ms), "decide", 10**12).standing == "met"
    assert clock(decided(1, late_ms), "decide", 10**12).standing == "late"
    assert clock(decided(1, FLASH_MS + 1), "flash", 10**12).standing == "late"


def test_pauses_move_the_due_time_and_count_against_nobody() -> None:
    limit = LIMITS.decide_ms
    past = clock(waiting(paused_ms=500), "decide", READY + limit + 500)
    assert (past.due_ms, past.standing, past.used_bp) == (READY + limit + 500, "warned", 10_000)
    now = READY + 2 * limit
    still = clock(waiting(paused_ms=500, paused_since_ms=READY + 1_000), "decide", now)
    assert (still.standing, still.paused_ms) == ("paused", 500 + now - READY - 1_000)
    longest = clock(waiting(paused_ms=LIMITS.pause_ms + 5), "decide", READY)
    assert longest.paused_ms == LIMITS.pause_ms == 30 * DAY_MS, "nobody strands a claim by pausing it"
    over = clock(waiting(paused_since_ms=READY + limit + 1), "decide", now)
    assert over.standing == "breached", "what ran out before the pause stays so"
    assert clock(waiting(paused_ms=500), "minimum", now).paused_ms == 0, "the law's sixty days know no pause of ours"


def test_only_what_was_declared_complex_has_thirty_days() -> None:
    assert clock(waiting(is_complex=True), "decide", READY).limit_ms == 30 * DAY_MS
    assert clock(waiting(lane="review"), "decide", READY).limit_ms == LIMITS.decide_ms, "as the ledger judges it"
    assert not [item for item in build_clocks(waiting(lane="review"), LIMITS, READY) if item.stage == "flash"]


def test_each_stage_has_its_party() -> None:
    payouts = (PayoutStory("ORDERED", 15_000), PayoutStory("NOT_DUE", 15_000))
    claim = decided(1, published_ms=900, endorsed_by="commission", proposed_ms=11_000, payouts=payouts)
    shown = {item.stage: (item.party, item.standing) for item in build_clocks(claim, LIMITS, 20_000)}
    assert shown == {
        "intake": ("hospital", "met"),
        "accept": ("insurer", "running"),
        "co_sign": ("insurer", "met"),
        "decide": ("insurer", "met"),
        "flash": ("insurer", "met"),
        "notify": ("insurer", "running"),
        "settle": ("insurer", "running"),
        "minimum": ("insurer", "met"),
    }
    assert story(1, hospitals=(), published_ms=1_000).moments
    assert clock(story(1, hospitals=(), published_ms=1_000), "intake", 2_000).party == ""


def test_the_endorsement_clock_starts_with_the_last_document() -> None:
    claim = story(1, ("PUBLISHED", 5_000), ("EVIDENCE_COMPLETE", READY), endorsed_by="commission")
    found = clock(claim, "endorse", READY)
    assert (found.party, found.started_ms, found.ended_ms, found.standing) == ("commission", 5_000, READY, "met")


def test_a_withdrawn_claim_stops_its_clocks() -> None:
    claim = story(1, ("FILED", 2_000), ("EVIDENCE_COMPLETE", READY), ("WITHDRAWN", 20_000))
    assert clock(claim, "decide", 10**12).standing == "met"


def test_what_is_due_first_is_told_first() -> None:
    limit = LIMITS.decide_ms
    first, second = waiting(), decided(2, limit)
    clocks = [*build_clocks(first, LIMITS, READY + limit + 1), *build_clocks(second, LIMITS, READY + limit + 1)]
    assert [(item.stage, item.standing) for item in list_due(clocks) if item.claim_id == first.claim_id] == [
        ("decide", "breached")
    ]
    assert list_due([]) == []


def test_turnaround_is_told_by_party_and_stage() -> None:
    stories = [decided(number, number * 1_000) for number in range(1, 5)] + [waiting()]
    rows = {
        (row.party, row.stage): row
        for row in build_turnaround(c for o in stories for c in build_clocks(o, LIMITS, 50_000))
    }
    row = rows["insurer", "decide"]
    assert (row.open, row.ended, row.median_ms, row.p95_ms, row.over.count) == (1, 4, 2_000, 4_000, 0)
    assert rows["insurer", "notify"].median_ms is None
    assert build_turnaround([]) == ()


def test_a_limit_of_nothing_is_over_at_once() -> None:
    limits = limits_of(Parameters(accept_ms=0))
    (found,) = [item for item in build_clocks(story(1), limits, 1_001) if item.stage == "accept"]
    assert (found.used_bp, found.standing) == (0, "breached")
