"""Backtests and shadow mode for people who judge a version of a product: start, look, end.

Knows the jobs and the switch. Must not know cases. Always true: what is answered comes from this participant's own
claims and from those that it co-adjudicated, names no person, and nothing here changes a claim; amounts are shown, so
the scope is one of its own.
"""

from typing import Annotated, Any, Final

from fastapi import FastAPI, Query
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from contracts.bodies import MAX_RELEASE_BYTES
from contracts.products.backtest import MAX_WORST
from ledger.types import Hex32, Millis
from node.agents.backtesting import MAX_CLAIMS, Order
from node.api.answers import DEFAULT_PAGE, Cursor, Id, Limit, answer, read_body
from node.api.port import RolesPort
from node.api.problems import ApiError, not_found
from node.machine.examining import Texts

MAX_ORDER_BODY: Final = 4 * MAX_RELEASE_BYTES
"""A release, every letter of it escaped, and some."""


class BacktestTexts(Struct, frozen=True, forbid_unknown_fields=True):
    """A product that is nowhere on the ledger: the three texts of a proposal, and a title."""

    program: str
    tables: str
    examples: str
    title: str = ""


class BacktestOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """What to try (`release`: a proposal's id or a product_hash; or `texts`), and on which decided claims."""

    release: Hex32 | None = None
    texts: BacktestTexts | None = None
    product: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    since_ms: Millis = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_CLAIMS)] = 1_000
    worst: Annotated[int, Meta(ge=0, le=MAX_WORST)] = 20
    compound: bool = False


class ShadowSwitch(Struct, frozen=True, forbid_unknown_fields=True):
    """The proposal or release to run beside every decision from now on; null: none."""

    release: Hex32 | None


def add_routes(app: FastAPI, roles: RolesPort) -> None:
    """Add this module's routes to the application."""

    @app.post("/v1/contracts/backtest", status_code=202)
    async def start(request: Request) -> Response:
        """Begin a backtest; one runs at a time."""
        body = await read_body(request, BacktestOrder, limit=MAX_ORDER_BODY)
        job_id = roles.start_backtest(_order(body))
        return answer(roles.backtest(job_id), 202)

    @app.get("/v1/contracts/backtest/{backtest_id}")
    async def show(backtest_id: Id) -> Response:
        """How far a backtest is, and its report once it is done."""
        return answer(_found(roles, backtest_id))

    @app.post("/v1/contracts/backtest/{backtest_id}/cancellation", status_code=202)
    async def cancel(backtest_id: Id) -> Response:
        """End a backtest; one that is over stays as it is."""
        _found(roles, backtest_id)
        roles.cancel_backtest(backtest_id)
        return answer(_found(roles, backtest_id), 202)

    @app.get("/v1/shadow")
    async def show_shadow(
        after: Cursor = 0, limit: Limit = DEFAULT_PAGE, worst: Annotated[int, Query(ge=0, le=MAX_WORST)] = 20
    ) -> Response:
        """What runs beside the decisions, its sum, and a page of its results."""
        return answer(await roles.shadow_view(after, limit, worst))

    @app.post("/v1/shadow")
    async def switch_shadow(request: Request) -> Response:
        """Run this version beside every decision from now on, or none."""
        body = await read_body(request, ShadowSwitch)
        await roles.switch_shadow(body.release)
        return answer(await roles.shadow_view(0, 1, 0))


def _order(body: BacktestOrder) -> Order:
    if (body.release is None) == (body.texts is None):
        raise ApiError(400, "schema", "give either release or texts")
    given = body.texts
    texts = Texts(given.program, given.tables, given.examples, given.title) if given else None
    return Order(body.release, texts, body.product, body.since_ms, body.limit, body.worst, body.compound)


def _found(roles: RolesPort, backtest_id: str) -> dict[str, Any]:
    view = roles.backtest(backtest_id)
    if view is None:
        raise not_found("backtest")
    return view
