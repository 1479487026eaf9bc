"""`claimnode contract` where it meets the ledger: propose, vote, withdraw, list, show.

Knows options, the node's interface and what is printed. Must not know a rule of the ledger: what may not be, the
receipt says. Always true: nothing is proposed that this machine's own check finds unfit, and who votes has seen what
the voting node's check says.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cli.client import NodeClient
from cli.errors import EXIT_NO, AnswerIsNo, CliError, NetworkFailure
from cli.node_options import node_options
from cli.output import json_option, print_json, print_table, print_text
from cli.product_files import read_release

if TYPE_CHECKING:
    from contracts.products.release import Release

DAY_MS: Final = 86_400_000
WAIT_S: Final = 30
VOTING_DAYS: Final = 7
"""Left for the vote by default, before the days of notice begin."""
OPEN_DAYS: Final = 14
COLUMNS: Final = ("product", "code", "owner", "from", "until", "state")
MAX_SHOWN: Final = 200
SHORT: Final = 16
"""Characters of a hash in a table; the whole one is in --json."""


@click.command(name="propose")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--supersedes", help="product_hash of the release that this one follows; without it a new line begins.")
@click.option("--effective", help="First day, YYYY-MM-DD (default: a week for the vote, then the days of notice).")
@click.option("--open-days", type=click.IntRange(1, 30), default=OPEN_DAYS, help="Days that the vote is open.")
@node_options
@json_option
@click.pass_context
def propose(
    ctx: click.Context,
    folder: Path,
    supersedes: str | None,
    effective: str | None,
    open_days: int,
    client: NodeClient,
    as_json: bool,
) -> None:
    """Propose the product in FOLDER as a release of this node's insurer.

    \b
    Example: claimnode contract propose network-config/demo/products/outpatient-80 --node net/insurer
    """
    release = read_release(folder)
    if not _is_fit(release):
        print_text(f"{folder}: not fit to be proposed; see claimnode contract check {folder}")
        ctx.exit(EXIT_NO)
    rules = client.get("/v1/contracts", limit=1)
    first_ms = _first_day(rules, effective)
    change = {
        "change": "contract.release",
        "product_code": release.product_code,
        "title": release.title,
        "program": release.program_text,
        "tables": release.tables_text,
        "examples": release.examples_text,
        "contract_hash": release.contract_hash,
        "tables_hash": release.tables_hash,
        "supersedes": supersedes,
        "effective_ms": first_ms,
    }
    subject = _submit(client, "/v1/proposals", {"changes": [change], "expires_ms": _expiry(rules, open_days)})
    found = {"proposal_id": subject, "product_hash": release.product_hash, "effective_ms": first_ms}
    if as_json:
        print_json(found)
        return
    print_text(f"proposal {subject}")
    print_text(f"product  {release.product_hash}")
    print_text(f"from     {_date(rules, first_ms)}, if enough control groups vote for it in time")


@click.command(name="vote")
@click.argument("proposal")
@click.option("--despite-faults", metavar="REASON", help="Vote although this node's own check failed; why is kept.")
@node_options
@json_option
@click.pass_context
def vote(ctx: click.Context, proposal: str, despite_faults: str | None, client: NodeClient, as_json: bool) -> None:
    """Vote for PROPOSAL in this node's name, after its own check of the contract was shown.

    Example: claimnode contract vote 5f26... --node net/tpa
    """
    view = client.get(f"/v1/proposals/{proposal}")
    report = view["report"]
    if not as_json:
        for line in _report_lines(view):
            print_text(line)
    fit = not view["is_release"] or (report is not None and report["ok"])
    if not fit and despite_faults is None:
        if as_json:
            print_json({"voted": False, "report": report})
        else:
            print_text("not voted: the check does not speak for it; --despite-faults REASON votes all the same")
        ctx.exit(EXIT_NO)
    body = {} if despite_faults is None else {"despite_faults": despite_faults}
    _submit(client, f"/v1/proposals/{proposal}/vote", body)
    after = client.get(f"/v1/proposals/{proposal}")
    if as_json:
        print_json({"voted": True, "status": after["status"], "voters": after["voters"], "report": report})
    else:
        print_text(f"voted; {after['status']}, voters: {', '.join(after['voters'])}")


@click.command(name="withdraw")
@click.argument("identifier")
@click.option(
    "--reason",
    type=click.Choice(["fault", "law", "market"]),
    help="IDENTIFIER is a release: propose to take it out of force, for this reason.",
)
@node_options
@json_option
def withdraw(identifier: str, reason: str | None, client: NodeClient, as_json: bool) -> None:
    """Take back the proposal IDENTIFIER; with --reason propose that the release IDENTIFIER leaves force.

    \b
    Example: claimnode contract withdraw 5f26... --node net/insurer
             claimnode contract withdraw a08b... --reason fault --node net/commission
    """
    if reason is None:
        _submit(client, f"/v1/proposals/{identifier}/withdrawal", {})
        found = {"withdrawn": identifier}
    else:
        rules = client.get("/v1/contracts", limit=1)
        change = {"change": "contract.withdraw", "product_hash": identifier, "reason": reason}
        body = {"changes": [change], "expires_ms": _expiry(rules, OPEN_DAYS)}
        found = {"proposal_id": _submit(client, "/v1/proposals", body)}
    if as_json:
        print_json(found)
    else:
        print_text("  ".join(f"{name} {value}" for name, value in found.items()))


@click.command(name="list")
@node_options
@json_option
def list_contracts(client: NodeClient, as_json: bool) -> None:
    """List the releases on the ledger, and the proposals that are open.

    Example: claimnode contract list --node net/tpa
    """
    rules = client.get("/v1/contracts", limit=1)
    releases, proposals = list(client.pages("/v1/contracts")), client.get("/v1/proposals")["items"]
    if as_json:
        print_json({"releases": releases, "proposals": proposals})
        return
    print_table(COLUMNS, [_release_row(rules, one) for one in releases])
    for item in proposals:
        report = item["report"]
        checked = "not checked yet" if report is None else f"check: {report['code']}, {report['detail']}"
        what = _plain(item["changes"][0].get("title") or item["changes"][0].get("product_hash", "")[:SHORT])
        print_text(f"open: {item['proposal_id']}  {what}  by {item['author']}, {len(item['voters'])} votes; {checked}")


@click.command(name="show")
@click.argument("identifier")
@click.option("--out", type=click.Path(path_type=Path), help="Write the product as a folder of files, to be read.")
@node_options
@json_option
def show(identifier: str, out: Path | None, client: NodeClient, as_json: bool) -> None:
    """Show a release (by product_hash) or a proposal (by its id): what it pays, in words, and this node's check.

    Example: claimnode contract show 5f26... --node net/tpa --out to-read
    """
    found = client.find(f"/v1/contracts/{identifier}") or client.find(f"/v1/proposals/{identifier}")
    if found is None:
        raise CliError("not_found", f"{identifier}: neither a release nor a proposal on this ledger")
    if out is not None:
        _write(found, out)
    if as_json:
        print_json(found)
        return
    for line in _report_lines(found) if "voters" in found else _release_lines(client, found):
        print_text(line)
    if "tables" in found:
        print_text(_explain(found))


def _is_fit(release: "Release") -> bool:
    from contracts.products.checking import check_release
    from node.machine.runner import MachineRunner

    with MachineRunner(release.bundle) as runner:
        return check_release(release, runner.adjudicate).ok


def _submit(client: NodeClient, path: str, body: dict[str, Any]) -> str:
    """Post, wait until it is final; the subject of the receipt. Raises AnswerIsNo with the receipt's code."""
    from contracts.refusals import explain_refusal

    answer = client.post(path, body, wait=WAIT_S)
    receipt = answer.get("receipt")
    if receipt is None:
        raise NetworkFailure("pending", f"transaction {answer['tx_id']} is not final yet; look again later")
    if receipt["code"] != "ok":
        raise AnswerIsNo(receipt["code"], explain_refusal(receipt["code"]))
    return str(receipt["results"][0]["subject"])


