"""`claimnode consent attest|delegate|ratify|rekey|case`: what happens to a consent after it was signed.

    token   --attest, at each participant-->   attestation files   --submit, ratify, rekey-->   ledger

Knows options and files; tokens are made by node.consentwork. Always true: no secret is an argument and none is printed;
an attestation is made with the key in a node's own folder, offline, by whoever may read it.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, cast

import click
import msgspec

from cli.consent_files import WAIT_S, hash_form_file, list_attestations, open_wallet, read_instant, require_final
from cli.errors import CliError
from cli.node_options import node_options, open_client
from cli.output import json_option, print_json, print_text
from contracts.errors import TokenError
from ledger.crypto.keys import write_secret_file
from node.consentwork import attest_token, make_ratification, make_rekeying, make_veto, open_standing_case
from node.wallet import Given, WalletError, encode_wallet

Basis = Literal["self", "paper", "guardian"]
attestation_option = click.option(
    "--attestation", "attestations", multiple=True, type=click.Path(path_type=Path), help="File of `consent attest`."
)


@click.command(name="attest")
@click.argument("wallet", type=click.Path(path_type=Path))
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="Folder of the participant's own node.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New file for the attestation.")
@json_option
def attest(wallet: Path, folder: Path, out: Path, as_json: bool) -> None:
    """Sign, as a participant, that the consent in WALLET was given before you as it says: read it first (inspect).

    For consents on paper, of a guardian, of a court, in an emergency; for ratifications and for another key.

    Example: claimnode consent attest wallet.json --folder net/hospital --out hospital.attestation.json
    """
    from node.config import load_config
    from node.identity import load_identity

    held = open_wallet(wallet)
    participant = load_config(folder).participant
    try:
        made = attest_token(held.pending or held.token, participant, load_identity(folder, participant).signing)
    except TokenError as error:
        raise CliError(error.code, f"{wallet}: {error.detail}") from None
    write_secret_file(out, msgspec.json.encode(made) + b"\n")
    shown = {"participant": participant, "token_id": made.token_id, "file": str(out)}
    print_json(shown) if as_json else print_text(f"{out}: {participant} attests {made.token_id}")


@click.command(name="delegate")
@click.argument("consent_id")
@click.option("--to", required=True, help="The TPA that is let in.")
@click.option("--purpose", "purposes", multiple=True, required=True, type=click.Choice(["report", "pay", "audit"]))
@click.option("--data", "classes", multiple=True, type=click.Choice(["identity", "clinical", "charges"]))
@click.option("--until", required=True, help="ISO time; not after what you have yourself.")
@node_options
@json_option
def delegate(
    consent_id: str,
    to: str,
    purposes: tuple[str, ...],
    classes: tuple[str, ...],
    until: str,
    client: Any,
    as_json: bool,
) -> None:
    """Pass part of what the node's participant may do under CONSENT_ID on to a TPA: always less than it has.

    Example: claimnode consent delegate 5f..0c --to tpa --purpose report --data charges
             --until 2025-02-01T00:00:00+08:00 --node net/insurer
    """
    passed = {
        "to": to,
        "purposes": purposes,
        "data_classes": classes,
        "until_ms": int(read_instant(until).timestamp()) * 1000,
    }
    _show(consent_id, require_final(client.delegate(consent_id, passed, wait_s=WAIT_S)), as_json)


@click.command(name="ratify")
@click.argument("wallet", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="First step: new wallet (0600) with keys of your own.")
@click.option("--basis", type=click.Choice(["self", "paper", "guardian"]), default="self", show_default=True)
@click.option("--form", type=click.Path(path_type=Path), help="The signed form, for paper and guardian.")
@click.option("--birthday", help="The ward's, YYYY-MM-DD, for guardian.")
@click.option("--days", type=click.IntRange(1, 1098), default=30, show_default=True, help="Valid for.")
@click.option("--node", help="Second step: a node's folder, or its URL.")
@click.option("--token-file", help="File with the access token (default for a folder: its operator's).")
@attestation_option
@json_option
def ratify(
    wallet: Path,
    out: Path | None,
    basis: str,
    form: Path | None,
    birthday: str | None,
    days: int,
    node: str | None,
    token_file: str | None,
    attestations: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Take the emergency consent in WALLET over. Two steps: with --out make keys; after `attest`, with --node submit.

    \b
    Example: claimnode consent ratify emergency.json --out mine.json
             claimnode consent attest mine.json --folder net/hospital --out hospital.attestation.json
             claimnode consent ratify mine.json --attestation hospital.attestation.json --node net/hospital
    """
    held = open_wallet(wallet)
    if out is not None:
        given = Given(basis=cast(Basis, basis), form=hash_form_file(form), birthday=birthday)
        now = datetime.now(UTC)
        ends = int((now + timedelta(days=days)).timestamp()) * 1000
        try:
            made = make_ratification(held, now_ms=int(now.timestamp()) * 1000, exp_ms=ends, given=given)
        except (WalletError, ValueError) as error:
            raise CliError("ratification", str(error)) from None
        write_secret_file(out, encode_wallet(made))
        _say({"consent_id": made.consent_id, "file": str(out)}, as_json)
        return
    if node is None or held.pending is None:
        raise CliError("usage", "first --out FILE on the emergency's wallet, then --node on the new one")
    client = open_client(node, token_file)
    listed = list_attestations(attestations)
    outcome = client.ratify(held.consent_id, held.pending, listed, wait_s=WAIT_S)
    _show(held.consent_id, require_final(outcome), as_json)


