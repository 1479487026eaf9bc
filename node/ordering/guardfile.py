"""How far a key has signed, beside the key: what shows that a journal is old, lost or another host's.

Knows two slots in one small file and the mark of a key that must not sign again. Must always hold: the file lies in the
folder of keys, not with the data, so that neither an old copy of the data nor an empty data folder passes for a new
validator; it is made durable before the journal that it guards; moving it changes no length and needs no space, and a
power cut in the middle spoils at most the slot that was being written, so it can be old but never unreadable.
"""

import os
from pathlib import Path

from msgspec import Struct

from consensus.journal import JournalDamaged, decode_guard, encode_guard
from consensus.types import Position
from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError

GUARD = "guard"
SLOT_BYTES = 512
"""One sector: a disk writes it whole or not at all."""
NEVER = Position(0, 0, 0)
"""The guard of a key that has signed nothing."""
REFUSED_SUFFIX = ".refused"
MAX_MARK_BYTES = 16 * 1024
"""A code and a sentence."""


class _Mark(Struct, frozen=True, forbid_unknown_fields=True):
    code: str
    detail: str


class GuardFile:
    """One key's guard. Used by the journal's owner alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._refused_path = path.with_name(path.name + REFUSED_SUFFIX)
        self._fd = -1
        self._slot = 0

    def open(self) -> Position | None:
        """The highest position, `NEVER` for a key that has not signed, None without a file.

        Raises JournalDamaged `guard` when neither slot can be read.
        """
        if not self._path.exists():
            return None
        data = self._path.read_bytes()
        slots = [_read_slot(data[at : at + SLOT_BYTES]) for at in (0, SLOT_BYTES)]
        good = [(position, at) for at, position in enumerate(slots) if position is not None]
        if not good or len(data) != 2 * SLOT_BYTES:
            raise JournalDamaged("guard", f"{self._path} cannot be read")
        newest, at = max(good)
        self._slot = 1 - at
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        return newest

    def create(self) -> None:
        """Begin with `NEVER`, durably. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self._path, 2 * _slot(NEVER))
        self.open()

    def move(self, position: Position) -> None:
        """Remember a higher position. Not synced: after a power cut it may be older than the journal, never newer.

        Raises OSError.
        """
        os.pwrite(self._fd, _slot(position), self._slot * SLOT_BYTES)
        self._slot = 1 - self._slot

    def refuse(self, code: str, detail: str) -> None:
        """Mark the key: it must never sign again, also after a restart. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self._refused_path, encode(_Mark(code, detail)) + b"\n")

    def refusal(self) -> JournalDamaged | None:
        """Why the key was marked, None for a key that may sign. A mark that cannot be read is a mark (`guard`)."""
        if not self._refused_path.exists():
            return None
        try:
            mark = decode_as(self._refused_path.read_bytes().strip(), _Mark, limit=MAX_MARK_BYTES)
        except DecodeError:
            return JournalDamaged("guard", f"{self._refused_path} cannot be read")
        return JournalDamaged(mark.code, mark.detail)

    def close(self) -> None:
        """Release the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def write_durably(path: Path, data: bytes) -> None:
    """Replace a small file by one that is whole after any crash. Raises OSError."""
    scratch = path.with_name(path.name + ".new")
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(scratch, path)
    sync_folder(path.parent)


def write_all(fd: int, data: bytes) -> None:
    """Every byte, however little the system takes at a time. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _slot(position: Position) -> bytes:
    return encode_guard(position).ljust(SLOT_BYTES, b"\n")


def _read_slot(data: bytes) -> Position | None:
    try:
        return decode_guard(data.rstrip(b"\n"))
    except JournalDamaged:
        return None
