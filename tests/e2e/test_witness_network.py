"""A real network, a real witness on its port: checkpoints cosigned over HTTP, read and proved by a stranger."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from cli.network_config import load_network_config
from cli.network_setup import create_network
from cli.witness import _node_keys
from ledger.checkpoints import parse_checkpoint
from ledger.logtiles import node_reader, tile_path
from ledger.merkle import root_at
from ledger.notes import parse_note, parse_vkey, verify_note
from node.api.server import serving
from node.assembly import assembled
from node.witnessing.server import witness_app
from node.witnessing.witness import Witness, create_witness
from tests.support.live_network import DEMO_CONFIG, READY_S, node_folders

pytestmark = pytest.mark.e2e


def test_a_stranger_reads_a_witnessed_log(tmp_path: Path) -> None:
    net, folder = tmp_path / "net", tmp_path / "w"
    create_network(load_network_config(DEMO_CONFIG), net, base_ms=None)
    keys = _node_keys(net / "genesis.json")
    vkey = create_witness(folder, "witness.example/w1", tuple(keys.values()))

    async def play() -> None:
        async with AsyncExitStack() as stack:
            app = witness_app(Witness(folder), lambda: int(time.time()))
            port = await stack.enter_async_context(serving(app, "127.0.0.1", 0))
            for name in ("hospital", "insurer"):
                config = net / name / "node.toml"
                part = (
                    f'\n[witness]\ninterval_s = 1\nwitnesses = [{{url = "http://127.0.0.1:{port}", vkey = "{vkey}"}}]\n'
                )
                config.write_text(config.read_text() + part)
            nodes = {
                path.name: await stack.enter_async_context(assembled(path, log=structlog.get_logger()))
                for path in node_folders(net)
            }
            session = await stack.enter_async_context(aiohttp.ClientSession())
            async with asyncio.timeout(READY_S):
                for name in ("hospital", "insurer"):
                    await _witnessed(session, nodes[name].api_url, keys[name], vkey)
                    assert "not_witnessed" not in nodes[name].node.status()["reasons"]
            async with session.get(nodes["tpa"].api_url + "/checkpoint") as answer:
                assert (answer.status, answer.headers["X-Claimnode-Witnesses"]) == (200, "0")

    asyncio.run(play())


async def _witnessed(session: aiohttp.ClientSession, url: str, log: str, witness: str) -> None:
    while True:
        async with session.get(url + "/checkpoint") as answer:
            data, count = await answer.read(), answer.headers.get("X-Claimnode-Witnesses")
        if answer.status == 200 and count == "1":
            break
        await asyncio.sleep(0.2)  # nodes cosign when they come to it; the caller's timeout bounds it
    note = parse_note(data)
    assert len(verify_note(note, [parse_vkey(log), parse_vkey(witness)])) == 2
    checkpoint = parse_checkpoint(note.text)
    tiles: dict[tuple[int, int], Any] = {}
    for level in range(3):
        there = checkpoint.size >> 8 * level
        for index in range(-(-there // 256)):
            async with session.get(f"{url}/{tile_path(level, index, min(256, there - 256 * index))}") as answer:
                assert answer.status == 200
                tiles[level, index] = await answer.read()
    assert root_at(checkpoint.size, node_reader(lambda level, index: tiles[level, index])) == checkpoint.root
