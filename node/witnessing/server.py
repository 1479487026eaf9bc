"""A witness on its port: `POST /add-checkpoint`, and nothing else but a sign of life.

Knows sockets, bounds and the clock; the witness decides. Must always hold: one folder has one process, and no request
is judged while another is.
"""

import asyncio
import fcntl
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.checkpoints import MAX_SUBMISSION_BYTES
from node.api.server import serving
from node.errors import ConfigError
from node.witnessing.witness import Answer, Witness

LOCK: Final = "lock"


def witness_app(witness: Witness, now_s: Callable[[], int]) -> ASGIApp:
    """The ASGI application of a witness."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _send(send, await _answer(scope, receive))

    async def _answer(scope: Scope, receive: Receive) -> Answer:
        if scope["path"] == "/healthz" and scope["method"] in ("GET", "HEAD"):
            return Answer(200, b"alive\n")
        if scope["path"] != "/add-checkpoint":
            return Answer(404, b"not_found\n")
        if scope["method"] != "POST":
            return Answer(405, b"method_not_allowed\n")
        body = await _read(receive)
        if body is None:
            return Answer(413, b"too_large\n")
        try:
            return witness.add_checkpoint(body, now_s())
        except OSError:
            return Answer(500, b"disk: nothing was signed\n")

    return app


def run_witness(folder: Path, host: str, port: int, say: Callable[[str, Any], None]) -> None:
    """Run the witness of `folder` until SIGTERM or SIGINT; `say` is told its address once it listens.

    Raises ConfigError, KeyFileError, DecodeError, Unavailable `api_port`.
    """
    with _locked(folder):
        witness = Witness(folder)
        asyncio.run(_serve(witness, host, port, say))


async def _serve(witness: Witness, host: str, port: int, say: Callable[[str, Any], None]) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with serving(witness_app(witness, lambda: int(time.time())), host, port) as taken:
        say(f"http://{f'[{host}]' if ':' in host else host}:{taken}", witness)
        await stopping.wait()


async def _read(receive: Receive) -> bytes | None:
    parts, size = list[bytes](), 0
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > MAX_SUBMISSION_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _send(send: Send, answer: Answer) -> None:
    headers = [(b"content-type", answer.content_type.encode()), (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder: two processes could sign two histories. Raises ConfigError `locked`, `witness`."""
    if not folder.is_dir():
        raise ConfigError("witness", [(str(folder), "no such folder; claimnode witness init makes it")])
    with open(folder / LOCK, "wb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError("locked", [(str(folder / LOCK), "another process runs this witness")]) from None
        yield
