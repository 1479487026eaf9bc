"""A running node that prunes by itself: bounded slices between commits, when ordering has nothing to do.

Knows the chain, the limits and the open claims. Must always hold: votes never wait for it (a slice is one short turn of
the store's writer, and a pause follows); the blocks that open claims need are found before the first slice of a round,
those of claims reported meanwhile before the next slice; a full or absent database puts pruning off, nothing else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from contracts.states import read_claim
from ledger.errors import StoreError
from ledger.state import Versioned
from node.api.parties import Viewer
from node.chain import Chain
from node.outcomes import FinalBlock
from node.pruning.limits import Kept, find_limit, mapped_height
from node.pruning.needed import changes_members, heights_of, open_claims

ROUND_S: Final = 30.0
"""Between two rounds: at full load a few hundred blocks."""
PAUSE_S: Final = 0.05
"""After each slice and each claim: pruning takes at most about a fifth of the loop."""
PUT_OFF: Final = frozenset({"no_space", "read_only", "no_descriptors", "no_connection", "damaged", "pruned"})
"""What is tried again in the next round; anything else ends the node, as in a commit."""


class Pruner:
    """Used from the node's event loop."""

    def __init__(
        self, chain: Chain, participant: str, retain: int, breathe: Callable[[], Awaitable[None]], log: Any
    ) -> None:
        """`retain`: whole blocks to keep at the end of the chain; 0: all, nothing is done."""
        self._chain = chain
        self._me = participant
        self._retain = retain
        self._breathe = breathe
        self._log = log
        self._done = chain.store.remains.base_height
        self._reported: list[str] = []
        self._is_busy = False
        self.kept = Kept()
        self.floors: list[tuple[str, Callable[[], int]]] = []
        """Who still reads blocks above a height: (name, height)."""
        self.total = 0
        """Bodies pruned since the start."""
        if retain:
            chain.on_commit.append(self._note_reports)

    async def run(self) -> None:
        """Prune now and then, for ever. Raises StoreError for what ends a node."""
        while self._retain:
            await asyncio.sleep(ROUND_S)
            try:
                await self.round()
            except StoreError as error:
                if error.code not in PUT_OFF:
                    raise
                self._log.warning("prune_put_off", code=error.code, detail=error.detail)

    async def round(self) -> int:
        """Prune up to the limit of now; gives the number of bodies that went. Raises StoreError."""
        floors = [(name, height()) for name, height in self.floors]
        floors.append(("state_map", mapped_height(self._chain, self.kept)))
        limit = find_limit(self._chain, self._chain.height - self._retain, self.kept, floors).height
        if limit <= self._done:
            return 0
        before, self._is_busy = self.total, True
        try:
            await self._prune(limit)
        finally:
            self._is_busy = False
            self._reported.clear()
        self._done = limit
        self._log.info("pruned", until=limit, blocks=self.total - before)
        return self.total - before

    async def _prune(self, limit: int) -> None:
        needed, after = await self._needed(), 0
        while after < limit:
            await self._breathe()
            needed |= await self._of_reported()
            done = await self._chain.prune(after, limit, _keep(frozenset(needed)))
            after = done.last
            self.total += done.blocks
            await asyncio.sleep(PAUSE_S)

    async def _needed(self) -> set[int]:
        needed: set[int] = set()
        for claim_id in await asyncio.to_thread(open_claims, self._chain):
            needed |= await self._of(claim_id)
        return needed

    async def _of_reported(self) -> set[int]:
        needed: set[int] = set()
        while self._reported:
            needed |= await self._of(self._reported.pop())
        return needed

    async def _of(self, claim_id: str) -> frozenset[int]:
        await self._breathe()
        read = self._chain.final.read
        claim = read_claim(read, claim_id)
        if claim is None or not Viewer(read, self._me).sees_claim(claim):
            return frozenset()
        await asyncio.sleep(PAUSE_S)
        return heights_of(self._chain, claim_id, claim) or frozenset()

    def _note_reports(self, block: FinalBlock) -> None:
        for receipt in block.receipts if self._is_busy else ():
            for result in receipt.results:
                self._reported += [event.subject for event in result.events if event.topic == "claim.reported"]


def _keep(needed: frozenset[int]) -> Callable[[int, Mapping[str, Versioned]], bool]:
    return lambda height, changes: height in needed or changes_members(changes)
