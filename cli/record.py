"""`claimnode record`: a hospital's documents on their way to the ledger and to whom the consent names.

Knows files and record types; encryption and delivery are the hospital's node's. Always true: a document goes to the
hospital's own node and nowhere else from here.
"""

from typing import Any, get_args

import click

from cli.client import NodeClient
from cli.documents import read_document
from cli.errors import AnswerIsNo, CliError, NetworkFailure
from cli.node_options import node_options
from cli.output import json_option, print_json, print_text
from contracts.bodies import RecordType
from contracts.inputs import decode_document

WAIT_S = 30


@click.group(name="record")
def record() -> None:
    """Publish documents of a case.

    Example: claimnode record publish --consent 9a01... admission=admission.json --node net/hospital
    """


@record.command(name="publish")
@click.argument("documents", nargs=-1, required=True, metavar="TYPE=FILE...")
@click.option("--consent", "consent_id", required=True, help="Id of the consent to publish under.")
@node_options
@json_option
def publish(documents: tuple[str, ...], consent_id: str, client: NodeClient, as_json: bool) -> None:
    """Publish JSON documents of one case together; TYPE is admission, discharge, invoice or charges.

    The hospital's node encrypts them for whom the consent names; the ledger gets commitments alone.

    \b
    Example: claimnode record publish discharge=summary.json invoice=invoice.json charges=list.json
             --consent 9a01... --node net/hospital
    """
    answer = client.publish(consent_id, [_read(item) for item in documents], wait_s=WAIT_S)
    if answer.get("status") != "final":
        raise NetworkFailure("pending", f"transaction {answer['tx_id']} is not final yet; ask for it later")
    results = answer["receipt"]["results"]
    codes = [item["code"] for item in results] or [answer["receipt"]["code"]] * len(documents)
    shown = [
        {"record_id": record_id, "code": code} for record_id, code in zip(answer["record_ids"], codes, strict=True)
    ]
    if as_json:
        print_json({"tx_id": answer["tx_id"], "height": answer["height"], "records": shown})
    else:
        print_text("\n".join(f"{item['record_id']}  {item['code']}" for item in shown))
    if answer["receipt"]["code"] != "ok":
        raise AnswerIsNo(answer["receipt"]["code"], f"the ledger refused records of transaction {answer['tx_id']}")


def _read(item: str) -> tuple[str, dict[str, Any]]:
    kind, separator, name = item.partition("=")
    if not separator or kind not in get_args(RecordType):
        raise CliError("document", f"{item!r}: write TYPE=FILE with a TYPE of {', '.join(get_args(RecordType))}")
    document = decode_document(read_document(name))
    if not isinstance(document, dict):
        raise CliError("document", f"{name} holds no JSON object")
    return kind, document
