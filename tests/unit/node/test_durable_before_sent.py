"""Durable before sent: the effects of a step, done in their order on a real file, sync the vote before it is said."""

import inspect
import os
from pathlib import Path

import pytest

from consensus.effects import Persist, Send
from consensus.journal import OwnVote, decode_journal
from consensus.leaders import leader_order
from node.ordering.journalfile import JOURNAL, JournalFile
from tests.support.lone_core import CHAIN, LoneCore


def open_journal(folder: Path) -> JournalFile:
    named = {"folder": folder, "path": folder / JOURNAL, "guard": folder / "guard"}
    wanted = inspect.signature(JournalFile).parameters
    journal = JournalFile(**{name: path for name, path in named.items() if name in wanted})
    journal.open()
    return journal


def test_a_vote_is_durable_before_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, path = open_journal(tmp_path), tmp_path / JOURNAL
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
