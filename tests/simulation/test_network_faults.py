"""Faults of links alone: everybody is honest and running, and messages are lost, late, doubled or out of order."""

import pytest

from consensus.messages import Certified, Proposal, VoteCast, decode_message
from tests.support.simulator import Cluster
from tests.support.simulator_app import MAX_PAYLOAD

HEAL_MS = 30_000


def _blocks(cluster: Cluster, count: int, within: int = HEAL_MS) -> None:
    for _ in range(count):
        cluster.finish(within)


@pytest.mark.parametrize("loss", [0.01, 0.2, 0.5])
def test_uniform_loss(loss: float) -> None:
    """N1: up to half of all messages vanish; repetition makes blocks final nevertheless."""
    cluster = Cluster(4, seed=40).start()
    cluster.network.loss = loss
    _blocks(cluster, 5, 60_000)


def test_loss_on_some_links() -> None:
    """N1: two links carry a tenth of what is sent."""
    cluster = Cluster(4, seed=41).start()
    cluster.network.lossy = {("v00", "v01"): 0.9, ("v02", "v03"): 0.9}
    _blocks(cluster, 8)


@pytest.mark.parametrize("delay", [(1, 1), (1, 50), (100, 400), (1, 10_000)])
def test_delay_and_jitter(delay: tuple[int, int]) -> None:
    """N2: from a millisecond to ten seconds; timeouts grow until blocks are final."""
    cluster = Cluster(4, seed=42).start()
    cluster.network.delay = delay
    cluster.finish(400_000)
    cluster.network.heal()
    cluster.network.delay = (5, 25)
    cluster.finish(HEAL_MS)


def test_one_slow_node_is_not_blamed_and_slows_nobody() -> None:
    """N2: three are fast, one hears and is heard three seconds late; blocks come as without it."""
    cluster = Cluster(4, seed=43).start()
    cluster.finish()
    cluster.network.clog("v03", ["v00", "v01", "v02"], (3_000, 3_000))
    fast = cluster.nodes[:3]
    for _ in range(6):
        cluster.finish(nodes=fast)
    begun = cluster.now
    for _ in range(10):
        cluster.finish(nodes=fast)
    assert (cluster.now - begun) / 10 < 1_500
    cluster.network.heal()
    cluster.finish(HEAL_MS)


def test_every_message_twice_and_out_of_order() -> None:
    """N3: no signer counts twice (the checks look at every certificate), no block is delivered twice."""
    cluster = Cluster(5, seed=44).start()
    cluster.network.duplication, cluster.network.delay = 1.0, (1, 300)
    _blocks(cluster, 8, 60_000)


def test_the_end_comes_before_the_beginning() -> None:
    """N4: one node hears finalizations first, then notarizations, then votes, and proposals last."""
    cluster = Cluster(4, seed=45).start()
    cluster.finish()
    late = "v03"

    def delay_of(sender: str, to: str, data: bytes) -> tuple[int, int] | None:
        message, _ = decode_message(data, MAX_PAYLOAD)
        if to != late or not isinstance(message, (Certified, VoteCast, Proposal)):
            return None
        if isinstance(message, Certified):
            return (5, 5) if message.certificate.kind == "finalize" else (60, 60)
        return (150, 150) if isinstance(message, VoteCast) else (200, 200)

    cluster.network.delay_of = delay_of
    _blocks(cluster, 8)


def test_a_ring_of_neighbours() -> None:
    """N8: everybody hears two neighbours only, which is no quorum at one place; certificates travel around."""
    cluster = Cluster(5, seed=46).start()
    cluster.finish()
    cluster.network.ring([node.name for node in cluster.nodes])
    cluster.submit()
    cluster.run(20_000)
    cluster.network.heal()
    cluster.finish(HEAL_MS)


def test_a_quorum_in_both_directions_is_enough() -> None:
    """N7: one of four hears nobody and is heard by all; the other three go on at full speed."""
    cluster = Cluster(4, seed=47).start()
    cluster.finish()
    cluster.network.cuts = {(name, "v03") for name in ("v00", "v01", "v02")}
    for _ in range(8):
        cluster.finish(HEAL_MS, nodes=cluster.nodes[:3])
    cluster.network.heal()
    cluster.finish(HEAL_MS)


@pytest.mark.parametrize("every", [40, 130, 700])
def test_a_flapping_link(every: int) -> None:
    """N9: one node's links come and go; the others go on meanwhile, and it is back soon after they stay."""
    cluster = Cluster(4, seed=50).start()
    cluster.finish()
    fast = cluster.nodes[:3]
    links = {(node.name, "v03") for node in fast} | {("v03", node.name) for node in fast}
    for turn in range(5_000 // every):
        cluster.network.cuts = links if turn % 2 else set()
        cluster.submit()
        cluster.run(every)
    cluster.finish(5_000, nodes=fast)
    cluster.network.heal()
    cluster.finish(HEAL_MS)


@pytest.mark.parametrize("n", [4, 7])
def test_a_cut_that_moves_with_every_view(n: int) -> None:
    """N9: whoever leads next is cut off as soon as its view begins; then it rests."""
    cluster = Cluster(n, seed=48).start()
    names = [node.name for node in cluster.nodes]
    for _ in range(40):
        core = cluster.nodes[0].core
        assert core is not None
        cluster.submit()
        leader = core.status.leader
        cluster.network.partition([leader], [name for name in names if name != leader])
        cluster.run(300)
    cluster.network.heal()
    cluster.finish(HEAL_MS)


@pytest.mark.parametrize("reached", ["f_plus_one", "all_but_one_of_a_quorum"])
def test_an_honest_leader_that_reaches_too_few(reached: str) -> None:
    """N12: proposals reach f+1, or one less than a quorum; a later leader's block carries the transactions."""
    cluster = Cluster(4, seed=49).start()
    cluster.finish()
    lucky = 1 if reached == "f_plus_one" else 2
    names = [node.name for node in cluster.nodes]

    def drop(sender: str, to: str, data: bytes) -> bool:
        others = [name for name in names if name != sender]
        return b'"proposal"' in data and to in others[lucky:]

    cluster.network.drop = drop
    tx = cluster.submit()
    cluster.run(5_000)
    cluster.network.heal()
    cluster.run_until(lambda: cluster.is_final(tx), HEAL_MS)
