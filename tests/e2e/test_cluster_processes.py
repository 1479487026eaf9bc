"""Four node processes on loopback: killed without warning, restarted, all at once, and stopped in order."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.cluster import sign_policy
from tests.support.processes import ProcessCluster, running

pytestmark = pytest.mark.e2e
WAIT_S = 30


def commit(cluster: ProcessCluster, at: str) -> int:
    """A transaction submitted at a node becomes final there; gives its height."""
    signed = sign_policy(
        cluster.network.identities["insurer-1"], "tpa-3", expires_ms=time.time_ns() // 1_000_000 + 3_600_000
    )
    status, answer = cluster.request(at, "POST", f"/v1/transactions?wait={WAIT_S}", signed.encoded)
    assert status == 200, answer
    assert answer["receipt"]["code"] == "ok", answer
    return int(answer["height"])


def height(cluster: ProcessCluster, name: str) -> int:
    return int(cluster.request(name, "GET", "/v1/status")[1]["height"])


def until_height(cluster: ProcessCluster, name: str, wanted: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while height(cluster, name) < wanted:
        assert time.monotonic() < deadline, f"{name} stays at {height(cluster, name)}, wanted {wanted}"
        time.sleep(0.05)  # another process commits: nothing here can be awaited, the deadline bounds it


def test_kill_one_restart_it_kill_all_restart_them(tmp_path: Path) -> None:
    """P2 O3: real processes, signal 9."""
    with running(tmp_path, validators=4) as cluster:
        cluster.until_ready()
        commit(cluster, "hospital-0")
        cluster.nodes["tpa-3"].kill()
        for _ in range(3):
            reached = commit(cluster, "hospital-0")
        cluster.start("tpa-3")
        cluster.until_ready("tpa-3")
        until_height(cluster, "tpa-3", reached)

        for node in cluster.nodes.values():
            node.kill()
        cluster.start()
        cluster.until_ready()
        assert commit(cluster, "tpa-3") > reached
        blocks = [cluster.request(name, "GET", f"/v1/blocks/{reached}")[1] for name in cluster.nodes]
        assert len({block["header_hash"] for block in blocks}) == 1

        folder = tmp_path / "hospital-0"
        second = subprocess.run(
            [sys.executable, "-m", "node.main", str(folder)],
            cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode != 0
        assert "another process runs this node" in second.stderr
        assert [node.terminate() for node in cluster.nodes.values()] == [0, 0, 0, 0]
        for name in cluster.network.names:
            assert "Traceback" not in cluster.nodes[name].log.read_text()


def test_a_paused_node_and_a_rolling_restart(tmp_path: Path) -> None:
    """P10 O3: a node that stands still is skipped and catches up; orderly restarts one after the other lose nothing."""
    with running(tmp_path, validators=4) as cluster:
        cluster.until_ready()
        commit(cluster, "hospital-0")
        paused = cluster.nodes["tpa-3"].process
        paused.send_signal(signal.SIGSTOP)
        for _ in range(5):
            reached = commit(cluster, "hospital-0")
        paused.send_signal(signal.SIGCONT)
        until_height(cluster, "tpa-3", reached)

        for name in cluster.network.names:
            assert cluster.nodes[name].terminate() == 0
            other = next(item for item in cluster.network.names if item != name)
            reached = commit(cluster, other)
            cluster.start(name)
            cluster.until_ready(name)
            until_height(cluster, name, reached)
        blocks = [cluster.request(name, "GET", f"/v1/blocks/{reached}")[1] for name in cluster.nodes]
        assert len({block["header_hash"] for block in blocks}) == 1
