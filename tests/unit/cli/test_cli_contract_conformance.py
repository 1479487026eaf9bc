"""`claimnode contract conformance`: the suite in worker processes, and what a difference looks like."""

import json

import pytest
from click.testing import CliRunner

from cli.main import claimnode
from contracts.machine import language
from contracts.machine.conformance import Topic
from node.machine import programs

SMALL = {"small": Topic(gives=[("1 + 1", 2)], fails=["1 // 0"], refused=[("1 / 1", "operator")])}


def test_the_installed_interpreter_conforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "conformance_topics", lambda: SMALL)
    done = CliRunner().invoke(claimnode, ["contract", "conformance", "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["language"], answer["faults"]) == (language.LANGUAGE, [])
    assert answer["checked"] == 3 + len(programs.standard_examples())


def test_another_interpreter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    example = json.loads(programs.standard_examples()[0])
    example["expected"]["results"][0]["total_fen"] += 1
    monkeypatch.setattr(programs, "conformance_topics", lambda: {"small": Topic(gives=[("1 + 1", 3)])})
    monkeypatch.setattr(programs, "standard_examples", lambda: [json.dumps(example)])
    done = CliRunner().invoke(claimnode, ["contract", "conformance"])
    assert done.exit_code == 1
    assert "small: `1 + 1`: 2, not 3" in done.stdout
    assert "another result than it ships with" in done.stdout
