"""`bench proofs` on a small ledger: the keys that scripts rely on, and proofs within their size."""

import json

import pytest
from click.testing import CliRunner

from cli.bench import bench

KEYS = {
    "records", "build_s", "peak_rss_mb", "inclusion", "absence", "restart_s", "state_map_us_per_tx", "disk_mb", "join",
}  # fmt: skip


@pytest.mark.e2e
def test_a_small_ledger_is_built_restarted_and_proved() -> None:
    done = CliRunner().invoke(bench, ["proofs", "--records", "1200", "--join", "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert set(figures) == KEYS
    assert figures["records"] == 1200
    assert set(figures["join"]) == {"snapshot_s", "join_s", "mb"}
    assert figures["join"]["mb"] >= 1
    for kind in ("inclusion", "absence"):
        assert set(figures[kind]) == {"bytes", "prove_ms", "verify_ms"}
        assert 500 < figures[kind]["bytes"] < 1500
