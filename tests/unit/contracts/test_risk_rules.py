"""RK01 to RK03, RK05 to RK10, RK12: each on both sides of each of its thresholds, in tables."""

from typing import Any

import pytest

from contracts.risk.assessment import assess_claim
from contracts.risk.parameters import DEFAULTS
from contracts.risk.records import ClaimRecords, DeathFact
from contracts.risk.results import Result
from tests.support.risk_records import (
    DAY,
    bill,
    charge,
    claim,
    diagnosis,
    minute,
    norm,
    policy,
    records,
    stay,
)

NONE: list[str] = []


def results_of(rule: str, given: ClaimRecords) -> list[Result]:
    return [result for result in assess_claim(given, DEFAULTS).results if result.rule == rule]


def severities(rule: str, **lists: Any) -> list[str]:
    """Severities of the rule's hits, sorted."""
    return sorted(result.severity for result in results_of(rule, records(**lists)) if result.hit)


RED = {"kind": "red", "total_fen": -10_000}


@pytest.mark.parametrize(
    ("invoices", "expected"),
    [
        ([bill("a")], NONE),
        ([bill("a", number="1"), bill("b", number="1")], ["HIGH"]),
        ([bill("a", number="1"), bill("b", number="1", policy="other")], NONE),
        ([bill("a", number="1"), bill("b", number="1", person="q")], ["HIGH"]),
        ([bill("a", number="1", person="q"), bill("b", number="1", person="q")], NONE),
        ([bill("a", number="1"), bill("b", number="1", code="45060123", total_fen=1)], NONE),
        ([bill("a"), bill("b")], ["MED"]),
        ([bill("a"), bill("b", policy="other")], ["MED"]),
        ([bill("a"), bill("b", total_fen=10_001)], NONE),
        ([bill("a"), bill("b", service_day=DAY + 1)], NONE),
        ([bill("a"), bill("b", institution="h2")], NONE),
        ([bill("a"), bill("b", person="q")], NONE),
        ([bill("a"), bill("r", **RED, reverses=("45060122", "a")), bill("b")], NONE),
        ([bill("a"), bill("r", **RED, reverses=("45060122", "z")), bill("b")], ["MED"]),
        ([bill("a"), bill("r", kind="red", total_fen=-1, reverses=("45060122", "a")), bill("b")], ["MED"]),
        ([bill("a"), bill("r", **RED, reverses=("45060122", "a")), bill("b"), bill("c")], ["MED"]),
        ([bill("r", **RED, reverses=("4", "x")), bill("t", **RED, reverses=("4", "y"))], NONE),
        ([bill("a", number="1"), bill("b", number="1"), bill("c")], ["HIGH", "MED"]),
    ],
)
def test_rk01_duplicate_invoice(invoices: list[Any], expected: list[str]) -> None:
    assert severities("RK01", invoices=tuple(invoices)) == expected


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (stay("s2", DAY + 5, DAY + 8, institution="h2"), NONE),  # same-day transfer
        (stay("s2", DAY + 4, DAY + 8, institution="h2"), ["HIGH"]),
        (stay("s2", DAY + 4, DAY + 8), ["HIGH"]),
        (stay("s2", DAY + 4, DAY + 8, inpatient_no="s1"), NONE),  # one stay, told twice
        (stay("s2", DAY + 4, DAY + 8, inpatient_no="s1", institution="h2"), ["HIGH"]),
        (stay("s2", DAY - 3, DAY), NONE),
        (stay("s2", DAY - 3, DAY + 1), ["HIGH"]),
        (stay("s2", DAY + 2, DAY + 2), ["HIGH"]),  # there and back within a day, inside the other
        (stay("s2", DAY, DAY), NONE),
        (stay("s2", DAY + 1, DAY + 3, person="q"), NONE),
    ],
)
def test_rk02_overlapping_stays(second: Any, expected: list[str]) -> None:
    for both in ((stay(), second), (second, stay())):
        assert severities("RK02", stays=both) == expected


