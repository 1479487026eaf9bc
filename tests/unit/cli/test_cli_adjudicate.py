"""`claimnode adjudicate`: what is printed, in which order, with which exit code."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.adjudicate import adjudicate
from contracts.case import MAX_CASE_BYTES
from contracts.inputs import ERROR_CODES
from node.machine.programs import standard_examples

EXAMPLES = [json.loads(text) for text in standard_examples()]
CASES = [json.dumps(example["input"], ensure_ascii=False) for example in EXAMPLES]


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(adjudicate, list(arguments), input=stdin)


def test_one_case_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    path.write_text(CASES[0], encoding="utf-8")
    for options in ([], ["--json"]):
        result = run(str(path), *options)
        assert (result.exit_code, result.stderr) == (0, "")
        assert json.loads(result.stdout) == EXAMPLES[0]["expected"]
        assert result.stdout.count("\n") == 1 or not options


def test_explain_adds_the_trace_and_changes_no_result() -> None:
    explained: dict[str, Any] = json.loads(run("-", "--explain", stdin=CASES[1]).stdout)
    assert explained.pop("trace")[0]["rule"] == "3.3"
    assert explained == EXAMPLES[1]["expected"]


@pytest.mark.parametrize(
    ("text", "code", "place"), [("nonsense", "json", ""), ("{}", "missing", "/claim"), ("[]", "type", "")]
)
def test_no_case_exits_2_with_one_line(text: str, code: str, place: str) -> None:
    result = run("-", stdin=text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert code in result.stderr
    assert place in result.stderr
    error = json.loads(run("-", "--json", stdin=text).stdout)["error"]
    assert (error["code"], error["path"]) == (code, place)


def test_lines_keep_their_order_and_errors_their_place() -> None:
    lines: list[str] = []
    for text in CASES:
        lines += [text, "nonsense", '{"claim": {"claim_no": 5}}']
    result = run("--lines", "-", stdin="\n".join(lines) + "\n")
    assert (result.exit_code, result.stderr) == (0, "")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert answers[0::3] == [example["expected"] for example in EXAMPLES]
    assert [answer["error"]["code"] for answer in answers[1::3]] == ["json"] * len(CASES)
    assert [answer["error"]["path"] for answer in answers[2::3]] == ["/claim/claim_no"] * len(CASES)


def test_a_case_that_is_too_large_is_passed_over() -> None:
    padded = CASES[0][:-1] + ', "extra": "' + "x" * MAX_CASE_BYTES + '"}'
    result = run("--lines", "-", stdin="\n".join([padded, CASES[0]]))
    first, second = [json.loads(line) for line in result.stdout.splitlines()]
    assert first["error"]["code"] == "too_large"
    assert second == EXAMPLES[0]["expected"]


def test_amounts_that_add_up_beyond_all_bounds_are_a_range_error() -> None:
    case = json.loads(CASES[0])
    for invoice in case["invoices"]:
        invoice["total_fen"] = 2**53 - 1
    result = run("--lines", "-", stdin=json.dumps(case))
    assert json.loads(result.stdout)["error"]["code"] == "range"


def changed(path: str, value: Any) -> str:
    """The first example with one value set; as text, so that what is no JSON can be written too."""
    case = json.loads(CASES[0])
    *steps, last = path.strip("/").split("/")
    holder: Any = case
    for step in steps:
        holder = holder[int(step) if isinstance(holder, list) else step]
    holder[int(last) if isinstance(holder, list) else last] = value
    return json.dumps(case)


PERIOD = json.loads(CASES[0])["policies"][0]["periods"][0]
BENEFIT = "/policies/0/product/plans/{}/benefits/{}".format(
    PERIOD["plan"], json.loads(CASES[0])["policies"][0]["product"]["benefit_order"][0]
)
BAD_LINES = [
    (CASES[0][:-1], "json", ""),
    ("{}", "missing", "/claim"),
    (changed("/invoices/0/total_fen", 100.5), "type", "/invoices/0/total_fen"),
    (changed("/invoices/0/total_fen", 100.0), "type", "/invoices/0/total_fen"),
    (changed("/invoices/0/total_fen", "100"), "type", "/invoices/0/total_fen"),
    (changed("/invoices/0/total_fen", 2**53), "range", "/invoices/0/total_fen"),
    (changed("/invoices/0/issue_date", "2023-02-29"), "date", "/invoices/0/issue_date"),
    (changed("/invoices/0/type", "paper"), "unknown_value", "/invoices/0/type"),
    (changed("/policies/0/periods/0/plan", "none"), "unknown_value", "/policies/0/periods/0/plan"),
    (changed("/policies/0/periods", [PERIOD, PERIOD | {"id": "x"}]), "periods_overlap", "/policies/0/periods/1/start"),
    (changed(f"{BENEFIT}/ratios", []), "no_ratio", f"{BENEFIT}/ratios"),
    (changed("/claim/claim_no", "x" * 2_000), "too_large", "/claim/claim_no"),
]


def test_each_bad_line_has_its_code_and_its_place_and_the_run_goes_on() -> None:
    result = run("--lines", "-", stdin="\n".join([*(text for text, _, _ in BAD_LINES), CASES[0]]) + "\n")
    assert result.exit_code == 0
    *answers, last = [json.loads(line) for line in result.stdout.splitlines()]
    found = [(answer["error"]["code"], answer["error"]["path"]) for answer in answers]
    assert found == [(code, path) for _, code, path in BAD_LINES]
    assert all(set(answer["error"]) == {"code", "detail", "path"} for answer in answers)
    assert {code for code, _ in found} == ERROR_CODES
    assert last == EXAMPLES[0]["expected"]
