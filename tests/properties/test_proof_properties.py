"""Every byte of a proof counts, and a proof among many invoices stays as small as it was promised to be."""

import hashlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from contracts.identifiers import derive_nullifier
from ledger.blocks import header_hash
from ledger.mapproofs import map_leaf_hash
from ledger.state import map_key
from ledger.statemap import StateMap
from node.audit.dossier import Anchor
from node.audit.proofcheck import verify_proof
from node.audit.proofs import AbsenceProof, decode_proof, encode_proof, encode_readable
from node.audit.report import AuditFailure
from node.audit.verify import read_trust
from tests.support.invoice_story import UNUSED, absence, inclusion, invoice_story, lock_signature, presence
from tests.support.ledger_source import certify

KEYS = 100_000
DRAWS = 300
BINARY_BYTES, JSON_BYTES = 1_600, 2_200
MORE_SIBLINGS = 7
"""log2(10^7 / 10^5), rounded up: what a map of 10^7 keys adds to each path."""


@cache
def trust() -> Any:
    return read_trust(invoice_story().network.genesis_bytes)


def refuse(data: bytes) -> None:
    with pytest.raises(AuditFailure):
        verify_proof(data, trust())


@pytest.mark.parametrize("make", [absence, presence, inclusion])
def test_every_changed_byte_of_a_binary_proof_is_refused(make: Any) -> None:
    data = encode_proof(make(invoice_story()))
    verify_proof(data, trust())
    for place in range(len(data)):
        flip = 1 << place % 8
        refuse(data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :])
        refuse(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])


@pytest.mark.parametrize("make", [absence, presence, inclusion])
def test_every_cut_of_a_binary_proof_is_refused(make: Any) -> None:
    data = encode_proof(make(invoice_story()))
    for size in range(len(data)):
        refuse(data[:size])


@given(st.binary(max_size=200), st.integers(0, 2_000))
@settings(max_examples=200, deadline=None)
def test_bytes_put_in_anywhere_are_refused(extra: bytes, at: int) -> None:
    data = encode_proof(absence(invoice_story()))
    place = at % (len(data) + 1)
    if extra:
        refuse(data[:place] + extra + data[place:])


@cache
def crowd() -> StateMap:
    """A map of KEYS random keys."""
    keys = (hashlib.sha256(b"key %d" % number).digest() for number in range(KEYS))
    return StateMap().update({key: map_leaf_hash(key, key) for key in keys})


def absences() -> Iterator[AbsenceProof]:
    """Absences of DRAWS invoices under a header whose map is the crowd. One is wholly true, the rest differ in size."""
    network, proof = invoice_story().network, absence(invoice_story())
    header = replace(proof.anchor.header, state_root=crowd().root.hex(), height=10**7, log_size=10**7)
    anchor = Anchor(header, certify(network, header_hash(header), view=10**7))
    for number in range(DRAWS):
        key = map_key(f"nullifier/{hashlib.sha256(b'invoice %d' % number).hexdigest()}")
        yield replace(proof, anchor=anchor, path=crowd().prove(key))
    name = f"nullifier/{derive_nullifier(lock_signature(UNUSED))}"
    true = replace(proof, anchor=anchor, path=crowd().prove(map_key(name)))
    verify_proof(encode_proof(true), trust())
    yield true


def test_a_proof_of_absence_is_small(record_property: Any) -> None:
    """Measured among 10^5 keys with four validators, and with the siblings that 10^7 keys would add."""
    proofs = list(absences())
    assert all(decode_proof(encode_proof(proof)) == proof for proof in proofs[:10])
    binary = sorted(len(encode_proof(proof)) for proof in proofs)
    readable = sorted(len(encode_readable(proof)) for proof in proofs)
    more = 32 * MORE_SIBLINGS + 1
    figures = {
        "binary_p50": binary[len(binary) // 2],
        "binary_max": binary[-1],
        "binary_max_at_10^7": binary[-1] + more,
        "json_p50": readable[len(readable) // 2],
        "json_max": readable[-1],
        "json_max_at_10^7": readable[-1] + more * 4 // 3 + 4,
    }
    for name, value in figures.items():
        record_property(name, value)
    assert figures["binary_max_at_10^7"] < BINARY_BYTES
    assert figures["json_max_at_10^7"] < JSON_BYTES


def test_a_proof_of_inclusion_is_small() -> None:
    """A path of 24 hashes, for 10^7 entries."""
    proof = inclusion(invoice_story())
    longer = replace(proof, place=replace(proof.place, path=("ab" * 32,) * 24))
    assert len(encode_proof(longer)) < BINARY_BYTES
