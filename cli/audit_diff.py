"""`claimnode audit diff`: where two nodes' ledgers part.

Knows how sides are named and a difference is shown. Must not know how one is found. Always true: folders are only read,
exit code 0 says that nothing differs, 1 that something does.
"""

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from cli.audit_ledger import open_bar, open_rows
from cli.errors import EXIT_NO, AnswerIsNo
from cli.node_options import open_client
from cli.output import json_option, print_json, print_text

if TYPE_CHECKING:
    from node.folderaudit.compare import Difference
    from node.folderaudit.sides import Side


@click.command(name="diff")
@click.argument("a")
@click.argument("b")
@click.option("--token-file-a", help="File with the access token, if A is a URL.")
@click.option("--token-file-b", help="File with the access token, if B is a URL.")
@click.option(
    "--keys",
    type=click.IntRange(min=0),
    default=1_000,
    show_default=True,
    help="Values of each side to compare with its log if one side is a URL (a request each); of folders it is all.",
)
@json_option
@click.pass_context
def diff(
    context: click.Context,
    a: str,
    b: str,
    token_file_a: str | None,
    token_file_b: str | None,
    keys: int,
    as_json: bool,
) -> None:
    """Find where the ledgers of A and B part: each is a node's folder or the URL of its API.

    The first height with two headers is found by halving; then the first transaction, receipt, log entry and state
    value that differ are shown from both sides. If all headers are the same, every stored value is compared with the
    log entry that wrote it, and the pages of the state map with their hashes. Exit code 0: no difference, 1: one.

    \b
    Example: claimnode audit diff network/hospital network/insurer
             claimnode audit diff network/hospital http://127.0.0.1:8081 --token-file-b token
    """
    from ledger.errors import LedgerError
    from node.folderaudit.compare import ALL_KEYS, compare_ledgers

    with ExitStack() as stack:
        try:
            left, right = _open(a, token_file_a, stack), _open(b, token_file_b, stack)
            wanted = keys if _is_url(a) or _is_url(b) else ALL_KEYS
            bar = stack.enter_context(open_bar(left.last + right.last, "comparing"))
            found = compare_ledgers(left, right, wanted, lambda _: bar.update(1))
        except LedgerError as error:
            raise AnswerIsNo(error.code, error.detail) from None
        lowest = min(left.last, right.last)
    if as_json:
        print_json({"same": found is None, "a": a, "b": b, "compared_up_to": lowest} | _view(found))
        if found is not None:
            context.exit(EXIT_NO)
        return
    if found is None:
        print_text(f"no difference up to height {lowest}")
        return
    _print(found, a, b)
    raise AnswerIsNo(found.kind, found.detail)


def _is_url(name: str) -> bool:
    return name.startswith(("http://", "https://"))


def _open(name: str, token_file: str | None, stack: ExitStack) -> "Side":
    from node.folderaudit.sides import FolderSide

    if _is_url(name):
        from cli.audit_sides import RemoteSide

        return RemoteSide(open_client(name, token_file))
    return FolderSide(name, stack.enter_context(closing(open_rows(Path(name)))))


def _view(found: "Difference | None") -> dict[str, Any]:
    return {} if found is None else {"difference": msgspec.to_builtins(found)}


def _print(found: "Difference", a: str, b: str) -> None:
    print_text(f"height {found.height}: {found.detail}")
    for step in found.steps:
        print_text(f"{step['what']} {_text(step['at'])}")
        print_text(f"  {step.get('a_is', a)}: {_text(step['a'])}")
        print_text(f"  {step.get('b_is', b)}: {_text(step['b'])}")
        if "log" in step:
            print_text(f"  the log: {_text(step['log'])}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
