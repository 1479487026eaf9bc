"""Where this node's final blocks are: the store's URL, from node.toml or from a file of its own.

Knows the two keys of `[store]`; must not open a database. Must always hold: a password stands in a file that only its
owner reads (or where the driver looks itself: PGPASSFILE, PGPASSWORD), never in node.toml, and no error repeats it.
"""

import stat
from pathlib import Path
from typing import Final

from node.config import StoreConfig
from node.errors import ConfigError

LEDGER: Final = "data/ledger.db"
MAX_URL_BYTES: Final = 4_096
"""A URL is one line."""


def store_url(folder: Path, config: StoreConfig) -> str:
    """The URL of the store of the node in `folder`. Raises ConfigError `config`: the file is missing or exposed."""
    url = config.url if config.url_file is None else _read_url(folder / config.url_file)
    return f"sqlite:///{folder / LEDGER}" if url == "sqlite" else url


def _read_url(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            mode = stat.S_IMODE(path.stat().st_mode)
            data = stream.read(MAX_URL_BYTES + 1)
    except OSError as error:
        raise ConfigError("config", [("store.url_file", f"{path}: not readable ({error.strerror})")]) from None
    if mode & 0o077:
        raise ConfigError("config", [("store.url_file", f"{path} can be read by others (mode {mode:o}): chmod 600 it")])
    text = data.decode("utf-8", "replace").strip()
    if not text or len(data) > MAX_URL_BYTES or len(text.splitlines()) != 1:
        raise ConfigError("config", [("store.url_file", f"{path} is not one line with the store's URL")])
    return text
