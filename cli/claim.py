"""`claimnode claim`: claims as this participant's node shows them, and the one step that takes two persons.

Knows the options and how a claim is printed. Must not know how a claim is decided. Always true: amounts come from the
node's own vault and are shown to its own staff alone.
"""

from typing import Any, Final

import click

from cli.claim_feedback import feedback
from cli.client import NodeClient
from cli.consent_text import format_time
from cli.node_options import node_options
from cli.output import format_money, json_option, print_json, print_table, print_text

WATCH_S: Final = 3600.0
"""`watch` ends after an hour without any event."""


@click.group(name="claim")
def claim() -> None:
    """Claims of a node: list, show, watch, review; and what a customer says: withdraw, dispute, reopen, escalate.

    Example: claimnode claim list --node net/insurer
    """


@claim.command(name="list")
@click.option("--status", "statuses", multiple=True, help="Only these ledger statuses, such as EVIDENCE_COMPLETE.")
@node_options
@json_option
def list_claims(statuses: tuple[str, ...], client: NodeClient, as_json: bool) -> None:
    """List the claims that this participant is a party of, in the order of their report.

    Example: claimnode claim list --node net/insurer --status DECIDED
    """
    found = [item for item in client.pages("/v1/claims") if not statuses or item["status"] in statuses]
    if as_json:
        print_json({"claims": found})
        return
    columns = ("claim", "insurer", "status", "reported", "payouts")
    print_table(columns, [_row(item) for item in found])


@claim.command(name="show")
@click.argument("claim_id")
@node_options
@json_option
def show(claim_id: str, client: NodeClient, as_json: bool) -> None:
    """Show one claim; at the insurer's or co-adjudicator's node also what was decided, and why it waits.

    Example: claimnode claim show 5f0c... --node net/insurer
    """
    shown = client.get(f"/v1/claims/{claim_id}")
    decision = client.find(f"/v1/claims/{claim_id}/decision")
    if as_json:
        print_json({**shown, "private": decision})
        return
    print_table(("claim", "insurer", "status", "reported", "payouts"), [_row(shown)])
    if decision is not None:
        print_text("\n".join(_decision_lines(decision)))


@claim.command(name="watch")
@click.option("--after", type=click.IntRange(0), default=0, help="Height to start behind (default: the first block).")
@node_options
@json_option
def watch(after: int, client: NodeClient, as_json: bool) -> None:
    """Print claim and payout events as they become final; resume with --after HEIGHT.

    Example: claimnode claim watch --node net/insurer --after 120
    """
    for message in client.events(after, timeout_s=WATCH_S):
        for event in message["events"]:
            if not event["topic"].startswith(("claim.", "payout.", "case.")):
                continue
            if as_json:
                print_json({"height": message["height"], "time_ms": message["time_ms"], **event})
            else:
                when = format_time(message["time_ms"])
                print_text(f"{message['height']}  {when}  {event['topic']}  {event['subject']}")


@claim.command(name="review")
@click.argument("claim_id")
@click.option("--prepare", "reason", help="As the first person: why the computed result should stand.")
@click.option("--override", help="Why the task is taken from its holder: a reason of `claimnode work list`.")
@node_options
@json_option
def review(claim_id: str, reason: str | None, override: str | None, client: NodeClient, as_json: bool) -> None:
    """Let the computed result of a claim in review stand: one person prepares it, another lets it go.

    Who acts is the holder of the access token; the reasons are those of `claimnode work list`.

    \b
    Example: claimnode claim review 5f0c... --node net/insurer --token-file ann.token --prepare AMOUNT_CONFIRMED
             claimnode claim review 5f0c... --node net/insurer --token-file ben.token
    """
    body = {"action": "release" if reason is None else "prepare", "reason": reason, "override": override}
    answer = client.post(f"/v1/claims/{claim_id}/review", body)
    if as_json:
        print_json(answer)
    elif reason is None:
        print_text(f"{claim_id}: released; prepared by {answer['prepared_by']}. It goes on by itself")
    else:
        print_text(f"{claim_id}: prepared by {answer['prepared_by']}; a second person lets it go")


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    payouts = " ".join(payout["status"] for payout in item["payouts"]) or "-"
    return item["claim_id"], item["insurer"], item["status"], format_time(item["reported_ms"]), payouts


def _decision_lines(decision: dict[str, Any]) -> list[str]:
    amount, currency = decision.get("amount_fen"), decision.get("currency")
    lines = [f"status here: {decision['status']}"]
    if decision.get("waiting_for"):
        lines.append(f"waits for: {decision['waiting_for']}")
    if decision.get("review_reasons"):
        lines.append(f"in review because: {', '.join(decision['review_reasons'])}")
    for result in decision.get("results", ()):
        reasons = sorted({reason for benefit in result["benefits"] for reason in benefit["reasons"]})
        why = f" ({', '.join(reasons)})" if reasons else ""
        lines.append(f"policy {result['policy_no']}: {result['decision']}{why}")
    if amount is not None and currency:
        lines.append(f"to pay: {format_money(amount, currency)}")
    return lines


claim.add_command(feedback)
