"""What the driver is connected to, and the figures it keeps. No behaviour but counting."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.chain import Chain
from node.clock import Clock
from node.ordering.epochs import EpochSource
from node.ordering.links import Links
from node.ordering.workshop import Workshop


@dataclass(slots=True)
class Counters:
    """Figures for benches and metrics. Seconds are CPU-side wall time inside the event loop."""

    inputs: int = 0
    step_s: float = 0.0
    built: int = 0
    build_s: float = 0.0
    judged: int = 0
    judge_s: float = 0.0
    committed: int = 0
    commit_s: float = 0.0
    persist_s: float = 0.0

    def step_done(self, took_s: float) -> None:
        """One input of the core."""
        self.inputs += 1
        self.step_s += took_s

    def build_done(self, took_s: float) -> None:
        """One block built, or tried."""
        self.built += 1
        self.build_s += took_s

    def judge_done(self, took_s: float) -> None:
        """One block judged."""
        self.judged += 1
        self.judge_s += took_s

    def commit_done(self, blocks: int, took_s: float) -> None:
        """Blocks made final in one transaction."""
        self.committed += blocks
        self.commit_s += took_s


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the driver is connected to."""

    chain: Chain
    workshop: Workshop
    links: Links
    clock: Clock
    epochs: EpochSource
    folder: Path
    """Where journal, ledger and reports are."""
    keys_folder: Path
    """Where the guards are, beside the keys."""
    log: Any
    block_interval_ms: int
    full_block: int
    """This many pending transactions make a block worth building at once."""
