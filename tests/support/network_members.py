"""The members of the test network: their secrets, their public side, and the genesis that lists them.

Every key comes from a label and a small integer, so two runs have the same members, the same genesis and the
same chain.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from contracts.execution import ChainState, genesis_state
from contracts.genesis import (
    FinalityKey,
    Genesis,
    InvoiceKey,
    Limits,
    Parameters,
    Participant,
    Program,
    SigningKey,
)
from contracts.identifiers import derive_product_hash
from contracts.machine.bundle import build_bundle, encode_bundle, program_hash
from ledger.crypto import bls, ed25519
from ledger.crypto.hashing import tagged_hex

NETWORK = "test.claims"
GENESIS_TIME_MS = 1_700_000_000_000

MEMBERS: dict[str, tuple[str, ...]] = {
    "auditor": ("auditor",),
    "commission": ("commission",),
    "commission-east": ("commission",),
    "hospital": ("hospital",),
    "hospital-two": ("hospital",),
    "insurer": ("insurer",),
    "insurer-two": ("insurer",),
    "tpa": ("tpa",),
    "tpa-owned": ("tpa",),
}
"""Ids and roles. `tpa-owned` belongs to the control group of `insurer`; every other member is its own group."""
GROUPS = {"tpa-owned": "insurer"}
VALIDATORS = frozenset({"hospital", "insurer", "commission", "tpa"})
PROGRAM = build_bundle({"program.star": "def adjudicate(case):\n    return case\n"})
PROGRAM_TWO = build_bundle({"program.star": "def adjudicate(case):\n    return [case]\n"})
CONTRACT_HASH = program_hash(PROGRAM)
CONTRACT_TWO_HASH = program_hash(PROGRAM_TWO)
TABLES_HASH = tagged_hex("tables", b"test tables")
PRODUCT_HASH = derive_product_hash(CONTRACT_HASH, TABLES_HASH)


def make_bytes(label: str, size: int = 32) -> bytes:
    """Deterministic bytes for a label."""
    return hashlib.shake_256(f"claimnode test {label}".encode()).digest(size)


def make_hex(label: str, size: int = 32) -> str:
    """Deterministic hexadecimal bytes for a label."""
    return make_bytes(label, size).hex()


@dataclass(frozen=True)
class Member:
    """A participant with its secrets and the signing key it uses."""

    id: str
    seed: bytes
    key_id: str
    finality_secret: bytes

    def sign(self, message: bytes) -> str:
        return ed25519.sign(self.seed, message).hex()


def make_member(member_id: str, key: int = 0) -> Member:
    """The secrets of a member; `key` numbers its signing keys, 0 is the one it normally signs with."""
    seed = make_bytes(f"signing {member_id} {key}")
    finality = bls.secret_key_from_seed(make_bytes(f"finality {member_id}"))
    return Member(member_id, seed, ed25519.key_id(ed25519.public_key(seed)), finality)


def make_signing_key(member: Member, from_height: int = 0, until_height: int | None = None) -> SigningKey:
    """The public side of a signing key with its active heights."""
    return SigningKey(
        public_key=ed25519.public_key(member.seed).hex(), from_height=from_height, until_height=until_height
    )


@lru_cache(maxsize=64)
def make_participant(
    member_id: str, *, keys: tuple[SigningKey, ...] = (), invoice_keys: tuple[InvoiceKey, ...] = ()
) -> Participant:
    """A participant of the standard network."""
    member = make_member(member_id)
    secret = member.finality_secret
    return Participant(
        id=member_id,
        name=member_id.replace("-", " ").title(),
        roles=MEMBERS[member_id],
        control_group=GROUPS.get(member_id, member_id),
        validator=member_id in VALIDATORS,
        signing_keys=keys or (make_signing_key(member),),
        finality_key=FinalityKey(
            public_key=bls.public_key(secret).hex(), possession=bls.prove_possession(secret).hex()
        ),
        envelope_key=make_hex(f"envelope {member_id}"),
        note_key=ed25519.public_key(make_bytes(f"note {member_id}")).hex(),
        transport_spki=make_hex(f"transport {member_id}"),
        endpoint=None,
        invoice_keys=invoice_keys,
    )


def make_invoice_key(region: str = "330100", year: int = 2023) -> InvoiceKey:
    """A commission's nullifier key."""
    secret = bls.secret_key_from_seed(make_bytes(f"invoice {region} {year}"))
    return InvoiceKey(
        region=region,
        year=year,
        public_key=bls.public_key(secret).hex(),
        possession=bls.prove_possession(secret).hex(),
    )


def make_program(bundle: Any = PROGRAM, active_from_ms: int = 0) -> Program:
    """An approved program."""
    return Program(
        contract_hash=program_hash(bundle),
        machine="starlark-c1",
        source=encode_bundle(bundle).decode(),
        active_from_ms=active_from_ms,
    )


def make_genesis(
    *,
    limits: Limits | None = None,
    parameters: Parameters | None = None,
    participants: Iterable[Participant] | None = None,
    programs: Sequence[Program] | None = None,
) -> Genesis:
    """The genesis of the standard network, or a variation of it."""
    members = participants if participants is not None else [make_participant(name) for name in sorted(MEMBERS)]
    return Genesis(
        v=1,
        network=NETWORK,
        time_ms=GENESIS_TIME_MS,
        limits=limits or Limits(),
        parameters=parameters or Parameters(),
        participants=tuple(members),
        programs=tuple(programs) if programs is not None else (make_program(),),
    )


@lru_cache(maxsize=8)
def start_chain(genesis_bytes: bytes, min_validators: int = 4) -> ChainState:
    """`genesis_state`, once for the tests that share a genesis: proofs of possession take a while."""
    return genesis_state(genesis_bytes, min_validators=min_validators)
