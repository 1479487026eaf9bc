"""Statistics, clocks and reviews over HTTP: whose claims count, whose name acts, what is refused with which code."""

from collections.abc import Callable
from typing import Any

import pytest

from contracts.cases.evidence import date_of
from contracts.errors import Refusal
from contracts.reports.kpi import FLASH_MS
from contracts.states import read_claim
from node.api import statistics
from node.api.access import ACCESS
from node.reports.desk import NoTask
from node.reports.knowledge import Inside
from node.reports.stories import build_story
from tests.support.api_node import settle_tasks
from tests.unit.node.test_api import Desk
from tests.unit.node.test_api import run as run

INSIDE = Inside("approved", 500, 300, "CNY", ("DAY_LIMIT",), human_steps=0, is_reviewed=False)


def tell(desk: Desk, claim_id: str, inside: Inside | None = INSIDE) -> None:
    """What the office knows of a claim that is on the ledger."""
    read = desk.net.state.read
    claim = read_claim(read, claim_id)
    assert claim is not None
    desk.roles.office.stories[claim_id] = build_story(read, claim_id, claim, inside)


def ready(desk: Desk, insurer: str = "insurer") -> str:
    policy = desk.net.commit_policy(insurer=insurer) if insurer != "insurer" else desk.net.commit_policy()
    _, claim_id = desk.net.ready_claim(policy.policy_id, insurer=insurer)
    desk.node.chain.catch_up()
    tell(desk, claim_id)
    return str(claim_id)


async def settle(desk: Desk) -> None:
    await settle_tasks()
    assert desk.api.directory.height == len(desk.net.blocks)


