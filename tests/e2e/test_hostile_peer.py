"""Three of four validators as real processes; the fourth's keys are a traitor's, and strangers call as well.

After each attack the network makes a transaction final on every node, states agree, and no process has ended or
written a traceback. One cluster serves all attacks: what one of them breaks, a later one finds.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import aiohttp
import pytest

from consensus.messages import VoteCast
from consensus.messages import encode_message as encode_consensus
from contracts.genesis import genesis_hash
from ledger.certificates import Vote
from ledger.crypto.keys import generate_tls_identity
from ledger.encoding import encode
from ledger.parts import join_parts
from ledger.transactions import SignedTransaction, build_transaction
from node.ordering import blocksync
from node.peers import Lane
from node.peers.certificates import client_context
from node.peers.frames import encode_message, encode_request
from tests.support.cluster import NETWORK, policy_body
from tests.support.peer_network import traitor
from tests.support.processes import ProcessCluster, running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

TRAITOR = "commission-2"
"""The smallest id: the others are dialled by it, so its key gets it in."""
HONEST = ("hospital-0", "insurer-1", "tpa-3")
TARGET = "hospital-0"
FINAL_S = 30
"""Bound of every wait; a sound network takes a fraction of a second."""
Attack = Callable[[ProcessCluster, aiohttp.ClientWebSocketResponse], Awaitable[None]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    with running(tmp_path_factory.mktemp("hostile"), validators=4, peers="ban_max_s = 1") as started:
        started.nodes[TRAITOR].kill()
        del started.nodes[TRAITOR]
        check_alive(started)
        yield started


def signed_policy(cluster: ProcessCluster) -> SignedTransaction:
    identity = cluster.network.identities["insurer-1"]
    return build_transaction(
        network=NETWORK,
        kind="policy.commit",
        body=policy_body("insurer-1", "tpa-3"),
        author="insurer-1",
        key_id=identity.key_id,
        seed=identity.signing.secret,
        nonce=os.urandom(16).hex(),
        expires_time=time.time_ns() // 1_000_000 + 600_000,
    )


def check_alive(cluster: ProcessCluster) -> None:
    """A new transaction becomes final at every honest node, with one state root, and nobody fell over."""
    signed = signed_policy(cluster)
    status, answer = cluster.request(TARGET, "POST", f"/v1/transactions?wait={FINAL_S}", signed.encoded)
    assert (status, answer["status"]) == (200, "final"), answer
    assert answer["receipt"]["code"] == "ok"
    roots = set()
    for name in HONEST:
        path = f"/v1/transactions/{signed.tx_id}"
        wait_until(
            lambda name=name, path=path: cluster.request(name, "GET", path)[1].get("status") == "final",
            FINAL_S,
            lambda name=name: name,
        )
        roots.add(cluster.request(name, "GET", f"/v1/blocks/{answer['height']}")[1]["header"]["state_root"])
    assert len(roots) == 1
    for name in HONEST:
        node = cluster.nodes[name]
        assert node.process.poll() is None, node.log.read_text()[-4000:]
        assert "Traceback" not in node.log.read_text()


def refusals(cluster: ProcessCluster, name: str = TARGET) -> set[str]:
    """Codes of the log lines about refused connections and blamed peers."""
    lines = (json.loads(line) for line in cluster.nodes[name].log.read_text().splitlines() if line.startswith("{"))
    return {str(line.get("code") or line.get("reason")) for line in lines if "peer" in line.get("event", "")}


def check_refused(cluster: ProcessCluster, code: str) -> None:
    """The refusal is logged; the node may write it just after the stranger saw its connection end."""
    wait_until(lambda: code in refusals(cluster), FINAL_S, lambda: refusals(cluster))


def peer_port(cluster: ProcessCluster) -> int:
    return cluster.network.ports[TARGET]


@contextlib.asynccontextmanager
async def let_in(cluster: ProcessCluster) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A link under the traitor's key, as soon as the ban for its last attack is over."""
    identity = cluster.network.identities[TRAITOR].transport
    async with asyncio.timeout(FINAL_S), contextlib.AsyncExitStack() as stack:
        while True:
            try:
                entered = traitor(peer_port(cluster), identity, TRAITOR, genesis_hash(cluster.network.genesis))
                socket = await stack.enter_async_context(entered)
                break
            except (aiohttp.ClientError, ConnectionError, TypeError):  # TypeError: the link ends before the hello
                await asyncio.sleep(0.1)  # another process counts the seconds of the ban
        yield socket


async def say(port: int, data: bytes, identity_context: object = None) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=identity_context)  # type: ignore[arg-type]
    writer.write(data)
    async with asyncio.timeout(FINAL_S):
        try:
            await reader.read()
        except OSError:
            return
        finally:
            writer.transport.abort()


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nHost: node\r\n\r\n", os.urandom(4_096), b"\x16\x03\x01\x02\x00\x01"]
)
def test_strangers_without_tls(cluster: ProcessCluster, data: bytes) -> None:
    asyncio.run(say(peer_port(cluster), data))
    check_refused(cluster, "tls")
    check_alive(cluster)


