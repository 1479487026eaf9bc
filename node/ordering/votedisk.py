"""The disk of one validator: its journal and guard, by key, and the patience with a disk that takes nothing.

Knows which files belong to which key and when a write is made again; must not know what is written. Must always hold:
`persist` returns after the records are durable; while a write waits nothing later happens; without an open journal
nothing is written, and the caller casts no votes then.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from consensus.journal import Record
from consensus.types import Position
from ledger.errors import StoreError
from node.ordering.guardfile import GUARD
from node.ordering.journalfile import JOURNAL, WAITS, JournalFailed, JournalFile, Recovered
from node.ordering.stopping import advice_for
from node.ordering.wiring import Counters, Wiring

SPACE_RETRY_S = 5.0
"""How often a full disk is tried again."""


class VoteDisk:
    """Used by the driver alone; `patiently` by whoever writes beside it."""

    def __init__(self, wiring: Wiring, counters: Counters) -> None:
        self._w = wiring
        self._counters = counters
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._waits: dict[str, str] = {}
        self.journal: JournalFile | None = None
        self.key = wiring.epochs.vote_key_id
        """The key whose journal was opened last."""

    @property
    def waiting(self) -> str | None:
        """The code of a disk that takes nothing now; nothing new is voted meanwhile."""
        return next(iter(self._waits.values()), None)

    def open(self) -> Recovered:
        """The journal of the key that votes now. Raises JournalDamaged, JournalFailed."""
        key = self.key = self._w.epochs.vote_key_id
        self.journal = JournalFile(self._w.folder / f"{JOURNAL}-{key}", self._w.keys_folder / f"{GUARD}-{key}")
        return self.journal.open()

    def refuse(self, code: str, detail: str) -> None:
        """Mark the key of the open journal: it never votes again."""
        if self.journal is None:
            return
        try:
            self.journal.refuse(code, detail)
        except JournalFailed as error:  # this process does not vote anyway; the next start finds the same again
            self._w.log.error("key_not_marked", code=error.code, detail=error.detail)

    def close(self) -> None:
        """Nothing more is written."""
        if self.journal is not None:
            self.journal.close()
            self.journal = None

    def stop(self) -> None:
        """`close`, after a record on its way to the disk is there."""
        self._thread.shutdown(wait=True)
        if self.journal is not None:
            self.journal.close()

    async def persist(self, records: tuple[Record, ...], guard: Position | None) -> None:
        """Return once durable. Raises JournalFailed `fsync`."""
        journal = self.journal
        if journal is not None:
            started = time.perf_counter()
            await self.patiently("journal", lambda: self._append(journal, records, guard))
            self._counters.persist_s += time.perf_counter() - started

    async def _append(self, journal: JournalFile, records: tuple[Record, ...], guard: Position | None) -> None:
        """In a thread when the disk is slow; on a fast one the hand-over would cost more than the wait."""
        if journal.is_slow:
            await asyncio.get_running_loop().run_in_executor(self._thread, journal.append, records, guard)
        else:
            journal.append(records, guard)

    async def rewrite(self, records: tuple[Record, ...]) -> None:
        """Replace the journal. Raises JournalFailed `fsync`."""
        journal = self.journal
        if journal is not None:

            async def write() -> None:
                journal.rewrite(records)

            await self.patiently("journal", write)

    async def patiently(self, what: str, write: Callable[[], Awaitable[Any]]) -> None:
        """Repeat while the disk takes nothing. Other errors are raised: they end the node."""
        while True:
            try:
                await write()
            except (JournalFailed, StoreError) as error:
                if error.code not in WAITS:
                    raise
                if self._waits.get(what) != error.code:
                    self._w.log.error("disk_waits", code=error.code, detail=error.detail, do=advice_for(error.code))
                self._waits[what] = error.code
                await asyncio.sleep(SPACE_RETRY_S)
                continue
            self._waits.pop(what, None)
            return
