"""Claim programs for the agents: one worker process per program, runs in threads so that the node goes on answering.

Knows the runner and how a genesis carries a program. Must not know cases. Must always hold: a run is bounded by the
runner's limits, and everything started here is stopped by `close`.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from contracts.case import Case, encode_case
from contracts.machine.bundle import ProgramBundle, build_bundle
from contracts.machine.errors import ProgramRefused
from ledger.encoding import convert, decode
from ledger.errors import DecodeError
from node.machine.examining import Texts, examine
from node.machine.runner import MachineRunner

MAX_RUNNERS: Final = 4
"""Worker processes kept at a time, one a program; a network rarely has more than two programs in force."""


class Programs:
    """Implements ports.Machine with worker processes. `source` is the canonical bundle of a genesis program."""

    def __init__(self) -> None:
        self._runners: dict[str, MachineRunner] = {}
        self._threads = ThreadPoolExecutor(max_workers=MAX_RUNNERS, thread_name_prefix="claim-program")

    async def explain(self, source: str, case: Case) -> tuple[Any, list[Any]]:
        """(output, trace) for a checked case. Raises MachineError."""
        runner = self._runner(source)
        loop = asyncio.get_running_loop()
        evaluation = await loop.run_in_executor(self._threads, runner.explain, encode_case(case))
        return decode(evaluation.result.encode("utf-8")), list(decode((evaluation.trace or "[]").encode("utf-8")))

    async def examine(self, texts: Texts) -> dict[str, Any]:
        """The report on a proposed claim contract, made in a process of its own."""
        return await examine(texts)

    def close(self) -> None:
        """End the workers."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()
        self._threads.shutdown()

    def _runner(self, source: str) -> MachineRunner:
        if source not in self._runners:
            if len(self._runners) >= MAX_RUNNERS:
                self._runners.pop(next(iter(self._runners))).close()
            self._runners[source] = MachineRunner(read_bundle(source))
        return self._runners[source]


def read_bundle(source: str) -> ProgramBundle:
    """The files of a program as a genesis carries them. Raises ProgramRefused."""
    try:
        content = decode(source.encode("utf-8"))
        return build_bundle(convert(content["files"], dict[str, str]))
    except (DecodeError, KeyError, TypeError):
        raise ProgramRefused("files", "the genesis carries no bundle for this program") from None
