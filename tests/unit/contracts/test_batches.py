"""Batches of a hospital on the ledger: numbers without a gap, a word on every line, one settlement."""

from typing import Any

import pytest

from contracts.cases.batches import open_batch_settlement, open_draw, open_line, open_totals, review_lines
from contracts.commitments import commit
from contracts.holdbodies import BatchAck, BatchLine, BatchReview, BatchSettle, BatchSubmit, LineVerdict
from contracts.holdstates import BatchState, read_batch, read_guarantee
from contracts.identifiers import derive_batch_id
from tests.support.hold_story import HoldStory
from tests.support.network_builder import DAY_MS, Network, make_hex

SALT = "00" * 32
PAID = make_hex("one net payment")


class BatchStory:
    """A hospital with `lines` drawn guarantees of one insurer."""

    def __init__(self, lines: int = 2) -> None:
        self.network = Network()
        self.guarantees = [self.drawn() for _ in range(lines)]

    def drawn(self) -> str:
        story = HoldStory(self.network)
        assert story.guarantee() == "ok"
        story.decide()
        assert story.draw() == "ok"
        return story.hold_id("guarantee")

    def submit(self, *guarantees: str, by: str = "hospital", **changes: Any) -> str:
        lines = tuple(BatchLine(item, make_hex(f"amount {item}")) for item in guarantees or self.guarantees)
        fields: dict[str, Any] = {
            "insurer": "insurer",
            "reviewer": "tpa",
            "sequence": 1,
            "from_ms": self.network.now_ms - 30 * DAY_MS,
            "to_ms": self.network.now_ms,
            "totals_commit": make_hex("totals"),
            "lines": lines,
        }
        return self.network.do("batch.submit", BatchSubmit(**fields | changes), by).code

    def review(self, *words: tuple[int, str], by: str = "tpa", **changes: Any) -> str:
        verdicts = tuple(
            LineVerdict(line, word, make_hex("reason") if word == "returned" else None)  # type: ignore[arg-type]
            for line, word in words
        )
        return self.network.do(
            "batch.review", BatchReview(**{"batch_id": self.id(), "verdicts": verdicts} | changes), by
        ).code

    def settle(self, by: str = "insurer", sequence: int = 1) -> str:
        return self.network.do("batch.settle", BatchSettle(self.id(sequence), PAID), by).code

    def ack(self, by: str = "hospital", commitment: str = PAID) -> str:
        return self.network.do("batch.ack", BatchAck(self.id(), commitment), by).code

    def id(self, sequence: int = 1) -> str:
        return derive_batch_id("hospital", "insurer", sequence)

    def batch(self, sequence: int = 1) -> BatchState:
        found = read_batch(self.network.state.read, self.id(sequence))
        assert found is not None
        return found

    def status(self, line: int) -> str:
        found = read_guarantee(self.network.state.read, self.guarantees[line])
        assert found is not None
        return found.status


def test_a_batch_is_paid_by_one_settlement_and_a_returned_line_comes_again() -> None:
    story = BatchStory(3)
    assert story.submit() == "ok"
    assert story.settle() == "WRONG_STATE", "no line has its word"
    assert story.review((0, "endorsed"), (1, "returned")) == "ok"
    assert story.batch().status == "SUBMITTED"
    assert story.settle() == "WRONG_STATE", "one line has none"
    assert story.review((2, "endorsed")) == "ok"
    assert story.batch().status == "REVIEWED"
    assert story.ack() == "WRONG_STATE"
    assert story.settle("tpa") == "NOT_THE_INSURER"
    assert story.settle() == "ok"
    assert story.ack("hospital-two") == "NOT_THE_HOSPITAL"
    assert story.ack(commitment=make_hex("another")) == "SETTLEMENT_MISMATCH"
    assert story.ack() == "ok"
    assert story.batch().status == "PAID"
    assert [story.status(line) for line in range(3)] == ["PAID", "DRAWN", "PAID"]
    assert story.submit(story.guarantees[1]) == "BATCH_SEQUENCE", "number 1 is taken for good"
    assert story.submit(story.guarantees[1], sequence=3) == "BATCH_SEQUENCE"
    assert story.submit(story.guarantees[1], sequence=2) == "ok"
    assert story.batch(2).lines[0].status == "open"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"by": "insurer"}, "ROLE_MISSING"),
        ({"by": "hospital-two"}, "BATCH_LINE"),
        ({"insurer": "tpa"}, "ROLE_MISSING"),
        ({"insurer": "nobody"}, "PARTICIPANT_UNKNOWN"),
        ({"insurer": "insurer-two"}, "BATCH_LINE"),
        ({"reviewer": "commission"}, "ROLE_MISSING"),
        ({"sequence": 2}, "BATCH_SEQUENCE"),
        ({"from_ms": 2, "to_ms": 1}, "BATCH_PERIOD"),
        ({"to_ms": 2**45}, "BATCH_PERIOD"),
        ({"lines": (BatchLine(make_hex("none"), make_hex("amount")),)}, "GUARANTEE_UNKNOWN"),
    ],
)
def test_batches_that_are_refused(changes: dict[str, Any], code: str) -> None:
    assert BatchStory(1).submit(**changes) == code


