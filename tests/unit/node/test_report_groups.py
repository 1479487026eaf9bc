"""What an insurer may tell an employer: totals by the terms of its own policies, and nothing of few people."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.reports import cells
from contracts.reports.cells import GroupTotals
from node.errors import Unavailable
from node.reports.office import Office
from tests.support.agent_world import World, admission, discharge, invoice, standard_policy


async def decide(world: World, number: int, **terms: Any) -> str:
    policy = dict(standard_policy("insurer")["terms"]) | terms
    wallet = await world.grant(await world.commit_policy(terms=policy))
    await world.publish(wallet, admission())
    await world.publish(wallet, discharge(), invoice(number=number))
    return world.claim_id(wallet)


def test_people_are_counted_by_the_terms_of_their_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)

    async def story() -> None:
        claims = [
            await decide(world, 1, employer="works", insured_ref="one"),
            await decide(world, 2, employer="works", insured_ref="one"),
            await decide(world, 3, employer="works", insured_ref="two"),
            await decide(world, 4, employer="other", insured_ref="three"),
            await decide(world, 5, employer="works"),
        ]
        office = Office(world.houses["insurer"], 8_000, lambda: None)
        assert await office.group_totals(claims, "works", "CNY") == GroupTotals(None, (), 1), "two people are too few"
        monkeypatch.setattr(cells, "MIN_CELL_PEOPLE", 2)
        totals = await office.group_totals([*claims, "00" * 32], "works", "CNY")
        assert totals.total is not None
        assert (totals.total.people, totals.total.claims) == (2, 3)
        told = [office.story(claim_id) for claim_id in claims[:3]]
        assert totals.total.payable_fen == sum(item.payable_fen or 0 for item in told if item)
        assert (await office.group_totals(claims, "works", "HKD")).total is None
        with pytest.raises(Unavailable, match=r"^no_role"):
            await Office(world.houses["tpa"], 8_000, lambda: None).group_totals(claims, "works", "CNY")

    asyncio.run(story())
