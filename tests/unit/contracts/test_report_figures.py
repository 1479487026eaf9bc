"""Key figures of claims: ranks, shares, times, reasons, amounts, and what an employer may see."""

from typing import Any

import pytest

from contracts.reports.cells import MIN_CELL_PEOPLE, GroupTotals, MemberClaim, build_totals
from contracts.reports.kpi import FLASH_MS, NameCount, Selection, build_kpi
from contracts.reports.ranks import Share, share_of, value_at
from contracts.reports.stories import ClaimStory, Moment, PayoutStory


def story(number: int = 1, *stages: tuple[str, int], **changes: Any) -> ClaimStory:
    """A claim with stages at these times, REPORTED at 1,000."""
    moments = tuple(Moment(stage, time_ms) for stage, time_ms in (("REPORTED", 1_000), *stages))
    plain: dict[str, Any] = {
        "claim_id": f"{number:064x}",
        "case_id": f"{number:064x}",
        "insurer": "insurer",
        "hospitals": ("hospital",),
        "status": moments[-1].stage,
        "attempt": 1,
        "moments": moments,
    }
    return ClaimStory(**(plain | changes))


def decided(number: int, took_ms: int = 5_000, **changes: Any) -> ClaimStory:
    known = {"lane": "flash", "human_steps": 0, "decision": "approved", "payable_fen": 100, "currency": "CNY"}
    return story(number, ("EVIDENCE_COMPLETE", 10_000), ("DECIDED", 10_000 + took_ms), **(known | changes))


def test_a_percentile_is_a_value_that_occurred() -> None:
    assert value_at(50, []) is None
    assert value_at(50, [7]) == 7
    assert value_at(50, [4, 1, 3, 2]) == 2, "the lower of two middle ones"
    assert value_at(95, list(range(1, 21))) == 19
    assert value_at(95, list(range(1, 20))) == 19
    assert value_at(100, [3, 9, 1]) == 9
    assert value_at(1, [3, 9, 1]) == 1
    for percent in (0, 101):
        with pytest.raises(ValueError, match="percentile"):
            value_at(percent, [1])


def test_a_share_of_nothing_is_absent() -> None:
    assert share_of(0, 0) == Share(0, 0, None)
    assert share_of(1, 3).bp == 3_333
    assert share_of(2, 3).bp == 6_667
    assert share_of(3, 3).bp == 10_000
    for count, of in ((2, 1), (-1, 1)):
        with pytest.raises(ValueError, match="no share"):
            share_of(count, of)


def test_rates_name_what_they_are_shares_of() -> None:
    stories = [
        decided(1),
        decided(2, lane="review", human_steps=2, review_reasons=("AMOUNT_OVER_THRESHOLD",)),
        decided(3, decision="declined", payable_fen=0, reasons=("WAITING_PERIOD",), attempt=2, disputed=True),
        decided(4, decision=None, lane="unknown", human_steps=None, payable_fen=None, returned=1),
        story(5, escalated=True),
        decided(6, reasons=("DAY_LIMIT",), payouts=(PayoutStory("RESTORED", 15_000),)),
    ]
    kpi = build_kpi(stories)
    assert (kpi.claims, kpi.decided, kpi.closed, kpi.explained, kpi.human_steps) == (6, 5, 0, 4, 2)
    assert kpi.straight_through == share_of(3, 4)
    assert kpi.reviewed == share_of(1, 4)
    assert kpi.declined == share_of(1, 4)
    assert kpi.overturned == share_of(2, 5)
    assert kpi.disputed == share_of(1, 5)
    assert kpi.escalated == share_of(1, 6)
    assert kpi.complete_at_first == share_of(4, 5)
    assert kpi.statuses == (NameCount("DECIDED", 5), NameCount("REPORTED", 1))
    assert kpi.decisions == (NameCount("approved", 3), NameCount("declined", 1))
    assert kpi.reasons == (NameCount("DAY_LIMIT", 1), NameCount("WAITING_PERIOD", 1))
    assert kpi.declined_for == (NameCount("WAITING_PERIOD", 1),)
    assert kpi.review_reasons == (NameCount("AMOUNT_OVER_THRESHOLD", 1),)
    assert kpi.advances_outstanding_fen is None