def test_a_stranger_with_a_key_of_its_own(cluster: ProcessCluster) -> None:
    asyncio.run(say(peer_port(cluster), b"", client_context(generate_tls_identity(TRAITOR))))
    check_refused(cluster, "unknown_certificate")
    check_alive(cluster)


def test_a_member_of_another_network(cluster: ProcessCluster) -> None:
    """O10: the same keys, another genesis."""

    async def call() -> None:
        identity = cluster.network.identities[TRAITOR].transport
        async with traitor(peer_port(cluster), identity, TRAITOR, b"\x02" * 32) as socket:
            assert (await socket.receive(FINAL_S)).extra == "wrong_network"

    asyncio.run(call())
    check_alive(cluster)


def test_a_hundred_connections_of_one_member(cluster: ProcessCluster) -> None:
    """X4: the surplus is refused, the network goes on."""

    async def call() -> None:
        context = client_context(cluster.network.identities[TRAITOR].transport)
        held = [await asyncio.open_connection("127.0.0.1", peer_port(cluster), ssl=context) for _ in range(100)]
        await asyncio.to_thread(check_alive, cluster)
        for _, writer in held:
            writer.transport.abort()

    asyncio.run(call())
    check_refused(cluster, "too_many_links")


async def send_garbage(cluster: ProcessCluster, socket: aiohttp.ClientWebSocketResponse) -> None:
    for size in range(200):
        await socket.send_bytes(encode_message(Lane.CONSENSUS, os.urandom(size)))
        await socket.send_bytes(encode_message(Lane.GOSSIP, os.urandom(size)))


async def send_unsigned_votes(cluster: ProcessCluster, socket: aiohttp.ClientWebSocketResponse) -> None:
    """Well-formed votes of every validator whose signatures are noise: each costs a verification at most."""
    for view in range(5_000):
        vote = Vote(
            kind="notarize",
            epoch=1,
            view=view + 1,
            parent_view=view,
            digest=os.urandom(32).hex(),
            signer=view % 4,
            signature=os.urandom(64).hex(),
        )
        await socket.send_bytes(encode_message(Lane.CONSENSUS, encode_consensus(VoteCast(vote))))


async def send_bad_transactions(cluster: ProcessCluster, socket: aiohttp.ClientWebSocketResponse) -> None:
    good = signed_policy(cluster).encoded
    forged = good.replace(b'"signature":"', b'"signature":"00', 1)[:-4] + good[-2:]
    broken = bytearray(good)
    broken[len(broken) // 2] ^= 1
    batch = join_parts([forged, bytes(broken), b"", b"{}", os.urandom(500), good[:-1]])
    for _ in range(200):
        await socket.send_bytes(encode_message(Lane.GOSSIP, batch))


async def ask_and_never_read(cluster: ProcessCluster, socket: aiohttp.ClientWebSocketResponse) -> None:
    for number in range(2_000):
        await socket.send_bytes(encode_request(number + 1, blocksync.METHOD, encode({"after": 0})))
        await socket.send_bytes(encode_request(number + 1, "no.such.method", b""))


async def ask_nonsense(cluster: ProcessCluster, socket: aiohttp.ClientWebSocketResponse) -> None:
    for payload in (b"", b"\xff" * 100, b'{"after":-1}', b'{"after":9007199254740991}', b"[" * 200):
        await socket.send_bytes(encode_request(1, blocksync.METHOD, payload))
        assert len(await socket.receive_bytes(timeout=FINAL_S)) >= 6


async def send_oversize(cluster: ProcessCluster, socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_bytes(encode_message(Lane.CONSENSUS, bytes(17 * 2**20)))


async def send_bomb(cluster: ProcessCluster, socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_bytes(bytes(50 * 2**20), compress=15)


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        (send_garbage, "malformed"),
        (send_unsigned_votes, "impersonation"),
        (send_bad_transactions, "gossip_bad_signature"),
        (ask_nonsense, None),
        (ask_and_never_read, "stalled"),
        (send_oversize, "too_large"),
        (send_bomb, "bad_frame"),
    ],
)
def test_a_traitor_among_the_validators(cluster: ProcessCluster, attack: Attack, code: str | None) -> None:
    """X1 X3 B18: garbage, floods, bombs and questions from a member's own key."""

    async def betray() -> None:
        async with let_in(cluster) as socket:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):  # the target may end the link during it
                await attack(cluster, socket)
            await asyncio.to_thread(check_alive, cluster)

    asyncio.run(betray())
    if code is not None:
        check_refused(cluster, code)


def test_the_member_comes_back_in_good_faith(cluster: ProcessCluster) -> None:
    """Runs last: the same keys in an honest process are a full member again."""
    cluster.start(TRAITOR)
    cluster.until_ready(TRAITOR)
    check_alive(cluster)
    height = cluster.request(TARGET, "GET", "/v1/status")[1]["height"]
    wait_until(lambda: cluster.request(TRAITOR, "GET", "/v1/status")[1]["height"] >= height, FINAL_S)
    assert set(cluster.request(TRAITOR, "GET", "/v1/status")[1]["peers"]) == set(HONEST)
