"""Certificates: what counting refuses, what signatures refuse, and that two quorums always share an honest member."""

from itertools import combinations

import msgspec
import pytest

from ledger.certificates import (
    SIGNATURES,
    Certificate,
    Kind,
    Subject,
    Validator,
    ValidatorSet,
    Vote,
    build_certificate,
    check_certificate,
    decode_certificate,
    encode_certificate,
    quorum,
    signers_of,
    verify_certificate,
    verify_finality,
    verify_vote,
    vote_message,
)
from ledger.errors import DecodeError, InvalidCertificate, SignatureError
from tests.support.simulator_crypto import FakeScheme, real_validators

CHAIN = b"\x11" * 32
DIGEST = "ab" * 32
SET, SIGNERS = real_validators(4)


class NoSignatures(FakeScheme):
    """Fails the test when a signature is looked at."""

    def verify_signature(self, key: bytes, message: bytes, signature: bytes) -> None:
        raise AssertionError("a signature was checked before the structure")

    verify_aggregate = verify_signature  # type: ignore[assignment]


def _subject(kind: Kind, view: int = 3) -> Subject:
    return Subject(kind, 1, view, 0, None) if kind == "nullify" else Subject(kind, 1, view, 2, DIGEST)


def _vote(signer: int, subject: Subject, chain: bytes = CHAIN) -> Vote:
    signature = SIGNERS[signer].sign_vote(subject.kind, vote_message(chain, subject))
    return Vote(*msgspec.structs.astuple(subject), signer, signature.hex())


def _certificate(kind: Kind, signers: tuple[int, ...] = (0, 2, 3)) -> Certificate:
    return build_certificate([_vote(i, _subject(kind)) for i in signers], SET)


KINDS: tuple[Kind, ...] = ("notarize", "nullify", "finalize")
GOOD = {kind: _certificate(kind) for kind in KINDS}


@pytest.mark.parametrize("n", range(1, 41))
def test_two_quorums_share_an_honest_member(n: int) -> None:
    faulty = (n - 1) // 3
    assert 2 * quorum(n) - n >= faulty + 1, "or f liars could make two certificates"
    assert quorum(n) <= n - faulty, "or f silent members could stop the rest"
    assert quorum(n) == 2 * n // 3 + 1


def test_quorum_is_not_two_f_plus_one() -> None:
    assert [quorum(n) for n in (1, 2, 3, 4, 5, 6, 7, 10, 30)] == [1, 2, 3, 3, 4, 5, 5, 7, 21]
    assert any(len(set(a) & set(b)) == 1 for a, b in combinations(combinations(range(5), 3), 2))
    with pytest.raises(InvalidCertificate):
        quorum(0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_quorum_makes_a_certificate(kind: Kind) -> None:
    certificate = GOOD[kind]
    verify_certificate(certificate, SET, CHAIN)
    assert signers_of(certificate) == (0, 2, 3)
    assert decode_certificate(encode_certificate(certificate)) == certificate
    verify_certificate(_certificate(kind, (0, 1, 2, 3)), SET, CHAIN)


def _changed(kind: Kind, **fields: object) -> Certificate:
    return msgspec.structs.replace(GOOD[kind], **fields)


@pytest.mark.parametrize(
    ("certificate", "code"),
    [
        (_changed("notarize", signers="05", signatures=GOOD["notarize"].signatures[:2]), "quorum"),
        (_changed("finalize", signers="03"), "quorum"),
        (_changed("finalize", signers="00"), "quorum"),
        (_changed("notarize", signers="0d00"), "bitmap_size"),
        (_changed("finalize", signers="0d00"), "bitmap_size"),
        (_changed("notarize", signers="1d"), "bitmap_range"),
        (_changed("finalize", signers="8d"), "bitmap_range"),
        (_changed("notarize", signatures=GOOD["notarize"].signatures[:2]), "signature_count"),
        (_changed("notarize", signatures=GOOD["notarize"].signatures * 2), "signature_count"),
        (_changed("finalize", signatures=GOOD["finalize"].signatures * 2), "signature_count"),
        (_changed("notarize", signatures=("00" * 96,) * 3), "signature_size"),
        (_changed("finalize", signatures=("00" * 64,)), "signature_size"),
        (_changed("notarize", epoch=2), "epoch"),
        (_changed("notarize", view=0, parent_view=0), "view"),
        (_changed("notarize", parent_view=3), "parent_view"),
        (_changed("finalize", digest=None), "digest"),
        (_changed("nullify", digest=DIGEST), "digest"),
        (_changed("nullify", parent_view=1), "digest"),
    ],
)
def test_counting_refuses_before_any_signature(certificate: Certificate, code: str) -> None:
    """B9: each wrong number or size is refused before a signature is looked at."""
    with pytest.raises(InvalidCertificate) as refused:
        verify_certificate(certificate, SET, CHAIN, NoSignatures())
    assert refused.value.code == code


@pytest.mark.parametrize(
    "certificate",
    [
        _changed("notarize", view=4),
        _changed("notarize", digest="cd" * 32),
        _changed("notarize", parent_view=1),
        _changed("finalize", view=4),
        _changed("finalize", parent_view=1),
        _changed("nullify", view=4),
        _changed("notarize", signers="0e"),
        _changed("finalize", signers="0e"),
        _changed("finalize", signers="0f"),
        _changed("notarize", signatures=tuple(reversed(GOOD["notarize"].signatures))),
        _changed("notarize", signatures=GOOD["notarize"].signatures[:1] * 3),
        _changed("notarize", signatures=GOOD["nullify"].signatures),
        _changed("finalize", signatures=("c0" + "00" * 95,)),
        _changed("finalize", signatures=("ff" * 96,)),
    ],
)
def test_signatures_bind_every_field(certificate: Certificate) -> None:
    """B10: true signatures over another field prove nothing."""
    check_certificate(certificate, SET)
    with pytest.raises(InvalidCertificate) as refused:
        verify_certificate(certificate, SET, CHAIN)
    assert refused.value.code == "signature"


@pytest.mark.parametrize("kind", KINDS)
def test_another_chain_or_epoch_is_another_statement(kind: Kind) -> None:
    """B10 O10: chain, epoch and kind are in the signed bytes."""
    with pytest.raises(InvalidCertificate, match="signature"):
        verify_certificate(GOOD[kind], SET, b"\x22" * 32)
    later, _ = real_validators(4, epoch=2)
    with pytest.raises(InvalidCertificate, match="signature"):
        verify_certificate(_changed(kind, epoch=2), later, CHAIN)
    messages = {vote_message(CHAIN, _subject(k)) for k in KINDS}
    assert len(messages) == 3


def test_only_a_finalization_proves_a_header() -> None:
    verify_finality(GOOD["finalize"], bytes.fromhex(DIGEST), SET, CHAIN)
    for certificate, digest, code in [
        (GOOD["notarize"], DIGEST, "kind"),
        (GOOD["nullify"], DIGEST, "kind"),
        (GOOD["finalize"], "cd" * 32, "digest"),
        (_changed("finalize", view=9), DIGEST, "signature"),
    ]:
        with pytest.raises(InvalidCertificate) as refused:
            verify_finality(certificate, bytes.fromhex(digest), SET, CHAIN)
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("votes", "code"),
    [
        ([0, 1], "quorum"),
        ([0, 0, 1], "signer"),
        ([1, 2, 9], "signer"),
    ],
)
def test_building_counts_distinct_members(votes: list[int], code: str) -> None:
    made = [msgspec.structs.replace(_vote(i % 4, _subject("notarize")), signer=i) for i in votes]
    with pytest.raises(InvalidCertificate) as refused:
        build_certificate(made, SET)
    assert refused.value.code == code


