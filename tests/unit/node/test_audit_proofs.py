"""Small proofs over a ledger in memory: the genesis alone proves what holds; what is changed fails at its check."""

import base64
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from contracts.execution import ChainState
from contracts.genesis import encode_genesis
from contracts.identifiers import derive_nullifier
from ledger.certificates import verify_finality
from ledger.errors import InvalidCertificate, InvalidProof
from node.audit.proofcheck import Proved, verify_proof
from node.audit.proofs import MAGIC, Proof, decode_proof, encode_proof, encode_readable, is_proof
from node.audit.proving import UnknownRecord, build_inclusion, build_invoice_proof
from node.audit.report import AuditFailure
from node.audit.verify import read_trust
from tests.support.agent_world import build_genesis
from tests.support.invoice_story import (
    UNUSED,
    USED,
    InvoiceStory,
    absence,
    inclusion,
    invoice_story,
    lock_signature,
    presence,
)
from tests.support.ledger_source import certify
from tests.support.network_builder import Network

MAKERS: dict[str, Callable[[InvoiceStory], Proof]] = {"absence": absence, "presence": presence, "inclusion": inclusion}
BYTE_CHANGES = 60


@pytest.fixture(scope="module")
def story() -> InvoiceStory:
    return invoice_story()


@pytest.fixture(scope="module")
def trust(story: InvoiceStory) -> ChainState:
    return read_trust(story.network.genesis_bytes)


def failure(data: bytes | Proof, trust: ChainState, **options: Any) -> tuple[int, str]:
    with pytest.raises(AuditFailure) as caught:
        verify_proof(data if isinstance(data, bytes) else encode_proof(data), trust, **options)
    return caught.value.number, caught.value.code


def outcome(proof: Proof, trust: ChainState, **options: Any) -> Proved:
    return verify_proof(encode_proof(proof), trust, **options)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("epochs", [1, 2])
def test_a_true_proof_holds_in_both_forms(name: str, epochs: int) -> None:
    """Against the genesis alone, also across a change of the set."""
    story = invoice_story(epochs)
    trust = read_trust(story.network.genesis_bytes)
    proof = MAKERS[name](story)
    assert len(proof.epochs) == epochs - 1
    binary, readable = encode_proof(proof), encode_readable(proof)
    assert decode_proof(binary) == decode_proof(readable) == proof
    assert is_proof(binary)
    assert is_proof(readable)
    shown = verify_proof(binary, trust)
    assert replace(shown, checks=()) == replace(verify_proof(readable, trust), checks=())
    assert [check.number for check in shown.checks] == list(range(1, len(shown.checks) + 1))
    assert {check.outcome for check in shown.checks} == {"proved"}


def test_what_the_proofs_say(story: InvoiceStory, trust: ChainState) -> None:
    height = len(story.network.blocks)
    unused = outcome(absence(story), trust, invoice=UNUSED)
    assert unused.statement == f"medical invoice 33060121 0000000002: not used up to height {height}"
    assert "CLAIMED" in outcome(presence(story), trust).statement
    assert story.record_id in outcome(inclusion(story), trust).statement


def test_no_absence_of_a_used_invoice(story: InvoiceStory, trust: ChainState) -> None:
    """The honest builder gives the presence; a dishonest one has no path that ends elsewhere."""
    used, unused = presence(story), absence(story)
    signature = lock_signature(USED).hex()
    for path in (used.path, unused.path, replace(used.path, siblings=used.path.siblings[:-1])):
        forged = replace(unused, identity=USED, signature=signature, path=path)
        assert failure(forged, trust)[0] in (1, 5)


def test_the_prover_does_not_choose_the_key(story: InvoiceStory, trust: ChainState) -> None:
    """Under the key of another year the invoice would have another nullifier, which is absent."""
    false = build_invoice_proof(story.source, USED, lock_signature(USED, 2022))
    assert derive_nullifier(bytes.fromhex(false.signature)) != derive_nullifier(lock_signature(USED))
    assert failure(false, trust) == (4, "bad_signature")
    dated = replace(false, identity=("medical", "33060122", USED[2]))
    assert failure(dated, trust) == (4, "bad_signature")
    assert failure(replace(false, identity=("medical", "33060129", USED[2])), trust) == (4, "no_invoice_key")


def test_a_proof_of_another_invoice_is_refused(story: InvoiceStory, trust: ChainState) -> None:
    proof = absence(story)
    assert failure(proof, trust, invoice=USED) == (4, "other_invoice")
    assert failure(replace(proof, identity=USED), trust) == (4, "bad_signature")
    assert failure(replace(proof, identity=("vat", *UNUSED[1:])), trust)[0] == 4


def test_a_notarization_proves_nothing(story: InvoiceStory, trust: ChainState) -> None:
    """It has no binary form, and the check itself asks for the kind."""
    proof = absence(story)
    notarized = certify(story.network, story.network.state.header_hash, kind="notarize")
    with pytest.raises(InvalidProof) as caught:
        encode_proof(replace(proof, anchor=replace(proof.anchor, certificate=notarized)))
    assert caught.value.code == "kind"
    data = encode_proof(proof)
    place = data.index(bytes.fromhex(proof.anchor.header.validator_set_hash)) + 33
    assert data[place] == 1
    assert failure(data[:place] + b"\x02" + data[place + 1 :], trust) == (1, "kind")
    with pytest.raises(InvalidCertificate):
        verify_finality(notarized, story.network.state.header_hash, trust.validators, trust.chain)


