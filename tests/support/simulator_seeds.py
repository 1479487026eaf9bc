"""One number, one whole story of a network: `run_seed` draws the faults, the traitors and the damage, and judges.

The same seed gives the same story, so a failing one is repeated by its number alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import consensus.core
import consensus.epochs
import consensus.receiving
import tests.support.simulator_checks
import tests.support.simulator_treason
from consensus.types import Timing
from tests.support.simulator import Cluster
from tests.support.simulator_changes import Changes
from tests.support.simulator_faults import DAMAGES, MOVES, damage, storm
from tests.support.simulator_node import Node
from tests.support.simulator_traitors import TRAITORS, make_traitor

SIZES = (4, 5, 7)
SPARES = (-1, 3, -1, 1, -1, 2, -1)
"""Nodes beside the first set that may get a seat; -1: a story in which the set does not change."""
HEAL_MS = 60_000
"""Liveness: after the storm a new transaction is final on every honest node within this time. A view may have grown
to the cap of 8 s and ends after three of these; up to f leaders that lie may follow, each with less."""
MAX_BEHIND = 2
"""Blocks that a node may have yet to hear of when a story ends."""
STORM_MS = 12_000
REAL_STORM_MS = 4_000


@dataclass(frozen=True, slots=True)
class Story:
    """What happened under one seed."""

    seed: int
    n: int
    traitors: tuple[str, ...]
    changes: tuple[str, ...]
    epochs: int
    damage: str
    crashes: int
    blocks: int
    healed_ms: int
    events: int
    trace: str


def run_seed(seed: int, real: bool = False) -> Story:
    """A storm and its end. Raises AssertionError, naming the seed, when anything that must hold does not."""
    with fast_decoding():
        try:
            return _run(seed, real)
        except Exception as error:
            raise AssertionError(f"seed {seed}{' (real signatures)' if real else ''}: {error!r}") from error


def _run(seed: int, real: bool) -> Story:
    n = 4 if real else SIZES[seed % len(SIZES)]
    spares = SPARES[seed % len(SPARES)]
    cluster = Cluster(n, seed, timing=_timing(seed), real=real, spares=max(spares, 0))
    chance = cluster.chance
    budget = chance.choice([0, 0, 0, (n - 1) // 3])
    unlucky = chance.sample(cluster.nodes[:n], budget)
    names = []
    for node in unlucky:
        if chance.random() < 0.7:
            traitor = chance.choice(TRAITORS)()
            names.append(type(traitor).__name__)
            make_traitor(node, traitor)
    harmed = [node for node in unlucky if node.name not in cluster.traitors]
    how = chance.choice(DAMAGES)
    length = REAL_STORM_MS if real else STORM_MS
    for node in harmed:
        cluster.after(chance.randrange(length // 2, length), lambda node=node: damage(node, how))  # type: ignore[misc]
    changes = Changes(cluster, {node.name for node in unlucky}, 1 if not budget and chance.random() < 0.2 else 4)
    is_deadly = False
    if spares >= 0:
        cluster.tolerated = (changes.smallest - 1) // 3
        is_deadly = chance.random() < 0.4
        for _ in range(chance.choice([1, 2, 3])):
            cluster.after(chance.randrange(length), changes.make_one)
    cluster.start()
    crash_share = chance.choice([0.0, 0.002, 0.01, 0.03])
    with _checkpoints(chance.choice([300, 3_000, consensus.core.CHECKPOINT_BYTES])):
        is_fatal = changes.dies_at_boundary if is_deadly else lambda effect: False
        storm(cluster, length, crash_share, MOVES if chance.random() < 0.7 else (), is_fatal)
        begun = cluster.now
        for tx in changes.asked:
            cluster.repeat(tx)
        cluster.run_until(lambda: all(cluster.is_final(tx, cluster.honest()) for tx in changes.asked), HEAL_MS)
        cluster.finish(HEAL_MS, nodes=cluster.honest())
        cluster.run_until(lambda: _is_whole(cluster), HEAL_MS)
    _check_end(cluster)
    crashes = sum(node.life - 1 for node in cluster.nodes)
    return Story(
        seed=seed,
        n=n,
        traitors=tuple(names),
        changes=tuple(changes.names),
        epochs=cluster.checks.history.epoch,
        damage=how.__name__ if harmed else "",
        crashes=crashes,
        blocks=len(cluster.checks.chain),
        healed_ms=cluster.now - begun,
        events=cluster._count,
        trace=cluster.trace,
    )


def _timing(seed: int) -> Timing:
    """Most networks are tuned well, some far too tight."""
    return Timing(base=100) if seed % 5 == 4 else Timing()


def _check_end(cluster: Cluster) -> None:
    """What only the end shows: equal stores, provable treason known, journals that can be read."""
    longest = max((node.disk.blocks for node in cluster.honest()), key=len)
    for node in cluster.honest():
        mine = node.disk.blocks
        assert [b.ref for b in mine] == [b.ref for b in longest[: len(mine)]], f"{node.name} has another history"
        assert len(longest) - len(mine) <= MAX_BEHIND, f"{node.name} was left behind"


def _is_whole(cluster: Cluster) -> bool:
    """Every honest node is in the newest epoch and near the end of the chain, and every sound one with a seat votes."""
    newest = cluster.checks.history.epoch
    arrived = all(node.core is not None and node.core.status.epoch == newest for node in cluster.honest())
    longest = max(len(node.disk.blocks) for node in cluster.honest())
    arrived = arrived and all(longest - len(node.disk.blocks) <= MAX_BEHIND for node in cluster.honest())
    return arrived and all(node.is_observer or _is_voting(node) for node in cluster.sound())


def _is_voting(node: Node) -> bool:
    return node.core is not None and node.core.status.may_vote


@contextmanager
def _checkpoints(size: int) -> Iterator[None]:
    """How often journals are rewritten."""
    before = consensus.core.CHECKPOINT_BYTES
    consensus.core.CHECKPOINT_BYTES = size
    try:
        yield
    finally:
        consensus.core.CHECKPOINT_BYTES = before


@contextmanager
def fast_decoding() -> Iterator[None]:
    """The same bytes go to n receivers, and decoding is pure: remember what they mean."""
    plain = consensus.receiving.decode_message
    remembered = lru_cache(maxsize=20_000)(plain)
    places = (consensus.receiving, consensus.epochs, tests.support.simulator_checks, tests.support.simulator_treason)
    for place in places:
        place.decode_message = remembered  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for place in places:
            place.decode_message = plain  # type: ignore[attr-defined]
