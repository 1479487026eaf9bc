"""A faulty invoice before its region's day: accepted, the hospital is told, nothing of it is public; and the counts."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts import einvoice_regions
from contracts.states import read_record
from ledger.encoding import encode
from node.errors import Unavailable
from tests.support.agent_world import World, admission, discharge, invoice

HOSPITAL = "hospital"


def run_with(world: World, **changes: Any) -> str:
    """Publish a stay with an invoice changed so; the invoice's record id."""

    async def story() -> str:
        wallet = await world.grant(await world.commit_policy())
        await world.publish(wallet, admission())
        kind, sound = invoice()
        records = await world.publish(
            wallet, discharge(), (kind, sound | {"cash_fen": sound["cash_fen"] + 1} | changes)
        )
        return records[1]

    return asyncio.run(story())


def rows(world: World) -> list[tuple[int, int, int, dict[str, int]]]:
    page = world.houses["commission"].invoice_errors(0, 10)
    assert not page["more"]
    return [(row["invoices"], row["warned"], row["refused"], row["codes"]) for row in page["items"]]


@pytest.mark.parametrize("forgetful", [False, True], ids=["running", "restarted before every round"])
def test_before_the_regions_day_it_is_accepted_with_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgetful: bool
) -> None:
    monkeypatch.setattr(einvoice_regions, "EFFECTIVE", {"33": "2021-12-07"})
    world = World(tmp_path)
    world.forgetful = forgetful
    record_id = run_with(world)
    state = read_record(world.network.state.read, record_id)
    assert state is not None
    assert state.status == "ACCEPTED"
    hospital, commission = world.houses[HOSPITAL].hospital, world.houses["commission"].commission
    assert hospital is not None
    assert commission is not None
    assert hospital.warnings(record_id) == ["V08", "V09"]
    assert hospital.rejection(record_id) == []
    assert commission.book.warnings(state.case_id) == {record_id: ["V08", "V09"]}
    assert rows(world) == [(1, 1, 0, {"V08": 1, "V09": 1})]
    public = b"".join(encode(item.content) for block in world.network.blocks for item in block.transactions)
    assert b"V08" not in public


def test_from_that_day_on_it_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(einvoice_regions, "EFFECTIVE", {"33": "2021-12-06"})
    world = World(tmp_path)
    record_id = run_with(world)
    state = read_record(world.network.state.read, record_id)
    assert state is not None
    assert state.status == "REJECTED"
    hospital = world.houses[HOSPITAL].hospital
    assert hospital is not None
    assert hospital.rejection(record_id) == ["V08", "V09"]
    assert rows(world) == [(1, 0, 1, {"V08": 1, "V09": 1})]


def test_a_sound_invoice_is_counted_once_and_others_have_no_book(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.forgetful = True
    run_with(world, cash_fen=invoice()[1]["cash_fen"])
    assert rows(world) == [(1, 0, 0, {})]
    with pytest.raises(Unavailable):
        world.houses["insurer"].invoice_errors(0, 10)


def test_a_second_look_at_the_receipt_counts_and_tells_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(einvoice_regions, "EFFECTIVE", {"33": "2021-12-07"})
    world = World(tmp_path)
    record_id = run_with(world)
    state, commission = read_record(world.network.state.read, record_id), world.houses["commission"].commission
    assert state is not None
    assert commission is not None
    before = rows(world)
    commission._settle_from_state(state.case_id)
    assert rows(world) == before
    assert len(commission.vault.parcels("verdict", record_id, sender="commission")) == 1
    assert not commission.book.count(state.case_id, record_id, state, "refused", ["V08"])
