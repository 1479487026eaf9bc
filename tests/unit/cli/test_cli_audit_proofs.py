"""`claimnode audit absent`, `record` and `verify` of small proofs: files, forms, exit codes; no node is needed."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli import audit_proofs, node_options
from cli.audit import audit
from cli.errors import CliError
from node.audit.proofs import decode_proof, encode_proof, encode_readable
from tests.support.agent_world import invoice
from tests.support.invoice_story import absence, inclusion, invoice_story, presence


class FakeClient:
    """Answers as a node would; remembers what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Any]] = []

    def post(self, path: str, body: Any, **query: Any) -> Any:
        self.asked.append((path, body))
        return self.answer

    def get_bytes(self, path: str, **query: Any) -> bytes:
        self.asked.append((path, query))
        return bytes(self.answer)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "genesis.json").write_bytes(invoice_story().network.genesis_bytes)
    for name, number in (("used", 1), ("unused", 2)):
        (tmp_path / f"{name}-invoice.json").write_text(json.dumps(invoice(number)[1]))
    (tmp_path / "unused.proof").write_bytes(encode_proof(absence(invoice_story())))
    (tmp_path / "unused.json").write_bytes(encode_readable(absence(invoice_story())))
    (tmp_path / "used.proof").write_bytes(encode_proof(presence(invoice_story())))
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(audit, list(map(str, arguments)))


def ask(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, *options: str, name: str
) -> tuple[Result, FakeClient]:
    client = FakeClient(answer)
    monkeypatch.setattr(node_options, "open_client", lambda node, token_file=None: client)
    file = folder / f"{name}-invoice.json"
    return run("absent", "--invoice", file, "--node", "x", "--out", folder / "out", *options), client


def in_base64(proof: Any) -> str:
    return base64.b64encode(encode_proof(proof)).decode()


@pytest.mark.parametrize("name", ["unused.proof", "unused.json"])
def test_verify_reads_both_forms(folder: Path, name: str) -> None:
    trust = ("--trust", folder / "genesis.json")
    result = run("verify", folder / name, *trust, "--invoice", folder / "unused-invoice.json")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line[:6] for line in lines[:-1]] == [f"ok  {number:2d}" for number in range(1, 6)]
    assert "not used up to height" in lines[-1]
    shown = json.loads(run("verify", folder / name, *trust, "--json").output)
    assert (shown["ok"], shown["kind"], shown["about"]["number"]) == (True, "invoice-absence", "0000000002")


def test_verify_holds_a_proof_against_the_invoice_at_hand(folder: Path) -> None:
    options = ("--trust", folder / "genesis.json", "--invoice", folder / "used-invoice.json")
    result = run("verify", folder / "unused.proof", *options)
    assert isinstance(result.exception, CliError)
    assert (result.exception.code, result.exception.exit_code) == ("other_invoice", 1)
    assert run("verify", folder / "used.proof", *options).exit_code == 0


@pytest.mark.parametrize("options", [(), ("--trust-embedded",)])
def test_a_proof_is_not_its_own_reason_to_trust(folder: Path, options: tuple[str, ...]) -> None:
    result = run("verify", folder / "unused.proof", *options)
    assert isinstance(result.exception, CliError)
    assert (result.exception.code, result.exception.exit_code) == ("trust", 2)


def test_verify_says_which_check_fails(folder: Path) -> None:
    data = (folder / "unused.proof").read_bytes()
    (folder / "false.proof").write_bytes(data[:-10] + bytes([data[-10] ^ 1]) + data[-9:])
    result = run("verify", folder / "false.proof", "--trust", folder / "genesis.json", "--json")
    assert isinstance(result.exception, CliError)
    assert result.exception.exit_code == 1
    assert json.loads(result.output)["check"] in (1, 3)


def test_lines_hold_proofs_too(folder: Path) -> None:
    (folder / "names").write_text(f"{folder / 'unused.proof'}\n{folder / 'used.proof'}\n{folder / 'genesis.json'}\n")
    result = run("verify", "--lines", folder / "names", "--trust", folder / "genesis.json")
    answers = [json.loads(line) for line in result.output.splitlines()]
    assert [item["ok"] for item in answers] == [True, True, False]
    assert result.exit_code == 1


def test_absent_writes_the_proof_and_sends_the_identity_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"used": False, "proof": in_base64(absence(invoice_story()))}
    result, client = ask(folder, monkeypatch, answer, name="unused")
    assert result.exit_code == 0, result.exception
    assert decode_proof((folder / "out").read_bytes()) == absence(invoice_story())
    identity = {"type": "medical", "code": "33060121", "number": "0000000002"}
    assert client.asked == [("/v1/proofs/invoices", identity)]
    assert ask(folder, monkeypatch, answer, "--format", "json", name="unused")[0].exit_code == 0
    assert (folder / "out").read_bytes() == encode_readable(absence(invoice_story()))


@pytest.mark.parametrize("shown", [True, False])
def test_a_used_invoice_is_claimed(folder: Path, monkeypatch: pytest.MonkeyPatch, shown: bool) -> None:
    answer = {"used": True, "proof": in_base64(presence(invoice_story())) if shown else None}
    result, _ = ask(folder, monkeypatch, answer, name="used")
    assert isinstance(result.exception, CliError)
    assert (result.exception.code, result.exception.exit_code) == ("claimed", 1)
    assert (folder / "out").exists() == shown


@pytest.mark.parametrize("answer", [{"used": False, "proof": None}, {"used": False, "proof": "AA=="}])
def test_a_node_that_answers_nonsense_has_failed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    result, _ = ask(folder, monkeypatch, answer, name="unused")
    assert isinstance(result.exception, CliError)
    assert result.exception.exit_code == 3
    assert not (folder / "out").exists()


def test_a_record_is_proved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(encode_proof(inclusion(invoice_story())))
    monkeypatch.setattr(node_options, "open_client", lambda node, token_file=None: client)
    out = folder / "record.json"
    assert run("record", invoice_story().record_id, "--node", "x", "--out", out).exit_code == 0
    result = run("verify", out, "--trust", folder / "genesis.json")
    assert "published by hospital" in result.output


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("[]", "invoice"),
        ("{}", "identity"),
        ('{"invoice": {"type": "inpatient", "code": "33060121", "number": "2"}}', "identity"),
        ("x", "json"),
        ('"' + "x" * audit_proofs.MAX_INVOICE_BYTES + '"', "too_large"),
    ],
)
def test_files_that_hold_no_invoice(folder: Path, content: str, code: str) -> None:
    (folder / "unused-invoice.json").write_text(content)
    options = ("--trust", folder / "genesis.json", "--invoice", folder / "unused-invoice.json")
    result = run("verify", folder / "unused.proof", *options)
    assert getattr(result.exception, "code", None) == code
