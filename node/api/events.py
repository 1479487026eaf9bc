"""Events of final blocks as Server-Sent Events, resumable without loss or duplicate.

One message is one final block that had events; its id is the height. A client that comes back with the last id it
has (header Last-Event-ID, or `after`) gets every later block exactly once: what it missed is read from the store.
Must not know what an event means.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Query
from starlette.requests import Request
from starlette.responses import StreamingResponse

from node.api.port import ChainPort, NodePort
from node.api.problems import ApiError
from node.outcomes import FinalBlock

MAX_STREAMS: Final = 100
"""Clients that listen at the same time; each costs a task and reads its own blocks."""
KEEP_ALIVE_S: Final = 15
"""A comment after this silence: proxies drop connections that say nothing for a minute."""
After = Annotated[int | None, Query(ge=0, le=2**53 - 1, description="height of the last block that was seen")]


def add_routes(app: FastAPI, node: NodePort) -> None:
    """Add this module's routes to the application."""
    listening: set[object] = set()

    @app.get("/v1/events")
    async def events(request: Request, after: After = None) -> StreamingResponse:
        """Events of final blocks above a height; without one, from now on."""
        if len(listening) >= MAX_STREAMS:
            raise ApiError(503, "too_many_streams", f"{MAX_STREAMS} clients listen already", {"Retry-After": "5"})
        start = _start(request, after, node.chain)
        mark = object()
        listening.add(mark)

        async def stream() -> AsyncIterator[bytes]:
            try:
                async for message in messages(node, start):
                    yield message
            finally:
                listening.discard(mark)

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def messages(node: NodePort, after: int) -> AsyncIterator[bytes]:
    """The stream: one message a block with events, a comment in silence."""
    yield f": from height {after}\n\n".encode()
    blocks = node.chain.subscribe(after)
    upcoming: asyncio.Task[FinalBlock] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(_next(blocks))
            done, _ = await asyncio.wait({upcoming}, timeout=KEEP_ALIVE_S)
            if not done:
                yield b": still here\n\n"
                continue
            block, upcoming = upcoming.result(), None
            if message := encode_message(block):
                yield message
    finally:
        if upcoming is not None:
            upcoming.cancel()


def encode_message(block: FinalBlock) -> bytes | None:
    """One block's events as a message; None for a block without any."""
    events: list[dict[str, Any]] = [
        {"topic": event.topic, "subject": event.subject, "tx_id": receipt.tx_id}
        for receipt in block.receipts
        for result in receipt.results
        for event in result.events
    ]
    if not events:
        return None
    data = msgspec.json.encode({"height": block.height, "time_ms": block.header.time_ms, "events": events})
    return b"id: %d\nevent: block\ndata: %s\n\n" % (block.height, data)


async def _next(blocks: AsyncIterator[FinalBlock]) -> FinalBlock:
    return await anext(blocks)


def _start(request: Request, after: int | None, chain: ChainPort) -> int:
    chosen = _named(request, after, chain.final.height)
    if chosen < chain.final.height:
        chain.block_at(chosen + 1)  # refuses a height whose blocks were pruned
    return chosen


def _named(request: Request, after: int | None, height: int) -> int:
    """The header wins: a browser sends it when it reconnects, with the same URL as before. Raises ApiError `cursor`."""
    last = request.headers.get("last-event-id", "")
    chosen = int(last) if last.isascii() and last.isdigit() and len(last) <= 16 else after
    if chosen is None:
        return height
    if chosen > height:
        raise ApiError(400, "cursor", f"height {chosen} is not final yet; the last one is {height}")
    return chosen
