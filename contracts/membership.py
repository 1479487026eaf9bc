"""Who is on the network from the start: the rules a genesis must keep, and the state it begins with.

Knows ids, keys, roles and control groups. Must always hold: no key stands for two purposes or two members, every
BLS key was proved to be possessed, no control group can stop or fork the network by itself, and one authority
makes the nullifiers of a region and year (two would let one invoice in twice).
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from contracts.errors import GenesisError
from contracts.genesis import Genesis, Limits, Participant, Program, SigningKey
from contracts.machine.bundle import PROGRAM_TAG
from contracts.states import (
    CURRENT,
    INDEX,
    InvoiceKeyState,
    KeyState,
    ParametersState,
    ParticipantState,
    ProgramIndexState,
    ProgramState,
    State,
)
from ledger.blocks import MAX_BLOCK_BYTES, MAX_HEADER_BYTES
from ledger.certificates import Validator, ValidatorSet, build_validator_set
from ledger.crypto import bls, ed25519
from ledger.crypto.hashing import tagged_hex
from ledger.errors import SignatureError
from ledger.transactions import MAX_TRANSACTION_BYTES

FIRST_EPOCH = 1
MIN_VALIDATORS = 4
"""The smallest set that survives one faulty member."""
MAX_NAMED_FAULTS = 100
"""A genesis with more faults is broken throughout; the rest is only counted."""


def check_genesis(genesis: Genesis, *, min_validators: int = MIN_VALIDATORS) -> None:
    """Every rule of membership at once. Raises GenesisError `membership` listing all faults.

    `min_validators` below four is for trials on one machine: such a set tolerates no fault, and the rule about
    control groups does not apply to it.
    """
    faults = [
        *_check_names(genesis),
        *_check_unique_keys(genesis),
        *(fault for member in genesis.participants for fault in _check_member(member)),
        *_check_validators(genesis, min_validators),
        *_check_invoice_regions(genesis),
        *_check_programs(genesis),
        *_check_limits(genesis.limits),
    ]
    if faults:
        named = faults[:MAX_NAMED_FAULTS]
        more = len(faults) - len(named)
        raise GenesisError("membership", "; ".join(named) + (f"; and {more} more" if more else ""))


def validator_set(genesis: Genesis) -> ValidatorSet:
    """The voters of the first epoch. A validator votes with the first of its signing keys."""
    return build_validator_set(
        FIRST_EPOCH,
        (
            Validator(
                id=member.id,
                signing_key=member.signing_keys[0].public_key,
                finality_key=member.finality_key.public_key,
            )
            for member in genesis.participants
            if member.validator and member.finality_key is not None
        ),
    )


def genesis_values(genesis: Genesis) -> Iterator[tuple[str, State]]:
    """(id, value) of every key of the first state."""
    for member in genesis.participants:
        yield member.id, _build_participant(member)
        for key in member.signing_keys:
            yield (
                key_id_of(key),
                KeyState(
                    participant=member.id,
                    public_key=key.public_key,
                    from_height=key.from_height,
                    until_height=key.until_height,
                ),
            )
    programs = tuple(sorted((_build_program(item) for item in genesis.programs), key=lambda item: item.contract_hash))
    for program in programs:
        yield program.contract_hash, program
    yield INDEX, ProgramIndexState(programs=programs)
    yield CURRENT, ParametersState(limits=genesis.limits, parameters=genesis.parameters)


def key_id_of(key: SigningKey) -> str:
    """The id under which a key stands in state and in signatures."""
    return ed25519.key_id(bytes.fromhex(key.public_key))


def _build_participant(member: Participant) -> ParticipantState:
    return ParticipantState(
        name=member.name,
        roles=member.roles,
        control_group=member.control_group,
        validator=member.validator,
        signing_keys=tuple(key_id_of(key) for key in member.signing_keys),
        finality_key=member.finality_key.public_key if member.finality_key else None,
        envelope_key=member.envelope_key,
        note_key=member.note_key,
        transport_spki=member.transport_spki,
        endpoint=member.endpoint,
        invoice_keys=tuple(
            InvoiceKeyState(region=key.region, year=key.year, public_key=key.public_key) for key in member.invoice_keys
        ),
    )


def _build_program(program: Program) -> ProgramState:
    return ProgramState(
        contract_hash=program.contract_hash,
        machine=program.machine,
        active_from_ms=program.active_from_ms,
        active_until_ms=None,
    )


def _check_names(genesis: Genesis) -> Iterator[str]:
    ids = [member.id for member in genesis.participants]
    if ids != sorted(set(ids)):
        yield "participants ascend by id and have one each"
    for member in genesis.participants:
        if len(set(member.roles)) != len(member.roles):
            yield f"{member.id}: a role is listed twice"


def _check_unique_keys(genesis: Genesis) -> Iterator[str]:
    """One key, one holder, one purpose: else a signature made for one thing could serve as another."""
    for kind, keys in (
        ("an Ed25519 key", _ed25519_keys(genesis)),
        ("an envelope key", ((member.id, member.envelope_key) for member in genesis.participants)),
        ("a transport key", ((member.id, member.transport_spki) for member in genesis.participants)),
        ("a BLS key", _bls_keys(genesis)),
    ):
        holders: dict[str, str] = {}
        for holder, key in keys:
            if key in holders:
                yield f"{kind} of {holders[key]} stands again under {holder}"
            holders[key] = holder


def _ed25519_keys(genesis: Genesis) -> Iterable[tuple[str, str]]:
    for member in genesis.participants:
        yield member.id, member.note_key
        for key in member.signing_keys:
            yield member.id, key.public_key


def _bls_keys(genesis: Genesis) -> Iterable[tuple[str, str]]:
    for member in genesis.participants:
        if member.finality_key:
            yield member.id, member.finality_key.public_key
        for key in member.invoice_keys:
            yield member.id, key.public_key


def _check_member(member: Participant) -> Iterator[str]:
    for name, public_key in [("note key", member.note_key)] + [
        ("signing key", key.public_key) for key in member.signing_keys
    ]:
        try:
            ed25519.check_public_key(bytes.fromhex(public_key))
        except SignatureError:
            yield f"{member.id}: a {name} is no sound Ed25519 key"
    for key in member.signing_keys:
        if key.until_height is not None and key.until_height < key.from_height:
            yield f"{member.id}: a signing key ends before it begins"
    if member.finality_key is not None:
        yield from _check_possession(
            member.id, "finality key", member.finality_key.public_key, member.finality_key.possession
        )
    for invoice_key in member.invoice_keys:
        name = f"invoice key {invoice_key.region} {invoice_key.year}"
        yield from _check_possession(member.id, name, invoice_key.public_key, invoice_key.possession)
    if member.invoice_keys and "commission" not in member.roles:
        yield f"{member.id}: only a commission has invoice keys"


def _check_possession(holder: str, name: str, public_key: str, possession: str) -> Iterator[str]:
    try:
        bls.verify_possession(bytes.fromhex(public_key), bytes.fromhex(possession))
    except SignatureError as error:
        yield f"{holder}: {name} has no valid proof of possession ({error.code})"


def _check_validators(genesis: Genesis, min_validators: int) -> Iterator[str]:
    validators = [member for member in genesis.participants if member.validator]
    if len(validators) < min_validators:
        yield f"{len(validators)} validators, at least {min_validators} are needed"
    for member in validators:
        if member.finality_key is None:
            yield f"{member.id}: a validator needs a finality key"
        first = member.signing_keys[0]
        if first.from_height > 0 or first.until_height is not None:
            yield f"{member.id}: the first signing key of a validator is active throughout"
    if len(validators) < MIN_VALIDATORS:
        return
    tolerated = (len(validators) - 1) // 3
    for group, count in sorted(Counter(member.control_group for member in validators).items()):
        if count > tolerated:
            yield f"control group {group} has {count} of {len(validators)} votes, at most {tolerated} are safe"


def _check_invoice_regions(genesis: Genesis) -> Iterator[str]:
    seen: dict[tuple[str, int], str] = {}
    for member in genesis.participants:
        for key in member.invoice_keys:
            place = (key.region, key.year)
            if place in seen:
                yield f"{member.id}: {seen[place]} already makes the nullifiers of {key.region} {key.year}"
            seen[place] = member.id


def _check_programs(genesis: Genesis) -> Iterator[str]:
    hashes = [program.contract_hash for program in genesis.programs]
    if len(set(hashes)) != len(hashes):
        yield "a program is listed twice"
    for program in genesis.programs:
        if tagged_hex(PROGRAM_TAG, program.source.encode("utf-8", "surrogatepass")) != program.contract_hash:
            yield f"program {program.contract_hash}: the source has another hash"


def _check_limits(limits: Limits) -> Iterator[str]:
    """Every transaction within its own limits must fit into an empty block, also within its author's share."""
    share = limits.author_share_bp
    for name, one, block in (
        ("bytes", limits.transaction_bytes + 4, limits.block_bytes),
        ("operations", limits.transaction_operations, limits.block_operations),
        ("signatures", limits.transaction_signatures, limits.block_signatures),
        ("transactions", 1, limits.block_transactions),
    ):
        if one * 10_000 > block * share:
            yield f"limits: {name} of one transaction do not fit an author's share of a block"
    if limits.transaction_writes > limits.block_writes:
        yield "limits: the writes of one transaction do not fit a block"
    if limits.transaction_bytes > MAX_TRANSACTION_BYTES:
        yield f"limits: transactions of more than {MAX_TRANSACTION_BYTES} bytes cannot be read"
    if limits.block_bytes > MAX_BLOCK_BYTES - MAX_HEADER_BYTES - 8:
        yield f"limits: blocks of more than {MAX_BLOCK_BYTES} bytes cannot be read"
