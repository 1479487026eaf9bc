"""An outcome taken back after a reversal: its dossier says so to both verifiers, and the account is free again."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from contracts.cases.movements import Balance, read_balance, reservation_of, sum_paid, take_back
from contracts.cases.openings import open_account
from contracts.states import read_account
from node.agents.pooling import find_pool
from node.agents.restoring import amendment_of, restored_pool
from node.audit.build import build_dossier
from node.audit.dossier import Dossier, encode_dossier
from node.wallet import ConsentWallet
from tests.second_verifier.test_agreement import REFUSED, first_answer, second_answer
from tests.support.agent_world import World, admission, discharge, invoice
from tests.support.ledger_source import MemorySource


async def pay(world: World, certificate: dict[str, Any], number: int) -> ConsentWallet:
    wallet = await world.grant(certificate)
    await world.publish(wallet, admission())
    await world.publish(wallet, discharge(), invoice(number))
    assert await world.acknowledge(wallet) == 1
    assert world.claim(wallet).status == "CLOSED"
    return wallet


async def restore(world: World, wallet: ConsentWallet, account_id: str) -> Balance:
    """What the insurer proposes and the co-adjudicator endorses after a red invoice."""
    agent = world.houses["insurer"].insurer
    state = read_account(world.network.state.read, account_id)
    assert agent is not None
    assert state is not None
    payout_id = world.claim(wallet).payouts[0]
    package = agent.decider.proposal(world.claim_id(wallet))
    assert package is not None
    held = reservation_of(read_balance(package.policies[0].account_out), payout_id)
    assert held is not None
    now = read_balance(agent.book.account(account_id, state.version))
    after = take_back(now, payout_id, held.effect)
    opening = open_account(account_id, state.version + 1, after, "5a" * 32)
    pool = find_pool(agent.ports, wallet.case_id)
    assert pool is not None
    body = amendment_of(opening, restored_pool(wallet.case_id, pool, payout_id, "5b" * 32), payout_id)
    assert world.network.do("account.amend", body, "insurer", ["tpa"]).code == "ok"
    agent.book.keep_account(opening)
    await world.settle()
    return after


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("world"))

    async def story() -> None:
        certificate = await world.commit_policy()
        wallets = [await pay(world, certificate, number) for number in (1, 2)]
        after = await restore(world, wallets[0], certificate["account_id"])
        assert sum_paid(after.use) == 135_334, "the second claim's money stays"
        assert [item.payout_id for item in after.reserved] == list(world.claim(wallets[1]).payouts)
        wallets.append(await pay(world, certificate, 3))
        world.claims = [world.claim_id(wallet) for wallet in wallets]  # type: ignore[attr-defined]

    asyncio.run(story())
    return world


def tell(world: World, position: int) -> Dossier:
    claim_id = world.claims[position]  # type: ignore[attr-defined]
    material = world.houses["insurer"].discloser.dossier_material(claim_id)
    return build_dossier(MemorySource(world.network), claim_id, material)


def answers(world: World, dossier: Dossier) -> list[Any]:
    data, genesis = encode_dossier(dossier), world.network.genesis_bytes
    return [first_answer(data, genesis), second_answer(data, genesis)]


@pytest.mark.parametrize("position", [0, 1, 2], ids=["taken back", "before", "after"])
def test_both_verifiers_prove_the_whole_claim(world: World, position: int) -> None:
    first, second = answers(world, tell(world, position))
    assert first == second
    assert first[2] == [9, 10, 11, 12]
    assert [result["net_fen"] for result in first[3]] == [135_334]


def test_a_dossier_cannot_hide_that_the_payout_was_taken_back(world: World) -> None:
    dossier = tell(world, 0)
    kinds = [transaction["kind"] for transaction in dossier.transactions]
    assert kinds[-1] == "account.amend"
    hidden = replace(dossier, transactions=dossier.transactions[:-1])
    shortened = replace(hidden, entries=tuple(item for item in dossier.entries if item.entry.kind != "account.amend"))
    for spoilt in (hidden, shortened):
        assert answers(world, spoilt) == [REFUSED, REFUSED]


def test_the_insurer_sees_what_was_taken_back(world: World) -> None:
    agent = world.houses["insurer"].insurer
    assert agent is not None
    states = [agent.claim_detail(claim_id)["payouts"][0]["account"] for claim_id in world.claims]  # type: ignore[attr-defined]
    assert states == ["restored", "captured", "captured"]
