"""What every request passes before and after its route: size, time, counting, and a place to look on.

Plain ASGI. Knows bytes, clocks of this process and status codes; must not know what a request means. Always
true: no body longer than MAX_BODY is read, no answer but a stream of events takes longer than MAX_SECONDS, and
an observer sees each request and each response whole, as they crossed the edge.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.api.problems import ApiError, has_code, problem_of
from node.errors import describe_fault

MAX_BODY: Final = 16 * 2**20
"""One batch of 1,000 transactions, or a record of a few hundred scanned pages."""
MAX_SECONDS: Final = 60.0
"""Longer than any wait a route offers (30 s); beyond it something is stuck."""
STREAMS: Final = frozenset({"/v1/events"})
"""Paths that answer for as long as the client listens."""

_log = structlog.get_logger("claimnode.api")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its response, as they crossed the edge, but for the token."""

    method: str
    path: str
    request: bytes
    status: int
    response: bytes


Observer: TypeAlias = Callable[[Exchange], None]
Counter: TypeAlias = Callable[[str, str, int, float], None]
"""(method, route template or "", status, seconds)."""


class Gate:
    """Middleware around the application."""

    def __init__(self, app: ASGIApp, *, observers: list[Observer], count: Counter) -> None:
        self._app = app
        self._observers = observers
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = _Passage(scope, receive, send, keep=bool(self._observers))
        started = time.monotonic()
        try:
            async with asyncio.timeout(None if scope["path"] in STREAMS else MAX_SECONDS):
                await self._app(scope, passage.receive, passage.send)
        except TimeoutError:
            await passage.fail(ApiError(504, "time_limit", f"no answer within {MAX_SECONDS:.0f} s; ask again"))
        except Exception as error:  # the edge of the process: whoever asked gets an answer, the log says where
            if not has_code(error):
                _log.error("request_failed", method=scope["method"], fault=describe_fault(error))
            await passage.fail(error)
        template = getattr(scope.get("route"), "path", "")
        self._count(scope["method"], template, passage.status, time.monotonic() - started)
        for observer in self._observers:
            observer(passage.exchange())


class _Passage:
    """The two directions of one exchange, with the limit on the first and, if asked, a copy of both."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, keep: bool) -> None:
        self._scope, self._receive, self._send, self._keep = scope, receive, send, keep
        self._read = 0
        self._request: list[bytes] = []
        self._response: list[bytes] = []
        self.status = 0
        if _declared_length(scope) > MAX_BODY:
            self._read = MAX_BODY + 1

    async def receive(self) -> Message:
        if self._read > MAX_BODY:
            raise ApiError(413, "too_large", f"a request holds at most {MAX_BODY} bytes")
        message = await self._receive()
        body = message.get("body", b"")
        self._read += len(body)
        if self._read > MAX_BODY:
            raise ApiError(413, "too_large", f"a request holds at most {MAX_BODY} bytes")
        if self._keep:
            self._request.append(body)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        if self._keep:
            self._response.append(_flatten(message))
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Answer with a problem, unless an answer has begun: then the connection just ends."""
        if self.status == 0:
            await problem_of(error)(self._scope, self.receive, self.send)

    def exchange(self) -> Exchange:
        shown = (item for item in self._scope["headers"] if item[0] != b"authorization")
        head = b"\n".join(name + b": " + value for name, value in shown)
        query: bytes = self._scope["query_string"]
        return Exchange(
            method=self._scope["method"],
            path=self._scope["path"],
            request=b"\n".join((query, head, b"".join(self._request))),
            status=self.status,
            response=b"".join(self._response),
        )


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _flatten(message: Any) -> bytes:
    if message["type"] == "http.response.start":
        return b"\n".join(name + b": " + value for name, value in message.get("headers", ())) + b"\n\n"
    body: bytes = message.get("body", b"")
    return body
