"""An insurer's office over the whole journey: what claims look like from the inside, and reviews by two persons."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import Refusal
from contracts.reports.clocks import build_clocks
from contracts.reports.kpi import build_kpi
from contracts.reports.tasks import LEASE_MS
from node.errors import Unavailable
from node.reports.desk import NoTask
from node.reports.office import Office
from tests.support.agent_world import World, admission, discharge, invoice

REASON = "AMOUNT_CONFIRMED"


def office_of(world: World, name: str = "insurer") -> Office:
    return Office(world.houses[name], 8_000, lambda: None)


async def run_claim(world: World, number: int = 1, **changes: Any) -> Any:
    wallet = await world.grant(await world.commit_policy())
    await world.publish(wallet, admission())
    await world.publish(wallet, discharge(), invoice(number=number, **changes))
    return wallet


def refused(code: str) -> Any:
    return pytest.raises(Refusal, match=f"^{code}")


def test_a_paid_claim_from_the_inside_and_from_the_outside(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        wallet = await run_claim(world)
        await world.acknowledge(wallet)
        claim_id = world.claim_id(wallet)
        own = office_of(world).story(claim_id)
        assert own is not None
        assert (own.status, own.lane, own.decision, own.human_steps) == ("CLOSED", "flash", "approved", 0)
        assert own.payable_fen == world.detail(wallet)["amount_fen"]
        assert own.moments[0].stage == "REPORTED"
        assert {"FILED", "EVIDENCE_COMPLETE", "DECIDED", "SETTLED", "PAID", "CLOSED"} <= {m.stage for m in own.moments}
        kpi = build_kpi([own])
        assert (kpi.straight_through.bp, kpi.within_30_minutes.bp, kpi.amounts[0].paid_fen) == (
            10_000,
            10_000,
            own.payable_fen,
        )
        clocks = {clock.stage: clock.standing for clock in build_clocks(own, office_of(world).limits(), 10**13)}
        assert {clocks[stage] for stage in ("intake", "endorse", "accept", "decide", "flash", "settle")} == {"met"}
        judge = office_of(world, "tpa").story(claim_id)
        assert judge is not None
        assert (judge.decision, judge.payable_fen, judge.human_steps) == ("approved", own.payable_fen, None)
        for name in ("hospital", "commission", "insurer-two"):
            other = office_of(world, name).story(claim_id)
            assert other is not None
            assert (other.lane, other.decision, other.payable_fen, other.reasons) == ("unknown", None, None, ())
            assert other.at("DECIDED") == own.at("DECIDED")
        assert office_of(world).story("00" * 32) is None
        assert office_of(world).knowledge.of_claim("00" * 32) is None

    asyncio.run(story())


@pytest.mark.parametrize("forgetful", [False, True], ids=["running", "restarted before every round"])
def test_a_review_takes_two_persons(tmp_path: Path, forgetful: bool) -> None:
    world = World(tmp_path, forgetful=forgetful)

    async def story() -> None:
        wallet = await run_claim(world, total=900_000)
        claim_id = world.claim_id(wallet)
        (task,) = office_of(world).tasks(10)
        assert (task["claim_id"], task["grade"], task["holder"], task["prepared_by"]) == (claim_id, 0, None, None)
        with refused("NOT_PREPARED"):
            office_of(world).release_review(claim_id, "ben", None)
        office_of(world).take_task(None, "ann", None)
        with refused("TASK_HELD"):
            office_of(world).prepare_review(claim_id, "ben", REASON, None)
        office_of(world).prepare_review(claim_id, "ann", REASON, None)
        with refused("FOUR_EYES"):
            office_of(world).release_review(claim_id, "ann", None)
        await world.settle()
        assert world.claim(wallet).status == "EVIDENCE_COMPLETE", "one person moves nothing"
        shown = office_of(world).release_review(claim_id, "ben", None)
        assert shown["reason_texts"]["zh"]
        await world.settle()
        await world.acknowledge(wallet)
        assert world.claim(wallet).status == "CLOSED"
        own = office_of(world).story(claim_id)
        assert own is not None
        assert (own.lane, own.human_steps, own.review_reasons) == ("review", 2, ("AMOUNT_OVER_THRESHOLD",))
        agent = world.houses["insurer"].insurer
        assert agent is not None
        record = agent.claims.record(claim_id)
        assert (record.prepared_by, record.released_by, record.release_reason) == ("ann", "ben", REASON)
        assert office_of(world).tasks(10) == []
        with pytest.raises(NoTask, match=r"^not_in_review"):
            office_of(world).release_review(claim_id, "ben", None)
        with pytest.raises(NoTask, match=r"^no_task"):
            office_of(world).take_task(None, "ann", None)

    asyncio.run(story())


def test_tasks_are_held_for_a_lease_and_given_back(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        wallet = await run_claim(world, total=900_000)
        claim_id, office = world.claim_id(wallet), office_of(world)
        assert office.take_task(claim_id, "ann", None)["holder"] == "ann"
        with pytest.raises(NoTask, match=r"^no_task"):
            office.take_task(None, "ben", None)
        assert office.take_task(claim_id, "ben", "HOLDER_ABSENT")["overrides"][0]["held_by"] == "ann"
        with refused("TASK_NOT_HELD"):
            office.return_task(claim_id, "ann")
        assert office.return_task(claim_id, "ben")["holder"] is None
        office.take_task(claim_id, "ann", None)
        world.clock_ms += LEASE_MS
        assert office.tasks(10)[0]["holder"] is None
        assert office.take_task(None, "ben", None)["holder"] == "ben"

    asyncio.run(story())


def test_what_came_into_review_for_other_reasons_is_prepared_anew(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        wallet = await run_claim(world, total=900_000)
        claim_id, office = world.claim_id(wallet), office_of(world)
        office.prepare_review(claim_id, "ann", REASON, None)
        agent = world.houses["insurer"].insurer
        assert agent is not None
        agent.claims.send_to_review(claim_id, ["NON_DISCLOSURE"])
        assert [(task["grade"], task["prepared_by"]) for task in office.tasks(10)] == [(2, None)]
        with refused("NOT_PREPARED"):
            office.release_review(claim_id, "ben", None)

    asyncio.run(story())


def test_names_of_people_stand_nowhere_in_clear(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        wallet = await run_claim(world, total=900_000)
        office_of(world).prepare_review(world.claim_id(wallet), "ann-of-claims", REASON, None)
        office_of(world).release_review(world.claim_id(wallet), "ben-of-claims", None)
        await world.settle()
        for house in world.houses.values():
            house.ports.vault.close()

    asyncio.run(story())
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [data for data in files if b"-of-claims" in data]


def test_who_is_no_insurer_has_no_desk(tmp_path: Path) -> None:
    office = office_of(World(tmp_path), "tpa")
    for call in (
        lambda: office.tasks(1),
        lambda: office.take_task(None, "ann", None),
        lambda: office.return_task("00" * 32, "ann"),
        lambda: office.prepare_review("00" * 32, "ann", REASON, None),
        lambda: office.release_review("00" * 32, "ann", None),
    ):
        with pytest.raises(Unavailable, match=r"^no_role"):
            call()
