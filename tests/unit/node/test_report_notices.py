"""The customer's mailbox holds a notice with reasons as soon as a claim is decided, and nobody else can read it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.reports.clocks import build_clocks
from node.reports.office import Office
from node.wallet import open_mail
from tests.support.agent_world import World, admission, discharge, invoice, standard_policy


def notices(world: World, wallet: Any) -> list[dict[str, Any]]:
    mail = world.houses["hospital"].mailroom.mail_of(wallet.consent_id)
    opened = [open_mail(wallet, bytes.fromhex(item["envelope"])) for item in mail if item["kind"] == "notice"]
    return [item.content for item in opened]


@pytest.mark.parametrize("forgetful", [False, True], ids=["running", "restarted before every round"])
def test_a_declined_claim_is_explained_to_the_insured(tmp_path: Path, forgetful: bool) -> None:
    world = World(tmp_path, forgetful=forgetful)

    async def story() -> None:
        policy = {"first_effective": "2021-11-20"}
        wallet = await world.grant(await world.commit_policy(terms=waiting_terms(policy)))
        await world.publish(wallet, admission())
        await world.publish(wallet, discharge(), invoice())
        claim_id = world.claim_id(wallet)
        (notice,) = notices(world, wallet)
        assert notice["claim_id"] == claim_id
        assert [item["decision"] for item in notice["policies"]] == ["declined"]
        assert {"code": "WAITING_PERIOD", "zh": "发生在等待期内", "en": "it happened within the waiting period"} in (
            notice["policies"][0]["reasons"]
        )
        own = Office(world.houses["insurer"], 8_000, lambda: None)
        told = own.story(claim_id)
        assert told is not None
        (clock,) = [item for item in build_clocks(told, own.limits(), 10**13) if item.stage == "notify"]
        assert (clock.standing, clock.limit_ms) == ("met", 3 * 86_400_000)
        for house in world.houses.values():
            house.ports.vault.close()

    asyncio.run(story())
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or "等待期".encode() not in path.read_bytes()


def waiting_terms(changes: dict[str, Any]) -> dict[str, Any]:
    """Terms of the standard policy that began a few days before the stay."""
    return dict(standard_policy("insurer")["terms"]) | changes
