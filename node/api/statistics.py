"""Figures of this participant's claims: key figures, clocks, and turnaround of each party.

Knows which claims this participant may see; what it knows of them comes from its own office. Must not know how a figure
is made. Always true: a claim of others is never counted, and an amount is one of this participant's own vault.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query
from msgspec import to_builtins
from starlette.responses import Response

from contracts.calendar import day_number, is_date
from contracts.reports.clocks import Clock, build_clocks, build_turnaround
from contracts.reports.kpi import Selection, build_kpi
from contracts.reports.stories import ClaimStory, Lane
from contracts.states import read_claim, read_parameters
from node.api.answers import DEFAULT_PAGE, Cursor, Limit, answer, page_of
from node.api.directory import Directory
from node.api.parties import Viewer
from node.api.port import NodePort, RolesPort
from node.api.problems import ApiError
from node.errors import NodeError

MAX_STORIES: Final = 50_000
"""Claims of one report, about 60 MB while it is made; a longer time is asked for in parts."""
SLICE: Final = 50
"""Claims read before other work of the node has its turn."""
MAX_HOSPITALS: Final = 1_000
"""Rows of faults of e-invoices that come with a commission's report."""
DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000

Date = Annotated[str | None, Query(max_length=10, description="YYYY-MM-DD in the network's zone")]
Name = Annotated[str | None, Query(max_length=40, description="a participant")]
LaneName = Annotated[Lane | None, Query(description="flash, review or unknown")]


class _Sight:
    """Which claims count for this participant: an insurer's own, everybody else's as the daily interface shows them."""

    def __init__(self, node: NodePort, roles: RolesPort, directory: Directory) -> None:
        self._node = node
        self._roles = roles
        self._directory = directory
        self._me = node.identity.participant
        own = next((member for member in node.genesis.participants if member.id == self._me), None)
        self._is_insurer = own is not None and "insurer" in own.roles

    def story(self, claim_id: str, selection: Selection | None = None) -> ClaimStory | None:
        """The story of a claim that counts and that the selection means."""
        read = self._node.chain.final.read
        claim = read_claim(read, claim_id)
        if claim is None or (selection is not None and not selection.includes_time(claim.reported_ms)):
            return None
        if (self._is_insurer and claim.insurer != self._me) or not Viewer(read, self._me).sees_claim(claim):
            return None
        story = self._roles.office.story(claim_id)
        return None if story is None or (selection is not None and not selection.includes(story)) else story

    async def stories(self, selection: Selection) -> AsyncIterator[ClaimStory]:
        """Every story that counts. Raises ApiError 422 `too_many`."""
        found = 0
        for place, claim_id in enumerate(tuple(self._directory.claims)):
            if place % SLICE == 0:
                await asyncio.sleep(0)
            story = self.story(claim_id, selection)
            if story is None:
                continue
            found += 1
            if found > MAX_STORIES:
                raise ApiError(422, "too_many", f"more than {MAX_STORIES} claims; name a shorter time with from and to")
            yield story

    def clocks(self, story: ClaimStory) -> tuple[Clock, ...]:
        """Its clocks at the block time of the head."""
        return build_clocks(story, self._roles.office.limits(), self._node.chain.final.time_ms)

    def due(self, claim_id: str, *, every: bool) -> dict[str, Any] | None:
        """A claim with clocks that warn or ran out; with all its open clocks if `every`; None without any."""
        story = self.story(claim_id)
        standings = ("warned", "breached", "running", "paused") if every else ("warned", "breached")
        clocks = [clock for clock in self.clocks(story) if clock.standing in standings] if story else []
        if story is None or not clocks:
            return None
        return {"claim_id": claim_id, "status": story.status, "clocks": [to_builtins(clock) for clock in clocks]}