@click.command(name="rekey")
@click.argument("consent", metavar="CONSENT_ID|WALLET")
@click.option("--network", help="With --out: id of the network.")
@click.option("--out", type=click.Path(path_type=Path), help="First step: new wallet (0600) for CONSENT_ID.")
@click.option("--apply", "applies", is_flag=True, help="Put the key of WALLET in place, 72 hours after.")
@click.option("--veto", help="As holder of the old WALLET: no to this key (hex, as the consent shows it).")
@click.option("--node", help="A node's folder, or its URL.")
@click.option("--token-file", help="File with the access token (default for a folder: its operator's).")
@attestation_option
@json_option
def rekey(
    consent: str,
    network: str | None,
    out: Path | None,
    applies: bool,
    veto: str | None,
    node: str | None,
    token_file: str | None,
    attestations: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Another key for a consent whose wallet was lost: two control groups ask, 72 hours pass, the old key may say no.

    \b
    Example: claimnode consent rekey 5f..0c --network demo.claimnode --out mine.json
             claimnode consent attest mine.json --folder net/hospital --out hospital.attestation.json
             claimnode consent rekey mine.json --attestation hospital.attestation.json
                       --attestation tpa.attestation.json --node net/hospital
             claimnode consent rekey mine.json --apply --node net/hospital
    """
    if out is not None:
        if network is None:
            raise CliError("usage", "name the network of the consent: --network ID")
        write_secret_file(out, encode_wallet(make_rekeying(network, consent)))
        _say({"consent_id": consent, "file": str(out)}, as_json)
        return
    if node is None:
        raise CliError("usage", "name a node with --node, or a new wallet with --out")
    held = open_wallet(Path(consent))
    step, token = "ask", held.pending
    if applies:
        step, token = "apply", None
    elif veto is not None:
        step, token = "veto", make_veto(held, veto)
    client = open_client(node, token_file)
    outcome = client.rekey(held.consent_id, step, token, list_attestations(attestations), wait_s=WAIT_S)
    _show(held.consent_id, require_final(outcome), as_json)


@click.command(name="case")
@click.argument("wallet", type=click.Path(path_type=Path))
@click.option("--number", type=click.IntRange(0, 2**31), required=True, help="0 for the first case, then 1, and so on.")
@json_option
def case(wallet: Path, number: int, as_json: bool) -> None:
    """The id of one case of the standing consent in WALLET, for the hospital that opens it.

    Example: claimnode consent case wallet.json --number 0
    """
    try:
        case_id = open_standing_case(open_wallet(wallet), number)
    except WalletError as error:
        raise CliError(error.code, error.detail) from None
    _say({"case_id": case_id}, as_json)


COMMANDS: Final = (attest, delegate, ratify, rekey, case)


def _say(shown: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(shown)
    else:
        print_text("\n".join(f"{name}: {value}" for name, value in shown.items()))


def _show(consent_id: str, outcome: dict[str, Any], as_json: bool) -> None:
    shown = {"consent_id": consent_id, "tx_id": outcome["tx_id"], "height": outcome["height"]}
    _say({name: str(value) for name, value in shown.items()}, False) if not as_json else print_json(shown)
