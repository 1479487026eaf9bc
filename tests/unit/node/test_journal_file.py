"""The journal on disk: durable before the call returns, whole after a crash, and never trusted when it is not."""

import errno
import os
from pathlib import Path

import pytest

from consensus.journal import FloorMark, JournalDamaged, StoredPayload
from consensus.types import Position
from node.ordering.guardfile import GUARD
from node.ordering.journalfile import JOURNAL, JournalFailed, JournalFile

FIRST = StoredPayload(1, bytes(32), b"first block")
SECOND = StoredPayload(2, bytes(32), b"second block")


def opened(folder: Path) -> JournalFile:
    journal = JournalFile(folder / JOURNAL, folder / GUARD)
    journal.open()
    return journal


def test_what_was_appended_is_recovered(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append((FIRST,), Position(1, 1, 1))
    journal.append((SECOND,), None)
    journal.close()
    recovered = JournalFile(tmp_path / JOURNAL, tmp_path / GUARD).open()
    assert recovered.records == (FIRST, SECOND)
    assert recovered.guard == Position(1, 1, 1)
    assert recovered.torn_bytes == 0


def test_one_sync_for_each_batch(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    before = journal.syncs
    journal.append((FIRST, SECOND), Position(1, 2, 1))
    assert journal.syncs == before + 1
    assert len(journal.sync_times) == journal.syncs


def test_the_bytes_are_in_the_file_before_the_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)
    seen: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: seen.append(os.fstat(fd).st_size))
    journal.append((FIRST,), None)
    assert seen == [journal.size_bytes]


def test_a_torn_tail_is_cut_off_and_written_over(tmp_path: Path) -> None:
    """P4: the next frame begins where the good ones end."""
    journal = opened(tmp_path)
    journal.append((FIRST,), None)
    good = journal.size_bytes
    journal.append((SECOND,), None)
    journal.close()
    os.truncate(tmp_path / JOURNAL, journal.size_bytes - 3)
    journal = JournalFile(tmp_path / JOURNAL, tmp_path / GUARD)
    recovered = journal.open()
    assert recovered.records == (FIRST,)
    assert recovered.torn_bytes > 0
    assert (tmp_path / JOURNAL).stat().st_size == good
    journal.append((SECOND,), None)
    journal.close()
    assert JournalFile(tmp_path / JOURNAL, tmp_path / GUARD).open().records == (FIRST, SECOND)


def test_damage_before_good_records_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    """P5: the file stays as it is for whoever looks into it."""
    journal = opened(tmp_path)
    start = journal.size_bytes
    journal.append((FIRST,), None)
    journal.append((SECOND,), None)
    journal.close()
    data = bytearray((tmp_path / JOURNAL).read_bytes())
    data[start + 30] ^= 1
    (tmp_path / JOURNAL).write_bytes(data)
    with pytest.raises(JournalDamaged, match="frame"):
        JournalFile(tmp_path / JOURNAL, tmp_path / GUARD).open()
    assert (tmp_path / JOURNAL).read_bytes() == bytes(data)


def test_a_journal_that_is_gone_while_the_guard_is_there_is_refused(tmp_path: Path) -> None:
    """P12: no fresh journal beside an old guard."""
    journal = opened(tmp_path)
    journal.append((FIRST,), Position(1, 1, 1))
    journal.close()
    (tmp_path / JOURNAL).unlink()
    with pytest.raises(JournalDamaged, match="missing"):
        JournalFile(tmp_path / JOURNAL, tmp_path / GUARD).open()
    assert not (tmp_path / JOURNAL).exists()


def test_a_damaged_guard_is_refused(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append((FIRST,), Position(1, 1, 1))
    journal.close()
    (tmp_path / GUARD).write_bytes(b"{}")
    with pytest.raises(JournalDamaged, match="guard"):
        JournalFile(tmp_path / JOURNAL, tmp_path / GUARD).open()


def test_rewriting_replaces_everything_and_goes_on(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append((FIRST,), None)
    journal.rewrite((FloorMark(1, 1),))
    journal.append((SECOND,), None)
    journal.close()
    assert JournalFile(tmp_path / JOURNAL, tmp_path / GUARD).open().records == (FloorMark(1, 1), SECOND)
    assert sorted(path.name for path in tmp_path.iterdir()) == [GUARD, JOURNAL]


@pytest.mark.parametrize("written", [0, 7])
def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    """P7: a write that did not fit leaves no part."""
    journal = opened(tmp_path)
    journal.append((FIRST,), None)
    real_write = os.write

    def full(fd: int, data: bytes) -> int:
        if written:
            real_write(fd, bytes(data[:written]))
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(JournalFailed, match="no_space"):
            journal.append((SECOND,), None)
    assert (tmp_path / JOURNAL).stat().st_size == journal.size_bytes
    journal.append((SECOND,), None)
    journal.close()
    assert JournalFile(tmp_path / JOURNAL, tmp_path / GUARD).open().records == (FIRST, SECOND)


def test_a_failed_sync_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P8: after it the journal takes nothing more."""
    journal = opened(tmp_path)

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(JournalFailed, match="fsync"):
        journal.append((FIRST,), Position(1, 1, 1))
    monkeypatch.undo()
    assert opened(tmp_path)._guard.open() == Position(0, 0, 0), "the guard has not moved"


def test_a_slow_disk_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P9: a sync that took long is counted."""
    journal = opened(tmp_path)
    ticks = iter(range(1_000))
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    for _ in range(4):
        journal.append((FIRST,), None)
    assert journal.is_slow
