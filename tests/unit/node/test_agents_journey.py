"""The whole journey with every agent, in memory: from consent to close, and where it ends earlier."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_world import World, admission, charges, discharge, invoice


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def run_founding_case(world: World) -> Any:
    certificate = await world.commit_policy()
    wallet = await world.grant(certificate)
    await world.publish(wallet, admission())
    await world.publish(wallet, discharge(), invoice(), charges())
    return wallet


def test_founding_case_is_paid_and_closed(world: World) -> None:
    async def story() -> None:
        wallet = await run_founding_case(world)
        assert world.claim(wallet).status == "DECIDED"
        assert await world.acknowledge(wallet) == 1
        claim, detail = world.claim(wallet), world.detail(wallet)
        assert claim.status == "CLOSED"
        assert detail["status"] == "closed"
        assert detail["decision"] == "approved"
        # (2050.00 - 683.33 - 50.00) x 80 % = 1053.336 -> 1053.34, and three days at 100.00
        assert detail["amount_fen"] == 105_334 + 30_000
        assert detail["human_steps"] == 0
        assert detail["payouts"][0]["status"] == "PAID"
        assert world.decisions(wallet)[0]["result"]["result"]["net_fen"] == 135_334

    asyncio.run(story())
