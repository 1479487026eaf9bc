"""What the core answers `Behind` with: blocks from peers' stores, executed and committed, then `CaughtUp`.

Knows when a sync begins and ends, and how a range becomes final here; what a range must prove is blocksync's. Must
always hold: one sync at a time; a final block that this node finds invalid stops it (A7), never the network.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from consensus.inputs import CaughtUp
from consensus.types import Verdict
from ledger.certificates import Certificate
from ledger.errors import StoreError
from node.errors import Halted
from node.ordering.blocksync import BlockSync, Range
from node.ordering.epochs import boundary_of
from node.ordering.journalfile import JournalFailed
from node.ordering.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Who is told what: the core's answer, a block that is invalid here, a disk that failed."""

    done: Callable[[CaughtUp], None]
    invalid: Callable[[str, str], None]
    failed: Callable[[Exception], None]


class CatchUp:
    """At most one sync under way."""

    def __init__(
        self,
        wiring: Wiring,
        commit: Callable[[list[tuple[int, bytes]], bytes], Awaitable[None]],
        blame: Callable[[str, str], None],
        outcomes: Outcomes,
    ) -> None:
        self._w = wiring
        self._commit = commit
        self._outcomes = outcomes
        self._task: asyncio.Task[None] | None = None
        self.is_syncing = False
        self.sync = BlockSync(wiring.chain, wiring.links, self._take_range, blame)

    def start(self, target: Certificate) -> None:
        """Begin; an earlier sync ends without an answer."""
        if self._task is not None:
            self._task.cancel()
        self.is_syncing = True
        self._task = asyncio.ensure_future(self._run(target))

    async def leave_base(self) -> None:
        """Return once a block above the snapshot that the store began with was executed here, at once if one was.

        Until then nothing but others' signatures says that this program computes what the network does. A block that
        is invalid here stops the node (A7). Raises JournalFailed, StoreError.
        """
        try:
            while self._w.chain.is_at_base:
                await self.sync.take_one()
        except Halted as error:
            self._outcomes.invalid(error.code, error.detail)

    async def stop(self) -> None:
        """Return when nothing is under way any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, target: Certificate) -> None:
        chain = self._w.chain
        self._w.log.info("sync_started", height=chain.height, view=target.view)
        try:
            last = await self.sync.run(target)
        except Halted as error:
            self._outcomes.invalid(error.code, error.detail)
            return
        except (JournalFailed, StoreError) as error:
            self._outcomes.failed(error)
            return
        self.is_syncing = False
        self._w.log.info("sync_ended", height=chain.height)
        self._outcomes.done(CaughtUp(self._w.clock.monotonic_ms(), last, boundary_of(chain)))

    async def _take_range(self, found: Range) -> None:
        """Execute and commit a run of blocks that is proven final. The core delivers nothing meanwhile."""
        workshop = self._w.workshop
        for _, block, encoded in found.blocks:
            digest = workshop.name_of(block)
            judged = workshop.judge(bytes.fromhex(block.header.parent), digest, encoded, notarized=True)
            if judged is None or judged.verdict is not Verdict.VALID:
                detail = judged.detail if judged else "its parent is not here"
                raise Halted("disagreement", f"final block {block.header.height} is invalid here: {detail}")
            await asyncio.sleep(0)
        blocks = [(view, workshop.name_of(block)) for view, block, _ in found.blocks]
        if blocks[0][1] != self._w.chain.final.header_hash:
            await self._commit(blocks, found.encoded_certificate)
