"""Seeded storms over a simulated network, then calm: every fault a schedule of chance can bring, and its end.

Two phases. In the storm anything may fail and only safety is promised. `calm` makes the links whole, the clocks right,
the disks empty and every process run; from there the network must be live within a stated time.
"""

from collections.abc import Callable

from consensus.effects import Effect
from tests.support.simulator import Cluster
from tests.support.simulator_node import Node

HOUR_MS = 3_600_000
Move = Callable[[Cluster], None]


def storm(
    cluster: Cluster,
    milliseconds: int,
    crash_share: float = 0.002,
    moves: tuple[Move, ...] = (),
    is_fatal: Callable[[Effect], bool] = lambda effect: False,
) -> None:
    """Let faults rage for a while and clients submit; afterwards the links are whole and every node runs. Before each
    effect a node dies with that share, and wherever `is_fatal` says so."""
    chance = cluster.chance
    cluster.network.loss = chance.choice([0.0, 0.0, 0.02, 0.1, 0.3, 0.5])
    cluster.network.duplication = chance.choice([0.0, 0.1, 0.5])
    cluster.network.delay = (chance.choice([1, 5]), chance.choice([20, 20, 100, 600]))
    raging = True

    def hook(effect: Effect) -> bool:
        return raging and (chance.random() < crash_share or is_fatal(effect))

    def revive() -> None:
        for node in cluster.nodes:
            if not node.alive and chance.random() < 0.5:
                node.start()
        if raging:
            cluster.after(300, revive)

    for node in cluster.nodes:
        node.crash_hook = hook
    cluster.after(300, revive)
    end = cluster.now + milliseconds
    while cluster.now < end:
        if chance.random() < 0.5:
            cluster.submit()
        _cut_or_heal(cluster)
        if moves and chance.random() < 0.4:
            chance.choice(moves)(cluster)
        cluster.run(min(chance.randint(50, 800), end - cluster.now))
    raging = False
    calm(cluster)


def calm(cluster: Cluster) -> None:
    """The faults end: after this at most repair time is needed."""
    cluster.network.heal()
    cluster.network.delay = (5, 25)
    for node in cluster.nodes:
        node.disk.is_full, node.disk.fails_sync = False, False
        node.sync_ms = node.commit_ms = node.switch_ms = node.skew = 0
        node.resume()
        node.start()


def _cut_or_heal(cluster: Cluster) -> None:
    chance, names = cluster.chance, [node.name for node in cluster.nodes]
    network, what = cluster.network, chance.random()
    if what < 0.15:
        shuffled = chance.sample(names, len(names))
        at = chance.randint(1, len(names) - 1)
        network.partition(shuffled[:at], shuffled[at:])
    elif what < 0.25:
        a, b = chance.sample(names, 2)
        network.cuts.add((a, b))
    elif what < 0.3:
        network.ring(chance.sample(names, len(names)))
    elif what < 0.35:
        network.bridge(chance.sample(names, len(names)))
    elif what < 0.4:
        slow = chance.choice(names)
        network.clog(slow, [name for name in names if name != slow], (200, chance.choice([400, 2_000, 10_000])))
    elif what < 0.45:
        a, b = chance.sample(names, 2)
        network.lossy[(a, b)] = 0.9
    elif what < 0.85:
        network.cuts, network.slow, network.lossy = set(), {}, {}


# --- what happens to one machine ------------------------------------------------------------------------------------


def _one(cluster: Cluster) -> Node:
    return cluster.chance.choice(cluster.nodes)


def pause_one(cluster: Cluster) -> None:
    """P10: stopped and continued, with everything that came in meanwhile."""
    _one(cluster).pause(cluster.chance.choice([200, 2_000, 30_000]))


def kill_some(cluster: Cluster) -> None:
    """P2: one, f, f+1 or all at the same moment, by signal or by a power cut."""
    chance, n = cluster.chance, len(cluster.nodes)
    power = chance.random() < 0.5
    for node in chance.sample(cluster.nodes, chance.choice([1, (n - 1) // 3, (n - 1) // 3 + 1, n])):
        if node.alive:
            node.crash(power)


def fill_disk(cluster: Cluster) -> None:
    """P7: no space on one disk, until later."""
    node = _one(cluster)
    node.disk.is_full = True

    def tidy() -> None:
        node.disk.is_full = False

    cluster.after(cluster.chance.choice([300, 3_000]), tidy)


def slow_disk(cluster: Cluster) -> None:
    """P9: each fsync of one node takes long, until later; commits lag behind deliveries."""
    node = _one(cluster)
    node.sync_ms = cluster.chance.choice([30, 500, 5_000])
    node.commit_ms = cluster.chance.choice([0, 50, 1_000])

    def mend() -> None:
        node.sync_ms = 0

    cluster.after(cluster.chance.choice([1_000, 5_000]), mend)


def fail_sync(cluster: Cluster) -> None:
    """P8: the next fsync of one node returns an error; what it wrote is there or not, and the process ends."""
    _one(cluster).disk.fails_sync = True


def flap(cluster: Cluster) -> None:
    """N9: the links of one node come and go several times a second, for a while."""
    node, network = _one(cluster), cluster.network
    links = {(one.name, node.name) for one in cluster.nodes} | {(node.name, one.name) for one in cluster.nodes}

    def turn(left: int) -> None:
        network.cuts = network.cuts | links if left % 2 else network.cuts - links
        if left:
            cluster.after(cluster.chance.randint(30, 400), lambda: turn(left - 1))

    turn(9)


def linger(cluster: Cluster) -> None:
    """R12: one node takes its time to begin the next epoch."""
    _one(cluster).switch_ms = cluster.chance.choice([0, 50, 1_000, 5_000])


def lag_commits(cluster: Cluster) -> None:
    """P14: blocks are durable some time after they were delivered; a crash between loses them from the store."""
    _one(cluster).commit_ms = cluster.chance.choice([0, 20, 300, 2_000])


def move_clock(cluster: Cluster) -> None:
    """P11: a wrong wall clock on at most f nodes, counting those that were given away; their monotonic clocks go on."""
    wrong = {node.name for node in cluster.nodes if node.skew} | cluster.traitors
    node = _one(cluster)
    if node.name in wrong or len(wrong) < cluster.tolerated:
        node.skew = cluster.chance.choice([0, 900, 1_900, 30_000, HOUR_MS, -900, -30_000, -HOUR_MS // 4])


MOVES: tuple[Move, ...] = (
    pause_one, kill_some, fill_disk, slow_disk, fail_sync, lag_commits, linger, move_clock, flap,
)  # fmt: skip
"""What may happen to honest machines any number of times."""


# --- damage that one machine does not get over ----------------------------------------------------------------------


def rot_journal(node: Node) -> None:
    """P5: one bit turns somewhere in the journal. Found at the next start: by the checks, or by the guard."""
    node.crash()
    node.disk.rot(node.cluster.chance)


def lose_journal(node: Node) -> None:
    """P12: the journal is gone; guard and store are there."""
    node.crash()
    if node.disk.guard is not None:
        node.disk.lose_journal()


DAMAGES: tuple[Callable[[Node], None], ...] = (rot_journal, lose_journal)


def damage(node: Node, how: Callable[[Node], None]) -> None:
    """The node may stop now, and counts among the f; it must never sign twice."""
    node.cluster.damaged.add(node.name)
    how(node)
