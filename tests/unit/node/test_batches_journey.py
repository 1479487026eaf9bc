"""A hospital's month through nodes: fifty drawn guarantees, three returned, one net payment, what is still owed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from contracts.cases.batches import open_draw
from contracts.commitments import commit
from contracts.errors import ContractError
from contracts.holdbodies import BatchLine, BatchReview, BatchSettle, BatchSubmit, GuaranteeDraw, LineVerdict
from contracts.holdstates import read_batch, read_guarantee
from contracts.identifiers import derive_batch_id
from ledger.encoding import encode
from node.agents.batchbook import BillingRefused
from node.agents.billing import BillingAgent
from node.agents.messages import DrawOpening
from tests.support import agent_world
from tests.support.agent_world import World
from tests.support.hold_story import HoldStory
from tests.support.network_builder import DAY_MS, make_genesis, make_hex

LINES = 50
BOOKING = {"account": "A-1", "booking_date": "2022-01-31", "bank_reference": "R-77"}


@pytest.fixture(autouse=True)
def plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parcels as in the world of agents, and the programs of bodies that tests make by hand."""
    keyed = structs.replace(make_genesis(), participants=agent_world.build_genesis().participants)
    monkeypatch.setattr(agent_world, "build_genesis", lambda _=None: keyed)


def billing(world: World, name: str) -> BillingAgent:
    found = world.houses[name].billing
    assert found is not None
    return found


def drawn(world: World, number: int) -> dict[str, Any]:
    """A guarantee that insurer and hospital drew; the opening of the draw: min(900, 800 + number, 1000)."""
    story = HoldStory(world.network)
    assert story.guarantee() == "ok"
    story.decide()
    guarantee_id = story.hold_id("guarantee")
    names = {"guarantee_id": guarantee_id, "claim_id": story.claim_id, "policy_id": story.policy_id}
    opening = open_draw(names, 900, 800 + number, 1000, "CNY", make_hex(f"salt of draw {number}"))
    body = GuaranteeDraw(guarantee_id, commit("draw", opening))
    assert story.do("guarantee.draw", body, "insurer", ("hospital",)) == "ok"
    return opening


async def month(world: World, lines: int, *, told: Callable[[int], bool] = lambda _: True) -> list[dict[str, Any]]:
    """Draws, told to hospital and TPA by the insurer's node."""
    openings = [drawn(world, number) for number in range(lines)]
    for number, opening in enumerate(openings):
        if told(number):
            billing(world, "insurer").tell_draw(opening["guarantee_id"], msgspec.convert(opening, DrawOpening))
    await world.settle()
    return openings


def amount(places: Any) -> int:
    return sum(min(900, 800 + place) for place in places)


async def go_on(world: World, restarted: bool) -> None:
    """Everybody works; before, the parties of the batch may lose all but their disks."""
    for name in ("hospital", "insurer", "tpa") if restarted else ():
        world.forget(name)
    await world.settle()


