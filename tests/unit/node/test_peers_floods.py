"""Peers that flood, lie about lengths, trickle or vanish (X1-X4, N13): real sockets, memory and queues watched."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import aiohttp
import pytest

from node.peers import Lane, PeerLimits
from node.peers.certificates import client_context
from node.peers.frames import HEAD_BYTES, Kind, decode_frame, encode_hello, encode_message, encode_request
from node.peers.hello import build_hello
from node.peers.listener import PATH
from tests.support.peer_network import CHAIN, PATIENCE_S, PeerNetwork, network, stranger, traitor, until

SHORT = replace(PeerLimits(), ban_first_s=0.3, ban_max_s=0.3)
Attack = Callable[[aiohttp.ClientWebSocketResponse], Awaitable[None]]


@asynccontextmanager
async def attacked(limits: PeerLimits = SHORT) -> AsyncIterator[tuple[PeerNetwork, int]]:
    """Node `cc` linked with the honest `bb`; `aa` is a member that never starts: its key is the traitor's."""
    async with network("aa", "bb", "cc", limits=limits, start=False) as net:
        await net.start(net.build("cc"), "cc")
        await net.start(net.build("bb"), "bb")
        await net.linked("bb", "cc")
        yield net, net.nodes["cc"].port
        net.nodes["bb"].send("cc", Lane.CONSENSUS, b"alive")
        await until(lambda: ("bb", Lane.CONSENSUS, b"alive") in net.got["cc"])


async def refused(net: PeerNetwork, code: str, times: int = 1) -> None:
    await until(lambda: net.nodes["cc"].stats().get(f"refused_{code}", 0) >= times)