def test_building_wants_one_subject() -> None:
    votes = [_vote(0, _subject("notarize")), _vote(1, _subject("notarize", 4)), _vote(2, _subject("notarize"))]
    with pytest.raises(InvalidCertificate) as refused:
        build_certificate(votes, SET)
    assert refused.value.code == "subject"
    with pytest.raises(SignatureError):
        SIGNATURES.aggregate([b"\xff" * 96])


def test_single_votes_are_verified_alike() -> None:
    for kind in KINDS:
        vote = _vote(1, _subject(kind))
        verify_vote(vote, SET, CHAIN)
        for changed, code in [
            (msgspec.structs.replace(vote, signer=2), "signature"),
            (msgspec.structs.replace(vote, signer=7), "signer"),
            (msgspec.structs.replace(vote, view=0), "view"),
            (msgspec.structs.replace(vote, epoch=0), "epoch"),
            (msgspec.structs.replace(vote, signature="00" * (64 if kind == "finalize" else 96)), "signature_size"),
        ]:
            with pytest.raises(InvalidCertificate) as refused:
                verify_vote(changed, SET, CHAIN)
            assert refused.value.code == code


@pytest.mark.parametrize(
    "members",
    [
        (),
        tuple(reversed(SET.validators)),
        SET.validators[:1] * 2,
        (SET.validators[0], msgspec.structs.replace(SET.validators[1], signing_key=SET.validators[0].signing_key)),
        (SET.validators[0], msgspec.structs.replace(SET.validators[1], finality_key=SET.validators[0].finality_key)),
    ],
)
def test_a_set_is_sorted_and_without_repetition(members: tuple[Validator, ...]) -> None:
    with pytest.raises(InvalidCertificate) as refused:
        ValidatorSet(1, members)
    assert refused.value.code == "validator_set"


def test_the_set_hash_binds_epoch_and_members() -> None:
    other, _ = real_validators(4, epoch=2)
    assert len({SET.hash, other.hash, real_validators(5)[0].hash}) == 3
    assert SET.index_of("v02") == 2
    assert SET.index_of("nobody") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        encode_certificate(GOOD["notarize"]) + b" ",
        encode_certificate(GOOD["notarize"]).replace(b'"notarize"', b'"other"'),
        encode_certificate(GOOD["notarize"]).replace(b'"view":3', b'"view":9007199254740992'),
        encode_certificate(GOOD["notarize"]).replace(b'"view":3', b'"view":-1'),
        encode_certificate(GOOD["notarize"]).replace(b'"signers":"0d"', b'"signers":"0"'),
        encode_certificate(GOOD["notarize"]).replace(b'"signers":"0d"', b'"signers":""'),
        encode_certificate(GOOD["notarize"]).replace(b"{", b'{"extra":1,', 1),
        b"x" * 100_000,
    ],
)
def test_foreign_bytes_raise_decode_errors_only(data: bytes) -> None:
    """B9: garbage, other spellings, numbers out of range, and a hundred kilobytes."""
    with pytest.raises(DecodeError):
        decode_certificate(data)
