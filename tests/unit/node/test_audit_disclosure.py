"""A fully disclosed dossier, as insurer and co-adjudicator write it: the decision is derived again to the fen."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from contracts.execution import ChainState
from contracts.machine.evaluation import LoadedProgram, load_program
from ledger.certificates import verify_finality
from ledger.encoding import encode
from node.audit.build import build_dossier
from node.audit.dossier import Dossier, encode_dossier
from node.audit.explain import explain_lines
from node.audit.programs import find_program
from node.audit.report import AuditFailure
from node.audit.verify import Verification, read_trust, verify_dossier
from tests.support.agent_world import World, admission, charges, discharge, invoice
from tests.support.ledger_source import MemorySource

BYTE_CHANGES = 1_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("world"))

    async def story() -> None:
        for number in (1, 2):
            certificate = await world.commit_policy() if number == 1 else world.certificate  # type: ignore[attr-defined]
            world.certificate = certificate  # type: ignore[attr-defined]
            wallet = await world.grant(certificate)
            await world.publish(wallet, admission())
            bill = invoice(number)
            await world.publish(wallet, discharge(), bill, charges())
            assert await world.acknowledge(wallet) == 1
            world.claim_of_dossier = world.claim_id(wallet)  # type: ignore[attr-defined]

    asyncio.run(story())
    return world


@pytest.fixture(scope="module")
def trust(world: World) -> ChainState:
    return read_trust(world.network.genesis_bytes)


@pytest.fixture(scope="module")
def verify(trust: ChainState) -> Callable[[Dossier | bytes], Verification]:
    loaded: dict[str, LoadedProgram] = {}
    proved: set[bytes] = set()

    def run(contract_hash: str, case_text: str) -> tuple[str, str]:
        if contract_hash not in loaded:
            loaded[contract_hash] = load_program(find_program(trust, contract_hash))
        done = loaded[contract_hash].explain(case_text)
        return done.result, done.trace or "[]"

    def finality(certificate: Any, digest: bytes, validators: Any, chain: bytes) -> None:
        place = encode([encode(certificate).hex(), digest.hex()])
        if place not in proved:
            verify_finality(certificate, digest, validators, chain)
            proved.add(place)

    def verify(dossier: Dossier | bytes) -> Verification:
        data = dossier if isinstance(dossier, bytes) else encode_dossier(dossier)
        return verify_dossier(data, trust, run, finality)

    return verify


@pytest.fixture(scope="module")
def dossier(world: World) -> Dossier:
    claim_id = world.claim_of_dossier  # type: ignore[attr-defined]
    material = world.houses["insurer"].discloser.dossier_material(claim_id)
    return build_dossier(MemorySource(world.network), claim_id, material)


def test_every_check_is_proved_and_the_result_is_the_insurers(
    verify: Callable[[Dossier], Verification], dossier: Dossier
) -> None:
    verified = verify(dossier)
    assert {check.outcome for check in verified.checks} == {"proved"}
    assert [result["net_fen"] for result in verified.results] == [135_334]
    assert verified.status == "CLOSED"


def test_a_co_adjudicator_can_write_one_too(
    world: World, verify: Callable[[Dossier], Verification], dossier: Dossier
) -> None:
    material = world.houses["tpa"].discloser.dossier_material(dossier.claim_id)
    verified = verify(build_dossier(MemorySource(world.network), dossier.claim_id, material))
    assert [check.number for check in verified.checks if check.outcome != "proved"] == [12]


def test_a_stranger_discloses_nothing_and_proves_the_rest(
    world: World, verify: Callable[[Dossier], Verification], dossier: Dossier
) -> None:
    material = world.houses["insurer-two"].discloser.dossier_material(dossier.claim_id)
    verified = verify(build_dossier(MemorySource(world.network), dossier.claim_id, material))
    assert [check.number for check in verified.checks if check.outcome != "proved"] == [9, 10, 11, 12]


def test_the_explanation_names_rules_in_both_languages(
    verify: Callable[[Dossier], Verification], dossier: Dossier
) -> None:
    trace = verify(dossier).trace
    assert any("3 days x 100.00 = 300.00" in line for line in explain_lines(trace, "en"))
    assert any("3 天 x 100.00 = 300.00" in line for line in explain_lines(trace, "zh"))


def test_every_changed_byte_is_found(verify: Callable[[bytes], Verification], dossier: Dossier) -> None:
    data = encode_dossier(dossier)
    draw = random.Random(20211206)
    for _ in range(BYTE_CHANGES):
        position = draw.randrange(len(data))
        changed = data[:position] + bytes([data[position] ^ draw.randrange(1, 256)]) + data[position + 1 :]
        with pytest.raises(AuditFailure):
            verify(changed)


def test_every_changed_digit_of_wellformed_json_is_found(
    verify: Callable[[bytes], Verification], dossier: Dossier
) -> None:
    """Changes that a parser cannot see: one digit becomes another, all else stays as it was."""
    data = encode_dossier(dossier)
    digits = [place for place, byte in enumerate(data) if byte in b"0123456789abcdef"]
    draw = random.Random(20211204)
    for place in draw.sample(digits, BYTE_CHANGES):
        other = draw.choice([byte for byte in b"123456789abcdef" if byte != data[place]])
        with pytest.raises(AuditFailure):
            verify(data[:place] + bytes([other]) + data[place + 1 :])


@pytest.mark.parametrize(
    ("part", "field", "number"),
    [
        ("terms", "policy_no", 10),
        ("account_in", "version", 10),
        ("account_out", "salt", 11),
        ("pool_in", "left_fen", 10),
        ("pool_out", "left_fen", 11),
        ("event_date", "event_date", 11),
        ("result", "currency", 11),
    ],
)
def test_a_changed_opening_is_found(
    part: str, field: str, number: int, verify: Callable[[Dossier], Verification], dossier: Dossier
) -> None:
    opened = dossier.policies[0]
    opening = getattr(opened, part)
    value = opening[field]
    changed = value + 1 if isinstance(value, int) else value[::-1] + "0"
    policy = replace(opened, **{part: {**opening, field: changed}})
    with pytest.raises(AuditFailure) as caught:
        verify(replace(dossier, policies=(policy,)))
    assert caught.value.number == number


def test_a_changed_document_is_found(verify: Callable[[Dossier], Verification], dossier: Dossier) -> None:
    record = dossier.records[0]
    changed = replace(record, document={**record.document, "added": 1})
    with pytest.raises(AuditFailure) as caught:
        verify(replace(dossier, records=(changed, *dossier.records[1:])))
    assert (caught.value.number, caught.value.code) == (9, "DOCUMENT_MISMATCH")


def test_a_payment_of_another_sum_is_found(verify: Callable[[Dossier], Verification], dossier: Dossier) -> None:
    payment = dossier.payments[0]
    assert payment.order is not None
    changed = replace(payment, order={**payment.order, "amount_fen": 1})
    with pytest.raises(AuditFailure) as caught:
        verify(replace(dossier, payments=(changed,)))
    assert caught.value.number == 12


def test_documents_alone_are_proved_without_the_outcome(
    verify: Callable[[Dossier], Verification], dossier: Dossier
) -> None:
    partial = replace(dossier, records=dossier.records[:1], policies=(), payments=(), payee=None)
    outcomes = [check.outcome for check in verify(partial).checks][8:]
    assert outcomes == ["proved", "not disclosed", "not disclosed", "not disclosed"]
