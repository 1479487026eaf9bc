"""One link: a WebSocket to a peer whose key TLS has proved, from hello to its end.

Reads frames and hands them on, writes what the outbox holds, matches answers to requests. Must not know who
dialled, nor what payloads mean. Must always hold: whatever the peer sends or omits ends this link at worst;
it never raises out of `run`, never grows a queue without bound and never delays another link.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import aiohttp
import structlog
from aiohttp import WSMsgType, web

from contracts.errors import ContractError
from ledger.errors import LedgerError
from node.errors import NodeError
from node.peers.budget import Budget
from node.peers.errors import REFUSALS, PeerError
from node.peers.frames import (
    HEAD_BYTES,
    MAX_CODE,
    MAX_REQUEST_ID,
    Frame,
    Kind,
    Lane,
    decode_frame,
    encode_answer,
    encode_message,
    encode_refusal,
    encode_request,
    is_code,
)
from node.peers.hello import build_hello, check_hello
from node.peers.limits import PeerLimits
from node.peers.outbox import Outbox

WebSocket: TypeAlias = aiohttp.ClientWebSocketResponse | web.WebSocketResponse  # type: ignore[type-arg,unused-ignore]
Handler: TypeAlias = Callable[[str, bytes], Awaitable[bytes]]
"""(peer_id, payload) -> answer. Raises PeerError or LedgerError to answer with its code."""
Receiver: TypeAlias = Callable[[str, bytes], None]
"""(peer_id, payload). Synchronous and quick: it queues or steps, it does not wait."""
Observer: TypeAlias = Callable[[Literal["in", "out"], str, bytes], None]
"""(direction, peer_id, frame): every frame in clear, just before TLS encrypts it or after TLS opened it."""

CLOSE_CODE: Final = 4000
"""Private use (RFC 6455 section 7.4.2); the reason text carries our code."""
CLOSE_TIMEOUT_S: Final = 1.0
"""How long the closing handshake may take; the other end's manners are not waited for."""


@dataclass(slots=True)
class Services:
    """What all links of a node share: whom to hand frames to, and the bounds."""

    limits: PeerLimits
    handlers: dict[str, Handler] = field(default_factory=dict)
    receivers: dict[Lane, Receiver] = field(default_factory=dict)
    observers: list[Observer] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    budgets: dict[str, Budget] = field(default_factory=dict)
    """By identity, members only: what it may send is the same however often it connects."""
    blame: Callable[[str, str], None] = lambda _peer, _code: None
    """(peer, code): it sent what no correct node sends, or too much."""
    log: structlog.stdlib.BoundLogger = field(default_factory=lambda: structlog.get_logger("peers"))

    def count(self, name: str, units: int = 1) -> None:
        """Add to a counter of `Peers.stats`; the names are a fixed set in this package."""
        self.counts[name] = self.counts.get(name, 0) + units

    def budget(self, peer: str, now: float) -> Budget:
        """The budget of a member."""
        found = self.budgets.get(peer)
        if found is None:
            found = self.budgets[peer] = Budget(self.limits, now)
        return found


