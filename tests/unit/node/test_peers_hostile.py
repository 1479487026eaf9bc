"""Strangers and traitors at the peer port: each is refused with a code, and the honest link lives on."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from ledger.crypto.keys import generate_tls_identity
from node.peers import Lane, PeerLimits, certificates
from node.peers.certificates import client_context
from node.peers.frames import encode_hello, encode_message, encode_request
from node.peers.hello import build_hello
from node.peers.link import CLOSE_CODE
from tests.support.peer_network import CHAIN, PATIENCE_S, PeerNetwork, network, stranger, traitor, until

QUICK = replace(PeerLimits(), tls_timeout_s=0.2, hello_timeout_s=0.2, message_bytes=2**16)


@asynccontextmanager
async def attacked(limits: PeerLimits = QUICK) -> AsyncIterator[tuple[PeerNetwork, int]]:
    """Node `cc` linked with `bb`; `aa` is a member that never starts: its key is the traitor's."""
    async with network("aa", "bb", "cc", limits=limits, start=False) as net:
        await net.start(net.build("cc"), "cc")
        await net.start(net.build("bb"), "bb")
        await net.linked("bb", "cc")
        yield net, net.nodes["cc"].port
        net.nodes["bb"].send("cc", Lane.CONSENSUS, b"alive")
        await until(lambda: ("bb", Lane.CONSENSUS, b"alive") in net.got["cc"])


async def refused(net: PeerNetwork, code: str) -> None:
    await until(lambda: net.nodes["cc"].stats().get(f"refused_{code}", 0) > 0)


async def call(port: int, data: bytes, context: ssl.SSLContext | None) -> bytes:
    """Connect, say `data`, read to the end."""
    async with asyncio.timeout(PATIENCE_S):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            writer.write(data)
            answer = await reader.read()
            writer.close()
            return answer
        except OSError:
            return b""


def bare_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize(
    ("data", "context"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"\x00" * 300, None),
        (b"", bare_context()),
        (b"GET /peer HTTP/1.1\r\n\r\n", bare_context()),
    ],
    ids=["plain HTTP", "garbage", "TLS without a certificate", "HTTP without a certificate"],
)
def test_without_mutual_tls_nobody_is_heard(data: bytes, context: ssl.SSLContext | None) -> None:
    async def scenario() -> None:
        async with attacked() as (net, port):
            assert b"HTTP" not in await call(port, data, context)
            await refused(net, "tls")

    asyncio.run(scenario())


def test_tls_below_1_3_is_refused() -> None:
    async def scenario() -> None:
        async with attacked() as (net, port):
            context = client_context(net.tls["aa"])
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            await call(port, b"", context)
            await refused(net, "tls")

    asyncio.run(scenario())


def test_a_certificate_of_another_issuer_passes_no_handshake(tmp_path: Path) -> None:
    identity = generate_tls_identity("stranger")
    (tmp_path / "stranger.pem").write_bytes(identity.certificate_pem + identity.key_pem)
    context = bare_context()
    context.load_cert_chain(tmp_path / "stranger.pem")

    async def scenario() -> None:
        async with attacked() as (net, port):
            await call(port, b"GET /peer HTTP/1.1\r\n\r\n", context)
            await refused(net, "tls")

    asyncio.run(scenario())


def test_a_key_that_nobody_registered_is_refused_before_http() -> None:
    async def scenario() -> None:
        async with attacked() as (net, port):
            answer = await call(port, b"", client_context(generate_tls_identity("aa")))
            assert answer == b""
            await refused(net, "unknown_certificate")

    asyncio.run(scenario())


def test_a_node_is_no_peer_of_itself() -> None:
    async def scenario() -> None:
        async with attacked() as (net, port):
            await call(port, b"", client_context(net.tls["cc"]))
            await refused(net, "unknown_certificate")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\x00" * 400 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /peer HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /peer HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /peer HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    ],
    ids=["garbage", "page", "post", "no upgrade", "long header"],
)
def test_a_member_that_does_not_speak_the_protocol(data: bytes) -> None:
    async def scenario() -> None:
        async with attacked() as (net, port):
            assert b" 101 " not in await call(port, data, client_context(net.tls["aa"]))
            await refused(net, "not_a_peer")

    asyncio.run(scenario())


@pytest.mark.parametrize("data", [b"", b"GET /peer HT"], ids=["silence", "half a line"])
def test_a_slow_handshake_is_cut_off(data: bytes) -> None:
    """X2: one byte at a time, or none."""

    async def scenario() -> None:
        async with attacked() as (net, port):
            assert await call(port, data, client_context(net.tls["aa"])) == b""
            await refused(net, "hello_timeout")

    asyncio.run(scenario())


