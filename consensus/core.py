"""The state machine: `Core.step(input) -> effects`. Being written; the boundary is in inputs and effects."""

from consensus.effects import Effect
from consensus.inputs import Input
from consensus.types import Config


class Core:
    """One validator's (or observer's) part in ordering one epoch."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def step(self, event: Input) -> tuple[Effect, ...]:
        """What the host has to do now, in this order."""
        raise NotImplementedError
