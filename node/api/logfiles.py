"""The log for strangers: checkpoint and tiles as C2SP tlog-tiles lays them out, open to all; entries with a token.

Knows paths, cache times and how often an address may ask. Must not know hashes: node.witnessing.log checks what it
hands out. Must always hold: a resource has one spelling, what is immutable is said to be, and what is not final or not
there is 404 at once.
"""

from typing import Annotated, Final

from fastapi import FastAPI, Path
from starlette.requests import Request
from starlette.responses import Response

from ledger.checkpoints import note_key, origin_of
from ledger.errors import InvalidProof
from ledger.logtiles import TILE_WIDTH, parse_tile_number
from ledger.notes import encode_note
from node.api.answers import answer
from node.api.port import NodePort
from node.api.problems import ApiError
from node.api.ratelimit import RateLimit
from node.witnessing.collector import NOT_WITNESSED

NOTE_TYPE: Final = "text/plain; charset=utf-8"
TILE_TYPE: Final = "application/octet-stream"
SHORT: Final = "public, max-age=1, must-revalidate"
IMMUTABLE: Final = "public, max-age=31536000, immutable"
IMMUTABLE_PRIVATE: Final = "private, max-age=31536000, immutable"
WITNESSES: Final = "X-Claimnode-Witnesses"
"""How many configured witnesses cosigned the answer, or NOT WITNESSED: a note itself must not carry such a line."""
PER_SECOND: Final = 50.0
"""Of one address, after a burst of BURST: a monitor that follows a busy log asks a few times a second."""
BURST: Final = 500.0
"""A monitor that starts reads a tile for every 256 entries, and this many at once."""

Number = Annotated[str, Path(max_length=64)]


def add_routes(app: FastAPI, node: NodePort) -> None:
    """Add this module's routes to the application."""
    limit = RateLimit(PER_SECOND, BURST, node.clock.monotonic_ms)

    @app.get("/checkpoint", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def show_checkpoint(request: Request) -> Response:
        """The log's size and root as a signed note (C2SP tlog-checkpoint), with the cosignatures of witnesses."""
        limit.check(request)
        note, count = node.witnesses.published()
        short = count < node.witnesses.required
        headers = {"Cache-Control": SHORT, WITNESSES: f"{NOT_WITNESSED} ({count})" if short else str(count)}
        return Response(encode_note(note), 200, headers, NOTE_TYPE)

    @app.get("/tile/entries/{number:path}", response_class=Response, responses={200: {"content": {TILE_TYPE: {}}}})
    async def show_entries(request: Request, number: Number) -> Response:
        """An entry bundle: each log entry behind its length in two bytes, big-endian."""
        index, width = _place(request, number)
        return Response(node.published.bundle(index, width), 200, {"Cache-Control": IMMUTABLE_PRIVATE}, TILE_TYPE)

    @app.get("/tile/{level}/{number:path}", response_class=Response, responses={200: {"content": {TILE_TYPE: {}}}})
    async def show_tile(request: Request, level: Annotated[str, Path(max_length=2)], number: Number) -> Response:
        """A tile of the log: up to 256 hashes of 32 bytes."""
        limit.check(request)
        index, width = _place(request, number)
        if not (level.isascii() and level.isdigit()) or str(int(level)) != level or int(level) > 63:
            raise _no_tile()
        return Response(node.published.tile(int(level), index, width), 200, {"Cache-Control": IMMUTABLE}, TILE_TYPE)

    @app.get("/v1/keys")
    async def show_keys() -> Response:
        """The log's origin, and the verifier key of each participant's node as the genesis binds it."""
        state = node.chain.final
        return answer(
            {
                "origin": origin_of(node.network, state.chain),
                "nodes": {
                    member.id: note_key(node.network, state.chain, bytes.fromhex(member.note_key)).vkey
                    for member in node.genesis.participants
                },
                "witnesses": list(node.witnesses.vkeys),
                "required": node.witnesses.required,
            }
        )


def _place(request: Request, number: str) -> tuple[int, int]:
    """(index, width) of a path that is spelt as it must be. Raises ApiError 404."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    try:
        index, width = parse_tile_number(number)
    except InvalidProof:
        raise _no_tile() from None
    if b"%" in raw or width > TILE_WIDTH:
        raise _no_tile()
    return index, width


def _no_tile() -> ApiError:
    return ApiError(404, "unknown_tile", "no tile has this path; each has one spelling (C2SP tlog-tiles)")