def test_an_unfinished_tls_handshake_is_cut_off() -> None:
    """X2: connected and silent."""

    async def scenario() -> None:
        async with attacked() as (net, port):
            assert await call(port, b"\x16\x03\x01\x02\x00", None) == b""
            await refused(net, "tls")

    asyncio.run(scenario())


def test_the_oldest_handshake_makes_room_for_the_next() -> None:
    """X2: half-open handshakes fill no table."""

    async def scenario() -> None:
        limits = replace(PeerLimits(), handshakes=3, tls_timeout_s=10 * PATIENCE_S)
        async with attacked(limits) as (net, port):
            slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
            async with asyncio.timeout(PATIENCE_S):
                assert await slow[0][0].read() == b""
            async with traitor(port, net.tls["aa"], "aa"):  # a member in good faith gets in all the same
                await net.nodes["cc"].wait_connected(["aa"])
            for _, writer in slow:
                writer.close()

    asyncio.run(scenario())


def test_a_member_that_is_dialled_may_not_dial() -> None:
    async def scenario() -> None:
        async with network("aa", "zz", start=False) as net:
            net._addresses["zz"] = "127.0.0.1:1"
            await net.start(net.build("aa"), "aa")
            await call(net.nodes["aa"].port, b"", client_context(net.tls["zz"]))
            await until(lambda: net.nodes["aa"].stats().get("refused_not_dialler", 0) > 0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (build_hello(b"\x02" * 32, "aa"), "wrong_network"),
        (build_hello(CHAIN, "bb"), "wrong_participant"),
        (build_hello(CHAIN, "aa").replace(b'"v":1', b'"v":9'), "wrong_version"),
        (encode_hello(b"\xff" * 50), "bad_hello"),
        (encode_message(Lane.CONSENSUS, b"vote"), "bad_hello"),
        (b"?", "bad_frame"),
        (None, "hello_timeout"),
    ],
)
def test_a_wrong_hello_is_answered_with_its_code(first: bytes | None, code: str) -> None:
    """O10: another network is refused at the first frame."""

    async def scenario() -> None:
        async with attacked() as (net, port), stranger(port, net.tls["aa"]) as socket:
            if first is not None:
                await socket.send_bytes(first)
            await socket.receive_bytes()  # its hello
            last = await socket.receive(PATIENCE_S)
            assert (last.type, last.data, last.extra) == (aiohttp.WSMsgType.CLOSE, CLOSE_CODE, code)
            await refused(net, code)
            assert net.nodes["cc"].connected() == {"bb"}

    asyncio.run(scenario())


