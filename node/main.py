"""The process of one node: from its folder to a running node, and to an orderly end.

Knows signals, the event loop and the folder's lock; must not know what a node does. Must always hold: one folder
has one process; the ready line is printed once everything listens; SIGTERM ends the node in order; a failed
fsync ends the process at once, because after it nothing that this process believes about its disk is certain.
"""

import asyncio
import fcntl
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger.errors import StoreError
from node.assembly import Assembly, assembled
from node.config import load_config
from node.errors import ConfigError
from node.logging import configure_logging
from node.ordering.journalfile import JournalFailed

EXIT_DISK = 3
"""The exit code after a failed fsync: the same as for a failed network, and a supervisor may restart the node."""
SWITCH_INTERVAL_S = 0.001
"""A thread that comes back from the disk waits this long for a busy event loop, not the usual 5 ms."""
LOCK = "lock"


def run_node(folder: Path) -> None:
    """Run the node of `folder` until SIGTERM or SIGINT.

    Prints {"ready": true, "api": URL, "peer": "host:port"} on standard output when it listens. Raises ConfigError,
    KeyFileError, StoreError, GenesisError, NodeError: nothing was started, or it was stopped in order.
    """
    config = load_config(folder)
    log = configure_logging(config.log, config.participant)
    with locked_folder(folder), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(folder, config.participant, log))


async def _serve(folder: Path, participant: str, log: Any) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with assembled(folder, log=log) as assembly:
        settle_memory()
        _announce(assembly)
        waiting = [loop.create_task(stopping.wait()), loop.create_task(assembly.node.wait_failed())]
        done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        _end_if_disk_failed(done, participant)


def settle_memory() -> None:
    """What was loaded stays: keep the collector from walking through it with every block.

    State and maps are millions of long-lived objects; without this, collections cost more than execution.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 1_000)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def _announce(assembly: Assembly) -> None:
    print(json.dumps({"ready": True, "api": assembly.api_url, "peer": assembly.peer_address}), flush=True)  # noqa: T201


def _end_if_disk_failed(done: "Iterable[asyncio.Task[Any]]", participant: str) -> None:
    for task in done:
        error = task.exception()
        if isinstance(error, JournalFailed | StoreError):
            line = {"event": "disk_failed", "node": participant, "code": error.code, "detail": error.detail}
            sys.stderr.write(json.dumps(line) + "\n")
            sys.stderr.flush()
            os._exit(EXIT_DISK)
        if error is not None:
            raise error


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the folder. Two processes with one key would sign twice. Raises ConfigError `locked`."""
    data = folder / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    with open(data / LOCK, "wb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError("locked", [(str(data / LOCK), "another process runs this node")]) from None
        yield


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    run_node(Path(sys.argv[1]))
