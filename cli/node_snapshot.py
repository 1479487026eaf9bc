"""`claimnode node snapshot`, `join`: state at one final height as files, and a new node from them.

Knows options and words; what a snapshot holds and what is checked is node.snapshots'. Always true: importing this file
imports no server and no database; a running node is not disturbed by `snapshot`, and is refused by `join`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cli.errors import CliError
from cli.output import json_option, print_json, print_text

if TYPE_CHECKING:
    from node.snapshots.sources import Source

MAX_DIGITS: Final = 15
"""Of a height in a URL: heights are below 2^53."""


@click.command(name="snapshot")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder; with --pack a new file.")
@click.option("--pack", is_flag=True, help="One file instead of a folder of chunks.")
@json_option
def snapshot(folder: Path, out: Path, pack: bool, as_json: bool) -> None:
    """Write the state of the node in FOLDER at its last final block, also while it runs.

    A new node starts from it: claimnode node join. It holds state (what every member sees), no keys, no documents.

    Example: claimnode node snapshot net/hospital --out snapshot-1
    """
    from cli.node_command import check_folder
    from node.assembly import read_genesis
    from node.config import load_config
    from node.snapshots.make import make_snapshot
    from node.snapshots.sources import pack_file
    from node.storeurl import store_url

    check_folder(folder)
    target = out.with_name(out.name + ".chunks") if pack else out
    manifest = make_snapshot(store_url(folder, load_config(folder).store), read_genesis(folder), target)
    if pack:
        import shutil

        try:
            pack_file(target, out)
        finally:
            shutil.rmtree(target)
    size = sum(chunk.size for chunk in manifest.chunks)
    if as_json:
        print_json({"height": manifest.header.height, "state_root": manifest.header.state_root, "rows": manifest.rows,
                    "chunks": len(manifest.chunks), "bytes": size, "out": str(out)})  # fmt: skip
    else:
        print_text(f"height {manifest.header.height}, {manifest.rows} state rows, {size} bytes; in {out}")


@click.command(name="join")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--snapshot", "snapshots", multiple=True, required=True,
    help="Folder, file, or URL of a node that serves snapshots; give more to fall back on.",
)  # fmt: skip
@click.option(
    "--token-file", "token_files", multiple=True, type=click.Path(path_type=Path),
    help="File with the access token (scope ledger); one for each URL, in their order.",
)  # fmt: skip
@json_option
def join(folder: Path, snapshots: tuple[str, ...], token_files: tuple[Path, ...], as_json: bool) -> None:
    """Give the stopped node in FOLDER the state of a snapshot; `node run` fetches the blocks after it from peers.

    Everything is checked against FOLDER's genesis before it is used. A URL is a node's address (its newest snapshot),
    or that with /v1/snapshots/HEIGHT. If a source fails midway the next one goes on, and so does the next attempt. The
    node votes, if it has a seat, once it has executed a later block.

    Example: claimnode node join net/clinic --snapshot https://ledger.commission.example --token-file commission.token
    """
    from cli.node_command import check_folder
    from node.assembly import read_genesis
    from node.config import load_config
    from node.main import locked_folder
    from node.snapshots.restore import join_from

    check_folder(folder)
    store = load_config(folder).store
    if store.url_file is not None or store.url != "sqlite":
        raise CliError("not_supported", "join writes data/ledger.db; node.toml names another store")
    sources = _open_sources(snapshots, token_files)
    with locked_folder(folder):
        done = join_from(sources, read_genesis(folder), folder / "data")
    if as_json:
        print_json({"height": done.height, "state_root": done.state_root, "rows": done.rows})
    else:
        print_text(f"height {done.height}, state {done.state_root}, {done.rows} rows checked; start the node")


def _open_sources(names: tuple[str, ...], token_files: tuple[Path, ...]) -> list["Source"]:
    from node.api.tokens import read_token_file
    from node.snapshots.download import Download
    from node.snapshots.sources import FileSource, FolderSource, ServedSource

    urls = [name for name in names if _is_url(name)]
    if token_files and len(token_files) != len(urls):
        raise CliError(
            "tokens", f"{len(token_files)} token files for {len(urls)} URLs; a token goes to its own node alone"
        )
    tokens = dict(zip(urls, token_files, strict=False))
    sources: list[Source] = []
    for name in names:
        if _is_url(name):
            base, height = _split_url(name)
            token = read_token_file(tokens[name]) if name in tokens else None
            sources.append(ServedSource(Download(base, token).get, height))
        else:
            sources.append(FolderSource(Path(name)) if Path(name).is_dir() else FileSource(Path(name)))
    return sources


def _is_url(name: str) -> bool:
    return name.startswith(("http://", "https://"))


def _split_url(url: str) -> tuple[str, int | None]:
    """(the node's address, the height if the URL names one)."""
    base, _, height = url.rstrip("/").partition("/v1/snapshots")
    if height in ("", "/"):
        return base, None
    number = height.removeprefix("/")
    if not (number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS and int(number)):
        raise CliError("url", f"{url} names no height of a snapshot")
    return base, int(number)
