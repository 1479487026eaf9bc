"""Snapshots over HTTP: a real server on a port of its own, sources that die midway, and answers that are too large."""

import asyncio
import contextlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import claimnode
from contracts.execution import genesis_state
from node.api.app import Api
from node.api.server import serving
from node.api.tokens import TOKEN_NAME, Tokens
from node.errors import SnapshotRefused
from node.snapshots.download import Download
from node.snapshots.restore import fetch, join_from
from node.snapshots.shelf import Shelf
from node.snapshots.sources import FolderSource, ServedSource
from tests.support.api_node import MemoryNode, MemoryRoles, make_token
from tests.support.chain_world import policy
from tests.support.network_builder import Network
from tests.support.snapshot_world import FinalWorld, final_world, open_joined


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FinalWorld]:
    """Two snapshots on the shelf, of heights 1 and 3, in several chunks each."""
    monkeypatch.setattr("node.snapshots.chunks.CHUNK_BYTES", 1_000)
    made = final_world(tmp_path)
    made.grow(policy())
    (tmp_path / "shelf").mkdir()
    made.snapshot("shelf/1")
    made.grow(policy(), policy())
    made.grow(policy(), policy())
    made.snapshot("shelf/3")
    yield made
    made.close()


@contextlib.contextmanager
def served_node(shelf: Path, tokens: Path) -> Iterator[str]:
    """The whole interface of a node with this shelf, on a free port, in a thread."""
    ready, ending = threading.Event(), threading.Event()
    found: list[str] = []

    async def serve() -> None:
        node = MemoryNode(Network())
        node.shelf = Shelf(shelf)
        async with serving(Api(node, MemoryRoles(), Tokens(tokens / TOKEN_NAME)).app, "127.0.0.1", 0) as port:
            found.append(f"http://127.0.0.1:{port}")
            ready.set()
            await asyncio.to_thread(ending.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(20)
        yield found[0]
    finally:
        ending.set()
        thread.join(20)


@contextlib.contextmanager
def plain_server(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


def _node_folder(folder: Path, world: FinalWorld) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "node.toml").write_text('participant = "insurer-1"\n')
    (folder / "genesis.json").write_bytes(world.network.genesis)
    return folder


def test_a_node_joins_from_another_nodes_interface(world: FinalWorld, tmp_path: Path) -> None:
    """The newest by address, another one by height; tokens from files, one for each node."""
    make_token(tmp_path, "ledger", name="ledger")
    token = ("--token-file", str(tmp_path / "ledger.token"))
    with served_node(tmp_path / "shelf", tmp_path) as url:
        for name, place, height in (("newest", url, 3), ("older", f"{url}/v1/snapshots/1", 1)):
            folder = _node_folder(tmp_path / name, world)
            done = CliRunner().invoke(claimnode, ["node", "join", str(folder), "--snapshot", place, *token, "--json"])
            assert done.exit_code == 0, done.output
            assert json.loads(done.output)["height"] == height
        refused = CliRunner().invoke(claimnode, ["node", "join", str(folder), "--snapshot", url, "--json"])
        assert "source" in refused.output
        odd = CliRunner().invoke(claimnode, ["node", "join", str(folder), "--snapshot", "x", *token, "--json"])
        assert "tokens" in odd.output
    joined = open_joined(tmp_path / "newest" / "data", world)
    assert joined.chain.final.header_hash == world.chain.final.header_hash
    joined.close()


def test_the_list_of_what_is_served(world: FinalWorld, tmp_path: Path) -> None:
    token = make_token(tmp_path, "ledger", name="ledger")
    (tmp_path / "shelf" / ".4.partial").mkdir()
    (tmp_path / "shelf" / "7").mkdir()
    with served_node(tmp_path / "shelf", tmp_path) as url:
        get = Download(url, token).get
        listed = json.loads(get("/v1/snapshots", 10_000))["snapshots"]
        assert [item["height"] for item in listed] == [3, 1]
        assert listed[0]["header_hash"] == world.chain.final.header_hash.hex()
        with pytest.raises(SnapshotRefused, match="404"):
            get("/v1/snapshots/2/manifest", 10_000)
        with pytest.raises(SnapshotRefused, match="404"):
            get("/v1/snapshots/3/chunks/99", 10_000)
        with pytest.raises(SnapshotRefused, match="400"):
            get("/v1/snapshots/3/chunks/-1", 10_000)
        with pytest.raises(SnapshotRefused, match="403"):
            Download(url, make_token(tmp_path, "read", name="read")).get("/v1/snapshots", 10_000)


class _Dying:
    """A source that serves what another does, until it has given so many chunks."""

    def __init__(self, below: ServedSource | FolderSource, chunks: int) -> None:
        self._below, self._left, self.given = below, chunks, 0

    def manifest(self, begun: int | None = None) -> bytes:
        return self._below.manifest(begun)

    def chunk(self, number: int) -> bytes:
        if self.given >= self._left:
            raise SnapshotRefused("source", "gone")
        self.given += 1
        return self._below.chunk(number)


def test_the_next_source_goes_on_where_one_died(world: FinalWorld, tmp_path: Path) -> None:
    """The second node has a newer snapshot besides: chunks that came are used, so it is asked for the same height."""
    token = make_token(tmp_path, "ledger", name="ledger")
    (tmp_path / "new" / "joining").mkdir(parents=True)
    start = genesis_state(world.network.genesis)
    count = len(json.loads((tmp_path / "shelf" / "1" / "manifest.json").read_bytes())["chunks"])
    assert count >= 2
    with served_node(tmp_path / "shelf", tmp_path) as url:
        dying = _Dying(ServedSource(Download(url, token).get, 1), 1)
        with pytest.raises(SnapshotRefused, match="gone"):  # the first attempt, which had one source
            fetch([dying], start, tmp_path / "new" / "joining", 0)
        second = _Dying(ServedSource(Download(url, token).get), 1_000)
        restored = join_from([second], world.network.genesis, tmp_path / "new")
        assert restored.height == 1
        assert (dying.given, second.given) == (1, count - 1)
        shutil.rmtree(tmp_path / "new" / "data", ignore_errors=True)
        gone = _Dying(ServedSource(Download(url, token).get, 3), 1)
        last = _Dying(ServedSource(Download(url, token).get), 1_000)
        assert join_from([gone, last], world.network.genesis, tmp_path / "new").height == 3
        assert last.given == len(json.loads((tmp_path / "shelf" / "3" / "manifest.json").read_bytes())["chunks"]) - 1


def test_answers_are_read_up_to_their_bounds(tmp_path: Path) -> None:
    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"[" * 65_536)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Short(Endless):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"{}")

    class Elsewhere(Endless):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()

    class Listing(Endless):
        def do_GET(self) -> None:
            body = json.dumps({"snapshots": [{"height": 1}] * 101}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    for handler, said in ((Endless, "more than"), (Short, "IncompleteRead"), (Elsewhere, "302"), (Listing, "no list")):
        with plain_server(handler) as url, pytest.raises(SnapshotRefused, match=said) as caught:
            ServedSource(Download(url).get).manifest()
        assert caught.value.code == "source"
    with pytest.raises(SnapshotRefused, match="does not answer"):
        ServedSource(Download("http://127.0.0.1:1", timeout_s=5).get).manifest()
    for odd in ("ftp://x", "http://", "http://user:pw@x", "http://x:99999", "http://x?a=b"):
        with pytest.raises(SnapshotRefused, match="no address"):
            Download(odd)


def test_chunks_that_do_not_fit_are_not_asked_for(
    world: FinalWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new" / "joining").mkdir(parents=True)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("node.snapshots.restore.shutil.disk_usage", lambda _: usage._replace(free=1_000))
    source = _Dying(FolderSource(tmp_path / "shelf" / "3"), 1_000)
    with pytest.raises(SnapshotRefused) as caught:
        join_from([source], world.network.genesis, tmp_path / "new")
    assert (caught.value.code, source.given) == ("space", 0)
