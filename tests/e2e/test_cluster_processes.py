"""Four node processes on loopback: killed without warning, restarted, all at once, and stopped in order."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.support.cluster import ROLES, sign_policy
from tests.support.databases import POSTGRESQL, SQLITE, end_sessions, new_schema, new_server_database, run_sql
from tests.support.processes import ProcessCluster, running
from tests.support.waiting import wait_until

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
    wait_until(
        lambda: height(cluster, name) >= wanted,
        WAIT_S,
        lambda: f"{name} stays at {height(cluster, name)}, wanted {wanted}",
    )


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def stores(request: pytest.FixtureRequest) -> Iterator[dict[str, str] | None]:
    """A store for each of four nodes; None for the file that they have by default."""
    if request.param == SQLITE:
        yield None
        return
    with contextlib.ExitStack() as stack:
        names = [f"{role}-{place}" for place, role in enumerate(ROLES)]
        yield {name: stack.enter_context(new_schema()) for name in names}


def test_kill_one_restart_it_kill_all_restart_them(tmp_path: Path, stores: dict[str, str] | None) -> None:
    """P2 O3: real processes, signal 9; on either database."""
    with running(tmp_path, validators=4, stores=stores) as cluster:
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


def test_a_database_server_that_ends_all_sessions(tmp_path: Path) -> None:
    """P5: the databases of all nodes go away at once, again and again; nothing stops, nothing is lost or done twice."""
    with new_server_database() as server:
        stores = {}
        for place, role in enumerate(ROLES):
            run_sql(server, f"CREATE SCHEMA node_{place}")
            made = make_url(server).update_query_dict({"options": f"-csearch_path=node_{place}"})
            stores[f"{role}-{place}"] = made.render_as_string(False)
        with running(tmp_path, validators=4, stores=stores) as cluster:
            cluster.until_ready()
            reached = commit(cluster, "hospital-0")
            for _ in range(4):
                end_sessions(server)
                reached = commit(cluster, "hospital-0")
            for name in cluster.network.names:
                until_height(cluster, name, reached)
                assert cluster.nodes[name].process.poll() is None
            cluster.until_ready()
            blocks = [cluster.request(name, "GET", f"/v1/blocks/{reached}")[1] for name in cluster.nodes]
            assert len({block["header_hash"] for block in blocks}) == 1
