"""When this node makes a snapshot by itself: at heights that are multiples of `[snapshots] every`, in another process.

Knows heights and the process beside it; must not know what a snapshot holds. Must always hold: nothing here waits in
the way of a block, a vote or a commit; at most one process runs; a height that was missed stays missed, so that the
snapshots of two nodes at one height are the same; a fault ends one snapshot and never the node.
"""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any, Final, Literal

import node
from node.config import SnapshotsConfig
from node.snapshots.shelf import Shelf

LEAD_BLOCKS: Final = 50
"""The process is started so many blocks ahead (3 s at least): it takes a second to be ready."""
READY_S: Final = 120.0
"""To be ready on a machine that is busy; after it something is wrong."""
PIN_S: Final = 30.0
"""To hold its moment, or to say that the next block was faster."""
MAKE_S: Final = 6 * 3_600.0
"""To write it: far beyond ten million keys."""
STOP_S: Final = 10.0
MAX_LINE: Final = 200
_ROOT: Final = str(Path(node.__file__).parent.parent)
_BOOT: Final = "import sys; sys.path.insert(0, sys.argv.pop()); from node.snapshots.worker import main; main()"

Doing = Literal["off", "waiting", "starting", "ready", "making"]


class Failed(Exception):
    """This snapshot is not made; its argument is a code."""


class Schedule:
    """One node's snapshots. Used from one event loop."""

    def __init__(self, folder: Path, config: SnapshotsConfig, shelf: Shelf, log: Any, *, height: int) -> None:
        """`height`: the last final one. The process reads the node's folder itself: no URL is on a command line."""
        self._folder = folder
        self._config = config
        self._shelf = shelf
        self._log = log
        self._height = height
        self._news = asyncio.Event()
        self._target = 0
        self._process: asyncio.subprocess.Process | None = None
        self._doing: Doing = "off"
        self._last: str | None = None

    def status(self) -> dict[str, Any]:
        """`heights` kept here, what it is `doing`, and what the `last` one came to: `done`, `missed` or a code."""
        every, keep, heights = self._config.every, self._config.keep, self._shelf.heights()
        return {"every": every, "keep": keep, "heights": heights, "doing": self._doing, "last": self._last}

    def block_added(self, height: int) -> None:
        """A block is durable, and the next one is not. Never waits."""
        self._height = height
        if height == self._target and self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(f"{height} {self._config.keep}\n".encode())
            self._target = 0
            self._doing = "making"
        self._news.set()

    async def run(self) -> None:
        """Make snapshots for ever; return at once if none are wanted."""
        if not self._config.every:
            return
        await asyncio.to_thread(self._clear)
        while True:
            self._doing = "waiting"
            due = self._next()
            await self._reach(due - min(LEAD_BLOCKS, self._config.every - 1))
            try:
                self._last = await self._make()
            except Failed as error:
                self._last = str(error)
            except OSError:
                self._last = "no_process"
            self._log.info("snapshot", height=due, result=self._last)
            await self._reach(due)

    def _next(self) -> int:
        return (self._height // self._config.every + 1) * self._config.every

    def _clear(self) -> None:
        with contextlib.suppress(OSError):
            self._shelf.remove_broken()

    async def _reach(self, height: int) -> None:
        while self._height < height:
            self._news.clear()
            await self._news.wait()

    async def _make(self) -> str:
        self._doing = "starting"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", _BOOT, str(self._folder), _ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            limit=MAX_LINE,
        )  # fmt: skip
        try:
            await self._hear(process, "ready", READY_S)
            self._doing, self._process, self._target = "ready", process, self._next()
            await self._reach(self._target)
            await self._hear(process, "pinned", PIN_S)
            await self._hear(process, "done", MAKE_S)
            return "done"
        finally:
            self._process, self._target = None, 0
            await _end(process)

    async def _hear(self, process: asyncio.subprocess.Process, word: str, seconds: float) -> None:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = (await process.stdout.readline()).decode("ascii", "replace").strip()
        except (TimeoutError, ValueError):
            raise Failed("late") from None
        if line != word:
            raise Failed(line.removeprefix("refused ") or "ended")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Whatever state it is in: half a snapshot has no name yet."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_S):
            await process.wait()
