"""`claimnode invoice`: e-invoice validation of files, pure and offline; a commission's counts of faulty invoices.

Knows the options and exit codes. Must not know a rule: contracts.einvoice holds all eighteen, and einvoice_regions
beside it says since when they refuse. Always true: `check` sends nothing anywhere, and no library of a server is
imported.
"""

from typing import Any

import click

from cli.client import NodeClient
from cli.documents import EXIT_NO, Answer, answer_file, answer_lines
from cli.node_options import node_options
from cli.output import json_option, print_json, print_table
from contracts.einvoice import validate
from contracts.einvoice_regions import validate_in_region
from contracts.inputs import decode_document


@click.group(name="invoice")
def invoice() -> None:
    """Check e-invoices before they are used.

    Example: claimnode invoice check request.json
    """


@invoice.command(name="check")
@click.argument("file")
@click.option("--lines", is_flag=True, help="Read one request a line (NDJSON), write one answer a line.")
@click.option(
    "--by-region", is_flag=True, help="Add warnings: what the region of the invoice's code did not yet refuse."
)
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one compact JSON line.")
@click.pass_context
def check(context: click.Context, file: str, lines: bool, by_region: bool, as_json: bool) -> None:
    """Check the validation request in FILE (- for standard input) against rules V01 to V18.

    A request is {"invoice": {...}, "context": {"as_of": date, "known": [invoices]}}. With --by-region, or with
    "region" (two digits of a province) in its context, faults of an invoice that was issued before its region's
    day stand under "warnings". Exit code 0: valid, 1: violations, 2: no request. With --lines a line that is no
    request gives an error object in its place, and the exit code is 0.

    \b
    Example: claimnode invoice check request.json
             claimnode invoice check --lines - < requests.ndjson
    """
    answer = _answer_with(by_region)
    if lines:
        answer_lines(file, answer)
    elif not answer_file(file, answer, as_json=as_json)["valid"]:
        context.exit(EXIT_NO)


@invoice.command(name="errors")
@node_options
@json_option
def errors(client: NodeClient, as_json: bool) -> None:
    """Show, at a commission's node, how many e-invoices of each hospital and month broke which rule.

    Example: claimnode invoice errors --node net/commission
    """
    rows = sorted(client.pages("/v1/invoices/errors"), key=lambda row: (row["month"], row["hospital"]))
    if as_json:
        print_json({"errors": rows})
        return
    columns = ("month", "hospital", "invoices", "warned", "refused", "rules")
    print_table(columns, [[str(row[name]) for name in columns[:-1]] + [_rules(row["codes"])] for row in rows])


def _rules(codes: dict[str, int]) -> str:
    return ", ".join(f"{code} {count}" for code, count in sorted(codes.items())) or "-"


def _answer_with(by_region: bool) -> Answer:
    def answer(document: bytes) -> dict[str, Any]:
        request = decode_document(document)
        return validate_in_region(request) if by_region or _names_region(request) else validate(request)

    return answer


def _names_region(request: Any) -> bool:
    context = request.get("context") if isinstance(request, dict) else None
    return isinstance(context, dict) and context.get("region") is not None
