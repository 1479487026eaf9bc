"""`claimnode audit ledger`: a whole ledger executed again, from a node's folder or from its API.

Knows where blocks come from. Must not know what makes one valid: node.audit.replay does. Always true: the genesis of a
remote node is never taken from that node.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from cli.errors import AnswerIsNo, CliError
from cli.node_options import open_client
from cli.output import is_terminal, json_option, print_json, print_text

if TYPE_CHECKING:
    from node.audit.replay import StoredBlock


@click.command(name="ledger")
@click.argument("source")
@click.option("--trust", type=click.Path(path_type=Path, dir_okay=False), help="The genesis you trust.")
@click.option("--token-file", help="File with the access token, for a URL.")
@json_option
def replay(source: str, trust: Path | None, token_file: str | None, as_json: bool) -> None:
    """Replay the ledger of SOURCE (a node's folder or the URL of its API) from genesis.

    Every link, certificate and root is checked and every transaction executed again. Exit code 0: all holds, 1: the
    first height that does not is named. A folder brings its own genesis unless --trust names another.

    \b
    Example: claimnode audit ledger network/hospital
             claimnode audit ledger http://127.0.0.1:8080 --trust genesis.json --token-file token
    """
    from node.audit.replay import LedgerFault, replay_ledger

    remote = source.startswith(("http://", "https://"))
    if remote and trust is None:
        raise CliError("trust", "name the genesis that you trust with --trust FILE: a node cannot vouch for itself")
    genesis = (trust or Path(source) / "genesis.json").read_bytes()
    count, blocks = _remote(source, token_file) if remote else _local(Path(source), genesis)
    try:
        with click.progressbar(length=count, label="replaying", hidden=not is_terminal()) as bar:
            done = replay_ledger(genesis, blocks, lambda _: bar.update(1))
    except LedgerFault as fault:
        raise AnswerIsNo(fault.code, fault.detail) from None
    if as_json:
        print_json({"ok": True, **msgspec.to_builtins(done)})
        return
    print_text(f"{done.blocks} blocks, {done.transactions} transactions")
    print_text(f"{done.operations} operations, {done.refused} of them refused")
    print_text(f"{done.certificates} certificates verified; every root reproduced")
    print_text(f"height {done.height}  state {done.state_root}  log {done.log_root} ({done.log_size} leaves)")


def _local(folder: Path, genesis: bytes) -> tuple[int, Iterator["StoredBlock"]]:
    from contracts.genesis import genesis_hash
    from ledger.store import Store
    from node.audit.replay import StoredBlock

    path = folder / "data" / "ledger.db"
    if not path.is_file():
        raise CliError("no_ledger", f"{folder} has no data/ledger.db; name the folder of a node")
    store = Store(f"sqlite:///{path}", genesis_hash(genesis))
    blocks = (
        StoredBlock(height=height, block=store.block(height), certificate=store.certificate_at(height))
        for height in range(1, store.height + 1)
    )
    return store.height, blocks


def _remote(url: str, token_file: str | None) -> tuple[int, Iterator["StoredBlock"]]:
    from ledger.encoding import encode
    from node.audit.replay import StoredBlock

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
