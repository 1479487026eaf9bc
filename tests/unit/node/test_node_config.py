"""node.toml: documented defaults, and every fault at once with its key path. Keys: files that only the owner reads."""

from pathlib import Path

import pytest

from ledger.errors import KeyFileError
from node.config import StoreConfig, decode_config, load_config
from node.errors import ConfigError
from node.identity import create_identity, load_identity
from node.storeurl import store_url


def test_only_the_participant_has_no_default() -> None:
    config = decode_config(b'participant = "hospital-a"')
    assert config.api.host == "127.0.0.1"
    assert config.store.url == "sqlite"
    assert config.clock.offset_ms == 0
    with pytest.raises(ConfigError, match="participant"):
        decode_config(b"")


def test_every_fault_is_listed_with_its_key() -> None:
    text = b"""
participant = "NOT AN ID"
surprise = 1
[api]
port = 70000
[peers]
listen_port = "9000"
[mempool]
max_transactions = 1
author_share_percent = 50.5
[ordering]
delta_ms = 5
delta = 1
"""
    with pytest.raises(ConfigError) as caught:
        decode_config(text)
    assert {path for path, _ in caught.value.faults} == {
        "participant",
        "surprise",
        "api.port",
        "peers.listen_port",
        "mempool.max_transactions",
        "mempool.author_share_percent",
        "ordering.delta_ms",
        "ordering.delta",
    }


@pytest.mark.parametrize("data", [b"participant = ", b"\xff\xfe", b"[a\n"])
def test_what_is_no_toml_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ConfigError, match="no TOML"):
        decode_config(data)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"node\.toml"):
        load_config(tmp_path)


def test_keys_are_made_once_and_loaded_again(tmp_path: Path) -> None:
    made = create_identity(tmp_path, "commission-a", validator=True, invoice=[("110000", 2024), ("110000", 2025)])
    loaded = load_identity(tmp_path, "commission-a")
    assert loaded == made
    assert set(loaded.invoice) == {("110000", 2024), ("110000", 2025)}
    assert loaded.signing.secret.hex() not in repr(loaded)
    with pytest.raises(KeyFileError, match="exists"):
        create_identity(tmp_path, "commission-a", validator=True)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    create_identity(tmp_path, "tpa-a", validator=False)
    (tmp_path / "keys" / "signing.json").chmod(0o644)
    with pytest.raises(KeyFileError, match="permissions"):
        load_identity(tmp_path, "tpa-a")


def test_an_observer_has_no_finality_key(tmp_path: Path) -> None:
    assert create_identity(tmp_path, "auditor-a", validator=False).finality is None


@pytest.mark.parametrize(
    "url",
    ["postgresql+psycopg://node:secret-77@db/ledger", "postgresql+psycopg://db/ledger?user=node&password=secret-77"],
)
def test_a_password_in_node_toml_is_a_fault_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode_config(f'participant = "hospital-a"\n[store]\nurl = "{url}"\n'.encode())
    assert [path for path, _ in caught.value.faults] == ["store.url"]
    assert "secret-77" not in str(caught.value)
    assert "url_file" in str(caught.value)


def test_the_url_of_the_store(tmp_path: Path) -> None:
    assert store_url(tmp_path, StoreConfig()) == f"sqlite:///{tmp_path / 'data' / 'ledger.db'}"
    plain = "postgresql+psycopg://node@db:5432/ledger?options=-csearch_path%3Da"
    assert store_url(tmp_path, StoreConfig(url=plain)) == plain
    secret = tmp_path / "store.url"
    config = StoreConfig(url_file="store.url")
    with pytest.raises(ConfigError, match="not readable"):
        store_url(tmp_path, config)
    secret.touch(mode=0o600)
    secret.write_text("postgresql+psycopg://node:secret-77@db/ledger\n")
    assert store_url(tmp_path, config) == "postgresql+psycopg://node:secret-77@db/ledger"
    secret.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        store_url(tmp_path, config)
    assert "secret-77" not in str(caught.value)
    secret.chmod(0o600)
    secret.write_text("secret-77\nand more\n")
    with pytest.raises(ConfigError, match="one line") as caught:
        store_url(tmp_path, config)
    assert "secret-77" not in str(caught.value)
