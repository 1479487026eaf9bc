"""What waits for a peer is bounded, and the urgent goes first; rates are paid for by waiting."""

from dataclasses import replace

from node.peers import Lane, PeerLimits
from node.peers.limits import TokenBucket
from node.peers.outbox import Outbox

SMALL = replace(
    PeerLimits(),
    consensus_frames=3,
    consensus_bytes=100,
    gossip_frames=2,
    gossip_bytes=100,
    call_bytes=50,
    pending_requests=2,
    served_requests=1,
)


def drain(outbox: Outbox) -> list[bytes]:
    frames = []
    while (item := outbox.pop()) is not None:
        frames.append(item.frame)
    return frames


def test_consensus_first_then_calls_then_gossip() -> None:
    """X3: the lane of votes comes first."""
    outbox = Outbox(SMALL)
    outbox.push_message(Lane.GOSSIP, b"g")
    outbox.push_call(b"call")
    outbox.push_message(Lane.CONSENSUS, b"c1")
    outbox.push_message(Lane.CONSENSUS, b"c2")
    assert len(outbox) == 4
    assert drain(outbox) == [b"c1", b"c2", b"call", b"g"]


def test_a_full_lane_drops_its_oldest_and_says_how_many() -> None:
    outbox = Outbox(SMALL)
    assert [outbox.push_message(Lane.CONSENSUS, b"%d" % n) for n in range(5)] == [0, 0, 0, 1, 1]
    assert drain(outbox) == [b"2", b"3", b"4"]


def test_lanes_do_not_push_each_other_out() -> None:
    outbox = Outbox(SMALL)
    outbox.push_message(Lane.CONSENSUS, b"vote")
    for n in range(9):
        outbox.push_message(Lane.GOSSIP, b"%d" % n)
    assert drain(outbox) == [b"vote", b"7", b"8"]


def test_bytes_are_bounded_too() -> None:
    outbox = Outbox(SMALL)
    outbox.push_message(Lane.GOSSIP, b"a" * 60)
    assert outbox.push_message(Lane.GOSSIP, b"b" * 60) == 1
    assert outbox.push_message(Lane.GOSSIP, b"c" * 400) == 1  # larger than the lane: alone in it
    assert drain(outbox) == [b"c" * 400]


def test_calls_are_refused_not_dropped() -> None:
    outbox = Outbox(SMALL)
    assert outbox.push_call(b"x" * 400)
    assert not outbox.push_call(b"y")
    assert drain(outbox) == [b"x" * 400]
    assert outbox.push_call(b"y")


def test_a_bucket_lets_a_burst_pass_and_makes_the_rest_wait() -> None:
    bucket = TokenBucket(rate=10, burst=5, now=100.0)
    assert [bucket.take(1, 100.0) for _ in range(5)] == [0.0] * 5
    assert bucket.take(1, 100.0) == 0.1
    assert bucket.take(1, 100.2) == 0.0
    assert bucket.take(50, 1_000.0) == 4.5


def test_a_bucket_asked_politely_never_goes_into_debt() -> None:
    bucket = TokenBucket(rate=1, burst=2, now=0.0)
    assert [bucket.has(1, 0.0) for _ in range(3)] == [True, True, False]
    assert bucket.has(1, 1.0)
