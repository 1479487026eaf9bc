"""The journal and the guard on disk: what this validator signed, durable before it is sent.

Knows files, offsets and fsync; what the records mean is `consensus.journal`'s. Must always hold: `append`
returns only after the bytes are durable; after a failed fsync nothing is tried again, because the kernel
may have dropped the pages and would report success; a full disk leaves the file as it was before the call.
The journal is its own file, outside the ledger's database, named by the key whose votes it holds, and is never part of
a backup. Its guard stands in another folder, beside that key, and is there before the journal is.
"""

import errno
import os
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from consensus.journal import JournalDamaged, Record, decode_journal, encode_frame, encode_journal
from consensus.types import Position
from node.errors import NodeError
from node.ordering.guardfile import NEVER, GuardFile, sync_folder, write_all

JOURNAL = "journal"
SALT_BYTES = 16
WAITS = frozenset({"no_space", "read_only", "no_descriptors", "no_connection"})
"""Codes of a disk or database that takes nothing now and lost nothing: the same call succeeds once a person made room,
or the database is back. Everything else that a disk says ends the process."""
_WAITING = {
    errno.ENOSPC: "no_space",
    errno.EDQUOT: "no_space",
    errno.EROFS: "read_only",
    errno.EMFILE: "no_descriptors",
    errno.ENFILE: "no_descriptors",
}
SLOW_S = 0.008
"""An fsync beyond this is waited for in a thread. Below it the loop waits itself: a thread that comes back from the
disk stands in line for the interpreter behind admission, and a vote with it; that took longer than the fsync."""
TIMES_KEPT = 8_192
"""Durations of the last fsyncs, for benches and metrics."""


class JournalFailed(NodeError):
    """The disk did not take a record: `fsync` (end the process), or one of `WAITS` (wait, then repeat the call)."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the disk held at the start. `torn_bytes` were cut off; nothing sent depends on them."""

    records: tuple[Record, ...]
    guard: Position | None
    torn_bytes: int


class JournalFile:
    """One validator's journal. Used by the driver alone, one call at a time."""

    def __init__(self, path: Path, guard: Path) -> None:
        """`path` is the journal, `guard` the file beside the key."""
        self._path = path
        self._guard = GuardFile(guard)
        self._fd = -1
        self._salt = b""
        self._sequence = 0
        self._size = 0
        self._guard_due = False
        self._typical_s = 0.0
        self.syncs = 0
        self.sync_times: deque[float] = deque(maxlen=TIMES_KEPT)

    def open(self) -> Recovered:
        """Read what is there, or begin.

        Raises JournalDamaged: the files cannot be trusted (`header`, `frame`, `record`, `guard`), the journal is gone
        though this key has signed (`missing`), it came without its guard from elsewhere (`no_guard`), or the key was
        marked before (the code of then). Nothing on disk is changed then; a person must look. JournalFailed: the
        disk does not take the first files.
        """
        refusal = self._guard.refusal()
        if refusal is not None:
            raise refusal
        guard = self._guard.open()
        if not self._path.exists():
            if guard not in (None, NEVER):
                raise JournalDamaged("missing", f"{self._path} is gone, but this key has signed before")
            self._begin(guard)
            return Recovered((), None, 0)
        if guard is None:
            raise JournalDamaged("no_guard", f"{self._path} is here, but not the guard beside the key")
        journal = decode_journal(self._path.read_bytes())
        try:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            if journal.torn_bytes:
                os.ftruncate(self._fd, journal.good_bytes)
                self._sync(self._fd)
        except OSError as error:
            raise _failure(self._path, error) from None
        self._salt, self._sequence, self._size = journal.salt, journal.next_sequence, journal.good_bytes
        return Recovered(journal.records, None if guard == NEVER else guard, journal.torn_bytes)

    def _begin(self, guard: Position | None) -> None:
        """The guard first: a journal without one is never made here."""
        try:
            if guard is None:
                self._guard.create()
        except OSError as error:
            raise _failure(self._path, error) from None
        self._replace(())

    def append(self, records: Iterable[Record], guard: Position | None) -> None:
        """Make one batch durable, then move the guard.

        Raises JournalFailed `fsync`, or a code of `WAITS`: then the same call, and no other, is made again.
        """
        if not self._guard_due:
            self._append_frame(encode_frame(self._salt, self._sequence, records))
        if guard is None:
            return
        self._guard_due = True
        try:
            self._guard.move(guard)
        except OSError as error:
            raise _failure(self._path, error) from None
        self._guard_due = False

    def _append_frame(self, frame: bytes) -> None:
        try:
            write_all(self._fd, frame)
        except OSError as error:
            self._restore()
            raise _failure(self._path, error) from None
        self._sync(self._fd)
        self._sequence += 1
        self._size += len(frame)

    def refuse(self, code: str, detail: str) -> None:
        """Mark the key, so that no later start signs with it. Raises JournalFailed."""
        try:
            self._guard.refuse(code, detail)
        except OSError as error:
            raise _failure(self._path, error) from None

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace the journal by one with exactly these records. Raises JournalFailed."""
        self._replace(tuple(records))

    def close(self) -> None:
        """Release the files."""
        self._release()
        self._guard.close()

    def _release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def is_slow(self) -> bool:
        """Whether an fsync usually takes so long that an event loop should not wait for it."""
        return self._typical_s > SLOW_S

    @property
    def size_bytes(self) -> int:
        """Bytes of the journal now."""
        return self._size

    def _replace(self, records: tuple[Record, ...]) -> None:
        salt = os.urandom(SALT_BYTES)
        data = encode_journal(salt, records)
        scratch = self._path.with_name(self._path.name + ".new")
        try:
            fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                write_all(fd, data)
                self._sync(fd)
                os.replace(scratch, self._path)
                sync_folder(self._path.parent)
            except BaseException:
                os.close(fd)
                raise
        except OSError as error:
            raise _failure(self._path, error) from None
        self._release()
        self._fd, self._salt, self._sequence, self._size = fd, salt, 1, len(data)

    def _restore(self) -> None:
        """Cut off a half-written frame, so that the next one follows the last good one."""
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as error:
            raise JournalFailed("fsync", f"{self._path} cannot be restored: {error.strerror}") from None

    def _sync(self, fd: int) -> None:
        started = time.perf_counter()
        try:
            os.fdatasync(fd)
        except OSError as error:
            raise JournalFailed("fsync", f"{self._path}: {error.strerror}; end the process") from None
        took = time.perf_counter() - started
        self.syncs += 1
        self.sync_times.append(took)
        self._typical_s += (min(took, 10 * SLOW_S) - self._typical_s) / 16


def _failure(path: Path, error: OSError) -> JournalFailed:
    return JournalFailed(_WAITING.get(error.errno or 0, "fsync"), f"{path} was not written: {error.strerror}")
