"""`claimnode payout`: payouts as this participant's node shows them.

Knows the options and how a payout is printed. Always true: amounts are commitments on the ledger and are not shown
here; `claimnode claim show` has them at the insurer's own node.
"""

import click

from cli.client import NodeClient
from cli.consent_text import format_time
from cli.node_options import node_options
from cli.output import json_option, print_json, print_table


@click.group(name="payout")
def payout() -> None:
    """Payouts of a node.

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
        print_json({"payouts": found})
        return
    rows = [
        (item["payout_id"], item["claim_id"][:16], item["status"], format_time(item["authorised_ms"])) for item in found
    ]
    print_table(("payout", "claim", "status", "authorised"), rows)