def _first_day(rules: dict[str, Any], effective: str | None) -> int:
    """The start of the first day, in milliseconds. Raises CliError `date`."""
    from contracts.calendar import day_number, is_date

    if effective is None:
        notice = int(rules["notice_days"])
        return int(rules["day_ms"]) + (notice + (VOTING_DAYS if notice else 0)) * DAY_MS
    if not is_date(effective):
        raise CliError("date", f"--effective {effective}: write it as YYYY-MM-DD")
    days = day_number(effective) - day_number("1970-01-01")
    return days * DAY_MS - int(rules["utc_offset_minutes"]) * 60_000


def _expiry(rules: dict[str, Any], days: int) -> int:
    return int(rules["time_ms"]) + days * DAY_MS


def _date(rules: dict[str, Any], time_ms: int) -> str:
    from contracts.calendar import date_after_epoch

    return date_after_epoch((time_ms + int(rules["utc_offset_minutes"]) * 60_000) // DAY_MS)


def _release_row(rules: dict[str, Any], item: dict[str, Any]) -> tuple[str, ...]:
    first, until = _date(rules, item["active_from_ms"]), item["active_until_ms"]
    ends = "-" if until is None else _date(rules, until)
    return (item["product_hash"], _plain(item["product_code"]), item["owner"], first, ends, _state(item))


def _state(item: dict[str, Any]) -> str:
    if item["withdrawn_ms"] is not None:
        return f"withdrawn: {item['reason']}"
    return "in force" if item["in_force"] else "not in force"


def _release_lines(client: NodeClient, found: dict[str, Any]) -> list[str]:
    row = _release_row(client.get("/v1/contracts", limit=1), found)
    return [f"{name:9}{value}" for name, value in zip(COLUMNS, row, strict=True)]


def _report_lines(view: dict[str, Any]) -> list[str]:
    """A proposal with the check of this node, as a voter reads it."""
    change, report = view["changes"][0], view["report"]
    lines = [f"proposal {view['proposal_id']}: {change['change']}, by {view['author']}, {view['status']}"]
    lines += [f"voters   {', '.join(view['voters']) or 'none'}"]
    if not view["is_release"]:
        return lines
    lines += [f"product  {_plain(change['product_code'])}  {_plain(change['title'])}"]
    if report is None:
        return [*lines, "check    not done yet"]
    lines += [f"check    {report['code']}: {report['detail']}"]
    for item in report.get("lint", ()):
        lines.append(f"fault    {item['file']} line {item['line']}: {item['code']}: {item['detail']}")
    for name in ("faults", "remarks"):
        lines += [f"{name[:-1]:9}{one['place']}: {one['code']}: {one['detail']}" for one in report.get(name, ())]
    for item in report.get("examples_failed", ()):
        why = item["code"] or f"{item['path']}: expected {item['expected']}, got {item['got']}"
        lines.append(f"failed   {item['name']}: {why}")
    return lines


def _title(found: dict[str, Any]) -> str:
    return str(found.get("title") or found.get("changes", [{}])[0].get("title", ""))


def _plain(text: str) -> str:
    """What others wrote, without anything that a terminal would obey."""
    from contracts.errors import shorten

    return shorten(text, MAX_SHOWN)


def _decode(found: dict[str, Any]) -> "Release":
    """The release that was sent. Raises ProductRefused: a proposal may hold anything."""
    from contracts.products.release import decode_release
    from ledger.encoding import encode

    texts = [encode(found[name]).decode() for name in ("program", "tables", "examples")]
    return decode_release(*texts, title=_title(found))


def _explain(found: dict[str, Any]) -> str:
    """What it pays, in words, or that it is no product."""
    from contracts.products.explaining import explain_tables
    from contracts.products.faults import ProductRefused

    try:
        release = _decode(found)
    except ProductRefused as refused:
        return f"the texts are no product: {_plain(refused.detail)}"
    return explain_tables(release.tables, title=release.title, lang="en")


def _write(found: dict[str, Any], out: Path) -> None:
    """The product as files. Raises CliError where the texts are gone, ProductRefused where they are no product."""
    from contracts.products.release import write_product_folder
    from node.machine.programs import standard_program

    if "tables" not in found:
        raise CliError("not_found", "the texts of this proposal are kept no longer; name the release by its hash")
    files = write_product_folder(_decode(found), standard_program())
    out.mkdir(parents=True)
    for name in sorted(files):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(files[name])


COMMANDS: Final = (propose, vote, withdraw, list_contracts, show)
"""What `claimnode contract` gains."""
