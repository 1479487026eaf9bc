"""What insured persons say of their claims: a signed score with codes, complaints with a clock, and figures of both.

Knows tokens of a consent's key (protocol rule 7) and codes. Must not know who the insured is: no field has room for a
text. Must always hold: only the key of the claim's own consent speaks, a word said twice counts once, and none of it is
on the ledger.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct, structs

from contracts.errors import Refusal
from contracts.reasons import ANSWERS, FEEDBACK_REASONS
from contracts.reports.kpi import NameCount
from contracts.reports.ranks import MEDIAN, Share, share_of, value_at
from contracts.tokens import decode_token, encode_token
from ledger.types import Hex16, Hex32, NetworkId

FEEDBACK_TYPE: Final = "claim-feedback+jwt"
COMPLAINT_MS: Final = 15 * 86_400_000
"""Time to answer a complaint: 15 days, as the rules on insurance consumer complaints set for plain cases."""
MAX_OF_CLAIM: Final = 20
"""Words kept of one claim; a customer who has more to say has a dispute."""
MAX_REASONS: Final = 5
Kind: TypeAlias = Literal["feedback", "complaint"]
Score: TypeAlias = Annotated[int, Meta(ge=1, le=5)]


class FeedbackToken(Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of what the insured signs with the consent's key. `score`: 1 is worst, 5 best."""

    v: Literal[1]
    network: NetworkId
    consent_id: Hex32
    claim_id: Hex32
    kind: Kind
    score: Score
    reasons: Annotated[tuple[Annotated[str, Meta(max_length=40)], ...], Meta(max_length=MAX_REASONS)]
    nonce: Hex16


class Feedback(Struct, frozen=True, forbid_unknown_fields=True):
    """One word of an insured, as a node keeps it. Times are block times; `answer` is staff's, `person` who gave it."""

    feedback_id: str
    claim_id: str
    kind: Kind
    score: int
    reasons: tuple[str, ...]
    received_ms: int
    answered_ms: int | None = None
    answer: str | None = None
    person: str | None = None

    def due_ms(self) -> int | None:
        """When a complaint has to be answered; None for plain feedback."""
        return self.received_ms + COMPLAINT_MS if self.kind == "complaint" else None

    def is_late(self, now_ms: int) -> bool:
        """Whether a complaint was not answered in time."""
        due_ms = self.due_ms()
        return due_ms is not None and (now_ms if self.answered_ms is None else self.answered_ms) > due_ms


class Satisfaction(Struct, frozen=True, forbid_unknown_fields=True):
    """Figures of a set of words. `complaint_claims` is the share of `claims` with a complaint."""

    words: int
    median_score: int | None
    scores: tuple[NameCount, ...]
    reasons: tuple[NameCount, ...]
    complaint_claims: Share
    open_complaints: int
    late_complaints: int


def check_token(token: str, network: str, claim_id: str, consent_id: str, key: str) -> FeedbackToken:
    """The payload of a word about this claim. Raises TokenError; Refusal FEEDBACK_MISMATCH, REASON_UNKNOWN."""
    payload = decode_token(token, FEEDBACK_TYPE, FeedbackToken, key)
    if (payload.network, payload.claim_id, payload.consent_id) != (network, claim_id, consent_id):
        raise Refusal("FEEDBACK_MISMATCH", "the token speaks of another claim", claim_id)
    if not set(payload.reasons) <= set(FEEDBACK_REASONS):
        raise Refusal("REASON_UNKNOWN", f"reasons are {', '.join(sorted(FEEDBACK_REASONS))}", claim_id)
    return payload


def sign_feedback(
    seed: bytes,
    network: str,
    consent_id: str,
    claim_id: str,
    kind: Kind,
    score: int,
    reasons: Sequence[str],
    nonce: str,
) -> str:
    """The insured's token, signed with the Ed25519 seed of the consent; `nonce` is 32 fresh hexadecimal digits."""
    payload = FeedbackToken(1, network, consent_id, claim_id, kind, score, tuple(reasons), nonce)
    return encode_token(payload, FEEDBACK_TYPE, seed)


def add_feedback(kept: Sequence[Feedback], feedback_id: str, token: FeedbackToken, now_ms: int) -> list[Feedback]:
    """The claim's words with this one; the same one again changes nothing. Refusal FEEDBACK_FULL."""
    if any(item.feedback_id == feedback_id for item in kept):
        return list(kept)
    if len(kept) >= MAX_OF_CLAIM:
        raise Refusal("FEEDBACK_FULL", f"{MAX_OF_CLAIM} words are kept of a claim", token.claim_id)
    reasons = tuple(sorted(set(token.reasons)))
    return [*kept, Feedback(feedback_id, token.claim_id, token.kind, token.score, reasons, now_ms)]


def answer_feedback(
    kept: Sequence[Feedback], feedback_id: str, answer: str, person: str, now_ms: int
) -> list[Feedback]:
    """The words with one answered. Refusal FEEDBACK_UNKNOWN, ALREADY_ANSWERED, REASON_UNKNOWN."""
    found = next((item for item in kept if item.feedback_id == feedback_id), None)
    if found is None:
        raise Refusal("FEEDBACK_UNKNOWN", "this claim has no such word", feedback_id)
    if found.answer is not None:
        raise Refusal("ALREADY_ANSWERED", f"answered {found.answer}", feedback_id)
    if answer not in ANSWERS:
        raise Refusal("REASON_UNKNOWN", f"answers are {', '.join(sorted(ANSWERS))}", feedback_id)
    answered = structs.replace(found, answer=answer, person=person, answered_ms=now_ms)
    return [answered if item is found else item for item in kept]


def build_satisfaction(words: Iterable[Feedback], claims: int, now_ms: int) -> Satisfaction:
    """Figures over these words of `claims` claims."""
    kept = list(words)
    complaints = [item for item in kept if item.kind == "complaint"]
    of_claims = len({item.claim_id for item in complaints})
    return Satisfaction(
        words=len(kept),
        median_score=value_at(MEDIAN, [item.score for item in kept]),
        scores=_count(str(item.score) for item in kept),
        reasons=_count(reason for item in kept for reason in item.reasons),
        complaint_claims=share_of(of_claims, max(claims, of_claims)),
        open_complaints=sum(item.answer is None for item in complaints),
        late_complaints=sum(item.is_late(now_ms) for item in complaints),
    )


def _count(names: Iterable[str]) -> tuple[NameCount, ...]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return tuple(NameCount(name, counts[name]) for name in sorted(counts))
