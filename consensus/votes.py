"""The tally of one view: who said what, once each.

Knows votes of one view and nothing else. Must always hold: a signer counts at most once per kind, and the first
of two contradicting votes stays, so that the pair can be shown. Ed25519 votes come in verified; finalize
shares come in unverified and are checked together when a quorum is there (`take_finality`).
"""

from ledger.certificates import (
    Certificate,
    Kind,
    Scheme,
    Subject,
    ValidatorSet,
    Vote,
    build_certificate,
    verify_certificate,
    verify_vote,
)
from ledger.errors import InvalidCertificate, SignatureError

_CONTRADICTS: dict[Kind, Kind] = {"nullify": "finalize", "finalize": "nullify"}


class Tally:
    """Votes by kind and signer, and how many stand behind each subject."""

    __slots__ = ("_counts", "_votes")

    def __init__(self) -> None:
        self._votes: dict[Kind, dict[int, Vote]] = {"notarize": {}, "nullify": {}, "finalize": {}}
        self._counts: dict[Subject, int] = {}

    def get(self, kind: Kind, signer: int) -> Vote | None:
        """The vote of this kind that counts for `signer`."""
        return self._votes[kind].get(signer)

    def contradiction(self, vote: Vote) -> Vote | None:
        """A held vote of the same signer that no honest validator signs beside `vote`."""
        same = self._votes[vote.kind].get(vote.signer)
        if same is not None and same.subject != vote.subject:
            return same
        other = _CONTRADICTS.get(vote.kind)
        return self._votes[other].get(vote.signer) if other is not None else None

    def add(self, vote: Vote) -> int:
        """Count the vote unless its signer already counts for this kind; returns the count of its subject."""
        subject = vote.subject
        votes = self._votes[vote.kind]
        if vote.signer not in votes:
            votes[vote.signer] = vote
            self._counts[subject] = self._counts.get(subject, 0) + 1
        return self._counts.get(subject, 0)

    def count(self, kind: Kind) -> int:
        """Signers that voted this kind, whatever the subject."""
        return len(self._votes[kind])

    def votes_for(self, subject: Subject) -> list[Vote]:
        """The counted votes for one subject, in order of signer."""
        votes = self._votes[subject.kind]
        return [votes[signer] for signer in sorted(votes) if votes[signer].subject == subject]

    def remove(self, vote: Vote) -> None:
        """Forget a vote that turned out to be invalid."""
        if self._votes[vote.kind].pop(vote.signer, None) is not None:
            self._counts[vote.subject] -= 1


def take_finality(
    tally: Tally, subject: Subject, validators: ValidatorSet, chain: bytes, scheme: Scheme
) -> tuple[Certificate | None, list[int]]:
    """The finalization from the shares for `subject`, and the signers whose shares were bad and are now removed.

    One aggregate check in the good case; only when it fails is every share checked alone.
    """
    shares = tally.votes_for(subject)
    certificate = _try_aggregate(shares, validators, chain, scheme)
    if certificate is not None:
        return certificate, []
    bad = [share for share in shares if not _is_good(share, validators, chain, scheme)]
    for share in bad:
        tally.remove(share)
    rest = tally.votes_for(subject)
    certificate = _try_aggregate(rest, validators, chain, scheme) if len(rest) >= validators.quorum else None
    return certificate, [share.signer for share in bad]


def _try_aggregate(shares: list[Vote], validators: ValidatorSet, chain: bytes, scheme: Scheme) -> Certificate | None:
    try:
        certificate = build_certificate(shares, validators, scheme)
        verify_certificate(certificate, validators, chain, scheme)
    except (SignatureError, InvalidCertificate):
        return None
    return certificate


def _is_good(share: Vote, validators: ValidatorSet, chain: bytes, scheme: Scheme) -> bool:
    try:
        verify_vote(share, validators, chain, scheme)
    except InvalidCertificate:
        return False
    return True
