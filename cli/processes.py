"""The nodes of one network as child processes of this one.

Knows process ids, ready lines and log files. Must not know blocks or claims. Always true: only processes that were
started here are ended here, by their id; a node that stops by itself is reported and not started again; and no child
outlives the context that started it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cli.client import NodeClient
from cli.errors import NetworkFailure
from cli.node_options import open_client

READY_S: Final = 60.0
"""Five nodes that start at once on two slow cores are ready well before."""
STOP_S: Final = 10.0
"""A node closes its store within a second; after this it is killed."""
POLL_S: Final = 0.1
LOG_TAIL: Final = 400
"""Characters of the log that an error repeats; log lines hold codes, never documents."""


class NodeProcess:
    """One node: its folder, its log, and at most one running process."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.folder = folder
        self.log = folder / "data" / "node.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> NodeClient:
        """The operator's client of this node."""
        return open_client(str(self.folder))

    @property
    def pid(self) -> int:
        """Id of the process; 0 before it was started."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process; it lives in a session of its own, so that Ctrl-C reaches only the one who asked."""
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        command = [sys.executable, "-m", "cli.main", "node", "run", str(self.folder)]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL: what a power cut does to a process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask_to_stop(self) -> None:
        """SIGTERM: finish what is under way and end."""
        if self._process is not None and self.is_running():
            self._process.send_signal(signal.SIGTERM)

    def wait_stopped(self, deadline: float) -> None:
        """Wait until `deadline` (monotonic seconds), then kill."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()

    def exit_code(self) -> int | None:
        """How the process ended, None while it runs."""
        return None if self._process is None else self._process.poll()

    def last_words(self) -> str:
        """The end of its log."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][-LOG_TAIL:] if lines else ""


def find_nodes(folder: Path) -> list[NodeProcess]:
    """The nodes of a network's folder, by name."""
    return [NodeProcess(path.parent) for path in sorted(folder.glob("*/node.toml"))]


@contextmanager
def running(nodes: list[NodeProcess]) -> Iterator[list[NodeProcess]]:
    """Start all nodes, wait until each is ready, and end them together."""
    try:
        for item in nodes:
            item.start()
        wait_ready(nodes)
        yield nodes
    finally:
        stop(nodes)


def wait_ready(nodes: list[NodeProcess], *, timeout_s: float = READY_S) -> None:
    """Return once every node is ready. Raises NetworkFailure `stopped`, `not_ready`, naming the node."""
    deadline = time.monotonic() + timeout_s
    waiting = list(nodes)
    while waiting:
        waiting = [item for item in waiting if not item.client.is_ready()]
        for item in waiting:
            if not item.is_running():
                raise NetworkFailure("stopped", f"node {item.name} ended ({item.exit_code()}): {item.last_words()}")
        if waiting and time.monotonic() > deadline:
            names = ", ".join(item.name for item in waiting)
            raise NetworkFailure("not_ready", f"not ready after {timeout_s:.0f} s: {names}; see {waiting[0].log}")
        if waiting:
            time.sleep(POLL_S)


def stop(nodes: list[NodeProcess]) -> None:
    """End every node that runs."""
    for item in nodes:
        item.ask_to_stop()
    deadline = time.monotonic() + STOP_S
    for item in nodes:
        item.wait_stopped(deadline)


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that children are ended too."""

    def raise_interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if os.name == "posix":
        signal.signal(signal.SIGTERM, raise_interrupt)
