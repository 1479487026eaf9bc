"""Signed transactions in, outcomes out.

A body is one transaction, a JSON array of them, or one a line (NDJSON). The exact bytes of each are handed on:
nothing is decoded and written again on the way, so what was signed is what is ordered. Must not know what a
transaction means.
"""

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from ledger.errors import LedgerError
from node.api.answers import Id, Wait, answer, outcome_view
from node.api.port import NodePort
from node.api.problems import ApiError, not_found
from node.errors import NodeError, Unavailable

MAX_BATCH: Final = 1_000
"""Transactions of one request: half a block."""
_array: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])


def add_routes(app: FastAPI, node: NodePort) -> None:
    """Add this module's routes to the application."""

    @app.post("/v1/transactions", status_code=202)
    async def submit(request: Request, wait: Wait = 0) -> Response:
        """One signed transaction (object), or a batch (array or NDJSON) with one result each."""
        body = await request.body()
        if body[:1] == b"{" and b"\n" not in body.rstrip(b"\n"):
            tx_id = await node.submit_bytes(body.rstrip(b"\n"))
            return await respond(node, tx_id, wait)
        results = [await _submit_one(node, item) for item in split_batch(body)]
        return answer({"results": results}, 202)

    @app.get("/v1/transactions/{tx_id}")
    async def show(tx_id: Id) -> Response:
        """Where a transaction stands; its receipt once it is final."""
        outcome = node.chain.transaction(tx_id)
        if outcome is not None:
            return answer(outcome_view(outcome))
        if node.is_pending(tx_id):
            return answer({"tx_id": tx_id, "status": "pending"})
        raise not_found("transaction")


async def respond(node: NodePort, tx_id: str, wait_s: int, **more: Any) -> Response:
    """The answer to a submission: its outcome if it becomes final within the wait, else where to ask."""
    if wait_s:
        try:
            outcome = await node.outcome(tx_id, wait_s)
        except Unavailable as error:
            if error.code != "pending":
                raise
        else:
            return answer({**outcome_view(outcome), **more})
    return answer({"tx_id": tx_id, "status": "pending", **more}, 202)


def split_batch(body: bytes) -> list[bytes]:
    """The exact bytes of each transaction. Raises ApiError 400 `json`, 413 `too_many`."""
    text = body.strip()
    if text[:1] == b"[":
        try:
            items = [bytes(item) for item in _array.decode(text)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ApiError(400, "json", "the body is no JSON array of transactions") from None
    else:
        items = [line for line in text.split(b"\n") if line]
    if not items:
        raise ApiError(400, "json", "send a transaction, an array of them, or one a line")
    if len(items) > MAX_BATCH:
        raise ApiError(413, "too_many", f"{len(items)} transactions, at most {MAX_BATCH} in one request")
    return items


async def _submit_one(node: NodePort, data: bytes) -> dict[str, Any]:
    try:
        return {"tx_id": await node.submit_bytes(data), "code": "accepted"}
    except (LedgerError, NodeError) as error:
        return {"tx_id": None, "code": error.code, "detail": error.detail}
