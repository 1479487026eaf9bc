"""Risk: what a commission's counts say of hospitals, and how often which rule was hit at an insurer.

Knows routes. Must not know a rule or a claim. Always true: counts and codes leave, no id of a claim or a person.
"""

from fastapi import FastAPI
from starlette.responses import Response

from node.api.answers import DEFAULT_PAGE, Cursor, Limit, answer
from node.api.port import RolesPort


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
