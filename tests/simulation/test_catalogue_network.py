"""Rows of the fault catalogue about links with the numbers they name: see tests/faults.md."""

from collections.abc import Callable

import pytest

from consensus.messages import Payload, Proposal, decode_message
from tests.support.simulator import Cluster
from tests.support.simulator_app import MAX_PAYLOAD
from tests.support.simulator_node import Node

HEAL_MS = 30_000


def _others(cluster: Cluster, *nodes: Node) -> list[Node]:
    return [node for node in cluster.nodes if node not in nodes]


@pytest.mark.parametrize("loss", [0.1, 0.3, 0.5])
def test_every_link_loses_its_own_share(loss: float) -> None:
    """N1: each directed link has a loss of its own, up to that share; block follows block nevertheless."""
    cluster = Cluster(7, seed=310).start()
    names = [node.name for node in cluster.nodes]
    cluster.network.lossy = {(a, b): cluster.chance.uniform(0.01, loss) for a in names for b in names if a != b}
    for _ in range(4):
        cluster.finish(60_000)


@pytest.mark.parametrize("delay", [1_000, 10_000])
def test_one_slow_link_blames_nobody(delay: int) -> None:
    """N2: one pair of four hears each other a second or ten late; the other links carry the blocks as before."""
    cluster = Cluster(4, seed=311).start()
    for _ in range(4):
        cluster.finish()
    cluster.network.clog("v00", ["v01"], (delay // 2, delay))
    begun = cluster.now
    for _ in range(8):
        cluster.finish(HEAL_MS)
    assert (cluster.now - begun) / 8 < 1_500
    assert not any(node.blamed for node in cluster.nodes)


def test_timeouts_stay_low_however_many_views_failed() -> None:
    """N2: no proposal arrives for two minutes, so view after view is given up: timeouts grow to a low cap
    and no further, and a block is final within three of them when the links are whole."""
    cluster = Cluster(4, seed=317).start()
    cluster.finish()
    cluster.network.drop = lambda sender, to, data: isinstance(decode_message(data, MAX_PAYLOAD)[0], Proposal)
    cluster.submit()
    cluster.run(120_000)
    core = cluster.nodes[0].core
    assert core is not None
    assert core.status.view > 10, "views were given up all the time"
    assert core.status.patience == 8_000
    cluster.network.heal()
    begun = cluster.now
    cluster.finish(60_000)
    assert cluster.now - begun < 3 * 8_000


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_anything_said_may_be_heard_again_later(share: float) -> None:
    """N3: that share of messages is followed by an old one of the same sender, however old; no signer counts twice
    (the checks recount every certificate), nobody is accused."""
    cluster = Cluster(4, seed=312).start()
    said: list[tuple[str, bytes]] = []

    def repeats(sender: str, to: str, data: bytes) -> bool:
        said.append((sender, data))
        if cluster.chance.random() < share:
            author, old = cluster.chance.choice(said)
            if author != to:
                cluster.after(cluster.chance.randint(1, 500), lambda: cluster.by_name[to].hear(author, old))
        return False

    cluster.network.drop = repeats
    for _ in range(12):
        cluster.finish(HEAL_MS)
    assert not any(node.blamed or node.evidence or node.halted for node in cluster.nodes)


def _reached_by(n: int, reached: str) -> int:
    """How many others hear a limited leader."""
    faulty = (n - 1) // 3
    return {"f_plus_one": faulty, "one_less_than_a_quorum": n - faulty - 2, "a_bare_quorum": n - faulty - 1}[reached]


@pytest.mark.parametrize("reached", ["f_plus_one", "one_less_than_a_quorum", "a_bare_quorum"])
@pytest.mark.parametrize("n", [4, 5, 7, 10])
def test_leaders_that_reach_exactly_so_many(n: int, reached: str) -> None:
    """N12: the proposals of f leaders reach f+1 nodes, q-1 or q (themselves counted) and their bytes nobody else;
    every transaction is final within the views of those leaders and one more."""
    cluster = Cluster(n, seed=313).start()
    cluster.finish()
    limited = {node.name for node in cluster.nodes[: (n - 1) // 3]}
    names, count = [node.name for node in cluster.nodes], _reached_by(n, reached)

    def drop(sender: str, to: str, data: bytes) -> bool:
        if sender not in limited:
            return False
        message, _ = decode_message(data, MAX_PAYLOAD)
        if isinstance(message, Payload):
            return reached != "a_bare_quorum"
        others = [name for name in names if name != sender]
        return isinstance(message, Proposal) and to in others[count:]

    cluster.network.drop = drop
    for _ in range(2 * n):
        core = cluster.nodes[-1].core
        assert core is not None
        known_in = core.status.view
        tx = cluster.submit()
        cluster.run_until(lambda tx=tx: cluster.is_final(tx), HEAL_MS)  # type: ignore[misc]
        home = next(block.ref.view for block in cluster.nodes[-1].disk.blocks if tx in block.payload)
        assert home <= known_in + len(limited) + 1


@pytest.mark.parametrize("limit", [300, 1_200])
def test_a_path_that_swallows_large_messages(limit: int) -> None:
    """N13: towards and from one of four, messages above a size vanish while small ones pass: its turn is skipped,
    the others go on, and it is whole again when the path is."""
    cluster = Cluster(4, seed=314).start()
    cluster.finish()
    victim = cluster.nodes[2]
    cluster.network.drop = lambda sender, to, data: victim.name in (sender, to) and len(data) > limit
    others = _others(cluster, victim)
    for _ in range(12):
        cluster.finish(HEAL_MS, nodes=others)
    cluster.network.heal()
    cluster.finish(HEAL_MS)
    assert not victim.halted


def _flapping(cluster: Cluster, up_ms: int, down_ms: int) -> Callable[[str, str, bytes], bool]:
    """Each pair has its own rhythm: for `down_ms` of each round everything between the two is lost."""
    rounds: dict[frozenset[str], int] = {}

    def drop(sender: str, to: str, data: bytes) -> bool:
        shift = rounds.setdefault(frozenset((sender, to)), cluster.chance.randrange(up_ms + down_ms))
        return (cluster.now + shift) % (up_ms + down_ms) >= up_ms

    return drop


@pytest.mark.parametrize(("up_ms", "down_ms"), [(100, 100), (400, 400), (3_000, 1_000)])
def test_links_that_break_and_come_back_all_the_time(up_ms: int, down_ms: int) -> None:
    """N13: a storm of reconnections: every link is down up to half of the time, each in its own rhythm; what was
    lost meanwhile is repeated, and repetition stays bounded."""
    cluster = Cluster(4, seed=315).start()
    cluster.finish()
    cluster.network.drop = _flapping(cluster, up_ms, down_ms)
    begun, sent = cluster.now, cluster._count
    for _ in range(6):
        cluster.finish(60_000)
    assert (cluster._count - sent) / (cluster.now - begun) < 2, "messages and timers per millisecond"


def test_half_open_links_end_with_the_next_message() -> None:
    """N13: one side believes in links over which nothing comes: it says everything and hears nothing for a minute."""
    cluster = Cluster(4, seed=316).start()
    cluster.finish()
    victim, others = cluster.nodes[1], _others(cluster, cluster.nodes[1])
    cluster.network.cuts = {(node.name, victim.name) for node in others}
    until = cluster.now + 60_000
    while cluster.now < until:
        cluster.finish(HEAL_MS, nodes=others)
        cluster.run(3_000)
    cluster.network.heal()
    begun = cluster.now
    cluster.finish(HEAL_MS)
    assert cluster.now - begun < 5_000
