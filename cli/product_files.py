"""Product folders on a disk: which files count, and how much of them is read.

Knows file names and sizes. Must not know what the files mean. Always true: no file is read beyond its bound, and what
a spreadsheet or an editor leaves behind (lock files, hidden files) is no part of a product.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.errors import CliError

if TYPE_CHECKING:
    from contracts.products.release import Release

MAX_ENTRIES: Final = 1_000
"""Entries of a folder that are looked at: a folder with more is some other folder."""
MAX_READ_BYTES: Final = 1024 * 1024
"""Bytes read of one file; more than any file of a product may have, so that its reader says so."""
_READ: Final = (".toml", ".csv", ".star", ".json", ".xlsx", ".xls", ".et", ".ods")


def read_release(folder: Path) -> "Release":
    """The release in a product folder. Raises CliError if there is no such folder, ProductRefused for its faults."""
    from contracts.products.release import read_product_folder
    from node.machine.programs import standard_program

    return read_product_folder(read_files(folder), standard_program())


def read_tables(source: Path) -> tuple[dict[str, Any], str]:
    """Tables and title of a product folder, or the tables in a JSON file.

    Raises CliError if there is neither, ProductRefused or InputError for what is wrong inside.
    """
    from contracts.inputs import decode_document
    from contracts.product import read_product

    if source.is_dir():
        release = read_release(source)
        return release.tables, release.title
    if not source.is_file():
        raise CliError("folder", f"{source}: name a product folder, or a JSON file of a product's tables")
    return read_product(decode_document(_read_bounded(source))), ""


def read_files(folder: Path) -> dict[str, bytes]:
    """The files of a product folder by name, those of examples as `examples/NAME`. Raises CliError."""
    if not folder.is_dir():
        raise CliError("folder", f"{folder}: no folder; name the folder that holds product.toml")
    if not (folder / "product.toml").is_file():
        raise CliError("folder", f"{folder}: holds no product.toml; name the folder of one product")
    found = _read_flat(folder, "")
    if (folder / "examples").is_dir():
        found |= _read_flat(folder / "examples", "examples/")
    return found


def _read_flat(folder: Path, prefix: str) -> dict[str, bytes]:
    names = sorted(entry.name for entry in folder.iterdir())
    if len(names) > MAX_ENTRIES:
        raise CliError("folder", f"{folder}: more than {MAX_ENTRIES} entries; keep a product in a folder of its own")
    chosen = [name for name in names if name.endswith(_READ) and not name.startswith((".", "~"))]
    return {prefix + name: _read_bounded(folder / name) for name in chosen if (folder / name).is_file()}


def _read_bounded(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MAX_READ_BYTES)