def test_rk02_looks_behind_a_short_stay_that_begins_between() -> None:
    three = (stay("a", DAY, DAY + 9), stay("b", DAY + 1, DAY + 2), stay("c", DAY + 8, DAY + 12))
    (result,) = results_of("RK02", records(stays=three))
    assert result.evidence == ("a", "b", "c")


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({"invoices": (bill("a", service_day=DAY),)}, NONE),
        ({"invoices": (bill("a", service_day=DAY + 1),)}, ["HIGH"]),
        ({"invoices": (bill("a", service_day=DAY + 1, type="inpatient"),)}, NONE),  # its stay speaks
        ({"invoices": (bill("a", service_day=DAY + 1, type="vat"),)}, ["HIGH"]),
        ({"invoices": (bill("a", service_day=DAY + 1, kind="red"),)}, NONE),
        ({"stays": (stay(last=DAY + 1),)}, NONE),  # the day of discharge is no service
        ({"stays": (stay(last=DAY + 2),)}, ["HIGH"]),
        ({"stays": (stay(first=DAY + 1, last=DAY + 1),)}, ["HIGH"]),
        ({"stays": (stay(last=DAY),), "charges": (charge("d", DAY + 1, "other"),)}, ["HIGH"]),
        ({"stays": (stay(last=DAY),), "charges": (charge("d", DAY + 1, "other", -5),)}, NONE),
    ],
)
def test_rk03_after_death(lists: dict[str, Any], expected: list[str]) -> None:
    assert severities("RK03", deaths=(DeathFact("t", "p", DAY),), **lists) == expected
    assert severities("RK03", deaths=(DeathFact("t", "q", DAY),), **lists) == NONE


@pytest.mark.parametrize(
    ("visit", "expected"),
    [
        (bill("v", institution="h2", service_day=DAY), NONE),
        (bill("v", institution="h2", service_day=DAY + 1), ["MED"]),
        (bill("v", institution="h2", service_day=DAY + 4), ["MED"]),
        (bill("v", institution="h2", service_day=DAY + 5), NONE),
        (bill("v", institution="h1", service_day=DAY + 1), NONE),
        (bill("v", institution="h2", service_day=DAY + 1, type="vat"), NONE),
        (bill("v", institution="h2", service_day=DAY + 1, kind="red"), NONE),
    ],
)
def test_rk03_in_two_places(visit: Any, expected: list[str]) -> None:
    assert severities("RK03", stays=(stay(),), invoices=(visit,)) == expected


def _stays(count: int, first: int = DAY) -> tuple[Any, ...]:
    return tuple(stay(f"s{number}", first, first + 1) for number in range(count))


def _visits(count: int, **changes: Any) -> tuple[Any, ...]:
    return tuple(bill(f"v{number}", total_fen=number, **changes) for number in range(count))


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({"stays": _stays(2)}, NONE),
        ({"stays": _stays(3)}, ["MED"]),
        ({"stays": (*_stays(2), stay("x", DAY, DAY + 1, inpatient_no="s1"))}, NONE),
        ({"stays": (*_stays(2), stay("old", DAY - 89, DAY - 88))}, ["MED"]),
        ({"stays": (*_stays(2), stay("old", DAY - 90, DAY - 89))}, NONE),
        ({"stays": (*_stays(2), stay("later", DAY + 1, DAY + 2))}, NONE),
        ({"invoices": _visits(11)}, NONE),
        ({"invoices": _visits(12)}, ["MED"]),
        ({"invoices": (*_visits(11), bill("x", number="v0", policy="b"))}, NONE),
        ({"invoices": _visits(12, type="vat")}, NONE),
        ({"invoices": _visits(12, service_day=DAY - 90)}, NONE),
        ({"invoices": _visits(12, person="q")}, NONE),
        ({"invoices": tuple(bill(name, institution=name) for name in "abc")}, NONE),
        ({"invoices": tuple(bill(name, institution=name) for name in "abcd")}, ["MED"]),
        ({"invoices": tuple(bill(name, institution=name) for name in "abc"), "stays": _stays(1)}, ["MED"]),
    ],
)
def test_rk05_frequency(lists: dict[str, Any], expected: list[str]) -> None:
    assert severities("RK05", **lists) == expected


FIRST = DAY - 30  # with 30 days of waiting, DAY is the first covered day


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"event_day": DAY - 1}, NONE),  # inside the waiting period: the adjudicator's
        ({"event_day": DAY}, ["MED"]),
        ({"event_day": DAY + 14}, ["MED"]),
        ({"event_day": DAY + 15}, NONE),
        ({"event_day": DAY, "claimed_fen": 500_000}, ["MED"]),
        ({"event_day": DAY, "claimed_fen": 500_001}, ["HIGH"]),
        ({"event_day": DAY + 2, "claimed_fen": 500_001}, ["HIGH"]),
        ({"event_day": DAY + 3, "claimed_fen": 500_001}, ["MED"]),
        ({"event_day": DAY + 99, "onset_day": DAY + 14}, ["MED"]),
        ({"event_day": DAY + 5, "onset_day": DAY - 1}, NONE),
        ({"event_day": DAY, "onset_day": DAY + 30}, ["MED"]),
        ({"event_day": DAY, "cause": "accident"}, NONE),
        ({"event_day": DAY, "policies": ("another",)}, NONE),
    ],
)
def test_rk06_just_after_the_waiting_period(changes: dict[str, Any], expected: list[str]) -> None:
    cover = (policy(first_effective_day=FIRST),)
    assert severities("RK06", claims=(claim(**changes),), policies=cover) == expected


