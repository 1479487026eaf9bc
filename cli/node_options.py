"""The options with which commands name a node: by its folder on this machine, or by URL and token file.

Knows folders, URLs and token files. Must not know any command. Always true: a token is read from a file that only
its owner can read, and is never an argument.
"""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from cli.client import NodeClient, read_folder_url
from cli.errors import CliError

F = TypeVar("F", bound=Callable[..., Any])
OPERATOR_TOKEN = "keys/operator.token"  # noqa: S105 - the name of a file


def node_options(command: F) -> F:
    """Decorator: `--node` and `--token-file`, handed to the command as `client`."""

    @click.option("--node", "node", required=True, help="A node's folder on this machine, or its URL.")
    @click.option("--token-file", help="File with the access token (default for a folder: its operator's).")
    @wraps(command)
    def wrapped(*arguments: Any, node: str, token_file: str | None, **options: Any) -> Any:
        return command(*arguments, client=open_client(node, token_file), **options)

    return wrapped  # type: ignore[return-value]


def open_client(node: str, token_file: str | None = None) -> NodeClient:
    """The client for a folder or URL. Raises CliError `node`, KeyFileError."""
    from node.api.tokens import read_token_file

    if "://" in node:
        return NodeClient(node, read_token_file(Path(token_file)) if token_file else None)
    folder = Path(node)
    if not (folder / "node.toml").is_file():
        raise CliError("node", f"{node} is neither the folder of a node (no node.toml) nor a URL")
    path = Path(token_file) if token_file else folder / OPERATOR_TOKEN
    return NodeClient(read_folder_url(folder), read_token_file(path), folder=folder)