def add_routes(app: FastAPI, node: NodePort, roles: RolesPort, directory: Directory) -> None:
    """Add this module's routes to the application."""
    sight = _Sight(node, roles, directory)

    @app.get("/v1/statistics/kpi")
    async def show_kpi(
        first: Annotated[Date, Query(alias="from")] = None,
        last: Annotated[Date, Query(alias="to")] = None,
        lane: LaneName = None,
        hospital: Name = None,
        insurer: Name = None,
    ) -> Response:
        """Key figures of claims reported on these days (both included), with each party's turnaround."""
        offset = read_parameters(node.chain.final.read).parameters.utc_offset_minutes
        from_ms, until_ms = _span_of(first, last, offset)
        selection = Selection(from_ms=from_ms, until_ms=until_ms, lane=lane, hospital=hospital, insurer=insurer)
        stories = [story async for story in sight.stories(selection)]
        return answer(
            {
                "participant": node.identity.participant,
                "height": node.chain.final.height,
                "block_time_ms": node.chain.final.time_ms,
                "selection": to_builtins(selection),
                "kpi": to_builtins(build_kpi(stories)),
                "turnaround": to_builtins(build_turnaround(c for story in stories for c in sight.clocks(story))),
                "satisfaction": to_builtins(roles.office.satisfaction(len(stories))),
                "invoice_errors": _invoice_errors(roles),
            }
        )

    @app.get("/v1/statistics/closings")
    async def list_closings(
        after: Cursor = 0,
        limit: Limit = DEFAULT_PAGE,
        first: Annotated[Date, Query(alias="from")] = None,
        last: Annotated[Date, Query(alias="to")] = None,
    ) -> Response:
        """Insurer: claims closed on these days, with the number that each was given when it came in."""
        offset = read_parameters(node.chain.final.read).parameters.utc_offset_minutes
        from_ms, until_ms = _span_of(first, last, offset)
        page = roles.office.closings(after, limit, from_ms, until_ms)
        return answer({**page, "utc_offset_minutes": offset})

    @app.get("/v1/clocks")
    async def list_clocks(
        after: Cursor = 0,
        limit: Limit = DEFAULT_PAGE,
        every: Annotated[bool, Query(alias="all", description="also clocks that neither warn nor ran out")] = False,
    ) -> Response:
        """Claims with clocks that warn or have run out, in the order of their report."""
        return answer(page_of(directory.claims, after, limit, lambda claim_id: sight.due(claim_id, every=every)))

    _add_employer(app, roles, directory)


def _add_employer(app: FastAPI, roles: RolesPort, directory: Directory) -> None:
    @app.get("/v1/statistics/employer")
    async def show_employer(
        employer: Annotated[str, Query(min_length=1, max_length=64, description="the word in the terms of policies")],
        currency: Annotated[str, Query(pattern="^[A-Z]{3}$")] = "CNY",
    ) -> Response:
        """Insurer: what an employer may be shown of its people's claims: totals of at least twenty people."""
        if len(directory.claims) > MAX_STORIES:
            raise ApiError(
                422, "too_many", f"more than {MAX_STORIES} claims on this ledger; totals of that many are not made here"
            )
        totals = await roles.office.group_totals(tuple(directory.claims), employer, currency)
        return answer(to_builtins(totals))


def _span_of(first: str | None, last: str | None, utc_offset_minutes: int) -> tuple[int | None, int | None]:
    """[from, until) in block time of days that are both included. Raises ApiError 400 `parameters`."""
    from_ms = None if first is None else _start_of(first, utc_offset_minutes)
    return from_ms, None if last is None else _start_of(last, utc_offset_minutes) + DAY_MS


def _start_of(date: str, utc_offset_minutes: int) -> int:
    """Block time at the beginning of a day in the network's zone. Raises ApiError 400 `parameters`."""
    if not is_date(date) or date < "1970-01-02":
        raise ApiError(400, "parameters", "from and to are dates, YYYY-MM-DD")
    return (day_number(date) - day_number("1970-01-01")) * DAY_MS - utc_offset_minutes * MINUTE_MS


def _invoice_errors(roles: RolesPort) -> list[Any]:
    """A commission's counts of faulty e-invoices by hospital and month; empty for others."""
    try:
        return list(roles.invoice_errors(0, MAX_HOSPITALS)["items"])
    except NodeError as error:
        if error.code != "no_role":
            raise
        return []
