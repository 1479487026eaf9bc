"""`claimnode audit ledger`: a whole ledger executed again, from a node's folder or from its API.

Knows where blocks come from and how faults are shown. Must not know what makes a block or a row valid: node.audit does.
Always true: the genesis of a remote node is never taken from that node, a folder is read and never
written, also while its node runs.
"""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from cli.errors import EXIT_NO, AnswerIsNo, CliError
from cli.node_options import open_client
from cli.output import is_terminal, json_option, print_json, print_note, print_text

if TYPE_CHECKING:
    from ledger.rowreader import StoreRows
    from node.audit.ahead import StoredBlock, Workers
    from node.audit.replay import Replay
    from node.folderaudit.folder import StoreAudit, TrustedHeader


@click.command(name="ledger")
@click.argument("source")
@click.option("--trust", type=click.Path(path_type=Path, dir_okay=False), help="The genesis you trust.")
@click.option("--token-file", help="File with the access token, for a URL.")
@click.option("--from", "start", type=click.IntRange(min=1), help="Execute only what follows this height (a folder).")
@click.option("--header", help="Hash of the header at --from that you trust, 64 hexadecimal digits.")
@click.option("--processes", type=click.IntRange(min=1), help="Processes that check signatures (default: processors).")
@json_option
@click.pass_context
def replay(
    context: click.Context,
    source: str,
    trust: Path | None,
    token_file: str | None,
    start: int | None,
    header: str | None,
    processes: int | None,
    as_json: bool,
) -> None:
    """Replay the ledger of SOURCE (a node's folder or the URL of its API) from genesis.

    Every link, certificate and root is checked and every transaction executed again. For a folder, also of a running
    node, every stored row is compared with that: what differs is listed with its table and place. Exit code 0: all
    holds, 1: it does not. A folder brings its own genesis unless --trust names another.

    With --from HEIGHT --header HASH blocks up to HEIGHT are taken as stated (links and rows are checked, nothing is
    executed), and what they state must have the roots of that header.

    \b
    Example: claimnode audit ledger network/hospital
             claimnode audit ledger http://127.0.0.1:8080 --trust genesis.json --token-file token
    """
    remote = source.startswith(("http://", "https://"))
    if remote and trust is None:
        raise CliError("trust", "name the genesis that you trust with --trust FILE: a node cannot vouch for itself")
    trusted = _trusted(start, header, remote=remote)
    if remote:
        assert trust is not None
        _print_replay(_replay_remote(source, token_file, trust.read_bytes(), processes), as_json=as_json)
        return
    folder = Path(source)
    genesis = (trust or folder / "genesis.json").read_bytes()
    found = _audit_folder(folder, genesis, trusted, processes)
    if as_json:
        print_json(_view(found))
    else:
        _print_audit(found)
    if found.faults:
        if as_json:
            context.exit(EXIT_NO)
        raise AnswerIsNo(found.faults[0].code, _summary(found))


def open_rows(folder: Path) -> "StoreRows":
    """The store of a node's folder, to be read. Raises CliError `no_ledger`, StoreError."""
    from ledger.rowreader import StoreRows, read_only_url
    from node.config import load_config
    from node.storeurl import LEDGER, store_url

    if (folder / "node.toml").is_file():
        url = store_url(folder, load_config(folder).store)
        if url != f"sqlite:///{folder / LEDGER}":
            return StoreRows(url)
    path = folder / LEDGER
    if not path.is_file():
        raise CliError("no_ledger", f"{folder} has no {LEDGER}; name the folder of a node")
    return StoreRows(read_only_url(path))


def _trusted(start: int | None, header: str | None, *, remote: bool) -> "TrustedHeader | None":
    from node.folderaudit.folder import TrustedHeader

    if start is None and header is None:
        return None
    if start is None or header is None:
        raise CliError("from", "--from HEIGHT and --header HASH belong together: the header is what you trust")
    if remote:
        raise CliError(
            "from", "a node's API does not give the state below a height: copy its folder, or leave out --from"
        )
    try:
        digest = bytes.fromhex(header)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise CliError("header", "--header is the hash of a header, 64 hexadecimal digits")
    return TrustedHeader(start, digest)


