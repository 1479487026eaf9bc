"""Backtests: a version of a product over the decided claims that this node holds, as a job beside everything else.

Knows candidates, past claims and trials. Must not know a rule of a product. Must always hold: one job runs at a time,
it changes nothing (no opening, statement, list or transaction), it lets the node go on between any two claims, and it
ends: after MAX_CLAIMS, JOB_SECONDS or MAX_FAILURES at the latest.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from contracts.cases.accounts import Use
from contracts.cases.checking import Package
from contracts.errors import ContractError
from contracts.machine.errors import MachineError
from contracts.products.backtest import Difference, summarise
from ledger.errors import LedgerError
from node.agents.candidates import Candidate, CandidateRefused, build_candidate, find_line, find_texts
from node.agents.pastclaims import PastClaim, PastClaims
from node.agents.ports import Ports
from node.agents.trials import Trials, Tried
from node.errors import NodeError, Unavailable, describe_fault
from node.machine.examining import Texts

MAX_CLAIMS: Final = 10_000
"""Claims of one backtest; at a few milliseconds each a minute."""
MAX_FAILURES: Final = 200
"""Claims that failed, after which a job ends: a version that cannot decide so many needs no further proof."""
JOB_SECONDS: Final = 3_600.0
"""A program that uses all its time at every claim would otherwise run for two days."""
MAX_KEPT: Final = 8
"""Jobs whose report can still be read, in memory: a report can be made again."""
MAX_NAMED: Final = 50
"""Failures that a report names; their codes are counted whole."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Order:
    """What to try, on what. `identifier` is a proposal or release, else `texts` are given. `since_ms`: decided then or
    later (block time). `product`: policies of this product code instead of those of the line."""

    identifier: str | None = None
    texts: Texts | None = None
    product: str | None = None
    since_ms: int = 0
    limit: int = 1_000
    worst: int = 20
    compound: bool = False


@dataclass(slots=True)
class Job:
    """One backtest. `status`: reading, running, done, failed, cancelled."""

    order: Order
    status: str = "reading"
    done: int = 0
    total: int = 0
    code: str = ""
    detail: str = ""
    report: dict[str, Any] | None = None
    task: "asyncio.Task[None] | None" = None


@dataclass(slots=True)
class _Tally:
    """What came of the claims so far. `uses`: by account, (version, use) after the last claim that was tried."""

    differences: list[Difference] = field(default_factory=list)
    failures: list[Tried] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    uses: dict[str, tuple[int, Use]] = field(default_factory=dict)
    breaks: int = 0
    limited: bool = False
    stopped: str | None = None


