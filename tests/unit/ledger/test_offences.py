"""Two statements convict their signer, and nobody else can be accused (R11, B1-B3, B13, B20)."""

import msgspec
import pytest

from ledger.certificates import Kind, Vote, build_certificate, quorum
from ledger.crypto import bls
from ledger.encoding import decode_as, encode_trusted
from ledger.errors import DecodeError, InvalidEvidence
from ledger.offences import OFFENCES, Proof, build_proof, derive_offence_id, verify_proof
from tests.support.network_chain import NetworkChain
from tests.support.network_members import NETWORK, VALIDATORS
from tests.support.offences import in_order, pair_up, sign_vote

CULPRIT = "insurer"


@pytest.fixture(scope="module")
def network() -> NetworkChain:
    return NetworkChain()


def convicted(network: NetworkChain, proof: Proof) -> str:
    return verify_proof(proof, network.state.validators, network.state.chain)


def refused(network: NetworkChain, proof: Proof) -> str:
    with pytest.raises(InvalidEvidence) as caught:
        convicted(network, proof)
    return caught.value.code


def pair(network: NetworkChain, kinds: tuple[Kind, Kind]) -> tuple[Vote, Vote]:
    return sign_vote(network, CULPRIT, kinds[0], "a"), sign_vote(network, CULPRIT, kinds[1], "b")


@pytest.mark.parametrize("kinds", OFFENCES)
def test_each_offence_convicts(network: NetworkChain, kinds: tuple[Kind, Kind]) -> None:
    one, other = pair(network, kinds)
    proof = build_proof(CULPRIT, one, other)
    assert convicted(network, proof) == OFFENCES[kinds]
    assert build_proof(CULPRIT, other, one) == proof, "one spelling, whichever was seen first"
    data = encode_trusted(proof)
    assert decode_as(data, Proof, limit=4096) == proof
    assert encode_trusted(build_proof(CULPRIT, other, one)) == data


def test_an_offence_has_one_id(network: NetworkChain) -> None:
    """Three proposals in a view are one offence; view, epoch, kinds, signer and network make others."""
    first, second, third = (sign_vote(network, CULPRIT, "notarize", label) for label in "abc")
    offence_id = derive_offence_id(NETWORK, build_proof(CULPRIT, first, second))
    assert derive_offence_id(NETWORK, build_proof(CULPRIT, third, first)) == offence_id
    proof = build_proof(CULPRIT, first, second)
    others = [
        msgspec.structs.replace(proof, view=8),
        msgspec.structs.replace(proof, epoch=2),
        msgspec.structs.replace(proof, signer="tpa"),
        build_proof(CULPRIT, *pair(network, ("finalize", "finalize"))),
        build_proof(CULPRIT, *pair(network, ("finalize", "nullify"))),
    ]
    ids = [derive_offence_id(NETWORK, item) for item in others] + [derive_offence_id("other.claims", proof)]
    assert len({offence_id, *ids}) == 7


def test_the_same_block_on_another_parent_is_another_proposal(network: NetworkChain) -> None:
    one, other = (sign_vote(network, CULPRIT, "notarize", parent_view=view) for view in (2, 3))
    assert convicted(network, build_proof(CULPRIT, other, one)) == "double_notarize"


