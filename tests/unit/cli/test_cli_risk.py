"""`claimnode risk`: what is printed, in which order, with which exit code."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from cli.risk import risk
from contracts.risk.parameters import DEFAULTS, encode_parameters
from tests.support.risk_records import claim_document, hospital_document

CLAIM, HOSPITAL = json.dumps(claim_document()), json.dumps(hospital_document())


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(risk, list(arguments), input=stdin)


def test_one_claim_and_one_hospital() -> None:
    for text, subject, count in ((CLAIM, "c1", 10), (HOSPITAL, "h0", 4)):
        for options in ([], ["--json"]):
            result = run("check", "-", *options, stdin=text)
            assert (result.exit_code, result.stderr) == (0, "")
            assessment = json.loads(result.stdout)
            assert (assessment["subject"], len(assessment["results"])) == (subject, count)
            assert result.stdout.count("\n") == 1 or not options


def test_lines_keep_their_order_and_errors_their_place() -> None:
    result = run("check", "--lines", "-", stdin="\n".join([CLAIM, "nonsense", "{}", HOSPITAL]))
    first, second, third, last = map(json.loads, result.stdout.splitlines())
    assert result.exit_code == 0
    assert (first["subject"], last["subject"]) == ("c1", "h0")
    assert (second["error"]["code"], third["error"]["code"]) == ("json", "missing")


def test_no_request_exits_2_with_one_line() -> None:
    result = run("check", "-", stdin='{"claim": "c1"}')
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)


def test_parameters_come_out_and_go_in(tmp_path: Path) -> None:
    shown = run("parameters", "--json").stdout
    assert shown.encode() == encode_parameters(DEFAULTS) + b"\n"
    assert "fen" in run("parameters").stdout
    path = tmp_path / "parameters.json"
    path.write_text(shown.replace('"risk-1"', '"risk-2"').replace('"nursing_from_days":2', '"nursing_from_days":9'))
    assessment = json.loads(run("check", "-", "--parameters", str(path), stdin=CLAIM).stdout)
    assert assessment["parameters"]["version"] == "risk-2"
    path.write_text(shown.replace('"min_cases":20', '"min_cases":0').replace('"split_days":30', '"split_days":"x"'))
    result = run("check", "-", "--parameters", str(path), stdin=CLAIM)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert all(name in result.stderr for name in ("min_cases", "split_days", "risk_parameters"))
