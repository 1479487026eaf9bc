"""A seeded storm: loss, duplication, delay, cuts, and crashes between any two effects, then calm."""

from consensus.effects import Effect
from tests.support.epoch_simulator import Cluster


def storm(cluster: Cluster, milliseconds: int, crash_share: float = 0.002) -> None:
    """Let faults rage for a while and clients submit; afterwards the links are whole and every node runs."""
    chance = cluster.chance
    cluster.network.loss = chance.choice([0.0, 0.02, 0.1, 0.3])
    cluster.network.duplication = chance.choice([0.0, 0.1, 0.5])
    cluster.network.delay = (chance.choice([1, 5]), chance.choice([20, 100, 600]))
    raging = True

    def hook(effect: Effect) -> bool:
        return raging and chance.random() < crash_share

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
        cluster.run(min(chance.randint(50, 800), end - cluster.now))
    raging = False
    calm(cluster)


def calm(cluster: Cluster) -> None:
    """The faults end: after this at most repair time is needed."""
    cluster.network.heal()
    cluster.network.delay = (5, 25)
    for node in cluster.nodes:
        node.start()


def _cut_or_heal(cluster: Cluster) -> None:
    chance, names = cluster.chance, [node.name for node in cluster.nodes]
    what = chance.random()
    if what < 0.2:
        shuffled = chance.sample(names, len(names))
        at = chance.randint(1, len(names) - 1)
        cluster.network.partition(shuffled[:at], shuffled[at:])
    elif what < 0.3:
        a, b = chance.sample(names, 2)
        cluster.network.cuts.add((a, b))
    elif what < 0.6:
        cluster.network.cuts = set()
