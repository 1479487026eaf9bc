"""Scores of peers (X3, B18): what weighs how much, for how long, and what costs a correct node none of its links."""

from dataclasses import replace

import pytest

from node.peers import PeerLimits
from node.peers.budget import Budget
from node.peers.frames import Kind, Lane, decode_frame, encode_answer, encode_message, encode_request
from node.peers.scores import HALF_LIFE_S, THRESHOLD, Scores, weight_of

LIMITS = replace(PeerLimits(), ban_first_s=10, ban_max_s=60, ban_memory_s=1_000)


def ban(scores: Scores, now: float) -> float:
    """Blame until a ban begins; its length."""
    for _ in range(10):
        if length := scores.blame("p", "malformed", now):
            return length
    raise AssertionError("no ban")


def test_a_score_decays_and_is_forgotten() -> None:
    scores = Scores(LIMITS)
    assert scores.blame("p", "malformed", 0.0) == 0
    assert scores.standings(0.0)["p"].score == weight_of("malformed")
    assert scores.standings(HALF_LIFE_S)["p"].score == weight_of("malformed") / 2
    assert scores.standings(20 * HALF_LIFE_S) == {}
    assert len(scores) == 0


def test_bans_grow_and_are_bounded_and_end() -> None:
    scores, now, lengths = Scores(LIMITS), 0.0, []
    for _ in range(5):
        length = ban(scores, now)
        assert scores.banned_s("p", now) == length
        assert scores.blame("p", "malformed", now) == 0, "what still arrives during a ban does not lengthen it"
        now += length
        assert scores.banned_s("p", now) == 0
        lengths.append(length)
    assert lengths == [10, 20, 40, 60, 60]
    assert scores.standings(now)["p"].bans == 5


def test_an_old_ban_is_forgiven() -> None:
    scores = Scores(LIMITS)
    ban(scores, 0.0)
    assert ban(scores, 10.0 + LIMITS.ban_memory_s + 1) == LIMITS.ban_first_s


def test_no_ban_where_the_operator_wants_none() -> None:
    scores = Scores(replace(LIMITS, ban_max_s=0))
    assert all(scores.blame("p", "malformed", 0.0) == 0 for _ in range(1_000))
    assert scores.banned_s("p", 0.0) == 0


@pytest.mark.parametrize(
    ("code", "every_s"),
    [
        ("stalled", LIMITS.stall_s),  # a line so slow that it is dropped again and again
        ("hello_timeout", LIMITS.hello_timeout_s),
        ("too_many_links", 1.0),  # a middle box that keeps dead connections
        ("gossip_schema", 1.0),  # a newer version passes on a newer kind
        ("inbox_full", 0.001),  # this node stood still and is told everything at once
        ("wrong_version", 0.1),
    ],
)
def test_what_a_correct_node_may_provoke_never_bans_it(code: str, every_s: float) -> None:
    scores = Scores(LIMITS)
    for n in range(2_000):
        assert scores.blame("p", code, n * every_s) == 0


@pytest.mark.parametrize(("code", "most"), [("sync_parent", 2), ("certificate_quorum", 5), ("too_large", 2)])
def test_what_no_correct_node_does_bans_soon(code: str, most: int) -> None:
    scores = Scores(LIMITS)
    assert [scores.blame("p", code, 0.0) > 0 for _ in range(most)][-1]


def test_a_flood_without_a_pause_bans_within_half_a_minute() -> None:
    scores = Scores(LIMITS)
    began = [n for n in range(60) if scores.blame("p", "flood", float(n)) > 0]
    assert 20 <= began[0] <= 30
    assert weight_of("flood") * 19 < THRESHOLD


def test_bulk_over_its_share_is_given_up_and_votes_are_not() -> None:
    limits = replace(PeerLimits(), bulk_frames_per_s=1, bulk_frames_burst=3)
    budget = Budget(limits, 0.0)
    gossip, vote = (decode_frame(encode_message(lane, b"x")) for lane in (Lane.GOSSIP, Lane.CONSENSUS))
    request = decode_frame(encode_request(1, "ask", b""))
    taken = [budget.charge(frame, 7, narrow=False, now=0.0).is_taken for frame in (gossip, request, gossip, gossip)]
    assert taken == [True, True, True, False]
    charge = budget.charge(vote, 7, narrow=False, now=0.0)
    assert (charge.is_taken, charge.wait_s) == (True, 0.0)


def test_an_answer_that_was_asked_for_is_no_flood() -> None:
    budget = Budget(replace(PeerLimits(), bytes_per_s=1_000, bytes_burst=1_000), 0.0)
    answer = decode_frame(encode_answer(1, b"x" * 5_000))
    assert answer.kind is Kind.ANSWER
    charge = budget.charge(answer, 5_000, narrow=False, now=0.0)
    assert (charge.is_taken, charge.is_flood) == (True, False)
    assert charge.wait_s > 0


def test_a_narrow_lane_takes_votes_and_answers_only() -> None:
    budget = Budget(replace(PeerLimits(), narrow_frames_per_s=10), 0.0)
    frames = [encode_message(Lane.GOSSIP, b""), encode_request(1, "ask", b""), encode_message(Lane.CONSENSUS, b"")]
    charges = [budget.charge(decode_frame(data), len(data), narrow=True, now=0.0) for data in frames]
    assert [charge.is_taken for charge in charges] == [False, False, True]
    waits = [budget.charge(decode_frame(frames[2]), 6, narrow=True, now=0.0).wait_s for _ in range(30)]
    assert waits[-1] > 1
    assert budget.charge(decode_frame(encode_answer(1, b"")), 6, narrow=True, now=0.0).wait_s == 0


def test_answers_are_metered() -> None:
    budget = Budget(replace(PeerLimits(), answer_bytes_per_s=100, answer_bytes_burst=100), 0.0)
    assert budget.answer_wait_s(0.0) == 0
    budget.pay_answer(300, 0.0)
    assert budget.answer_wait_s(0.0) == 2.0
    assert budget.answer_wait_s(2.0) == 0
