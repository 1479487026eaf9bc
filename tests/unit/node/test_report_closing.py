"""Closed claims for export: intake numbers that never move, sub-numbers of what came again, and days of closing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.cases.evidence import date_of
from contracts.reports.closings import ClosedClaim
from ledger.encoding import convert
from node.errors import Unavailable
from node.reports import closing
from node.reports.office import Office
from tests.support.agent_world import World, admission, discharge, invoice

DAY_MS = 86_400_000


def page(world: World, after: int = 0, limit: int = 10, **span: int | None) -> dict[str, Any]:
    """Of an office made anew: numbers are on the disk."""
    office = Office(world.houses["insurer"], 8_000, lambda: None)
    return office.closings(after, limit, span.get("from_ms"), span.get("until_ms"))


async def report(world: World) -> Any:
    wallet = await world.grant(await world.commit_policy())
    await world.publish(wallet, admission())
    return wallet


async def finish(world: World, wallet: Any, number: int) -> None:
    await world.publish(wallet, discharge(), invoice(number=number))
    await world.acknowledge(wallet)
    assert world.claim(wallet).status == "CLOSED"


@pytest.mark.parametrize("slice_of", [500, 1])
def test_numbers_are_given_at_intake_and_never_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slice_of: int
) -> None:
    monkeypatch.setattr(closing, "SLICE", slice_of)
    world = World(tmp_path)

    async def story() -> None:
        first, second = await report(world), await report(world)
        await finish(world, second, 2)
        (only,) = page(world)["items"]
        day = date_of(world.claim(first).reported_ms, 480).replace("-", "")
        assert (only["claim_id"], only["sequence"]) == (world.claim_id(second), f"{day}-000002")
        await world.wait(DAY_MS)
        third = await report(world)
        await finish(world, third, 3)
        await finish(world, first, 1)
        shown = {item["claim_id"]: item for item in page(world)["items"]}
        numbers = [shown[world.claim_id(wallet)]["number"] for wallet in (first, second, third)]
        assert numbers == [1, 2, 1], "a day's numbers begin with 1"
        assert shown[world.claim_id(third)]["batch"] > day
        row = shown[world.claim_id(first)]
        closed = convert({name: value for name, value in row.items() if name != "sequence"}, ClosedClaim)
        assert (closed.decision, closed.payable_fen) == ("approved", world.detail(first)["amount_fen"])
        assert (closed.policy_nos, closed.lane, closed.supplements) == (("P-insurer",), "flash", ())
        assert len(closed.archive) == 64
        for limit in (1, 2, 3):
            found, after, more = [], 0, True
            while more:
                part = page(world, after, limit)
                found += [item["claim_id"] for item in part["items"]]
                after, more = part["next"], part["more"]
            assert found == [world.claim_id(wallet) for wallet in (first, second, third)]
        closed_ms = world.claim(first).closed_ms or 0
        assert len(page(world, from_ms=closed_ms)["items"]) == 1
        assert len(page(world, until_ms=closed_ms)["items"]) == 2

    asyncio.run(story())


def test_a_document_that_came_again_has_a_sub_number(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        wallet = await report(world)
        kind, sound = invoice()
        records = await world.publish(wallet, discharge(), (kind, sound | {"cash_fen": sound["cash_fen"] + 1}))
        hospital = world.houses["hospital"].hospital
        assert hospital is not None
        await hospital.publish_records(wallet.consent_id, [(kind, sound)], replaces=records[1])
        await world.settle()
        await world.acknowledge(wallet)
        for _ in range(2):
            (row,) = page(world)["items"]
            assert (row["number"], list(row["supplements"])) == (1, ["1"])
        told = Office(world.houses["insurer"], 8_000, lambda: None).story(world.claim_id(wallet))
        assert told is not None
        assert told.returned == 1

    asyncio.run(story())


def test_only_an_insurer_closes(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"^no_role"):
        Office(World(tmp_path).houses["tpa"], 8_000, lambda: None).closings(0, 1, None, None)