async def refused(asked: Any, code: str) -> None:
    with pytest.raises((BillingRefused, ContractError)) as caught:
        await asked
    assert caught.value.code == code  # type: ignore[attr-defined]


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted after every act"])
def test_fifty_lines_three_returned_one_net_payment(tmp_path: Path, restarted: bool) -> None:
    lines = 5 if restarted else LINES
    returns = {lines - 3: "DOCUMENTS_MISSING", lines - 2: "NOT_OF_PERIOD", lines - 1: "DUPLICATE_SERVICE"}
    world = World(tmp_path)

    async def story() -> None:
        openings = await month(world, lines)
        hospital = billing(world, "hospital")
        assert hospital.receivables()["items"] == [_ages("insurer", amount(range(lines)))]
        batch_id, _ = await hospital.submit("insurer", "tpa")
        await go_on(world, restarted)
        shown = billing(world, "tpa").batch(batch_id)
        assert [line["guarantee_id"] for line in shown["lines"]] == [item["guarantee_id"] for item in openings]
        assert shown["figures"]["open"] == {"lines": lines, "amount_fen": amount(range(lines))}
        await refused(billing(world, "insurer").settle(batch_id, 1, BOOKING), "not_open")
        await billing(world, "tpa").review(batch_id, returns)
        await go_on(world, restarted)
        due = amount(range(lines - 3))
        shown = billing(world, "hospital").batch(batch_id)
        assert shown["status"] == "REVIEWED"
        assert shown["figures"]["endorsed"] == {"lines": lines - 3, "amount_fen": due}
        assert {item["line"]: item["reason"] for item in shown["lines"] if item["reason"]} == returns
        await refused(billing(world, "insurer").settle(batch_id, due + 1, BOOKING), "amount")
        await billing(world, "insurer").settle(batch_id, due, BOOKING)
        await go_on(world, restarted)
        hospital = billing(world, "hospital")
        payment = hospital.batch(batch_id)["payment"]
        assert (payment["amount_fen"], payment["bank_reference"]) == (due, "R-77")
        assert payment["breakdown"] == [
            {"line": place, "claim_id": item["claim_id"], "amount_fen": item["amount_fen"]}
            for place, item in enumerate(openings[: lines - 3])
        ]
        await refused(hospital.acknowledge(batch_id, due - 1), "amount")
        await hospital.acknowledge(batch_id, due)
        await go_on(world, restarted)
        (item,) = billing(world, "insurer").batches(0, 10)["items"]
        assert (item["status"], item["net_fen"]) == ("PAID", due)
        states = [read_guarantee(world.network.state.read, opening["guarantee_id"]) for opening in openings]
        words = [state.status for state in states if state is not None]
        assert (words.count("PAID"), words.count("DRAWN")) == (lines - 3, 3)
        left = _ages("insurer", amount(range(lines - 3, lines)))
        assert billing(world, "hospital").receivables()["items"] == [left]
        again, _ = await billing(world, "hospital").submit("insurer")
        await go_on(world, restarted)
        assert billing(world, "insurer").batch(again)["figures"]["open"]["lines"] == 3, "what was returned comes again"
        public = b"".join(encode(item.content) for block in world.network.blocks for item in block.transactions)
        assert b"DOCUMENTS_MISSING" not in public
        assert b"R-77" not in public

    asyncio.run(story())


def _ages(other: str, total: int) -> dict[str, Any]:
    return {"other": other, "0-30": total, "31-60": 0, "61-90": 0, "over-90": 0, "total": total}


