"""Certificates that no quorum made, for sets of every awkward size: refused by counting, else by the signatures."""

from collections.abc import Sequence
from itertools import combinations

import msgspec
import pytest

from ledger.certificates import (
    Certificate,
    Kind,
    Subject,
    ValidatorSet,
    Vote,
    bitmap_bytes,
    build_certificate,
    check_certificate,
    decode_certificate,
    encode_certificate,
    verify_certificate,
    vote_message,
)
from ledger.errors import DecodeError, InvalidCertificate
from tests.support.simulator_crypto import FakeScheme, FakeSigner, fake_validators, real_validators

CHAIN, OTHER_CHAIN = b"\x11" * 32, b"\x22" * 32
KINDS: tuple[Kind, ...] = ("notarize", "nullify", "finalize")
DIGEST, OTHER_DIGEST = "ab" * 32, "cd" * 32
REAL, REAL_SIGNERS = real_validators(4)


class Unreached(FakeScheme):
    """Fails the test when a signature is looked at."""

    def verify_signature(self, key: bytes, message: bytes, signature: bytes) -> None:
        raise AssertionError("a signature was checked before the structure")

    def verify_aggregate(self, keys: Sequence[bytes], message: bytes, signature: bytes) -> None:
        raise AssertionError("a pairing was computed before the structure was checked")


def subject(kind: Kind, view: int = 3, epoch: int = 1) -> Subject:
    return Subject(kind, epoch, view, 0, None) if kind == "nullify" else Subject(kind, epoch, view, 2, DIGEST)


def certify(kind: Kind, n: int, signers: Sequence[int]) -> Certificate:
    what = subject(kind)
    votes = [signed(what, i, FakeSigner(i).sign_vote(kind, vote_message(CHAIN, what))) for i in signers]
    return build_certificate(votes, fake_validators(n), FakeScheme())


def signed(what: Subject, signer: int, signature: bytes) -> Vote:
    return Vote(what.kind, what.epoch, what.view, what.parent_view, what.digest, signer, signature.hex())


def read_and_verify(data: bytes, validators: ValidatorSet) -> None:
    verify_certificate(decode_certificate(data), validators, CHAIN, FakeScheme())


def refusal(certificate: Certificate, validators: ValidatorSet) -> str:
    with pytest.raises(InvalidCertificate) as refused:
        verify_certificate(certificate, validators, CHAIN, Unreached())
    return refused.value.code


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [4, 5, 7])
def test_every_bitmap_below_a_quorum(n: int, kind: Kind) -> None:
    """B9: all 2**(8 ceil(n/8)) bitmaps: fewer than q bits or a bit that nobody owns is refused without a signature,
    with as many signatures as bits and with the true number."""
    validators = fake_validators(n)
    true = certify(kind, n, range(validators.quorum))
    for bits in range(1 << 8 * bitmap_bytes(n)):
        bitmap = bits.to_bytes(bitmap_bytes(n), "little").hex()
        if bits < 1 << n and bits.bit_count() >= validators.quorum:
            continue
        code = "bitmap_range" if bits >> n else "quorum"
        for count in {len(true.signatures), bits.bit_count() or 1}:
            signatures = true.signatures[:1] * count
            forged = msgspec.structs.replace(true, signers=bitmap, signatures=signatures)
            assert refusal(forged, validators) == code


@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 17, 40])
def test_bits_behind_the_last_member(n: int) -> None:
    """B9: each spare bit of the last byte, a byte more and a byte less."""
    validators = fake_validators(n)
    true = certify("finalize", n, range(n))
    bits = int.from_bytes(bytes.fromhex(true.signers), "little")
    for spare in range(n, 8 * bitmap_bytes(n)):
        bitmap = (bits | 1 << spare).to_bytes(bitmap_bytes(n), "little").hex()
        assert refusal(msgspec.structs.replace(true, signers=bitmap), validators) == "bitmap_range"
    assert refusal(msgspec.structs.replace(true, signers=true.signers + "00"), validators) == "bitmap_size"
    if n > 8:
        assert refusal(msgspec.structs.replace(true, signers=true.signers[2:]), validators) == "bitmap_size"


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_numbers_and_sizes_of_signatures(kind: Kind) -> None:
    """B9: none fits but one a signer (one aggregate for finalize) of exactly its size."""
    validators = fake_validators(4)
    true = certify(kind, 4, (0, 2, 3))
    one = true.signatures[0]
    for count in (*range(1, len(true.signatures)), *range(len(true.signatures) + 1, 8), 128):
        forged = msgspec.structs.replace(true, signatures=(one,) * count)
        assert refusal(forged, validators) == "signature_count"
    for size in (0, 1, 32, 63, 64, 65, 95, 96, 97):
        if 2 * size != len(one):
            forged = msgspec.structs.replace(true, signatures=("5a" * size,) * len(true.signatures))
            assert refusal(forged, validators) == "signature_size"


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_and_every_changed_byte_of_the_encoding(kind: Kind) -> None:
    """B9: truncated, prolonged, or with any byte replaced: no certificate, or one that does not verify."""
    validators = fake_validators(4)
    data = encode_certificate(certify(kind, 4, (0, 2, 3)))
    for end in range(len(data)):
        with pytest.raises(DecodeError):
            decode_certificate(data[:end])
    for at in range(len(data)):
        for byte in (0x00, 0x22, 0x30, 0x7B, 0xFF, data[at] ^ 1):
            if byte != data[at]:
                with pytest.raises((DecodeError, InvalidCertificate)):
                    read_and_verify(data[:at] + bytes((byte,)) + data[at + 1 :], validators)


