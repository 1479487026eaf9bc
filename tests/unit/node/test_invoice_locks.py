"""Locks on request: who may ask a commission, what it is asked, and that its answer is not believed unseen."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import InputError
from contracts.states import read_nullifier
from ledger.encoding import encode
from node.agents.commission import NoInvoiceKey
from node.agents.locks import ASKS_AN_HOUR, METHOD, LockQuestion
from node.errors import Unavailable
from node.peers.errors import PeerError
from tests.support.agent_world import World, invoice
from tests.support.governance import freeze
from tests.support.invoice_story import UNUSED, lock_signature

LOCK = lock_signature(UNUSED)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def ask(world: World, asker: str, identity: Any = UNUSED) -> str:
    return asyncio.run(world.houses[asker].locks.lock_of(identity)).signature


def refusal(world: World, asker: str, payload: bytes) -> str:
    with pytest.raises(PeerError) as caught:
        asyncio.run(world.exchange["commission"][METHOD](asker, payload))
    return caught.value.code


@pytest.mark.parametrize("asker", ["commission", "insurer", "hospital", "tpa"])
def test_every_member_that_deals_with_invoices_gets_the_same_lock(world: World, asker: str) -> None:
    assert ask(world, asker) == LOCK.hex()


def test_the_lock_on_request_is_that_of_the_endorsement(world: World) -> None:
    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        kind, document = invoice()
        await world.publish(wallet, (kind, document))
        lock = await world.houses["insurer"].locks.lock_of(("medical", document["code"], document["number"]))
        assert read_nullifier(world.network.state.read, lock.nullifier) is not None

    asyncio.run(story())


@pytest.mark.parametrize(
    "identity",
    [
        ("medical", "33060121", "000000002"),
        ("medical", "33060121", "0000000002 "),
        ("medical", "3306012１", "0000000002"),
        ("vat", "33060121", "0000000002"),
        ("vat", "", ""),
        ("foreign", "St Mary", "1"),
        ("foreign", "", "1"),
        ("other", "33060121", "0000000002"),
    ],
)
def test_what_no_accepted_invoice_has_is_not_asked_for(world: World, identity: tuple[str, str, str]) -> None:
    """A number that is spelt otherwise was never used, and says nothing about the one that was meant."""
    with pytest.raises(InputError) as caught:
        ask(world, "insurer", identity)
    assert caught.value.code == "identity"
    assert refusal(world, "insurer", encode(LockQuestion(*identity))) == "form"


def test_a_year_without_a_key_is_said_plainly(world: World) -> None:
    with pytest.raises(NoInvoiceKey):
        ask(world, "insurer", ("medical", "33060129", "0000000002"))
    assert refusal(world, "insurer", encode(LockQuestion("medical", "33060129", "0000000002"))) == "no_invoice_key"


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"[]", b"\xff", b'{"code":1,"family":"medical","number":"1"}', b"x" * 10**6]
)
def test_questions_that_are_none(world: World, payload: bytes) -> None:
    assert refusal(world, "insurer", payload) == "form"


def test_strangers_and_frozen_members_are_not_answered(world: World) -> None:
    question = encode(LockQuestion(*UNUSED))
    assert refusal(world, "nobody", question) == "not_allowed"
    freeze(world.network, "insurer-two", "commission", "hospital", "insurer")
    assert refusal(world, "insurer-two", question) == "not_allowed"
    assert ask(world, "insurer") == LOCK.hex()


def test_nobody_tries_numbers_one_by_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    commission = world.houses["commission"].commission
    found = commission.lock_of(UNUSED)  # type: ignore[union-attr]
    monkeypatch.setattr(commission, "lock_of", lambda identity: found)
    question = encode(LockQuestion(*UNUSED))

    async def many() -> None:
        for _ in range(ASKS_AN_HOUR):
            await world.exchange["commission"][METHOD]("insurer", question)

    asyncio.run(many())
    assert refusal(world, "insurer", question) == "too_often"
    assert ask(world, "hospital") == LOCK.hex()
    world.clock_ms += 3_600_000
    assert ask(world, "insurer") == LOCK.hex()


def test_an_answer_is_verified_before_it_is_used(world: World) -> None:
    async def lie(asking: str, payload: bytes) -> bytes:
        return encode({"signature": lock_signature(("medical", "33060121", "0000000003")).hex()})

    async def nonsense(asking: str, payload: bytes) -> bytes:
        return b"\x00" * 1_000

    for false in (lie, nonsense):
        world.exchange["commission"][METHOD] = false
        with pytest.raises(Unavailable) as caught:
            ask(world, "insurer")
        assert caught.value.code == "bad_lock"


def test_a_commission_that_does_not_answer_is_named(world: World) -> None:
    world.down.add("commission")
    with pytest.raises(Unavailable) as caught:
        ask(world, "insurer")
    assert "commission" in caught.value.detail


def test_a_key_file_that_is_not_the_registered_one_signs_nothing(world: World) -> None:
    ports = world.houses["commission"].ports
    keys = ports.keys.invoice
    keys[("CN-33", 2021)] = keys[("CN-33", 2022)]  # type: ignore[index]
    with pytest.raises(NoInvoiceKey):
        ask(world, "commission")
