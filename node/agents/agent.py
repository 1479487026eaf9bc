"""The frame of every agent: take work from final blocks, do what is due, put off what must wait. No memory.

Knows events, work items and the cursor. Must not know any role. Must always hold: what is to be done follows from
final state and the vault alone, so an agent that is killed anywhere and made anew goes on where it was; one subject
at a time is stepped, and a step that fails is put off, never lost.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

import structlog

from contracts.errors import ContractError
from contracts.machine.errors import MachineError
from contracts.receipts import Event
from ledger.errors import LedgerError, StoreError
from node.agents.ports import Ports
from node.agents.submitting import Submitter
from node.errors import NodeError, describe_fault
from node.outcomes import FinalBlock
from node.vault import StoredParcel
from node.vault.worklist import WorkItem

MAX_STEPS: Final = 16
"""Steps of one subject in one round: more than any subject has in its whole life."""
ROUND: Final = 200
"""Subjects taken up in one round; the rest is due in the next."""
AT_ONCE: Final = 8
"""Subjects worked on at the same time: one that waits for a peer or a program does not hold up the others."""
CATCH_UP: Final = 50
"""Blocks observed in one go, so that a node that was away for long still answers its peers meanwhile."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Step:
    """What a step came to: `again` (look at once), `wait` (for an event, or a while), `done`. `code` says why."""

    kind: str
    code: str


AGAIN: Final = Step("again", "again")


def wait(code: str) -> Step:
    """Nothing to do until something happens; `code` names what."""
    return Step("wait", code)


def done(code: str) -> Step:
    """Nothing is left to do."""
    return Step("done", code)


class Agent:
    """Base of the roles. Subclasses give `name`, `interests` and `step`."""

    name: ClassVar[str] = ""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.vault = ports.vault
        self.submitter = Submitter(ports, self.name)

    def interests(self, event: Event) -> Iterable[str]:
        """Subjects of this agent that an event concerns."""
        raise NotImplementedError

    def arrivals(self, parcel: StoredParcel) -> Iterable[str]:
        """Subjects of this agent that a parcel concerns; new ones begin."""
        raise NotImplementedError

    async def step(self, item: WorkItem) -> Step:
        """One move of one subject. Raises nothing for what can be waited for."""
        raise NotImplementedError

    def start(self) -> None:
        """After the node started: whatever is open is looked at."""
        self.vault.work.wake_all(self.name)

    def observe(self, block: FinalBlock) -> None:
        """Take the work that a final block brings; the cursor moves with it."""
        if not block.receipts:
            self.vault.work.skip_to(self.name, block.height)
            return
        events = [event for receipt in block.receipts for result in receipt.results for event in result.events]
        with self.vault.transaction():
            taken = [self._take(event, block) for event in events]
            taken += self._hear_of_own(block)
            if any(taken):
                self.vault.work.move_cursor(self.name, block.height)
        if not any(taken):
            self.vault.work.skip_to(self.name, block.height)

    def receive(self, parcel: StoredParcel) -> None:
        """Take the work that a parcel brings, before the parcel is acknowledged."""
        for subject in self.arrivals(parcel):
            self.vault.work.wake(self.name, subject)

    def open_in_state(self) -> Iterable[str]:
        """Subjects of this agent that are open as final state says, whatever the events were that made them so."""
        return ()

    def catch_up(self) -> bool:
        """Observe final blocks that were not seen yet, up to CATCH_UP. Returns whether there are more."""
        height, final = self.vault.work.cursor(self.name), self.ports.ledger.final.height
        last = min(final, height + CATCH_UP)
        for number in range(height + 1, last + 1):
            try:
                block = self.ports.ledger.block_at(number)
            except StoreError as error:
                if error.code != "pruned":
                    raise
                self._leap()
                return True
            self.observe(block)
        return last < final

    async def reconcile(self) -> int:
        """Step everything that is due. Returns the number of steps that moved something."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def work_on(item: WorkItem) -> int:
            async with gate:
                return await self._work_on(item)

        return sum(await asyncio.gather(*(work_on(item) for item in self.vault.work.due(self.name, ROUND))))

    def _leap(self) -> None:
        """Over blocks that this node does not have (it began with a snapshot, or pruned them): what they brought is
        taken from state, and what waits for a receipt in them looks again."""
        height = self.ports.ledger.whole_above()
        with self.vault.transaction():
            subjects = set(self.open_in_state())
            for subject in subjects:
                self.vault.work.wake(self.name, subject)
            for subject in set(self.vault.work.submitted(self.name).values()):
                self.vault.work.nudge(self.name, subject)
            self.vault.work.move_cursor(self.name, height)
        _log.info("agent.began_from_state", agent=self.name, height=height, open=len(subjects))

    def _take(self, event: Event, block: FinalBlock) -> bool:
        subjects = tuple(self.interests(event))
        for subject in subjects:
            self.vault.work.wake(self.name, subject)
        if subjects:
            self.vault.work.note(event.subject, event.topic, block.height, block.header.time_ms)
        return bool(subjects)

    def _hear_of_own(self, block: FinalBlock) -> list[bool]:
        """What waits for the receipt of a transaction of its own goes on, also when it was refused."""
        submitted = self.vault.work.submitted(self.name)
        heard = [submitted[receipt.tx_id] for receipt in block.receipts if receipt.tx_id in submitted]
        for subject in heard:
            self.vault.work.nudge(self.name, subject)
        return [True for _ in heard]

    async def _work_on(self, item: WorkItem) -> int:
        for moved in range(MAX_STEPS):
            step = await self._step_safely(item)
            if step.kind == "done":
                self.vault.work.finish(item, step.code)
                return moved + 1
            if step.kind == "wait":
                self.vault.work.put_off(item, step.code)
                return moved
        self.vault.work.put_off(item, "too_many_steps")
        return MAX_STEPS

    async def _step_safely(self, item: WorkItem) -> Step:
        """What goes wrong with one subject must not stop the others; the code says what, never about whom."""
        try:
            return await self.step(item)
        except (NodeError, LedgerError, MachineError, ContractError) as error:
            _log.warning("agent.put_off", agent=self.name, subject=item.subject, code=error.code)
            return wait(error.code)
        except Exception as error:  # our own fault costs this subject its turn, not the others theirs
            _log.error("agent.fault", agent=self.name, subject=item.subject, fault=describe_fault(error))
            return wait("internal")
