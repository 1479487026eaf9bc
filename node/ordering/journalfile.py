"""The journal and the guard on disk: what this validator signed, durable before it is sent.

Knows files, offsets and fsync; what the records mean is `consensus.journal`'s. Must always hold: `append`
returns only after the bytes are durable; after a failed fsync nothing is tried again, because the kernel
may have dropped the pages and would report success; a full disk leaves the file as it was before the call.
The journal is its own file, outside the ledger's database, and is never part of a backup.
"""

import errno
import os
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from consensus.journal import (
    JournalDamaged,
    Record,
    decode_guard,
    decode_journal,
    encode_frame,
    encode_guard,
    encode_journal,
)
from consensus.types import Position
from node.errors import NodeError

JOURNAL = "journal"
GUARD = "guard"
SALT_BYTES = 16
SLOW_S = 0.002
"""An fsync beyond this is better waited for in a thread."""
TIMES_KEPT = 8_192
"""Durations of the last fsyncs, for benches and metrics."""


class JournalFailed(NodeError):
    """The disk did not take a record: `fsync` (end the process) or `no_space` (wait, then repeat)."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the disk held at the start. `torn_bytes` were cut off; nothing sent depends on them."""

    records: tuple[Record, ...]
    guard: Position | None
    torn_bytes: int


class JournalFile:
    """One validator's journal. Used by the driver alone, one call at a time."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        self._guard_path = folder / GUARD
        self._fd = -1
        self._salt = b""
        self._sequence = 0
        self._size = 0
        self._typical_s = 0.0
        self.syncs = 0
        self.sync_times: deque[float] = deque(maxlen=TIMES_KEPT)

    def open(self) -> Recovered:
        """Read what is there, or begin.

        Raises JournalDamaged: the files cannot be trusted, or the journal is gone while the guard shows that this
        key has signed (`missing`). Nothing on disk is changed then; a person must look.
        """
        guard = decode_guard(self._guard_path.read_bytes()) if self._guard_path.exists() else None
        if not self._path.exists():
            if guard is not None:
                raise JournalDamaged("missing", f"{self._path} is gone, but this key has signed before")
            self._replace(())
            return Recovered((), None, 0)
        journal = decode_journal(self._path.read_bytes())
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        if journal.torn_bytes:
            os.ftruncate(self._fd, journal.good_bytes)
            self._sync(self._fd)
        self._salt, self._sequence, self._size = journal.salt, journal.next_sequence, journal.good_bytes
        return Recovered(journal.records, guard, journal.torn_bytes)

    def append(self, records: Iterable[Record], guard: Position | None) -> None:
        """Make one batch durable, then move the guard. Raises JournalFailed `fsync`, `no_space`."""
        frame = encode_frame(self._salt, self._sequence, records)
        try:
            _write_all(self._fd, frame)
        except OSError as error:
            self._restore()
            raise _failure(self._path, error) from None
        self._sync(self._fd)
        self._sequence += 1
        self._size += len(frame)
        if guard is not None:
            self._write_guard(guard)

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace the journal by one with exactly these records. Raises JournalFailed."""
        self._replace(tuple(records))

    def close(self) -> None:
        """Release the file."""
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
        scratch = self._path.with_suffix(".new")
        try:
            fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                _write_all(fd, data)
            except OSError:
                os.close(fd)
                raise
        except OSError as error:
            raise _failure(self._path, error) from None
        self._sync(fd)
        os.replace(scratch, self._path)
        _sync_folder(self._path.parent)
        self.close()
        self._fd, self._salt, self._sequence, self._size = fd, salt, 1, len(data)

    def _restore(self) -> None:
        """Cut off a half-written frame, so that the next one follows the last good one."""
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as error:
            raise JournalFailed("fsync", f"{self._path} cannot be restored: {error.strerror}") from None

    def _write_guard(self, guard: Position) -> None:
        scratch = self._guard_path.with_suffix(".new")
        try:
            scratch.write_bytes(encode_guard(guard))
            os.replace(scratch, self._guard_path)
        except OSError as error:
            raise _failure(self._guard_path, error) from None

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
    code = "no_space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "fsync"
    return JournalFailed(code, f"{path} was not written: {error.strerror}")


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
