"""`claimnode claim withdraw|dispute|reopen|escalate`: what a customer says about a claim, with the wallet of a consent.

Knows options and files; tokens are made by node.wallet_claims. Always true: no secret and no complaint is an argument,
and what was written is kept in a private file that opens the commitment on the ledger.
"""

from pathlib import Path
from typing import Any

import click

from cli.claim import claim
from cli.client import NodeClient
from cli.consent import WAIT_S, open_wallet, require_final
from cli.consent_text import format_time
from cli.errors import CliError
from cli.node_options import node_options
from cli.output import json_option, print_json, print_text
from ledger.crypto.keys import write_secret_file
from ledger.encoding import encode
from node.wallet import WalletError
from node.wallet_claims import MAX_WORDS, make_dispute, make_escalation, make_reopening, make_withdrawal

wallet_option = click.option(
    "--wallet", type=click.Path(path_type=Path), required=True, help="Wallet of the consent that the claim hangs on."
)
attempt_option = click.option(
    "--attempt", type=click.IntRange(1, 99), help="Decision that is meant (default: as this node shows the claim)."
)
words_option = click.option(
    "--words", type=click.Path(path_type=Path), required=True, help="Text file that says why; it stays with you."
)
out_option = click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="New file (0600) with what opens the commitment."
)


@claim.command(name="withdraw")
@click.argument("claim_id")
@wallet_option
@attempt_option
@node_options
@json_option
def withdraw(claim_id: str, wallet: Path, attempt: int | None, client: NodeClient, as_json: bool) -> None:
    """Give the claim up, as its customer, from any node. A decided one is given back by its insurer.

    Example: claimnode claim withdraw 5f0c... --wallet wallet.json --node net/hospital
    """
    token = make_withdrawal(open_wallet(wallet), claim_id, _attempt(client, claim_id, attempt))
    _say(client, claim_id, "withdraw", token, as_json)


@claim.command(name="dispute")
@click.argument("claim_id")
@wallet_option
@words_option
@out_option
@attempt_option
@node_options
@json_option
def dispute(
    claim_id: str, wallet: Path, words: Path, out: Path, attempt: int | None, client: NodeClient, as_json: bool
) -> None:
    """Dispute the decision of a claim. Give --out to the arbiter, whom the policy names.

    Example: claimnode claim dispute 5f0c... --wallet wallet.json --words why.txt --out complaint.json --node net/tpa
    """
    held, decision = open_wallet(wallet), _attempt(client, claim_id, attempt)
    try:
        token, openings = make_dispute(held, claim_id, decision, _read_words(words))
    except WalletError as error:
        raise CliError(error.code, error.detail) from None
    write_secret_file(out, encode(openings))
    _say(client, claim_id, "dispute", token, as_json)


@claim.command(name="reopen")
@click.argument("claim_id")
@wallet_option
@words_option
@out_option
@attempt_option
@node_options
@json_option
def reopen(
    claim_id: str, wallet: Path, words: Path, out: Path, attempt: int | None, client: NodeClient, as_json: bool
) -> None:
    """Ask that a claim be decided again: a complaint, or new evidence.

    Example: claimnode claim reopen 5f0c... --wallet wallet.json --words why.txt --out reason.json --node net/tpa
    """
    held, decision = open_wallet(wallet), _attempt(client, claim_id, attempt)
    try:
        token, _, opening = make_reopening(held, claim_id, decision, _read_words(words))
    except WalletError as error:
        raise CliError(error.code, error.detail) from None
    write_secret_file(out, encode(opening))
    _say(client, claim_id, "reopen", token, as_json)


@claim.command(name="escalate")
@click.argument("claim_id")
@wallet_option
@click.option("--deadline", type=click.Choice(["accept", "co_sign", "decide", "settle"]), required=True)
@attempt_option
@node_options
@json_option
def escalate(
    claim_id: str, wallet: Path, deadline: Any, attempt: int | None, client: NodeClient, as_json: bool
) -> None:
    """Call the arbiter: a deadline of the claim is over.

    Example: claimnode claim escalate 5f0c... --wallet wallet.json --deadline decide --node net/hospital
    """
    token = make_escalation(open_wallet(wallet), claim_id, _attempt(client, claim_id, attempt), deadline)
    _say(client, claim_id, "escalate", token, as_json)


def _attempt(client: NodeClient, claim_id: str, attempt: int | None) -> int:
    return attempt if attempt is not None else int(client.get(f"/v1/claims/{claim_id}")["attempt"])


def _read_words(path: Path) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read(MAX_WORDS + 1)


def _say(client: NodeClient, claim_id: str, kind: str, token: str, as_json: bool) -> None:
    body = {"kind": kind, "token": token}
    outcome = require_final(client.post(f"/v1/claims/{claim_id}/words", body, wait=WAIT_S))
    if as_json:
        print_json({"claim_id": claim_id, "tx_id": outcome["tx_id"], "height": outcome["height"]})
    else:
        print_text(f"final at height {outcome['height']} ({format_time(outcome['time_ms'])}): {claim_id}")
