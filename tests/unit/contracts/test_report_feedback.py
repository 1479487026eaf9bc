"""What insured persons say of a claim: whose word counts, what is refused, complaints with a clock, figures."""

from typing import Any

import pytest

from contracts.errors import Refusal, TokenError
from contracts.reports.feedback import (
    COMPLAINT_MS,
    FEEDBACK_TYPE,
    MAX_OF_CLAIM,
    Feedback,
    FeedbackToken,
    add_feedback,
    answer_feedback,
    build_satisfaction,
    check_token,
    sign_feedback,
)
from contracts.tokens import encode_token
from ledger.crypto import ed25519

SEED, OTHER = b"\x01" * 32, b"\x02" * 32
KEY = ed25519.public_key(SEED).hex()
CLAIM, CONSENT = "ab" * 32, "cd" * 32


def token(seed: bytes = SEED, kind: Any = "feedback", reasons: tuple[str, ...] = ("QUICK",), **changes: Any) -> str:
    fields: dict[str, Any] = {
        "v": 1,
        "network": "test.claims",
        "consent_id": CONSENT,
        "claim_id": CLAIM,
        "kind": kind,
        "score": 4,
        "reasons": reasons,
        "nonce": "00" * 16,
    }
    return encode_token(FeedbackToken(**(fields | changes)), FEEDBACK_TYPE, seed)


def read(text: str) -> FeedbackToken:
    return check_token(text, "test.claims", CLAIM, CONSENT, KEY)


def refused(code: str) -> Any:
    return pytest.raises(Refusal, match=f"^{code}")


def test_a_wallets_word_is_read_back() -> None:
    text = sign_feedback(SEED, "test.claims", CONSENT, CLAIM, "complaint", 1, ["SLOW"], "11" * 16)
    assert (read(text).kind, read(text).reasons) == ("complaint", ("SLOW",))


def word(number: int = 1, **changes: Any) -> Feedback:
    fields: dict[str, Any] = {"feedback_id": f"{number:064x}", "claim_id": CLAIM, "kind": "complaint", "score": 2}
    return Feedback(**(fields | {"reasons": ("SLOW",), "received_ms": 1_000} | changes))


def test_only_the_consents_key_speaks_and_of_its_own_claim() -> None:
    assert read(token()).score == 4
    with pytest.raises(TokenError):
        read(token(OTHER))
    others: list[dict[str, Any]] = [{"network": "other.claims"}, {"claim_id": "00" * 32}, {"consent_id": "00" * 32}]
    for changes in others:
        with refused("FEEDBACK_MISMATCH"):
            read(token(**changes))


@pytest.mark.parametrize("changes", [{"score": 0}, {"score": 6}, {"kind": "praise"}, {"reasons": ("QUICK",) * 6}])
def test_a_word_has_no_room_for_more(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenError):
        read(token(**changes))


def test_reasons_are_codes() -> None:
    with refused("REASON_UNKNOWN"):
        read(token(reasons=("the doctor was late",)))


def test_a_word_said_twice_counts_once_and_words_are_bounded() -> None:
    payload = read(token(reasons=("SLOW", "QUICK", "SLOW")))
    kept = add_feedback([], "01", payload, 5)
    assert kept[0].reasons == ("QUICK", "SLOW")
    assert add_feedback(kept, "01", payload, 9) == kept
    for number in range(1, MAX_OF_CLAIM):
        kept = add_feedback(kept, f"n{number}", payload, 5)
    with refused("FEEDBACK_FULL"):
        add_feedback(kept, "one more", payload, 5)
    assert add_feedback(kept, "01", payload, 5) == kept


def test_a_complaint_is_answered_once_and_in_time() -> None:
    kept = [word(1), word(2, kind="feedback")]
    assert (kept[0].due_ms(), kept[1].due_ms()) == (1_000 + COMPLAINT_MS, None)
    assert [item.is_late(2 * COMPLAINT_MS) for item in kept] == [True, False]
    assert not kept[0].is_late(1_000 + COMPLAINT_MS)
    with refused("FEEDBACK_UNKNOWN"):
        answer_feedback(kept, "00", "EXPLAINED", "ann", 5)
    with refused("REASON_UNKNOWN"):
        answer_feedback(kept, kept[0].feedback_id, "sorry", "ann", 5)
    answered = answer_feedback(kept, kept[0].feedback_id, "EXPLAINED", "ann", 1_000 + COMPLAINT_MS)
    assert (answered[0].answer, answered[0].person, answered[1]) == ("EXPLAINED", "ann", kept[1])
    assert not answered[0].is_late(10 * COMPLAINT_MS), "judged by its answer"
    with refused("ALREADY_ANSWERED"):
        answer_feedback(answered, kept[0].feedback_id, "CORRECTED", "ann", 9)


def test_figures_of_satisfaction() -> None:
    words = [
        word(1),
        word(2, kind="feedback", score=5, reasons=("QUICK", "EASY")),
        word(3, score=1, answer="EXPLAINED"),
    ]
    found = build_satisfaction(words, 4, 2 * COMPLAINT_MS)
    assert (found.words, found.median_score, found.open_complaints, found.late_complaints) == (3, 2, 1, 2)
    assert found.complaint_claims.bp == 2_500
    assert [(item.name, item.claims) for item in found.reasons] == [("EASY", 1), ("QUICK", 1), ("SLOW", 2)]
    assert build_satisfaction([], 0, 0).complaint_claims.bp is None
