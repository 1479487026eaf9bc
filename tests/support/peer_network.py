"""A few nodes' links on loopback, made of real sockets and fresh keys, and strangers who call at their ports."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import aiohttp

from ledger.crypto.keys import TlsIdentity, certificate_der, generate_tls_identity, spki_hash
from node.peers import Lane, Member, PeerLimits, Peers
from node.peers.certificates import client_context
from node.peers.hello import build_hello
from node.peers.listener import PATH

CHAIN = b"\x01" * 32
PATIENCE_S = 10.0
"""Bound of every wait; a sound run waits milliseconds."""


def spki_of_identity(identity: TlsIdentity) -> str:
    return spki_hash(certificate_der(identity.certificate_pem))


class PeerNetwork:
    """Nodes that listen, started one by one; `edges` dial only. Addresses are known only after the start."""

    def __init__(self, ids: Sequence[str], edges: Sequence[str] = (), limits: PeerLimits | None = None) -> None:
        self.tls = {each: generate_tls_identity(each) for each in (*ids, *edges)}
        self.limits = limits
        self.nodes: dict[str, Peers] = {}
        self.got: dict[str, list[tuple[str, Lane, bytes]]] = {each: [] for each in self.tls}
        self._edges = edges
        self._addresses: dict[str, str] = {}

    def members(self) -> list[Member]:
        return [Member(each, spki_of_identity(tls), self._addresses.get(each)) for each, tls in self.tls.items()]

    def build(self, me: str, *, port: int = 0, proxy: str | None = None) -> Peers:
        peers = Peers(
            me=me,
            chain=CHAIN,
            tls=self.tls[me],
            members=self.members(),
            listen=None if me in self._edges else ("127.0.0.1", port),
            jitter=lambda: 0.5,
            proxy=proxy,
            limits=self.limits,
        )
        peers.on_message(Lane.CONSENSUS, lambda peer, data: self.got[me].append((peer, Lane.CONSENSUS, data)))
        peers.on_message(Lane.GOSSIP, lambda peer, data: self.got[me].append((peer, Lane.GOSSIP, data)))
        return peers

    async def start(self, peers: Peers, me: str) -> Peers:
        self.nodes[me] = peers
        await peers.start()
        if peers.port:
            self._addresses[me] = f"127.0.0.1:{peers.port}"
        return peers

    async def start_all(self) -> None:
        """Who is dialled starts first, so that who dials knows its port."""
        for me in sorted(self.tls.keys() - self.nodes.keys(), reverse=True):
            if me not in self._edges:
                await self.start(self.build(me), me)
        for me in self._edges:
            await self.start(self.build(me), me)

    async def stop(self) -> None:
        await asyncio.gather(*(node.stop() for node in self.nodes.values()))

    async def linked(self, one: str, *others: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.nodes[one].wait_connected(others)
            for other in others:
                await self.nodes[other].wait_connected([one])

    async def received(self, me: str, count: int) -> list[tuple[str, Lane, bytes]]:
        await until(lambda: len(self.got[me]) >= count)
        return self.got[me]


@asynccontextmanager
async def network(
    *ids: str, edges: Sequence[str] = (), limits: PeerLimits | None = None, start: bool = True
) -> AsyncIterator[PeerNetwork]:
    built = PeerNetwork(ids, edges, limits)
    try:
        if start:
            await built.start_all()
        yield built
    finally:
        await built.stop()


async def until(is_true: Callable[[], bool]) -> None:
    """Let the loop turn until `is_true()`."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_true():  # noqa: ASYNC110 - a turn of the loop; there is no event for what is counted
            await asyncio.sleep(0)


@asynccontextmanager
async def stranger(port: int, identity: TlsIdentity) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket to a peer port under the key of `identity`, nothing said yet."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"wss://127.0.0.1:{port}{PATH}",
            ssl=client_context(identity),
            timeout=aiohttp.ClientWSTimeout(ws_close=0.01),
        ) as socket,
    ):
        yield socket


@asynccontextmanager
async def traitor(
    port: int, identity: TlsIdentity, me: str, chain: bytes = CHAIN
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A stranger with the key of the member `me`, after a sound hello each way."""
    async with stranger(port, identity) as socket:
        await socket.send_bytes(build_hello(chain, me))
        await socket.receive_bytes()
        yield socket


@asynccontextmanager
async def proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """An HTTP CONNECT proxy on loopback: its address, and the first lines of what it was asked."""
    asked: list[str] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head.splitlines()[0])
        host, _, port = head.split()[1].rpartition(":")
        onward = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, onward[1]), pipe(onward[0], writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
