"""`claimnode claim feedback`: the insured's word about a claim, signed with the key of its consent.

Knows the wallet file and options. Must not know what becomes of the word. Always true: the word is a score and codes;
no option takes a text, and no secret is an argument.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.client import NodeClient
from cli.consent_text import format_time
from cli.node_options import node_options
from cli.output import json_option, print_json, print_text

if TYPE_CHECKING:
    from contracts.reports.feedback import Kind


@click.command(name="feedback")
@click.argument("claim_id")
@click.option("--wallet", type=click.Path(path_type=Path), required=True, help="The wallet of the claim's consent.")
@click.option("--score", type=click.IntRange(1, 5), required=True, help="1 is worst, 5 best.")
@click.option("--reason", "reasons", multiple=True, help="A code such as QUICK, SLOW, UNCLEAR; up to five.")
@click.option("--complaint", is_flag=True, help="It is a complaint: it has to be answered within 15 days.")
@node_options
@json_option
def feedback(
    claim_id: str,
    wallet: Path,
    score: int,
    reasons: tuple[str, ...],
    complaint: bool,
    client: NodeClient,
    as_json: bool,
) -> None:
    """As the insured, say how a claim went: a score and codes, signed with the consent's key; no text, no name.

    Example: claimnode claim feedback 5f0c... --wallet wallet.json --score 2 --reason SLOW --node net/insurer
    """
    from contracts.reports.feedback import sign_feedback
    from ledger.crypto.keys import read_secret_file
    from node.wallet import decode_wallet

    held = decode_wallet(read_secret_file(wallet))
    kind: Kind = "complaint" if complaint else "feedback"
    said = (kind, score, reasons, os.urandom(16).hex())
    token = sign_feedback(bytes.fromhex(held.seed), held.network, held.consent_id, claim_id, *said)
    answer = client.post(f"/v1/claims/{claim_id}/feedback", {"token": token})
    if as_json:
        print_json(answer)
    else:
        due = "" if answer["due_ms"] is None else f"; an answer is due by {format_time(answer['due_ms'])}"
        print_text(f"{claim_id}: {answer['kind']} {answer['feedback_id']}{due}")
