"""The audit of a folder finds the store as the node does, and under the same rules for the file of its URL."""

from pathlib import Path

import pytest

from cli.audit_ledger import open_rows
from cli.errors import CliError
from node.errors import ConfigError


def test_a_url_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('participant = "insurer-1"\n\n[store]\nurl_file = "store.url"\n')
    (tmp_path / "store.url").write_text("postgresql+psycopg://nobody@localhost/none\n")
    (tmp_path / "store.url").chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        open_rows(tmp_path)


def test_a_folder_without_a_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('participant = "insurer-1"\n')
    with pytest.raises(CliError, match="no_ledger"):
        open_rows(tmp_path)
