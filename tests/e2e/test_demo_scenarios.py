"""`claimnode demo --scenario all`, as a user runs it: real processes, every figure as it was worked out by hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN_S = 300


@pytest.mark.e2e
def test_every_scenario_comes_out_as_it_was_worked_out(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "cli.main",
        "demo",
        "--scenario",
        "all",
        "--json",
        "--keep",
        str(tmp_path / "kept"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] is True
    assert answer["episodes"] == []
    told = {item["name"]: item for item in answer["scenarios"]}
    assert set(told) >= {"founding", "flash", "advance", "two-insurers", "red-invoice", "complaint"}
    for item in told.values():
        assert item["figures"] == item["expected"], item["name"]
        assert item["dossiers_verified"] is True
        assert item["steps"]
    assert told["founding"]["figures"]["received_fen"] == 200_403
    assert {item["name"] for item in answer["validators"] if item["killed"] and item["recovered"]} == {"tpa"}
    for log in (tmp_path / "kept").glob("net/*/data/node.log"):
        text = log.read_text(encoding="utf-8")
        assert all(word not in text for word in ("王女士", "林艳", "S82.600", "The ankle broke"))
