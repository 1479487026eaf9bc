"""Backtests and shadow mode in memory: claims are paid, another ratio is tried, the difference is exact."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from contracts.bodies import ContractRelease
from contracts.genesis import Parameters
from contracts.machine.bundle import ProgramBundle
from contracts.product import read_product
from ledger.encoding import encode
from node.agents.backtesting import Order
from node.agents.house import House
from node.machine.programs import standard_program
from node.wallet import ConsentWallet
from tests.support.agent_world import World, admission, charges, discharge, invoice, standard_policy, standard_product
from tests.support.contract_releases import make_release, pass_contract, propose_contract

TODAY = "2023-11-15"
TOTALS = (200_000, 100_000, 50_000)
EXAMPLE = {"name": "one", "title": "one", "worked": "", "input": {}, "expected": {}}
Story = Callable[[World], Coroutine[Any, Any, None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Story], None]:
    """Plays a story in a world without days of notice, and ends what it started."""

    def play(story: Story) -> None:
        async def whole() -> None:
            world = World(tmp_path, parameters=Parameters(contract_notice_days=0))
            try:
                await story(world)
            finally:
                for house in world.houses.values():
                    await house.backtester.close()
                    await house.shadow.close()

        asyncio.run(whole())

    return play


def product(ratio_bp: int, code: str = "TEST", **changes: Any) -> dict[str, Any]:
    tables = standard_product(product_code=code)
    benefit = tables["plans"]["STD"]["benefits"]["IP"]
    benefit["ratios"] = [{"ratio_bp": ratio_bp}]
    benefit |= changes
    tables["plans"]["STD"]["benefits"].pop("AL")
    return read_product(tables | {"benefit_order": ["IP"]})


def release(
    world: World,
    ratio_bp: int,
    tables: dict[str, Any] | None = None,
    bundle: ProgramBundle | None = None,
    **changes: Any,
) -> ContractRelease:
    from contracts.identifiers import derive_tables_hash

    tables = tables or product(ratio_bp)
    fields = {
        "tables": encode(tables).decode(),
        "tables_hash": derive_tables_hash(tables),
        "product_code": tables["product_code"],
        "examples": encode([EXAMPLE]).decode(),
    }
    return make_release(world.network, bundle=bundle or standard_program(), **(fields | {"ahead": 0} | changes))


def share(total: int, ratio_bp: int) -> int:
    """What the insurer pays: a third is the pooled fund's, 50.00 outside the catalogue; halves are rounded up."""
    return ((total - total // 3 - 5_000) * ratio_bp * 2 + 10_000) // 20_000


async def commit(world: World, **changes: Any) -> dict[str, Any]:
    policy = standard_policy("insurer")
    periods = [{"id": "2023", "start": "2023-01-01", "end": "2023-12-31", "plan": "STD"}]
    terms = policy["terms"] | {"periods": periods} | changes.pop("terms", {})
    if "product_hash" in changes:
        del policy["product"]
    _, (certificate,) = await world.houses["insurer"].commit_policies([policy | {"terms": terms} | changes])
    await world.settle()
    return certificate


async def pay(world: World, certificate: dict[str, Any], number: int, total: int) -> ConsentWallet:
    """One stay of a day, from the report to the settlement."""
    wallet = await world.grant(certificate)
    bill = invoice(number, total, TODAY, TODAY, code="33060123")
    await world.publish(wallet, admission(TODAY))
    await world.publish(wallet, discharge(TODAY, TODAY), bill, charges(total))
    await world.acknowledge(wallet)
    assert world.claim(wallet).status == "CLOSED"
    return wallet


async def backtest(house: House, order: Order) -> dict[str, Any]:
    job_id = house.backtester.start(order)
    await house.backtester.finish(job_id)
    view = house.backtester.view(job_id)
    assert view is not None
    return view


async def report_of(house: House, **order: Any) -> dict[str, Any]:
    view = await backtest(house, Order(**order))
    assert (view["status"], view["code"]) == ("done", ""), view
    assert view["done"] == view["total"]
    report: dict[str, Any] = view["report"]
    return report


def vault_of(house: House) -> dict[str, Any]:
    """Every name in the vault's secrets, and the statuses of the lists."""
    work = house.ports.vault.work
    return {name: work.listed(name) for name in ("insurer", "adjudicator")}


def test_a_changed_ratio_gives_exactly_the_difference_of_every_claim(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        one = pass_contract(world.network, release(world, 8_000))
        certificate = await commit(world, product_hash=one)
        wallets = [await pay(world, certificate, number, total) for number, total in enumerate(TOTALS, 1)]
        other = await commit(world, product=product(9_000, "OTHER"))
        await pay(world, other, 9, 200_000)
        proposal = propose_contract(world.network, release(world, 5_000, supersedes=one, ahead=2)).results[0].subject
        before = {name: vault_of(house) for name, house in world.houses.items()}
        root, height = world.network.state.state_map.root, world.network.state.height

        old, new = sum(share(total, 8_000) for total in TOTALS), sum(share(total, 5_000) for total in TOTALS)
        for name in ("insurer", "tpa"):
            report = await report_of(world.houses[name], identifier=proposal)
            assert (report["claims"], report["policies"], report["changed"]) == (3, 3, 3)
            total = {"currency": "CNY", "sum_old_fen": old, "sum_new_fen": new, "difference_fen": new - old}
            assert report["totals"] == [total]
            assert report["release"]["chosen_by"] == "line"
            assert report["skipped"]["other_product"] == 1
            assert (report["prior_use"], report["failed"]["claims"], report["limited"]) == ("recorded", 0, False)
            worst = [(item["claim_id"], item["difference_fen"]) for item in report["worst"]]
            assert worst == [
                (world.claim_id(wallet), share(total, 5_000) - share(total, 8_000))
                for wallet, total in zip(wallets, TOTALS, strict=True)
            ]
            assert "P-insurer" not in str(report)
            assert "测试" not in str(report)
        (hospital,) = [await report_of(world.houses["hospital"], identifier=proposal)]
        assert (hospital["claims"], hospital["totals"]) == (0, [])
        same = await report_of(world.houses["insurer"], identifier=one)
        assert (same["claims"], same["changed"], same["worst"]) == (3, 0, [])

        assert {name: vault_of(house) for name, house in world.houses.items()} == before
        assert (world.network.state.state_map.root, world.network.state.height) == (root, height)
        assert world.pending == {}

    run(story)
