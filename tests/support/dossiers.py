"""Dossiers of many kinds, made on networks in memory: paid, zero, declined, reviewed, replaced and red invoices, two
insurers in one case, a set of validators and a key that changed, and a freeze; each disclosed in several ways, some of
them by a few fields of the documents.

The same number gives the same dossiers. Networks are made once a process.
"""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from contracts.bodies import SeatTaken
from contracts.commitments import document_leaves, field_salt
from node.audit.build import Material, build_dossier
from node.audit.dossier import DisclosedRecord, Dossier
from node.wallet import ConsentWallet
from tests.support.agent_world import World, admission, charges, discharge, invoice, standard_policy
from tests.support.governance import decide, freeze, rotation, seat
from tests.support.ledger_source import MemorySource
from tests.support.network_builder import Network
from tests.support.network_members import make_member

SEED = 20211207


class Sample(Struct, frozen=True):
    """A true dossier, the genesis that it is to be judged under, and what kind of story it tells."""

    kind: str
    genesis: bytes
    dossier: Dossier


@lru_cache(maxsize=2)
def make_samples(count: int) -> tuple[Sample, ...]:
    """`count` dossiers, all kinds in turn."""
    rest = count - count // 8
    return (*_plain_samples(count // 8), *asyncio.run(_world_samples(rest)))


async def _world_samples(count: int) -> list[Sample]:
    found: list[Sample] = []
    with tempfile.TemporaryDirectory() as folder:
        async for sample in _tell(World(Path(folder)), random.Random(SEED)):
            found.append(sample)
            if len(found) == count:
                break
    return found


async def _tell(world: World, draw: random.Random) -> AsyncIterator[Sample]:
    first, second = await world.commit_policy("insurer"), await world.commit_policy("insurer-two")
    late = standard_policy("insurer")["terms"] | {"first_effective": "2021-11-20", "policy_no": "P-late"}
    waiting = await world.commit_policy(terms=late)
    stories: dict[str, tuple[Callable[..., Any], tuple[dict[str, Any], ...]]] = {
        "paid": (_paid, (first,)),
        "declined": (_paid, (waiting,)),
        "two insurers": (_paid, (first, second)),
        "zero": (_zero, (second,)),
        "reviewed": (_reviewed, (first,)),
        "replaced": (_replaced, (second,)),
        "red": (_red, (first, second)),
        "turn of the year": (_turn, (first,)),
    }
    number = 0
    while True:
        for kind, (story, certificates) in stories.items():
            number += 10
            wallet = await world.grant(*certificates)
            await world.publish(wallet, admission("2021-12-30" if kind == "turn of the year" else "2021-12-03"))
            insurers = [item["insurer"] for item in certificates]
            if draw.random() < 0.2:
                yield _sample(world, kind, wallet, insurers[0], "insurer")
            await story(world, wallet, number, draw)
            for insurer in dict.fromkeys(insurers):
                for teller in (insurer, "tpa", "hospital"):
                    sample = _sample(world, kind, wallet, insurer, teller)
                    yield sample
                    if len(sample.dossier.records) > 1 and draw.random() < 0.4:
                        kept = sample.dossier.records[: draw.randrange(1, len(sample.dossier.records))]
                        partial = replace(sample.dossier, records=kept, policies=(), payments=(), payee=None)
                        yield replace(sample, kind=f"{kind}, documents only", dossier=partial)
                    if sample.dossier.records and draw.random() < 0.4:
                        shown = tuple(_show_part(draw, item) for item in sample.dossier.records)
                        partial = replace(sample.dossier, records=shown, policies=(), payments=(), payee=None)
                        yield replace(sample, kind=f"{kind}, fields only", dossier=partial)


def _show_part(draw: random.Random, item: DisclosedRecord) -> DisclosedRecord:
    """Some fields of the document, now and then all."""
    assert item.secret is not None
    leaves = document_leaves(item.document, item.secret)
    names = set(draw.sample(sorted(item.document), draw.randrange(1, len(leaves) + 1)))
    if len(names) == len(leaves):
        return item
    return DisclosedRecord(
        record_id=item.record_id,
        secret=None,
        document={name: item.document[name] for name in names},
        salts={name: field_salt(item.secret, name) for name in names},
        leaves=tuple(None if name in names else leaf.hex() for name, leaf in leaves),
    )


def _sample(world: World, kind: str, wallet: ConsentWallet, insurer: str, teller: str) -> Sample:
    claim_id = world.claim_id(wallet, insurer)
    disclosed = world.houses[teller].discloser.dossier_material(claim_id) if teller != "hospital" else Material()
    return Sample(kind, world.network.genesis_bytes, build_dossier(MemorySource(world.network), claim_id, disclosed))


async def _paid(world: World, wallet: ConsentWallet, number: int, draw: random.Random) -> None:
    bills = [invoice(number + at, total=draw.randrange(30_000, 240_000)) for at in range(draw.randrange(1, 3))]
    await world.publish(wallet, discharge(invoice_count=len(bills)), *bills, charges())
    await world.acknowledge(wallet)


async def _zero(world: World, wallet: ConsentWallet, number: int, draw: random.Random) -> None:
    """A day case whose bill stands outside the catalogue: nothing is due for it, nor for days."""
    _, bill = invoice(number, total=draw.randrange(6_000, 9_000), last="2021-12-03")
    await world.publish(wallet, discharge(last="2021-12-03"), ("invoice", bill))
    await world.acknowledge(wallet)


async def _reviewed(world: World, wallet: ConsentWallet, number: int, draw: random.Random) -> None:
    await world.publish(wallet, discharge(), invoice(number, total=draw.randrange(900_000, 990_000)))
    insurer = world.houses["insurer"].insurer
    assert insurer is not None
    insurer.release_review(world.claim_id(wallet), "reviewer-7")
    await world.settle()
    await world.acknowledge(wallet)


async def _replaced(world: World, wallet: ConsentWallet, number: int, draw: random.Random) -> None:
    kind, sound = invoice(number, total=draw.randrange(30_000, 240_000))
    unsound = sound | {"cash_fen": sound["cash_fen"] + 1}
    records = await world.publish(wallet, discharge(), (kind, unsound))
    hospital = world.houses["hospital"].hospital
    assert hospital is not None
    await hospital.publish_records(wallet.consent_id, [(kind, sound)], replaces=records[1])
    await world.settle()


async def _red(world: World, wallet: ConsentWallet, number: int, draw: random.Random) -> None:
    """A bill, the red one that takes it back, and the bill that counts."""
    _, wrong = invoice(number, total=draw.randrange(30_000, 240_000))
    red = _negated(wrong) | {"kind": "red", "number": f"{number + 1:010d}"}
    red["reverses"] = {"code": wrong["code"], "number": wrong["number"]}
    right = invoice(number + 2, total=draw.randrange(30_000, 240_000))
    await world.publish(wallet, ("invoice", wrong))
    await world.publish(wallet, ("invoice", red), right, discharge(invoice_count=3))
    await world.acknowledge(wallet)


def _negated(bill: dict[str, Any]) -> dict[str, Any]:
    red = {name: -value if name.endswith("_fen") else value for name, value in bill.items()}
    red["items"] = [item | {"amount_fen": -item["amount_fen"]} for item in bill["items"]]
    return red


async def _turn(world: World, wallet: ConsentWallet, number: int, draw: random.Random) -> None:
    dates = {"first": "2021-12-30", "last": "2022-01-03"}
    bill = invoice(number, total=draw.randrange(30_000, 240_000), **dates)
    await world.publish(wallet, discharge(**dates), bill)
    await world.acknowledge(wallet)


def _plain_samples(count: int) -> list[Sample]:
    """Claims across two changes of the set, a new key of the insurer and a freeze; nothing is disclosed."""
    found: list[Sample] = []
    while len(found) < count:
        found += _epochs(Network(), len(found))
    return found[:count]


def _epochs(network: Network, number: int) -> Iterator[Sample]:
    policies = [network.commit_policy().policy_id for _ in range(1 + number % 2)]
    for _ in range(number % 3):
        network.wait(1000)
    assert decide(network, SeatTaken("tpa"), seat("auditor")).code == "ok"
    _, claim_id = network.ready_claim(*policies)
    yield _plain("a new set", network, claim_id)
    assert decide(network, rotation("insurer", overlap=3)).code == "ok"
    network.members["insurer"] = make_member("insurer", 1)
    network.adjudicate(claim_id)
    yield _plain("a new key", network, claim_id)
    for policy_id in policies:
        network.pay(network.payout_id(claim_id, policy_id))
    yield _plain("a new key, paid", network, claim_id)
    freeze(network, "insurer", "hospital", "commission", "auditor")
    network.wait(1000)
    yield _plain("frozen", network, claim_id)


def _plain(kind: str, network: Network, claim_id: str) -> Sample:
    return Sample(kind, network.genesis_bytes, build_dossier(MemorySource(network), claim_id, Material()))
