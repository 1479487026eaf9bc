"""A validator's past on a real file: durable before a vote is said, and missed when it is not there."""

import os
from pathlib import Path

import pytest

from consensus.effects import Halt, Persist, Send
from consensus.journal import JournalDamaged, OwnVote, decode_journal
from consensus.leaders import leader_order
from consensus.types import Position
from node.ordering.journalfile import JOURNAL, JournalFile
from tests.support.lone_core import CHAIN, LoneCore


def journal_in(folder: Path) -> JournalFile:
    return JournalFile(folder / JOURNAL, folder / "guard")


def test_a_vote_is_durable_before_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, path = journal_in(tmp_path), tmp_path / JOURNAL
    journal.open()
    synced: list[bytes] = []

    def fdatasync(fd: int) -> None:
        if os.path.sameopenfile(fd, reader.fileno()):
            synced.append(path.read_bytes())

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    core = LoneCore(me=leader_order(CHAIN, 1, 4)[3])
    core.hear_proposal(1)
    said = 0
    with path.open("rb") as reader:
        for effect in core.verified(1):
            if isinstance(effect, Persist):
                journal.append(effect.records, effect.guard)
            elif isinstance(effect, Send):
                said += 1
                assert synced, "a message left before anything was synced"
                votes = [one.vote.kind for one in decode_journal(synced[-1]).records if isinstance(one, OwnVote)]
                assert votes == ["notarize"]
    assert said
    journal.close()


def test_a_key_with_a_past_signs_nothing_without_it(tmp_path: Path) -> None:
    """A9: an old journal, none at all, one without its guard, and a key that was marked."""
    core = LoneCore(me=0, start=False)
    core.start((OwnVote(core.vote(0, "nullify", 2)),), guard=Position(1, 3, 1))
    assert [halt.code for halt in core.found(Halt, core.all)] == ["journal_behind_guard"]

    for lost, code in ((JOURNAL, "missing"), ("guard", "no_guard"), (None, "marked")):
        folder = tmp_path / code
        folder.mkdir()
        journal = journal_in(folder)
        journal.open()
        journal.append((OwnVote(core.vote(0, "nullify", 2)),), Position(1, 2, 2))
        if lost is None:
            journal.refuse(code, "seen elsewhere")
        else:
            (folder / lost).unlink()
        journal.close()
        with pytest.raises(JournalDamaged) as refused:
            journal_in(folder).open()
        assert refused.value.code == code
