"""Releases of a claim contract in the agents' hands: the version of the event's day decides, and dossiers carry it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.bodies import ContractRelease
from contracts.genesis import Parameters
from contracts.machine.bundle import ProgramBundle, build_bundle
from contracts.machine.evaluation import load_program
from contracts.product import read_product
from ledger.encoding import encode
from node.agents.policies import PolicyRefused
from node.audit.build import build_dossier
from node.audit.dossier import Dossier, encode_dossier
from node.audit.programs import carried_programs, find_program
from node.audit.report import AuditFailure
from node.audit.verify import Verification, read_trust, verify_dossier
from node.machine.programs import standard_program
from node.wallet import ConsentWallet
from tests.support.agent_world import World, admission, charges, discharge, invoice, standard_policy, standard_product
from tests.support.contract_releases import make_release, pass_contract
from tests.support.ledger_source import MemorySource
from tests.support.network_builder import DAY_MS

TODAY = "2023-11-15"
IN_FOUR_DAYS = "2023-11-19"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, parameters=Parameters(contract_notice_days=0))


def other_program() -> ProgramBundle:
    """The standard program in other words: another hash, the same results."""
    files = dict(standard_program().files)
    return build_bundle(files | {"program.star": files["program.star"] + "# Second edition.\n"})


def product(ratio_bp: int) -> dict[str, Any]:
    tables = standard_product()
    tables["plans"]["STD"]["benefits"]["IP"]["ratios"] = [{"ratio_bp": ratio_bp}]
    tables["plans"]["STD"]["benefits"].pop("AL")
    return read_product(tables | {"benefit_order": ["IP"]})


def release(world: World, ratio_bp: int, bundle: ProgramBundle, **changes: Any) -> ContractRelease:
    from contracts.identifiers import derive_tables_hash

    tables = product(ratio_bp)
    fields = {"tables": encode(tables).decode(), "tables_hash": derive_tables_hash(tables), "product_code": "TEST"}
    return make_release(world.network, bundle=bundle, **(fields | changes))


def policy(product_hash: str, **changes: Any) -> dict[str, Any]:
    """In force in 2023 and 2024, under a release."""
    found = standard_policy("insurer")
    years = (2023, 2024)
    periods = [{"id": str(year), "start": f"{year}-01-01", "end": f"{year}-12-31", "plan": "STD"} for year in years]
    del found["product"]
    return found | {"terms": found["terms"] | {"periods": periods}, "product_hash": product_hash} | changes


async def commit(world: World, product_hash: str) -> dict[str, Any]:
    house = world.houses["insurer"]
    _, certificates = await house.commit_policies([policy(product_hash)])
    await world.settle()
    return certificates[0]


async def finish(world: World, wallet: ConsentWallet, number: int, date: str) -> int | None:
    """The rest of a stay of one day; returns what was paid, in fen."""
    bill = invoice(number, 200_000, date, date, code="33060123")
    await world.publish(wallet, discharge(date, date), bill, charges(200_000))
    await world.acknowledge(wallet)
    amount: int | None = world.detail(wallet)["amount_fen"]
    return amount


def dossier_of(world: World, wallet: ConsentWallet) -> Dossier:
    claim_id = world.claim_id(wallet)
    disclosed = world.houses["insurer"].discloser.dossier_material(claim_id)
    return build_dossier(MemorySource(world.network), claim_id, disclosed)


def verify(world: World, dossier: Dossier, *, with_programs: bool = True) -> Verification:
    data = encode_dossier(dossier)
    trust = read_trust(world.network.genesis_bytes)
    carried = carried_programs(data) if with_programs else {}

    def run(contract_hash: str, case_text: str) -> tuple[str, str]:
        done = load_program(find_program(trust, contract_hash, carried)).explain(case_text)
        return done.result, done.trace or "[]"

    return verify_dossier(data, trust, run)


def base_of(total: int = 200_000) -> int:
    """What the test invoice leaves to the insurer: without the pooled third and 50.00 outside the catalogue."""
    return total - total // 3 - 5_000


def share(ratio_bp: int) -> int:
    return (base_of() * ratio_bp * 2 + 10_000) // 20_000


def test_each_claim_is_decided_by_the_release_of_its_day(world: World) -> None:
    async def story() -> None:
        one = pass_contract(world.network, release(world, 8_000, standard_program(), ahead=0))
        certificate = await commit(world, one)
        early = await world.grant(certificate)
        await world.publish(early, admission(TODAY))
        two = pass_contract(world.network, release(world, 5_000, other_program(), ahead=2, supersedes=one))
        await world.wait(5 * DAY_MS)
        assert await finish(world, early, 1, TODAY) == share(8_000), (
            "reported before: the first release alone is pinned"
        )

        late_report = await world.grant(certificate)
        await world.publish(late_report, admission(TODAY))
        assert await finish(world, late_report, 2, TODAY) == share(8_000), "both are pinned, the day is the first one's"

        late_event = await world.grant(certificate)
        await world.publish(late_event, admission(IN_FOUR_DAYS))
        assert await finish(world, late_event, 3, IN_FOUR_DAYS) == share(5_000)

        for wallet, carried in ((early, 0), (late_report, 0), (late_event, 1)):
            assert world.claim(wallet).status == "CLOSED"
            dossier = dossier_of(world, wallet)
            assert len(dossier.programs or ()) == carried
            assert [check.outcome for check in verify(world, dossier).checks] == ["proved"] * 12
        assert two != one

    asyncio.run(story())


def test_a_dossier_carries_exactly_the_programs_of_its_verdict(world: World) -> None:
    from msgspec.structs import replace

    async def story() -> None:
        one = pass_contract(world.network, release(world, 8_000, other_program(), ahead=0))
        wallet = await world.grant(await commit(world, one))
        await world.publish(wallet, admission(TODAY))
        assert await finish(world, wallet, 1, TODAY) == share(8_000)
        dossier = dossier_of(world, wallet)
        assert dossier.programs is not None
        spoilt = [
            replace(dossier, programs=None),
            replace(dossier, programs=(*dossier.programs, *dossier.programs)),
            replace(dossier, programs=(dossier.programs[0].replace("Second", "Third"),)),
            replace(dossier, programs=("{}",)),
            replace(dossier, programs=("no json",)),
        ]
        for item in spoilt:
            with pytest.raises(AuditFailure) as caught:
                verify(world, item)
            assert (caught.value.number, caught.value.code) == (11, "programs")
        with pytest.raises(AuditFailure) as caught:
            verify(world, dossier, with_programs=False)
        assert caught.value.code == "unknown_program"

    asyncio.run(story())


def test_a_co_adjudicator_refuses_another_version_than_that_of_the_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The insurer picks the release that pays less; its own node is the only one that would."""
    monkeypatch.setattr("node.agents.rulebook.choose_version", lambda pinned, date: pinned[-1])

    async def story() -> None:
        one = pass_contract(world.network, release(world, 8_000, standard_program(), ahead=0))
        certificate = await commit(world, one)
        pass_contract(world.network, release(world, 5_000, standard_program(), ahead=2, supersedes=one))
        await world.wait(5 * DAY_MS)
        wallet = await world.grant(certificate)
        await world.publish(wallet, admission(TODAY))
        assert await finish(world, wallet, 1, TODAY) is None or world.claim(wallet).status == "EVIDENCE_COMPLETE"
        adjudicator = world.houses["tpa"].adjudicator
        assert adjudicator is not None
        assert adjudicator.refusals(world.claim_id(wallet)) == ["VERSION_NOT_IN_FORCE"]

    asyncio.run(story())


def test_a_policy_names_a_release_of_its_insurer(world: World) -> None:
    async def story() -> None:
        one = pass_contract(world.network, release(world, 8_000, other_program(), ahead=0))
        certificate = await commit(world, one)
        assert certificate["tables"] == product(8_000)
        cases = [
            ("insurer-two", policy(one)),
            ("insurer", policy("ab" * 32)),
            ("insurer", policy(one, product=product(8_000))),
            ("insurer", policy(one, contract_hash=certificate["contract_hash"])),
        ]
        for insurer, wrong in cases:
            with pytest.raises(PolicyRefused) as caught:
                await world.houses[insurer].commit_policies([wrong])
            assert caught.value.code == "product"
        loose = standard_policy("insurer") | {"contract_hash": certificate["contract_hash"]}
        with pytest.raises(PolicyRefused) as caught:
            await world.houses["insurer"].commit_policies([loose])
        assert caught.value.code == "program", "a release's program decides for its own tables only"

    asyncio.run(story())
