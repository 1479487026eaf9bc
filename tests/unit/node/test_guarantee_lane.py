"""Guarantees that nodes do not handle by themselves: no policy opens the lane, and no payout goes out beside one."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.holdstates import HoldItem
from contracts.states import read_payout
from node.agents import paying
from node.agents.policies import PolicyRefused
from tests.support.agent_world import World, admission, charges, discharge, invoice, standard_policy

FIVE_MINUTES_MS = 301_000


def test_a_policy_that_opens_the_guarantee_lane_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    terms = standard_policy("insurer")["terms"] | {"lanes": {"guarantee": {"ratio_bp": 8_000}}}
    with pytest.raises(PolicyRefused) as caught:
        asyncio.run(world.commit_policy(terms=terms))
    assert caught.value.code == "guarantee_lane"


def test_no_payout_is_ordered_while_a_guarantee_is_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the insured gets what a hospital was promised, and the insurer pays it twice."""
    world, live = World(tmp_path), [True]

    def held(*_: Any) -> tuple[HoldItem, ...]:
        return (HoldItem("ab" * 32, "guarantee", policies[0], "cd" * 32, "ef" * 32, live[0]),)

    policies: list[str] = []
    monkeypatch.setattr(paying, "read_holds", held)

    async def story() -> None:
        certificate = await world.commit_policy()
        policies.append(certificate["policy_id"])
        wallet = await world.grant(certificate)
        await world.publish(wallet, admission())
        await world.publish(wallet, discharge(), invoice(), charges())
        (payout_id,) = world.claim(wallet).payouts

        def status() -> str:
            payout = read_payout(world.network.state.read, payout_id)
            assert payout is not None
            return payout.status

        assert status() == "AUTHORISED"
        item = world.houses["insurer"].ports.vault.work.item("insurer", world.claim_id(wallet))
        assert item is not None
        assert item.code == "GUARANTEE_OPEN"
        live[0] = False
        await world.wait(FIVE_MINUTES_MS)
        assert status() == "SETTLED_CLAIMED"

    asyncio.run(story())
