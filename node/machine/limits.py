"""How much a claim program may use.

Knows the figures and how an operating system is told. Must not know programs. Always true: a limit that is
reached gives no result; it never changes one.
"""

import os
import resource
from dataclasses import dataclass
from typing import Final

from contracts.machine.evaluation import MAX_STEPS

MEBIBYTE: Final = 2**20
NICENESS: Final = 5
"""How far a worker steps back: on a busy machine the node's own threads go first."""


@dataclass(frozen=True, slots=True)
class MachineLimits:
    """Limits of one worker. Memory counts the whole process: interpreter and libraries take about 80 MiB."""

    memory_bytes: int = 512 * MEBIBYTE
    cpu_seconds: int = 5
    wall_seconds: float = 20.0
    """Longer than the CPU seconds: a busy machine is no fault of the program."""
    load_seconds: float = 30.0
    steps: int = MAX_STEPS


def limit_process(memory_bytes: int) -> None:
    """Holds this process to its memory, and to writing no file and no core dump, for the rest of its life.

    It also gives way to every other process of the node from now on.
    """
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def grant_cpu(seconds: int) -> None:
    """Gives this process `seconds` of CPU from now on, rounded up to the next whole second."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
