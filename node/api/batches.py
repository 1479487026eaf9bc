"""Batches between hospitals, reviewers and insurers, and what is owed on drawn guarantees.

Knows bodies of requests and the desk behind. Must not know commitments or parcels. Always true: a claim's amount is
shown under the scope `dossier` alone, and lists show sums of many.
"""

from typing import Annotated

from fastapi import FastAPI
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from contracts.holdbodies import MAX_LINES
from ledger.types import Count, Hex32, Millis, OrgId
from node.agents.messages import DrawOpening
from node.api.answers import DEFAULT_PAGE, Cursor, Id, Limit, Wait, answer, read_body
from node.api.port import NodePort, RolesPort
from node.api.transactions import respond

Text = Annotated[str, Meta(min_length=1, max_length=64)]


class SubmitRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Without `guarantees` all that are drawn and in no batch; without a period from the oldest draw until now."""

    insurer: OrgId
    reviewer: OrgId | None = None
    guarantees: Annotated[tuple[Hex32, ...], Meta(max_length=MAX_LINES)] = ()
    period_ms: tuple[Millis, Millis] | None = None


class Return(Struct, frozen=True, forbid_unknown_fields=True):
    """A line that goes back, by its place from 0."""

    line: Annotated[int, Meta(ge=0, lt=MAX_LINES)]
    reason: Text


class ReviewRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Lines to return beside those that the node itself finds wrong; every other open line is endorsed."""

    returns: Annotated[tuple[Return, ...], Meta(max_length=MAX_LINES)] = ()


class SettlementRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What the bank booked, in minor units: one payment for all endorsed lines."""

    amount_fen: Count
    account: Text
    booking_date: Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    bank_reference: Text


class AcknowledgementRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What arrived, in minor units."""

    amount_fen: Count


def add_routes(app: FastAPI, node: NodePort, roles: RolesPort) -> None:
    """Add this module's routes to the application."""

    @app.post("/v1/batches", status_code=202)
    async def submit(request: Request, wait: Wait = 0) -> Response:
        """Hospital: its statement of account to one insurer."""
        body = await read_body(request, SubmitRequest)
        asked = (body.insurer, body.reviewer, body.guarantees, body.period_ms)
        batch_id, tx_id = await roles.billing.submit(*asked)
        return await respond(node, tx_id, wait, batch_id=batch_id)

    @app.post("/v1/batches/{batch_id}/review", status_code=202)
    async def review(batch_id: Id, request: Request, wait: Wait = 0) -> Response:
        """Reviewer: a word on every open line."""
        body = await read_body(request, ReviewRequest)
        tx_id = await roles.billing.review(batch_id, {item.line: item.reason for item in body.returns})
        return await respond(node, tx_id, wait, batch_id=batch_id)

    @app.post("/v1/batches/{batch_id}/settlement", status_code=202)
    async def settle(batch_id: Id, request: Request, wait: Wait = 0) -> Response:
        """Insurer: the bank booked one payment for all endorsed lines."""
        body = await read_body(request, SettlementRequest)
        booking = {name: getattr(body, name) for name in ("account", "booking_date", "bank_reference")}
        tx_id = await roles.billing.settle(batch_id, body.amount_fen, booking)
        return await respond(node, tx_id, wait, batch_id=batch_id)

    @app.post("/v1/batches/{batch_id}/acknowledgement", status_code=202)
    async def acknowledge(batch_id: Id, request: Request, wait: Wait = 0) -> Response:
        """Hospital: the payment arrived."""
        body = await read_body(request, AcknowledgementRequest)
        tx_id = await roles.billing.acknowledge(batch_id, body.amount_fen)
        return await respond(node, tx_id, wait, batch_id=batch_id)

    @app.get("/v1/batches")
    async def list_batches(after: Cursor = 0, limit: Limit = DEFAULT_PAGE) -> Response:
        """Batches that this participant is a party of, with sums."""
        return answer(roles.billing.batches(after, limit))

    @app.get("/v1/batches/{batch_id}")
    async def show(batch_id: Id) -> Response:
        """One batch, line by line."""
        return answer(roles.billing.batch(batch_id))

    @app.get("/v1/receivables")
    async def receivables() -> Response:
        """What is drawn and not paid, by the other side and by age in days."""
        return answer(roles.billing.receivables())

    @app.post("/v1/guarantees/{guarantee_id}/opening")
    async def tell_draw(guarantee_id: Id, request: Request) -> Response:
        """Insurer: the opening of a draw that is final goes to the hospital and the co-adjudicators."""
        roles.billing.tell_draw(guarantee_id, await read_body(request, DrawOpening))
        return answer({"guarantee_id": guarantee_id})
