"""P4, P5, P6: the journal's file under every torn end, flips and swapped sectors: cut or refused, never believed."""

import errno
import os
import random
from pathlib import Path

import pytest

from consensus.journal import JournalDamaged, StoredPayload
from consensus.types import Position
from node.ordering.guardfile import GUARD, SLOT_BYTES, GuardFile
from node.ordering.journalfile import JOURNAL, JournalFailed, JournalFile

RECORDS = [StoredPayload(view, bytes(32), b"block %d " % view * 20) for view in range(1, 5)]
SECTOR = 512


def journal(folder: Path) -> JournalFile:
    return JournalFile(folder / JOURNAL, folder / GUARD)


def written(folder: Path) -> tuple[Path, bytes, int]:
    """A journal of one frame a record: its path, its bytes, and where the last frame begins."""
    one = journal(folder)
    one.open()
    start = 0
    for record in RECORDS:
        start = one.size_bytes
        one.append((record,), Position(1, record.view, 1))
    one.close()
    return folder / JOURNAL, (folder / JOURNAL).read_bytes(), start


def test_every_torn_end_of_the_last_frame(tmp_path: Path) -> None:
    """P4: cut at each byte: the frames before it are there, the file is as if the last one had never been begun, and
    the guard, which is of the lost frame, tells the core."""
    path, data, start = written(tmp_path)
    for end in range(start, len(data)):
        path.write_bytes(data[:end])
        recovered = journal(tmp_path).open()
        assert list(recovered.records) == RECORDS[:-1]
        assert recovered.torn_bytes == end - start
        assert path.stat().st_size == start
        assert recovered.guard == Position(1, 4, 1)


def test_every_flipped_byte(tmp_path: Path) -> None:
    """P5: in the last frame it is a torn end (the guard is ahead then); anywhere before it is refused, the file left as
    it is."""
    path, data, start = written(tmp_path)
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
        path.write_bytes(damaged)
        if at >= start:
            assert list(journal(tmp_path).open().records) == RECORDS[:-1]
            continue
        with pytest.raises(JournalDamaged):
            journal(tmp_path).open()
        assert path.read_bytes() == damaged


@pytest.mark.parametrize("seed", range(20))
def test_sectors_that_came_in_another_order(tmp_path: Path, seed: int) -> None:
    """P4, P6: of the last append some sectors are on the disk, others still hold zeros: all of it or nothing."""
    path, data, start = written(tmp_path)
    chance = random.Random(seed)
    first = -(-start // SECTOR) * SECTOR
    torn = bytearray(data)
    kept = True
    for at in range(first, len(data), SECTOR):
        if chance.random() < 0.5:
            torn[at : at + SECTOR] = bytes(len(torn[at : at + SECTOR]))
            kept = False
    path.write_bytes(torn)
    assert list(journal(tmp_path).open().records) == (RECORDS if kept else RECORDS[:-1])


def test_a_guard_torn_in_a_slot_gives_the_one_before(tmp_path: Path) -> None:
    """P4, P5: each byte of the newest slot flipped: the older position; both slots gone: refused."""
    guard = GuardFile(tmp_path / GUARD)
    guard.create()
    for view in range(1, 4):
        guard.move(Position(1, view, 1))
    guard.close()
    data = (tmp_path / GUARD).read_bytes()
    newest = SLOT_BYTES if b'"view":3' in data[SLOT_BYTES:] else 0
    for at in range(newest, newest + len(data[newest : newest + SLOT_BYTES].rstrip(b"\n"))):
        (tmp_path / GUARD).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert GuardFile(tmp_path / GUARD).open() == Position(1, 2, 1)
    (tmp_path / GUARD).write_bytes(bytes(2 * SLOT_BYTES))
    with pytest.raises(JournalDamaged, match="guard"):
        GuardFile(tmp_path / GUARD).open()


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.EROFS, "read_only"), (errno.EMFILE, "no_descriptors"), (errno.ENFILE, "no_descriptors"),
     (errno.EDQUOT, "no_space"), (errno.EIO, "fsync")],
)  # fmt: skip
@pytest.mark.parametrize("call", ["write", "pwrite"])
def test_what_a_disk_says_is_waited_for_or_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str, call: str
) -> None:
    """P7: the journal's write and the guard's: after a fault that passes the same call succeeds and nothing is there
    twice."""
    one = journal(tmp_path)
    one.open()

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(JournalFailed) as failed:
            one.append((RECORDS[0],), Position(1, 1, 1))
    assert failed.value.code == code
    one.append((RECORDS[0],), Position(1, 1, 1))
    one.append((RECORDS[1],), Position(1, 2, 1))
    one.close()
    recovered = journal(tmp_path).open()
    assert list(recovered.records) == RECORDS[:2]
    assert recovered.guard == Position(1, 2, 1)