def test_rk06_takes_the_products_threshold_and_needs_a_waiting_period() -> None:
    claims = (claim(event_day=DAY, claimed_fen=500_001),)
    for changes, expected in (({"review_threshold_fen": 500_001}, ["MED"]), ({"waiting_days": 0}, NONE)):
        cover = (policy(first_effective_day=FIRST, **changes),)
        assert severities("RK06", claims=claims, policies=cover) == expected


EFFECTIVE = DAY - 400


@pytest.mark.parametrize(
    ("history", "cover", "expected"),
    [
        (diagnosis("x", EFFECTIVE - 1, "C50.100x001"), {}, ["HIGH"]),
        (diagnosis("x", EFFECTIVE, "C50.100x001"), {}, NONE),
        (diagnosis("x", EFFECTIVE - 1, "C50.1", "q"), {}, NONE),
        (diagnosis("x", EFFECTIVE - 1, "C50.1"), {"disclosed": ("C50",)}, NONE),
        (diagnosis("x", EFFECTIVE - 1, "C50.1"), {"disclosed": ("C51",)}, ["HIGH"]),
        (diagnosis("x", EFFECTIVE - 1, "N60.2"), {}, ["MED"]),
        (diagnosis("x", EFFECTIVE - 1, "N64.9"), {}, ["MED"]),
        (diagnosis("x", EFFECTIVE - 1, "N59.9"), {}, ["LOW"]),
        (diagnosis("x", EFFECTIVE - 1, "N65.9"), {}, ["LOW"]),
        (diagnosis("x", EFFECTIVE - 1, "D05.1"), {}, ["LOW"]),  # the same side of the row
    ],
)
def test_rk07_pre_policy_diagnosis(history: Any, cover: dict[str, Any], expected: list[str]) -> None:
    assert severities("RK07", diagnoses=(history,), policies=(policy(**cover),)) == expected


def test_rk07_works_both_ways_and_not_for_accidents() -> None:
    history = (diagnosis("x", EFFECTIVE - 1, "D05.1"),)
    assert severities("RK07", claims=(claim(icd="N61"),), diagnoses=history) == ["MED"]
    assert severities("RK07", claims=(claim(icd="N61", cause="accident"),), diagnoses=history) == NONE


def _claims(*amounts: int, **changes: Any) -> tuple[Any, ...]:
    return tuple(claim(f"c{index}", claimed_fen=fen, **changes) for index, fen in enumerate(amounts, 1))


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (_claims(400_000, 100_000), NONE),  # the sum is not above
        (_claims(400_000, 100_001), ["MED"]),
        (_claims(399_999, 399_999), NONE),  # none at 80 %
        (_claims(400_000, 399_999), ["MED"]),
        (_claims(500_000, 1), ["MED"]),
        (_claims(500_001, 400_000), NONE),  # above: was reviewed
        (_claims(400_000, 500_001), NONE),
        (_claims(500_000), NONE),
        ((claim("c1", claimed_fen=400_000), claim("x", claimed_fen=400_000, event_day=DAY - 29)), ["MED"]),
        ((claim("c1", claimed_fen=400_000), claim("x", claimed_fen=400_000, event_day=DAY - 30)), NONE),
        ((claim("c1", claimed_fen=400_000), claim("x", claimed_fen=400_000, event_day=DAY + 1)), NONE),
        ((claim("c1", claimed_fen=400_000), claim("x", claimed_fen=400_000, institution="h2")), ["MED"]),
        ((claim("c1", claimed_fen=400_000), claim("x", claimed_fen=400_000, icd="I10")), ["MED"]),
        ((claim("c1", claimed_fen=400_000), claim("x", claimed_fen=400_000, icd="I10", institution="h2")), NONE),
        ((claim("c1", claimed_fen=400_000), claim("x", claimed_fen=400_000, person="q")), NONE),
    ],
)
def test_rk08_split_below_the_threshold(claims: tuple[Any, ...], expected: list[str]) -> None:
    assert severities("RK08", claims=claims) == expected


def _treated(*days: int) -> list[Any]:
    return [item for day in days for item in (charge(f"b{day}", day, "bed"), charge(f"n{day}", day, "nursing"))]


