"""The rules of a genesis: every fault is named, all at once."""

from typing import Any

import pytest
from msgspec import structs

from contracts.errors import GenesisError
from contracts.execution import genesis_state
from contracts.families import FAMILIES
from contracts.genesis import Genesis, InvoiceKey, Limits, Participant, decode_genesis, encode_genesis, genesis_hash
from contracts.membership import MAX_NAMED_FAULTS, check_genesis, validator_set
from contracts.states import (
    read_account,
    read_key,
    read_parameters,
    read_participant,
    read_program,
    read_programs,
)
from ledger.certificates import quorum
from ledger.errors import DecodeError
from ledger.merkle import leaf_hash
from ledger.state import map_key, map_value
from tests.support.network_builder import (
    CONTRACT_HASH,
    MEMBERS,
    VALIDATORS,
    make_bytes,
    make_genesis,
    make_hex,
    make_invoice_key,
    make_member,
    make_participant,
    make_program,
    make_signing_key,
)


def with_member(member_id: str, **changes: Any) -> Genesis:
    """The standard genesis with one member changed."""
    members = [
        structs.replace(make_participant(name), **(changes if name == member_id else {})) for name in sorted(MEMBERS)
    ]
    return make_genesis(participants=members)


def fault_of(genesis: Genesis, **options: Any) -> str:
    with pytest.raises(GenesisError) as caught:
        check_genesis(genesis, **options)
    assert caught.value.code == "membership"
    return caught.value.detail


def test_the_standard_genesis_is_sound_and_makes_the_first_state() -> None:
    genesis = make_genesis()
    data = encode_genesis(genesis)
    state = genesis_state(data)
    assert decode_genesis(data) == genesis
    assert (state.height, state.time_ms, state.header) == (0, genesis.time_ms, None)
    assert state.chain == state.header_hash == genesis_hash(data)
    insurer = read_participant(state.read, "insurer")
    key = read_key(state.read, make_member("insurer").key_id)
    program = read_program(state.read, CONTRACT_HASH)
    assert insurer is not None
    assert key is not None
    assert program is not None
    assert insurer.signing_keys == (make_member("insurer").key_id,)
    assert (key.participant, key.from_height, key.until_height) == ("insurer", 0, None)
    assert read_programs(state.read) == (program,)
    assert read_parameters(state.read).limits == genesis.limits
    assert read_account(state.read, make_hex("none", 16)) is None
    assert not state.is_recent("00" * 32)
    stored = state.read("participant/insurer")
    assert stored is not None
    assert stored.entry == leaf_hash(state.chain), "genesis values come from leaf 0 of the log"
    assert state.state_map.get(map_key("participant/insurer")) == map_value(stored)


def test_every_family_has_its_own_prefix() -> None:
    names = [family.FAMILY for family in FAMILIES]
    assert len(set(names)) == len(names)


def test_voters_are_the_validators_in_order_of_id() -> None:
    voters = validator_set(make_genesis())
    assert [item.id for item in voters.validators] == sorted(VALIDATORS)
    assert (voters.epoch, voters.quorum) == (1, 3)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_smaller_sets_are_for_trials_only(count: int) -> None:
    names = sorted(VALIDATORS)[:count]
    genesis = make_genesis(participants=[make_participant(name) for name in names])
    assert f"{count} validators, at least 4 are needed" in fault_of(genesis)
    check_genesis(genesis, min_validators=1)
    assert validator_set(genesis).quorum == quorum(count)


def test_no_control_group_has_more_votes_than_may_fail() -> None:
    """O1: already in a genesis."""
    assert "control group insurer has 2 of 5 votes" in fault_of(with_member("tpa-owned", validator=True))
    assert "control group tpa has 2 of 4 votes" in fault_of(with_member("hospital", control_group="tpa"))
    check_genesis(with_member("insurer-two", validator=True))


