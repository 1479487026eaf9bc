"""`claimnode invoice check`: what is printed, in which order, with which exit code."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.invoice import invoice
from contracts.inputs import MAX_DOCUMENT_BYTES
from tests.support.invoices import OUTPATIENT, VAT, build_request

GOOD = json.dumps(build_request(OUTPATIENT), ensure_ascii=False)
BAD = json.dumps(build_request({**VAT, "tax_fen": 0}))


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(invoice, ["check", *arguments], input=stdin)


def error_of(line: str) -> tuple[str, str]:
    error: dict[str, Any] = json.loads(line)["error"]
    assert set(error) == {"code", "detail", "path"}
    return error["code"], error["path"]


def test_a_valid_invoice_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(GOOD, encoding="utf-8")
    result = run(str(path))
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {"valid": True, "violations": []}


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_violations_exit_1(options: list[str]) -> None:
    result = run("-", *options, stdin=BAD)
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"valid": False, "violations": ["V18"]}
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("text", "code"), [("", "json"), ("{", "json"), ("[]", "type"), ("{}", "missing"), ('{"a":1,"a":2}', "json")]
)
def test_no_request_exits_2_with_one_line(text: str, code: str) -> None:
    result = run("-", stdin=text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert code in result.stderr
    as_json = run("-", "--json", stdin=text)
    assert as_json.exit_code == 2
    assert error_of(as_json.stdout)[0] == code


def test_a_missing_file_exits_2_with_one_line(tmp_path: Path) -> None:
    for name in (tmp_path / "absent.json", tmp_path):
        result = run(str(name))
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
        assert run("--lines", str(name)).exit_code == 2


def test_lines_keep_their_order_and_errors_their_place() -> None:
    lines = [GOOD, "", "nonsense", BAD, "[]", '{"invoice": 1}', GOOD]
    result = run("--lines", "-", stdin="\r\n".join(lines))
    assert (result.exit_code, result.stderr) == (0, "")
    answers = result.stdout.splitlines()
    assert len(answers) == len(lines)
    assert [json.loads(answers[index])["valid"] for index in (0, 3, 6)] == [True, False, True]
    assert [error_of(answers[index]) for index in (1, 2, 4, 5)] == [
        ("json", ""),
        ("json", ""),
        ("type", ""),
        ("type", "/invoice"),
    ]


def test_a_line_that_is_too_long_is_passed_over() -> None:
    long = b'{"invoice": "' + b"x" * (MAX_DOCUMENT_BYTES + 10_000) + b'"}'
    result = run("--lines", "-", stdin=b"\n".join([GOOD.encode(), long, GOOD.encode(), long]))
    answers = result.stdout.splitlines()
    assert [json.loads(answers[index])["valid"] for index in (0, 2)] == [True, True]
    assert [error_of(answers[index]) for index in (1, 3)] == [("too_large", ""), ("too_large", "")]
    assert len(answers) == 4


def test_bytes_that_are_no_text() -> None:
    lines = [b"\xff\xfe", b'"\\ud800"', b"\xef\xbb\xbf" + GOOD.encode(), b"[" * 100_000, b"NaN", b"9" * 5000]
    answers = run("--lines", "-", stdin=b"\n".join(lines)).stdout.splitlines()
    assert [error_of(line)[0] for line in answers] == ["json", "json", "json", "too_large", "json", "json"]


def test_the_error_repeats_nothing_of_the_document() -> None:
    result = run("-", stdin='{"invoice": {"payer_name": "某某人"}, "context": {"as_of": "某某人"}}')
    assert result.exit_code == 2
    assert "某某人" not in result.output


def test_importing_the_commands_pulls_in_no_server() -> None:
    code = (
        "import sys, cli.invoice, cli.adjudicate;"
        "print([m for m in ('fastapi','uvicorn','sqlalchemy','aiohttp','rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_warnings_are_added_only_when_asked_for() -> None:
    early = {
        **OUTPATIENT,
        "code": "45060122",
        "visit_date": "2022-09-01",
        "issue_date": "2022-09-01",
        "institution_type": "",
    }
    request = json.dumps(build_request(early), ensure_ascii=False)
    plain, asked = run("-", stdin=request), run("-", "--by-region", stdin=request)
    assert (plain.exit_code, json.loads(plain.stdout)) == (1, {"valid": False, "violations": ["V03:institution_type"]})
    expected = {"valid": True, "violations": [], "warnings": ["V03:institution_type"]}
    assert (asked.exit_code, json.loads(asked.stdout)) == (0, expected)
    named = build_request({**early, "code": "33060122"})
    named["context"]["region"] = "45"
    assert json.loads(run("-", stdin=json.dumps(named)).stdout) == expected


def test_counts_of_a_commission(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "hospital": "h1",
        "month": "2022-09",
        "invoices": 3,
        "warned": 1,
        "refused": 1,
        "codes": {"V08": 2, "V09": 1},
    }
    earlier = {**row, "month": "2022-08", "codes": {}}

    class Client:
        def pages(self, path: str) -> list[dict[str, Any]]:
            assert path == "/v1/invoices/errors"
            return [row, earlier]

    monkeypatch.setattr("cli.node_options.open_client", lambda *_: Client())
    shown = CliRunner().invoke(invoice, ["errors", "--node", "x"]).stdout.splitlines()
    assert shown[1].split() == ["2022-08", "h1", "3", "1", "1", "-"]
    assert shown[2].endswith("V08 2, V09 1")
    assert json.loads(CliRunner().invoke(invoice, ["errors", "--node", "x", "--json"]).stdout) == {
        "errors": [earlier, row]
    }
