"""`claimnode node snapshot`, `join`: state at one final height as files, and a new node from them.

Knows options and words; what a snapshot holds and what is checked is node.snapshots'. Always true: importing this file
imports no server and no database; a running node is not disturbed by `snapshot`, and is refused by `join`.
"""

from pathlib import Path

import click

from cli.errors import CliError
from cli.output import json_option, print_json, print_text


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
    "--snapshot", "snapshots", multiple=True, required=True, help="Folder or file; give more to fall back on."
)
@json_option
def join(folder: Path, snapshots: tuple[str, ...], as_json: bool) -> None:
    """Give the stopped node in FOLDER the state of a snapshot; `node run` fetches the blocks after it from peers.

    Everything is checked against FOLDER's genesis before it is used. The node votes, if it has a seat, once it has
    executed a later block.

    Example: claimnode node join net/clinic --snapshot snapshot-1
    """
    from cli.node_command import check_folder
    from node.assembly import read_genesis
    from node.config import load_config
    from node.main import locked_folder
    from node.snapshots.restore import join_from
    from node.snapshots.sources import FileSource, FolderSource

    check_folder(folder)
    store = load_config(folder).store
    if store.url_file is not None or store.url != "sqlite":
        raise CliError("not_supported", "join writes data/ledger.db; node.toml names another store")
    sources = [FolderSource(Path(name)) if Path(name).is_dir() else FileSource(Path(name)) for name in snapshots]
    with locked_folder(folder):
        done = join_from(sources, read_genesis(folder), folder / "data")
    if as_json:
        print_json({"height": done.height, "state_root": done.state_root, "rows": done.rows})
    else:
        print_text(f"height {done.height}, state {done.state_root}, {done.rows} rows checked; start the node")
