"""Batches over the interface and from the command line: what is asked reaches the billing, under the right scope."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli import node_options
from cli.batch import batch
from cli.main import claimnode
from node.agents.batchbook import BillingRefused
from node.agents.messages import DrawOpening
from tests.support.api_node import make_token
from tests.support.network_builder import make_hex
from tests.unit.node.test_api import Desk, run

__all__ = ["run"]
BATCH = make_hex("batch")
TX = make_hex("tx")


class Billing:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def submit(
        self, insurer: str, reviewer: str | None, guarantees: Sequence[str], period: tuple[int, int] | None
    ) -> tuple[str, str]:
        self.asked.append((insurer, reviewer, tuple(guarantees), period))
        return BATCH, TX

    async def review(self, batch_id: str, returns: Mapping[int, str]) -> str:
        self.asked.append(dict(returns))
        return TX

    async def settle(self, batch_id: str, amount_fen: int, booking: Mapping[str, str]) -> str:
        if amount_fen != 100:
            raise BillingRefused("amount", "the endorsed lines are 100")
        self.asked.append(dict(booking))
        return TX

    async def acknowledge(self, batch_id: str, amount_fen: int) -> str:
        self.asked.append(amount_fen)
        return TX

    def tell_draw(self, guarantee_id: str, opening: DrawOpening) -> None:
        self.asked.append((guarantee_id, opening.amount_fen))

    def batches(self, after: int, limit: int) -> dict[str, Any]:
        return {"items": [], "next": after, "more": False}

    def batch(self, batch_id: str) -> dict[str, Any]:
        raise BillingRefused("not_found", "no such batch")

    def receivables(self) -> dict[str, Any]:
        return {"time_ms": 1, "items": [], "unopened": 0}


BOOKING = {"account": "A-1", "booking_date": "2022-01-31", "bank_reference": "R-77"}


def test_each_route_hands_on_what_it_was_asked(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        desk.roles.billing = billing = Billing()
        told = await desk.post("/v1/batches", {"insurer": "insurer", "reviewer": "tpa", "period_ms": [1, 2]})
        assert told == {"tx_id": TX, "status": "pending", "batch_id": BATCH}
        path = f"/v1/batches/{BATCH}"
        await desk.post(f"{path}/review", {"returns": [{"line": 3, "reason": "NOT_OF_PERIOD"}]})
        await desk.post(f"{path}/settlement", {"amount_fen": 100, **BOOKING})
        await desk.post(f"{path}/acknowledgement", {"amount_fen": 100})
        assert billing.asked == [("insurer", "tpa", (), (1, 2)), {3: "NOT_OF_PERIOD"}, BOOKING, 100]
        assert (await desk.post(f"{path}/settlement", {"amount_fen": 99, **BOOKING}, 422))["code"] == "amount"
        assert (await desk.post(f"{path}/settlement", {"amount_fen": 1.5, **BOOKING}, 400))["code"] == "schema"
        assert (await desk.post("/v1/batches", {"insurer": "insurer", "lines": []}, 400))["code"] == "schema"
        assert (await desk.get(path, 404))["code"] == "not_found"
        assert (await desk.get("/v1/batches"))["items"] == []
        assert (await desk.get("/v1/receivables"))["unopened"] == 0

    run(story, "hospital")


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("read", "GET", "/v1/batches", 403),
        ("report", "GET", "/v1/batches", 200),
        ("report", "GET", f"/v1/batches/{BATCH}", 403),
        ("dossier", "GET", f"/v1/batches/{BATCH}", 404),
        ("review", "POST", f"/v1/batches/{BATCH}/settlement", 403),
        ("pay", "POST", f"/v1/batches/{BATCH}/review", 403),
    ],
)
def test_a_token_reaches_what_its_scope_says(
    run: Callable[..., None], tmp_path: Path, scope: str, method: str, path: str, status: int
) -> None:
    async def story(desk: Desk) -> None:
        desk.roles.billing = Billing()
        token = make_token(tmp_path, scope, name=f"only-{scope}")
        found = await desk.client.request(method, path, headers={"Authorization": f"Bearer {token}"})
        assert found.status_code == status

    run(story, "insurer")


class Client:
    """A node that answers every request alike."""

    def __init__(self, code: str = "ok") -> None:
        self.code = code
        self.sent: list[tuple[str, Any]] = []

    def post(self, path: str, body: Any, **query: Any) -> dict[str, Any]:
        self.sent.append((path, body))
        return {"batch_id": BATCH, "tx_id": TX, "height": 7, "receipt": {"code": self.code}}

    def pages(self, path: str, **query: Any) -> list[dict[str, Any]]:
        sums = {"lines": 47, "amount_fen": 38_581}
        figures = {
            "open": {"lines": 0, "amount_fen": 0},
            "endorsed": sums,
            "returned": {"lines": 3, "amount_fen": None},
        }
        names = {"batch_id": BATCH, "hospital": "hospital", "insurer": "insurer", "status": "SETTLED"}
        return [{**names, "submitted_ms": 0, "figures": figures, "net_fen": 38_581, "currency": "CNY"}]

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        ages = {"0-30": 1, "31-60": 0, "61-90": 0, "over-90": 0, "total": 1}
        return {"time_ms": 1, "items": [{"other": "insurer", **ages}], "unopened": 2}


def call(monkeypatch: pytest.MonkeyPatch, client: Client, *words: str) -> Any:
    monkeypatch.setattr(node_options, "open_client", lambda *_: client)
    return CliRunner().invoke(batch, [*words, "--node", "net/x"])


def test_the_command_line_asks_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    told = call(monkeypatch, client, "review", BATCH, "--return", "3=NOT_OF_PERIOD")
    assert told.exit_code == 0
    assert "ok in block 7" in told.output
    booked = ("--amount", "100", "--account", "A-1", "--date", "2022-01-31", "--reference", "R-77")
    assert call(monkeypatch, client, "settle", BATCH, *booked).exit_code == 0
    assert client.sent == [
        (f"/v1/batches/{BATCH}/review", {"returns": [{"line": 3, "reason": "NOT_OF_PERIOD"}]}),
        (f"/v1/batches/{BATCH}/settlement", {"amount_fen": 100, **BOOKING}),
    ]
    listed = call(monkeypatch, client, "list").output
    assert "47: 385.81" in listed
    assert "not known here: 2" in listed


def test_a_refusal_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    told = call(monkeypatch, Client("BATCH_SEQUENCE"), "submit", "insurer")
    assert "BATCH_SEQUENCE" in str(told.exception)
    monkeypatch.setattr(node_options, "open_client", lambda *_: Client())
    bad = CliRunner().invoke(claimnode, ["batch", "review", BATCH, "--return", "three", "--node", "x"])
    assert bad.exit_code == 2
    assert "lines count from 0" in bad.output
