"""`claimnode demo`, as a user runs it: real processes, a killed validator, an independent auditor."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN_S = 420


@pytest.mark.e2e
def test_the_demo_is_ok_and_leaves_what_it_was_told_to_keep(tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    command = [sys.executable, "-m", "cli.main", "demo", "--json", "--keep", str(keep)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] is True
    assert answer["counts"] == {"paid": 5, "zero": 1, "declined": 1, "in_review": 1, "refused": 4}
    founding = answer["episodes"][0]
    assert (founding["decision"], founding["amount_fen"], founding["human_steps"]) == ("approved", 200_403, 0)
    assert founding["dossier_verified"] is True
    assert founding["authorise_ms"] > 0
    assert {item["name"] for item in answer["validators"] if item["killed"] and item["recovered"]} == {"tpa"}
    assert len({item["state_root"] for item in answer["validators"]}) == 1
    _check_a_changed_dossier_fails(keep)
    _check_no_patient_in_logs(keep)


def _check_a_changed_dossier_fails(keep: Path) -> None:
    genesis = keep / "net" / "genesis.json"
    dossier = keep / "dossiers" / "E001-insurer.dossier"
    data = dossier.read_bytes()
    assert data.count(b'"net_fen":200403') >= 1
    dossier.write_bytes(data.replace(b'"net_fen":200403', b'"net_fen":200404'))
    command = [sys.executable, "-m", "cli.main", "audit", "verify", str(dossier), "--trust", str(genesis)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 1


def _check_no_patient_in_logs(keep: Path) -> None:
    for log in keep.glob("net/*/data/node.log"):
        text = log.read_text(encoding="utf-8")
        assert "王女士" not in text
        assert "N84.000" not in text
