"""Snapshots for a node that begins: which there are, their manifests, their chunks.

Knows the shelf and how much is read at a time. Must not know what a snapshot holds. Always true: what is served is what
every member sees anyway (final state, no documents, no keys), and who fetches believes none of it unchecked.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from fastapi import FastAPI, Path
from starlette.responses import Response

from node.api.answers import answer
from node.api.ledger import Height
from node.api.port import NodePort
from node.api.problems import not_found
from node.errors import SnapshotRefused
from node.snapshots.manifest import MAX_CHUNKS

AT_ONCE: Final = 4
"""Chunks read and held in memory at the same time (48 MB); further requests wait their turn within their 60 seconds."""
CHUNK_TYPE: Final = "application/vnd.claimnode.chunk"
Number = Annotated[int, Path(ge=0, lt=MAX_CHUNKS)]


def add_routes(app: FastAPI, node: NodePort) -> None:
    """Add this module's routes to the application."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def read(get: Callable[..., bytes], *place: int) -> bytes:
        async with gate:
            try:
                return await asyncio.to_thread(get, *place)
            except SnapshotRefused:
                raise not_found("snapshot") from None

    @app.get("/v1/snapshots")
    async def list_snapshots() -> Response:
        """The snapshots that this node keeps, the newest first: height, header_hash, rows, chunks, bytes."""
        held = await asyncio.to_thread(node.shelf.listed)
        return answer({"snapshots": msgspec.to_builtins(held)})

    @app.get("/v1/snapshots/{height}/manifest")
    async def show_manifest(height: Height) -> Response:
        """The manifest of one snapshot: header, certificate, ends of epochs, the hash of each chunk."""
        return Response(await read(node.shelf.manifest, height), media_type="application/json")

    @app.get("/v1/snapshots/{height}/chunks/{number}")
    async def show_chunk(height: Height, number: Number) -> Response:
        """One chunk by its number in the manifest, from 0."""
        return Response(await read(node.shelf.chunk, height, number), media_type=CHUNK_TYPE)