@pytest.mark.parametrize(
    ("last", "charges", "expected"),
    [
        (5, _treated(*range(DAY, DAY + 5)), NONE),
        (5, _treated(DAY, DAY + 1, DAY + 2, DAY + 4), ["HIGH"]),  # nothing on an inner day
        (5, [*_treated(DAY, DAY + 1, DAY + 2, DAY + 4), charge("b", DAY + 3, "bed")], ["HIGH"]),
        (5, [*_treated(*range(DAY, DAY + 4))], ["HIGH"]),
        (5, _treated(*range(DAY + 1, DAY + 5)), NONE),  # nothing on the day of admission
        (2, [*_treated(DAY + 1), charge("b", DAY, "bed")], ["HIGH"]),  # half of the days
        (3, [*_treated(DAY + 1, DAY + 2), charge("b", DAY, "bed")], NONE),  # a third
        (1, [charge("b", DAY, "bed")], ["HIGH"]),
        (0, [charge("b", DAY, "bed")], ["HIGH"]),
        (1, [charge("b", DAY, "bed"), charge("t", DAY, "treatment")], NONE),
        (2, [charge("t", DAY, "treatment"), charge("u", DAY + 1, "treatment")], ["HIGH"]),  # never nursed
        (1, [charge("t", DAY, "treatment")], NONE),
        (2, [*_treated(DAY, DAY + 1), *(charge(f"z{n}", DAY + n, "nursing", -5_000) for n in (0, 1))], ["HIGH"]),
        (5, [*_treated(*range(DAY, DAY + 5)), charge("x", DAY, "bed", of="s2")], NONE),
    ],
)  # fmt: skip
def test_rk09_ghost_admission(last: int, charges: list[Any], expected: list[str]) -> None:
    given = {"claims": (claim(stay="s1"),), "stays": (stay(last=DAY + last),), "charges": tuple(charges)}
    assert severities("RK09", **given) == expected


def test_rk09_without_a_daily_list_has_no_word() -> None:
    (result,) = results_of("RK09", records(claims=(claim(stay="s1"),), stays=(stay(),)))
    assert (result.hit, result.insufficient) == (False, True)
    (result,) = results_of("RK09", records(stays=(stay(),)))
    assert (result.hit, result.insufficient) == (False, False)  # no stay is claimed for


@pytest.mark.parametrize(
    ("half_days", "disposition", "benefit", "expected"),
    [
        (30, "recovered", "indemnity", NONE),
        (31, "recovered", "indemnity", ["MED"]),
        (31, "death", "indemnity", ["MED"]),
        (31, "recovered", "allowance", ["HIGH"]),
        (30, "recovered", "allowance", NONE),
        (4, "recovered", "allowance", NONE),  # a third exactly
        (3, "recovered", "allowance", ["MED"]),
        (3, "death", "allowance", NONE),
        (3, "transfer", "allowance", NONE),
        (3, "other", "indemnity", ["MED"]),
    ],
)
def test_rk10_length_of_stay(half_days: int, disposition: str, benefit: str, expected: list[str]) -> None:
    given: dict[str, Any] = {
        "claims": (claim(stay="s1"),),
        "policies": (policy(benefit=benefit),),
        "stays": (stay(half_days=half_days, disposition=disposition),),
        "norms": (norm(),),
    }
    assert severities("RK10", **given) == expected


@pytest.mark.parametrize(
    ("norms", "insufficient"),
    [((norm(),), False), ((norm(cases=19),), True), ((norm(drg="X"),), True), ((norm(level="2"),), True), ((), True)],
)
def test_rk10_needs_a_norm_of_enough_cases(norms: tuple[Any, ...], insufficient: bool) -> None:
    given = records(claims=(claim(stay="s1"),), stays=(stay(half_days=99),), norms=norms)
    (result,) = results_of("RK10", given)
    assert (result.hit, result.insufficient) == (not insufficient, insufficient)


def test_rk10_takes_the_latest_norm() -> None:
    norms = (norm(id="new", version="2022", p95_half_days=99), norm())
    given = {"claims": (claim(stay="s1"),), "stays": (stay(half_days=50),), "norms": norms}
    assert severities("RK10", **given) == NONE


@pytest.mark.parametrize(
    ("applied", "expected"),
    [(minute(DAY) - 1, NONE), (minute(DAY), ["HIGH"]), (minute(DAY) + 1, ["HIGH"])],
)
def test_rk12_bought_after_admission(applied: int, expected: list[str]) -> None:
    given = {"claims": (claim(stay="s1"),), "stays": (stay(),), "policies": (policy(applied_minute=applied),)}
    assert severities("RK12", **given) == expected


@pytest.mark.parametrize(
    ("days", "icd", "expected"),
    [
        (0, "C50.1", ["MED"]),
        (30, "C50.1", ["MED"]),
        (31, "C50.1", NONE),
        (-1, "C50.1", NONE),
        (30, "N63", ["MED"]),
        (30, "A53", NONE),
    ],
)
def test_rk12_bought_after_knowledge(days: int, icd: str, expected: list[str]) -> None:
    cover = (policy(applied_minute=minute(DAY - 100)),)
    assert severities("RK12", policies=cover, diagnoses=(diagnosis("x", DAY - 100 - days, icd),)) == expected
