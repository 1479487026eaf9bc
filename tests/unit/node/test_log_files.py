"""The published log: checkpoint, tiles and bundles, their spellings and bounds, and that damage never leaves."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ledger.bundles import decode_entries
from ledger.checkpoints import note_key, parse_checkpoint
from ledger.errors import StoreError
from ledger.logtiles import node_reader, tile_path
from ledger.merkle import leaf_hash, root_at, root_of, verify_consistency
from ledger.notes import parse_note, parse_vkey, verify_note
from node.api import ratelimit
from node.api.app import Api
from node.api.logfiles import BURST
from node.api.tokens import TOKEN_NAME, Tokens
from node.errors import Unavailable
from node.witnessing.log import PublishedLog
from tests.support.api_node import MemoryNode, MemoryRoles, make_token
from tests.support.memory_log import MemoryLog
from tests.support.network_builder import Network

SEED = b"n" * 32
ENTRIES = [b"entry %d" % number for number in range(70_000)]


@pytest.fixture(scope="module")
def big() -> MemoryLog:
    return MemoryLog(ENTRIES)


def published(log: MemoryLog) -> PublishedLog:
    return PublishedLog(log, "claimnode.example/test/00", lambda: SEED)


Story = Callable[[MemoryNode, httpx2.AsyncClient, str], Coroutine[Any, Any, None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Story], None]:
    def run_story(story: Story) -> None:
        async def play() -> None:
            network = Network()
            network.wait(300)
            node = MemoryNode(network)
            api = Api(node, MemoryRoles(), Tokens(tmp_path / TOKEN_NAME))
            token = make_token(tmp_path)
            transport = httpx2.ASGITransport(app=api.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
                await story(node, client, token)

        asyncio.run(play())

    return run_story


def test_the_published_tiles_of_a_log_give_its_root(big: MemoryLog) -> None:
    """The example of C2SP tlog-tiles: 70,000 entries are 273 full tiles, partial ones of 112, 17 and 1."""
    log = published(big)
    size, root = big.head()
    assert [len(log.tile(0, 273, 112)) // 32, len(log.tile(1, 1, 17)) // 32, len(log.tile(2, 0, 1)) // 32] == [
        112,
        17,
        1,
    ]

    def tile(level: int, index: int) -> bytes:
        width = min(256, (size >> 8 * level) - 256 * index)
        return log.tile(level, index, width)

    assert root_at(size, node_reader(tile)) == root == root_of([leaf_hash(entry) for entry in ENTRIES])
    assert log.tile(0, 3, 5) == log.tile(0, 3)[: 5 * 32], "a partial tile outlives its checkpoint"


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [
        (0, 273, 113),
        (0, 273, 256),
        (0, 274, 1),
        (1, 1, 18),
        (2, 0, 2),
        (3, 0, 1),
        (7, 0, 1),
        (63, 0, 1),
        (0, 10**14, 1),
    ],
)
def test_what_the_log_has_not_reached_is_not_there(big: MemoryLog, level: int, index: int, width: int) -> None:
    with pytest.raises(StoreError) as caught:
        published(big).tile(level, index, width)
    assert caught.value.code == "unknown_tile"


def test_a_spoilt_tile_or_entry_is_never_served() -> None:
    log = MemoryLog(ENTRIES[:1000])
    for level, index, width in ((0, 1, 256), (0, 3, 232), (1, 0, 3)):
        good = log.tile(level, index)
        log.spoilt[level, index] = bytes((good[0] ^ 1,)) + good[1:]
        with pytest.raises(StoreError) as caught:
            published(log).tile(level, index, width)
        assert caught.value.code == "damaged", (level, index)
        del log.spoilt[level, index]
    log.items[300] = b"another"
    with pytest.raises(StoreError) as caught:
        published(log).bundle(1)
    assert caught.value.code == "damaged"
    assert decode_entries(published(log).bundle(2)) == tuple(ENTRIES[512:768])


def test_consistency_between_two_published_sizes(big: MemoryLog) -> None:
    log, (size, root) = published(big), big.head()
    old = root_at(1234, node_reader(big.tile))
    verify_consistency(1234, size, old, root, log.consistency(1234, size))
    assert log.consistency(0, size) == ()


def test_a_node_without_the_registered_note_key_signs_nothing() -> None:
    log = PublishedLog(MemoryLog(ENTRIES[:3]), "o", lambda: None)
    with pytest.raises(Unavailable) as caught:
        log.checkpoint()
    assert caught.value.code == "note_key"
    with pytest.raises(Unavailable):
        published(MemoryLog()).checkpoint()


def test_the_checkpoint_is_open_to_all_and_verifies_against_the_genesis(run: Callable[[Story], None]) -> None:
    async def story(node: MemoryNode, client: httpx2.AsyncClient, token: str) -> None:
        response = await client.get("/checkpoint")
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert "max-age=1" in response.headers["cache-control"]
        note = parse_note(response.content)
        mine = next(item for item in node.genesis.participants if item.id == "insurer")
        key = note_key(node.network, node.net.state.chain, bytes.fromhex(mine.note_key))
        assert [item.key for item in verify_note(note, [key])] == [key]
        found = parse_checkpoint(note.text)
        assert (found.size, found.root) == (node.net.state.frontier.size, node.net.state.frontier.root)
        assert found.origin == key.name
        assert not found.extensions
        keys = (await client.get("/v1/keys", headers={"Authorization": f"Bearer {token}"})).json()
        assert parse_vkey(keys["nodes"]["insurer"]) == key
        assert keys["origin"] == found.origin

    run(story)


def test_tiles_and_bundles_over_http(run: Callable[[Story], None]) -> None:
    async def story(node: MemoryNode, client: httpx2.AsyncClient, token: str) -> None:
        node.log.head()
        node.log.add(ENTRIES[:600])
        full = await client.get("/" + tile_path(0, 1))
        assert full.headers["content-type"] == "application/octet-stream"
        assert "immutable" in full.headers["cache-control"]
        assert full.content == node.log.tile(0, 1)
        part = await client.get("/" + tile_path(0, 0, 17))
        assert part.content == node.log.tile(0, 0)[: 17 * 32]
        assert (await client.get("/tile/entries/001")).status_code == 401
        bundle = await client.get("/tile/entries/001", headers={"Authorization": f"Bearer {token}"})
        assert b"".join(map(leaf_hash, decode_entries(bundle.content))) == full.content
        assert "private" in bundle.headers["cache-control"]

    run(story)


@pytest.mark.parametrize(
    "path",
    [
        "/tile/0/1",
        "/tile/0/0001",
        "/tile/00/000",
        "/tile/-1/000",
        "/tile/0/000/",
        "/tile/0/000.p/0",
        "/tile/0/000.p/01",
        "/tile/0/000.p/256",
        "/tile/0/x000/000",
        "/tile/0/000%2Ep/3",
        "/tile/0/%30%30%30",
        "/tile/64/000",
        "/tile/0/x001/x234/067",
        "/tile/0/000",
        "/tile/8/0/000",
    ],
)
def test_other_spellings_and_missing_tiles_are_not_found(run: Callable[[Story], None], path: str) -> None:
    async def story(node: MemoryNode, client: httpx2.AsyncClient, token: str) -> None:
        node.log.head()
        node.log.add(ENTRIES[:100])
        response = await client.get(path)
        assert response.status_code == 404, path
        assert (await client.get("/tile/0/000.p/3")).status_code == 200

    run(story)


def test_an_address_that_asks_too_often_is_told_to_wait(run: Callable[[Story], None]) -> None:
    async def story(node: MemoryNode, client: httpx2.AsyncClient, token: str) -> None:
        node.log.head()
        node.log.add(ENTRIES[:100])
        answers = [(await client.get("/tile/0/000.p/3")).status_code for _ in range(int(BURST) + 2)]
        assert answers[: int(BURST)] == [200] * int(BURST)
        assert answers[-1] == 429
        other = httpx2.ASGITransport(app=client._transport.app, client=("10.0.0.9", 1))  # type: ignore[attr-defined]
        async with httpx2.AsyncClient(transport=other, base_url="http://node") as second:
            assert (await second.get("/checkpoint")).status_code == 200

    run(story)


def test_the_table_of_addresses_is_bounded() -> None:
    limit = ratelimit.RateLimit(1, 2, lambda: 0)
    for number in range(ratelimit.MAX_ADDRESSES + 10):
        request: Any = type("R", (), {"client": type("C", (), {"host": str(number)})})
        limit.check(request)
    assert len(limit._buckets) == ratelimit.MAX_ADDRESSES


def test_the_description_names_the_new_paths(run: Callable[[Story], None]) -> None:
    async def story(node: MemoryNode, client: httpx2.AsyncClient, token: str) -> None:
        described = (await client.get("/openapi.json", headers={"Authorization": f"Bearer {token}"})).json()
        assert {"/checkpoint", "/tile/{level}/{number}", "/tile/entries/{number}", "/v1/keys"} <= described[
            "paths"
        ].keys()
        assert list(described["paths"]["/checkpoint"]["get"]["responses"]["200"]["content"]) == ["text/plain"]

    run(story)
