"""The dialling side: one loop for each peer that this node dials, for as long as it is a member.

Knows addresses and back-off. Must always hold: at most one attempt or link for each peer at a time; the wait
after a failure is bounded below and above, so a dead peer costs little and a live one is found soon.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import aiohttp

from node.peers.certificates import spki_of
from node.peers.errors import PeerError
from node.peers.link import CLOSE_TIMEOUT_S, Link, Services
from node.peers.listener import PATH

Adopt = Callable[[Link], Awaitable[None]]


class Dialler:
    """Opens links. Made inside the node's event loop; `stop` before the loop ends."""

    def __init__(
        self,
        context: ssl.SSLContext,
        services: Services,
        adopt: Adopt,
        refused_s: Callable[[str], float],
        jitter: Callable[[], float],
        proxy: str | None,
    ) -> None:
        """`refused_s`: for how long a peer is not dialled because of its score."""
        self._context = context
        self._refused_s = refused_s
        self._services = services
        self._adopt = adopt
        self._jitter = jitter
        self._proxy = f"http://{proxy}" if proxy else None
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def dial(self, peer: str, address: str, spki: str) -> None:
        """Keep a link to `peer` until `forget`; an earlier address or key of it is forgotten."""
        self.forget(peer)
        self._tasks[peer] = asyncio.get_running_loop().create_task(self._keep(peer, address, spki))

    def forget(self, peer: str) -> None:
        """Dial `peer` no longer; its link, if any, ends."""
        if task := self._tasks.pop(peer, None):
            task.cancel()

    async def stop(self) -> None:
        """End every attempt and link."""
        tasks = list(self._tasks.values())
        for peer in list(self._tasks):
            self.forget(peer)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._session.close()

    async def _keep(self, peer: str, address: str, spki: str) -> None:
        limits, loop = self._services.limits, asyncio.get_running_loop()
        delay, last = limits.redial_first_s, ""
        while True:
            while (wait_s := self._refused_s(peer)) > 0:  # noqa: ASYNC110 - looked at again: it may become needed
                await asyncio.sleep(min(wait_s, limits.redial_max_s))
            started = loop.time()
            try:
                await self._link(peer, address, spki)
                code, detail = "", ""
            except PeerError as error:
                code, detail = error.code, error.detail
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                code, detail = "unreachable", type(error).__name__
            if code:
                self._services.count(f"dial_{code}")
            if code and code != last:  # a peer that stays away is said once
                self._services.log.warning("peer_not_reached", peer=peer, code=code, detail=detail)
            last = code
            if loop.time() - started > limits.redial_max_s:
                delay = limits.redial_first_s
            await asyncio.sleep(delay * (1 - self._jitter() / 2))
            delay = min(2 * delay, limits.redial_max_s)

    async def _link(self, peer: str, address: str, spki: str) -> None:
        """One attempt: returns when its link has ended. Raises what kept it from becoming one."""
        limits = self._services.limits
        async with asyncio.timeout(limits.tls_timeout_s + limits.hello_timeout_s):
            socket = await self._session.ws_connect(
                f"wss://{address}{PATH}",
                ssl=self._context,
                proxy=self._proxy,
                compress=0,
                autoping=False,  # the link answers them, and counts them
                heartbeat=limits.heartbeat_s,
                max_msg_size=limits.message_bytes,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
            )
        link = Link(peer, socket, self._services, lambda: None)
        try:
            found = spki_of(socket.get_extra_info("ssl_object"))
            if found != spki:
                raise PeerError("wrong_certificate", f"at {address} answers the key {found[:16]}, not {spki[:16]}")
        except PeerError as error:
            await link.shut(error.code)
            raise
        await self._adopt(link)
