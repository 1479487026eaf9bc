"""`claimnode payout`: payouts as this participant's node shows them, and the files that its bank takes and sends.

Knows the options and how a payout is printed. Always true: `list` shows no amounts (they are commitments on the ledger;
`claimnode claim show` has them at the insurer's own node), and a file with orders is written for its owner alone.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any, Final

import click

from cli.client import NodeClient
from cli.consent_text import format_time
from cli.errors import CliError
from cli.node_options import node_options
from cli.output import format_money, json_option, print_json, print_table, print_text

MAX_ANSWER_FILE: Final = 8 * 2**20
"""The node reads no larger message."""


@click.group(name="payout")
def payout() -> None:
    """Payouts of a node, and the files of an insurer's bank.

    Example: claimnode payout list --node net/insurer
    """


@payout.command(name="list")
@click.option("--status", "statuses", multiple=True, help="Only these statuses: AUTHORISED, ORDERED, PAID, ...")
@node_options
@json_option
def list_payouts(statuses: tuple[str, ...], client: NodeClient, as_json: bool) -> None:
    """List the payouts of claims that this participant is a party of, in the order of their authorisation.

    Example: claimnode payout list --node net/insurer --status SETTLED_CLAIMED
    """
    found = [item for item in client.pages("/v1/payouts") if not statuses or item["status"] in statuses]
    if as_json:
        print_json({"payouts": found, "counts": dict(sorted(Counter(item["status"] for item in found).items()))})
        return
    rows = [
        (item["payout_id"], item["claim_id"][:16], item["status"], format_time(item["authorised_ms"])) for item in found
    ]
    print_table(("payout", "claim", "status", "authorised"), rows)


@payout.command(name="export")
@click.option("--out", type=click.Path(path_type=Path), help="Write the file here; it must not be there yet.")
@click.option("--again", metavar="BATCH", help="A batch that was made before, byte for byte.")
@click.option("--release", is_flag=True, help="After a restore: the bank's answers since the backup were brought.")
@node_options
@json_option
def export(out: Path | None, again: str | None, release: bool, client: NodeClient, as_json: bool) -> None:
    """Take the next batch of payment orders (pain.001). The node also keeps it in its bank folder's `out`.

    An order is in one batch and never in another. What was exported and lost comes with --again.

    Example: claimnode payout export --node net/insurer --out monday.xml
    """
    if out is not None and out.exists():
        raise CliError("exists", f"{out} is there already; nothing was exported")
    made = client.post("/v1/payments/batches", {}, again=again, release="true" if release else None)
    if out is not None:
        _write_private(out, made["file"].encode("utf-8"))
    if as_json:
        print_json({name: value for name, value in made.items() if name != "file"})
        return
    money = format_money(made["total_fen"], made["currency"])
    print_text(f"{made['message_id']}: {made['orders']} orders, {money}{f', in {out}' if out else ''}")


@payout.command(name="settle")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@node_options
@json_option
def settle(files: tuple[Path, ...], client: NodeClient, as_json: bool) -> None:
    """Bring the bank's answers (pain.002, camt.053, camt.054) from FILES, or from the bank folder's `in` without any.

    The same file twice changes nothing. What the bank says nothing about stays ordered.

    Example: claimnode payout settle --node net/insurer report.xml notification.xml
    """
    taken = []
    for path in files:
        data = path.read_bytes() if path.stat().st_size <= MAX_ANSWER_FILE else None
        if not data:
            raise CliError("file", f"{path} is empty or larger than {MAX_ANSWER_FILE} bytes")
        taken += [{**item, "file": str(path)} for item in client.post("/v1/payments/answers", data)["files"]]
    if not files:
        taken = client.post("/v1/payments/answers", b"")["files"]
    still_open = client.get("/v1/payments/open")["items"]
    if as_json:
        print_json({"files": taken, "open": still_open})
        return
    for item in taken:
        print_text(_file_line(item))
    print_table(("payout", "attempt", "standing", "status", "reasons"), [_row(item) for item in _last_words(taken)])
    print_text(f"open at the bank: {len(still_open)}")


@payout.command(name="retry")
@click.argument("payout_id")
@click.option(
    "--payee", "payee_file", type=click.Path(path_type=Path, exists=True), help="The payee's word and account."
)
@node_options
@json_option
def retry(payout_id: str, payee_file: Path | None, client: NodeClient, as_json: bool) -> None:
    """Order a FAILED payout again. Whoever holds the access token is the one who asked.

    Example: claimnode payout retry 5f0c... --node net/insurer
    """
    body = payee_file.read_bytes() if payee_file else b"{}"
    asked = client.post(f"/v1/payouts/{payout_id}/retry", body)
    if as_json:
        print_json(asked)
    else:
        print_text(f"{payout_id}: attempt {asked['attempt']} asked for by {asked['asked_by']}; it goes on by itself")


def _file_line(item: dict[str, Any]) -> str:
    if "code" in item:
        return f"{item['file']}: refused, {item['code']}: {item['detail']}"
    return f"{item['file']}: {item['kind']}, {len(item['payouts'])} of our payouts, {item['foreign_total']} of others"


def _last_words(taken: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each payout once, as the last file left it."""
    found = {payout["payout_id"]: payout for item in taken for payout in item.get("payouts", ())}
    return [found[name] for name in sorted(found)]


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    said = item["code"] or item["status"] or "-"
    return item["payout_id"], str(item["attempt"]), item["standing"], said, " ".join(item["reasons"]) or "-"


def _write_private(path: Path, data: bytes) -> None:
    """For this user alone: the file holds names and accounts."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
