"""Backtests and shadow mode in memory: claims are paid, another ratio is tried, the difference is exact."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from contracts.bodies import ContractRelease
from contracts.genesis import Parameters
from contracts.machine.bundle import ProgramBundle, build_bundle, encode_bundle
from contracts.product import read_product
from ledger.encoding import encode
from node.agents.backtesting import Order
from node.agents.candidates import CandidateRefused
from node.agents.house import House
from node.errors import Unavailable
from node.machine.examining import Texts
from node.machine.programs import standard_program
from node.wallet import ConsentWallet, make_revocation
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


def texts_of(tables: dict[str, Any], bundle: ProgramBundle | None = None) -> Texts:
    program = encode_bundle(bundle or standard_program()).decode()
    return Texts(program, encode(tables).decode(), encode([EXAMPLE]).decode(), "Tried")


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


def test_prior_use_is_the_recorded_one_unless_it_is_compounded(run: Callable[[Story], None]) -> None:
    """A yearly limit of 900.00: each claim alone stays below it, all three together do not."""

    async def story(world: World) -> None:
        one = pass_contract(world.network, release(world, 8_000))
        certificate = await commit(world, product_hash=one)
        for number, total in enumerate(TOTALS, 1):
            await pay(world, certificate, number, total)
        tables = product(5_000, annual_limit_fen=90_000)
        two = propose_contract(world.network, release(world, 0, tables, supersedes=one, ahead=2)).results[0].subject
        house = world.houses["insurer"]
        shares = [share(total, 5_000) for total in TOTALS]
        assert (shares[0] < 90_000, sum(shares[:2]) > 90_000) == (True, True)

        recorded = await report_of(house, identifier=two)
        used = [0, share(TOTALS[0], 8_000), share(TOTALS[0], 8_000) + share(TOTALS[1], 8_000)]
        expected = [min(paid, max(0, 90_000 - before)) for paid, before in zip(shares, used, strict=True)]
        assert recorded["totals"][0]["sum_new_fen"] == sum(expected)
        assert recorded["prior_use"] == "recorded"

        compounded = await report_of(house, identifier=two, compound=True)
        assert (compounded["totals"][0]["sum_new_fen"], compounded["compound_breaks"]) == (90_000, 0)
        assert compounded["prior_use"] == "compounded"
        assert sum(expected) != 90_000
        assert compounded["reasons_added"]["IP/ANNUAL_LIMIT"] == 2

    run(story)


def test_where_something_else_moved_an_account_the_recorded_use_counts_again(run: Callable[[Story], None]) -> None:
    """The second claim is left out of the backtest: the third begins with what it had in earnest."""

    async def story(world: World) -> None:
        one = pass_contract(world.network, release(world, 8_000))
        certificate = await commit(world, product_hash=one)
        wallets = [await pay(world, certificate, number, total) for number, total in enumerate(TOTALS, 1)]
        await world.houses["hospital"].relay_token(make_revocation(wallets[1]))
        await world.settle()
        texts = texts_of(product(5_000, annual_limit_fen=90_000))
        report = await report_of(world.houses["insurer"], texts=texts, product="TEST", compound=True)
        before = share(TOTALS[0], 8_000) + share(TOTALS[1], 8_000)
        third = min(share(TOTALS[2], 5_000), max(0, 90_000 - before))
        assert report["compound_breaks"] == 1
        assert report["totals"][0]["sum_new_fen"] == share(TOTALS[0], 5_000) + third

    run(story)


def test_all_policies_of_a_claim_are_decided_by_one_program(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        two = [await commit(world, product=product(3_000, code), terms={"policy_no": code}) for code in ("A", "B")]
        wallet = await world.grant(*two)
        bill = invoice(1, TOTALS[0], TODAY, TODAY, code="33060123")
        await world.publish(wallet, admission(TODAY))
        await world.publish(wallet, discharge(TODAY, TODAY), bill, charges(TOTALS[0]))
        assert len(world.claim(wallet).policies) == 2
        house = world.houses["insurer"]
        report = await report_of(house, texts=texts_of(product(2_000, "A")))
        changed = share(TOTALS[0], 2_000) - share(TOTALS[0], 3_000)
        assert (report["claims"], report["policies"], report["changed"]) == (1, 2, 1)
        assert [item["difference_fen"] for item in report["worst"]] == [changed]
        files = dict(standard_program().files)
        other = build_bundle(files | {"program.star": files["program.star"] + "# Second edition.\n"})
        report = await report_of(house, texts=texts_of(product(2_000, "A"), other))
        assert report["failed"]["codes"] == {"PROGRAMS_DIFFER": 1}

    run(story)


def test_which_claims_are_run(run: Callable[[Story], None]) -> None:
    """By time, number and product code; not those of a revoked consent, nor one that was not decided here."""

    async def story(world: World) -> None:
        certificate = await commit(world, product=product(8_000))
        first = await pay(world, certificate, 1, TOTALS[0])
        await world.wait(1_000)
        second = await pay(world, certificate, 2, TOTALS[1])
        open_one = await world.grant(certificate)
        await world.publish(open_one, admission(TODAY))
        house = world.houses["insurer"]
        texts = texts_of(product(5_000, "NEW"))

        nothing = await report_of(house, texts=texts)
        assert (nothing["claims"], nothing["skipped"]) == (0, {"not_decided": 1, "other_product": 2})
        whole = await report_of(house, texts=texts, product="TEST")
        assert (whole["claims"], whole["release"]["chosen_code"]) == (2, "TEST")
        latest = await report_of(house, texts=texts, product="TEST", limit=1, worst=0)
        assert (latest["claims"], latest["limited"], latest["worst"]) == (1, True, [])
        decided = world.claim(second).decided_ms or 0
        late = await report_of(house, texts=texts, product="TEST", since_ms=decided)
        assert [item["claim_id"] for item in late["worst"]] == [world.claim_id(second)]

        await world.houses["hospital"].relay_token(make_revocation(first))
        await world.settle()
        after = await report_of(house, texts=texts, product="TEST")
        assert (after["claims"], after["skipped"]["revoked"]) == (1, 1)
        other = await report_of(world.houses["tpa"], texts=texts, product="TEST")
        assert (other["claims"], other["skipped"]["revoked"]) == (1, 1)

        work = house.ports.vault
        kept = work.get_secret(f"proposal/{world.claim_id(second)}")
        kept["package"]["policies"][0]["result"]["result"]["total_fen"] += 1
        work.put_secret(f"proposal/{world.claim_id(second)}", kept)
        assert (await report_of(house, texts=texts, product="TEST"))["skipped"]["not_held"] == 1

    run(story)


def test_a_version_that_cannot_decide_is_reported_with_its_codes(
    run: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: World) -> None:
        certificate = await commit(world, product=product(8_000))
        for number, total in enumerate(TOTALS, 1):
            await pay(world, certificate, number, total)
        house = world.houses["insurer"]
        files = dict(standard_program().files)
        endless = build_bundle(files | {"program.star": "def adjudicate(case, trace):\n    fail('no')\n"})
        report = await report_of(house, texts=texts_of(product(5_000), endless))
        assert (report["claims"], report["failed"]["claims"], report["totals"]) == (0, 3, [])
        assert sum(report["failed"]["codes"].values()) == 3

        monkeypatch.setattr("node.agents.backtesting.MAX_FAILURES", 2)
        view = await backtest(house, Order(texts=texts_of(product(5_000), endless)))
        assert (view["done"], view["total"], view["report"]["stopped"]) == (2, 3, "failures")
        monkeypatch.setattr("node.agents.backtesting.MAX_FAILURES", 200)
        tables = product(5_000)
        tables["plans"] = {"OTHER": tables["plans"]["STD"]}
        lacking = await report_of(house, texts=texts_of(read_product(tables)))
        assert lacking["failed"]["codes"] == {"DOCUMENT_FORM": 3}

        unloadable = build_bundle({"program.star": "def adjudicate(case):\n    while True:\n        pass\n"})
        view = await backtest(house, Order(texts=texts_of(product(5_000), unloadable)))
        assert view["status"] == "failed"
        assert view["report"] is None
        view = await backtest(house, Order(texts=Texts("{}", "{}", "[]", "")))
        assert (view["status"], view["code"]) == ("failed", "unfit")
        monkeypatch.setattr("node.agents.backtesting.JOB_SECONDS", 0.0)
        view = await backtest(house, Order(texts=texts_of(product(5_000))))
        assert (view["status"], view["report"]["stopped"]) == ("done", "time")
        with pytest.raises(CandidateRefused):
            house.backtester.start(Order(identifier="ab" * 32))

    run(story)


def test_one_backtest_at_a_time_and_it_can_be_ended(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        house = world.houses["insurer"]
        order = Order(texts=texts_of(product(5_000)))
        job_id = house.backtester.start(order)
        with pytest.raises(Unavailable):
            house.backtester.start(order)
        for turns in (0, 1, 5):
            for _ in range(turns):
                await asyncio.sleep(0)
            house.backtester.cancel(job_id)
            await house.backtester.finish(job_id)
            view = house.backtester.view(job_id)
            assert view is not None
            assert (view["status"], view["report"]) == ("cancelled", None)
            job_id = house.backtester.start(order)
        house.backtester.cancel(job_id)
        await house.backtester.finish(job_id)
        for _ in range(9):
            assert (await backtest(house, order))["status"] == "done"
        assert house.backtester.view(job_id) is None, "old reports make room"

    run(story)


async def run_shadows(world: World) -> None:
    """Until no shadow run is open anywhere."""
    for house in world.houses.values():
        for _ in range(20):
            await world.settle()
            await house.shadow.finish()
        assert house.ports.vault.work.open_items("shadow") == ()


def test_shadow_runs_beside_what_is_decided_and_changes_nothing(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        one = pass_contract(world.network, release(world, 8_000))
        certificate = await commit(world, product_hash=one)
        before = await pay(world, certificate, 1, TOTALS[0])
        two = propose_contract(world.network, release(world, 5_000, supersedes=one, ahead=2)).results[0].subject
        assert two is not None
        for name in ("insurer", "tpa", "hospital"):
            await world.houses[name].shadow.switch(two)
        wallets = [await pay(world, certificate, number, total) for number, total in enumerate(TOTALS[1:], 2)]
        other = await commit(world, product=product(9_000, "OTHER"))
        foreign = await pay(world, other, 9, 200_000)
        await run_shadows(world)

        for name in ("insurer", "tpa"):
            view = await world.houses[name].shadow.view(0, 100, 20)
            assert view["setting"]["release"] == two
            assert "texts" not in view["setting"]
            assert {item["claim_id"]: item["status"] for item in view["items"]} == {
                world.claim_id(wallets[0]): "changed",
                world.claim_id(wallets[1]): "changed",
                world.claim_id(foreign): "skipped",
            }, "what was decided before is not run"
            summary = view["summary"]
            assert (summary["claims"], summary["failed"], summary["skipped"]) == (2, 0, 1)
            assert summary["totals"][0] == {
                "currency": "CNY",
                "sum_old_fen": sum(share(total, 8_000) for total in TOTALS[1:]),
                "sum_new_fen": sum(share(total, 5_000) for total in TOTALS[1:]),
                "difference_fen": sum(share(total, 5_000) - share(total, 8_000) for total in TOTALS[1:]),
            }
        assert world.houses["hospital"].shadow.list_results() == [], "a stranger to the decision has nothing to run"
        for wallet, total in zip([before, *wallets], TOTALS, strict=True):
            assert world.detail(wallet)["amount_fen"] == share(total, 8_000)

        await world.houses["insurer"].shadow.switch(None)
        await pay(world, certificate, 4, TOTALS[0])
        await run_shadows(world)
        assert len(world.houses["insurer"].shadow.list_results()) == 3
        assert (await world.houses["insurer"].shadow.view(0, 100, 20))["setting"] is None

    run(story)


def test_a_shadow_that_fails_touches_no_claim(run: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        one = pass_contract(world.network, release(world, 8_000))
        certificate = await commit(world, product_hash=one)
        broken = build_bundle({"program.star": "def adjudicate(case, trace):\n    fail('no')\n"})
        change = release(world, 8_000, bundle=broken, supersedes=one, ahead=2)
        two = propose_contract(world.network, change).results[0].subject
        house = world.houses["insurer"]
        await house.shadow.switch(two)
        wallet = await pay(world, certificate, 1, TOTALS[0])
        await run_shadows(world)
        (item,) = house.shadow.list_results()
        assert (item["status"], item["claim_id"], item["policies"]) == ("failed", world.claim_id(wallet), [])
        assert item["code"]

        async def fault(*_: Any) -> Any:
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(house.shadow, "_trials_of", fault)
        second = await pay(world, certificate, 2, TOTALS[1])
        await run_shadows(world)
        assert house.shadow.list_results()[1]["code"] == "internal"
        for paid, total in ((wallet, TOTALS[0]), (second, TOTALS[1])):
            assert world.detail(paid)["amount_fen"] == share(total, 8_000)
            assert world.detail(paid)["human_steps"] == 0
        assert (await house.shadow.view(0, 100, 20))["summary"]["failed"] == 2

        with pytest.raises(CandidateRefused):
            await house.shadow.switch("ab" * 32)
        assert (house.shadow.setting() or {})["release"] == two, "a switch that is refused changes nothing"

    run(story)
