"""The network of a simulation: seeded loss, delay, duplication, and cuts that tests set and lift.

Reordering needs no switch of its own: each copy of a message draws its own delay.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Network:
    """Decides when, and how often, a message arrives. Delays in milliseconds."""

    chance: random.Random
    loss: float = 0.0
    duplication: float = 0.0
    delay: tuple[int, int] = (5, 25)
    slow: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """Directed pairs with a delay of their own."""
    lossy: dict[tuple[str, str], float] = field(default_factory=dict)
    """Directed pairs with a loss of their own."""
    cuts: set[tuple[str, str]] = field(default_factory=set)
    """Directed pairs (from, to) that carry nothing."""
    drop: Callable[[str, str, bytes], bool] = lambda sender, to, data: False
    """A test's own censor: whether to lose this message."""

    delay_of: Callable[[str, str, bytes], tuple[int, int] | None] = lambda sender, to, data: None
    """A test's own delay for some messages."""

    def arrivals(self, sender: str, to: str, data: bytes) -> list[int]:
        """Delays after which copies of one message arrive; none when it is lost."""
        link = (sender, to)
        if link in self.cuts or self.chance.random() < self.lossy.get(link, self.loss) or self.drop(sender, to, data):
            return []
        copies = 2 if self.chance.random() < self.duplication else 1
        delay = self.delay_of(sender, to, data) or self.slow.get(link, self.delay)
        return [self.chance.randint(*delay) for _ in range(copies)]

    def partition(self, *groups: Iterable[str]) -> None:
        """Only members of the same group hear each other."""
        named = [set(group) for group in groups]
        self.connect({(a, b) for group in named for a in group for b in group}, set().union(*named))

    def ring(self, names: list[str]) -> None:
        """Everybody hears two neighbours only."""
        links = {(a, b) for a, b in zip(names, names[1:] + names[:1], strict=True)}
        self.connect(links | {(b, a) for a, b in links}, set(names))

    def bridge(self, names: list[str]) -> None:
        """Two halves that share one member and nothing else."""
        middle = len(names) // 2
        self.partition(names[: middle + 1], names[middle:])

    def connect(self, links: set[tuple[str, str]], everybody: set[str]) -> None:
        """Only these directed pairs carry anything."""
        ordered = sorted(everybody)
        self.cuts = {(a, b) for a in ordered for b in ordered if a != b and (a, b) not in links}

    def clog(self, name: str, others: Iterable[str], delay: tuple[int, int]) -> None:
        """Everything from and to one node takes this long."""
        for other in others:
            self.slow[(name, other)] = self.slow[(other, name)] = delay

    def heal(self) -> None:
        self.cuts = set()
        self.slow, self.lossy = {}, {}
        self.drop = lambda sender, to, data: False
        self.delay_of = lambda sender, to, data: None
        self.loss = self.duplication = 0.0
