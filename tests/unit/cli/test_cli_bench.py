"""`claimnode bench network`: its options, and the names that scripts read."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from cli import bench_network
from cli.bench import bench
from cli.bench_network import Result
from cli.main import claimnode

KEYS = {
    "tx_per_s",
    "records_per_s",
    "submit_to_final_ms",
    "ed25519_per_s",
    "share_of_ed25519",
    "cpu_s_per_1000_tx",
    "bytes_per_tx",
    "fsync_ms",
    "fsyncs_per_block",
    "longest_gap_ms",
    "p99_after_gap_ms",
    "blocks_per_s",
    "tx_per_block",
    "nodes",
    "orderer",
    "rate",
}


class PlayedRun:
    """Stands for a finished run of four nodes."""

    processes = (None,) * 4
    rate = 500.0
    is_exhausted = False


def played_figures(**changes: Any) -> bench_network.Figures:
    values: dict[str, Any] = {
        "committed": 10_000,
        "seconds": 20.0,
        "latencies_ms": [float(n) for n in range(1, 101)],
        "longest_gap_ms": 123.456,
        "after_gap_ms": [float(n) for n in range(1, 51)],
        "cpu_s": 11.0,
        "blocks": 200,
        "all_final": 11_000,
        "unfinished": 0,
        "missed": 0,
        "refused": {},
    }
    return bench_network.Figures(**values | changes)


DISK = {"bytes": 33_000_000, "fsync_ms": {"p50": 0.3, "p99": 4.0}, "fsyncs_per_block": 4.0}


def test_the_figures_have_their_stable_names_and_no_others() -> None:
    result = bench_network._result(played_figures(), PlayedRun(), 26_000.0, DISK, "builtin")  # type: ignore[arg-type]
    assert set(result.figures) == KEYS
    assert result.figures["tx_per_s"] == result.figures["records_per_s"] == 500.0
    assert result.figures["submit_to_final_ms"] == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert result.figures["share_of_ed25519"] == round(500 / (26_000 / 4), 3)
    assert result.figures["cpu_s_per_1000_tx"] == 1.1
    assert result.figures["bytes_per_tx"] == 3_000
    assert (result.figures["longest_gap_ms"], result.figures["p99_after_gap_ms"]) == (123.5, 50.0)
    assert (result.figures["blocks_per_s"], result.figures["tx_per_block"]) == (10.0, 50.0)
    assert (result.figures["nodes"], result.figures["orderer"], result.figures["rate"]) == (4, "builtin", 500.0)
    assert result.notes == ()


def test_what_spoils_a_run_is_said() -> None:
    found = played_figures(unfinished=3, missed=5, refused={"overloaded": 7}, committed=0, latencies_ms=[])
    result = bench_network._result(found, PlayedRun(), 26_000.0, DISK, "builtin")  # type: ignore[arg-type]
    assert set(result.figures) == KEYS
    assert len(result.notes) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "0"],
        ["--rate", "fast"],
        ["--nodes", "3"],
        ["--kill", "two"],
        ["--slow", "two"],
        ["--slow", "one", "--kill", "one"],
    ],
)
def test_wrong_use(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        claimnode.main(["bench", "network", *arguments])
    assert ended.value.code == 2


def test_json_is_one_document_and_remarks_go_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def measure(**options: Any) -> Result:
        asked.update(options)
        return Result({"tx_per_s": 1.5, "fsync_ms": {"p50": 0.2, "p99": 1}}, ("a remark",))

    monkeypatch.setattr(bench_network, "measure_network", measure)
    done = CliRunner().invoke(bench, ["network", "--rate", "max", "--kill", "one", "--json"])
    assert json.loads(done.stdout) == {"tx_per_s": 1.5, "fsync_ms": {"p50": 0.2, "p99": 1}}
    assert done.stderr == "a remark\n"
    assert asked == {"nodes": 4, "seconds": 20, "rate": None, "kill": True, "slow": False, "orderer": "builtin"}
    shown = CliRunner().invoke(bench, ["network"])
    assert "p50 0.2" in shown.stdout
