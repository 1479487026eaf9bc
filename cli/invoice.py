"""`claimnode invoice check`: e-invoice validation of files, pure and offline.

Knows the options and exit codes. Must not know a rule: contracts.einvoice holds all eighteen. Always true:
nothing is sent anywhere, and no library of a server is imported.
"""

from typing import Any

import click

from cli.documents import EXIT_NO, answer_file, answer_lines
from contracts.einvoice import validate
from contracts.inputs import decode_document


@click.group(name="invoice")
def invoice() -> None:
    """Check e-invoices before they are used.

    Example: claimnode invoice check request.json
    """


@invoice.command(name="check")
@click.argument("file")
@click.option("--lines", is_flag=True, help="Read one request a line (NDJSON), write one answer a line.")
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one compact JSON line.")
@click.pass_context
def check(context: click.Context, file: str, lines: bool, as_json: bool) -> None:
    """Check the validation request in FILE (- for standard input) against rules V01 to V18.

    A request is {"invoice": {...}, "context": {"as_of": date, "known": [invoices]}}. Exit code 0: valid,
    1: violations, 2: no request. With --lines a line that is no request gives an error object in its
    place, and the exit code is 0.

    \b
    Example: claimnode invoice check request.json
             claimnode invoice check --lines - < requests.ndjson
    """
    if lines:
        answer_lines(file, _check_request)
    elif not answer_file(file, _check_request, as_json=as_json)["valid"]:
        context.exit(EXIT_NO)


def _check_request(document: bytes) -> dict[str, Any]:
    return validate(decode_document(document))
