"""`claimnode contract backtest` and `shadow` against a node that answers as it is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import claimnode

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = ROOT / "network-config" / "demo" / "products" / "outpatient-80"
ID = "ab" * 32
JOB = "ba" * 32
ITEM = {
    "claim_id": "c1" * 32,
    "policy_id": "d1" * 16,
    "currency": "CNY",
    "old_decision": "approved",
    "new_decision": "partial",
    "old_fen": 100_000,
    "new_fen": 62_500,
    "difference_fen": -37_500,
    "reasons_added": ["IP/ANNUAL_LIMIT"],
    "reasons_removed": [],
    "benefits": [["IP", 100_000, 62_500]],
}
SUMMARY = {
    "claims": 3,
    "policies": 3,
    "changed": 1,
    "totals": [{"currency": "CNY", "sum_old_fen": 300_000, "sum_new_fen": 262_500, "difference_fen": -37_500}],
    "decisions": [{"old": "approved", "new": "partial", "policies": 1}],
    "reasons_added": {"IP/ANNUAL_LIMIT": 1},
    "reasons_removed": {},
    "worst": [ITEM],
}
RELEASE = {
    "product_hash": ID,
    "product_code": "OP\x1b[2J",
    "title": "Outpatient",
    "chosen_by": "line",
    "line": "cd" * 32,
    "chosen_code": None,
}
REPORT = {
    **SUMMARY,
    "release": RELEASE,
    "prior_use": "recorded",
    "compound_breaks": 0,
    "skipped": {"other_product": 2, "revoked": 0},
    "failed": {"claims": 1, "codes": {"DOCUMENT_FORM": 1}, "items": [{"code": "DOCUMENT_FORM", "detail": "no plan"}]},
    "limited": True,
    "stopped": None,
}


class Node:
    """A client whose node has one backtest, which goes through these states."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.states = list(states) or [{"status": "done", "report": REPORT}]
        self.setting: Any = {"product_hash": ID, "product_code": "OP", "title": "", "since_height": 7}

    def _view(self) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if "raises" in state:
            raise KeyboardInterrupt
        return {"backtest_id": JOB, "done": 0, "total": 3, "code": "", "detail": "", "report": None, **state}

    def get(self, path: str, **query: Any) -> Any:
        if path == "/v1/contracts":
            return {"utc_offset_minutes": 480}
        if path == "/v1/shadow":
            return {"setting": self.setting, "summary": {"failed": 0, "skipped": 1, **SUMMARY}, "items": []}
        assert path == f"/v1/contracts/backtest/{JOB}"
        return self._view()

    def pages(self, path: str) -> list[Any]:
        return [{"claim_id": "c1" * 32, "status": "changed", "code": ""}]

    def post(self, path: str, body: Any, **query: Any) -> Any:
        self.sent.append((path, body))
        return self._view() if path == "/v1/contracts/backtest" else {}


def run(monkeypatch: pytest.MonkeyPatch, node: Node, *arguments: str) -> Result:
    monkeypatch.setattr("cli.node_options.open_client", lambda *_: node)
    monkeypatch.setattr("cli.contract_backtest.POLL_S", 0)
    return CliRunner().invoke(claimnode, ["contract", *arguments, "--node", "net/insurer"])


def test_a_backtest_is_followed_to_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    running = ({"status": "reading"}, {"status": "running"}, {"status": "running", "done": 2})
    node = Node(*running, {"status": "done", "done": 3, "report": REPORT})
    result = run(monkeypatch, node, "backtest", ID, "--history", "--since", "2025-01-06", "--limit", "5")
    assert result.exit_code == 0, result.output
    ((path, body),) = node.sent
    assert path == "/v1/contracts/backtest"
    midnight = 1_736_092_800_000
    assert body == {
        "release": ID,
        "product": None,
        "since_ms": midnight,
        "limit": 5,
        "worst": 20,
        "compound": False,
    }
    for line in (
        "sum      3,000.00 CNY -> 2,625.00 CNY, difference -375.00 CNY",
        "claims   3 with 3 results, 1 changed",
        "decision approved -> partial: 1",
        "reason   + IP/ANNUAL_LIMIT: 1",
        "left out 2 other_product, older ones beyond --limit",
        "failed   1 with DOCUMENT_FORM: no plan",
        "not compounded",
    ):
        assert line in result.output
    assert "\x1b" not in result.output
    assert json.loads(run(monkeypatch, Node(), "backtest", ID, "--json").output) == REPORT


def test_a_folder_is_sent_with_its_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    assert run(monkeypatch, node, "backtest", str(PRODUCT), "--product", "OTHER", "--compound").exit_code == 0
    ((_, body),) = node.sent
    assert set(body["texts"]) == {"program", "tables", "examples", "title"}
    assert json.loads(body["texts"]["tables"])["product_code"] == "OUTPATIENT-80"
    assert (body["product"], body["compound"]) == ("OTHER", True)


def test_what_cannot_be_tried_is_answer_no(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node({"status": "failed", "code": "unfit", "detail": "tables: no product"})
    result = run(monkeypatch, node, "backtest", ID)
    assert (result.exit_code, "unfit: tables: no product" in result.output) == (1, True)
    assert run(monkeypatch, Node({"status": "cancelled"}), "backtest", ID).exit_code == 1
    assert run(monkeypatch, Node(), "backtest", "nowhere").exit_code == 2
    assert run(monkeypatch, Node(), "backtest", ID, "--since", "1.2.2025").exit_code == 2


def test_an_interrupt_ends_the_backtest_at_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node({"status": "running"}, {"raises": True})
    assert run(monkeypatch, node, "backtest", ID).exit_code != 0
    assert node.sent[-1] == (f"/v1/contracts/backtest/{JOB}/cancellation", {})


def test_shadow_is_switched_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    result = run(monkeypatch, node, "shadow", "--on", ID, "--list")
    assert node.sent == [("/v1/shadow", {"release": ID})]
    assert f"shadow   {ID}" in result.output
    assert "difference -375.00 CNY" in result.output
    assert f"{'c1' * 32}  changed" in result.output
    assert json.loads(run(monkeypatch, node, "shadow", "--json").output)["items"] == []
    node.setting = None
    assert run(monkeypatch, node, "shadow", "--off").output == "shadow   off\n"
    assert node.sent[-1] == ("/v1/shadow", {"release": None})
    assert run(monkeypatch, node, "shadow", "--on", ID, "--off").exit_code == 2
    assert run(monkeypatch, node, "shadow", "--on", "5f26").exit_code == 2
