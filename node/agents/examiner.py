"""What this node makes of proposed claim contracts: each is checked once, and the report is kept for whoever votes.

The check runs beside the agents, in a process of its own. Subjects are proposal ids. Must always hold: a report is
kept in the vault and survives a restart; at most MAX_REPORTS are kept and one check runs at a time, so that proposals
can neither fill the disk nor slow the node down.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar, Final

import structlog

from contracts.catalogue import read_draft, read_open_proposals
from contracts.receipts import Event
from contracts.states import ProposalState, read_state
from node.agents.agent import Agent, Step, done, wait
from node.agents.ports import Ports
from node.machine.examining import Texts, build_failure
from node.vault import StoredParcel
from node.vault.worklist import WorkItem

MAX_REPORTS: Final = 200
"""Reports kept, the newest: an insurer has at most four proposals open at a time."""
REPORTS: Final = "contract-reports"
MAX_TRIES: Final = 3
"""Of a check that this machine may be to blame for: only then is its failure the report."""
RETRIED: Final = frozenset({"crashed", "no_process", "time", "worker"})
_log = structlog.get_logger()


class ExaminerAgent(Agent):
    """Checks what is proposed; every participant has one."""

    name: ClassVar[str] = "examiner"

    def __init__(self, ports: Ports) -> None:
        super().__init__(ports)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tries: Counter[str] = Counter()

    def interests(self, event: Event) -> Iterable[str]:
        return (event.subject,) if event.topic == "governance.proposed" else ()

    def arrivals(self, parcel: StoredParcel) -> Iterable[str]:
        return ()

    def open_in_state(self) -> Iterable[str]:
        """Proposals that can still pass."""
        return [item.proposal_id for item in read_open_proposals(self.ports.ledger.final.read)]

    def report(self, proposal_id: str) -> dict[str, Any] | None:
        """The kept report: {ok, code, detail, ...}; None while there is none."""
        kept: dict[str, Any] | None = self.vault.get_secret(f"contract-report/{proposal_id}")
        return kept

    def keep_reason(self, proposal_id: str, reason: str) -> None:
        """Why this participant votes although its own check does not speak for it."""
        self.vault.put_secret(f"contract-vote/{proposal_id}", {"reason": reason})

    async def step(self, item: WorkItem) -> Step:
        proposal_id = item.subject
        if self.report(proposal_id) is not None:
            return done("checked")
        read = self.ports.ledger.final.read
        draft, proposal = read_draft(read, proposal_id), read_state(read, ProposalState, proposal_id)
        if draft is None or proposal is None:
            return done("nothing_to_check")
        if not self._running:
            texts = Texts(draft.program, draft.tables, draft.examples, str(proposal.changes[0]["title"]))
            task = asyncio.get_running_loop().create_task(self._examine(proposal_id, texts))
            self._running[proposal_id] = task
        return wait("CHECKING")

    async def close(self) -> None:
        """End the check that is running; the next start begins it again."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _examine(self, proposal_id: str, texts: Texts) -> None:
        try:
            report = await self._ask(texts)
            self._tries[proposal_id] += 1
            if report["code"] in RETRIED and self._tries[proposal_id] < MAX_TRIES:
                _log.warning("contract.check_failed", proposal=proposal_id, code=report["code"])
                return
            del self._tries[proposal_id]
            with self.vault.transaction():
                self._keep(proposal_id, report)
                for item in self.vault.work.open_items(self.name):
                    self.vault.work.nudge(self.name, item.subject)
            _log.info("contract.checked", proposal=proposal_id, ok=report["ok"], code=report["code"])
        finally:
            self._running.pop(proposal_id, None)

    async def _ask(self, texts: Texts) -> dict[str, Any]:
        try:
            return await self.ports.machine.examine(texts)
        except OSError as error:
            return build_failure("no_process", f"the check cannot be started: {error.strerror}")

    def _keep(self, proposal_id: str, report: dict[str, Any]) -> None:
        listed = [name for name in self.vault.get_secret(REPORTS) or [] if name != proposal_id]
        for name in listed[: max(0, len(listed) + 1 - MAX_REPORTS)]:
            self.vault.delete_secret(f"contract-report/{name}")
        self.vault.put_secret(f"contract-report/{proposal_id}", report)
        self.vault.put_secret(REPORTS, [*listed, proposal_id][-MAX_REPORTS:])
