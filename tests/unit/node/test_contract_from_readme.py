"""A product written from the README alone is checked, proposed, voted, in force and pays a claim; no Python changed."""

import asyncio
import re
from pathlib import Path
from typing import Any

from contracts.bodies import ContractRelease
from contracts.catalogue import read_line
from contracts.genesis import Parameters
from contracts.products.release import Release, read_product_folder
from contracts.states import ProposalState, read_state
from node.machine.programs import standard_program
from tests.support.agent_world import World, admission, charges, discharge, invoice, standard_policy
from tests.support.contract_releases import day, propose_contract
from tests.support.governance import VOTERS, vote
from tests.support.network_builder import DAY_MS

README = Path(__file__).resolve().parents[3] / "contracts" / "products" / "README.md"
BLOCK = re.compile(r"`outpatient-80/([^`]+)`[^`]*?\n\n```[a-z]+\n(.*?)```", re.DOTALL)
NOTICE_DAYS = 2
VISIT = "2023-11-20"
PAID_FEN = 20_040
"""(350.50 - 100.00) x 80 %, as the README works it out."""


def folder() -> dict[str, bytes]:
    return {name: content.encode() for name, content in BLOCK.findall(README.read_text(encoding="utf-8"))}


def as_change(world: World, release: Release, ahead: int, supersedes: str | None = None) -> ContractRelease:
    return ContractRelease(
        product_code=release.product_code,
        title=release.title,
        program=release.program_text,
        tables=release.tables_text,
        examples=release.examples_text,
        contract_hash=release.contract_hash,
        tables_hash=release.tables_hash,
        supersedes=supersedes,
        effective_ms=day(world.network, ahead),
    )


async def decide(world: World, change: ContractRelease) -> None:
    """Propose; every voter's own node has checked it before it votes."""
    proposal = propose_contract(world.network, change)
    for _ in range(2):
        await world.settle()
        await asyncio.sleep(0)
        world.clock_ms += 60_000
    await world.settle()
    name = proposal.results[0].subject or ""
    for voter in VOTERS:
        report = world.houses[voter].examiner.report(name)
        assert report is not None
        assert report["ok"], report
        assert vote(world.network, proposal, voter).code == "ok"
    state = read_state(world.network.state.read, ProposalState, name)
    assert state is not None
    assert state.passed_height is not None


def policy(product_hash: str) -> dict[str, Any]:
    found = standard_policy("insurer")
    periods = [{"id": "2023", "start": "2023-01-01", "end": "2023-12-31", "plan": "A"}]
    terms = found["terms"] | {"first_effective": "2023-01-01", "periods": periods}
    del found["product"]
    return found | {"terms": terms, "product_hash": product_hash}


def visit(number: int, date: str, total: int = 35_050) -> list[tuple[str, dict[str, Any]]]:
    """One visit, everything within the catalogue, nothing paid by others."""
    kind, bill = invoice(number, total, date, date, code="33010123", type="outpatient", visit_date=date)
    bill = {name: value for name, value in bill.items() if not name.startswith(("admission", "discharge", "inpatient"))}
    items = [{"name": "诊疗", "code": "S1", "class": "A", "self_ratio_bp": 0, "amount_fen": total}]
    sums = {"pooled_fund_fen": 0, "cash_fen": total, "self_pay_fen": total, "self_funded_fen": 0, "items": items}
    return [discharge(date, date), (kind, bill | sums), charges(total)]


def test_a_product_from_the_readme_alone_pays_a_claim_and_its_successor_does_not_reach_back(tmp_path: Path) -> None:
    async def story() -> None:
        world = World(tmp_path, parameters=Parameters(contract_notice_days=NOTICE_DAYS))
        release = read_product_folder(folder(), standard_program())
        assert release.product_code == "OUTPATIENT-80"
        await decide(world, as_change(world, release, NOTICE_DAYS))
        line = read_line(world.network.state.read, release.product_hash)
        assert line is not None
        assert not line.versions[0].is_active(world.network.now_ms), "notice is given"
        await world.wait(NOTICE_DAYS * DAY_MS)
        assert line.versions[0].is_active(world.network.now_ms)

        _, (certificate,) = await world.houses["insurer"].commit_policies([policy(release.product_hash)])
        await world.settle()
        wallets = []
        for _ in range(2):
            wallet = await world.grant(certificate)
            await world.publish(wallet, admission(VISIT))
            wallets.append(wallet)

        await world.wait(4 * DAY_MS)
        await world.publish(wallets[0], *visit(1, VISIT))
        await world.acknowledge(wallets[0])
        assert world.detail(wallets[0])["amount_fen"] == PAID_FEN
        assert world.claim(wallets[0]).status == "CLOSED"

        files = folder()
        files["ratios.csv"] = files["ratios.csv"].replace(b"80", b"50")
        files = {name: data for name, data in files.items() if not name.startswith("examples/")}
        files["examples/one.json"] = folder()["examples/one-visit.json"].replace(b"20040", b"12525")
        later = read_product_folder(files, standard_program())
        await decide(world, as_change(world, later, NOTICE_DAYS, supersedes=release.product_hash))
        await world.wait(5 * DAY_MS)
        await world.publish(wallets[1], *visit(2, VISIT))
        await world.acknowledge(wallets[1])
        assert world.detail(wallets[1])["amount_fen"] == PAID_FEN, "reported before the change: decided as before"

    asyncio.run(story())