def test_the_flash_promise_is_kept_to_the_millisecond() -> None:
    kpi = build_kpi([decided(1, FLASH_MS), decided(2, FLASH_MS + 1), story(3, ("DECIDED", 5_000))])
    assert kpi.within_30_minutes == share_of(1, 3), "without a time of complete evidence no promise was kept"


def test_times_are_those_of_claims_that_came_to_both_stages() -> None:
    stories = [decided(number, number * 1_000) for number in range(1, 21)]
    stories.append(story(99, ("EVIDENCE_COMPLETE", 10_000), ("DECIDED", 9_000)))
    rows = {(row.begin, row.end): row for row in build_kpi(stories).times}
    assert set(rows) == {("EVIDENCE_COMPLETE", "DECIDED")}
    row = rows["EVIDENCE_COMPLETE", "DECIDED"]
    assert (row.claims, row.fastest_ms, row.median_ms, row.p95_ms) == (20, 1_000, 10_000, 19_000)


def test_amounts_are_summed_by_currency_and_paid_only_when_nothing_is_left() -> None:
    paid = (PayoutStory("PAID", 1), PayoutStory("NOT_DUE", 1))
    stories = [
        decided(1, payouts=paid, claimed_fen=500),
        decided(2, payouts=(PayoutStory("PAID", 1), PayoutStory("ORDERED", 1))),
        decided(3, currency="HKD"),
        decided(4, payable_fen=None),
        decided(5, payouts=(PayoutStory("NOT_DUE", 1),)),
    ]
    rows = [
        (row.currency, row.claims, row.claimed_fen, row.payable_fen, row.paid_fen) for row in build_kpi(stories).amounts
    ]
    assert rows == [("CNY", 3, 500, 300, 100), ("HKD", 1, 0, 100, 0)]


@pytest.mark.parametrize(
    ("selection", "kept"),
    [
        (Selection(), {1, 2}),
        (Selection(from_ms=1_000, until_ms=1_001), {1, 2}),
        (Selection(from_ms=1_001), set()),
        (Selection(until_ms=1_000), set()),
        (Selection(lane="review"), {2}),
        (Selection(hospital="other"), {2}),
        (Selection(insurer="insurer"), {1}),
    ],
)
def test_a_selection_is_by_report_time_lane_hospital_and_insurer(selection: Selection, kept: set[int]) -> None:
    stories = {1: decided(1), 2: decided(2, lane="review", hospitals=("hospital", "other"), insurer="insurer-two")}
    assert {number for number, item in stories.items() if selection.includes(item)} == kept
    assert build_kpi(stories.values(), selection).claims == len(kept)


def members(month: str, people: range, currency: str = "CNY") -> list[MemberClaim]:
    return [MemberClaim(f"person {number}", month, 100, currency) for number in people]


def test_an_employer_sees_nothing_of_fewer_than_twenty_people() -> None:
    assert MIN_CELL_PEOPLE == 20
    few = members("2026-01", range(19)) * 5
    assert build_totals(few, "CNY") == GroupTotals(None, (), 1)
    enough = build_totals(members("2026-01", range(20)), "CNY")
    assert enough.total is not None
    assert (enough.total.people, enough.total.payable_fen, enough.withheld) == (20, 2_000, 0)
    assert [cell.month for cell in enough.months] == ["2026-01"]
    assert build_totals(members("2026-01", range(20), "HKD"), "CNY").total is None


def test_what_is_withheld_is_not_the_difference_of_what_is_shown() -> None:
    claims = members("2026-01", range(30)) + members("2026-02", range(25)) + members("2026-03", range(3))
    totals = build_totals(claims, "CNY")
    assert [cell.month for cell in totals.months] == ["2026-01"], "February hides the three of March"
    assert totals.withheld == 2
    assert totals.total is not None
    shown = sum(cell.payable_fen for cell in totals.months)
    assert totals.total.payable_fen - shown == 2_800
    two_small = members("2026-01", range(30)) + members("2026-02", range(12)) + members("2026-03", range(12, 24))
    assert [cell.month for cell in build_totals(two_small, "CNY").months] == ["2026-01"]
    only = members("2026-01", range(20)) + members("2026-02", range(1))
    assert build_totals(only, "CNY").months == ()
