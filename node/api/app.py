"""The application: every route, behind one table of access and one gate.

Knows how the parts fit together. Must not know what any route does. Always true: an application with a route that
the table of access does not name, or a row without a route, is not built.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from contracts.errors import ContractError
from ledger.errors import LedgerError
from node.api import (
    backtests,
    batches,
    claims,
    claimwords,
    consents,
    contracts,
    customers,
    effects,
    events,
    evidence,
    feedback,
    ledger,
    logfiles,
    operations,
    payments,
    proofs,
    recoveries,
    risks,
    snapshots,
    statistics,
    transactions,
    work,
)
from node.api.access import ACCESS, authorise
from node.api.directory import Directory
from node.api.gate import Gate, Observer
from node.api.port import NodePort, RolesPort
from node.api.problems import ApiError, handle_error, problem
from node.api.tokens import Tokens
from node.errors import NodeError

TITLE: Final = "claimnode"
STATUS_CODES: Final = {404: "not_found", 405: "method_not_allowed"}


class AccessTableError(Exception):
    """A route without a row in the table of access, or a row without a route: a fault of the program."""


class Api:
    """The interface of one node: an ASGI application and the task that feeds its lists."""

    def __init__(self, node: NodePort, roles: RolesPort, tokens: Tokens) -> None:
        self._node = node
        self.directory = Directory(node.network)
        self.observers: list[Observer] = []
        """Called with each exchange; for tests of what leaves the node. Add before the first request."""
        self.fastapi = _build(node, roles, tokens, self.directory)
        metrics: operations.Metrics = self.fastapi.state.metrics
        self.app: ASGIApp = Gate(self.fastapi, observers=self.observers, count=metrics.count)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the lists up to date while the context lasts."""
        task = asyncio.create_task(self.directory.follow(self._node.chain), name="api directory")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def check_access_table(app: FastAPI) -> None:
    """Raise AccessTableError unless routes and rows are the same set."""
    routes = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
        if method != "HEAD"
    }
    foreign = [route for route in app.routes if not isinstance(route, APIRoute)]
    if routes != set(ACCESS) or foreign:
        odd = sorted(map(" ".join, routes ^ set(ACCESS))) + [str(route) for route in foreign]
        raise AccessTableError(f"routes and the table of access differ: {odd}")


def _build(node: NodePort, roles: RolesPort, tokens: Tokens, directory: Directory) -> FastAPI:
    async def check_access(request: Request) -> None:
        request.state.token = authorise(tokens, request, request.scope["route"].path)

    app = FastAPI(
        title=TITLE,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(check_access)],
    )
    metrics = operations.Metrics(node, directory)
    app.state.metrics = metrics
    operations.add_routes(app, node, directory, metrics)
    transactions.add_routes(app, node)
    claims.add_routes(app, node, roles, directory)
    statistics.add_routes(app, node, roles, directory)
    work.add_routes(app, node, roles)
    feedback.add_routes(app, roles)
    customers.add_routes(app, node, roles)
    claimwords.add_routes(app, node)
    consents.add_routes(app, node)
    evidence.add_routes(app, node, roles, directory)
    risks.add_routes(app, roles)
    payments.add_routes(app, roles.desk)
    recoveries.add_routes(app, node)
    batches.add_routes(app, node, roles)
    contracts.add_routes(app, node, roles)
    backtests.add_routes(app, roles)
    ledger.add_routes(app, node, roles)
    effects.add_routes(app, node)
    proofs.add_routes(app, node, roles)
    snapshots.add_routes(app, node)
    events.add_routes(app, node)
    logfiles.add_routes(app, node)
    check_access_table(app)
    for kind in (ApiError, LedgerError, ContractError, NodeError, Exception):
        app.add_exception_handler(kind, handle_error)
    app.add_exception_handler(HTTPException, _handle_http)
    app.add_exception_handler(RequestValidationError, _handle_parameters)
    return app


async def _handle_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = STATUS_CODES.get(error.status_code, "http")
    return problem(error.status_code, code, "there is no such route for this method", error.headers)


async def _handle_parameters(request: Request, error: Exception) -> Response:
    """Which parameters are wrong and how; never their values."""
    assert isinstance(error, RequestValidationError)
    faults = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
    return problem(400, "parameters", faults)
