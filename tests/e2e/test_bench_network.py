"""One short run of the bench, with a validator killed in it: figures come out and nothing is left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e


def test_a_run_through_the_death_of_a_validator(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "bench", "network", "--seconds", "4", "--rate", "50", "--kill", "one"]
    done = subprocess.run(
        [*command, "--json"], capture_output=True, timeout=180, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert done.returncode == 0, done.stderr.decode()
    figures = json.loads(done.stdout)
    assert (figures["nodes"], figures["orderer"], figures["rate"]) == (4, "builtin", 50.0)
    assert figures["tx_per_s"] > 0
    assert figures["ed25519_per_s"] > 0
    assert figures["bytes_per_tx"] > 0
    assert figures["fsyncs_per_block"] > 0
    assert 0 < figures["submit_to_final_ms"]["p50"] <= figures["submit_to_final_ms"]["p99"]
    assert not list(tmp_path.iterdir())