@pytest.mark.parametrize("kind", ["notarize", "nullify", "finalize"])
def test_the_same_statement_twice_is_no_offence(network: NetworkChain, kind: Kind) -> None:
    """Also not with another encoding of who signed it: a subject is compared, never a signature."""
    vote = sign_vote(network, CULPRIT, kind)
    assert refused(network, pair_up(CULPRIT, vote, vote)) == "order"
    with pytest.raises(InvalidEvidence) as caught:
        build_proof(CULPRIT, vote, msgspec.structs.replace(vote, signature="00" * (len(vote.signature) // 2)))
    assert caught.value.code == "order"


@pytest.mark.parametrize("kinds", [("notarize", "nullify"), ("notarize", "finalize")])
@pytest.mark.parametrize("label", ["a", "b"])
def test_lawful_pairs(network: NetworkChain, kinds: tuple[Kind, Kind], label: str) -> None:
    """R5 allows nullify after notarize; R6 needs no own notarize, so a finalize beside one convicts nobody."""
    one, other = sign_vote(network, CULPRIT, kinds[0], "a"), sign_vote(network, CULPRIT, kinds[1], label)
    assert refused(network, in_order(CULPRIT, one, other)) == "no_contradiction"


def test_the_other_order_is_refused(network: NetworkChain) -> None:
    proof = build_proof(CULPRIT, *pair(network, ("notarize", "notarize")))
    assert refused(network, msgspec.structs.replace(proof, first=proof.second, second=proof.first)) == "order"


@pytest.mark.parametrize("kinds", OFFENCES)
@pytest.mark.parametrize(
    "changes", [{"epoch": 2}, {"view": 8}, {"chain": bytes(32)}], ids=["two epochs", "two views", "two chains"]
)
def test_statements_of_two_places_prove_nothing(
    network: NetworkChain, kinds: tuple[Kind, Kind], changes: dict[str, object]
) -> None:
    """B10, O10: an honest validator signs one of each in every view, epoch and chain."""
    one = sign_vote(network, CULPRIT, kinds[0], "a")
    other = sign_vote(network, CULPRIT, kinds[1], "b", **changes)  # type: ignore[arg-type]
    for first, second in ((one, other), (other, one)):
        proof = in_order(CULPRIT, first, second)
        proof = msgspec.structs.replace(proof, epoch=1, view=7)
        assert refused(network, proof) == "signature"
        with pytest.raises(InvalidEvidence):
            convicted(network, build_proof(CULPRIT, first, second))


@pytest.mark.parametrize("kinds", OFFENCES)
def test_one_signature_of_another(network: NetworkChain, kinds: tuple[Kind, Kind]) -> None:
    """B20: without two signatures of its own nobody is convicted, under no name."""
    own, foreign = sign_vote(network, CULPRIT, kinds[0], "a"), sign_vote(network, "tpa", kinds[1], "b")
    assert {refused(network, in_order(name, own, foreign)) for name in VALIDATORS} == {"signature"}


@pytest.mark.parametrize("kinds", OFFENCES)
def test_the_culprit_swapped(network: NetworkChain, kinds: tuple[Kind, Kind]) -> None:
    proof = build_proof(CULPRIT, *pair(network, kinds))
    for name in VALIDATORS - {CULPRIT}:
        assert refused(network, msgspec.structs.replace(proof, signer=name)) == "signature"
    assert refused(network, msgspec.structs.replace(proof, signer="auditor")) == "signer"


def test_a_set_of_another_epoch_is_refused(network: NetworkChain) -> None:
    one, other = (sign_vote(network, CULPRIT, "notarize", label, epoch=2) for label in "ab")
    assert refused(network, build_proof(CULPRIT, one, other)) == "epoch"


def test_a_certificate_is_nobodys_statement(network: NetworkChain) -> None:
    """B13: the aggregate of a finalization stands for no signer, alone or beside its own nullify."""
    validators = network.state.validators
    names = [member.id for member in validators.validators][: quorum(4)]
    shares = [sign_vote(network, name, "finalize") for name in names]
    aggregate = build_certificate(shares, validators).signatures[0]
    for name in names:
        vote = msgspec.structs.replace(sign_vote(network, name, "finalize"), signature=aggregate)
        assert refused(network, in_order(name, vote, sign_vote(network, name, "nullify"))) == "signature"


def test_shares_that_cancel_out_convict_nobody(network: NetworkChain) -> None:
    """B13: shares whose sum is right and of which each is wrong."""
    shares = [sign_vote(network, name, "finalize") for name in ("insurer", "tpa")]
    swapped = msgspec.structs.replace(shares[0], signature=shares[1].signature)
    assert bls.aggregate([bytes.fromhex(share.signature) for share in shares])
    assert refused(network, in_order(CULPRIT, swapped, sign_vote(network, CULPRIT, "nullify"))) == "signature"


@pytest.mark.parametrize(
    ("kind", "size"), [("finalize", 64), ("notarize", 96)], ids=["an Ed25519 finalize", "a BLS notarize"]
)
def test_a_signature_of_the_other_scheme(network: NetworkChain, kind: Kind, size: int) -> None:
    first, second = (sign_vote(network, CULPRIT, kind, label) for label in "ab")
    second = msgspec.structs.replace(second, signature="ab" * size)
    assert refused(network, in_order(CULPRIT, first, second)) == "signature_size"


def test_subjects_that_nobody_signs(network: NetworkChain) -> None:
    """View 0, a parent that is not below, a nullify with a block: refused before any signature."""
    first, second = (sign_vote(network, CULPRIT, "notarize", label) for label in "ab")
    proof = build_proof(CULPRIT, first, second)
    assert refused(network, msgspec.structs.replace(proof, view=0)) == "view"
    assert refused(network, msgspec.structs.replace(proof, view=3)) == "parent_view"
    odd = msgspec.structs.replace(proof.first, digest=None)
    assert refused(network, msgspec.structs.replace(proof, first=odd)) == "digest"


def test_votes_of_two_signers_or_views_build_nothing(network: NetworkChain) -> None:
    vote = sign_vote(network, CULPRIT, "notarize", "a")
    for other in (
        sign_vote(network, "tpa", "notarize", "b"),
        sign_vote(network, CULPRIT, "notarize", "b", view=8),
        sign_vote(network, CULPRIT, "notarize", "b", epoch=2),
    ):
        with pytest.raises(InvalidEvidence) as caught:
            build_proof(CULPRIT, vote, other)
        assert caught.value.code == "view"


def test_the_schema_is_closed(network: NetworkChain) -> None:
    proof = msgspec.to_builtins(build_proof(CULPRIT, *pair(network, ("notarize", "notarize"))))
    for change in ({"note": "x"}, {"view": -1}, {"signer": "No One"}, {"first": {**proof["first"], "signature": "ab"}}):
        with pytest.raises(DecodeError):
            decode_as(encode_trusted(proof | change), Proof, limit=4096)
