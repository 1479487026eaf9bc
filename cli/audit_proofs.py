"""`claimnode audit absent` and `audit record`: small proofs that whoever holds the genesis checks offline.

Knows files, their two forms and exit codes. Must not know what a check means: node.audit holds the checks. Always true:
of an invoice nothing but type, code and number leaves this machine, and it is in no path, argument or log.
"""

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from cli.client import NodeClient
from cli.errors import AnswerIsNo, CliError, NetworkFailure
from cli.node_options import node_options
from cli.output import json_option, print_json, print_text

if TYPE_CHECKING:
    from contracts.execution import ChainState
    from contracts.invoicekeys import Identity
    from node.audit.proofcheck import Proved
    from node.audit.proofs import Proof

MAX_INVOICE_BYTES: Final = 1024 * 1024
"""An e-invoice with its items has about 10 kB."""
_FORM = click.option(
    "--format", "form", type=click.Choice(["binary", "json"]), help="Default: json for a name that ends in .json."
)
_OUT = click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write.")


@click.command(name="absent")
@click.option("--invoice", "invoice", required=True, help="The invoice: a JSON file, - for standard input.")
@_OUT
@_FORM
@node_options
@json_option
def absent(invoice: str, out: Path, form: str | None, client: NodeClient, as_json: bool) -> None:
    """Prove that an invoice was not used, up to the ledger's last final block.

    The node asks the commission whose key locks this invoice. Exit code 1, "claimed": it was used; a party of the
    record gets the proof of that instead. Needs an access token with the scope dossier.

    \b
    Example: claimnode audit absent --invoice invoice.json --node ./net/insurer --out unused.proof
             claimnode audit verify unused.proof --trust genesis.json --invoice invoice.json
    """
    family, code, number = read_identity(invoice)
    answer = client.post("/v1/proofs/invoices", {"type": family, "code": code, "number": number})
    proof = _decode(answer["proof"]) if answer["proof"] is not None else None
    if proof is not None:
        size = _write(out, proof, form)
    if answer["used"]:
        if as_json:
            print_json({"used": True, "file": str(out) if proof is not None else None})
        shown = f"; {out} proves it" if proof is not None else "; where is for the parties of the record to know"
        raise AnswerIsNo("claimed", f"this invoice was used on this ledger{shown}")
    if proof is None:
        raise NetworkFailure("answer", "the node says that the invoice was not used, without a proof")
    height = proof.anchor.header.height
    if as_json:
        print_json({"used": False, "height": height, "file": str(out), "bytes": size})
    else:
        print_text(f"not used up to height {height}; {out}: {size} bytes; check it: {_advice(out)}")


@click.command(name="record")
@click.argument("record_id")
@_OUT
@_FORM
@node_options
@json_option
def record(record_id: str, out: Path, form: str | None, client: NodeClient, as_json: bool) -> None:
    """Prove that record RECORD_ID was published: by whom, with which commitment, in which block.

    \b
    Example: claimnode audit record 5f0c... --node ./net/insurer --out record.proof
    """
    from node.audit.proofs import decode_proof

    proof = decode_proof(client.get_bytes(f"/v1/proofs/records/{record_id}", form="binary"))
    size = _write(out, proof, form)
    if as_json:
        print_json({"record_id": record_id, "file": str(out), "bytes": size})
    else:
        print_text(f"{out}: {size} bytes; check it: {_advice(out)}")


def read_identity(file: str) -> "Identity":
    """What makes the invoice in a file the same one. Raises CliError `invoice`, InputError `identity`.

    The file holds an invoice, or a request for `invoice check` with one inside.
    """
    from contracts.cases.evidence import invoice_identity
    from contracts.inputs import decode_document
    from contracts.invoicekeys import check_identity

    with click.open_file(file, "rb") as stream:
        data: bytes = stream.read(MAX_INVOICE_BYTES + 1)
    if len(data) > MAX_INVOICE_BYTES:
        raise CliError("too_large", f"{file} has more than {MAX_INVOICE_BYTES} bytes")
    document: Any = decode_document(data)
    document = document.get("invoice", document) if isinstance(document, dict) else document
    if not isinstance(document, dict):
        raise CliError("invoice", f"{file} holds no invoice: a JSON object with type, code and number")
    identity = invoice_identity(document)
    check_identity(identity)
    return identity


def show_proof(data: bytes, trust: "ChainState", invoice: "Identity | None", as_json: bool) -> None:
    """Verify a proof and print its lines. Raises AnswerIsNo."""
    from node.audit.proofcheck import verify_proof
    from node.audit.report import AuditFailure

    try:
        proved = verify_proof(data, trust, invoice=invoice)
    except AuditFailure as failure:
        if as_json:
            shown = {"check": failure.number, "code": failure.code, "detail": failure.detail}
            print_json({"ok": False, "trusted": True, **shown})
        raise AnswerIsNo(failure.code, f"check {failure.number} fails: {failure.detail}") from None
    if as_json:
        print_json({"ok": True, "trusted": True, **view_proof(proved)})
        return
    for check in proved.checks:
        print_text(f"ok  {check.number:2d} {check.title} ({check.detail})")
    print_text(proved.statement)


def view_proof(proved: "Proved") -> dict[str, Any]:
    """What a proof that holds says, for programs."""
    return dict(msgspec.to_builtins(proved))


def _decode(text: str) -> "Proof":
    from ledger.errors import LedgerError
    from node.audit.proofs import decode_proof

    try:
        return decode_proof(base64.b64decode(text, validate=True))
    except (LedgerError, ValueError):
        raise NetworkFailure("answer", "the node answers something that is no proof") from None


def _write(out: Path, proof: "Proof", form: str | None) -> int:
    """The file, whole or not at all; its size in bytes."""
    from node.audit.proofs import encode_proof, encode_readable

    is_json = form == "json" if form else out.suffix == ".json"
    data = encode_readable(proof) if is_json else encode_proof(proof)
    partial = out.with_name(out.name + ".part")
    partial.write_bytes(data)
    os.replace(partial, out)
    return len(data)


def _advice(out: Path) -> str:
    return f"claimnode audit verify {out} --trust genesis.json"
