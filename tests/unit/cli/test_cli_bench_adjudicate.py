"""`claimnode bench adjudicate`: the names that scripts read, and what is not measured."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import bench_adjudicate
from cli.main import claimnode
from node.machine.programs import standard_examples

KEYS = {"cases_per_s", "cases_per_s_with_trace", "plain_python_cases_per_s", "cases"}


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_adjudicate, "_rate_of", lambda run, texts, seconds: float(bool(run(texts[0]))))


def test_json_has_exactly_the_keys_that_scripts_read() -> None:
    before = os.sched_getaffinity(0)
    done = CliRunner().invoke(claimnode, ["bench", "adjudicate", "--seconds", "1", "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert set(figures) == KEYS
    assert figures["cases"] == len(standard_examples())
    assert all(figures[name] > 0 for name in KEYS)
    assert os.sched_getaffinity(0) == before


def test_without_the_tests_folder_the_plain_figure_is_null_and_a_note_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench_adjudicate, "ORACLE", tmp_path / "adjudication_oracle.py")
    done = CliRunner().invoke(claimnode, ["bench", "adjudicate", "--json"])
    assert json.loads(done.stdout)["plain_python_cases_per_s"] is None
    assert "lives in tests/" in done.stderr


def test_a_reading_that_gives_another_result_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_adjudicate, "_load_plain_python", lambda path: lambda text: b"{}")
    done = CliRunner().invoke(claimnode, ["bench", "adjudicate", "--json"])
    assert isinstance(done.exception, RuntimeError)


def test_a_rate_counts_every_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    seen: list[bytes] = []
    assert bench_adjudicate._rate_of(seen.append, [b"a", b"b"], 0.0) > 0
    assert len(seen) == 2 * (1 + bench_adjudicate.ROUNDS)
