"""Parcels between nodes: who may send what to whom, what a bystander is refused, what survives a lost link."""

import asyncio
from pathlib import Path

import pytest

from ledger.encoding import encode
from node.agents.mail import seal_parcel
from node.peers.errors import PeerError
from node.vault import Parcel
from node.vault.delivery import PULL, PUT
from node.vault.parcels import encode_parcel, envelope_subject
from node.wallet import ConsentWallet, make_revocation
from tests.support.agent_world import World, admission, discharge, invoice


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def admitted(world: World) -> tuple[ConsentWallet, str]:
    """A consent of `insurer`, and the record of one admission that nobody but the hospital has."""
    wallet = await world.grant(await world.commit_policy())
    world.down.update({"insurer", "commission", "tpa"})
    (record,) = await world.publish(wallet, admission())
    return wallet, record


def record_parcel(world: World, record: str) -> Parcel:
    hospital = world.houses["hospital"].ports.vault
    stored = hospital.parcels("record", record)[0]
    return Parcel("record", record, stored.case_id, hospital.envelope(stored.digest))


async def put(world: World, to: str, sender: str, parcel: Parcel) -> bytes:
    answer: bytes = await world.exchange[to][PUT](sender, encode_parcel(parcel))
    return answer


def test_records_go_from_their_hospital_to_the_grantees_and_nobody_else(world: World) -> None:
    async def story() -> None:
        _, record = await admitted(world)
        parcel = record_parcel(world, record)
        assert await put(world, "insurer", "hospital", parcel) == b"ready"
        refused = {
            ("insurer", "hospital-two"): "not_author",
            ("insurer", "tpa"): "role",
            ("insurer", "nobody"): "unknown_sender",
            ("insurer-two", "hospital"): "not_addressed",
        }
        for (to, sender), code in refused.items():
            with pytest.raises(PeerError) as caught:
                await put(world, to, sender, parcel)
            assert caught.value.code == code, (to, sender)

    asyncio.run(story())


def test_a_node_that_is_no_party_refuses_a_parcel_addressed_to_it(world: World) -> None:
    async def story() -> None:
        wallet, record = await admitted(world)
        hospital = world.houses["hospital"].ports
        envelope = seal_parcel(hospital, "record", record, {"document": {}}, ["insurer-two"])
        with pytest.raises(PeerError) as caught:
            await put(world, "insurer-two", "hospital", Parcel("record", record, wallet.case_id, envelope))
        assert caught.value.code == "digest", "not the ciphertext on the ledger"
        pool = seal_parcel(hospital, "pool", "ab" * 32, {}, ["insurer-two"])
        with pytest.raises(PeerError) as caught:
            await put(world, "insurer-two", "hospital", Parcel("pool", "ab" * 32, None, pool))
        assert caught.value.code == "role"
        assert world.houses["insurer-two"].ports.vault.parcels("record", record) == ()

    asyncio.run(story())


def test_another_ciphertext_than_the_published_one_is_refused(world: World) -> None:
    async def story() -> None:
        wallet, record = await admitted(world)
        envelope = seal_parcel(world.houses["hospital"].ports, "record", record, {"document": {}}, ["insurer"])
        with pytest.raises(PeerError) as caught:
            await put(world, "insurer", "hospital", Parcel("record", record, wallet.case_id, envelope))
        assert caught.value.code == "digest"

    asyncio.run(story())


def test_a_parcel_faster_than_its_block_waits_for_it(world: World) -> None:
    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        hospital = world.houses["hospital"]
        _, records = await hospital.publish(wallet.consent_id, [admission()])
        parcel = record_parcel(world, records[0])
        assert await put(world, "insurer", "hospital", parcel) == b"pending"
        insurer = world.houses["insurer"].ports
        assert insurer.vault.parcels("record", records[0]) == ()
        assert insurer.delivery.confirm_pending() == 0
        world.make_block()
        assert insurer.delivery.confirm_pending() == 1
        assert len(insurer.vault.parcels("record", records[0])) == 1

    asyncio.run(story())


def test_a_pending_parcel_that_the_block_contradicts_is_dropped(world: World) -> None:
    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        hospital = world.houses["hospital"]
        _, records = await hospital.publish(wallet.consent_id, [admission()])
        envelope = seal_parcel(hospital.ports, "record", records[0], {"document": {}}, ["insurer"])
        parcel = Parcel("record", records[0], wallet.case_id, envelope)
        assert await put(world, "insurer", "hospital", parcel) == b"pending"
        world.make_block()
        insurer = world.houses["insurer"].ports
        assert insurer.delivery.confirm_pending() == 0
        assert insurer.vault.pending() == ()

    asyncio.run(story())


