"""`claimnode audit`: dossiers and proofs written, verified and explained; whole ledgers replayed.

Knows files, options and exit codes. Must not know what a check means: node.audit holds the checks. Always true:
`verify`, `explain` and `ledger` on a folder open no connection, and a result under an embedded genesis says UNTRUSTED
on every line.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from cli.audit_diff import diff
from cli.audit_ledger import replay
from cli.audit_proofs import absent, read_identity, record, show_proof, view_proof
from cli.client import NodeClient
from cli.errors import EXIT_NO, AnswerIsNo, CliError
from cli.node_options import node_options
from cli.output import json_option, print_json, print_text

if TYPE_CHECKING:
    from contracts.execution import ChainState
    from contracts.machine.bundle import ProgramBundle
    from contracts.reasons import Language
    from node.audit.report import AuditFailure
    from node.audit.verify import Verification

UNTRUSTED: Final = "UNTRUSTED "
RERUN: Final = 11
"""The check that runs the claim program again."""
MAX_GENESIS_BYTES: Final = 4 * 2**20
MAX_DOSSIER_BYTES: Final = 64 * 2**20


@click.group(name="audit")
def audit() -> None:
    """Prove, check and explain what the ledger says.

    Example: claimnode audit verify claim.dossier --trust genesis.json
    """


@audit.command(name="claim")
@click.argument("claim_id")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@click.option(
    "--disclose",
    "disclose",
    multiple=True,
    metavar="all|none|/TYPE/FIELD",
    help="What of the documents is shown (default: all); repeat it. A field is a top-level field of a document.",
)
@node_options
@json_option
def claim(claim_id: str, out: Path, disclose: tuple[str, ...], client: NodeClient, as_json: bool) -> None:
    """Write the dossier of claim CLAIM_ID, as a party's node can tell it: one file with its whole life.

    \b
    Example: claimnode audit claim 5f0c... --node http://127.0.0.1:8080 --token-file token --out claim.dossier
             claimnode audit claim 5f0c... --node ./net/insurer --out sums.dossier
                 --disclose /invoice/total_fen --disclose /discharge/stay
    """
    data = client.get_bytes(f"/v1/claims/{claim_id}/dossier", disclose=disclose)
    partial = out.with_name(out.name + ".part")
    partial.write_bytes(data)
    os.replace(partial, out)
    if as_json:
        print_json({"claim_id": claim_id, "file": str(out), "bytes": len(data)})
    else:
        print_text(f"{out}: {len(data)} bytes; check it: claimnode audit verify {out} --trust genesis.json")


@audit.command(name="verify")
@click.argument("file")
@click.option("--trust", type=click.Path(path_type=Path, dir_okay=False), help="The genesis you trust.")
@click.option("--trust-embedded", is_flag=True, help="Use the file's own genesis: shows form, proves nothing.")
@click.option("--invoice", "invoice", help="The invoice that a proof has to be about (JSON file).")
@click.option(
    "--witness", "witnesses", multiple=True, metavar="VKEY", help="A witness that you trust; without its word, exit 1."
)
@click.option("--lines", is_flag=True, help="FILE names a file a line; write one JSON answer a line, in order.")
@json_option
@click.pass_context
def verify(
    context: click.Context,
    file: str,
    trust: Path | None,
    trust_embedded: bool,
    invoice: str | None,
    witnesses: tuple[str, ...],
    lines: bool,
    as_json: bool,
) -> None:
    """Verify a dossier or a proof (FILE, - for standard input) offline, check by check.

    Exit code 0: everything holds, 1: something does not (the first is named), 2: wrong use. NOT WITNESSED: the file
    crosses a change of validators, and no trusted witness cosigned a checkpoint that covers it.

    \b
    Example: claimnode audit verify claim.dossier --trust genesis.json
             claimnode audit verify claim.dossier --trust genesis.json --witness witness.example/w1+...
             claimnode audit verify unused.proof --trust genesis.json --invoice invoice.json
             ls *.dossier | claimnode audit verify --lines - --trust genesis.json
    """
    from node.audit.proofs import is_proof
    from node.audit.report import AuditFailure

    if lines:
        if not _verify_lines(file, _trust(b"", trust, trust_embedded)):
            context.exit(EXIT_NO)
        return
    data = _read(file, MAX_DOSSIER_BYTES)
    if is_proof(data):
        if trust is None or trust_embedded:
            raise CliError("trust", "a proof holds no genesis; name the one that you trust with --trust FILE")
        show_proof(data, _trust(data, trust, False), read_identity(invoice) if invoice else None, as_json)
        return
    if invoice is not None:
        raise CliError("invoice", f"--invoice goes with a proof about one; {file} is none")
    mark = UNTRUSTED if trust_embedded else ""
    try:
        verified = _verify(data, _trust(data, trust, trust_embedded), witnesses)
    except AuditFailure as failure:
        if as_json:
            print_json(_failed(failure, trusted=not trust_embedded))
        raise AnswerIsNo(failure.code, f"{mark}check {failure.number} fails: {failure.detail}") from None
    if as_json:
        print_json({"ok": True, "trusted": not trust_embedded, **_view(verified)})
        return
    for check in verified.checks:
        state = "ok  " if check.outcome == "proved" else "--  "
        note = "" if check.outcome == "proved" else "not disclosed: "
        print_text(f"{mark}{state}{check.number:2d} {check.title} ({note}{check.detail})")
    rerun = next(check for check in verified.checks if check.number == RERUN)
    if rerun.outcome != "proved":
        print_text(f"{mark}NOT RE-RUN: the decision was not derived again ({rerun.detail})")
    for result in verified.results:
        print_text(f"{mark}result: {result['decision']}, {_money(result['net_fen'])}")
    if verified.witness.state != "not_needed":
        word = "witnessed" if verified.witness.state == "witnessed" else "NOT WITNESSED"
        print_text(f"{mark}{word}: {verified.witness.detail}")
    print_text(f"{mark}claim {verified.claim_id}: {verified.status} at height {verified.height}")


@audit.command(name="explain")
@click.argument("file")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language.")
@click.option("--trust", type=click.Path(path_type=Path, dir_okay=False), help="The genesis you trust.")
@json_option
def explain(file: str, lang: str, trust: Path | None, as_json: bool) -> None:
    """Say why a dossier's claim was decided as it was, step by step with rule numbers.

    The dossier is verified on the way; without --trust under its own genesis, and every line says UNTRUSTED.

    \b
    Example: claimnode audit explain claim.dossier --trust genesis.json --lang zh
    """
    from node.audit.explain import explain_amounts, explain_lines
    from node.audit.report import AuditFailure

    data = _read(file, MAX_DOSSIER_BYTES)
    try:
        verified = _verify(data, _trust(data, trust, trust is None))
    except AuditFailure as failure:
        raise AnswerIsNo(failure.code, f"check {failure.number} fails: {failure.detail}") from None
    if not verified.trace:
        raise AnswerIsNo("not_disclosed", "the dossier does not disclose enough to run the decision again")
    if as_json:
        amounts = msgspec.to_builtins(verified.amounts)
        told = {"trace": verified.trace, "results": verified.results, "amounts": amounts}
        print_json({"trusted": trust is not None, **told})
        return
    mark = "" if trust else UNTRUSTED
    language: Language = "zh" if lang == "zh" else "en"
    for line in (*explain_lines(verified.trace, language), *explain_amounts(verified.amounts, language)):
        print_text(mark + line)


audit.add_command(replay)
audit.add_command(diff)
audit.add_command(absent)
audit.add_command(record)


def _read(file: str, limit: int) -> bytes:
    with click.open_file(file, "rb") as stream:
        data: bytes = stream.read(limit + 1)
    if len(data) > limit:
        raise CliError("too_large", f"{file} has more than {limit} bytes")
    return data


def _trust(data: bytes, trust: Path | None, embedded: bool) -> "ChainState":
    """The state of the genesis to check against. Raises AuditFailure, CliError."""
    from ledger.errors import DecodeError
    from node.audit.dossier import decode_dossier, embedded_genesis
    from node.audit.report import AuditFailure
    from node.audit.verify import read_trust

    if embedded == (trust is not None) or (embedded and not data):
        raise CliError("trust", "name the genesis that you trust with --trust FILE, or say --trust-embedded")
    if trust is not None:
        return read_trust(_read(str(trust), MAX_GENESIS_BYTES))
    try:
        return read_trust(embedded_genesis(decode_dossier(data)))
    except DecodeError as error:
        raise AuditFailure(1, error.code, error.detail) from None


def _verify_lines(file: str, trust: "ChainState") -> bool:
    """One answer for each file named in `file`; whether all of them hold. Programs are started once for all."""
    from node.audit.programs import carried_programs
    from node.audit.proofcheck import verify_proof
    from node.audit.proofs import is_proof
    from node.audit.report import AuditFailure
    from node.audit.verify import verify_dossier

    good = True
    carried: dict[str, ProgramBundle] = {}
    with click.open_file(file) as names, _program_runner(trust, carried) as run:
        for name in filter(None, map(str.strip, names)):
            try:
                data = _read(name, MAX_DOSSIER_BYTES)
                found = view_proof(verify_proof(data, trust)) if is_proof(data) else None
                carried.update({} if found else carried_programs(data))
                answer = {"ok": True, "trusted": True, **(found or _view(verify_dossier(data, trust, run)))}
            except AuditFailure as failure:
                answer, good = _failed(failure, trusted=True), False
            print_json({"file": name, **answer})
    return good


def _verify(data: bytes, trust: "ChainState", witnesses: tuple[str, ...] = ()) -> "Verification":
    from ledger.notes import parse_vkey
    from node.audit.programs import carried_programs
    from node.audit.report import AuditFailure
    from node.audit.verify import verify_dossier

    keys = [parse_vkey(vkey) for vkey in witnesses]
    with _program_runner(trust, carried_programs(data)) as run:
        verified = verify_dossier(data, trust, run, witnesses=keys)
    if keys and verified.witness.state == "not_witnessed":
        raise AuditFailure(3, "not_witnessed", f"NOT WITNESSED: {verified.witness.detail}")
    return verified


@contextmanager
def _program_runner(trust: "ChainState", carried: "dict[str, ProgramBundle]") -> Iterator[Any]:
    """Runs programs of the genesis and of `carried` in a process of limited memory and time; the file chooses which."""
    from node.audit.programs import find_program
    from node.machine.runner import MachineRunner

    runners: dict[str, MachineRunner] = {}

    def run(contract_hash: str, case_text: str) -> tuple[str, str]:
        if contract_hash not in runners:
            runners[contract_hash] = MachineRunner(find_program(trust, contract_hash, carried))
        evaluation = runners[contract_hash].explain(case_text)
        return evaluation.result, evaluation.trace or "[]"

    try:
        yield run
    finally:
        for runner in runners.values():
            runner.close()


def _view(verified: "Verification") -> dict[str, Any]:
    return {
        "claim_id": verified.claim_id,
        "insurer": verified.insurer,
        "status": verified.status,
        "height": verified.height,
        "header_hash": verified.header_hash,
        "checks": msgspec.to_builtins(verified.checks),
        "results": verified.results,
        "witness": msgspec.to_builtins(verified.witness),
    }


def _failed(failure: "AuditFailure", *, trusted: bool) -> dict[str, Any]:
    return {
        "ok": False,
        "trusted": trusted,
        "check": failure.number,
        "code": failure.code,
        "detail": failure.detail,
    }


def _money(amount_minor: int) -> str:
    from node.audit.explain import format_money

    return format_money(amount_minor)