def grown_bytes() -> int:
    """Traced memory after a collection."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def raw(socket: aiohttp.ClientWebSocketResponse, data: bytes) -> None:
    """Bytes that no sound WebSocket library would send."""
    writer = socket._writer
    assert writer is not None
    writer.transport.write(data)


# --- X1: sizes and forms -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\xff" + (2**62).to_bytes(8, "big") + b"\0" * 4,
        b"\x82\xff" + (16 * 2**20).to_bytes(8, "big") + b"\0" * 4,
        b"\x02\xff" + (2**40).to_bytes(8, "big") + b"\0" * 4,
        b"\x82\xff" + b"\xff" * 8 + b"\0" * 4,
    ],
    ids=["2^62", "the limit itself", "first fragment", "2^64-1"],
)
def test_x1_a_declared_length_over_the_limit_allocates_nothing(data: bytes) -> None:
    async def scenario() -> None:
        async with attacked() as (net, port), traitor(port, net.tls["aa"], "aa") as socket:
            await net.nodes["cc"].wait_connected(["aa"])
            tracemalloc.start()
            try:
                before = grown_bytes()
                raw(socket, data)
                await net.nodes["cc"].wait_disconnected(["aa"])
                assert grown_bytes() - before < 2**20
                assert tracemalloc.get_traced_memory()[1] - before < 2**20, "not even for a moment"
            finally:
                tracemalloc.stop()

    asyncio.run(scenario())


def test_x1_fragments_add_up_to_the_limit_and_no_further() -> None:
    limits = replace(SHORT, message_bytes=2**16)

    async def scenario() -> None:
        async with attacked(limits) as (net, port), traitor(port, net.tls["aa"], "aa") as socket:
            await net.nodes["cc"].wait_connected(["aa"])
            part = b"\xfe" + (2**14).to_bytes(2, "big") + b"\0" * 4 + b"\0" * 2**14
            raw(socket, b"\x02" + part + (b"\x00" + part) * 3)
            await net.nodes["cc"].wait_disconnected(["aa"])
            assert net.nodes["cc"].stats()["blamed_too_large"] == 1

    asyncio.run(scenario())


def test_x1_a_compressed_frame_is_refused_unopened_and_compression_is_never_agreed_on() -> None:
    async def scenario() -> None:
        async with attacked() as (net, port):
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(
                    f"wss://127.0.0.1:{port}{PATH}", ssl=client_context(net.tls["aa"]), compress=15
                ) as socket,
            ):
                assert "Sec-WebSocket-Extensions" not in socket._response.headers
                assert socket.compress == 0
            async with traitor(port, net.tls["aa"], "aa") as socket:
                await net.nodes["cc"].wait_connected(["aa"])
                tracemalloc.start()
                before = tracemalloc.get_traced_memory()[0]
                raw(socket, b"\xc2\x85" + b"\0" * 4 + b"bomb!")
                await net.nodes["cc"].wait_disconnected(["aa"])
                assert tracemalloc.get_traced_memory()[1] - before < 2**20
                tracemalloc.stop()
                assert net.nodes["cc"].stats()["blamed_bad_frame"] == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("hello", [b"[" * 900, b'{"v":' * 150, b"{" * 1_000, b'{"v":1e999}'])
def test_x1_nested_hellos_end_with_a_code(hello: bytes) -> None:
    async def scenario() -> None:
        async with attacked() as (net, port), stranger(port, net.tls["aa"]) as socket:
            await socket.send_bytes(encode_hello(hello))
            await refused(net, "bad_hello")

    asyncio.run(scenario())


# --- X2: the slow and the silent -----------------------------------------------------------------------------------


def test_x2_a_hello_that_trickles_is_cut_off() -> None:
    """Bytes keep coming, a hello never does: the time-out counts from the start, not from the last byte."""
    limits = replace(SHORT, hello_timeout_s=0.2)

    async def scenario() -> None:
        async with attacked(limits) as (net, port), stranger(port, net.tls["aa"]) as socket:

            async def trickle() -> None:
                raw(socket, b"\x82\xfe\x01\x00" + b"\0" * 4)
                with suppress(OSError, aiohttp.ClientError):
                    for _ in range(200):
                        raw(socket, b"x")
                        await asyncio.sleep(0.01)  # the pace of the attack itself

            task = asyncio.ensure_future(trickle())
            await refused(net, "hello_timeout")
            task.cancel()
            assert net.nodes["cc"].connected() == {"bb"}

    asyncio.run(scenario())


def test_x2_an_idle_link_lives_by_its_heartbeat() -> None:
    limits = replace(SHORT, heartbeat_s=0.05)

    async def scenario() -> None:
        async with network("aa", "bb", limits=limits) as net:
            await net.linked("aa", "bb")
            before = net.nodes["aa"]._links["bb"]
            await until(lambda: net.nodes["aa"].stats().get("pings_in", 0) >= 6)
            assert net.nodes["aa"]._links["bb"] is before

    asyncio.run(scenario())


@asynccontextmanager
async def black_hole(port: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A path to `port` that, once the event is set, swallows everything and closes nothing: half-open TCP."""
    swallow, tasks = asyncio.Event(), set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(2**16):
                if not swallow.is_set():
                    writer.write(data)
                    await writer.drain()
            if not swallow.is_set():
                writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection("127.0.0.1", port)
        for one, other in ((reader, onward[1]), (onward[0], writer)):
            tasks.add(asyncio.ensure_future(pipe(one, other)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], swallow
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_n13_half_open_tcp_is_noticed_at_both_ends_and_nobody_is_blamed() -> None:
    limits = replace(SHORT, heartbeat_s=0.1, redial_first_s=0.01)

    async def scenario() -> None:
        async with network("aa", "bb", limits=limits, start=False) as net:
            await net.start(net.build("bb"), "bb")
            async with black_hole(net.nodes["bb"].port) as (port, swallow):
                net._addresses["bb"] = f"127.0.0.1:{port}"
                await net.start(net.build("aa"), "aa")
                await net.linked("aa", "bb")
                older = net.nodes["aa"]._links["bb"]
                swallow.set()
                async with asyncio.timeout(PATIENCE_S):
                    await net.nodes["aa"].wait_disconnected(["bb"])
                    await net.nodes["bb"].wait_disconnected(["aa"])
                swallow.clear()  # new connections pass again
                await net.linked("aa", "bb")
                assert net.nodes["aa"]._links["bb"] is not older
            assert net.nodes["aa"].standings() == {}
            assert net.nodes["bb"].standings() == {}

    asyncio.run(scenario())


def test_n13_waits_between_attempts_double_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """A storm of reconnects thins out: the wait doubles to its bound, and chance shortens it by up to half."""
    waits: list[float] = []
    limits = replace(SHORT, redial_first_s=0.1, redial_max_s=0.8)
    sleep = asyncio.sleep

    async def note(delay: float) -> None:
        if 0 < delay < limits.stall_s / 4:
            waits.append(delay)
        await sleep(0 if delay < 1 else delay)

    async def scenario() -> None:
        async with network("aa", "zz", limits=limits, start=False) as net:
            net._addresses["zz"] = "127.0.0.1:1"
            node = net.build("aa")
            chances = iter([0.0, 0.5, 0.999] * 1_000)
            node._jitter = lambda: next(chances)
            monkeypatch.setattr("node.peers.dialler.asyncio.sleep", note)
            await net.start(node, "aa")
            await until(lambda: len(waits) >= 6)

    asyncio.run(scenario())
    assert waits[0] == pytest.approx(0.1)
    assert waits[1] == pytest.approx(0.2 * 0.75)
    assert 0.2 <= waits[2] < 0.21
    assert waits[3] == pytest.approx(0.8)
    assert max(waits) <= 0.8


# --- X3: floods ----------------------------------------------------------------------------------------------------


def test_x3_bulk_does_not_delay_votes_of_the_same_connection() -> None:
    """50,000 gossip messages in front of a vote: what is over the share is given up, the vote is not waited for."""
    limits = replace(SHORT, bulk_frames_per_s=1, bulk_frames_burst=10, frames_per_s=10**9, frames_burst=10**9)

    async def scenario() -> None:
        async with attacked(limits) as (net, port), traitor(port, net.tls["aa"], "aa") as socket:
            for _ in range(5_000):
                await socket.send_bytes(encode_message(Lane.GOSSIP, b"transactions"))
            await socket.send_bytes(encode_message(Lane.CONSENSUS, b"vote"))
            await until(lambda: ("aa", Lane.CONSENSUS, b"vote") in net.got["cc"])
            assert sum(peer == "aa" and lane is Lane.GOSSIP for peer, lane, _ in net.got["cc"]) <= 11
            assert net.nodes["cc"].stats()["over_share"] >= 4_989

    asyncio.run(scenario())


def test_x3_a_new_connection_is_no_new_budget() -> None:
    limits = replace(SHORT, bulk_frames_per_s=1, bulk_frames_burst=10)

    async def scenario() -> None:
        async with attacked(limits) as (net, port):
            for n in range(4):
                async with traitor(port, net.tls["aa"], "aa") as socket:
                    for _ in range(20):
                        await socket.send_bytes(encode_message(Lane.GOSSIP, b"x"))
                    await socket.send_bytes(encode_message(Lane.CONSENSUS, b"%d" % n))
                    await until(lambda n=n: ("aa", Lane.CONSENSUS, b"%d" % n) in net.got["cc"])
            assert sum(lane is Lane.GOSSIP for _, lane, _ in net.got["cc"]) <= 12

    asyncio.run(scenario())


def test_x3_memory_is_flat_under_a_flood_of_votes() -> None:
    """The receiver looks at nothing it is given; whatever is sent, this node holds a few hundred kilobytes of it."""
    limits = replace(SHORT, frames_per_s=500, frames_burst=500)
    vote = encode_message(Lane.CONSENSUS, b"v" * 600)

    async def scenario() -> None:
        async with network("aa", "cc", limits=limits, start=False) as net:
            node = net.build("cc")
            taken = 0

            def count(peer: str, data: bytes) -> None:
                nonlocal taken
                taken += 1

            node._services.receivers[Lane.CONSENSUS] = count
            await net.start(node, "cc")
            async with traitor(node.port, net.tls["aa"], "aa") as socket:
                await node.wait_connected(["aa"])
                tracemalloc.start(1)
                before = grown_bytes()

                async def flood() -> None:
                    while True:
                        await socket.send_bytes(vote)

                task = asyncio.ensure_future(flood())
                await until(lambda: taken > 700)
                grown = grown_bytes() - before
                tracemalloc.stop()
                task.cancel()
                assert node.stats()["throttled"] > 0
                assert grown < 8 * 2**20, "kernel buffers aside, at most a window of unread bytes at each end"

    asyncio.run(scenario())


@pytest.mark.parametrize("opcode", [0x89, 0x8A], ids=["pings", "pongs"])
def test_x3_a_flood_of_empty_pings_ends_the_link(opcode: int) -> None:
    async def scenario() -> None:
        async with attacked() as (net, port), traitor(port, net.tls["aa"], "aa") as socket:
            await net.nodes["cc"].wait_connected(["aa"])
            raw(socket, (bytes([opcode]) + b"\x80" + b"\0" * 4) * 10_000)
            await net.nodes["cc"].wait_disconnected(["aa"])
            assert net.nodes["cc"].stats()["pings_in"] <= SHORT.pings_burst + 10
            assert net.nodes["cc"].stats()["blamed_ping_flood"] == 1

    asyncio.run(scenario())


def test_x3_small_questions_do_not_pull_large_answers_without_end() -> None:
    """Fetch amplification: two answers are in the budget, the third waits until they are paid for."""
    worked = 0

    async def large(peer: str, payload: bytes) -> bytes:
        nonlocal worked
        worked += 1
        return b"\0" * 2**20

    async def scenario() -> None:
        limits = replace(SHORT, answer_bytes_per_s=1, answer_bytes_burst=2**20 + 100)
        async with network("aa", "cc", limits=limits, start=False) as net:
            node = net.build("cc")
            node.register("large", large)
            await net.start(node, "cc")
            async with traitor(node.port, net.tls["aa"], "aa") as socket:
                await node.wait_connected(["aa"])
                for n in range(100):
                    await socket.send_bytes(encode_request(n + 1, "large", b""))
                kinds = [decode_frame(await socket.receive_bytes(timeout=PATIENCE_S)).kind for _ in range(84)]
                assert (kinds.count(Kind.ANSWER), kinds.count(Kind.REFUSAL)) == (2, 82)
            assert worked == 2, "sixteen wait, the others were refused"

    asyncio.run(scenario())


# --- X4 and scores -------------------------------------------------------------------------------------------------


def test_x4_connections_of_one_member_are_four_however_many_it_opens() -> None:
    """Each beyond the cap is dropped after TLS, and whoever does it often enough is refused as a whole."""

    async def scenario() -> None:
        async with attacked() as (net, port):
            context = client_context(net.tls["aa"])
            for _ in range(10):
                held = await asyncio.gather(
                    *(asyncio.open_connection("127.0.0.1", port, ssl=context) for _ in range(15)),
                    return_exceptions=True,
                )
                listener = net.nodes["cc"]._listener
                assert listener is not None
                listener._forget_closed()
                assert len(listener._open) <= SHORT.links_per_member + 1, "and the honest link"
                for each in held:
                    if isinstance(each, tuple):
                        each[1].transport.abort()
            stats = net.nodes["cc"].stats()
            assert stats.get("refused_too_many_links", 0) + stats.get("refused_banned", 0) > 90

    asyncio.run(scenario())


async def send_garbage(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_bytes(b"\xff" * 40)


def test_x3_whoever_sends_garbage_is_refused_for_a_time_and_then_heard_again() -> None:
    async def scenario() -> None:
        async with attacked() as (net, port):
            node = net.nodes["cc"]
            for _ in range(3):
                async with traitor(port, net.tls["aa"], "aa") as socket:
                    await node.wait_connected(["aa"])
                    await send_garbage(socket)
                    await node.wait_disconnected(["aa"])
            standing = node.standings()["aa"]
            assert (standing.bans, standing.banned_s, standing.narrow) == (1, 1, False)
            with suppress(aiohttp.ClientError, OSError):
                async with traitor(port, net.tls["aa"], "aa"):
                    raise AssertionError("a banned peer got in")
            await refused(net, "banned")
            await until(lambda: node.standings()["aa"].banned_s == 0)
            async with traitor(port, net.tls["aa"], "aa"):
                await node.wait_connected(["aa"])

    asyncio.run(scenario())


def test_x3_a_banned_peer_is_not_dialled_either() -> None:
    limits = replace(SHORT, ban_first_s=3_600, ban_max_s=3_600, redial_first_s=0.01, redial_max_s=0.02)

    async def scenario() -> None:
        async with network("aa", "bb", limits=limits) as net:
            await net.linked("aa", "bb")
            node = net.nodes["aa"]
            for _ in range(6):
                node.blame("bb", "certificate_quorum")
            await node.wait_disconnected(["bb"])
            dialled = node.stats()["frames_out"]
            turns = 0

            def passed() -> bool:
                nonlocal turns
                turns += 1
                return turns > 200

            await until(passed)
            assert node.connected() == frozenset()
            assert node.stats()["frames_out"] == dialled

    asyncio.run(scenario())


def test_x3_never_so_many_validators_are_cut_that_a_quorum_is_impossible() -> None:
    """Four voters, three decide: the first traitor is cut; the second keeps a lane for its votes."""
    limits = replace(SHORT, ban_first_s=3_600, ban_max_s=3_600)
    ids = ("aa", "bb", "cc", "dd")

    async def scenario() -> None:
        async with network(*ids, limits=limits, start=False) as net:
            for me in reversed(ids):
                node = net.build(me)
                node.protect(lambda: (frozenset(ids), 3))
                await net.start(node, me)
            await net.linked("dd", "aa", "bb", "cc")
            judge = net.nodes["dd"]
            for _ in range(6):
                judge.blame("aa", "malformed")
            await judge.wait_disconnected(["aa"])
            for _ in range(6):
                judge.blame("bb", "malformed")
            assert judge.standings()["bb"].narrow
            net.nodes["bb"].send("dd", Lane.GOSSIP, b"bulk")
            net.nodes["bb"].send("dd", Lane.CONSENSUS, b"vote")
            await until(lambda: ("bb", Lane.CONSENSUS, b"vote") in net.got["dd"])
            assert ("bb", Lane.GOSSIP, b"bulk") not in net.got["dd"]
            assert judge.connected() == {"bb", "cc"}
            await net.nodes["cc"].stop()  # one more is gone: now the first one cannot be spared either
            async with asyncio.timeout(PATIENCE_S):
                await judge.wait_connected(["aa", "bb"])
            assert judge.standings()["aa"].narrow

    asyncio.run(scenario())


def test_x3_a_peer_that_closes_with_an_accusation_is_not_blamed_for_it() -> None:
    async def scenario() -> None:
        async with attacked() as (net, port):
            async with traitor(port, net.tls["aa"], "aa") as socket:
                await net.nodes["cc"].wait_connected(["aa"])
                await socket.close(code=4000, message=b"bad_frame")
                await net.nodes["cc"].wait_disconnected(["aa"])
            assert net.nodes["cc"].standings() == {}

    asyncio.run(scenario())


def test_a_stranger_can_blame_nobody() -> None:
    async def scenario() -> None:
        async with attacked() as (net, _):
            for n in range(1_000):
                net.nodes["cc"].blame(f"nobody-{n}", "malformed")
            assert net.nodes["cc"].standings() == {}
            assert build_hello(CHAIN, "aa")[:HEAD_BYTES] == bytes(HEAD_BYTES)

    asyncio.run(scenario())