def test_another_height_network_or_genesis_is_refused(story: InvoiceStory, trust: ChainState) -> None:
    proof = absence(story)
    before = story.network.blocks[-2]
    older = replace(proof.anchor, header=before.block.header)
    with pytest.raises(InvalidProof):
        encode_proof(replace(proof, anchor=older))
    first = story.network.blocks[0]
    certificate = certify(story.network, first.header_hash)
    moved = replace(proof, anchor=replace(proof.anchor, header=first.block.header, certificate=certificate))
    assert failure(moved, trust) == (5, "root")
    header = replace(proof.anchor.header, height=proof.anchor.header.height + 1)
    raised = replace(proof.anchor.certificate, digest=certify(story.network, _hash(header)).digest)
    assert failure(replace(proof, anchor=replace(proof.anchor, header=header, certificate=raised)), trust)[0] == 3
    other = Network(replace(build_genesis(), network="other.claims"))
    assert failure(proof, read_trust(other.genesis_bytes)) == (2, "other_network")
    twin = read_trust(encode_genesis(replace(build_genesis(), time_ms=1)))
    assert failure(proof, twin) == (3, "signature")


def _hash(header: Any) -> bytes:
    from ledger.blocks import header_hash

    return header_hash(header)


def test_the_ends_of_epochs_are_needed(story: InvoiceStory) -> None:
    later = invoice_story(2)
    trust = read_trust(later.network.genesis_bytes)
    assert failure(replace(absence(later), epochs=()), trust) == (3, "epoch")
    assert failure(replace(absence(story), epochs=absence(later).epochs), trust)[0] == 3


def test_a_presence_names_the_entry_that_wrote_the_lock(story: InvoiceStory, trust: ChainState) -> None:
    proof = presence(story)
    other = inclusion(story).place
    assert failure(replace(proof, place=other), trust) == (5, "root")
    assert failure(replace(proof, version=2), trust) == (5, "root")
    assert failure(replace(proof, place=replace(proof.place, leaf_index=0)), trust)[0] == 6


def test_an_inclusion_is_of_the_publication(story: InvoiceStory, trust: ChainState) -> None:
    proof = inclusion(story)
    assert failure(replace(proof, commitment="ab" * 32), trust) == (5, "other_entry")
    assert failure(replace(proof, place=presence(story).place), trust) == (5, "other_entry")
    assert failure(replace(proof, place=replace(proof.place, path=proof.place.path[:-1])), trust)[0] == 4
    with pytest.raises(UnknownRecord):
        build_inclusion(story.source, "ab" * 32)


@pytest.mark.parametrize("name", MAKERS)
def test_changed_bytes_are_found(name: str, story: InvoiceStory, trust: ChainState) -> None:
    """A sample; every byte of an absence is in tests/properties."""
    draw = random.Random(20211203)
    for data in (encode_proof(MAKERS[name](story)), encode_readable(MAKERS[name](story))):
        for _ in range(BYTE_CHANGES):
            at = draw.randrange(len(data))
            failure(data[:at] + bytes([data[at] ^ draw.randrange(1, 256)]) + data[at + 1 :], trust)


@pytest.mark.parametrize("name", MAKERS)
def test_cut_or_lengthened_proofs_are_refused(name: str, story: InvoiceStory, trust: ChainState) -> None:
    for data in (encode_proof(MAKERS[name](story)), encode_readable(MAKERS[name](story))):
        for cut in (0, 3, 4, 5, 6, 40, len(data) // 2, len(data) - 1):
            assert failure(data[:cut], trust)[0] == 1
        assert failure(data + b"\x00", trust)[0] == 1
        assert failure(data + data, trust)[0] == 1


def test_oversize_is_refused_before_it_is_read(trust: ChainState) -> None:
    assert failure(MAGIC + bytes(20 * 2**20), trust) == (1, "too_large")
    assert failure(MAGIC + bytes(9 * 2**20), trust) == (1, "too_large")


def test_what_is_readable_is_bound(story: InvoiceStory, trust: ChainState) -> None:
    content = json.loads(encode_readable(absence(story)))
    lies: list[dict[str, Any]] = [
        {"height": 1},
        {"network": "other.claims"},
        {"kind": "invoice-presence"},
        {"about": content["about"] | {"number": "0000000009"}},
        {"proof": content["proof"] + "="},
        {"proof": base64.b64encode(b"CNP").decode()},
    ]
    for lie in lies:
        data = json.dumps(content | lie, sort_keys=True, separators=(",", ":")).encode()
        assert failure(data, trust)[0] == 1


def test_a_dossier_is_none_of_these() -> None:
    assert not is_proof(b'{"anchor":{}}')
    assert not is_proof(b"")
