"""Risk: counts at a commission and at an insurer, and the signals that this participant gives, takes back and was sent.

Knows routes. Must not know a rule or a claim. Always true: figures of rules leave as counts and codes, without an id of
a claim or a person; what a signal says goes to this participant's own people alone.
"""

from typing import Annotated, Any, Final

from fastapi import FastAPI
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from contracts.riskbodies import Level
from ledger.types import Hex32, OrgId
from node.api.answers import DEFAULT_PAGE, Cursor, Id, Limit, answer, read_body
from node.api.port import RolesPort
from node.api.problems import ApiError
from node.errors import NodeError

REFUSED: Final = frozenset(
    {"not_graded", "no_hit", "days", "no_consent", "no_hospital", "not_ours", "no_role", "one_subject"}
)


class SignalRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A graded claim of an insurer, or a hospital that a commission counted: one of them. `days`: until it ends."""

    level: Level
    claim_id: Hex32 | None = None
    hospital: OrgId | None = None
    days: Annotated[int, Meta(ge=1, le=731)] = 365


class SignalWithdrawal(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a signal is taken back; kept in the vault, the ledger gets a commitment."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


def add_routes(app: FastAPI, roles: RolesPort) -> None:
    """Add this module's routes to the application."""

    @app.get("/v1/risk/hospitals")
    async def list_hospitals(after: Cursor = 0, limit: Limit = DEFAULT_PAGE) -> Response:
        """At a commission: each hospital beside its peers (RK04, RK11). Nothing is shown of fewer than 20 stays."""
        return answer(roles.risk_hospitals(after, limit))

    @app.get("/v1/risk/statistics")
    async def show_statistics() -> Response:
        """At an insurer: claims graded, grades and hits by rule, of each month."""
        return answer({"items": roles.risk_statistics()})

    @app.get("/v1/risk/signals")
    async def list_signals(after: Cursor = 0, limit: Limit = DEFAULT_PAGE) -> Response:
        """Signals of others that this participant was sent and that still count."""
        return answer(_ask(lambda: roles.risk_signals(after, limit)))

    @app.post("/v1/risk/signals", status_code=202)
    async def give_signal(request: Request) -> Response:
        """Give a signal about a graded claim's insured or a hospital; it is on the ledger some blocks later."""
        body = await read_body(request, SignalRequest)
        signal_id = _ask(lambda: roles.give_signal(body.claim_id, body.hospital, body.level, body.days))
        return answer({"signal_id": signal_id}, 202)

    @app.post("/v1/risk/signals/{signal_id}/withdrawal", status_code=202)
    async def withdraw_signal(signal_id: Id, request: Request) -> Response:
        """Take a signal of this participant back."""
        body = await read_body(request, SignalWithdrawal)
        _ask(lambda: roles.withdraw_signal(signal_id, body.reason))
        return answer({"signal_id": signal_id}, 202)


def _ask(act: Any) -> Any:
    """What the roles answer; what they refuse as a conflict with its code."""
    try:
        return act()
    except NodeError as error:
        if error.code not in REFUSED:
            raise
        raise ApiError(409, error.code, error.detail) from None
