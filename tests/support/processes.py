"""A cluster of real node processes on loopback: started, killed, restarted, spoken to over HTTP.

Ports are fixed when the network is made, so that a restarted node is found again.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.api.tokens import ALL_SCOPES, create_token
from tests.support.cluster import TestNetwork, build_network

START_S = 60.0


@dataclass
class RunningNode:
    """One process and where it listens."""

    process: "subprocess.Popen[str]"
    api: str
    log: Path

    def kill(self) -> None:
        """SIGKILL: what is not on the disk is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


class ProcessCluster:
    """Nodes of a network as processes."""

    def __init__(
        self,
        root: Path,
        *,
        validators: int = 4,
        observers: int = 0,
        ordering: str = "",
        peers: str = "",
        path: Callable[[str, str, int], int] | None = None,
        stores: Mapping[str, str] | None = None,
    ) -> None:
        """`ordering`, `peers`: lines for these sections of every node.toml. `stores`: name -> URL of its store, which
        is put into a file as a password would be. `path`: (who dials, who is dialled, its
        port) -> the port to dial instead."""
        self.network: TestNetwork = build_network(root, validators=validators, observers=observers, listen=True)
        self.nodes: dict[str, RunningNode] = {}
        self._tokens: dict[str, str] = {}
        self.modules: dict[str, str] = {}
        """Members whose process is another program than `node.main`."""
        for name in self.network.names:
            folder = root / name
            (folder / "genesis.json").write_bytes(self.network.genesis)
            port = self.network.ports[name]
            (folder / "node.toml").write_text(
                f'participant = "{name}"\n[peers]\nlisten_port = {port}\n{peers}\n[peers.addresses]\n'
                f"{self._addresses(name, path)}\n[ordering]\n{ordering}\n"
                f"{self._store(folder, stores)}",
                encoding="utf-8",
            )
            (folder / "data").mkdir(mode=0o700, exist_ok=True)
            create_token(folder, name="operator", scopes=ALL_SCOPES, out=folder / "keys" / "operator.token")
            self._tokens[name] = (folder / "keys" / "operator.token").read_text().strip()

    def _store(self, folder: Path, stores: Mapping[str, str] | None) -> str:
        if stores is None:
            return ""
        path = folder / "keys" / "store.url"
        path.touch(mode=0o600)
        path.write_text(stores[folder.name], encoding="utf-8")
        return '[store]\nurl_file = "keys/store.url"\n'

    def _addresses(self, name: str, path: Callable[[str, str, int], int] | None) -> str:
        dialled = [] if path is None else [other for other in self.network.names if name < other]
        ports = self.network.ports
        return "\n".join(f'{other} = "127.0.0.1:{path(name, other, ports[other])}"' for other in dialled if path)

    def start(self, *names: str) -> None:
        """Start nodes and wait until each of them listens."""
        chosen = names or tuple(self.network.names)
        started = {name: self._spawn(name) for name in chosen}
        for name, (process, log) in started.items():
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise AssertionError(f"{name} did not start:\n{log.read_text()[-4000:]}")
            ready = json.loads(line)
            self.nodes[name] = RunningNode(process, ready["api"], log)

    def stop(self) -> None:
        for node in self.nodes.values():
            if node.process.poll() is None:
                node.process.send_signal(signal.SIGTERM)
        for node in self.nodes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.process.wait(15)
            if node.process.poll() is None:
                node.kill()

    def request(
        self, name: str, method: str, path: str, body: bytes | None = None, timeout_s: float = 30
    ) -> tuple[int, Any]:
        """One HTTP request as the operator of that node; (status, JSON)."""
        request = urllib.request.Request(self.nodes[name].api + path, data=body, method=method)
        request.add_header("Authorization", f"Bearer {self._tokens[name]}")
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def token(self, name: str) -> str:
        return self._tokens[name]

    def until_ready(self, *names: str, timeout_s: float = 30.0) -> None:
        """Wait until the nodes report ready."""
        deadline = time.monotonic() + timeout_s
        for name in names or tuple(self.nodes):
            while self.request(name, "GET", "/readyz")[0] != 200:
                if time.monotonic() > deadline:
                    raise AssertionError(f"{name} is not ready:\n{self.nodes[name].log.read_text()[-4000:]}")
                time.sleep(0.05)  # another process starts: nothing here can be awaited, the deadline bounds it

    def _spawn(self, name: str) -> "tuple[subprocess.Popen[str], Path]":
        folder = self.network.root / name
        log = folder / "log.jsonl"
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", self.modules.get(name, "node.main"), str(folder)],
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                cwd=Path(__file__).parents[2],
                env=_environment(),
            )
        return process, log


def _environment() -> dict[str, str]:
    """Where a developer's machine writes no byte code, every start would compile all libraries anew."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "claimnode-test-bytecode")}


@contextlib.contextmanager
def running(root: Path, **options: Any) -> Iterator[ProcessCluster]:
    """A started cluster; stopped at the end whatever happens."""
    cluster = ProcessCluster(root, **options)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