def test_what_did_not_arrive_can_be_pulled_by_whom_the_consent_names(world: World) -> None:
    async def story() -> None:
        _, record = await admitted(world)
        world.down.clear()
        assert await world.houses["tpa"].ports.delivery.pull("hospital", "record", record)
        assert not await world.houses["insurer-two"].ports.delivery.pull("hospital", "record", record)
        assert not await world.houses["tpa"].ports.delivery.pull("hospital", "record", "ab" * 32)
        with pytest.raises(PeerError) as caught:
            await world.exchange["hospital"][PULL]("tpa", b'{"kind": 1}')
        assert caught.value.code == "form"

    asyncio.run(story())


def test_after_a_revocation_a_record_is_neither_handed_out_nor_taken(world: World) -> None:
    async def story() -> None:
        wallet, record = await admitted(world)
        await world.houses["hospital"].relay_token(make_revocation(wallet))
        world.make_block()
        world.down.clear()
        assert not await world.houses["tpa"].ports.delivery.pull("hospital", "record", record)
        with pytest.raises(PeerError) as caught:
            await put(world, "insurer", "hospital", record_parcel(world, record))
        assert caught.value.code == "consent"

    asyncio.run(story())


def test_what_was_owed_when_the_consent_ended_stays_in_the_house(world: World) -> None:
    async def story() -> None:
        wallet, record = await admitted(world)
        await world.houses["hospital"].relay_token(make_revocation(wallet))
        world.make_block()
        world.down.clear()
        await world.wait(700_000)
        items = world.houses["hospital"].ports.vault.outbox.items("record", record)
        assert {(item.state, item.code) for item in items} == {("refused", "consent")}
        assert world.houses["insurer"].ports.vault.parcels("record", record) == ()

    asyncio.run(story())


def test_an_insurers_openings_reach_only_its_own_adjudicators(world: World) -> None:
    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        await world.publish(wallet, admission())
        claim = world.claim_id(wallet)
        insurer, other = world.houses["insurer"].ports, world.houses["insurer-two"].ports
        own = seal_parcel(insurer, "adjudication", claim, {}, ["tpa", "insurer-two"])
        parcel = Parcel("adjudication", claim, wallet.case_id, own)
        assert await put(world, "tpa", "insurer", parcel) == b"ready"
        for to, sender in (("insurer-two", "insurer"), ("tpa", "insurer-two")):
            with pytest.raises(PeerError) as caught:
                await put(world, to, sender, parcel)
            assert caught.value.code == "no_party"
        forged = seal_parcel(other, "signatures", claim, {}, ["insurer"])
        with pytest.raises(PeerError) as caught:
            await put(world, "insurer", "insurer-two", Parcel("signatures", claim, wallet.case_id, forged))
        assert caught.value.code == "no_party"

    asyncio.run(story())


def test_the_customers_mail_is_kept_by_parties_only(world: World) -> None:
    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        await world.publish(wallet, admission())
        claim = world.claim_id(wallet)
        insurer = world.houses["insurer"].ports
        envelope = seal_parcel(insurer, "decision", claim, {}, [], "ab" * 32)
        parcel = Parcel("decision", claim, wallet.case_id, envelope)
        assert await put(world, "hospital", "insurer", parcel) == b"ready"
        with pytest.raises(PeerError) as caught:
            await put(world, "insurer-two", "insurer", parcel)
        assert caught.value.code == "no_party"
        with pytest.raises(PeerError) as caught:
            await put(world, "hospital", "insurer-two", parcel)
        assert caught.value.code == "not_author"
        with pytest.raises(PeerError) as caught:
            await put(world, "hospital", "insurer", Parcel("decision", claim, "ab" * 32, envelope))
        assert caught.value.code == "subject", "not under another customer's case"

    asyncio.run(story())


def test_what_is_owed_leaves_when_the_other_side_returns(world: World) -> None:
    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        await world.publish(wallet, admission())
        world.down.add("insurer")
        await world.publish(wallet, discharge(), invoice())
        hospital = world.houses["hospital"].ports.vault
        assert hospital.outbox.owed() > 0
        world.down.clear()
        await world.wait(700_000)
        assert hospital.outbox.owed() == 0
        assert world.claim(wallet).status == "DECIDED"

    asyncio.run(story())


def test_garbage_is_answered_with_a_code(world: World) -> None:
    async def story() -> None:
        for payload in (b"", b"x" * 1000, encode({"kind": "record"})):
            with pytest.raises(PeerError) as caught:
                await world.exchange["insurer"][PUT]("hospital", payload)
            assert caught.value.code == "form"

    asyncio.run(story())


def test_envelopes_are_bound_to_the_kind_of_their_parcel() -> None:
    assert envelope_subject("record", "a") == "a"
    assert envelope_subject("pool", "a") != envelope_subject("decision", "a")