def test_an_insurer_counts_its_own_claims(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        ready(desk)
        ready(desk, "insurer-two")
        await settle(desk)
        report = await desk.get("/v1/statistics/kpi")
        assert (report["participant"], report["kpi"]["claims"]) == ("insurer", 1)
        assert {row["party"] for row in report["turnaround"]} <= {"insurer", "hospital", "commission"}
        assert report["invoice_errors"] == []

    run(story)


def test_an_insurer_does_not_count_the_claim_of_another_on_the_same_case(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        policies = [desk.net.commit_policy(insurer=name).policy_id for name in ("insurer", "insurer-two")]
        customer, claim_id = desk.net.ready_claim(*policies)
        for name in ("insurer", "insurer-two"):
            tell(desk, desk.net.claim_id(customer, name))
        desk.node.chain.catch_up()
        await settle(desk)
        assert len((await desk.get("/v1/claims"))["items"]) == 2, "it sees both"
        report = await desk.get("/v1/statistics/kpi")
        assert report["kpi"]["claims"] == 1
        assert {row["party"] for row in report["turnaround"]} <= {"insurer", "hospital", "commission"}
        assert [item["claim_id"] for item in (await desk.get("/v1/clocks?all=true"))["items"]] == [claim_id]

    run(story)


def test_an_employers_totals_are_bounded(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(desk: Desk) -> None:
        assert (await desk.get("/v1/statistics/employer?employer=works", 503))["code"] == "no_role"
        assert (await desk.get("/v1/statistics/employer", 400))["code"] == "parameters"
        monkeypatch.setattr(statistics, "MAX_STORIES", 0)
        ready(desk)
        await settle(desk)
        assert (await desk.get("/v1/statistics/employer?employer=works", 422))["code"] == "too_many"

    run(story)


@pytest.mark.parametrize(("participant", "count"), [("hospital", 2), ("commission", 2), ("insurer-two", 1), ("tpa", 2)])
def test_everybody_else_counts_what_they_may_see(run: Callable[..., None], participant: str, count: int) -> None:
    async def story(desk: Desk) -> None:
        ready(desk)
        ready(desk, "insurer-two")
        await settle(desk)
        assert (await desk.get("/v1/statistics/kpi"))["kpi"]["claims"] == count

    run(story, participant)


def test_a_selection_is_by_day_in_the_networks_zone(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        claim_id = ready(desk)
        await settle(desk)
        claim = read_claim(desk.net.state.read, claim_id)
        assert claim is not None
        day = date_of(claim.reported_ms, 480)
        before, after = date_of(claim.reported_ms - 86_400_000, 480), date_of(claim.reported_ms + 86_400_000, 480)

        async def count(**query: str) -> int:
            return int((await desk.get("/v1/statistics/kpi", params=query))["kpi"]["claims"])

        assert [await count(**{"from": day}), await count(**{"from": after})] == [1, 0]
        assert [await count(to=day), await count(to=before)] == [1, 0]
        assert [await count(lane="flash"), await count(lane="review")] == [1, 0]
        assert [await count(hospital="hospital"), await count(hospital="elsewhere")] == [1, 0]
        assert [await count(insurer="insurer"), await count(insurer="insurer-two")] == [1, 0]
        for bad in ("2026-02-30", "today", "1969-12-31"):
            assert (await desk.get(f"/v1/statistics/kpi?from={bad}", 400))["code"] == "parameters"
        assert (await desk.get("/v1/statistics/kpi?lane=slow", 400))["code"] == "parameters"

    run(story)


def test_a_report_is_bounded(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MAX_STORIES", 0)

    async def story(desk: Desk) -> None:
        ready(desk)
        await settle(desk)
        assert (await desk.get("/v1/statistics/kpi", 422))["code"] == "too_many"

    run(story)


def test_clocks_that_warn_are_listed_and_on_request_all_open_ones(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        claim_id = ready(desk)
        await settle(desk)
        assert (await desk.get("/v1/clocks"))["items"] == []
        (found,) = (await desk.get("/v1/clocks?all=true"))["items"]
        assert found["claim_id"] == claim_id
        assert {clock["stage"] for clock in found["clocks"]} == {"decide", "flash", "minimum"}
        desk.net.wait(FLASH_MS + 1)
        ready(desk)
        await settle(desk)
        first = (await desk.get("/v1/clocks"))["items"][0]
        assert [(clock["stage"], clock["standing"]) for clock in first["clocks"]] == [("flash", "breached")]

    run(story)


class Refusing:
    """A desk that notes who acts, or refuses."""

    def __init__(self, error: Exception | None = None) -> None:
        self.acts: list[tuple[Any, ...]] = []
        self._error = error

    def _act(self, *arguments: Any) -> Any:
        self.acts.append(arguments)
        if self._error is not None:
            raise self._error
        return {"acted": True}

    tasks = take_task = return_task = prepare_review = release_review = _act


def test_a_review_is_an_act_of_the_tokens_holder(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        claim_id = ready(desk)
        desk.roles.office = office = Refusing()
        path = f"/v1/claims/{claim_id}/review"
        await desk.post(path, {"action": "prepare", "reason": "AMOUNT_CONFIRMED"}, 200)
        await desk.post(path, {"action": "release", "override": "HOLDER_ABSENT"}, 200)
        await desk.post(path, {}, 200)
        await desk.post("/v1/tasks/take", {"claim_id": claim_id}, 200)
        await desk.post(f"/v1/tasks/{claim_id}/return", {}, 200)
        assert (await desk.get("/v1/tasks?limit=5"))["reasons"][0]["zh"]
        assert office.acts == [
            (claim_id, "insurer", "AMOUNT_CONFIRMED", None),
            (claim_id, "insurer", "HOLDER_ABSENT"),
            (claim_id, "insurer", None),
            (claim_id, "insurer", None),
            (claim_id, "insurer"),
            (5,),
        ]
        for bad in ({"action": "prepare"}, {"action": "pay"}, {"person": "ben"}, {"reason": "for ann, 13800000000"}):
            assert (await desk.post(path, bad, 400))["code"] == "schema"
        assert (await desk.post(f"/v1/claims/{'00' * 32}/review", {}, 404))["code"] == "not_found"

    run(story)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refusal("FOUR_EYES", "a second person"), 409),
        (Refusal("TASK_HELD", "held"), 409),
        (Refusal("REASON_UNKNOWN", "one of"), 422),
        (NoTask("not_in_review", "no"), 409),
        (NoTask("no_task", "none"), 409),
        (NoTask("else", "what"), 422),
    ],
)
def test_what_the_desk_refuses_is_told_with_its_code(run: Callable[..., None], error: Any, status: int) -> None:
    async def story(desk: Desk) -> None:
        claim_id = ready(desk)
        desk.roles.office = Refusing(error)
        assert (await desk.post(f"/v1/claims/{claim_id}/review", {}, status))["code"] == error.code

    run(story)


def test_sums_of_money_need_a_token_for_reports() -> None:
    assert ACCESS["GET", "/v1/statistics/kpi"] == "report"
    assert {ACCESS["POST", path] for path in ("/v1/tasks/take", "/v1/claims/{claim_id}/review")} == {"review"}