def _audit_folder(folder: Path, genesis: bytes, trusted: "TrustedHeader | None", processes: int | None) -> "StoreAudit":
    from ledger.errors import StoreError
    from node.folderaudit.faults import Faults
    from node.folderaudit.folder import StoreAudit, audit_store

    try:
        with closing(open_rows(folder)) as rows:
            count = rows.last()
            with open_workers(count, processes) as workers, open_bar(count) as bar:
                return audit_store(rows, genesis, trusted=trusted, workers=workers, progress=lambda _: bar.update(1))
    except StoreError as error:
        faults = Faults()
        faults.add("database", "file", error.code, error.detail)
        return StoreAudit(faults=faults.found)


def _replay_remote(url: str, token_file: str | None, genesis: bytes, processes: int | None) -> "Replay":
    from node.audit.replay import LedgerFault, replay_ledger

    count, blocks = _remote(url, token_file)
    try:
        with open_workers(count, processes) as workers, open_bar(count) as bar:
            return replay_ledger(genesis, blocks, lambda _: bar.update(1), workers)
    except LedgerFault as fault:
        raise AnswerIsNo(fault.code, fault.detail) from None


@contextmanager
def open_workers(blocks: int, processes: int | None) -> "Iterator[Workers | None]":
    """Processes for so many blocks; None where they are not worth their start, or for one process."""
    from node.audit.ahead import WORTH_BLOCKS, Workers, default_processes

    wanted = default_processes() if processes is None else processes
    if wanted < 2 or (processes is None and blocks < WORTH_BLOCKS):
        yield None
        return
    with closing(Workers(wanted)) as workers:
        yield workers


def open_bar(count: int, label: str = "replaying") -> Any:
    """Progress where a person watches, nothing in a pipe."""
    return click.progressbar(length=count, label=label, hidden=not is_terminal(), file=sys.stderr)


def _print_replay(done: "Replay", *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True, **msgspec.to_builtins(done)})
        return
    begin = f" after height {done.start}" if done.start else ""
    print_text(f"{done.blocks} blocks, {done.transactions} transactions{begin}")
    print_text(f"{done.operations} operations, {done.refused} of them refused")
    print_text(f"{done.certificates} certificates verified; every root reproduced")
    print_text(f"height {done.height}  state {done.state_root}  log {done.log_root} ({done.log_size} leaves)")


def _print_audit(found: "StoreAudit") -> None:
    if found.replay is not None:
        _print_replay(found.replay, as_json=False)
        if found.replay.start:
            print_text(f"blocks up to {found.replay.start} are taken as stated, under the header that you trust")
    for note in found.notes:
        print_text(note)
    rows = ", ".join(f"{count} {name}" for name, count in sorted(found.rows.items()))
    if rows:
        print_text(f"rows checked: {rows}")
    for fault in found.faults:
        print_text(f"{fault.table} {fault.place}: {fault.code}: {fault.detail}")
    for advice in dict.fromkeys(fault.advice for fault in found.faults):
        print_note(f"what to do: {advice}")


def _summary(found: "StoreAudit") -> str:
    more = "" if found.complete else ", and more that are not listed"
    tables = ", ".join(dict.fromkeys(fault.table for fault in found.faults))
    return f"{len(found.faults)} faults{more} in: {tables}"


def _view(found: "StoreAudit") -> dict[str, Any]:
    replayed = {} if found.replay is None else msgspec.to_builtins(found.replay)
    return {
        "ok": not found.faults,
        **replayed,
        "faults": msgspec.to_builtins(found.faults),
        "complete": found.complete,
        "notes": found.notes,
        "rows": found.rows,
    }


def _remote(url: str, token_file: str | None) -> tuple[int, Iterator["StoredBlock"]]:
    from ledger.encoding import encode
    from node.audit.ahead import StoredBlock

    client = open_client(url, token_file)
    height = int(client.status()["height"])

    def blocks() -> Iterator[StoredBlock]:
        for number in range(1, height + 1):
            certificate = client.get(f"/v1/blocks/{number}")["certificate"]
            yield StoredBlock(
                height=number,
                block=client.get_bytes(f"/v1/blocks/{number}/bytes"),
                certificate=encode(certificate) if certificate else None,
            )

    return height, blocks()
