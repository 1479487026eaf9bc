"""`claimnode node backup`, `restore`: one node's folder as one file, and a folder again.

Knows options and words; what a backup holds and what is checked is node.backups'. Always true: importing this file
imports no server and no database; a passphrase is read from a file; who restores is told that the node is an observer.
"""

from pathlib import Path

import click

from cli.errors import CliError
from cli.output import json_option, print_json, print_text

_passphrase = click.option(
    "--passphrase-file", type=click.Path(path_type=Path), help="File (0600) with the passphrase of the keys."
)
_without = click.option("--without-keys", is_flag=True, help="Leave the key files out.")


@click.command(name="backup")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New file (0600).")
@_passphrase
@_without
@json_option
def backup(folder: Path, out: Path, passphrase_file: Path | None, without_keys: bool, as_json: bool) -> None:
    """Write ledger, vault, settings and keys of the node in FOLDER into one file, also while it runs.

    Keys are encrypted with the passphrase. Never in it: the finality key, the journal of votes and its guard.

    Example: claimnode node backup net/hospital --out hospital.backup --passphrase-file passphrase
    """
    from cli.node_command import check_folder
    from node.backups.make import make_backup

    check_folder(folder)
    passphrase = _read(passphrase_file, without_keys)
    manifest = make_backup(folder, out, passphrase)
    subject, size = manifest.subject, out.stat().st_size
    if as_json:
        print_json({"height": subject.height, "header_hash": subject.header_hash, "participant": subject.participant,
                    "files": len(manifest.files), "bytes": size, "keys": not without_keys,
                    "out": str(out)})  # fmt: skip
    else:
        keys = "keys encrypted" if passphrase is not None else "no keys"
        print_text(f"height {subject.height}, {len(manifest.files)} files, {size} bytes, {keys}; in {out}")


@click.command(name="restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder.")
@_passphrase
@_without
@json_option
def restore(file: Path, out: Path, passphrase_file: Path | None, without_keys: bool, as_json: bool) -> None:
    """Make the folder of a node from a backup FILE. Everything is checked first; nothing is overwritten.

    The node follows as an observer: its old keys never vote again. See `advice` in its status for new ones.

    Example: claimnode node restore hospital.backup --out net/hospital --passphrase-file passphrase
    """
    from node.backups.restore import restore_backup

    manifest = restore_backup(file, out, _read(passphrase_file, without_keys))
    subject, votes = manifest.subject, "observer"
    if as_json:
        print_json({"height": subject.height, "header_hash": subject.header_hash, "participant": subject.participant,
                    "starts_as": votes, "out": str(out)})  # fmt: skip
    else:
        print_text(f"{subject.participant} at height {subject.height}; in {out}")
        print_text(
            "It starts as an observer: these keys never vote again. Switch the old host off; to vote, make "
            "keys/signing.next.json and keys/finality.next.json and have the members seat them."
        )


def _read(path: Path | None, without_keys: bool) -> bytes | None:
    from node.backups.sealing import read_passphrase

    if (path is None) != without_keys:
        raise CliError("passphrase", "give either --passphrase-file FILE or --without-keys")
    return None if path is None else read_passphrase(path)