@pytest.mark.parametrize("view", [0, 1, 2**31, 2**53 - 1, 2**53, 2**63 - 1, 2**64, -1])
@pytest.mark.parametrize("field", ["view", "parent_view", "epoch"])
def test_numbers_from_the_end_of_time(field: str, view: int) -> None:
    """B15: any view, parent view or epoch but the signed one: refused by its form, by counting or by its signatures."""
    data = encode_certificate(certify("finalize", 4, (0, 2, 3)))
    number = {"view": 3, "parent_view": 2, "epoch": 1}[field]
    if view == number:
        return
    changed = data.replace(f'"{field}":{number}'.encode(), f'"{field}":{view}'.encode())
    assert changed != data
    with pytest.raises((DecodeError, InvalidCertificate)):
        verify_certificate(decode_certificate(changed), fake_validators(4), CHAIN, FakeScheme())
    if view >= 2**53 or view < 0:
        with pytest.raises(DecodeError):
            decode_certificate(changed)


def real_signature(signer: int, what: Subject, chain: bytes = CHAIN) -> bytes:
    return REAL_SIGNERS[signer].sign_vote(what.kind, vote_message(chain, what))


def strangers(kind: Kind) -> list[tuple[str, Subject, bytes]]:
    """The same member's true signatures on something else."""
    own = subject(kind)
    others = [("view", subject(kind, view=4), CHAIN), ("epoch", subject(kind, epoch=2), CHAIN)]
    others.append(("chain", own, OTHER_CHAIN))
    if kind != "nullify":
        others.append(("digest", msgspec.structs.replace(own, digest=OTHER_DIGEST), CHAIN))
        others.append(("parent", msgspec.structs.replace(own, parent_view=1), CHAIN))
    if kind != "finalize":
        others.append(("kind", subject("nullify" if kind == "notarize" else "notarize"), CHAIN))
    return others


@pytest.mark.parametrize("kind", KINDS)
def test_one_vote_of_another_subject_spoils_a_certificate(kind: Kind) -> None:
    """B10: q-1 true votes and one of another view, epoch, chain, digest, parent or kind, in each place."""
    own = subject(kind)
    for name, other, chain in strangers(kind):
        for place in range(3):
            signatures = [real_signature(i, own) for i in range(3)]
            signatures[place] = real_signature(place, other, chain)
            votes = [signed(own, i, signature) for i, signature in enumerate(signatures)]
            mixed = build_certificate(votes, REAL)
            check_certificate(mixed, REAL)
            with pytest.raises(InvalidCertificate, match="signature") as refused:
                verify_certificate(mixed, REAL, CHAIN)
            assert refused.value.code == "signature", name


def test_a_finalize_share_is_no_notarize_vote() -> None:
    """B10: the keys differ and the tag differs: neither the bytes nor the message of one kind serve another."""
    messages = {vote_message(chain, subject(kind)) for kind in KINDS for chain in (CHAIN, OTHER_CHAIN)}
    assert len(messages) == 6
    share = real_signature(0, subject("finalize")).hex()
    what = subject("notarize")
    votes = [signed(what, i, real_signature(i, what)) for i in range(3)]
    votes[0] = msgspec.structs.replace(votes[0], signature=share)
    with pytest.raises(InvalidCertificate) as refused:
        verify_certificate(build_certificate(votes, REAL), REAL, CHAIN)
    assert refused.value.code == "signature_size"


@pytest.mark.parametrize("n", range(1, 41))
def test_no_two_quorums_without_an_honest_member(n: int) -> None:
    """N12: for every size a certificate takes exactly q of n, q-1 make none, and two of q share more than f."""
    validators = fake_validators(n)
    faulty = (n - 1) // 3
    verify_certificate(certify("finalize", n, range(validators.quorum)), validators, CHAIN, FakeScheme())
    with pytest.raises(InvalidCertificate) as refused:
        certify("finalize", n, range(validators.quorum - 1) if validators.quorum > 1 else ())
    assert refused.value.code == "quorum"
    first, last = set(range(validators.quorum)), set(range(n - validators.quorum, n))
    assert len(first & last) >= faulty + 1, "the pair with the smallest overlap"
    assert n - faulty >= validators.quorum, "the honest ones alone suffice"
    if n <= 7:
        everybody = list(combinations(range(n), validators.quorum))
        assert all(len(set(a) & set(b)) > faulty for a in everybody for b in everybody)
