"""Links between honest nodes, over real TLS sockets on loopback."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import uvloop

from ledger.crypto.keys import generate_tls_identity
from ledger.errors import DecodeError
from node.peers import Lane, Member, PeerError, PeerLimits
from tests.support.peer_network import PeerNetwork, network, proxy, spki_of_identity, until


async def echo(peer: str, payload: bytes) -> bytes:
    return peer.encode() + b":" + payload


async def request_code(call: Awaitable[bytes]) -> str:
    with pytest.raises(PeerError) as caught:
        await call
    return caught.value.code


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_messages_carry_the_proven_sender(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        async with network("aa", "bb", "cc") as net:
            await net.linked("aa", "bb", "cc")
            await net.linked("bb", "cc")
            assert net.nodes["aa"].connected() == {"bb", "cc"}
            assert net.nodes["bb"].send("aa", Lane.CONSENSUS, b"vote")
            net.nodes["cc"].broadcast(Lane.GOSSIP, b"tx")
            assert set(await net.received("aa", 2)) == {("bb", Lane.CONSENSUS, b"vote"), ("cc", Lane.GOSSIP, b"tx")}
            assert await net.received("bb", 1) == [("cc", Lane.GOSSIP, b"tx")]

    run(scenario())


def test_a_large_message_arrives_whole_and_an_over_large_one_is_our_own_fault() -> None:
    async def scenario() -> None:
        async with network("aa", "bb") as net:
            await net.linked("aa", "bb")
            block = bytes(range(256)) * 8_192
            net.nodes["aa"].send("bb", Lane.CONSENSUS, block)
            assert (await net.received("bb", 1))[0][2] == block
            with pytest.raises(PeerError) as caught:
                net.nodes["aa"].send("bb", Lane.CONSENSUS, b"\0" * PeerLimits().message_bytes)
            assert caught.value.code == "too_large"

    asyncio.run(scenario())


def test_requests_and_their_refusals() -> None:
    async def damaged(peer: str, payload: bytes) -> bytes:
        raise DecodeError("json", "not for the eyes of the other end")

    async def broken(peer: str, payload: bytes) -> bytes:
        raise ZeroDivisionError

    async def scenario() -> None:
        async with network("aa", "bb", start=False) as net:
            later = net.build("bb")
            later.register("echo", echo)
            later.register("damaged", damaged)
            later.register("broken", broken)
            later.register("never", lambda peer, payload: asyncio.get_running_loop().create_future())
            await net.start(later, "bb")
            await net.start_all()
            await net.linked("aa", "bb")
            one = net.nodes["aa"]
            assert await one.request("bb", "echo", b"hello") == b"aa:hello"
            assert await asyncio.gather(*(one.request("bb", "echo", b"%d" % n) for n in range(10))) == [
                b"aa:%d" % n for n in range(10)
            ]
            assert await request_code(one.request("bb", "damaged", b"")) == "json"
            assert await request_code(one.request("bb", "broken", b"")) == "failed"
            assert await request_code(one.request("bb", "nothing", b"")) == "unknown_method"
            assert await request_code(one.request("bb", "never", b"", timeout_s=0.01)) == "timeout"
            assert await request_code(one.request("aa", "echo", b"")) == "unknown_peer"
            assert await request_code(one.request("zz", "echo", b"")) == "unknown_peer"
            assert await one.request("bb", "echo", b"still") == b"aa:still"

    asyncio.run(scenario())


def test_requests_under_way_are_bounded_at_both_ends() -> None:
    limits = replace(PeerLimits(), pending_requests=3, served_requests=2)

    async def scenario() -> None:
        release = asyncio.Event()

        async def slow(peer: str, payload: bytes) -> bytes:
            await release.wait()
            return payload

        async with network("aa", "bb", limits=limits, start=False) as net:
            later = net.build("bb")
            later.register("slow", slow)
            await net.start(later, "bb")
            await net.start_all()
            await net.linked("aa", "bb")
            tasks = [asyncio.create_task(net.nodes["aa"].request("bb", "slow", b"%d" % n)) for n in range(4)]
            done, _ = await asyncio.wait(tasks[2:])
            assert [task.exception().code for task in done] == ["busy", "busy"]  # type: ignore[union-attr]
            release.set()
            assert await asyncio.gather(*tasks[:2]) == [b"0", b"1"]
            assert await net.nodes["aa"].request("bb", "slow", b"again") == b"again"

    asyncio.run(scenario())


def test_a_node_asks_one_peer_only_so_much_at_once() -> None:
    async def scenario() -> None:
        asked = 0
        release = asyncio.Event()

        async def slow(peer: str, payload: bytes) -> bytes:
            nonlocal asked
            asked += 1
            await release.wait()
            return payload

        async with network("aa", "bb", limits=replace(PeerLimits(), pending_requests=3), start=False) as net:
            later = net.build("bb")
            later.register("slow", slow)
            await net.start(later, "bb")
            await net.start_all()
            await net.linked("aa", "bb")
            tasks = [asyncio.create_task(net.nodes["aa"].request("bb", "slow", b"")) for _ in range(3)]
            await until(lambda: asked == 3)
            assert await request_code(net.nodes["aa"].request("bb", "slow", b"")) == "busy"
            release.set()
            await asyncio.gather(*tasks)
            assert asked == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_an_edge_participant_dials_through_a_proxy(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        async with proxy() as (address, asked), network("aa", edges=["zz"], start=False) as net:
            await net.start(net.build("aa"), "aa")
            await net.start(net.build("zz", proxy=address), "zz")
            await net.linked("zz", "aa")
            net.nodes["zz"].send("aa", Lane.GOSSIP, b"through it")
            assert await net.received("aa", 1) == [("zz", Lane.GOSSIP, b"through it")]
            assert asked == [f"CONNECT 127.0.0.1:{net.nodes['aa'].port} HTTP/1.1"]

    run(scenario())


def test_one_link_for_each_pair_dialled_by_the_smaller_id() -> None:
    async def scenario() -> None:
        async with network("aa", "bb", start=False) as net:
            await net.start(net.build("bb"), "bb")
            await net.start(net.build("aa"), "aa")
            await net.linked("aa", "bb")
            net.nodes["bb"].set_members(net.members())  # now it knows the address of aa, and still does not dial
            await net.linked("aa", "bb")
            assert "refused_not_dialler" not in net.nodes["aa"].stats()
            assert net.nodes["aa"].stats()["links"] == net.nodes["bb"].stats()["links"] == 1

    asyncio.run(scenario())


def test_an_edge_participant_dials_out_and_is_asked_down_the_same_link() -> None:
    async def scenario() -> None:
        async with network("aa", "bb", edges=["zz"], start=False) as net:
            hospital = net.build("zz")
            await net.start(net.build("bb"), "bb")
            await net.start(net.build("aa"), "aa")
            hospital = net.build("zz")
            hospital.register("echo", echo)
            await net.start(hospital, "zz")
            await net.linked("zz", "aa", "bb")
            assert hospital.port == 0
            assert await net.nodes["aa"].request("zz", "echo", b"record") == b"aa:record"

    asyncio.run(scenario())


@pytest.mark.parametrize("restarted", ["aa", "bb"])
def test_a_restarted_node_is_linked_again(restarted: str) -> None:
    async def scenario() -> None:
        async with network("aa", "bb") as net:
            await net.linked("aa", "bb")
            other = "bb" if restarted == "aa" else "aa"
            port = net.nodes[restarted].port
            await net.nodes[restarted].stop()
            await net.nodes[other].wait_disconnected([restarted])
            assert await request_code(net.nodes[other].request(restarted, "x", b"")) == "unreachable"
            assert not net.nodes[other].send(restarted, Lane.GOSSIP, b"lost")
            await net.start(net.build(restarted, port=port), restarted)
            await net.linked("aa", "bb")

    asyncio.run(scenario())


def test_pending_requests_end_with_the_link() -> None:
    async def scenario() -> None:
        async with network("aa", "bb", start=False) as net:
            later = net.build("bb")
            asked = asyncio.Event()

            async def never(peer: str, payload: bytes) -> bytes:
                asked.set()
                await asyncio.Event().wait()
                return b""

            later.register("never", never)
            await net.start(later, "bb")
            await net.start_all()
            await net.linked("aa", "bb")
            task = asyncio.create_task(net.nodes["aa"].request("bb", "never", b""))
            await asked.wait()
            await later.stop()
            assert await request_code(task) == "unreachable"

    asyncio.run(scenario())


def test_a_member_that_leaves_or_changes_its_key_loses_its_link() -> None:
    async def scenario() -> None:
        async with network("aa", "bb", "cc") as net:
            await net.linked("aa", "bb", "cc")
            fresh = spki_of_identity(generate_tls_identity("bb"))
            kept = [member for member in net.members() if member.id == "aa"]
            net.nodes["aa"].set_members([*kept, Member("bb", fresh, net.members()[1].endpoint)])
            await net.nodes["aa"].wait_disconnected(["bb", "cc"])
            assert await request_code(net.nodes["aa"].request("cc", "x", b"")) == "unknown_peer"
            net.nodes["aa"].set_members(net.members())
            await net.linked("aa", "bb", "cc")

    asyncio.run(scenario())


def test_observers_see_every_frame_in_clear_both_ways() -> None:
    async def scenario() -> None:
        seen: list[tuple[str, str, bytes]] = []
        async with network("aa", "bb", start=False) as net:
            later = net.build("bb")
            later.register("echo", echo)
            later.add_observer(lambda direction, peer, frame: seen.append((direction, peer, frame)))
            await net.start(later, "bb")
            await net.start_all()
            await net.linked("aa", "bb")
            await net.nodes["aa"].request("bb", "echo", b"needle")
        assert {direction for direction, _, frame in seen if b"needle" in frame} == {"in", "out"}
        assert {peer for _, peer, _ in seen} == {"aa"}

    asyncio.run(scenario())


def test_a_receiver_that_finds_a_message_bad_keeps_the_link() -> None:
    def picky(peer: str, payload: bytes) -> None:
        raise DecodeError("json", "no")

    async def scenario() -> None:
        net = PeerNetwork(["aa", "bb"])
        try:
            later = net.build("bb")
            later._services.receivers[Lane.GOSSIP] = picky
            await net.start(later, "bb")
            await net.start_all()
            await net.linked("aa", "bb")
            net.nodes["aa"].send("bb", Lane.GOSSIP, b"?")
            net.nodes["aa"].send("bb", Lane.CONSENSUS, b"!")
            net.nodes["aa"].send("bb", Lane.GOSSIP, b"?")
            await until(lambda: later.stats().get("bad_messages") == 2)
            assert later.connected() == {"aa"}
        finally:
            await net.stop()

    asyncio.run(scenario())


def test_misuse_is_said_at_once() -> None:
    async def scenario() -> None:
        async with network("aa", "bb") as net:
            with pytest.raises(ValueError, match="lane"):
                net.nodes["aa"].on_message(Lane.GOSSIP, lambda peer, data: None)
            with pytest.raises(ValueError, match="method"):
                net.nodes["aa"].register("no spaces", echo)
            taken = net.build("bb", port=net.nodes["bb"].port)
            with pytest.raises(PeerError) as caught:
                await taken.start()
            assert caught.value.code == "listen"
            await taken.stop()

    asyncio.run(scenario())
