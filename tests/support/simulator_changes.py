"""Changes of the validator set in the middle of a storm, drawn by seed: the ways of the catalogue's rows O1 and O2.

Must always hold: no set has more liars and broken machines than it tolerates, and never more nodes than there are.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from consensus.effects import Deliver, Effect, EpochClosed
from tests.support.simulator import Cluster
from tests.support.simulator_crypto import Seats
from tests.support.simulator_node import Node

TRIES = 20
BOUNDARY_DEATHS = 0.6
"""How likely each node dies at the end of an epoch, in stories where that happens: often enough for q at once."""
NEW_KEYS = 100
"""A member's new keys have this number above its old ones."""


@dataclass(slots=True)
class Changes:
    """What a story intends. `smallest` bounds every set from below."""

    cluster: Cluster
    unlucky: set[str]
    smallest: int
    asked: list[bytes] = field(default_factory=list)
    """Transactions that change the set."""
    names: list[str] = field(default_factory=list)

    def make_one(self) -> None:
        """Ask for one change from the newest set on; everybody hears of it, or only the leader that it removes."""
        cluster, chance = self.cluster, self.cluster.chance
        history = cluster.checks.history
        current = history.epochs[history.epoch].seats
        for _ in range(TRIES):
            kind = chance.choice(KINDS)
            nodes: list[Node] | None = None
            if kind is _leader_leaves:
                leader = self._leader()
                after = {name: number for name, number in current.items() if leader is None or name != leader.name}
                nodes = [leader] if leader is not None else None
            else:
                after = kind(chance, current, [node.name for node in cluster.nodes])
            if self.is_tolerable(after):
                self.asked.append(cluster.submit_change(after, nodes))
                self.names.append(kind.__name__.strip("_"))
                return

    def is_tolerable(self, seats: Seats) -> bool:
        """Large enough, and its f covers whoever may fail for good."""
        return len(seats) >= self.smallest and len(self.unlucky & set(seats)) <= (len(seats) - 1) // 3

    def _leader(self) -> Node | None:
        leaders = {node.core.status.leader for node in self.cluster.nodes if node.core is not None}
        return next((node for node in self.cluster.nodes if node.name in leaders), None)

    def dies_at_boundary(self, effect: Effect) -> bool:
        """O2: around the end of an epoch nodes fall one after the other, before they store it or before they switch."""
        closes = self.cluster.membership.closes
        at_end = isinstance(effect, EpochClosed) or (
            isinstance(effect, Deliver) and any(closes(block.payload) for block in effect.blocks)
        )
        return at_end and self.cluster.chance.random() < BOUNDARY_DEATHS


# --- ways to change -------------------------------------------------------------------------------------------------


def _seat(names: list[str]) -> Seats:
    return {name: int(name[1:]) for name in sorted(names)}


def _without(seats: Seats, names: list[str]) -> Seats:
    return {name: number for name, number in seats.items() if name not in names}


def _outside(seats: Seats, everybody: list[str]) -> list[str]:
    return [name for name in everybody if name not in seats]


def _add(chance: Random, seats: Seats, everybody: list[str]) -> Seats:
    outside = _outside(seats, everybody)
    return seats | _seat(chance.sample(outside, min(1, len(outside))))


def _remove(chance: Random, seats: Seats, everybody: list[str]) -> Seats:
    return _without(seats, [chance.choice(sorted(seats))])


def _replace(chance: Random, seats: Seats, everybody: list[str]) -> Seats:
    return _add(chance, seats, everybody) if len(seats) < 2 else _swap(chance, seats, everybody, 1)


def _replace_f(chance: Random, seats: Seats, everybody: list[str]) -> Seats:
    return _swap(chance, seats, everybody, (len(seats) - 1) // 3)


def _swap(chance: Random, seats: Seats, everybody: list[str], count: int) -> Seats:
    outside = _outside(seats, everybody)
    count = min(count, len(outside))
    return _without(seats, chance.sample(sorted(seats), count)) | _seat(chance.sample(outside, count))


def _grow(chance: Random, seats: Seats, everybody: list[str]) -> Seats:
    return seats | _seat(_outside(seats, everybody))


def _shrink(chance: Random, seats: Seats, everybody: list[str]) -> Seats:
    return _seat(chance.sample(sorted(everybody), 4))


def _renew_keys(chance: Random, seats: Seats, everybody: list[str]) -> Seats:
    name = chance.choice(sorted(seats))
    return seats | {name: seats[name] + NEW_KEYS}


def _stay(chance: Random, seats: Seats, everybody: list[str]) -> Seats:
    return dict(seats)


def _one_alone(chance: Random, seats: Seats, everybody: list[str]) -> Seats:
    return _seat([chance.choice(everybody)])


def _leader_leaves(chance: Random, seats: Seats, everybody: list[str]) -> Seats:
    raise NotImplementedError("depends on who leads")


KINDS: tuple[Callable[[Random, Seats, list[str]], Seats], ...] = (
    _add, _remove, _replace, _replace_f, _grow, _shrink, _renew_keys, _stay, _one_alone, _leader_leaves,
)  # fmt: skip
