"""Ten claims at once on one account with a limit: nothing is spent twice, and each that waits or gets less says why."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from contracts.cases.movements import read_balance, sum_paid, sum_reserved
from contracts.states import read_account
from node.wallet import ConsentWallet
from tests.support.agent_world import World, admission, discharge, invoice, standard_policy, standard_product

CLAIMS = 10
LIMIT_FEN = 400_000
EACH_FEN = 105_334
"""What the standard stay pays for expenses: three of ten fit, the fourth gets what is left."""


def limited_policy() -> dict[str, Any]:
    product = standard_product()
    plan = product["plans"]["STD"]
    plan["benefits"] = {"IP": plan["benefits"]["IP"] | {"annual_limit_fen": LIMIT_FEN}}
    return standard_policy("insurer") | {"product": product | {"benefit_order": ["IP"]}}


async def race(world: World) -> tuple[dict[str, Any], list[ConsentWallet], Counter[str]]:
    """Ten stays of one policy, admitted in one block and discharged in one block."""
    certificate = await world.commit_policy(**limited_policy())
    wallets = [await world.grant(certificate) for _ in range(CLAIMS)]
    hospital = world.houses["hospital"]
    for wallet in wallets:
        await hospital.publish(wallet.consent_id, [admission()])
    await world.settle()
    put_off = Counter(str(world.detail(wallet)["waiting_for"]) for wallet in wallets)
    for number, wallet in enumerate(wallets, 1):
        await hospital.publish(wallet.consent_id, [discharge(), invoice(number)])
    await world.settle()
    return certificate, wallets, put_off


def balance_of(world: World, certificate: dict[str, Any]) -> Any:
    agent, account = world.houses["insurer"].insurer, read_account(world.network.state.read, certificate["account_id"])
    assert agent is not None
    assert account is not None
    return read_balance(agent.book.account(certificate["account_id"], account.version))


def test_ten_claims_at_once_spend_the_limit_once(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        world.bank_open = False  # everything stays reserved: the hardest time for a limit
        certificate, wallets, put_off = await race(world)
        refused = [item for one in world.outcomes.values() for item in one.receipt.results if item.code != "ok"]
        claims = {world.claim_id(wallet) for wallet in wallets}
        assert refused, "two asked for the lease in one block"
        assert {(item.code, item.subject in claims) for item in refused} == {("ACCOUNT_LEASED", True)}
        assert put_off == {"EVIDENCE": 1, "ACCOUNT_LEASED": CLAIMS - 1}, "one holds the lease, the others say so"
        await world.wait(10_000)
        assert {world.claim(wallet).status for wallet in wallets} == {"DECIDED", "CLOSED"}
        held = balance_of(world, certificate)
        assert sum_paid(held.use) == sum_reserved(held) == LIMIT_FEN
        details = [world.detail(wallet) for wallet in wallets]
        assert sorted(detail["amount_fen"] for detail in details) == [0] * 6 + [
            LIMIT_FEN - 3 * EACH_FEN,
            EACH_FEN,
            EACH_FEN,
            EACH_FEN,
        ]
        reasons = Counter(reason for detail in details for reason in detail["results"][0]["benefits"][0]["reasons"])
        assert reasons == {"ANNUAL_LIMIT": CLAIMS - 3}, "who gets less is told why"
        world.bank_open = True
        await world.wait(700_000)
        for wallet in wallets:
            await world.acknowledge(wallet)
        payouts = [payout for wallet in wallets for payout in world.detail(wallet)["payouts"]]
        assert sum(payout["actual_fen"] or 0 for payout in payouts) == LIMIT_FEN
        assert Counter(payout["account"] for payout in payouts) == {"captured": 4, "nothing": 6}
        assert {world.claim(wallet).status for wallet in wallets} == {"CLOSED"}

    asyncio.run(story())
