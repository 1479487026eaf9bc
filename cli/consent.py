"""`claimnode consent`: a customer's consents, as files of their owner.

    draft    what is allowed to whom, in words that can be read and changed; no secret but the payee's account
    wallet   the signed consent with its own keys, mailbox and revocation slip (0600)

Knows options and files; tokens are made by node.wallet. Always true: no secret is an argument and none is printed,
files are of mode 0600 and never overwritten, and what `inspect` shows was verified before.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import click
import msgspec
from msgspec import Meta, Struct

from cli.client import NodeClient
from cli.consent_files import WAIT_S as WAIT_S
from cli.consent_files import hash_form_file, list_attestations, read_instant
from cli.consent_files import open_wallet as open_wallet
from cli.consent_files import require_final as require_final
from cli.consent_text import BASES, describe_consent, format_time
from cli.consent_work import COMMANDS, attestation_option
from cli.errors import AnswerIsNo, CliError
from cli.node_options import node_options
from cli.output import json_option, print_json, print_text
from contracts.errors import TokenError
from contracts.genesis import decode_genesis
from contracts.tokens import MAX_TOKEN_BYTES, decode_consent
from ledger.crypto.keys import read_secret_file, write_secret_file
from ledger.encoding import schema_fault
from ledger.types import Hex16, Hex32, NetworkId, OrgId
from node.wallet import (
    ConsentWallet,
    Given,
    encode_wallet,
    make_consent,
    make_revocation,
    seal_payee,
    standard_grantees,
)

DEFAULT_DAYS: Final = 365
CLOCK_SLACK: Final = timedelta(minutes=5)
"""A consent is valid from a little before now: block time may run behind this machine's clock."""


Instant = Annotated[str, Meta(max_length=40)]
"""An ISO time; the longest has 32 characters."""


class Draft(Struct, frozen=True, forbid_unknown_fields=True):
    """A consent before it is signed. `insurers` in order of rank; times are ISO instants. `form` is the hash of the
    signed form, `birthday` the ward's; see Given."""

    network: NetworkId
    hospitals: Annotated[tuple[OrgId, ...], Meta(min_length=1)]
    insurers: Annotated[tuple[OrgId, ...], Meta(min_length=1)]
    commissions: Annotated[tuple[OrgId, ...], Meta(min_length=1)]
    co_adjudicators: tuple[OrgId, ...]
    policy_ids: tuple[Hex16, ...]
    payee: dict[str, str]
    valid_from: Instant
    valid_until: Instant
    basis: Literal["self", "paper", "guardian", "emergency", "court"] = "self"
    scope: Literal["case", "standing"] = "case"
    form: Hex32 | None = None
    birthday: Annotated[str, Meta(max_length=10)] | None = None
    delegable: bool = False


@click.group(name="consent")
def consent() -> None:
    """A customer's consent tokens: write, sign, attest, inspect, submit, revoke, delegate, ratify, rekey.

    Example: claimnode consent sign draft.json --out wallet.json
    """


@consent.command(name="new")
@click.option("--network", required=True, help="Id of the network.")
@click.option("--hospital", "hospitals", multiple=True, required=True, help="May publish records; one or more.")
@click.option("--insurer", "insurers", multiple=True, required=True, help="Decides and pays; in order of rank.")
@click.option("--commission", "commissions", multiple=True, required=True, help="Endorses the records.")
@click.option("--co-adjudicator", "co_adjudicators", multiple=True, help="Re-runs the decision.")
@click.option("--policy", "policy_ids", multiple=True, help="Policy id; one or more.")
@click.option("--payee", type=click.Path(path_type=Path), required=True, help="JSON file: whom to pay, where.")
@click.option("--from", "start", help="Valid from (ISO; default: now).")
@click.option("--days", type=click.IntRange(1, 1098), default=DEFAULT_DAYS, show_default=True, help="Valid for.")
@click.option("--basis", type=click.Choice(list(BASES)), default="self", show_default=True, help="Who gives it, how.")
@click.option("--form", type=click.Path(path_type=Path), help="The signed form or order; its hash is signed.")
@click.option("--birthday", help="The ward's, YYYY-MM-DD, for a guardian.")
@click.option("--standing", is_flag=True, help="For every case until it ends, not for one.")
@click.option("--delegable", is_flag=True, help="An insurer may let its TPA in.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New file (0600) for the draft.")
@json_option
def new(
    payee: Path,
    start: str | None,
    days: int,
    form: Path | None,
    standing: bool,
    out: Path,
    as_json: bool,
    **named: Any,
) -> None:
    """Write the draft of a consent, to be read, changed and signed.

    On another basis than `self` it lasts 30 days at most, and participants attest it (consent attest) before it is
    submitted: two control groups for paper, guardian and court, a hospital for an emergency.

    \b
    Example: claimnode consent new --network demo.claimnode --hospital hospital --insurer insurer
             --commission commission --co-adjudicator tpa --policy 5f..0c --payee payee.json --out draft.json
    """
    begin = read_instant(start) if start else datetime.now(UTC) - CLOCK_SLACK
    content = {**named, "payee": _read_json(payee), "form": hash_form_file(form)}
    content["scope"] = "standing" if standing else "case"
    content |= {"valid_from": begin.isoformat(), "valid_until": (begin + timedelta(days=days)).isoformat()}
    draft = _as_draft(content, out)
    write_secret_file(out, msgspec.json.format(msgspec.json.encode(draft), indent=2) + b"\n")
    if as_json:
        print_json({"file": str(out), "network": draft.network})
    else:
        print_text(f"{out}: read it, then sign it with: claimnode consent sign {out} --out wallet.json")


