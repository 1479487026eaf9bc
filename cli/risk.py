"""`claimnode risk`: records in, results and grade out, offline; the parameters; and what a node counted.

Knows the options and how answers are shown. Must not know a rule: contracts.risk holds all twelve. Always true: no
record is sent anywhere, and no library of a server is imported.
"""

from typing import Any, get_type_hints

import click
import msgspec

from cli.client import NodeClient
from cli.documents import Answer, WrongUse, answer_file, answer_lines, read_document
from cli.node_options import node_options
from cli.output import json_option, print_json, print_table
from contracts.inputs import decode_document
from contracts.risk.assessment import assess_claim, assess_hospital
from contracts.risk.parameters import DEFAULTS, Parameters, ParametersError, decode_parameters, parse_parameters
from contracts.risk.reading import read_request
from contracts.risk.records import ClaimRecords
from contracts.risk.results import as_document


@click.group(name="risk")
def risk() -> None:
    """Risk rules RK01 to RK12: offline, and what a node counted.

    Example: claimnode risk check records.json
    """


@risk.command(name="check")
@click.argument("file")
@click.option("--lines", is_flag=True, help="Read one document a line (NDJSON), write one assessment a line.")
@click.option("--json", "as_json", is_flag=True, help="Write the assessment as one compact JSON line.")
@click.option(
    "--parameters", "parameters_file", help="A .toml or canonical JSON file of parameters (default: built in)."
)
def check(file: str, lines: bool, as_json: bool, parameters_file: str | None) -> None:
    """Assess the records in FILE (- for standard input): one claim, or one hospital beside its peers.

    No rule declines a claim. Exit code 0: done, whatever the grade, 2: no such document. With --lines a line
    that is none gives an error object in its place, and the exit code is 0.

    \b
    Example: claimnode risk check records.json
             claimnode risk check --lines - < records.ndjson > assessments.ndjson
    """
    answer = _answer_with(DEFAULTS if parameters_file is None else _load(parameters_file))
    if lines:
        answer_lines(file, answer)
    else:
        answer_file(file, answer, as_json=as_json)


@risk.command(name="parameters")
@json_option
def show_parameters(as_json: bool) -> None:
    """Show the built-in parameters with unit and reason; with --json as a file for `risk check --parameters`.

    Example: claimnode risk parameters --json > parameters.json
    """
    if as_json:
        print_json(msgspec.to_builtins(DEFAULTS))
        return
    rows = []
    for name, hint in get_type_hints(Parameters, include_extras=True).items():
        meta = next(item for item in hint.__metadata__ if isinstance(item, msgspec.Meta))
        value = getattr(DEFAULTS, name)
        shown = msgspec.json.encode(value).decode() if isinstance(value, tuple) else str(value)
        rows.append((name, shown, (meta.extra or {})["unit"], meta.description or ""))
    print_table(("parameter", "value", "unit", "reason"), rows)


@risk.command(name="hospitals")
@node_options
@json_option
def hospitals(client: NodeClient, as_json: bool) -> None:
    """Show, at a commission's node, what RK04 and RK11 say of hospitals beside their peers.

    Counts of twelve months; nothing is shown of fewer than 20 stays. A hit is a question to a hospital, not an answer.

    Example: claimnode risk hospitals --node net/commission
    """
    rows = list(client.pages("/v1/risk/hospitals"))
    if as_json:
        print_json({"hospitals": rows})
        return
    shown = [(row["hospital"], row["grade"], _hits(row["hits"]), ", ".join(row["insufficient"]) or "-") for row in rows]
    print_table(("hospital", "grade", "hits", "too few cases"), shown)


@risk.command(name="statistics")
@node_options
@json_option
def statistics(client: NodeClient, as_json: bool) -> None:
    """Show, at an insurer's node, how many claims of each month were graded, and how often each rule was hit.

    Example: claimnode risk statistics --node net/insurer
    """
    rows = client.get("/v1/risk/statistics")["items"]
    if as_json:
        print_json({"months": rows})
        return
    shown = [(row["month"], str(row["graded"]), _counts(row["grades"]), _counts(row["hits"])) for row in rows]
    print_table(("month", "graded", "grades", "hits"), shown)


def _hits(hits: list[dict[str, Any]]) -> str:
    return ", ".join(f"{hit['rule']} {' '.join(hit['evidence'])}" for hit in hits) or "-"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "-"


def _answer_with(parameters: Parameters) -> Answer:
    def answer(document: bytes) -> Any:
        request = read_request(decode_document(document))
        if isinstance(request, ClaimRecords):
            return as_document(assess_claim(request, parameters))
        return as_document(assess_hospital(request, parameters))

    return answer


def _load(name: str) -> Parameters:
    data = read_document(name)
    try:
        return parse_parameters(data) if name.endswith(".toml") else decode_parameters(data.rstrip(b"\r\n"))
    except ParametersError as error:
        raise WrongUse(f"{name}: {error}") from None
