"""A fully disclosed dossier, as insurer and co-adjudicator write it: the decision is derived again to the fen."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from contracts.commitments import commit
from contracts.errors import InputError
from contracts.execution import ChainState
from contracts.machine.evaluation import LoadedProgram, load_program
from contracts.states import read_record
from ledger.certificates import verify_finality
from ledger.encoding import encode
from node.audit import disclosure
from node.audit.build import build_dossier
from node.audit.dossier import Dossier, encode_dossier
from node.audit.explain import explain_amounts, explain_lines
from node.audit.programs import find_program
from node.audit.report import AuditFailure
from node.audit.selecting import select_fields
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


def test_both_amounts_are_told(verify: Callable[[Dossier], Verification], dossier: Dossier) -> None:
    (amount,) = verify(dossier).amounts
    assert (amount.expected_fen, amount.actual_fen, amount.balance_owner) == (135_334, 135_334, "insurer")
    (line,) = explain_amounts([amount])
    assert "expected 1,353.34 CNY, actual 1,353.34" in line
    unpaid = verify(replace(dossier, payments=()))
    assert "实付 未出示" in next(explain_amounts(unpaid.amounts, "zh"))


def test_a_settlement_that_expected_another_sum_is_found(
    verify: Callable[[Dossier], Verification], dossier: Dossier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the opening is the one that was committed to: an insurer that books its own expectation."""
    payment = dossier.payments[0]
    assert payment.settlement is not None
    spoilt = replace(payment, settlement={**payment.settlement, "expected_fen": 1})
    monkeypatch.setattr(disclosure, "commit", lambda kind, _: commit(kind, getattr(payment, kind)))
    with pytest.raises(AuditFailure) as caught:
        verify(replace(dossier, payments=(spoilt,)))
    assert (caught.value.number, caught.value.code) == (12, "PAYMENT_DIFFERS")


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


def in_part(world: World, dossier: Dossier, *chosen: str) -> Dossier:
    material = world.houses["insurer"].discloser.dossier_material(dossier.claim_id)
    types = {item.record_id: _type_of(world, item.record_id) for item in material.records}
    return build_dossier(MemorySource(world.network), dossier.claim_id, select_fields(material, chosen, types))


def _type_of(world: World, record_id: str) -> str:
    record = read_record(world.network.state.read, record_id)
    assert record is not None
    return record.record_type


def test_some_fields_are_shown_and_nothing_of_the_others(
    world: World, verify: Callable[[Dossier], Verification], dossier: Dossier
) -> None:
    part = in_part(world, dossier, "/invoice/total_fen", "/discharge/stay")
    data = encode_dossier(part)
    for hidden in (b"N84", "测试".encode(), b'"first_onset":"2021'):
        assert hidden in encode_dossier(dossier)
        assert hidden not in data
    for item in dossier.records:
        assert item.secret is not None
        assert item.secret.encode() not in data
    verified = verify(part)
    lines = {check.number: check for check in verified.checks}
    assert lines[9].outcome == "proved"
    assert "2 fields shown" in lines[9].detail
    assert [lines[number].outcome for number in (10, 11, 12)] == ["not disclosed"] * 3
    withheld = sum(leaf is not None for item in part.records for leaf in item.leaves or ())
    assert lines[11].detail == f"not re-run: {withheld} fields not disclosed"
    assert verified.results == ()


def test_all_and_none_and_whole_documents(
    world: World, verify: Callable[[Dossier], Verification], dossier: Dossier
) -> None:
    assert in_part(world, dossier, "all") == dossier
    assert in_part(world, dossier, "none").records == ()
    whole = in_part(world, dossier, "/invoice")
    assert [item.secret is None for item in whole.records] == [False]
    assert verify(whole).results == ()


@pytest.mark.parametrize(
    "pointer", ["", "/", "invoice", "/invoice/", "/discharge/stay/discharge_date", "/invoice/nothing", "/x"]
)
def test_pointers_to_nothing_are_refused(world: World, dossier: Dossier, pointer: str) -> None:
    with pytest.raises(InputError) as caught:
        in_part(world, dossier, pointer)
    assert caught.value.code == "disclose"


def test_a_part_that_was_changed_is_found(
    world: World, verify: Callable[[Dossier], Verification], dossier: Dossier
) -> None:
    part = in_part(world, dossier, "/invoice/total_fen")
    (item,) = part.records
    assert item.salts is not None
    assert item.leaves is not None
    changed = [
        replace(item, document={"total_fen": 1}),
        replace(item, document={"total": item.document["total_fen"]}, salts={"total": item.salts["total_fen"]}),
        replace(item, salts={"total_fen": "ab" * 32}),
        replace(item, salts={}),
        replace(item, leaves=item.leaves[1:]),
        replace(item, leaves=tuple(reversed(item.leaves))),
        replace(item, leaves=None),
        replace(item, secret="ab" * 32),
        replace(item, document={}, salts={}),
    ]
    for false in changed:
        with pytest.raises(AuditFailure) as caught:
            verify(replace(part, records=(false,)))
        assert caught.value.number == 9
    spelt = encode_dossier(dossier).replace(b'"record_id":', b'"leaves":null,"record_id":', 1)
    with pytest.raises(AuditFailure):
        verify(spelt)  # type: ignore[arg-type]