class Backtester:
    """The backtests of one node."""

    def __init__(self, ports: Ports, past: PastClaims) -> None:
        self._ports = ports
        self._past = past
        self._jobs: dict[str, Job] = {}

    def start(self, order: Order) -> str:
        """Begin a backtest; its id. Raises Unavailable `backtest_running`, CandidateRefused `not_found`,
        `not_a_release`."""
        if any(job.task is not None and not job.task.done() for job in self._jobs.values()):
            raise Unavailable("backtest_running", "one backtest runs at a time; wait for it or cancel it")
        texts, follows = self._texts_of(order)
        job_id = self._ports.salt()
        for old in list(self._jobs)[: max(0, len(self._jobs) + 1 - MAX_KEPT)]:
            del self._jobs[old]
        job = self._jobs[job_id] = Job(order)
        job.task = asyncio.get_running_loop().create_task(self._work(job, texts, follows), name="backtest")
        return job_id

    def view(self, job_id: str) -> dict[str, Any] | None:
        """{backtest_id, status, done, total, code, detail, report}; None for no job."""
        job = self._jobs.get(job_id)
        if job is None:
            return None
        shown = {name: getattr(job, name) for name in ("status", "done", "total", "code", "detail", "report")}
        if job.task is not None and job.task.cancelled():
            shown["status"] = "cancelled"
        return {"backtest_id": job_id, **shown}

    def cancel(self, job_id: str) -> None:
        """End a job; one that is over stays as it is."""
        job = self._jobs.get(job_id)
        if job is not None and job.task is not None:
            job.task.cancel()

    async def finish(self, job_id: str) -> None:
        """Wait until a job is over."""
        task = self._jobs[job_id].task
        await asyncio.gather(*([task] if task else []), return_exceptions=True)

    async def close(self) -> None:
        """End what runs."""
        for job_id in self._jobs:
            self.cancel(job_id)
            await self.finish(job_id)

    def _texts_of(self, order: Order) -> tuple[Texts, str | None]:
        if order.texts is not None:
            return order.texts, None
        if order.identifier is None:
            raise CandidateRefused("not_found", "name a proposal or a release, or give the texts of a product")
        return find_texts(self._ports.ledger.final.read, order.identifier)

    async def _work(self, job: Job, texts: Texts, follows: str | None) -> None:
        try:
            line = find_line(self._ports.ledger.final.read, follows)
            candidate = await asyncio.to_thread(build_candidate, texts, line)
            job.report = await self._measure(job, candidate)
            job.status = "done"
        except (NodeError, MachineError, ContractError, LedgerError) as error:
            job.status, job.code, job.detail = "failed", error.code, error.detail
        except Exception as error:  # a job of its own: it ends with a code, the node goes on
            _log.error("backtest.fault", fault=describe_fault(error))
            job.status, job.code, job.detail = "failed", "internal", "this node made a mistake; its log says more"

    async def _measure(self, job: Job, candidate: Candidate) -> dict[str, Any]:
        tally = _Tally()
        claims = await self._choose(job.order, candidate, tally)
        job.status, job.total = "running", len(claims)
        trials = Trials(candidate)
        try:
            await trials.start()
            async with asyncio.timeout(JOB_SECONDS):
                for claim in claims:
                    await self._try(job, trials, claim, tally)
                    job.done += 1
                    if len(tally.failures) >= MAX_FAILURES:
                        tally.stopped = "failures"
                        break
        except TimeoutError:
            tally.stopped = "time"
        finally:
            await trials.close()
        return _report(job, candidate, tally)

    async def _choose(self, order: Order, candidate: Candidate, tally: _Tally) -> list[PastClaim]:
        """The newest claims that the candidate would decide, up to the limit, oldest first."""
        found: list[PastClaim] = []
        listed, undecided = await self._past.newest_first(order.since_ms)
        tally.skipped["not_decided"] = undecided
        for claim in listed:
            package = self._past.load(claim.claim_id)
            await asyncio.sleep(0)
            if isinstance(package, str):
                tally.skipped[package] += 1
            elif not candidate.chosen(package, order.product):
                tally.skipped["other_product"] += 1
            elif len(found) >= min(order.limit, MAX_CLAIMS):
                tally.limited = True
                break
            else:
                found.append(claim)
        return found[::-1]

    async def _try(self, job: Job, trials: Trials, claim: PastClaim, tally: _Tally) -> None:
        package = self._past.load(claim.claim_id)
        if isinstance(package, str):
            tally.skipped[package] += 1
            return
        chosen = trials.candidate.chosen(package, job.order.product)
        uses = _carry(package, tally) if job.order.compound else {}
        tried = await trials.run(package, chosen, uses, with_uses=job.order.compound)
        if tried.code:
            tally.failures.append(tried)
        tally.differences.extend(tried.differences)
        for item in package.policies if tried.uses is not None else ():
            account_id = item.account_in["account_id"]
            tally.uses[account_id] = (item.account_out["version"], (tried.uses or {})[account_id])


def _carry(package: Package, tally: _Tally) -> Mapping[str, Use]:
    """By account what the trial before left, where the account went straight from there to this claim."""
    found: dict[str, Use] = {}
    for item in package.policies:
        account_id = item.account_in["account_id"]
        version, use = tally.uses.get(account_id, (None, None))
        if use is not None and version == item.account_in["version"]:
            found[account_id] = use
        elif use is not None:
            tally.breaks += 1
    return found


def _report(job: Job, candidate: Candidate, tally: _Tally) -> dict[str, Any]:
    codes = Counter(item.code for item in tally.failures)
    named = [{"claim_id": item.claim_id, "code": item.code, "detail": item.detail} for item in tally.failures]
    return {
        "release": candidate.as_dict(job.order.product),
        "since_ms": job.order.since_ms,
        "prior_use": "compounded" if job.order.compound else "recorded",
        "compound_breaks": tally.breaks,
        "skipped": dict(sorted(tally.skipped.items())),
        "failed": {"claims": len(named), "codes": dict(sorted(codes.items())), "items": named[:MAX_NAMED]},
        "limited": tally.limited,
        "stopped": tally.stopped,
        **summarise(tally.differences, job.order.worst),
    }
