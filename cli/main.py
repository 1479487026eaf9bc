"""`claimnode`: finds the command, runs it, and turns every error into one line and an exit code.

Knows the names of the commands and which module holds each. Must not import a command before it is asked
for, nor any server, database or network library: `claimnode --help` is for a machine that has none running.
Always true: no project error and no wrong use ends in a traceback.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import click

from cli.errors import EXIT_INTERRUPTED, describe_error
from cli.version import VERSION


class CommandSource(NamedTuple):
    """Where a command lives, and the line that `claimnode --help` shows of it."""

    module: str
    attribute: str
    summary: str


COMMANDS: Final = {
    "adjudicate": CommandSource("cli.adjudicate", "adjudicate", "Adjudicate a case offline, or many (NDJSON)."),
    "audit": CommandSource("cli.audit", "audit", "Dossiers and ledgers: build, verify, explain."),
    "batch": CommandSource("cli.batch", "batch", "Batches of a hospital: submit, review, settle, list."),
    "bench": CommandSource("cli.bench", "bench", "Measure adjudication, network and proofs."),
    "claim": CommandSource("cli.claim_words", "claim", "Claims: list, show, watch, review; dispute, withdraw."),
    "consent": CommandSource("cli.consent", "consent", "A customer's consent tokens, offline and online."),
    "contract": CommandSource("cli.contract", "contract", "Products: check and explain program, tables, examples."),
    "demo": CommandSource("cli.demo", "demo", "The whole journey, from consent to settled payout."),
    "invoice": CommandSource("cli.invoice", "invoice", "Check e-invoices against the validation rules."),
    "keys": CommandSource("cli.keys", "keys", "Make, show and prove key files."),
    "network": CommandSource("cli.network", "network", "Make a network, run it, look at it."),
    "node": CommandSource("cli.node_command", "node", "Run one node; its access tokens."),
    "payout": CommandSource("cli.payout", "payout", "Payouts of a node."),
    "record": CommandSource("cli.record", "record", "A hospital's documents on their way to the ledger."),
    "report": CommandSource("cli.report", "report", "Figures of a node's own claims: kpi, sla, closing, fees."),
    "risk": CommandSource("cli.risk", "risk", "Risk rules: grade records offline; counts of a node."),
    "witness": CommandSource("cli.witness", "witness", "Sign a network's checkpoints as an outsider."),
    "work": CommandSource("cli.work", "work", "Reviews and complaints that wait for people."),
}
"""Every command; README names the same."""


class CommandGroup(click.Group):
    """A group that imports a command when it is called, and ends every error as `cli.errors` says."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        source = COMMANDS.get(cmd_name)
        if source is None:
            return None
        command = getattr(importlib.import_module(source.module), source.attribute)
        assert isinstance(command, click.Command), source
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in sorted(COMMANDS)])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        name = prog_name or "claimnode"
        if not standalone_mode:
            return super().main(args, name, complete_var, standalone_mode=False, **extra)
        sys.exit(self._run(args, name, complete_var, extra))

    def _run(self, args: Sequence[str] | None, name: str, complete_var: str | None, extra: dict[str, Any]) -> int:
        try:
            result = super().main(args, name, complete_var, standalone_mode=False, **extra)
            return result if isinstance(result, int) else 0
        except (KeyboardInterrupt, click.Abort):
            click.echo(f"{name}: interrupted", err=True)
            return EXIT_INTERRUPTED
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader left: nothing more to say, not even at exit
            return 0
        except Exception as error:
            described = describe_error(error)
            if described is None:
                raise
            click.echo(f"{name}: {described[0]}", err=True)
            return described[1]


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="claimnode", message="%(prog)s %(version)s")
def claimnode() -> None:
    """A permissioned-ledger claims exchange: consented records in, provable payouts out.

    Exit codes: 0 done, 1 the answer is no, 2 wrong use, 3 the network or a peer failed.

    \b
    Example: claimnode demo
             claimnode network init network-config/demo/network.toml --out net
    """


def main() -> None:
    """Entry point of the console script."""
    claimnode.main()


if __name__ == "__main__":
    main()
