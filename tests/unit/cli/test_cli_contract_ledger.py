"""`claimnode contract` against a node that answers as it is told: what is shown, sent and refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import claimnode

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = ROOT / "network-config" / "demo" / "products" / "outpatient-80"
PROPOSAL = "ab" * 32
RULES = {"time_ms": 1_736_150_400_000, "day_ms": 1_736_092_800_000, "utc_offset_minutes": 480, "notice_days": 7}
CHANGE = {"change": "contract.release", "product_code": "OP", "title": "Outpatient"}
FAILED = {"name": "one", "code": "", "path": "/results/0/total_fen", "expected": "1", "got": "2"}
UNFIT = {"ok": False, "code": "unfit", "detail": "0 of 1 examples hold", "examples_failed": [FAILED]}


class Node:
    """A client whose node has one proposal."""

    def __init__(self, report: dict[str, Any] | None = None, code: str = "ok") -> None:
        self.sent: list[tuple[str, Any]] = []
        self._code = code
        self._view = {
            "proposal_id": PROPOSAL,
            "changes": [CHANGE],
            "author": "insurer",
            "status": "open",
            "voters": ["hospital"],
            "is_release": True,
            "report": report,
        }

    def get(self, path: str, **query: Any) -> Any:
        if path == "/v1/contracts":
            return {"items": [], "next": 0, "more": False, **RULES}
        return {"items": [self._view]} if path == "/v1/proposals" else self._view

    def pages(self, path: str) -> list[Any]:
        return []

    def find(self, path: str) -> Any:
        return self._view if path.startswith("/v1/proposals/") else None

    def post(self, path: str, body: Any, **query: Any) -> Any:
        self.sent.append((path, body))
        return {"tx_id": "cd" * 32, "receipt": {"code": self._code, "results": [{"subject": PROPOSAL}]}}


def run(monkeypatch: pytest.MonkeyPatch, node: Node, *arguments: str) -> Result:
    monkeypatch.setattr("cli.node_options.open_client", lambda *_: node)
    return CliRunner().invoke(claimnode, ["contract", *arguments, "--node", "net/tpa"])


def test_a_vote_shows_the_check_and_is_not_given_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for report in (UNFIT, None):
        node = Node(report)
        result = run(monkeypatch, node, "vote", PROPOSAL)
        assert result.exit_code == 1
        assert node.sent == []
        assert ("expected 1, got 2" if report else "not done yet") in result.output
        assert "--despite-faults" in result.output
    assert json.loads(run(monkeypatch, node, "vote", PROPOSAL, "--json").output)["voted"] is False
    assert run(monkeypatch, node, "vote", PROPOSAL, "--despite-faults", "agreed").exit_code == 0
    assert node.sent == [(f"/v1/proposals/{PROPOSAL}/vote", {"despite_faults": "agreed"})]


def test_a_vote_for_what_is_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node({"ok": True, "code": "ok", "detail": "2 of 2 examples hold"})
    result = run(monkeypatch, node, "vote", PROPOSAL)
    assert (result.exit_code, node.sent) == (0, [(f"/v1/proposals/{PROPOSAL}/vote", {})])
    assert "check    ok: 2 of 2 examples hold" in result.output


def test_a_product_is_proposed_with_time_for_the_vote_and_for_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    made = json.loads(run(monkeypatch, node, "propose", str(PRODUCT), "--json").output)
    ((path, body),) = node.sent
    (change,) = body["changes"]
    assert (path, change["change"], change["product_code"]) == ("/v1/proposals", "contract.release", "OUTPATIENT-80")
    assert change["effective_ms"] == made["effective_ms"] == RULES["day_ms"] + 14 * 86_400_000
    node = Node()
    assert run(monkeypatch, node, "propose", str(PRODUCT), "--effective", "2025-02-01").exit_code == 0
    assert node.sent[0][1]["changes"][0]["effective_ms"] == 1_738_339_200_000, "midnight at +08:00"
    assert run(monkeypatch, Node(), "propose", str(PRODUCT), "--effective", "1.2.2025").exit_code == 2


def test_what_the_receipt_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, Node(code="NOTICE_SHORT"), "withdraw", "ab" * 32, "--reason", "fault")
    assert result.exit_code == 1
    assert "NOTICE_SHORT: A release cannot begin" in result.output


def test_lists_and_proposals_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = run(monkeypatch, Node(UNFIT), "list").output
    assert f"open: {PROPOSAL}  Outpatient  by insurer, 1 votes; check: unfit, 0 of 1 examples hold" in listed
    shown = run(monkeypatch, Node(UNFIT), "show", PROPOSAL)
    assert shown.exit_code == 0
    assert "voters   hospital" in shown.output
    hostile = Node(UNFIT)
    texts = {"program": {}, "tables": {"plans": 7}, "examples": []}
    hostile._view |= {**texts, "changes": [CHANGE | {"title": "\x1b[2J"}]}
    shown = run(monkeypatch, hostile, "show", PROPOSAL)
    assert shown.exit_code == 0
    assert "the texts are no product" in shown.output
    assert "\x1b" not in shown.output
    assert run(monkeypatch, Node(UNFIT), "show", PROPOSAL, "--out", "nowhere").exit_code == 2
