"""Runs past claims under a version that is tried, one at a time, in a worker process of its own.

Knows the runner and the cases. Must not know the ledger or the vault. Always true: the workers of the real decisions
are not used, a run is bounded as theirs are (node/machine/limits.py), and whatever a program does is at most a failure
with a code.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.case import encode_case
from contracts.cases.accounts import Use
from contracts.cases.checking import Package
from contracts.cases.errors import CaseError
from contracts.cases.trial import advance_trial, build_trial, compare_trial
from contracts.errors import ContractError, shorten
from contracts.machine.errors import MachineError
from contracts.products.backtest import Difference
from ledger.encoding import decode
from ledger.errors import DecodeError
from node.agents.candidates import Candidate
from node.machine.runner import MachineRunner

MAX_DETAIL: Final = 200
"""Characters of why a run failed."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one claim: differences and each account's use after it, or the code of the failure."""

    claim_id: str
    differences: tuple[Difference, ...] = ()
    uses: Mapping[str, Use] | None = None
    code: str = ""
    detail: str = ""


class Trials:
    """The worker for one candidate."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self._runner = MachineRunner(candidate.bundle)

    async def start(self) -> None:
        """Start the worker. Raises MachineError: the program does not load, nothing can be tried."""
        await asyncio.to_thread(self._runner.start)

    async def run(
        self, package: Package, chosen: Collection[str], uses: Mapping[str, Use], *, with_uses: bool = False
    ) -> Tried:
        """One claim with the candidate's tables for the policies in `chosen`. Raises nothing that a program causes."""
        return await asyncio.to_thread(self._run, package, chosen, uses, with_uses)

    async def close(self) -> None:
        """End the worker, after the run that is under way."""
        await asyncio.to_thread(self._runner.close)

    def _run(self, package: Package, chosen: Collection[str], uses: Mapping[str, Use], with_uses: bool) -> Tried:
        try:
            case = build_trial(package, self.candidate.version, chosen, uses)
            output, trace = self._evaluate(encode_case(case), with_trace=with_uses)
            differences = compare_trial(package, case, output)
            after = advance_trial(package, case, output, trace) if with_uses else None
        except (ContractError, MachineError) as error:
            return Tried(package.claim_id, code=error.code, detail=shorten(error.detail, MAX_DETAIL))
        return Tried(package.claim_id, differences, after)

    def _evaluate(self, case_text: str, *, with_trace: bool) -> tuple[Any, list[Any]]:
        try:
            if not with_trace:
                return decode(self._runner.adjudicate(case_text).encode("utf-8")), []
            found = self._runner.explain(case_text)
            return decode(found.result.encode("utf-8")), list(decode((found.trace or "[]").encode("utf-8")))
        except DecodeError as error:
            raise CaseError("RESULT_FORM", f"the result is no canonical value: {error.code}") from None
