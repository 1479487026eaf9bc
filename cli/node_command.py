"""`claimnode node`: one node in the foreground, and the access tokens of its interface.

Knows the options; running a node is node.main', tokens are node.api.tokens'. Always true: importing this file
imports no server.
"""

from pathlib import Path

import click

from cli.errors import CliError
from cli.node_backup import backup, restore
from cli.node_prune import prune
from cli.node_snapshot import join, snapshot
from cli.output import json_option, print_json, print_table, print_text


@click.group(name="node")
def node() -> None:
    """Run one node; make and revoke its access tokens.

    Example: claimnode node run net/hospital
    """


@node.command(name="run")
@click.argument("folder", type=click.Path(path_type=Path))
def run(folder: Path) -> None:
    """Run the node in FOLDER until it is interrupted. Prints a JSON line when it is ready.

    Example: claimnode node run net/hospital
    """
    check_folder(folder)
    from node.main import run_node

    run_node(folder)


node.add_command(snapshot)
node.add_command(join)
node.add_command(backup)
node.add_command(restore)
node.add_command(prune)


@node.group(name="token")
def token() -> None:
    """Access tokens of a node's HTTP interface.

    Example: claimnode node token list net/hospital
    """


@token.command(name="new")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="What it may do; give one or more.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New file (0600) for the token.")
@json_option
def token_new(folder: Path, name: str, scopes: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Make a token called NAME for the node in FOLDER. Its text goes into the file --out and nowhere else.

    Example: claimnode node token new net/insurer claims-desk --scope read --scope dossier --out desk.token
    """
    from node.api.tokens import create_token

    check_folder(folder)
    record = create_token(folder, name=name, scopes=scopes, out=out)
    if as_json:
        print_json({"name": record.name, "scopes": record.scopes, "file": str(out)})
    else:
        print_text(f"{record.name}: {', '.join(record.scopes)}; in {out}")


@token.command(name="list")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def token_list(folder: Path, as_json: bool) -> None:
    """List the tokens of the node in FOLDER by name and scope.

    Example: claimnode node token list net/insurer --json
    """
    from node.api.tokens import TOKEN_NAME, load_tokens

    check_folder(folder)
    path = folder / TOKEN_NAME
    records = load_tokens(path) if path.exists() else ()
    if as_json:
        print_json({"tokens": [{"name": record.name, "scopes": record.scopes} for record in records]})
    else:
        print_table(("name", "scopes"), [(record.name, " ".join(record.scopes)) for record in records])


@token.command(name="revoke")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("name")
@json_option
def token_revoke(folder: Path, name: str, as_json: bool) -> None:
    """Make the token called NAME useless from the next request on.

    Example: claimnode node token revoke net/insurer claims-desk
    """
    from node.api.tokens import revoke_token

    check_folder(folder)
    revoke_token(folder, name)
    if as_json:
        print_json({"revoked": name})
    else:
        print_text(f"{name}: revoked")


def check_folder(folder: Path) -> None:
    """Raise CliError `node` unless a node lives in this folder."""
    if not (folder / "node.toml").is_file():
        raise CliError("node", f"{folder} holds no node.toml; claimnode network init makes such folders")
