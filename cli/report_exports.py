"""`claimnode report closing` and `report fees`: closed claims in an insurer's own columns, and statements of fees.

Knows files, TOML and how rows are written. Must not know what a column or a rate means: `contracts.reports`. Always
true: a faulty mapping or table is refused with all its faults before the node is asked for anything.
"""

import tomllib
from pathlib import Path
from typing import Any, Final

import click
from msgspec import to_builtins

from cli.client import NodeClient
from cli.errors import CliError
from cli.node_options import node_options
from cli.output import format_money, json_option, print_json, print_table, print_text
from cli.report_text import write_csv

MAX_FILE_BYTES: Final = 256 * 1024
"""A mapping or rate table written by people is a few kilobytes."""


@click.command(name="closing")
@click.option("--mapping", "mapping_file", required=True, help="TOML file with the columns (cli/README.md).")
@click.option("--from", "first", help="Claims closed on this day or later (YYYY-MM-DD, the network's zone).")
@click.option("--to", "last", help="Claims closed on this day or earlier.")
@node_options
@json_option
def closing(client: NodeClient, mapping_file: str, first: str | None, last: str | None, as_json: bool) -> None:
    """Write closed claims in the columns of a mapping, as CSV, or with --json as objects with the same headings.

    Example: claimnode report closing --mapping closing.toml --node net/insurer --from 2026-01-01 > closed.csv
    """
    from contracts.reports.closings import ClosedClaim, read_mapping, render_row
    from ledger.encoding import convert

    mapping = read_mapping(_read_toml(mapping_file))
    rows = []
    for item in _closed(client, first, last):
        offset = item.pop("utc_offset_minutes")
        item.pop("sequence")
        rows.append(render_row(convert(item, ClosedClaim), mapping, offset))
    if as_json:
        print_json({"claims": rows})
    else:
        write_csv([column.name for column in mapping.column], [row.values() for row in rows])


@click.command(name="fees")
@click.option("--rates", "rates_file", required=True, help="TOML file with the rates (cli/README.md).")
@click.option("--from", "first", required=True, help="First day of the period (YYYY-MM-DD).")
@click.option("--to", "last", required=True, help="Last day of the period.")
@node_options
@json_option
def fees(client: NodeClient, rates_file: str, first: str, last: str, as_json: bool) -> None:
    """Make the statement of service fees of a period; cases are those that this insurer's node closed in it.

    Example: claimnode report fees --rates rates.toml --from 2026-01-01 --to 2026-01-31 --node net/insurer
    """
    from contracts.reports.fees import build_statement, read_rates

    table = read_rates(_read_toml(rates_file))
    build_statement(table, first, last, {"case": 0})
    cases = sum(1 for _ in _closed(client, first, last))
    statement = build_statement(table, first, last, {"case": cases})
    if as_json:
        print_json(to_builtins(statement))
        return
    print_text(f"{statement.provider} to {statement.payer}, {statement.first} to {statement.last}")
    rows = [
        (
            line.service,
            line.unit,
            str(line.count),
            format_money(line.fen, table.currency),
            format_money(line.total_fen, table.currency),
        )
        for line in statement.lines
    ]
    print_table(("service", "unit", "count", "each", "total"), rows)
    print_text(f"total: {format_money(statement.total_fen, table.currency)}")


def _closed(client: NodeClient, first: str | None, last: str | None) -> Any:
    """Closed claims, page by page, each with the zone's offset."""
    after, more = 0, True
    while more:
        page = client.get("/v1/statistics/closings", **{"from": first, "to": last}, after=after, limit=1000)
        yield from ({**item, "utc_offset_minutes": page["utc_offset_minutes"]} for item in page["items"])
        after, more = page["next"], page["more"]


def _read_toml(name: str) -> Any:
    """A TOML document from a file. Raises CliError `file`."""
    try:
        data = Path(name).read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise CliError("file", f"{name} has {len(data)} bytes, at most {MAX_FILE_BYTES}")
        return tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise CliError("file", f"{name}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CliError("file", f"{name} is no TOML: {error}") from None
