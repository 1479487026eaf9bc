"""A block that a quorum certified and that computes otherwise here: both roots, and the first key on which they part.

Knows what this node computed and asks a peer for what the block wrote there. Must always hold: a peer's changes are
compared only if they lead from the same parent to the root in the certified header; the report names keys and roots,
never a value; whatever peers answer or not, the node stays halted.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.execution import ROOTS, ChainState, ExecutedBlock, compare_changes
from ledger.blocks import Header, header_hash
from ledger.encoding import encode
from ledger.errors import LedgerError, StoreError
from ledger.state import Versioned, map_key, map_value
from ledger.storetables import decode_changes, encode_changes
from node.chain import Chain
from node.ordering.links import Links
from node.peers.errors import PeerError

METHOD = "block.changes"
KEPT = 4
"""Blocks that computed otherwise and are remembered: the first one halts the node once a quorum certified it."""
ROUNDS = 10
ROUND_S = 1.0
"""How often, and how long apart, the peers are asked: the block may not be final with them yet."""
REPORT = "halt-disagreement-roots.json"


class Disagreements:
    """What this node computed otherwise than a header says, and the comparison with others."""

    def __init__(self, chain: Chain, links: Links, folder: Path, log: Any) -> None:
        self._chain = chain
        self._links = links
        self._folder = folder
        self._log = log
        self._noted: dict[bytes, tuple[Header, ExecutedBlock, ChainState]] = {}
        self._task: asyncio.Task[None] | None = None
        self.report: dict[str, Any] | None = None
        """What is known of the disagreement that halted this node."""
        links.register(METHOD, self.serve)

    def note(self, stated: Header, ours: ExecutedBlock, parent: ChainState) -> None:
        """Remember an execution that gave other roots than the header says."""
        self._noted[header_hash(stated)] = (stated, ours, parent)
        while len(self._noted) > KEPT:
            self._noted.pop(next(iter(self._noted)))

    def begin(self, detail: str) -> None:
        """Start to `explain` beside everything else."""
        self._task = asyncio.ensure_future(self.explain(detail))

    async def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def explain(self, detail: str) -> None:
        """Complete the report of a halt: the roots at once, the first differing key when a peer has shown its own."""
        digest = next((known for known in self._noted if known.hex() in detail), None)
        if digest is None:
            digest = next(reversed(self._noted), None)
        if digest is None:
            return
        stated, ours, parent = self._noted[digest]
        known = ours.block.header
        roots = {
            name: {"header": getattr(stated, name), "here": getattr(known, name)}
            for name in ROOTS
            if getattr(stated, name) != getattr(known, name)
        }
        self._keep({"height": stated.height, "block": digest.hex(), "roots": roots, "first_differing_key": None})
        for _ in range(ROUNDS):
            for peer in sorted(self._links.connected()):
                theirs = await self._ask(peer, digest, stated, parent)
                if theirs is not None:
                    key = compare_changes(ours.changes, theirs)
                    self._keep({**(self.report or {}), "first_differing_key": key, "compared_with": peer})
                    return
            await asyncio.sleep(ROUND_S)

    async def _ask(self, peer: str, digest: bytes, stated: Header, parent: ChainState) -> dict[str, Versioned] | None:
        try:
            theirs = decode_changes(await self._links.request(peer, METHOD, digest))
            leads_there = parent.state_map.update(_map_changes(theirs)).root.hex() == stated.state_root
        except (PeerError, LedgerError, ValueError):
            return None
        return theirs if leads_there else None

    async def serve(self, _peer: str, payload: bytes) -> bytes:
        """Handler of the method: what a block wrote, of a digest. Raises StoreError `unknown_height`."""
        changes = self._chain.changes_of(payload[:32])
        if changes is None:
            raise StoreError("unknown_height", "no such block here")
        return encode_changes(changes)

    def _keep(self, report: dict[str, Any]) -> None:
        self.report = report
        self._log.critical("disagreement", **report)
        try:
            (self._folder / REPORT).write_bytes(encode(report) + b"\n")
        except OSError as error:
            self._log.error("report_not_written", file=REPORT, detail=error.strerror)


def _map_changes(changes: Mapping[str, Versioned]) -> dict[bytes, bytes | None]:
    return {map_key(key): None if item.value is None else map_value(item) for key, item in changes.items()}
