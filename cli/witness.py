"""`claimnode witness`: an outsider who signs a network's checkpoints, so that no history is rewritten unseen.

Knows the options; node.witnessing decides what is signed. Always true: importing this file imports no server.
"""

from pathlib import Path
from typing import Any

import click
import msgspec

from cli.errors import AnswerIsNo, CliError
from cli.output import json_option, print_json, print_text

MAX_GENESIS_BYTES = 4 * 2**20


@click.group(name="witness")
def witness() -> None:
    """Witness a network's log: sign each checkpoint that follows from the one before.

    Example: claimnode witness init w --name witness.example/w1 --genesis genesis.json
    """


@witness.command(name="init")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The witness' name, like a URL without its scheme.")
@click.option("--log", "logs", multiple=True, help="Verifier key of a log; give one or more.")
@click.option("--genesis", type=click.Path(path_type=Path), help="Or: every node of the network with this genesis.")
@json_option
def init(folder: Path, name: str, logs: tuple[str, ...], genesis: Path | None, as_json: bool) -> None:
    """Make the new FOLDER of a witness: its key (0600), the logs it knows, an empty record for each.

    \b
    Example: claimnode witness init w --name witness.example/w1 --genesis genesis.json
             claimnode witness init w --name witness.example/w1 --log example.org/log+1234abcd+AT...
    """
    from node.witnessing.witness import create_witness

    known = (*logs, *(_node_keys(genesis).values() if genesis else ()))
    if not known:
        raise CliError("logs", "name the log: --log VKEY or --genesis FILE")
    vkey = create_witness(folder, name, known)
    if as_json:
        print_json({"folder": str(folder), "vkey": vkey, "logs": known})
    else:
        print_text(vkey)


@witness.command(name="run")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65_535), help="Port; 0 takes a free one.")
def run(folder: Path, host: str, port: int) -> None:
    """Run the witness in FOLDER until it is interrupted. Prints a JSON line when it is ready.

    Example: claimnode witness run w --port 7900
    """
    from node.witnessing.server import run_witness

    def say(url: str, running: Any) -> None:
        print_json({"ready": True, "url": url, "vkey": running.vkey})

    run_witness(folder, host, port, say)


@witness.command(name="show")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def show(folder: Path, as_json: bool) -> None:
    """Say what the witness in FOLDER signed last for each log, and which contradictions it kept.

    Exit code 1 if there are contradictions.

    Example: claimnode witness show w
    """
    from node.witnessing.evidence import decode_conflict
    from node.witnessing.witness import Witness, conflict_paths

    found = Witness(folder)
    conflicts = [(path, decode_conflict(path.read_bytes())) for path in conflict_paths(folder)]
    if as_json:
        print_json(
            {
                "vkey": found.vkey,
                "logs": msgspec.to_builtins(found.records),
                "conflicts": [{"file": str(path), **msgspec.to_builtins(item)} for path, item in conflicts],
            }
        )
    else:
        print_text(f"witness {found.vkey}")
        for record in found.records:
            print_text(
                f"{record.origin}: size {record.size}" if record.note else f"{record.origin}: nothing signed yet"
            )
        for path, item in conflicts:
            print_text(f"{path}: {item.code}\nsigned before:\n{item.signed_before}\nthen submitted:\n{item.submitted}")
    if conflicts:
        raise AnswerIsNo("conflict", f"{len(conflicts)} contradictions of a log; claimnode witness judge FILE")


@witness.command(name="judge")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--log", "logs", multiple=True, help="Verifier key of the log; give one or more.")
@click.option("--genesis", type=click.Path(path_type=Path), help="Or: the nodes of the network with this genesis.")
@json_option
def judge(file: Path, logs: tuple[str, ...], genesis: Path | None, as_json: bool) -> None:
    """Check evidence that a witness kept: did the log sign both checkpoints, and do they contradict?

    Offline. Exit code 0 if they do, 1 if the file shows nothing.

    Example: claimnode witness judge w/conflict-5f26f29803ceaba5.json --genesis genesis.json
    """
    from ledger.errors import LedgerError
    from ledger.notes import parse_vkey
    from node.witnessing.evidence import decode_conflict, judge_conflict
    from node.witnessing.witness import MAX_RECORD_BYTES

    with file.open("rb") as stream:
        data = stream.read(MAX_RECORD_BYTES + 1)
    keys = [parse_vkey(vkey) for vkey in (*logs, *(_node_keys(genesis).values() if genesis else ()))]
    try:
        verdict = judge_conflict(decode_conflict(data), keys)
    except LedgerError as error:
        raise AnswerIsNo(error.code, f"{file}: {error.detail}") from None
    if as_json:
        print_json(msgspec.to_builtins(verdict))
        return
    print_text(f"{verdict.verdict}: {verdict.origin}")
    for size, root, signer in zip(verdict.sizes, verdict.roots, verdict.signers, strict=True):
        print_text(f"size {size} root {root} signed by {signer}")


@witness.command(name="keys")
@click.argument("genesis", type=click.Path(path_type=Path))
@json_option
def keys(genesis: Path, as_json: bool) -> None:
    """Print the verifier keys of a network's log, one of each node, from the GENESIS file that binds them.

    Example: claimnode witness keys net/genesis.json
    """
    found = _node_keys(genesis)
    if as_json:
        print_json(found)
    else:
        print_text("\n".join(f"{name}: {vkey}" for name, vkey in found.items()))


def _node_keys(path: Path) -> dict[str, str]:
    """Participant -> verifier key. Raises GenesisError, DecodeError."""
    from contracts.genesis import decode_genesis, genesis_hash
    from ledger.checkpoints import note_key

    with path.open("rb") as stream:
        data = stream.read(MAX_GENESIS_BYTES + 1)
    genesis, chain = decode_genesis(data), genesis_hash(data)
    return {
        member.id: note_key(genesis.network, chain, bytes.fromhex(member.note_key)).vkey
        for member in genesis.participants
    }