async def send_large(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_bytes(encode_message(Lane.GOSSIP, b"\0" * QUICK.message_bytes))


async def send_text(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_str("hello")


async def send_garbage(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_bytes(b"\xff" * 40)


async def send_second_hello(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_bytes(build_hello(CHAIN, "aa"))


async def send_compressed(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_bytes(b"\0" * 10_000_000, compress=15)


@pytest.mark.parametrize("attack", [send_large, send_text, send_garbage, send_second_hello, send_compressed])
def test_a_bad_frame_ends_only_its_own_link(
    attack: Callable[[aiohttp.ClientWebSocketResponse], Awaitable[None]],
) -> None:
    async def scenario() -> None:
        async with attacked() as (net, port), traitor(port, net.tls["aa"], "aa") as socket:
            await net.nodes["cc"].wait_connected(["aa"])
            await attack(socket)
            await net.nodes["cc"].wait_disconnected(["aa"])
            assert net.got["cc"] == []

    asyncio.run(scenario())


def test_a_lying_length_allocates_nothing() -> None:
    """X1: a frame header that promises 2^40 bytes ends the link before one of them is read."""

    async def scenario() -> None:
        async with attacked() as (net, port), traitor(port, net.tls["aa"], "aa") as socket:
            await net.nodes["cc"].wait_connected(["aa"])
            transport = socket._writer.transport  # what no sound WebSocket library would send
            transport.write(b"\x82\xff" + (2**40).to_bytes(8, "big") + b"\0" * 4)
            await net.nodes["cc"].wait_disconnected(["aa"])

    asyncio.run(scenario())


def test_connections_of_one_identity_are_capped() -> None:
    """X4: one identity, so many links."""

    async def scenario() -> None:
        async with attacked(PeerLimits()) as (net, port):
            context = client_context(net.tls["aa"])
            held = [await asyncio.open_connection("127.0.0.1", port, ssl=context) for _ in range(20)]
            await until(
                lambda: net.nodes["cc"].stats().get("refused_too_many_links", 0) >= 20 - PeerLimits().links_per_member
            )
            for _, writer in held:
                writer.close()

    asyncio.run(scenario())


def test_a_newer_link_of_the_same_peer_replaces_the_older() -> None:
    async def scenario() -> None:
        async with attacked() as (net, port), traitor(port, net.tls["aa"], "aa") as older:
            await net.nodes["cc"].wait_connected(["aa"])
            async with traitor(port, net.tls["aa"], "aa") as newer:
                assert (await older.receive(PATIENCE_S)).extra == "replaced"
                net.nodes["cc"].send("aa", Lane.GOSSIP, b"to the newer")
                assert (await newer.receive_bytes(timeout=PATIENCE_S)).endswith(b"to the newer")

    asyncio.run(scenario())


def test_a_peer_that_never_reads_is_dropped_and_delays_nobody() -> None:
    """X2: the queue towards it is bounded."""

    async def scenario() -> None:
        limits = replace(PeerLimits(), stall_s=0.1, consensus_frames=64)
        async with attacked(limits) as (net, port), traitor(port, net.tls["aa"], "aa"):
            node = net.nodes["cc"]
            await node.wait_connected(["aa"])
            for _ in range(64):
                node.send("aa", Lane.CONSENSUS, b"\0" * 2**18)
            node.send("bb", Lane.CONSENSUS, b"at once")
            assert (await net.received("bb", 1))[0][2] == b"at once"
            async with asyncio.timeout(PATIENCE_S):
                await node.wait_disconnected(["aa"])

    asyncio.run(scenario())


def test_a_peer_that_asks_and_never_reads_is_served_only_so_often() -> None:
    """X2 X3: answers that nobody fetches are not made."""

    async def scenario() -> None:
        worked = 0

        async def large(peer: str, payload: bytes) -> bytes:
            nonlocal worked
            worked += 1
            return b"\0" * 2**20

        limits = replace(PeerLimits(), stall_s=0.1, served_requests=4)
        async with network("aa", "cc", limits=limits, start=False) as net:
            node = net.build("cc")
            node.register("large", large)
            await net.start(node, "cc")
            async with traitor(node.port, net.tls["aa"], "aa") as socket:
                await node.wait_connected(["aa"])
                for n in range(500):
                    await socket.send_bytes(encode_request(n + 1, "large", b""))
                async with asyncio.timeout(PATIENCE_S):
                    await node.wait_disconnected(["aa"])
            assert worked < 50

    asyncio.run(scenario())


def test_a_flood_is_slowed_down_by_not_reading_it() -> None:
    """X3: the bucket of one peer is its own."""

    async def scenario() -> None:
        limits = replace(PeerLimits(), frames_per_s=1, frames_burst=10)
        async with attacked(limits) as (net, port), traitor(port, net.tls["aa"], "aa") as socket:
            await net.nodes["cc"].wait_connected(["aa"])
            for _ in range(1_000):
                await socket.send_bytes(encode_message(Lane.CONSENSUS, b"vote"))
            await until(lambda: net.nodes["cc"].stats().get("throttled", 0) > 0)
            net.nodes["bb"].send("cc", Lane.CONSENSUS, b"meanwhile")
            await until(lambda: ("bb", Lane.CONSENSUS, b"meanwhile") in net.got["cc"])
            assert sum(peer == "aa" for peer, _, _ in net.got["cc"]) <= 12

    asyncio.run(scenario())


def test_dates_on_certificates_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with attacked() as (net, port):
            monkeypatch.setattr(certificates, "_UNTIL", datetime(2021, 1, 1, tzinfo=UTC))
            async with traitor(port, net.tls["aa"], "aa"):
                await net.nodes["cc"].wait_connected(["aa"])

    asyncio.run(scenario())


def test_the_dialler_refuses_another_key_at_the_address() -> None:
    async def scenario() -> None:
        async with network("aa", "bb", start=False) as net:
            impostor = PeerNetwork(["bb"])
            impostor.tls["aa"] = net.tls["aa"]
            try:
                await impostor.start(impostor.build("bb"), "bb")
                net._addresses["bb"] = impostor._addresses["bb"]
                await net.start(net.build("aa"), "aa")
                await until(lambda: net.nodes["aa"].stats().get("dial_wrong_certificate", 0) > 0)
                assert net.nodes["aa"].connected() == frozenset()
            finally:
                await impostor.stop()

    asyncio.run(scenario())