SOUND_KEY = make_signing_key(make_member("insurer", 1))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"roles": ("insurer", "insurer")}, "insurer: a role is listed twice"),
        ({"finality_key": None}, "insurer: a validator needs a finality key"),
        ({"note_key": "01" + "00" * 31}, "a note key is no sound Ed25519 key"),
        ({"note_key": "ff" * 32}, "a note key is no sound Ed25519 key"),
        (
            {"signing_keys": (structs.replace(SOUND_KEY, public_key="00" * 32),)},
            "a signing key is no sound Ed25519 key",
        ),
        ({"signing_keys": (structs.replace(SOUND_KEY, from_height=5),)}, "is active throughout"),
        ({"signing_keys": (structs.replace(SOUND_KEY, until_height=5),)}, "is active throughout"),
        (
            {"signing_keys": (SOUND_KEY, make_signing_key(make_member("insurer", 2), 9, 8))},
            "a signing key ends before it begins",
        ),
        ({"invoice_keys": (make_invoice_key(),)}, "only a commission has invoice keys"),
        ({"note_key": make_participant("tpa").note_key}, "an Ed25519 key of insurer stands again under tpa"),
        (
            {"signing_keys": make_participant("tpa").signing_keys},
            "an Ed25519 key of insurer stands again under tpa",
        ),
        (
            {"note_key": make_participant("insurer").signing_keys[0].public_key},
            "an Ed25519 key of insurer stands again under insurer",
        ),
        ({"envelope_key": make_hex("envelope tpa")}, "an envelope key of insurer stands again under tpa"),
        ({"transport_spki": make_hex("transport tpa")}, "a transport key of insurer stands again under tpa"),
        ({"finality_key": make_participant("tpa").finality_key}, "a BLS key of insurer stands again under tpa"),
    ],
)
def test_faults_of_a_member(changes: dict[str, Any], text: str) -> None:
    assert text in fault_of(with_member("insurer", **changes))


def test_possession_is_proved_for_every_bls_key() -> None:
    """B11: of validators and of invoice authorities."""
    tpa = make_participant("tpa").finality_key
    own = make_participant("insurer").finality_key
    assert tpa is not None
    assert own is not None
    borrowed = structs.replace(own, possession=tpa.possession)
    assert "finality key has no valid proof of possession" in fault_of(with_member("insurer", finality_key=borrowed))
    invoice: InvoiceKey = structs.replace(make_invoice_key(), possession=tpa.possession)
    genesis = with_member("commission", invoice_keys=(invoice,))
    assert "invoice key 330100 2023 has no valid proof of possession" in fault_of(genesis)


def test_one_authority_makes_the_nullifiers_of_a_region_and_year() -> None:
    keys = {"commission": (make_invoice_key(), make_invoice_key("330100", 2024))}
    check_genesis(with_member("commission", invoice_keys=keys["commission"]))
    other = structs.replace(make_invoice_key("330200"), region="330100")
    members: list[Participant] = [
        structs.replace(
            make_participant(name), invoice_keys=keys.get(name, (other,) if name == "commission-east" else ())
        )
        for name in sorted(MEMBERS)
    ]
    assert "commission already makes the nullifiers of 330100 2023" in fault_of(make_genesis(participants=members))


def test_ids_ascend_and_are_unique() -> None:
    members = [make_participant(name) for name in sorted(MEMBERS)]
    assert "ascend by id" in fault_of(make_genesis(participants=reversed(members)))
    assert "ascend by id" in fault_of(make_genesis(participants=[members[0], *members]))


def test_programs_are_what_their_hash_says() -> None:
    program = make_program()
    assert "a program is listed twice" in fault_of(make_genesis(programs=[program, program]))
    other = structs.replace(program, source=program.source + " ")
    assert "the source has another hash" in fault_of(make_genesis(programs=[other]))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"block_bytes": 300_000}, "bytes of one transaction do not fit an author's share"),
        ({"block_operations": 399}, "operations of one transaction do not fit"),
        ({"block_signatures": 100}, "signatures of one transaction do not fit"),
        ({"block_transactions": 1}, "transactions of one transaction do not fit"),
        ({"block_writes": 1}, "the writes of one transaction do not fit a block"),
        ({"transaction_bytes": 700_000}, "transactions of more than 655360 bytes cannot be read"),
        ({"block_bytes": 4 * 2**20}, "blocks of more than 4194304 bytes cannot be read"),
    ],
)
def test_limits_leave_room_for_every_transaction_they_allow(changes: dict[str, Any], text: str) -> None:
    assert text in fault_of(make_genesis(limits=Limits(**changes)))


def test_all_faults_are_named_at_once_and_a_flood_is_counted() -> None:
    genesis = with_member("insurer", roles=("insurer", "insurer"), note_key="00" * 32, finality_key=None)
    assert fault_of(genesis).count(";") == 2
    flood = fault_of(make_genesis(participants=[make_participant("auditor")] * 30))
    assert flood.count(";") == MAX_NAMED_FAULTS
    assert flood.endswith("more")


def test_a_document_that_is_no_genesis() -> None:
    for data in (b"", b"{}", encode_genesis(make_genesis()) + b" ", make_bytes("noise")):
        with pytest.raises(DecodeError):
            genesis_state(data)
