"""Backtests and shadow mode over the interface: what is ordered arrives as it was given, nonsense is refused."""

import asyncio
from pathlib import Path

from node.agents.backtesting import Order
from tests.unit.node.test_api import Desk

RELEASE = "ab" * 32
JOB = "ba" * 32
TEXTS = {"program": "{}", "tables": "{}", "examples": "[]", "title": "Tried"}


def test_a_backtest_is_ordered_looked_at_and_ended(tmp_path: Path) -> None:
    async def story() -> None:
        desk = Desk(tmp_path, "insurer")
        path = "/v1/contracts/backtest"
        body = {"release": RELEASE, "product": "P", "since_ms": 5, "limit": 7, "worst": 3, "compound": True}
        assert (await desk.post(path, body))["backtest_id"] == JOB
        assert desk.roles.orders == [Order(RELEASE, None, "P", 5, 7, 3, compound=True)]
        refused = await desk.post(path, {"release": RELEASE}, status=503)
        assert refused["code"] == "backtest_running"
        assert (await desk.get(f"{path}/{JOB}"))["status"] == "running"
        await desk.get(f"{path}/{RELEASE}", status=404)
        await desk.post(f"{path}/{RELEASE}/cancellation", {}, status=404)
        await desk.post(f"{path}/{JOB}/cancellation", {})
        await desk.post(path, {"texts": TEXTS})
        texts = desk.roles.orders[0].texts
        assert texts is not None
        assert (texts.program, texts.title) == ("{}", "Tried")

    asyncio.run(story())


def test_an_order_that_says_nothing_or_two_things_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        desk = Desk(tmp_path, "insurer")
        wrong = (
            {},
            {"release": RELEASE, "texts": TEXTS},
            {"release": "ab"},
            {"release": RELEASE, "limit": 0},
            {"release": RELEASE, "limit": 10_001},
            {"release": RELEASE, "worst": 201},
            {"release": RELEASE, "since": "2025"},
        )
        for body in wrong:
            assert (await desk.post("/v1/contracts/backtest", body, status=400))["code"] == "schema"
        assert desk.roles.orders == []

    asyncio.run(story())


def test_shadow_mode_is_switched_and_shown(tmp_path: Path) -> None:
    async def story() -> None:
        desk = Desk(tmp_path, "insurer")
        assert (await desk.get("/v1/shadow"))["setting"] is None
        for release in (RELEASE, None):
            await desk.post("/v1/shadow", {"release": release}, status=200)
        assert desk.roles.shadowed == [RELEASE, None]
        assert (await desk.post("/v1/shadow", {}, status=400))["code"] == "schema"
        await desk.get("/v1/shadow", status=400, params={"worst": 1000})

    asyncio.run(story())
