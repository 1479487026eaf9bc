"""What a dossier carries beside its own history, and that nothing in it can be doubled, emptied or moved unseen."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from contracts.machine.evaluation import load_program
from node.audit.build import build_dossier
from node.audit.dossier import Dossier, encode_dossier
from node.audit.programs import find_program
from node.audit.report import AuditFailure
from node.audit.verify import Verification, read_trust, verify_dossier
from tests.support.agent_world import World, admission, charges, discharge, invoice
from tests.support.ledger_source import MemorySource


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("bindings"))


def build_world(folder: Path) -> World:
    """Two insurers in every consent; the second case's first invoice is unsound and is replaced."""
    world = World(folder)

    async def story() -> None:
        first, second = await world.commit_policy("insurer"), await world.commit_policy("insurer-two")
        for number in (1, 2):
            wallet = await world.grant(first, second)
            await world.publish(wallet, admission())
            name, sound = invoice(number)
            if number == 2:
                _, unsound = invoice(number, check_code="")
                await world.publish(wallet, (name, unsound | {"payer_name": ""}))
            await world.publish(wallet, discharge(), (name, sound), charges())
            await world.acknowledge(wallet)
        world.wallet = wallet  # type: ignore[attr-defined]

    asyncio.run(story())
    return world


def dossier_of(world: World, insurer: str) -> Dossier:
    claim_id = world.claim_id(world.wallet, insurer)  # type: ignore[attr-defined]
    material = world.houses[insurer].discloser.dossier_material(claim_id)
    return build_dossier(MemorySource(world.network), claim_id, material)


def verify(world: World, dossier: Dossier) -> Verification:
    trust = read_trust(world.network.genesis_bytes)

    def run(contract_hash: str, case_text: str) -> tuple[str, str]:
        done = load_program(find_program(trust, contract_hash)).explain(case_text)
        return done.result, done.trace or "[]"

    return verify_dossier(encode_dossier(dossier), trust, run)


def failure(world: World, dossier: Dossier) -> tuple[int, str]:
    with pytest.raises(AuditFailure) as caught:
        verify(world, dossier)
    return caught.value.number, caught.value.code


@pytest.mark.parametrize("insurer", ["insurer", "insurer-two"])
def test_claims_of_one_case_under_two_insurers_are_proved(world: World, insurer: str) -> None:
    """The consent reads the other's policy, the verdict of the second rank the claim of the first: both are carried."""
    dossier = dossier_of(world, insurer)
    verified = verify(world, dossier)
    assert {check.outcome for check in verified.checks} == {"proved"}
    assert "policy" in {item.key.partition("/")[0] for item in dossier.carried}


def test_nothing_can_be_doubled_or_moved_unseen(world: World) -> None:
    """A second item under one name would be the only one looked at; the other could say anything."""
    dossier = dossier_of(world, "insurer")
    carried, policy = dossier.carried, dossier.policies[0]
    false_value = replace(carried[0], value={"said": "anything"})
    false_policy = replace(policy, result={"said": "anything"})
    cases = {
        (8, "order"): replace(dossier, carried=(false_value, *carried)),
        (10, "order"): replace(dossier, policies=(false_policy, policy)),
        (6, "order"): replace(dossier, transactions=dossier.transactions[::-1]),
    }
    for expected, changed in cases.items():
        assert failure(world, changed) == expected


def test_an_empty_payment_is_not_called_proved(world: World) -> None:
    dossier = dossier_of(world, "insurer")
    emptied = replace(dossier, payments=(replace(dossier.payments[0], order=None, settlement=None),))
    assert [check.number for check in verify(world, emptied).checks if check.outcome != "proved"] == [12]