def test_a_guarantee_is_a_line_of_one_batch_once_it_is_drawn() -> None:
    story = BatchStory(1)
    undrawn = HoldStory(story.network)
    undrawn.guarantee()
    assert story.submit(undrawn.hold_id("guarantee")) == "BATCH_LINE"
    assert story.submit(*story.guarantees * 2) == "IN_A_BATCH"
    assert story.submit() == "ok"
    assert story.submit(sequence=2) == "IN_A_BATCH"


def test_only_the_named_reviewer_speaks_once_on_each_line() -> None:
    story = BatchStory(2)
    assert story.review((0, "endorsed")) == "BATCH_UNKNOWN"
    story.submit()
    assert story.review((0, "endorsed"), by="insurer") == "NOT_THE_REVIEWER"
    assert story.review((7, "endorsed")) == "BATCH_LINE"
    bare = (LineVerdict(0, "returned", None),)
    assert story.review(verdicts=bare) == "LINE_REASON"
    assert story.review(verdicts=(LineVerdict(0, "endorsed", make_hex("reason")),)) == "LINE_REASON"
    assert story.review((0, "endorsed")) == "ok"
    assert story.review((0, "returned")) == "LINE_JUDGED"


def test_a_batch_of_returned_lines_is_over() -> None:
    story = BatchStory(2)
    story.submit()
    assert story.review((0, "returned"), (1, "returned")) == "ok"
    assert story.batch().status == "RETURNED"
    assert story.settle() == "WRONG_STATE"
    assert story.submit(sequence=2, reviewer="insurer") == "ok"
    assert story.review((0, "endorsed"), (1, "endorsed"), by="insurer", batch_id=story.id(2)) == "ok"
    assert story.settle(sequence=2) == "ok"


def test_fifty_lines_three_returned_one_net_payment() -> None:
    """The ledger's side of a month: openings committed line by line, the payment opened against them."""
    story = BatchStory(50)
    opened = [
        open_draw(
            {"guarantee_id": item, "claim_id": make_hex(item), "policy_id": "ab" * 16},
            900,
            800 + at,
            10**6,
            "CNY",
            SALT,
        )
        for at, item in enumerate(story.guarantees)
    ]
    lines = [open_line(item, SALT) for item in opened]
    body = tuple(BatchLine(item["guarantee_id"], commit("batch-line", item)) for item in lines)
    assert story.submit(lines=body, totals_commit=commit("batch-totals", open_totals(lines, SALT))) == "ok"
    known = {item["guarantee_id"]: item for item in opened[:47]}
    words = review_lines(lines, known, lambda: SALT)
    verdicts = tuple(
        LineVerdict(place, "returned" if reason else "endorsed", commit("batch-reason", reason) if reason else None)
        for place, reason in words
    )
    assert story.review(verdicts=verdicts) == "ok"
    states = story.batch().lines
    assert [state.guarantee_id for state in states] == story.guarantees, "lines keep their places"
    booking = {"account": "A-1", "booking_date": "2022-01-31", "bank_reference": "R"}
    paid = open_batch_settlement(story.id(), states, lines, booking, SALT)
    assert paid["amount_fen"] == sum(min(900, 800 + at) for at in range(47))
    body_settle = BatchSettle(story.id(), commit("batch-settlement", paid))
    assert story.network.do("batch.settle", body_settle, "insurer").code == "ok"
    assert story.ack(commitment=body_settle.settlement_commit) == "ok"
    found = [story.status(line) for line in range(50)]
    assert (found.count("PAID"), found.count("DRAWN")) == (47, 3)
    assert story.submit(*story.guarantees[47:], sequence=2) == "ok", "what was returned comes again"
