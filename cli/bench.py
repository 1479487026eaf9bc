"""`claimnode bench`: figures of this machine, never tests.

Knows the options and how figures are shown; measuring is node.bench's and cli.bench_network's. Always true: with
--json exactly the keys that scripts rely on are printed, however a run went.
"""

from pathlib import Path
from typing import Any, Final

import click

from cli.output import json_option, print_json, print_note, print_table

MAX_NODES: Final = 16
"""More real processes than that measure the scheduler of one machine."""
MAX_SECONDS: Final = 600
MAX_RATE: Final = 100_000
"""Above anything that one signature a transaction allows on one machine."""

MAX_RECORDS: Final = 100_000_000
"""Of `bench proofs`: 250 GB."""


@click.group(name="bench")
def bench() -> None:
    """Measure what this machine does.

    Example: claimnode bench network --seconds 20 --rate max
    """


def read_rate(ctx: click.Context, param: click.Parameter, value: str) -> float | None:
    """Transactions a second; None for `max`. Raises BadParameter."""
    if value == "max":
        return None
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    if not 1 <= rate <= MAX_RATE:
        raise click.BadParameter(f"{value!r} is neither max nor a number from 1 to {MAX_RATE}", ctx, param)
    return rate


@bench.command(name="network")
@click.option("--nodes", type=click.IntRange(4, MAX_NODES), default=4, show_default=True, help="Validators.")
@click.option("--seconds", type=click.IntRange(1, MAX_SECONDS), default=20, show_default=True, help="Measured time.")
@click.option("--rate", callback=read_rate, default="500", show_default=True, help="Transactions a second, or max.")
@click.option("--kill", type=click.Choice(["one"]), help="Kill one validator (SIGKILL) in the middle.")
@click.option("--slow", type=click.Choice(["one"]), help="Delay all that one validator sends and gets by 100 ms.")
@click.option("--orderer", type=click.Choice(["builtin"]), default="builtin", show_default=True, help="Who orders.")
@json_option
def network(
    nodes: int, seconds: int, rate: float | None, kill: str | None, slow: str | None, orderer: str, as_json: bool
) -> None:
    """Load a network of real processes on this machine, over mutual TLS, and print what it did.

    Transactions publish one record each, are signed ahead by all participants in turn and leave in batches whether
    or not earlier ones were answered (open loop). A latency runs from just before the request is written to the
    final event on the client's own subscription. The client shares the machine with the nodes. A slow validator sits
    behind a relay that hands on every byte of its links 100 ms after it came, each way; its API stays fast.

    \b
    Example: claimnode bench network --seconds 20 --rate max
             claimnode bench network --rate 500 --kill one --json
             claimnode bench network --rate 200 --slow one
    """
    if kill and slow:
        raise click.UsageError("four validators bear one that is faulty: choose --kill one or --slow one")
    from cli.bench_network import measure_network

    result = measure_network(
        nodes=nodes, seconds=seconds, rate=rate, kill=kill is not None, slow=slow is not None, orderer=orderer
    )
    for note in result.notes:
        print_note(note)
    if as_json:
        print_json(result.figures)
    else:
        print_table(("figure", "value"), [(name, _cell(value)) for name, value in result.figures.items()])


@bench.command(name="adjudicate")
@click.option(
    "--seconds",
    type=click.IntRange(1, MAX_SECONDS),
    default=3,
    show_default=True,
    help="Measured time of each of the three figures.",
)
@json_option
def adjudicate(seconds: int, as_json: bool) -> None:
    """Adjudicate the shipped examples again and again on one core, and print how many a second.

    A case counts from its text to its checked result text: reading, defaults, the worker process and the run.
    `plain_python_cases_per_s` is the same rules as plain Python, unchecked and in this process; it comes with the
    tests and is null where they are not installed.

    \b
    Example: claimnode bench adjudicate
             claimnode bench adjudicate --json
    """
    from cli.bench_adjudicate import measure_adjudication

    figures, notes = measure_adjudication(seconds)
    for note in notes:
        print_note(note)
    if as_json:
        print_json(figures)
    else:
        print_table(("figure", "value"), [(name, _cell(value)) for name, value in figures.items()])


@bench.command(name="proofs")
@click.option(
    "--records",
    type=click.IntRange(1_000, MAX_RECORDS),
    default=100_000,
    show_default=True,
    help="Records of the ledger that is built.",
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where it is built: about 2.5 kB a record. Default: the system's folder for temporary files.",
)
@click.option("--join", is_flag=True, help="Make a snapshot, too, and a second node from it.")
@json_option
def proofs(records: int, folder: Path | None, join: bool, as_json: bool) -> None:
    """Build a ledger of made-up records on this disk, restart it, make and verify proofs on it.

    Headers, certificates, log, state map and store are the real ones. `bytes` is the largest proof with header and
    certificate, the times are medians; `state_map_us_per_tx` is the CPU time that the map costs for each of the last
    records. `join` says how long a snapshot takes to make and to begin with, with every check, and its size.

    \b
    Example: claimnode bench proofs --records 1000000 --json
    """
    from cli.bench_proofs import measure_proofs

    figures = measure_proofs(records, folder, join=join)
    if as_json:
        print_json(figures)
    else:
        print_table(("figure", "value"), [(name, _cell(value)) for name, value in figures.items()])


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {_cell(item)}" for name, item in value.items())
    if isinstance(value, float) and abs(value) < 100:
        return f"{value:,.3g}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)
