"""Disks of real processes that fail, dawdle and fill: what the node says, how it ends, how it comes back."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from node.main import EXIT_DISK
from tests.support.cluster import sign_policy
from tests.support.failing_disk import FAULT
from tests.support.processes import ProcessCluster
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e
WAIT_S = 30
VICTIM = "tpa-3"
ROOT = Path(__file__).parents[2]


def commit(cluster: ProcessCluster, at: str) -> int:
    """A transaction submitted at a node becomes final there; gives its height."""
    expires = time.time_ns() // 1_000_000 + 3_600_000
    signed = sign_policy(cluster.network.identities["insurer-1"], VICTIM, expires_ms=expires)
    status, answer = cluster.request(at, "POST", f"/v1/transactions?wait={WAIT_S}", signed.encoded)
    assert status == 200, answer
    return int(answer["height"])


def until(cluster: ProcessCluster, name: str, holds: Callable[[dict[str, Any]], bool]) -> None:
    """Return when a node's status is as `holds` wants it."""
    wait_until(
        lambda: holds(cluster.request(name, "GET", "/v1/status")[1]), WAIT_S, lambda: f"{name} does not come to that"
    )


def test_a_failing_fsync_ends_the_process_and_a_slow_one_slows_its_node_alone(tmp_path: Path) -> None:
    """P9, P8: while each fsync of one validator takes five seconds the others commit at their own pace; when one fails,
    that process ends with the exit code of the disk and one plain line, and a restart votes again."""
    cluster = ProcessCluster(tmp_path)
    cluster.modules[VICTIM] = "tests.support.failing_disk"
    with ExitStack() as stack:
        stack.callback(cluster.stop)
        cluster.start()
        cluster.until_ready()
        commit(cluster, "hospital-0")
        fault = tmp_path / VICTIM / FAULT
        fault.write_text("slow 5")
        started = time.monotonic()
        for _ in range(5):
            slow = commit(cluster, "hospital-0")
        assert time.monotonic() - started < 4 * 5, "five blocks in less than one fsync of each would take"
        fault.unlink()
        until(cluster, VICTIM, lambda status: int(status["height"]) >= slow)

        fault.write_text("fail")
        commit(cluster, "hospital-0")
        victim = cluster.nodes[VICTIM]
        assert victim.process.wait(WAIT_S) == EXIT_DISK
        last = json.loads(victim.log.read_text().splitlines()[-1])
        assert last["event"] == "disk_failed"
        assert last["code"] in ("fsync", "database")
        assert "Traceback" not in victim.log.read_text()
        reached = commit(cluster, "insurer-1")

        fault.unlink()
        cluster.start(VICTIM)
        cluster.until_ready(VICTIM)
        until(cluster, VICTIM, lambda status: int(status["height"]) >= reached and status["voting"])


def test_a_real_disk_that_is_full(tmp_path: Path) -> None:
    """P7: a validator on a file system of 1.5 MB, filled to the last byte and to a few pages before it: whichever of
    journal, guard and store meets the end, it waits without voting and goes on when there is room, also after a
    restart."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system of his own (unshare -rm)")
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-m", "tests.support.small_disk", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4_000:]
    scenes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert scenes[-1] == {"restarted": True}
    assert [scene["free"] for scene in scenes[:-1]] == [0, 4_096, 12_288, 24_576, 49_152]
    for scene in scenes[:-1]:
        assert scene["waited"] == scene["not_voting"] == "no_space"
        assert "disk_full" in scene["reasons"]
        assert scene["resumed"]
    assert {"journal", "database"} == {
        "journal" if "journal" in line else "database" for line in done.stdout.splitlines() if "disk_waits" in line
    }
