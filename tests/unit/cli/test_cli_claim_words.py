"""`claimnode claim withdraw|dispute|reopen|escalate` against a node that takes everything."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import claimnode
from contracts.claimtokens import DISPUTE_TYPE, ESCALATION_TYPE, Complaint, EscalationRequest
from contracts.commitments import commit
from contracts.tokens import decode_consent, decode_token
from node.wallet import encode_wallet, make_consent, standard_grantees
from tests.support.network_builder import make_hex

CLAIM = make_hex("claim")
PATH = f"/v1/claims/{CLAIM}/words"


class Taker:
    """A node that takes everything, or refuses with `code`."""

    folder: Path | None = None

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.code = "ok"

    def get(self, path: str) -> dict[str, Any]:
        assert path == f"/v1/claims/{CLAIM}"
        return {"attempt": 3}

    def post(self, path: str, body: dict[str, Any], *, wait: int) -> dict[str, Any]:
        self.said.append((path, body))
        return {"tx_id": "t", "status": "final", "height": 7, "time_ms": 0, "receipt": {"code": self.code}}


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Taker:
    taker = Taker()
    monkeypatch.setattr("cli.node_options.open_client", lambda *_: taker)
    return taker


@pytest.fixture
def wallet(tmp_path: Path) -> Path:
    held = make_consent(
        network="test.claims",
        hospitals=["hospital"],
        grantees=standard_grantees(["insurer"], ["commission"], ["tpa"]),
        policy_ids=[make_hex("policy", 16)],
        payee={"account": "1"},
        nbf_ms=1,
        exp_ms=2,
    )
    path = tmp_path / "wallet.json"
    path.write_bytes(encode_wallet(held))
    path.chmod(0o600)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(claimnode, ["claim", *map(str, arguments), "--node", "http://localhost:1"])


def key_of(wallet: Path) -> str:
    return decode_consent(json.loads(wallet.read_bytes())["token"]).consent.key


def test_a_dispute_is_sent_and_its_words_stay_here(node: Taker, wallet: Path, tmp_path: Path) -> None:
    words, out = tmp_path / "why.txt", tmp_path / "complaint.json"
    words.write_text("the ward fee was left out", encoding="utf-8")
    result = run("dispute", CLAIM, "--wallet", wallet, "--words", words, "--out", out)
    assert result.exit_code == 0, result.output
    ((path, body),) = node.said
    assert (path, body["kind"]) == (PATH, "dispute")
    word = decode_token(body["token"], DISPUTE_TYPE, Complaint, key_of(wallet))
    openings = json.loads(out.read_bytes())
    assert (word.attempt, word.complaint_commit) == (3, commit("complaint", openings["complaint"]))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "ward fee" not in result.output + body["token"]


def test_an_empty_complaint_is_no_complaint(node: Taker, wallet: Path, tmp_path: Path) -> None:
    words, out = tmp_path / "why.txt", tmp_path / "complaint.json"
    words.write_text("", encoding="utf-8")
    for name in ("dispute", "reopen"):
        assert run(name, CLAIM, "--wallet", wallet, "--words", words, "--out", out, "--attempt", "1").exit_code != 0
    assert not node.said
    assert not out.exists()


def test_the_other_words(node: Taker, wallet: Path, tmp_path: Path) -> None:
    words = tmp_path / "why.txt"
    words.write_text("a late invoice", encoding="utf-8")
    assert run("withdraw", CLAIM, "--wallet", wallet, "--attempt", "1").exit_code == 0
    assert run("escalate", CLAIM, "--wallet", wallet, "--deadline", "decide", "--json").exit_code == 0
    out = tmp_path / "reason.json"
    assert run("reopen", CLAIM, "--wallet", wallet, "--words", words, "--out", out).exit_code == 0
    assert [body["kind"] for _, body in node.said] == ["withdraw", "escalate", "reopen"]
    word = decode_token(node.said[1][1]["token"], ESCALATION_TYPE, EscalationRequest, key_of(wallet))
    assert (word.claim_id, word.deadline) == (CLAIM, "decide")
    node.code = "ESCALATED_ALREADY"
    refused = run("escalate", CLAIM, "--wallet", wallet, "--deadline", "decide")
    assert refused.exit_code == 1
