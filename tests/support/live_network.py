"""A real network inside one process: every node with its own folder, database, vault, TLS sockets and HTTP port.

For tests that must look at what crosses a node's edges. Ports are those that `network init` found free.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from cli.network_config import load_network_config
from cli.network_setup import create_network
from node.assembly import Assembly, assembled

DEMO_CONFIG = Path(__file__).resolve().parents[2] / "network-config" / "demo" / "network.toml"
READY_S = 60.0


@dataclass
class LiveNetwork:
    """Running nodes by participant, and every frame that crossed a node's edges before TLS."""

    folder: Path
    genesis: bytes
    nodes: dict[str, Assembly] = field(default_factory=dict)
    frames: dict[str, list[bytes]] = field(default_factory=dict)

    def record(self, name: str, *parts: bytes) -> None:
        """Keep what crossed the edge of `name`."""
        self.frames.setdefault(name, []).extend(parts)

    async def until(self, condition: Any, timeout_s: float = READY_S) -> None:
        """Wait for a condition that final blocks or parcels bring about; looks again after each block."""
        async with asyncio.timeout(timeout_s):
            blocks = next(iter(self.nodes.values())).node.chain.subscribe()
            while not condition():
                waiter = asyncio.ensure_future(anext(blocks))
                await asyncio.wait({waiter}, timeout=0.2)
                waiter.cancel()


def node_folders(folder: Path) -> list[Path]:
    """The folder of every node."""
    return sorted(item for item in folder.iterdir() if item.is_dir())


@asynccontextmanager
async def live_network(folder: Path, *, base_ms: int | None = None) -> AsyncIterator[LiveNetwork]:
    """Start the demonstration network below `folder`, with recorders at every edge."""
    genesis = create_network(load_network_config(DEMO_CONFIG), folder, base_ms=base_ms)
    network = LiveNetwork(folder, genesis)
    log = structlog.get_logger()
    async with AsyncExitStack() as stack:
        for path in node_folders(folder):
            running = await stack.enter_async_context(assembled(path, log=log))
            name = path.name
            network.nodes[name] = running
            running.peers.add_observer(lambda _way, _peer, data, name=name: network.record(name, data))
            running.api.observers.append(
                lambda exchange, name=name: network.record(
                    name, exchange.path.encode(), exchange.request, exchange.response
                )
            )
        yield network
