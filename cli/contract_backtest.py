"""`claimnode contract backtest` and `shadow`: another version of a product on claims that a node holds.

Knows options, the node's interface and what is printed. Must not know cases: they never leave the node. Always true:
neither command changes a decision; who interrupts a backtest ends it at the node too.
"""

import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click

from cli.client import NodeClient
from cli.errors import AnswerIsNo, CliError
from cli.node_options import node_options
from cli.output import format_money, is_terminal, json_option, print_json, print_note, print_table, print_text
from cli.product_files import read_release

PATH: Final = "/v1/contracts/backtest"
POLL_S: Final = 0.2
SHORT: Final = 16
"""Characters of an id in a table; the whole one is in --json."""
ID: Final = re.compile(r"[0-9a-f]{64}")
NOTES: Final = {
    "recorded": "each claim ran with the prior use that it had: not compounded (--compound carries it on)",
    "compounded": "what a claim would have used counts for the next of its account",
}


@click.command(name="backtest")
@click.argument("source")
@click.option(
    "--history", is_flag=True, help="Over the decided claims that the node holds; there is no other source yet."
)
@click.option("--product", help="Try it on policies of this product code, instead of those whose line it follows.")
@click.option("--since", metavar="DATE", help="Claims decided on this day or later, YYYY-MM-DD.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, help="At most so many claims, the newest.")
@click.option("--worst", type=click.IntRange(0, 200), default=20, help="Changed results to name.")
@click.option("--compound", is_flag=True, help="Carry what a claim would have used on to the next of its account.")
@node_options
@json_option
def backtest(
    source: str,
    history: bool,
    product: str | None,
    since: str | None,
    limit: int,
    worst: int,
    compound: bool,
    client: NodeClient,
    as_json: bool,
) -> None:
    """Decide the node's past claims again under SOURCE: a proposal, a product_hash, or a product folder.

    The node runs them beside its work and changes nothing. Exit code 1: the version could not be tried at all.

    \b
    Example: claimnode contract backtest 5f26... --history --since 2025-01-01 --node net/insurer
             claimnode contract backtest network-config/demo/products/outpatient-80 --history --node net/insurer
    """
    order = {
        **_what(source),
        "product": product,
        "since_ms": _since_ms(client, since),
        "limit": limit,
        "worst": worst,
        "compound": compound,
    }
    view = _follow(client, client.post(PATH, order))
    if view["status"] != "done":
        raise AnswerIsNo(view["code"] or view["status"], view["detail"] or "the backtest was ended before it was done")
    if as_json:
        print_json(view["report"])
    else:
        _print_report(view["report"])


@click.command(name="shadow")
@click.option(
    "--on", "release", metavar="ID", help="From now on run this proposal or product_hash beside each decision."
)
@click.option("--off", is_flag=True, help="Run none.")
@click.option("--list", "listed", is_flag=True, help="List every result, not only the sum.")
@click.option("--worst", type=click.IntRange(0, 200), default=20, help="Changed results to name.")
@node_options
@json_option
def shadow(release: str | None, off: bool, listed: bool, worst: int, client: NodeClient, as_json: bool) -> None:
    """Show what a version would have made of each claim decided since it was switched on; switch it.

    \b
    Example: claimnode contract shadow --on 5f26... --node net/insurer
             claimnode contract shadow --list --node net/insurer
    """
    if release is not None and off:
        raise CliError("options", "give --on ID or --off, not both")
    if release is not None or off:
        client.post("/v1/shadow", {"release": _identifier(release) if release is not None else None})
    view = client.get("/v1/shadow", limit=1, worst=worst)
    items = list(client.pages("/v1/shadow")) if listed else []
    if as_json:
        print_json({"setting": view["setting"], "summary": view["summary"], "items": items})
        return
    setting = view["setting"]
    if setting is None:
        print_text("shadow   off")
        return
    print_text(
        f"shadow   {setting['product_hash']}  {_plain(setting['product_code'])}  {_plain(setting['title'])}".rstrip()
    )
    print_text(f"since    height {setting['since_height']}")
    print_text(f"failed   {view['summary']['failed']}, not for it {view['summary']['skipped']}")
    _print_summary(view["summary"])
    if items:
        print_table(("claim", "state", "code"), [(one["claim_id"], one["status"], one["code"]) for one in items])


def _what(source: str) -> dict[str, Any]:
    """The release or the texts of an order. Raises CliError, ProductRefused."""
    if ID.fullmatch(source):
        return {"release": source}
    if not Path(source).is_dir():
        raise CliError("source", f"{source}: name a proposal or product_hash (64 digits), or a product folder")
    found = read_release(Path(source))
    texts = (found.program_text, found.tables_text, found.examples_text, found.title)
    return {"texts": dict(zip(("program", "tables", "examples", "title"), texts, strict=True))}


def _identifier(text: str) -> str:
    if ID.fullmatch(text) is None:
        raise CliError("source", f"{text}: name a proposal or product_hash (64 digits)")
    return text


def _since_ms(client: NodeClient, since: str | None) -> int:
    """The start of that day in the network's calendar, in milliseconds. Raises CliError `date`."""
    from contracts.calendar import day_number, is_date

    if since is None:
        return 0
    if not is_date(since) or since < "1970-01-02":
        raise CliError("date", f"--since {since}: write it as YYYY-MM-DD")
    offset = int(client.get("/v1/contracts", limit=1)["utc_offset_minutes"])
    return (day_number(since) - day_number("1970-01-01")) * 86_400_000 - offset * 60_000


def _follow(client: NodeClient, view: dict[str, Any]) -> dict[str, Any]:
    """Watch a job to its end; an interrupt ends it at the node."""
    job = f"{PATH}/{view['backtest_id']}"
    try:
        while view["status"] == "reading":
            time.sleep(POLL_S)
            view = client.get(job)
        with click.progressbar(length=view["total"], label="claims", hidden=not is_terminal(), file=sys.stderr) as bar:
            while view["status"] == "running":
                bar.update(view["done"] - bar.pos)
                time.sleep(POLL_S)
                view = client.get(job)
            bar.update(view["done"] - bar.pos)
    except KeyboardInterrupt:
        client.post(f"{job}/cancellation", {})
        raise
    return view


def _print_report(report: dict[str, Any]) -> None:
    release, skipped, failed = report["release"], report["skipped"], report["failed"]
    print_text(
        f"product  {release['product_hash']}  {_plain(release['product_code'])}  {_plain(release['title'])}".rstrip()
    )
    line = (
        f"line {release['line']}"
        if release["chosen_by"] == "line"
        else f"product code {_plain(release['chosen_code'])}"
    )
    print_text(f"tried on policies of {line}")
    _print_summary(report)
    left = ", ".join(f"{count} {name}" for name, count in skipped.items() if count)
    if left or report["limited"]:
        print_text(
            f"left out {', '.join(filter(None, (left, 'older ones beyond --limit' if report['limited'] else '')))}"
        )
    for code, count in failed["codes"].items():
        first: dict[str, Any] = next((item for item in failed["items"] if item["code"] == code), {})
        print_text(f"failed   {count} with {code}: {_plain(first.get('detail', ''))}".rstrip(": "))
    if report["stopped"]:
        print_note(f"stopped before the end: {report['stopped']}")
    print_text(NOTES[report["prior_use"]])
    if report["compound_breaks"]:
        print_text(f"at {report['compound_breaks']} accounts something else came between: their recorded use counts")


def _print_summary(summary: dict[str, Any]) -> None:
    print_text(f"claims   {summary['claims']} with {summary['policies']} results, {summary['changed']} changed")
    for total in summary["totals"]:
        old, new, difference = (
            format_money(total[name], total["currency"]) for name in ("sum_old_fen", "sum_new_fen", "difference_fen")
        )
        print_text(f"sum      {old} -> {new}, difference {difference}")
    for item in summary["decisions"]:
        print_text(f"decision {item['old']} -> {item['new']}: {item['policies']}")
    for sign, name in (("+", "reasons_added"), ("-", "reasons_removed")):
        for reason, count in summary[name].items():
            print_text(f"reason   {sign} {reason}: {count}")
    if summary["worst"]:
        columns = ("claim", "policy", "decision", "old", "new", "difference", "reasons")
        print_table(columns, _rows(summary["worst"]))


def _rows(worst: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    rows = []
    for item in worst:
        same = item["old_decision"] == item["new_decision"]
        decision = item["old_decision"] if same else f"{item['old_decision']} -> {item['new_decision']}"
        amounts = (format_money(item[name], item["currency"]) for name in ("old_fen", "new_fen", "difference_fen"))
        reasons = [f"+{one}" for one in item["reasons_added"]] + [f"-{one}" for one in item["reasons_removed"]]
        rows.append((item["claim_id"][:SHORT], item["policy_id"][:SHORT], decision, *amounts, " ".join(reasons)))
    return rows


def _plain(text: str) -> str:
    """What others wrote, without anything that a terminal would obey."""
    from contracts.errors import shorten

    return shorten(text, 100)


COMMANDS: Final = (backtest, shadow)
"""What `claimnode contract` gains."""
