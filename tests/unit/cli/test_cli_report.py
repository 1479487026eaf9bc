"""`claimnode report` and `claimnode work` against a node that answers as it is told: what is shown and what is sent."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec import to_builtins

from cli.main import claimnode
from cli.report_text import format_bp, format_span
from contracts.genesis import Parameters
from contracts.reports.clocks import build_clocks, build_turnaround, limits_of
from contracts.reports.feedback import check_token
from contracts.reports.kpi import build_kpi
from contracts.reports.stories import PayoutStory
from contracts.tokens import decode_consent
from ledger.crypto.keys import write_secret_file
from node.wallet import encode_wallet, make_consent, standard_grantees
from tests.unit.contracts.test_report_figures import decided, story

CLAIM = "ab" * 32
TASK = {
    "claim_id": CLAIM,
    "grade": 2,
    "since_ms": 0,
    "holder": None,
    "prepared_by": "ann",
    "reason": "AMOUNT_CONFIRMED",
}
REASON = {"code": "AMOUNT_CONFIRMED", "of": "release", "en": "checked", "zh": "已核对"}


class Node:
    """A client that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        paid = decided(1, payouts=(PayoutStory("PAID", 15_000, 16_000, 17_000),), reasons=("DAY_LIMIT",))
        stories = [paid, story(2)]
        clocks = [clock for item in stories for clock in build_clocks(item, limits_of(Parameters()), 20_000)]
        self._clocks = clocks
        self._kpi = {
            "participant": "insurer",
            "height": 7,
            "kpi": to_builtins(build_kpi(stories)),
            "turnaround": to_builtins(build_turnaround(clocks)),
            "invoice_errors": [{"hospital": "h", "month": "2026-01", "invoices": 3, "warned": 1, "refused": 0}],
        }

    def get(self, path: str, **query: Any) -> Any:
        self.asked.append((path, {name: value for name, value in query.items() if value}))
        return {"items": [TASK], "reasons": [REASON]} if path == "/v1/tasks" else self._kpi

    def pages(self, path: str, **query: Any) -> list[Any]:
        self.asked.append((path, query))
        return [{"claim_id": CLAIM, "status": "FILED", "clocks": [to_builtins(item) for item in self._clocks[:1]]}]

    def post(self, path: str, body: Any, **query: Any) -> Any:
        self.asked.append((path, body))
        return TASK | ({"holder": "ann", "lease_until_ms": 1_000} if path.endswith("take") else {})


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    found = Node()
    monkeypatch.setattr("cli.node_options.open_client", lambda *_: found)
    return found


def call(*words: str) -> Result:
    result = CliRunner().invoke(claimnode, [*words, "--node", "n"])
    assert result.exit_code == 0, result.output
    return result


def test_a_report_for_people_names_what_shares_are_of(node: Node) -> None:
    text = call("report", "kpi", "--from", "2026-01-01", "--to", "2026-02-01", "--lane", "flash").stdout
    assert "insurer at height 7: claims 2, decided 1, explained 1, closed 0, human steps 0" in text
    assert "straight through" in text
    assert "100.00 %" in text
    assert "1 claims: claimed 0.00 CNY, payable 1.00 CNY, paid 1.00 CNY" in text
    assert "reasons: DAY_LIMIT 1" in text
    assert "5.000 s" in text
    assert node.asked == [("/v1/statistics/kpi", {"from": "2026-01-01", "to": "2026-02-01", "lane": "flash"})]


def test_spreadsheet_and_program_get_the_same_figures(node: Node) -> None:
    figures = json.loads(call("report", "kpi", "--json").stdout)
    rows = list(csv.reader(io.StringIO(call("report", "kpi", "--csv").stdout)))
    assert rows[0] == ["section", "name", "field", "value"]
    values = {(section, name, field): value for section, name, field, value in rows[1:]}
    assert len(values) == len(rows) - 1, "each figure has one line"
    assert values["count", "claims", "value"] == str(figures["kpi"]["claims"])
    assert values["share", "disputed", "of"] == "1"
    assert values["share", "declined", "bp"] == "0"
    assert values["amount", "CNY", "paid_fen"] == "100"
    assert values["time", "EVIDENCE_COMPLETE-DECIDED", "p95_ms"] == "5000"
    assert values["turnaround", "insurer notify", "median_ms"] == ""
    assert values["invoice_errors", "h 2026-01", "invoices"] == "3"
    wrong = CliRunner().invoke(claimnode, ["report", "kpi", "--csv", "--json", "--node", "n"])
    assert wrong.exit_code == 2


