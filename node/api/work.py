"""Reviews: the tasks of an insurer's people, one holder each, and two persons for every release.

Knows routes; the person is the name of the access token. Must not know a rule: those are `contracts.reports.tasks`.
Always true: nobody acts under another's name, and what is refused says which rule it broke.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from contracts.errors import Refusal
from contracts.states import read_claim
from ledger.types import Hex32
from node.api.answers import DEFAULT_PAGE, Id, Limit, answer, read_body
from node.api.parties import Viewer
from node.api.port import NodePort, RolesPort
from node.api.problems import ApiError, not_found
from node.errors import NodeError
from node.reports.desk import reason_texts

Code = Annotated[str, Meta(pattern=r"\A[A-Z][A-Z_]{2,39}\Z")]
STATUS_OF: Final = {"REASON_UNKNOWN": 422, "not_in_review": 409, "no_task": 409}
"""Refusals of the desk; the others are conflicts (409)."""


class TakeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which task; none: the next one that this person may finish. `override`: why it is taken from its holder."""

    claim_id: Hex32 | None = None
    override: Code | None = None


class ReviewRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`prepare` with a reason, or `release` by a second person."""

    action: Literal["prepare", "release"] = "release"
    reason: Code | None = None
    override: Code | None = None


def add_routes(app: FastAPI, node: NodePort, roles: RolesPort) -> None:
    """Add this module's routes to the application."""

    @app.get("/v1/tasks")
    async def list_tasks(limit: Limit = DEFAULT_PAGE) -> Response:
        """Claims in review: low risk first, then the oldest; and the reasons that people may give."""
        items = _desk(lambda: roles.office.tasks(limit))
        return answer({"items": items, "reasons": list(reason_texts())})

    @app.post("/v1/tasks/take")
    async def take_task(request: Request) -> Response:
        """Hold a task, or the next free one, for the length of a lease."""
        body = await read_body(request, TakeRequest)
        return answer(_desk(lambda: roles.office.take_task(body.claim_id, _person(request), body.override)))

    @app.post("/v1/tasks/{claim_id}/return")
    async def return_task(claim_id: Id, request: Request) -> Response:
        """Give a task back before its lease ends."""
        return answer(_desk(lambda: roles.office.return_task(claim_id, _person(request))))

    @app.post("/v1/claims/{claim_id}/review")
    async def review(claim_id: Id, request: Request) -> Response:
        """Prepare the release of a claim in review, or, as a second person, let its computed result stand."""
        body, person = await read_body(request, ReviewRequest), _person(request)
        read = node.chain.final.read
        claim = read_claim(read, claim_id)
        if claim is None or not Viewer(read, node.identity.participant).sees_claim(claim):
            raise not_found("claim")
        if body.action == "release":
            return answer(_desk(lambda: roles.office.release_review(claim_id, person, body.override)))
        if body.reason is None:
            raise ApiError(400, "schema", "name the reason why the computed result should stand")
        reason = body.reason
        return answer(_desk(lambda: roles.office.prepare_review(claim_id, person, reason, body.override)))


def _person(request: Request) -> str:
    return str(request.state.token.name)


def _desk(act: Callable[[], Any]) -> Any:
    """What the desk answers; what it refuses as a problem with its code."""
    try:
        return act()
    except Refusal as error:
        raise ApiError(STATUS_OF.get(error.code, 409), error.code, error.detail) from None
    except NodeError as error:
        if error.code not in STATUS_OF:
            raise
        raise ApiError(STATUS_OF[error.code], error.code, error.detail) from None
