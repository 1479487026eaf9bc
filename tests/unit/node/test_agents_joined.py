"""Parties whose ledger begins with a snapshot (the vault was kept) go on with their open work, in memory.

The blocks in between, with their events and receipts, are never seen: what is open follows from state.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.states import read_payout
from node.agents.agent import Agent
from node.wallet import ConsentWallet
from tests.support.agent_world import World, admission, charges, discharge, invoice


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def _pay(world: World, wallet: ConsentWallet) -> None:
    await world.wait(60_000)
    await world.acknowledge(wallet)
    claim = world.claim(wallet)
    assert claim.status == "CLOSED"
    payout = read_payout(world.network.state.read, claim.payouts[0])
    assert payout is not None
    assert payout.status == "PAID"


async def _evidence(world: World, wallet: ConsentWallet) -> None:
    await world.publish(wallet, discharge(), invoice(), charges())


async def _miss(world: World, name: str, wallet: ConsentWallet, work: Any) -> None:
    """`name` is away while the others work; then it joins at the height that they reached."""
    world.down.add(name)
    await work(world, wallet)
    world.down.discard(name)
    world.join(name)
    await world.settle()


def test_an_insurer_that_joined_pays_a_claim_it_had_accepted(world: World) -> None:
    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        await world.publish(wallet, admission())
        assert world.claim(wallet).status == "FILED"
        await _miss(world, "insurer", wallet, _evidence)
        await _pay(world, wallet)

    asyncio.run(story())


def test_an_insurer_that_joined_takes_a_claim_it_never_heard_of(world: World) -> None:
    async def report(world: World, wallet: ConsentWallet) -> None:
        await world.publish(wallet, admission())
        assert world.claim(wallet).status == "REPORTED"

    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        await _miss(world, "insurer", wallet, report)
        assert world.claim(wallet).status == "FILED"
        await _evidence(world, wallet)
        await _pay(world, wallet)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("name", "every"), [("insurer", 1), ("commission", 1), ("hospital", 1), ("tpa", 1), ("insurer", 2)]
)
def test_who_joins_again_and_again_loses_no_receipt(world: World, name: str, every: int) -> None:
    """The ledger is lost directly after a block with this party's own transactions: they are final, their receipts are
    in no block that it has. Nothing is said twice that the ledger took."""

    async def story() -> None:
        certificate = await world.commit_policy()
        wallet = await world.grant(certificate)
        rounds = 0

        async def work() -> None:
            nonlocal rounds
            still = 0
            while still < 4:
                if await world.tick():
                    still = 0
                    rounds += 1
                    if rounds % every == 0:
                        world.join(name)
                else:
                    still += 1
                    world.network.wait(2_000)
                    world.clock_ms += 2_000
                assert rounds < 200

        for documents in ([admission()], [discharge(), invoice(), charges()]):
            await world.houses["hospital"].publish(wallet.consent_id, documents)
            await work()
        await _pay(world, wallet)
        kept = world.houses["commission"].commission
        assert kept is not None
        assert kept.vault.parcels("account", world.claim_id(wallet), sender="insurer"), "for escalation"
        assert kept.vault.get_secret(f"invoice/{kept.nullifier_of(invoice()[1]).nullifier}") is not None

    asyncio.run(story())


def test_a_commission_that_joined_endorses_what_it_never_heard_of(world: World) -> None:
    async def publish(world: World, wallet: ConsentWallet) -> None:
        await world.publish(wallet, admission(), discharge(), invoice(), charges())

    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        await _miss(world, "commission", wallet, publish)
        await _pay(world, wallet)

    asyncio.run(story())


def test_blocks_that_are_here_are_observed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leap ends where blocks begin; an error that is none of missing blocks is not leapt over."""

    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        await world.publish(wallet, admission())
        height = world.network.state.height
        world.began["insurer"] = height - 2
        agent = world.houses["insurer"].insurer
        assert isinstance(agent, Agent)
        agent.vault.work.move_cursor("insurer", 0)
        seen: list[int] = []
        observe = agent.observe
        monkeypatch.setattr(agent, "observe", lambda block: (seen.append(block.height), observe(block)))
        while agent.catch_up():
            pass
        assert seen == [height - 1, height]
        assert agent.vault.work.cursor("insurer") == height

    asyncio.run(story())
