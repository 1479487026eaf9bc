"""A commission counts endorsed stays by hospital, once, and shows nothing of fewer than twenty."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.cases.riskcells import CellSums, CountedStay, add_stay
from contracts.risk.parameters import DEFAULTS, Parameters
from contracts.states import CaseState, decode_state
from node.agents.hospitalbook import HospitalBook
from node.errors import Unavailable
from tests.support.agent_world import World, admission, discharge, invoice


async def publish(world: World, number: int, first: int, last: int, **changes: Any) -> None:
    wallet = await world.grant(await world.commit_policy())
    begin, end = f"2021-12-{first:02d}", f"2021-12-{last:02d}"
    await world.publish(wallet, admission(begin))
    stay = discharge(begin, end, admission_no=f"ZY-{number}", **({"drg": "ES15"} | changes))
    await world.publish(wallet, stay, invoice(number, first=begin, last=end))


def sums(world: World) -> dict[str, CellSums]:
    return HospitalBook(world.houses["commission"].ports)._sums().get("hospital", {})


def test_each_case_is_counted_once_however_often_the_node_begins_anew(tmp_path: Path) -> None:
    world = World(tmp_path, risk=DEFAULTS, forgetful=True)

    async def story() -> None:
        await publish(world, 1, 3, 6)
        await publish(world, 2, 10, 12)
        await publish(world, 3, 12, 14, drg=None)

    asyncio.run(story())
    assert sums(world) == {"ES15/3": CellSums(2, 410_000, 10_000, 1)}
    ports = world.houses["commission"].ports
    for key, item in ports.ledger.state_family("case"):
        HospitalBook(ports).count(key.partition("/")[2], decode_state(item.value or b"", CaseState))
    assert sums(world)["ES15/3"].stays == 2, "a case that was counted is not counted again"
    row = world.houses["commission"].risk_hospitals(0, 10)["items"][0]
    assert (row["grade"], row["cells"], row["hits"], row["insufficient"]) == ("LOW", [], [], ["RK04", "RK11"])


def test_a_return_counts_once_whichever_stay_was_endorsed_first(tmp_path: Path) -> None:
    world = World(tmp_path, risk=DEFAULTS)

    async def story() -> None:
        await publish(world, 2, 10, 12)
        await publish(world, 1, 3, 6)

    asyncio.run(story())
    assert sums(world)["ES15/3"].readmissions == 1


def test_where_it_is_off_nothing_is_counted(tmp_path: Path) -> None:
    world = World(tmp_path)
    asyncio.run(publish(world, 1, 3, 6))
    assert world.houses["commission"].risk_hospitals(0, 10) == {"items": [], "next": 0, "more": False}


def fill(world: World, parameters: Parameters, **stays: int) -> list[dict[str, Any]]:
    """Stays of the heavy group of 40 for each hospital; the rest is the light one."""
    book = HospitalBook(world.houses["commission"].ports)
    for hospital, heavy in stays.items():
        for number in range(40):
            drg = "ES11" if number < heavy else "ES15"
            one = CountedStay(hospital, book._month(), drg, "3", 1, 2, 100_000, 1_000)
            book._change(one, add_stay(book._cell(one), one))
    return list(world.houses["commission"].risk_hospitals(0, 100)["items"])


def test_one_sided_coding_is_a_hit_and_small_cells_stay_hidden(tmp_path: Path) -> None:
    world = World(tmp_path, risk=DEFAULTS)
    rows = {row["hospital"]: row for row in fill(world, DEFAULTS, a=5, b=5, c=6, d=30)}
    assert [hit["rule"] for hit in rows["d"]["hits"]] == ["RK04"]
    assert rows["d"]["hits"][0]["evidence"] == ("d/ES1",)
    assert [cell["drg"] for cell in rows["a"]["cells"]] == ["ES15"], "5 stays of ES11 are not shown"
    assert rows["a"]["hits"] == []


def test_no_parameter_lowers_the_floor_of_twenty(tmp_path: Path) -> None:
    low = Parameters(version="low", min_cases=2)
    world = World(tmp_path, risk=low)
    rows = fill(world, low, a=5, b=5, c=6, d=30)
    assert all(cell["stays"] >= 20 for row in rows for cell in row["cells"])


def test_pages_and_roles(tmp_path: Path) -> None:
    world = World(tmp_path, risk=DEFAULTS)
    fill(world, DEFAULTS, a=5, b=5, c=6)
    house = world.houses["commission"]
    first = house.risk_hospitals(0, 2)
    assert ([row["hospital"] for row in first["items"]], first["next"], first["more"]) == (["a", "b"], 2, True)
    assert house.risk_hospitals(2, 2)["more"] is False
    with pytest.raises(Unavailable):
        world.houses["insurer"].risk_hospitals(0, 1)
    with pytest.raises(Unavailable):
        house.risk_statistics()
