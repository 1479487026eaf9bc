"""BLS shares of finalize votes with real keys: bad ones are found out, colluding ones frame nobody."""

import pytest
from msgspec.structs import replace
from py_arkworks_bls12381 import G2Point

from consensus.votes import Tally, take_finality
from ledger.certificates import SIGNATURES, Subject, Vote, signers_of, verify_certificate, verify_vote, vote_message
from ledger.errors import InvalidCertificate
from tests.support.simulator_crypto import real_validators

CHAIN = b"\x11" * 32
SUBJECT = Subject("finalize", 1, 3, 2, "ab" * 32)
SET, SIGNERS = real_validators(7)


def share(signer: int, subject: Subject = SUBJECT) -> Vote:
    signature = SIGNERS[signer].sign_vote("finalize", vote_message(CHAIN, subject)).hex()
    return Vote("finalize", 1, subject.view, subject.parent_view, subject.digest, signer, signature)


def moved(vote: Vote, by: G2Point, times: int = 1) -> Vote:
    """The share with an error that is a point of the right subgroup: it decodes, and verifies alone no more."""
    point = G2Point.from_compressed_bytes(bytes.fromhex(vote.signature))
    for _ in range(abs(times)):
        point = point + by if times > 0 else point - by
    return replace(vote, signature=point.to_compressed_bytes().hex())


ERROR = G2Point.from_compressed_bytes(bytes.fromhex(share(6, replace(SUBJECT, view=9)).signature))


def tally_of(*votes: Vote) -> Tally:
    tally = Tally()
    for vote in votes:
        tally.add(vote)
    return tally


def is_good(vote: Vote) -> bool:
    try:
        verify_vote(vote, SET, CHAIN)
    except InvalidCertificate:
        return False
    return True


NOISE = "5a" * 96
INFINITY = "c0" + "00" * 95


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("bad", ["moved", "noise", "infinity", "another's", "another view's"])
def test_one_bad_share_of_six_is_named_and_the_others_count(bad: str, place: int) -> None:
    """B12: whatever is wrong with it and wherever it stands, that signer alone is named; five others make the
    certificate."""
    forged = {
        "moved": moved(share(place), ERROR),
        "noise": replace(share(place), signature=NOISE),
        "infinity": replace(share(place), signature=INFINITY),
        "another's": replace(share(place), signature=share((place + 1) % 6).signature),
        "another view's": replace(share(place), signature=share(place, replace(SUBJECT, view=4)).signature),
    }[bad]
    tally = tally_of(*(forged if i == place else share(i) for i in range(6)))
    certificate, culprits = take_finality(tally, SUBJECT, SET, CHAIN, SIGNATURES)
    assert culprits == [place]
    assert certificate is not None
    verify_certificate(certificate, SET, CHAIN)
    assert signers_of(certificate) == tuple(i for i in range(6) if i != place)


def test_too_many_bad_shares_leave_no_certificate_and_the_good_ones() -> None:
    """B12: two of five are bad: both are named, the three others wait for more."""
    tally = tally_of(moved(share(0), ERROR), share(1), replace(share(2), signature=NOISE), share(3), share(4))
    certificate, culprits = take_finality(tally, SUBJECT, SET, CHAIN, SIGNATURES)
    assert (certificate, culprits) == (None, [0, 2])
    for late in (share(5), share(6)):
        tally.add(late)
    certificate, culprits = take_finality(tally, SUBJECT, SET, CHAIN, SIGNATURES)
    assert certificate is not None
    assert culprits == []


def test_two_shares_whose_errors_cancel_make_a_true_certificate_of_their_signers() -> None:
    """B13: both hold their keys (possession is proved at registration), so the aggregate is what they could have made
    honestly: it counts for them and for nobody else."""
    pair = moved(share(0), ERROR), moved(share(1), ERROR, -1)
    assert not any(map(is_good, pair))
    tally = tally_of(*pair, *(share(i) for i in (2, 3, 4)))
    certificate, culprits = take_finality(tally, SUBJECT, SET, CHAIN, SIGNATURES)
    assert certificate is not None
    verify_certificate(certificate, SET, CHAIN)
    assert (signers_of(certificate), culprits) == ((0, 1, 2, 3, 4), [])


def test_half_of_a_cancelling_pair_is_a_bad_share_like_any_other() -> None:
    """B13: with the other half missing, with a third error beside them, or with the sum off by one."""
    halves = moved(share(0), ERROR), moved(share(1), ERROR, -1)
    for spoiled, named in [
        ((halves[0], *(share(i) for i in (1, 2, 3, 4, 5))), [0]),
        ((*halves, moved(share(2), ERROR), *(share(i) for i in (3, 4, 5, 6))), [0, 1, 2]),
        ((halves[0], moved(share(1), ERROR, -2), *(share(i) for i in (2, 3, 4, 5, 6))), [0, 1]),
    ]:
        tally = tally_of(*spoiled)
        certificate, culprits = take_finality(tally, SUBJECT, SET, CHAIN, SIGNATURES)
        assert culprits == named
        left = sum(is_good(vote) for vote in spoiled)
        assert (certificate is not None) == (left >= SET.quorum)


def test_three_errors_that_cancel_frame_no_honest_signer() -> None:
    """B13: more than f collude here; still no bit of the certificate is of somebody who did not send a share."""
    shares = moved(share(0), ERROR, 2), moved(share(1), ERROR, -1), moved(share(2), ERROR, -1), share(3), share(4)
    certificate, _ = take_finality(tally_of(*shares), SUBJECT, SET, CHAIN, SIGNATURES)
    assert certificate is not None
    assert set(signers_of(certificate)) == {vote.signer for vote in shares}
    for outsider in (5, 6):
        grown = int(certificate.signers, 16) | 1 << outsider
        with pytest.raises(InvalidCertificate):
            verify_certificate(replace(certificate, signers=f"{grown:02x}"), SET, CHAIN)


def test_a_share_that_cancels_an_honest_one_is_found() -> None:
    """B13: the liar knows the honest share and sends its negative: the sum has no term of either."""
    honest = G2Point.from_compressed_bytes(bytes.fromhex(share(1).signature))
    negative = replace(share(0), signature=(-honest).to_compressed_bytes().hex())
    tally = tally_of(negative, *(share(i) for i in (1, 2, 3, 4, 5)))
    certificate, culprits = take_finality(tally, SUBJECT, SET, CHAIN, SIGNATURES)
    assert culprits == [0]
    assert certificate is not None
    assert signers_of(certificate) == (1, 2, 3, 4, 5)