def test_what_is_owed_ages_by_the_day_of_its_draw(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        await month(world, 1)
        await world.wait(31 * DAY_MS)
        await month(world, 2, told=lambda number: number == 0)
        found = billing(world, "insurer").receivables()
        assert found["items"] == [{**_ages("hospital", 1_600), "0-30": 800, "31-60": 800}]
        assert found["unopened"] == 1, "a draw whose opening is not here"

    asyncio.run(story())


async def ask_too_much(world: World) -> str:
    """A hospital asks more than was drawn on line 0, and commits to something else on line 2. The batch's id."""
    openings = await month(world, 3)
    lines = [{**_line(opening), "salt": make_hex(f"line {place}")} for place, opening in enumerate(openings)]
    lines[0]["amount_fen"] = 999
    totals = {"salt": make_hex("totals"), "lines": 3, "amount_fen": 999 + 801 + 802, "currency": "CNY"}
    commits = [commit("batch-line", line) for line in lines[:2]] + [make_hex("something else")]
    body = BatchSubmit(
        insurer="insurer",
        reviewer="tpa",
        sequence=1,
        from_ms=1,
        to_ms=world.network.now_ms,
        totals_commit=commit("batch-totals", totals),
        lines=tuple(BatchLine(line["guarantee_id"], found) for line, found in zip(lines, commits, strict=True)),
    )
    batch_id = derive_batch_id("hospital", "insurer", 1)
    content = {"lines": lines, "totals": totals}
    await billing(world, "hospital")._act(batch_id, "batch.submit", body, content, {"insurer", "tpa"})
    await world.settle()
    return batch_id


def test_a_reviewer_endorses_only_what_was_drawn(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> str:
        batch_id = await ask_too_much(world)
        await billing(world, "tpa").review(batch_id, {})
        await world.settle()
        return batch_id

    shown = billing(world, "hospital").batch(asyncio.run(story()))
    assert [line["reason"] for line in shown["lines"]] == ["AMOUNT_DIFFERS", None, "OPENING_DIFFERS"]
    assert [line["status"] for line in shown["lines"]] == ["returned", "endorsed", "returned"]


@pytest.mark.parametrize("returned", [0, 2], ids=["a line that does not open", "another sum than drawn"])
def test_an_insurer_pays_no_line_that_should_not_have_been_endorsed(tmp_path: Path, returned: int) -> None:
    world = World(tmp_path)

    async def story() -> None:
        batch_id = await ask_too_much(world)
        back = LineVerdict(returned, "returned", make_hex("reason"))
        kept = [LineVerdict(place, "endorsed", None) for place in range(3) if place != returned]
        body = BatchReview(batch_id, (back, *kept))
        await billing(world, "tpa")._act(batch_id, "batch.review", body, {"reasons": []}, {"hospital", "insurer"})
        await world.settle()
        due = 999 + 801 + 802 - (999, 801, 802)[returned]
        with pytest.raises(BillingRefused, match="not what was drawn"):
            await billing(world, "insurer").settle(batch_id, due, BOOKING)

    asyncio.run(story())


def _line(opening: dict[str, Any]) -> dict[str, Any]:
    return {name: opening[name] for name in ("guarantee_id", "claim_id", "amount_fen", "currency")}


def test_a_hospital_acknowledges_no_breakdown_that_is_not_its_lines(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        openings = await month(world, 2)
        batch_id, _ = await billing(world, "hospital").submit("insurer")
        await world.settle()
        await billing(world, "insurer").review(batch_id, {})
        await world.settle()
        parts = [{"line": 0, "claim_id": openings[0]["claim_id"], "amount_fen": 800}]
        short = {"salt": make_hex("s"), "batch_id": batch_id, "amount_fen": 800, "currency": "CNY", "breakdown": parts}
        short |= BOOKING
        body = BatchSettle(batch_id, commit("batch-settlement", short))
        await billing(world, "insurer")._act(batch_id, "batch.settle", body, short, {"hospital"})
        await world.settle()
        await refused(billing(world, "hospital").acknowledge(batch_id, 800), "SETTLEMENT_DIFFERS")

    asyncio.run(story())


def test_refusals_say_why_and_send_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        hospital, insurer, tpa = (billing(world, name) for name in ("hospital", "insurer", "tpa"))
        await refused(hospital.submit("insurer"), "no_lines")
        openings = await month(world, 2, told=lambda number: number == 0)
        await refused(hospital.submit("insurer", guarantees=[openings[1]["guarantee_id"]]), "no_opening")
        with pytest.raises(BillingRefused, match="not the opening"):
            insurer.tell_draw(openings[0]["guarantee_id"], msgspec.convert(openings[1], DrawOpening))
        batch_id, _ = await hospital.submit("insurer", "tpa")
        await refused(hospital.submit("insurer", "tpa"), "under_way")
        await refused(tpa.review(batch_id, {}), "not_found")
        await world.settle()
        await refused(insurer.review(batch_id, {}), "not_found")
        await refused(tpa.review(batch_id, {7: "NOT_OF_PERIOD"}), "return_reason")
        await refused(tpa.review(batch_id, {0: "because"}), "return_reason")
        await refused(hospital.acknowledge(batch_id, 800), "not_open")
        with pytest.raises(BillingRefused, match="no such batch"):
            billing(world, "insurer-two").batch(batch_id)

    asyncio.run(story())


def test_what_the_ledger_refuses_leaves_no_parcel(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        await month(world, 1)
        hospital = billing(world, "hospital")
        batch_id, _ = await hospital.submit("insurer", "tpa", period=(2, 1))
        await world.settle()
        assert read_batch(world.network.state.read, batch_id) is None
        assert world.houses["tpa"].ports.vault.parcels("batch", batch_id) == ()
        assert world.houses["tpa"].ports.vault.pending() == (), "it never left"
        assert hospital.vault.outbox.owed() == 0
        again, _ = await hospital.submit("insurer", "tpa")
        await world.settle()
        assert again == batch_id, "the number was not taken"
        assert billing(world, "tpa").batch(batch_id)["figures"]["open"]["amount_fen"] == 800

    asyncio.run(story())
