"""Risk over the interface: scopes, refusals as conflicts with their codes, a signal that is given and taken back."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.risk.parameters import DEFAULTS
from node.agents.signalling import SignalRefused
from node.api.access import ACCESS
from node.api.problems import ApiError
from node.api.risks import REFUSED, _ask
from node.errors import Unavailable
from tests.support.agent_world import World, admission, discharge, invoice

BEDS = {"items": [{"name": "床位", "amount_fen": 1_000, "date": "2021-12-04", "category": "bed"}]}


def test_counts_take_one_scope_and_signals_another() -> None:
    scopes = {path: scope for (_, path), scope in ACCESS.items() if path.startswith("/v1/risk/")}
    assert scopes.pop("/v1/risk/hospitals") == scopes.pop("/v1/risk/statistics") == "report"
    assert set(scopes.values()) == {"review"}


@pytest.mark.parametrize("code", sorted(REFUSED))
def test_refusals_are_conflicts_with_their_code(code: str) -> None:
    def refuse() -> Any:
        raise SignalRefused(code, "why")

    with pytest.raises(ApiError) as caught:
        _ask(refuse)
    assert (caught.value.status, caught.value.code) == (409, code)


def test_a_house_gives_a_signal_and_takes_it_back(tmp_path: Path) -> None:
    world = World(tmp_path, risk=DEFAULTS)
    house = world.houses["insurer"]

    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        await world.publish(wallet, admission())
        await world.publish(wallet, discharge(), invoice(), ("charges", BEDS))
        signal_id = house.give_signal(world.claim_id(wallet), None, "DOCUMENTED", 30)
        await world.settle()
        (heard,) = world.houses["tpa"].risk_signals(0, 10)["items"]
        assert (heard["signal_id"], heard["content"]["level"]) == (signal_id, "DOCUMENTED")
        house.withdraw_signal(signal_id, "the list came later")
        await world.settle()
        assert world.houses["tpa"].risk_signals(0, 10)["items"] == []

    asyncio.run(story())


def test_a_signal_has_one_subject_and_its_author_a_role(tmp_path: Path) -> None:
    world = World(tmp_path, risk=DEFAULTS)
    for claim_id, hospital in ((None, None), ("ab" * 32, "hospital")):
        with pytest.raises(SignalRefused) as caught:
            world.houses["insurer"].give_signal(claim_id, hospital, "INDICATED", 30)
        assert caught.value.code == "one_subject"
    with pytest.raises(Unavailable):
        world.houses["hospital"].risk_signals(0, 1)
    with pytest.raises(Unavailable):
        world.houses["insurer"].give_signal(None, "hospital", "INDICATED", 30)
    with pytest.raises(SignalRefused) as caught:
        world.houses["commission"].give_signal(None, "hospital", "INDICATED", 30)
    assert caught.value.code == "no_hit"