def test_clocks_are_listed_with_who_owes_the_step(node: Node) -> None:
    text = call("report", "sla").stdout
    assert CLAIM in text
    assert json.loads(call("report", "sla", "--all", "--json").stdout)["claims"][0]["status"] == "FILED"
    assert node.asked == [("/v1/clocks", {"all": ""}), ("/v1/clocks", {"all": "true"})]


def test_tasks_are_listed_taken_and_given_back(node: Node) -> None:
    text = call("work", "list", "--lang", "zh").stdout
    assert "high" in text
    assert "已核对" in text
    assert json.loads(call("work", "list", "--json").stdout)["items"] == [TASK]
    assert "held by ann until 1970-01-01T00:00:01Z" in call("work", "take", CLAIM, "--override", "HOLDER_ABSENT").stdout
    assert json.loads(call("work", "take", "--json").stdout)["holder"] == "ann"
    assert "free" in call("work", "return", CLAIM).stdout
    assert node.asked[2:] == [
        ("/v1/tasks/take", {"claim_id": CLAIM, "override": "HOLDER_ABSENT"}),
        ("/v1/tasks/take", {"claim_id": None, "override": None}),
        (f"/v1/tasks/{CLAIM}/return", {}),
    ]


WORD = {
    "feedback_id": "ef" * 32,
    "claim_id": CLAIM,
    "kind": "complaint",
    "score": 1,
    "reasons": ["SLOW"],
    "due_ms": 0,
    "is_late": True,
    "answer": None,
}


def test_an_insured_speaks_and_staff_answers(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = make_consent(
        network="test.claims",
        hospitals=["hospital"],
        grantees=standard_grantees(["insurer"], ["commission"], ["tpa"]),
        policy_ids=["11" * 16],
        payee={"account": "a"},
        nbf_ms=0,
        exp_ms=1_000,
    )
    path = tmp_path / "wallet.json"
    write_secret_file(path, encode_wallet(wallet))
    answers: dict[str, Any] = {**WORD, "answer": "EXPLAINED", "person": "ann", "due_ms": 1_000}
    monkeypatch.setattr(node, "post", lambda route, body: node.asked.append((route, body)) or answers)
    monkeypatch.setattr(node, "pages", lambda route, **query: [{"claim_id": CLAIM, "words": [WORD]}])
    said = call("claim", "feedback", CLAIM, "--wallet", str(path), "--score", "1", "--reason", "SLOW", "--complaint")
    assert "due by 1970-01-01T00:00:01Z" in said.stdout
    key = decode_consent(wallet.token).consent.key
    payload = check_token(node.asked[0][1]["token"], "test.claims", CLAIM, wallet.consent_id, key)
    assert (payload.kind, payload.score, payload.reasons) == ("complaint", 1, ("SLOW",))
    assert "1970-01-01T00:00:00Z (late)" in call("work", "complaints").stdout
    assert json.loads(call("work", "complaints", "--all", "--json").stdout)["claims"][0]["words"] == [WORD]
    assert "answered EXPLAINED by ann" in call("work", "answer", CLAIM, "ef" * 32, "--with", "EXPLAINED").stdout
    assert node.asked[-1] == (
        f"/v1/feedback/{CLAIM}/answer",
        {"feedback_id": "ef" * 32, "answer": "EXPLAINED"},
    )


def test_a_review_is_prepared_then_released(node: Node) -> None:
    assert "a second person lets it go" in call("claim", "review", CLAIM, "--prepare", "AMOUNT_CONFIRMED").stdout
    assert "prepared by ann" in call("claim", "review", CLAIM).stdout
    assert json.loads(call("claim", "review", CLAIM, "--override", "DEADLINE_NEAR", "--json").stdout) == TASK
    assert [body for _, body in node.asked] == [
        {"action": "prepare", "reason": "AMOUNT_CONFIRMED", "override": None},
        {"action": "release", "reason": None, "override": None},
        {"action": "release", "reason": None, "override": "DEADLINE_NEAR"},
    ]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "-"),
        (0, "0.000 s"),
        (59_999, "59.999 s"),
        (60_000, "00:01:00"),
        (86_400_000 * 2 + 3_661_000, "2 d 01:01:01"),
    ],
)
def test_spans_are_readable(milliseconds: int | None, text: str) -> None:
    assert format_span(milliseconds) == text
    assert format_bp(9_342) == "93.42 %"
