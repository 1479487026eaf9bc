"""Consents that are not plain ones, among agents: an emergency is held back until it is ratified, then goes its way."""

import asyncio
from pathlib import Path
from typing import Any

from contracts.bodies import ConsentGrant
from contracts.consentbodies import ConsentRatify
from contracts.consentlife import DAY_MS
from contracts.identifiers import derive_standing_case
from contracts.states import read_payout
from ledger.crypto.keys import KeyPair, key_from_secret
from node.consentwork import attest_token, hash_form, make_ratification
from node.wallet import ConsentWallet, Given, make_consent, seal_payee, standard_grantees
from tests.support.agent_world import World, admission, discharge, envelope_pair, invoice

HOUR_MS = 3_600_000


async def submit(world: World, kind: str, body: Any) -> None:
    """A transaction of the hospital's, beside what the agents do."""
    signed = world.network.sign(kind, body, "hospital")
    world.pending[signed.tx_id] = signed
    await world.settle()


def key_of(world: World, name: str) -> KeyPair:
    return key_from_secret("ed25519", world.network.members[name].seed)


async def grant(world: World, given: Given, *signers: str) -> ConsentWallet:
    """A consent given like this, attested by these participants, and its payee."""
    certificate = await world.commit_policy()
    now = world.network.now_ms
    wallet = make_consent(
        network=world.network.genesis.network,
        hospitals=["hospital"],
        grantees=standard_grantees(["insurer"], ["commission"], ["tpa"]),
        policy_ids=[certificate["policy_id"]],
        payee={"name": "Zhang San", "account": "payee-account"},
        nbf_ms=now,
        exp_ms=now + 30 * DAY_MS,
        given=given,
    )
    listed = tuple(attest_token(wallet.token, name, key_of(world, name)) for name in signers)
    await submit(world, "consent.grant", ConsentGrant((wallet.token,), listed))
    relay(world, wallet)
    await world.settle()
    return wallet


def relay(world: World, wallet: ConsentWallet) -> None:
    keys = [envelope_pair("insurer").public.hex()]
    world.houses["hospital"].mailroom.relay_payee(wallet.token, seal_payee(wallet, keys))


def held_by(world: World, name: str, case_id: str) -> int:
    return len(world.houses[name].ports.vault.parcels_of_case("record", case_id))


def test_an_emergency_is_reported_held_back_ratified_and_paid(tmp_path: Path) -> None:
    async def story() -> None:
        world = World(tmp_path)
        wallet = await grant(world, Given(basis="emergency"), "hospital")
        await world.publish(wallet, admission())
        await world.publish(wallet, discharge(), invoice())
        await world.wait(HOUR_MS)
        assert world.claim(wallet).status == "REPORTED"
        assert [held_by(world, name, wallet.case_id) for name in ("insurer", "commission", "tpa")] == [0, 0, 0]
        now = world.network.now_ms
        mine = make_ratification(wallet, now_ms=now, exp_ms=now + 30 * DAY_MS)
        assert mine.pending is not None
        attested = (attest_token(mine.pending, "hospital", key_of(world, "hospital")),)
        body = ConsentRatify(wallet.consent_id, mine.pending, attested)
        relay(world, mine)
        await submit(world, "consent.ratify", body)
        for _ in range(4):
            await world.wait(HOUR_MS)
        assert held_by(world, "insurer", wallet.case_id) == 3
        await world.acknowledge(mine)
        payout = read_payout(world.network.state.read, world.claim(wallet).payouts[0])
        assert payout is not None
        assert payout.status == "PAID"

    asyncio.run(story())


def test_paper_and_a_standing_consent_go_the_way_of_any_other(tmp_path: Path) -> None:
    async def story() -> None:
        world = World(tmp_path)
        paper = await grant(world, Given(basis="paper", form=hash_form(b"signed")), "hospital", "tpa")
        await world.publish(paper, admission())
        await world.publish(paper, discharge(), invoice())
        assert world.claim(paper).decided_ms is not None
        standing = await grant(world, Given(scope="standing"))
        assert standing.case_secret is not None
        case_id = derive_standing_case(standing.case_secret, 0)
        house = world.houses["hospital"]
        documents = [admission(), discharge(), invoice(number=2)]
        await house.publish(standing.consent_id, documents, case_id)
        await world.settle()
        assert held_by(world, "insurer", case_id) == 3

    asyncio.run(story())
