"""`claimnode batch`: a hospital's batches of drawn guarantees, from its statement of account to the payment's arrival.

Knows the options and how batches are printed. Must not know commitments. Always true: what a line is returned for is
said by its place in the batch, and amounts are whole cents of the currency (fen).
"""

from typing import Any, Final

import click

from cli.client import NodeClient
from cli.consent_text import format_time
from cli.errors import AnswerIsNo, CliError
from cli.node_options import node_options
from cli.output import format_money, json_option, print_json, print_table, print_text

WAIT_S: Final = 10
AGES: Final = ("0-30", "31-60", "61-90", "over-90", "total")


@click.group(name="batch")
def batch() -> None:
    """Batches between a hospital, who looks at their lines, and an insurer.

    Example: claimnode batch list --node net/hospital
    """


@batch.command(name="submit")
@click.argument("insurer")
@click.option("--reviewer", help="The TPA that looks at the lines; default the insurer itself.")
@click.option("--guarantee", "guarantees", multiple=True, help="Only these; default all that are drawn and unbilled.")
@node_options
@json_option
def submit(insurer: str, reviewer: str | None, guarantees: tuple[str, ...], client: NodeClient, as_json: bool) -> None:
    """Send an insurer the next batch: every guarantee that was drawn and is in no batch, the oldest first.

    Example: claimnode batch submit insurer --reviewer tpa --node net/hospital
    """
    body = {"insurer": insurer, "reviewer": reviewer, "guarantees": guarantees}
    _done(client.post("/v1/batches", body, wait=WAIT_S), as_json)


@batch.command(name="review")
@click.argument("batch_id")
@click.option("--return", "returns", multiple=True, metavar="LINE=REASON", help="A line that goes back; repeat it.")
@node_options
@json_option
def review(batch_id: str, returns: tuple[str, ...], client: NodeClient, as_json: bool) -> None:
    """Give every open line its word. What is not as it was drawn goes back by itself, with the reason.

    Reasons: DOCUMENTS_MISSING, NOT_OF_PERIOD, DUPLICATE_SERVICE, UNDER_DISPUTE.

    Example: claimnode batch review 5f0c... --return 3=DOCUMENTS_MISSING --node net/tpa
    """
    body = {"returns": [_read_return(item) for item in returns]}
    _done(client.post(f"/v1/batches/{batch_id}/review", body, wait=WAIT_S), as_json)


@batch.command(name="settle")
@click.argument("batch_id")
@click.option("--amount", "amount_fen", type=click.IntRange(0), required=True, help="What the bank booked, in fen.")
@click.option("--account", required=True, help="The account that it was booked on.")
@click.option("--date", "booking_date", required=True, help="The day of the booking, YYYY-MM-DD.")
@click.option("--reference", "bank_reference", required=True, help="The bank's reference.")
@node_options
@json_option
def settle(client: NodeClient, batch_id: str, as_json: bool, **booked: Any) -> None:
    """Say that the bank booked one payment for all endorsed lines. Another sum than theirs is refused.

    \b
    Example: claimnode batch settle 5f0c... --amount 38581 --account A-1 --date 2026-02-03
             --reference R-77 --node net/insurer
    """
    _done(client.post(f"/v1/batches/{batch_id}/settlement", booked, wait=WAIT_S), as_json)


@batch.command(name="acknowledge")
@click.argument("batch_id")
@click.option("--amount", "amount_fen", type=click.IntRange(0), required=True, help="What arrived, in fen.")
@node_options
@json_option
def acknowledge(client: NodeClient, batch_id: str, amount_fen: int, as_json: bool) -> None:
    """Say that the payment arrived. A breakdown that is not the endorsed lines, or another sum, is refused.

    Example: claimnode batch acknowledge 5f0c... --amount 38581 --node net/hospital
    """
    _done(client.post(f"/v1/batches/{batch_id}/acknowledgement", {"amount_fen": amount_fen}, wait=WAIT_S), as_json)


@batch.command(name="list")
@node_options
@json_option
def list_batches(client: NodeClient, as_json: bool) -> None:
    """List batches by the time they were submitted, then what is drawn and not paid, by age in days.

    Example: claimnode batch list --node net/hospital
    """
    found, owed = list(client.pages("/v1/batches")), client.get("/v1/receivables")
    if as_json:
        print_json({"batches": found, "receivables": owed})
        return
    columns = ("batch", "hospital", "insurer", "status", "submitted", "open", "endorsed", "returned", "paid")
    print_table(columns, [_row(item) for item in found])
    ages = [(item["other"], *(format_money(item[age], "CNY") for age in AGES)) for item in owed["items"]]
    print_table(("owed with", *AGES), ages)
    if owed["unopened"]:
        print_text(f"not counted, because what was drawn is not known here: {owed['unopened']}")


@batch.command(name="show")
@click.argument("batch_id")
@node_options
@json_option
def show(batch_id: str, client: NodeClient, as_json: bool) -> None:
    """Show one batch line by line.

    Example: claimnode batch show 5f0c... --node net/tpa
    """
    found = client.get(f"/v1/batches/{batch_id}")
    if as_json:
        print_json(found)
        return
    print_text(f"{batch_id}: {found['status']}, {found['hospital']} to {found['insurer']}, number {found['sequence']}")
    rows = [
        (str(item["line"]), item["claim_id"] or "-", _money(item["amount_fen"], found), item["status"], item["reason"])
        for item in found["lines"]
    ]
    print_table(("line", "claim", "amount", "word", "reason"), [(*row[:4], row[4] or "-") for row in rows])


def _read_return(text: str) -> dict[str, Any]:
    line, mark, reason = text.partition("=")
    if not line.isdecimal() or not mark or not reason:
        raise CliError("usage", f"{text}: write LINE=REASON, lines count from 0")
    return {"line": int(line), "reason": reason}


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    sums = (item["figures"][word] for word in ("open", "endorsed", "returned"))
    told = [f"{part['lines']}: {_money(part['amount_fen'], item)}" if part["lines"] else "-" for part in sums]
    names = (item["batch_id"], item["hospital"], item["insurer"], item["status"], format_time(item["submitted_ms"]))
    return (*names, *told, _money(item["net_fen"], item))


def _money(amount: int | None, item: dict[str, Any]) -> str:
    return "-" if amount is None else format_money(amount, item["currency"] or "CNY")


def _done(told: dict[str, Any], as_json: bool) -> None:
    receipt = told.get("receipt")
    if as_json:
        print_json(told)
    elif receipt is None:
        print_text(f"{told['batch_id']}: sent, not final yet (transaction {told['tx_id']})")
    else:
        print_text(f"{told['batch_id']}: {receipt['code']} in block {told['height']}")
    if receipt is not None and receipt["code"] != "ok":
        raise AnswerIsNo("refused", f"the ledger refused: {receipt['code']}")
