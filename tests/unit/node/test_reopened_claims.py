"""A complaint that overturns a decline: reopened in the customer's word, completed again, decided on other evidence."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.claimbodies import ClaimReopen
from contracts.identifiers import derive_pool_id
from contracts.states import read_case, read_pool
from node.wallet import ConsentWallet
from node.wallet_claims import make_reopening
from tests.support.agent_world import World, admission, charges, discharge, invoice, standard_policy

WRONG: dict[str, Any] = {"cause": "illness"}
RIGHT: dict[str, Any] = {"cause": "accident"}
BENEFIT = 135_334
"""80 % of what is within the catalogue, and three days of allowance."""


def late_cover() -> dict[str, Any]:
    """Covered since nine days before the stay: an illness falls into the waiting period, an accident does not."""
    terms = standard_policy("insurer")["terms"]
    return {"terms": terms | {"first_effective": "2021-11-24"}}


async def declined(world: World) -> tuple[ConsentWallet, list[str]]:
    certificate = await world.commit_policy(**late_cover())
    wallet = await world.grant(certificate)
    await world.publish(wallet, admission())
    records = await world.publish(wallet, discharge(**WRONG), invoice(), charges())
    await world.settle()
    assert world.detail(wallet)["decision"] == "declined"
    assert world.claim(wallet).status == "CLOSED"
    return wallet, records


async def reopen(world: World, wallet: ConsentWallet) -> None:
    token, reason, _ = make_reopening(wallet, world.claim_id(wallet), 1, "it was an accident", world._chance)
    assert world.network.do("claim.reopen", ClaimReopen(world.claim_id(wallet), reason, token), "hospital").code == "ok"
    await world.settle()


async def correct(world: World, wallet: ConsentWallet, replaced: str) -> None:
    hospital = world.houses["hospital"].hospital
    assert hospital is not None
    await hospital.publish_records(wallet.consent_id, [discharge(**RIGHT)], replaces=replaced)
    await world.settle()


@pytest.mark.parametrize("complaint_first", [True, False], ids=["complaint first", "correction first, restarted"])
def test_a_corrected_discharge_overturns_a_decline(tmp_path: Path, complaint_first: bool) -> None:
    world = World(tmp_path)

    async def story() -> None:
        wallet, records = await declined(world)
        agent = world.houses["insurer"].insurer
        assert agent is not None
        agent.claims.release(world.claim_id(wallet), "b", "a", "CLEARED")
        world.forgetful = not complaint_first
        if complaint_first:
            await reopen(world, wallet)
            assert world.detail(wallet)["waiting_for"] == "REOPENED", "the same evidence gives the same decision"
            await correct(world, wallet, records[0])
        else:
            await correct(world, wallet, records[0])
            await reopen(world, wallet)
        assert world.claim(wallet).attempt == 2
        assert world.claim(wallet).status == "DECIDED"
        detail = world.detail(wallet)
        assert (detail["decision"], detail["amount_fen"]) == ("approved", BENEFIT)
        record = agent.claims.record(world.claim_id(wallet))
        assert (record.released, record.human_steps) == (False, 2), "a release is for the decision before"
        assert await world.acknowledge(wallet) == 1
        assert world.claim(wallet).status == "CLOSED"
        decisions = [item["result"]["result"]["decision"] for item in world.decisions(wallet)]
        assert decisions == ["declined", "approved"], "the customer has both"
        case = read_case(world.network.state.read, wallet.case_id)
        pool = read_pool(world.network.state.read, derive_pool_id(wallet.case_id))
        assert case is not None
        assert pool is not None
        assert records[0] not in case.records
        assert pool.version == 3, "completed, declined, completed again, decided"

    asyncio.run(story())
