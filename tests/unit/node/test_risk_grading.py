"""Grades of claims at their insurer: straight through, one look, or an investigation; made once, and never again."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.bodies import ConsentRevoke
from contracts.errors import Refusal
from contracts.risk.parameters import DEFAULTS, Parameters
from node.agents.grading import Grader, kept_grade, risk_grade
from node.reports.desk import ReviewDesk
from tests.support.agent_world import World, admission, discharge, invoice, standard_policy

DAYS = [
    {"name": name, "amount_fen": 1_000, "date": f"2021-12-{day:02d}", "category": category}
    for day in (3, 4, 5)
    for name, category in (("床位", "bed"), ("护理", "nursing"), ("治疗", "treatment"))
]
BEDS = [item for item in DAYS if item["category"] == "bed"]


def charges(items: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return "charges", {"items": items}


def build(folder: Path, risk: Parameters | None = DEFAULTS, **changes: Any) -> World:
    return World(folder, risk=risk, **changes)


def terms(**changes: Any) -> dict[str, Any]:
    return {"terms": standard_policy("insurer")["terms"] | changes}


async def claim(world: World, certificate: dict[str, Any], *documents: Any, day: int = 3, number: int = 1) -> Any:
    wallet = await world.grant(certificate)
    first, last = f"2021-12-{day:02d}", f"2021-12-{day + 3:02d}"
    await world.publish(wallet, admission(first))
    bill = invoice(number, first=first, last=last, inpatient_no=f"ZY-{number}")
    stay = discharge(first, last, admission_no=f"ZY-{number}")
    await world.publish(wallet, *(documents or (stay, bill)))
    return wallet


def grade_of(world: World, wallet: Any) -> str | None:
    return risk_grade(world.houses["insurer"].ports, world.claim_id(wallet))


def rules_of(world: World, wallet: Any) -> dict[str, str]:
    kept = kept_grade(world.houses["insurer"].ports, world.claim_id(wallet))
    assert kept is not None
    return {item["rule"]: item["severity"] for item in kept["assessment"]["results"] if item["hit"]}


def test_a_plain_stay_goes_straight_through_with_its_grade_beside_it(tmp_path: Path) -> None:
    world = build(tmp_path)
    wallet = asyncio.run(_plain(world))
    detail = world.detail(wallet)
    assert (detail["risk_grade"], detail["human_steps"], detail["review_reasons"]) == ("LOW", 0, [])
    kept = kept_grade(world.houses["insurer"].ports, world.claim_id(wallet))
    assert kept is not None
    assert kept["assessment"]["parameters"]["version"] == DEFAULTS.version
    assert kept["without"] == {
        "RK09": "no daily list with days and categories",
        "RK10": "no norm of the DRG",
        "RK12": "no day of application",
    }
    silent = {item["rule"] for item in kept["assessment"]["results"] if item["insufficient"]}
    assert silent == set(kept["without"])


async def _plain(world: World) -> Any:
    return await claim(world, await world.commit_policy())


def test_where_grading_is_off_nothing_is_graded_or_kept(tmp_path: Path) -> None:
    world = build(tmp_path, None)
    wallet = asyncio.run(_plain(world))
    assert grade_of(world, wallet) is None
    assert Grader(world.houses["insurer"].ports).statistics() == []


def test_beds_alone_are_high_risk_and_wait_for_an_investigation(tmp_path: Path) -> None:
    world = build(tmp_path)

    async def story() -> Any:
        return await claim(world, await world.commit_policy(), discharge(), invoice(), charges(BEDS))

    wallet = asyncio.run(story())
    assert rules_of(world, wallet) == {"RK09": "HIGH"}
    assert (world.detail(wallet)["review_reasons"], world.detail(wallet)["status"]) == (["RISK_HIGH"], "in_review")
    house = world.houses["insurer"]
    assert house.insurer is not None
    desk, claim_id = ReviewDesk(house.ports, house.insurer, house.tell), world.claim_id(wallet)
    with pytest.raises(Refusal) as caught:
        desk.prepare(claim_id, "ann", "AMOUNT_CONFIRMED")
    assert caught.value.code == "NOT_INVESTIGATED"
    desk.prepare(claim_id, "ann", "SUSPICION_CLEARED")
    desk.release(claim_id, "ben")
    asyncio.run(world.settle())
    assert (world.claim(wallet).decided_ms is not None, world.detail(wallet)["human_steps"]) == (True, 2)
    assert grade_of(world, wallet) == "HIGH", "people let it go; the grade stays what it was"


def test_a_daily_list_with_care_is_no_hit(tmp_path: Path) -> None:
    world = build(tmp_path)

    async def story() -> Any:
        return await claim(world, await world.commit_policy(), discharge(), invoice(), charges(DAYS))

    wallet = asyncio.run(story())
    assert (grade_of(world, wallet), rules_of(world, wallet)) == ("LOW", {})


def test_earlier_stays_of_the_same_insured_are_seen_under_other_policies(tmp_path: Path) -> None:
    world = build(tmp_path)

    async def story() -> tuple[Any, Any, Any]:
        policies = [
            await world.commit_policy(**terms(policy_no=f"P-{n}", insured_id=who)) for n, who in enumerate("aab")
        ]
        first = await claim(world, policies[0], day=3, number=1)
        same = await claim(world, policies[1], day=5, number=2)
        other = await claim(world, policies[2], day=5, number=3)
        return first, same, other

    first, same, other = asyncio.run(story())
    assert [grade_of(world, item) for item in (first, same, other)] == ["LOW", "HIGH", "LOW"]
    assert rules_of(world, same)["RK02"] == "HIGH"


def test_what_a_customer_revoked_is_not_held_against_another_claim(tmp_path: Path) -> None:
    world = build(tmp_path)

    async def story() -> Any:
        policy = await world.commit_policy(**terms(insured_id="a"))
        first = await claim(world, policy, day=3, number=1)
        await world.acknowledge(first)
        world.network.do("consent.revoke", ConsentRevoke(first.consent_id, None, first.slip), "hospital")
        return await claim(world, policy, day=5, number=2)

    assert grade_of(world, asyncio.run(story())) == "LOW"


def test_applying_after_admission_is_high_and_an_unknown_hour_is_not_guessed(tmp_path: Path) -> None:
    world = build(tmp_path)

    async def story() -> list[Any]:
        found = []
        for number, at in enumerate(("2021-12-04", "2021-12-03", "2021-12-03T09:00", "2021-12-03T07:00"), start=1):
            policy = await world.commit_policy(**terms(policy_no=f"P-{number}", applied_at=at, insured_id=at))
            stay = discharge(admission_time="08:00", admission_no=f"ZY-{number}")
            found.append(await claim(world, policy, stay, invoice(number)))
        return found

    after, same_day, later, before = asyncio.run(story())
    assert rules_of(world, after) == rules_of(world, later) == {"RK12": "HIGH"}
    assert rules_of(world, before) == {}
    kept = kept_grade(world.houses["insurer"].ports, world.claim_id(same_day))
    assert kept is not None
    assert "RK12" in kept["without"]


def test_a_change_of_parameters_grades_nothing_again(tmp_path: Path) -> None:
    world = build(tmp_path)

    async def story() -> Any:
        wallet = await claim(world, await world.commit_policy(), discharge(), invoice(), charges(BEDS))
        world.risk = Parameters(version="risk-2", bed_only_share_bp=10_000)
        world.forget("insurer")
        insurer = world.houses["insurer"].insurer
        assert insurer is not None
        insurer.release_review(world.claim_id(wallet), "ben")
        await world.settle()
        assert world.claim(wallet).decided_ms is not None, "it was computed once more under other parameters"
        return wallet

    wallet = asyncio.run(story())
    kept = kept_grade(world.houses["insurer"].ports, world.claim_id(wallet))
    assert kept is not None
    assert (kept["assessment"]["grade"], kept["assessment"]["parameters"]["version"]) == ("HIGH", "risk-1")


def test_hits_are_counted_by_rule_and_month_once(tmp_path: Path) -> None:
    world = build(tmp_path, forgetful=True)

    async def story() -> None:
        await claim(world, await world.commit_policy(**terms(insured_id="a")))
        policy = await world.commit_policy(**terms(policy_no="P-2", insured_id="b"))
        await claim(world, policy, discharge(), invoice(2), charges(BEDS))

    asyncio.run(story())
    (month,) = Grader(world.houses["insurer"].ports).statistics()
    assert month["graded"] == 2
    assert (month["grades"], month["hits"]) == ({"LOW": 1, "HIGH": 1}, {"RK09": 1})