@consent.command(name="sign")
@click.argument("draft", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New file (0600) for the wallet.")
@json_option
def sign(draft: Path, out: Path, as_json: bool) -> None:
    """Make fresh keys for the consent in DRAFT, sign it, and keep all in the wallet --out.

    Example: claimnode consent sign draft.json --out wallet.json
    """
    content = _as_draft(_read_json(draft), draft)
    given = Given(content.basis, content.scope, content.form, content.birthday, content.delegable)
    wallet = _make(
        network=content.network,
        hospitals=content.hospitals,
        grantees=standard_grantees(content.insurers, content.commissions, content.co_adjudicators),
        policy_ids=content.policy_ids,
        payee=content.payee,
        nbf_ms=_milliseconds(content.valid_from),
        exp_ms=_milliseconds(content.valid_until),
        given=given,
    )
    write_secret_file(out, encode_wallet(wallet))
    shown = {"consent_id": wallet.consent_id, "case_id": wallet.case_id, "file": str(out)}
    if as_json:
        print_json(shown)
    else:
        print_text("\n".join(f"{name}: {value}" for name, value in shown.items()))


@consent.command(name="inspect")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--language", type=click.Choice(["en", "zh", "both"]), default="both", show_default=True)
@json_option
def inspect(file: Path, language: str, as_json: bool) -> None:
    """Verify the consent in FILE (a wallet, or a token as text) and say what it allows to whom.

    Example: claimnode consent inspect wallet.json
    """
    token = _read_token(file)
    try:
        decoded = decode_consent(token)
    except TokenError as error:
        raise AnswerIsNo(error.code, f"{file}: {error.detail}") from None
    if as_json:
        print_json({"consent_id": decoded.consent_id, "consent": msgspec.to_builtins(decoded.consent)})
    else:
        print_text("\n".join(describe_consent(decoded, language)))


@consent.command(name="submit")
@click.argument("wallet", type=click.Path(path_type=Path))
@attestation_option
@click.option("--genesis", type=click.Path(path_type=Path), help="Trusted genesis (default for a folder: its own).")
@node_options
@json_option
def submit(
    wallet: Path, attestations: tuple[Path, ...], genesis: Path | None, client: NodeClient, as_json: bool
) -> None:
    """Put the consent in WALLET on the ledger, and hand the payee's account, sealed, to its insurers.

    The insurers' keys come from the genesis that you trust, not from the node that is asked.

    Example: claimnode consent submit wallet.json --node net/hospital
    """
    held = open_wallet(wallet)
    listed = list_attestations(attestations)
    keys = _insurer_keys(held, genesis or _folder_genesis(client))
    outcome = require_final(client.grant([held.token], attestations=listed, wait_s=WAIT_S))
    client.relay_payee(held.token, seal_payee(held, keys))
    _print_outcome(held, outcome, as_json)


@consent.command(name="revoke")
@click.argument("wallet", type=click.Path(path_type=Path))
@node_options
@json_option
def revoke(wallet: Path, client: NodeClient, as_json: bool) -> None:
    """End the consent in WALLET, from any node of the network.

    Example: claimnode consent revoke wallet.json --node net/commission
    """
    held = open_wallet(wallet)
    outcome = require_final(client.revoke(held.consent_id, token=make_revocation(held), wait_s=WAIT_S))
    _print_outcome(held, outcome, as_json)


def _print_outcome(held: ConsentWallet, outcome: dict[str, Any], as_json: bool) -> None:
    shown = {"consent_id": held.consent_id, "tx_id": outcome["tx_id"], "height": outcome["height"]}
    if as_json:
        print_json(shown)
    else:
        print_text(f"final at height {outcome['height']} ({format_time(outcome['time_ms'])}): {held.consent_id}")


def _insurer_keys(held: ConsentWallet, genesis: Path) -> list[str]:
    known = {member.id: member.envelope_key for member in decode_genesis(genesis.read_bytes()).participants}
    insurers = [item.participant for item in decode_consent(held.token).consent.grantees if item.rank is not None]
    missing = [name for name in insurers if name not in known]
    if missing:
        raise CliError("genesis", f"{genesis} has no participant {', '.join(missing)}; is it this network's genesis?")
    return [known[name] for name in insurers]


def _folder_genesis(client: NodeClient) -> Path:
    if client.folder is None:
        raise CliError("genesis", "name the network's genesis that you trust: --genesis FILE")
    return client.folder / "genesis.json"


def _make(**terms: Any) -> ConsentWallet:
    try:
        return make_consent(**terms)
    except ValueError as error:
        raise CliError("draft", str(error)) from None


def _read_token(path: Path) -> str:
    """The token in a file: a bare JWS, or the one inside a wallet (which must be private)."""
    with open(path, "rb") as stream:
        data = stream.read(MAX_TOKEN_BYTES + 1)
    if data[:1] == b"{":
        return open_wallet(path).token
    return data.decode("utf-8", "replace").strip()


def _read_json(path: Path) -> Any:
    try:
        return msgspec.json.decode(read_secret_file(path))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise CliError("json", f"{path} is no JSON document") from None


def _as_draft(content: Any, path: Path) -> Draft:
    try:
        return msgspec.convert(content, Draft)
    except msgspec.ValidationError as error:
        raise CliError("draft", f"{path}: {schema_fault(error)}") from None


def _milliseconds(text: str) -> int:
    return int(read_instant(text).timestamp()) * 1000


for _command in COMMANDS:
    consent.add_command(_command)
