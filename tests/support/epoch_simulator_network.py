"""The network of a simulation: seeded loss, delay, duplication, and cuts that tests set and lift."""

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
    cuts: set[tuple[str, str]] = field(default_factory=set)
    """Directed pairs (from, to) that carry nothing."""
    drop: Callable[[str, str, bytes], bool] = lambda sender, to, data: False
    """A test's own censor: whether to lose this message."""

    def arrivals(self, sender: str, to: str, data: bytes) -> list[int]:
        """Delays after which copies of one message arrive; none when it is lost."""
        if (sender, to) in self.cuts or self.chance.random() < self.loss or self.drop(sender, to, data):
            return []
        copies = 2 if self.chance.random() < self.duplication else 1
        return [self.chance.randint(*self.delay) for _ in range(copies)]

    def partition(self, *groups: Iterable[str]) -> None:
        """Only members of the same group hear each other."""
        named = [set(group) for group in groups]
        everybody = sorted(set().union(*named))
        self.cuts = {
            (a, b)
            for a in everybody
            for b in everybody
            if a != b and not any(a in group and b in group for group in named)
        }

    def heal(self) -> None:
        self.cuts = set()
        self.drop = lambda sender, to, data: False
        self.loss = self.duplication = 0.0
