"""The accepting side: a bound on strangers, TLS, the registry, the WebSocket upgrade - in this order.

Knows no frames. Must always hold: no byte of a stranger reaches a WebSocket; every refusal is one coded log
line (bounded in rate) and a dropped connection, never an error of this node.
"""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from aiohttp import web

from node.peers.certificates import spki_of
from node.peers.errors import PeerError
from node.peers.limits import TokenBucket
from node.peers.link import CLOSE_TIMEOUT_S, Link, Services

PATH: Final = "/peer"
_BACKLOG: Final = 128
_MAX_HEADER: Final = 4_096
"""Bytes of an HTTP line or header; an upgrade request of aiohttp takes a tenth."""
_QUIET = logging.getLogger("node.peers.http")
_QUIET.setLevel(logging.CRITICAL + 1)  # aiohttp logs a traceback for each bad request; we log a code

FindPeer: TypeAlias = Callable[[str], str]
"""SPKI hash -> participant id. Raises PeerError `unknown_certificate`, `not_dialler`."""
Adopt: TypeAlias = Callable[[Link], Awaitable[None]]
"""Greets a link and runs it until it ends. Raises PeerError when the greeting failed."""


class Listener:
    """The peer port of one node."""

    def __init__(self, context: ssl.SSLContext, services: Services, find_peer: FindPeer, adopt: Adopt) -> None:
        self._context = context
        self._services = services
        self._find_peer = find_peer
        self._adopt = adopt
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._handshakes: dict[asyncio.Task[None], str] = {}  # where from, in order of arrival
        self._open: dict[asyncio.Transport, str] = {}
        self._silent: set[asyncio.Transport] = set()
        self._lines = TokenBucket(services.limits.refusal_lines_per_s, services.limits.refusal_lines_per_s, 0.0)
        self._server = web.Server(
            self._upgrade,
            request_factory=self._build_request,
            logger=_QUIET,
            access_log=None,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            lingering_time=0.0,
        )

    def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raises PeerError `listen`."""
        try:
            family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._socket = socket.socket(family, kind, number)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.setblocking(False)
            self._socket.bind(address)
            self._socket.listen(_BACKLOG)
        except OSError as error:
            detail = f"cannot listen on {host}:{port} ({error.strerror}); free it or set another peers.listen_port"
            raise PeerError("listen", detail) from None
        self._accepting = self._loop.create_task(self._accept(self._socket))
        return int(self._socket.getsockname()[1])

    async def stop(self) -> None:
        """Take no more connections and drop those open. Links were ended before."""
        tasks = [*self._handshakes] + ([self._accepting] if self._accepting else [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
        self._server.pre_shutdown()
        await self._server.shutdown(CLOSE_TIMEOUT_S)
        for transport in list(self._open):
            with suppress(AttributeError):  # CPython before 3.11.5: a TLS transport closed twice has no protocol left
                transport.abort()

    async def _accept(self, listening: socket.socket) -> None:
        limits = self._services.limits
        while True:
            try:
                connection, address = await self._loop.sock_accept(listening)
            except OSError as error:  # out of descriptors, or the connection is gone already
                self._refuse("accept", error.strerror or type(error).__name__)
                await asyncio.sleep(0.1)
                continue
            self._forget_closed()
            if len(self._open) + len(self._handshakes) >= limits.connections:
                connection.close()
                self._refuse("too_many_links", f"{limits.connections} connections are open")
                continue
            if len(self._handshakes) >= limits.handshakes:
                self._oldest_of_the_loudest().cancel()
            task = self._loop.create_task(self._admit(connection, str(address[0])))
            self._handshakes[task] = str(address[0])
            task.add_done_callback(lambda done: self._handshakes.pop(done, None))

    def _oldest_of_the_loudest(self) -> asyncio.Task[None]:
        """The handshake that makes room: of the address that holds most of them, so that it crowds out itself."""
        loudest = Counter(self._handshakes.values()).most_common(1)[0][0]
        return next(task for task, address in self._handshakes.items() if address == loudest)

    async def _admit(self, connection: socket.socket, remote: str) -> None:
        """TLS, then the registry; the connection is dropped unless both are passed."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        limits = self._services.limits
        try:
            connected = await self._loop.connect_accepted_socket(
                self._server, connection, ssl=self._context, ssl_handshake_timeout=limits.tls_timeout_s
            )
        except asyncio.CancelledError:
            connection.close()
            raise
        except (OSError, EOFError) as error:  # ssl.SSLError is an OSError
            connection.close()
            self._refuse("tls", getattr(error, "reason", None) or type(error).__name__, remote)
            return
        transport = connected[0]
        try:
            self._identify(transport)
        except PeerError as error:
            transport.abort()
            self._refuse(error.code, error.detail, remote)
            return
        self._loop.call_later(limits.hello_timeout_s, self._drop_silent, transport, remote)

    def _identify(self, transport: asyncio.Transport) -> str:
        """The peer whose key TLS proved. Raises PeerError. May be called twice: HTTP can overtake `_admit`."""
        known = self._open.get(transport)
        spki = known or spki_of(transport.get_extra_info("ssl_object"))
        peer = self._find_peer(spki)
        if known is None:
            self._forget_closed()
            held = sum(other == spki for other in self._open.values())
            if held >= self._services.limits.links_per_member:
                self._services.blame(peer, "too_many_links")
                raise PeerError("too_many_links", f"{held} connections of {peer}")
            self._open[transport] = spki
            self._silent.add(transport)
        return peer

    async def _upgrade(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        if transport is None:
            return _closing(400)
        try:
            peer = self._identify(transport)
        except PeerError:
            return _closing(403)  # `_admit` logs it
        upgrade = web.WebSocketResponse(
            timeout=CLOSE_TIMEOUT_S,
            heartbeat=self._services.limits.heartbeat_s,
            compress=False,
            autoping=False,  # the link answers them, and counts them
            max_msg_size=self._services.limits.message_bytes,
        )
        if request.path != PATH or not upgrade.can_prepare(request).ok:
            self._services.blame(peer, "not_a_peer")
            self._refuse("not_a_peer", "HTTP without the upgrade of a peer", request.remote)
            return _closing(426)
        self._silent.discard(transport)
        await upgrade.prepare(request)
        try:
            await self._adopt(Link(peer, upgrade, self._services, transport.abort))
        except PeerError as error:
            self._refuse(error.code, error.detail, peer)
        return upgrade

    def _build_request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        if message.method == "UNKNOWN":  # what aiohttp makes of bytes that are no HTTP
            self._refuse("not_a_peer", "bytes that are no HTTP")
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop)

    def _drop_silent(self, transport: asyncio.Transport, remote: str) -> None:
        if transport in self._silent and not transport.is_closing():
            transport.abort()
            self._refuse("hello_timeout", "TLS, then nothing", remote)
        self._silent.discard(transport)

    def _forget_closed(self) -> None:
        for transport in [each for each in self._open if each.is_closing()]:
            del self._open[transport]

    def _refuse(self, code: str, detail: str, remote: str | None = None) -> None:
        self._services.count(f"refused_{code}")
        if self._lines.has(1, self._loop.time()):
            self._services.log.warning("peer_refused", code=code, detail=detail, remote=remote)


def _closing(status: int) -> web.Response:
    response = web.Response(status=status)
    response.force_close()
    return response
