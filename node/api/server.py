"""Serving the interface: uvicorn inside the node's own event loop, on its own port.

Knows sockets and bounds. Must not know routes. Always true: the port is open before `serving` yields, signals are
the node's business and not the server's, and stopping waits for answers that are under way.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from node.errors import Unavailable

BACKLOG: Final = 512
MAX_CONCURRENCY: Final = 1_000
"""Connections and requests at the same time; beyond it uvicorn answers 503."""
KEEP_ALIVE_S: Final = 30
STOP_S: Final = 5
"""Answers under way get this long when the node stops; streams of events are cut."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers (the node decides when to stop), and with a word when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int) -> AsyncIterator[int]:
    """Serve `app` while the context lasts; gives the port (the real one when 0 was asked for).

    Raises Unavailable `api_port` when the port cannot be taken.
    """
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        limit_concurrency=MAX_CONCURRENCY,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve([listener]), name="api server")
    listening = asyncio.create_task(server.listening.wait())
    port = int(listener.getsockname()[1])
    try:
        await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield port
    finally:
        listening.cancel()
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Unavailable("api_port", f"{host}:{port} cannot be opened ({error.strerror}); set another one") from None
    return listener
