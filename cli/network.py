"""`claimnode network`: make a network from one file, run all its nodes on this machine, look at their health.

Knows the options; keys and folders are made by cli.network_setup, processes are cli.processes'. Always true:
`network up` restarts nothing and leaves no process behind.
"""

import time
from pathlib import Path
from typing import Any

import click

from cli.errors import CliError, NetworkFailure
from cli.output import json_option, print_json, print_note, print_table, print_text

WATCH_S = 0.5


@click.group(name="network")
def network() -> None:
    """Make a network, run it, look at it.

    Example: claimnode network init network-config/demo/network.toml --out net
    """


@network.command(name="init")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder for the network.")
@click.option("--time", "base", help="Simulated time at this moment (ISO); the clocks of all nodes run from it.")
@json_option
def init(config: Path, out: Path, base: str | None, as_json: bool) -> None:
    """Make keys (0600), the genesis and one folder for each node from the file CONFIG.

    \b
    Example: claimnode network init network-config/demo/network.toml --out net
             claimnode network init net.toml --out net --time 2025-01-06T08:00:00+08:00
    """
    from cli.network_config import load_network_config
    from cli.network_setup import create_network, parse_time
    from contracts.genesis import genesis_hash

    described = load_network_config(config)
    data = create_network(described, out, base_ms=None if base is None else parse_time(base))
    chain = genesis_hash(data).hex()
    names = sorted(member.id for member in described.participants)
    if as_json:
        print_json({"network": described.network, "genesis_hash": chain, "nodes": names, "folder": str(out)})
    else:
        print_text(f"{described.network}: {len(names)} nodes in {out} ({', '.join(names)})")
        print_text(f"genesis {chain}")
        print_text(f"run them with: claimnode network up {out}")


@network.command(name="up")
@click.argument("folder", type=click.Path(path_type=Path))
def up(folder: Path) -> None:
    """Run every node of the network in FOLDER until Ctrl-C. A node that stops is named, not started again.

    Example: claimnode network up net
    """
    from cli.processes import end_on_sigterm, running

    nodes = _nodes(folder)
    end_on_sigterm()
    try:
        with running(nodes):
            for item in nodes:
                print_note(f"{item.name}: ready at {item.client.url}, log in {item.log}")
            _watch(nodes)
    except KeyboardInterrupt:
        print_note("stopped")


@network.command(name="status")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def status(folder: Path, as_json: bool) -> None:
    """Print height, state root, peers and readiness of each node; exit code 3 unless all are ready.

    Offences of validators that are on the ledger are named below; --json has them under `evidence`.

    Example: claimnode network status net --json
    """
    found = [_status_of(item) for item in _nodes(folder)]
    if as_json:
        print_json({"nodes": found})
    else:
        columns = ("name", "ready", "voting", "height", "state_root", "peers", "mempool", "offences", "reasons")
        print_table(columns, [[_cell(item.get(column)) for column in columns] for item in found])
        for line in _accusations(found):
            print_text(line)
        for item in found:
            if item.get("advice"):
                print_note(f"{item['name']}: {item['not_voting']}: {item['advice']}")
    late = [item["name"] for item in found if not item["ready"]]
    if late:
        raise NetworkFailure(
            "not_ready", f"not ready: {', '.join(late)}; their logs in {folder}/*/data/node.log say why"
        )


def _nodes(folder: Path) -> list[Any]:
    from cli.processes import find_nodes

    nodes = find_nodes(folder)
    if not nodes:
        raise CliError("network", f"{folder} holds no nodes; claimnode network init makes them")
    return nodes


def _watch(nodes: list[Any]) -> None:
    """Until interrupted: name each node that ends; give up when none is left."""
    left = list(nodes)
    while left:
        for item in [item for item in left if not item.is_running()]:
            left.remove(item)
            print_note(f"{item.name}: ended ({item.exit_code()}): {item.last_words()}")
        time.sleep(WATCH_S)
    raise NetworkFailure("stopped", "every node has ended; their logs say why")


def _status_of(item: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = item.client.status()
    except CliError as error:
        return {"name": item.name, "url": item.client.url, "ready": False, "reasons": [error.code]}
    return {"name": item.name, "url": item.client.url, **found}


def _accusations(found: list[dict[str, Any]]) -> list[str]:
    """One line for each offence on record, as the nodes tell it; each once."""
    listed = {item["offence_id"]: item for node in found for item in node.get("evidence", ())}
    return [
        f"offence of {item['offender']}: {item['kind']} in epoch {item['epoch']}, view {item['view']};"
        f" recorded at height {item['height']} by {item['reporter']}, transaction {item['tx_id']}"
        for item in sorted(listed.values(), key=lambda item: (item["height"], item["offence_id"]))
    ]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(str(item) for item in value) or "-"
    return "-" if value is None else str(value)[:16]
