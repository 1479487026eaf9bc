"""`claimnode report`: figures of a node's own claims, for people, spreadsheets and programs.

Knows the options and how figures are printed. Must not know how one is made. Always true: text, --csv and --json show
the same figures, and a share is printed with what it is a share of.
"""

from collections.abc import Iterator
from typing import Any, Final

import click

from cli.client import NodeClient
from cli.consent_text import format_time
from cli.errors import CliError
from cli.node_options import node_options
from cli.output import format_money, json_option, print_json, print_table, print_text
from cli.report_exports import closing, fees
from cli.report_text import format_bp, format_span, write_csv

SHARES: Final = (
    ("straight_through", "straight through"),
    ("within_30_minutes", "decided within 30 minutes"),
    ("complete_at_first", "documents complete at first"),
    ("reviewed", "reviewed by people"),
    ("declined", "declined"),
    ("overturned", "overturned"),
    ("disputed", "disputed"),
    ("escalated", "escalated"),
)
NAMES: Final = ("statuses", "decisions", "reasons", "declined_for", "review_reasons")
COUNTS: Final = ("claims", "decided", "explained", "closed", "human_steps")
SUMS: Final = ("claimed", "payable", "paid")
SPANS: Final = ("fastest", "median", "p95")
Row = tuple[str, str, str, int | str]


@click.group(name="report")
def report() -> None:
    """Figures of a node's own claims: kpi, sla, closing, fees.

    Example: claimnode report kpi --node net/insurer --from 2026-01-01 --to 2026-03-31
    """


@report.command(name="kpi")
@click.option("--from", "first", help="Claims reported on this day or later (YYYY-MM-DD, the network's zone).")
@click.option("--to", "last", help="Claims reported on this day or earlier.")
@click.option("--lane", type=click.Choice(["flash", "review", "unknown"]), help="Only claims of this lane.")
@click.option("--hospital", help="Only claims with documents of this hospital.")
@click.option("--insurer", help="Only claims of this insurer.")
@click.option("--csv", "as_csv", is_flag=True, help="Write one figure a line: section, name, field, value.")
@node_options
@json_option
def kpi(client: NodeClient, as_csv: bool, as_json: bool, **selection: str | None) -> None:
    """Show counts, rates, amounts, times and turnaround of the claims that this participant may count.

    Rates stand beside what they are shares of. Amounts are those of the node's own vault.

    \b
    Example: claimnode report kpi --node net/insurer --from 2026-01-01 --lane flash
             claimnode report kpi --node net/insurer --csv > kpi.csv
    """
    names = {"first": "from", "last": "to"}
    found = client.get("/v1/statistics/kpi", **{names.get(name, name): value for name, value in selection.items()})
    if as_json and as_csv:
        raise CliError("options", "--json and --csv exclude one another")
    if as_json:
        print_json(found)
    elif as_csv:
        write_csv(("section", "name", "field", "value"), list_figures(found))
    else:
        _print_kpi(found)


@report.command(name="sla")
@click.option("--all", "every", is_flag=True, help="Also clocks that neither warn nor ran out.")
@node_options
@json_option
def sla(client: NodeClient, every: bool, as_json: bool) -> None:
    """List the clocks of open claims that warn or have run out: who owes which step since when.

    Example: claimnode report sla --node net/insurer
    """
    items = list(client.pages("/v1/clocks", all="true" if every else ""))
    if as_json:
        print_json({"claims": items})
        return
    columns = ("claim", "stage", "party", "standing", "used", "due")
    rows = [
        (
            item["claim_id"],
            clock["stage"],
            clock["party"],
            clock["standing"],
            format_bp(clock["used_bp"]),
            format_time(clock["due_ms"]),
        )
        for item in items
        for clock in item["clocks"]
    ]
    print_table(columns, rows)


def list_figures(found: dict[str, Any]) -> Iterator[Row]:
    """Every figure of a report as (section, name, field, value), for a spreadsheet."""
    figures = found["kpi"]
    for name in (*COUNTS, "advances_outstanding_fen"):
        yield "count", name, "value", "" if figures[name] is None else figures[name]
    for name, _ in SHARES:
        for field in ("count", "of", "bp"):
            value = figures[name][field]
            yield "share", name, field, "" if value is None else value
    for section in NAMES:
        for item in figures[section]:
            yield section, item["name"], "claims", item["claims"]
    for item in figures["amounts"]:
        for field in ("claims", "claimed_fen", "payable_fen", "paid_fen"):
            yield "amount", item["currency"], field, item[field]
    for item in figures["times"]:
        for field in ("claims", "fastest_ms", "median_ms", "p95_ms"):
            yield "time", f"{item['begin']}-{item['end']}", field, item[field]
    for item in found["turnaround"]:
        values = {**item, "over": item["over"]["count"], "over_bp": item["over"]["bp"]}
        for field in ("open", "ended", "median_ms", "p95_ms", "over", "over_bp"):
            yield (
                "turnaround",
                f"{item['party']} {item['stage']}",
                field,
                "" if values[field] is None else values[field],
            )
    for item in found["invoice_errors"]:
        for field in ("invoices", "warned", "refused"):
            yield "invoice_errors", f"{item['hospital']} {item['month']}", field, item[field]


def _print_kpi(found: dict[str, Any]) -> None:
    figures = found["kpi"]
    counts = ", ".join(f"{name.replace('_', ' ')} {figures[name]}" for name in COUNTS)
    print_text(f"{found['participant']} at height {found['height']}: {counts}")
    rows = []
    for name, title in SHARES:
        share = figures[name]
        rate = "-" if share["bp"] is None else format_bp(share["bp"])
        rows.append((title, rate, f"{share['count']} of {share['of']}"))
    print_table(("rate", "share", "claims"), rows)
    for item in figures["amounts"]:
        sums = (f"{name} {format_money(item[f'{name}_fen'], item['currency'])}" for name in SUMS)
        print_text(f"{item['claims']} claims: {', '.join(sums)}")
    for section in NAMES:
        if figures[section]:
            names = ", ".join(f"{item['name']} {item['claims']}" for item in figures[section])
            print_text(f"{section.replace('_', ' ')}: {names}")
    _print_times(figures["times"])
    _print_turnaround(found["turnaround"])


def _print_times(times: list[dict[str, Any]]) -> None:
    rows = [
        (row["begin"], row["end"], str(row["claims"]), *(format_span(row[f"{name}_ms"]) for name in SPANS))
        for row in times
    ]
    if rows:
        print_table(("from", "to", "claims", *SPANS), rows)


def _print_turnaround(turnaround: list[dict[str, Any]]) -> None:
    rows = [
        (
            row["party"],
            row["stage"],
            str(row["open"]),
            str(row["ended"]),
            *(format_span(row[f"{name}_ms"]) for name in SPANS[1:]),
            str(row["over"]["count"]),
        )
        for row in turnaround
    ]
    if rows:
        print_table(("party", "step", "open", "ended", *SPANS[1:], "over the limit"), rows)


for command in (closing, fees):
    report.add_command(command)