class Link:
    """Made by either end after TLS; `greet` first, then `run` until it ends."""

    def __init__(self, peer: str, socket: WebSocket, services: Services, abort: Callable[[], None]) -> None:
        self.peer = peer
        self._socket = socket
        self._services = services
        self._abort = abort
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(services.limits)
        self._wake = asyncio.Event()
        self._end: asyncio.Future[str] = self._loop.create_future()
        self._pending: dict[int, asyncio.Future[bytes]] = {}
        self._last_id = 0
        self._serving: set[asyncio.Task[None]] = set()
        self._served = 0
        self._dropped = 0
        self._sending_since: float | None = None
        self._budget = services.budget(peer, self._loop.time())
        self.narrow = False
        """Votes alone are taken, and few: the peer is banned and cannot be spared."""

    async def greet(self, chain: bytes, me: str) -> None:
        """Exchange hellos. Raises PeerError with the code of the refusal; the caller ends the socket."""
        await self._write_frame(build_hello(chain, me))
        try:
            async with asyncio.timeout(self._services.limits.hello_timeout_s):
                data = await self._read_frame()
        except TimeoutError:
            raise PeerError("hello_timeout", f"no hello from {self.peer}") from None
        try:
            check_hello(data, chain, self.peer)
        except PeerError as error:
            self._services.blame(self.peer, error.code)
            raise

    async def run(self) -> str:
        """Carry frames until either end is done; return the code of the reason. The caller then calls `shut`."""
        tasks = [self._loop.create_task(self._read()), self._loop.create_task(self._write())]
        watched: list[asyncio.Future[Any]] = [*tasks, self._end]
        try:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in [*tasks, *self._serving]:
                task.cancel()
            self._fail_pending()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return self._reason(results)

    async def shut(self, reason: str) -> None:
        """Send a close frame with `reason` if the peer still takes it, then drop the connection."""
        try:
            async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                await self._socket.close(code=CLOSE_CODE, message=reason.encode("ascii"))
        except (TimeoutError, OSError, aiohttp.ClientError):
            pass
        finally:
            with suppress(AttributeError):  # CPython before 3.11.5: a TLS transport closed twice has no protocol left
                self._abort()

    def end(self, reason: str) -> None:
        """Ask the link to end. Returns at once."""
        if not self._end.done():
            self._end.set_result(reason)

    def send(self, lane: Lane, payload: bytes) -> None:
        """Queue a message. Raises PeerError `too_large`: that is a fault of this node."""
        self._check_size(len(payload))
        if dropped := self._outbox.push_message(lane, encode_message(lane, payload)):
            self._services.count(f"dropped_{lane.name.lower()}", dropped)
            if lane is Lane.CONSENSUS:
                self._note_drops(dropped)
        self._wake.set()

    async def request(self, method: str, payload: bytes, timeout_s: float) -> bytes:
        """The answer to one request. Raises PeerError."""
        self._check_size(len(payload) + len(method))
        if len(self._pending) >= self._services.limits.pending_requests:
            raise PeerError("busy", f"{len(self._pending)} requests are under way at {self.peer}")
        self._last_id = request_id = self._last_id % MAX_REQUEST_ID + 1
        if not self._outbox.push_call(encode_request(request_id, method, payload)):
            raise PeerError("busy", f"the queue to {self.peer} is full")
        self._wake.set()
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._pending[request_id] = answer
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise PeerError("timeout", f"no answer from {self.peer} to {method} in {timeout_s} s") from None
        finally:
            self._pending.pop(request_id, None)

    def is_stalled(self, now: float) -> bool:
        """Whether the peer has taken no bytes for longer than allowed."""
        since = self._sending_since
        return since is not None and now - since > self._services.limits.stall_s

    async def _write(self) -> None:
        while True:
            item = self._outbox.pop()
            if item is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._write_frame(item.frame)
            if item.on_sent is not None:
                item.on_sent()

    async def _write_frame(self, frame: bytes) -> None:
        services = self._services
        for observe in services.observers:
            observe("out", self.peer, frame)
        services.count("frames_out")
        services.count("bytes_out", len(frame))
        self._sending_since = self._loop.time()
        await self._socket.send_bytes(frame)
        self._sending_since = None

    async def _read(self) -> None:
        while True:
            data = await self._read_frame()
            try:
                frame = decode_frame(data)
                charge = self._budget.charge(frame, len(data), narrow=self.narrow, now=self._loop.time())
                self._dispatch(frame) if charge.is_taken else self._give_up(frame)
            except PeerError as error:
                self._services.blame(self.peer, error.code)
                raise
            if charge.is_flood:
                self._services.blame(self.peer, "flood")
            if charge.wait_s > 0:  # not reading is what slows a flood down: TCP tells the sender
                self._services.count("throttled")
                await asyncio.sleep(charge.wait_s)

    async def _read_frame(self) -> bytes:
        message: Any = await self._socket.receive()
        while message.type in (WSMsgType.PING, WSMsgType.PONG):
            self._services.count("pings_in")
            if not self._budget.is_ping_paid(self._loop.time()):
                self._services.blame(self.peer, "ping_flood")
                raise PeerError("flood", "more pings than a heartbeat needs")
            if message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            message = await self._socket.receive()
        if message.type is not WSMsgType.BINARY:
            code, detail, is_fault = _why_ended(message)
            if is_fault:
                self._services.blame(self.peer, code)
            raise PeerError(code, detail)
        data: bytes = message.data
        services = self._services
        for observe in services.observers:
            observe("in", self.peer, data)
        services.count("frames_in")
        services.count("bytes_in", len(data))
        return data

    def _dispatch(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.MESSAGE:
                self._receive(frame)
            case Kind.REQUEST:
                self._begin_serving(frame)
            case Kind.ANSWER | Kind.REFUSAL:
                self._resolve(frame)
            case Kind.HELLO:
                raise PeerError("bad_frame", "a second hello")

    def _give_up(self, frame: Frame) -> None:
        """A frame over its share: gossip is told again by who tells it, a request is refused."""
        self._services.count("over_share")
        if frame.kind is Kind.REQUEST:
            self._answer(encode_refusal(frame.request_id, "busy"), None)

    def _receive(self, frame: Frame) -> None:
        receiver = self._services.receivers.get(frame.lane)
        if receiver is None:
            return
        try:
            receiver(self.peer, frame.payload)
        except (LedgerError, ContractError, NodeError) as error:  # the peer's bytes were not what they must be
            self._services.count("bad_messages")
            self._services.log.warning("peer_bad_message", peer=self.peer, lane=frame.lane.name, code=error.code)

    def _begin_serving(self, frame: Frame) -> None:
        handler = self._services.handlers.get(frame.name)
        if handler is None:
            self._answer(encode_refusal(frame.request_id, "unknown_method"), None)
        elif self._served >= self._services.limits.served_requests:
            self._answer(encode_refusal(frame.request_id, "busy"), None)
        else:
            self._served += 1
            task = self._loop.create_task(self._serve(handler, frame))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve(self, handler: Handler, frame: Frame) -> None:
        if (wait_s := self._budget.answer_wait_s(self._loop.time())) > 0:  # it keeps a place among `served_requests`
            await asyncio.sleep(wait_s)
        answer = await self._work(handler, frame)
        self._budget.pay_answer(len(answer), self._loop.time())
        self._answer(answer, self._end_serving)

    async def _work(self, handler: Handler, frame: Frame) -> bytes:
        try:
            payload = await handler(self.peer, frame.payload)
            self._check_size(len(payload))
            return encode_answer(frame.request_id, payload)
        except (LedgerError, ContractError, NodeError) as error:
            return encode_refusal(frame.request_id, error.code if is_code(error.code) else "failed")
        except Exception as error:  # our own fault: the peer gets an answer, the log says where, the link lives
            self._services.log.exception("peer_handler_failed", method=frame.name, error=type(error).__name__)
            return encode_refusal(frame.request_id, "failed")

    def _end_serving(self) -> None:
        self._served -= 1

    def _answer(self, frame: bytes, on_sent: Callable[[], None] | None) -> None:
        if not self._outbox.push_call(frame, on_sent):
            self._services.blame(self.peer, "stalled")
            self.end("stalled")  # the peer asks faster than it reads
        self._wake.set()

    def _resolve(self, frame: Frame) -> None:
        answer = self._pending.get(frame.request_id)
        if answer is None or answer.done():
            return  # came after its time-out
        if frame.kind is Kind.ANSWER:
            answer.set_result(frame.payload)
        else:
            answer.set_exception(PeerError(frame.name, f"{self.peer} refused the request"))

    def _note_drops(self, dropped: int) -> None:
        before = self._dropped
        self._dropped += dropped
        if before.bit_length() < self._dropped.bit_length():  # one line each time the sum doubles
            self._services.log.warning("peer_queue_full", peer=self.peer, lane="consensus", dropped=self._dropped)

    def _fail_pending(self) -> None:
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(PeerError("unreachable", f"the link to {self.peer} ended"))

    def _check_size(self, size: int) -> None:
        if size + HEAD_BYTES + MAX_CODE >= self._services.limits.message_bytes:
            raise PeerError("too_large", f"{size} bytes; a frame holds {self._services.limits.message_bytes}")

    def _reason(self, results: list[BaseException | None]) -> str:
        for result in results:
            if isinstance(result, PeerError):
                return result.code
            if isinstance(result, Exception) and not isinstance(result, OSError | aiohttp.ClientError):
                self._services.log.error("peer_link_failed", peer=self.peer, exc_info=result)
        return self._end.result() if self._end.done() and not self._end.cancelled() else "unreachable"


def _why_ended(message: Any) -> tuple[str, str, bool]:
    """(code, detail, whether the peer is at fault) of the last thing a WebSocket gave: no binary message."""
    if message.type is WSMsgType.CLOSE and message.extra in REFUSALS:
        return message.extra, "the other end closed the link", False
    if message.type is WSMsgType.ERROR:
        fault = message.data
        if isinstance(fault, aiohttp.ServerTimeoutError):
            return "silent", "no answer to a ping", False
        if not isinstance(fault, aiohttp.WebSocketError):
            return "unreachable", "the connection failed", False
        too_large = fault.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        return ("too_large" if too_large else "bad_frame"), "not a WebSocket message this node takes", True
    if message.type is WSMsgType.TEXT:
        return "bad_frame", "a text message; frames are binary", True
    return "unreachable", "the connection ended", False
