"""Versions of the store's tables: made and upgraded by migrations, as a whole or not at all, on both databases."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from ledger.errors import StoreError
from ledger.store import Store
from ledger.storetables import SCHEMA_VERSION, metadata
from tests.support.chain_world import NOW, World, open_chain, policy
from tests.support.cluster import build_network
from tests.support.databases import ask_sql, is_server, run_sql
from tests.support.store_records import CHAIN, plain_record

VERSION_1 = (
    "CREATE TABLE network (version INTEGER NOT NULL PRIMARY KEY, chain BLOB NOT NULL)",
    "CREATE TABLE spine (height BIGINT NOT NULL PRIMARY KEY, view BIGINT NOT NULL, time_ms BIGINT NOT NULL, "
    "header_hash BLOB NOT NULL UNIQUE, first_leaf BIGINT NOT NULL, leaf_count BIGINT NOT NULL, certificate BLOB, "
    "tx_ids BLOB NOT NULL, peaks BLOB NOT NULL, seal BLOB NOT NULL)",
    "CREATE INDEX ix_spine_first_leaf ON spine (first_leaf)",
    "CREATE TABLE bodies (height BIGINT NOT NULL PRIMARY KEY REFERENCES spine (height), block BLOB NOT NULL, "
    "receipts BLOB NOT NULL, entries BLOB NOT NULL, leaves BLOB NOT NULL, changes BLOB NOT NULL)",
    'CREATE TABLE state ("key" VARCHAR(180) NOT NULL PRIMARY KEY, version BIGINT NOT NULL, entry BLOB NOT NULL, '
    "value BLOB, seal BLOB NOT NULL)",
    "CREATE TABLE transactions (tx_id BLOB NOT NULL PRIMARY KEY, height BIGINT NOT NULL, position BIGINT NOT NULL)",
)
"""The tables that version 1 made, by hand: what stands on disks does not change with the program."""
NEW = {"map_pages", "map_roots", "log_tiles", "log_positions"}


def write_version_1(source: str, target: str) -> None:
    """Copy what version 1 had from a store of today into tables of version 1."""
    blob = "BYTEA" if is_server(target) else "BLOB"
    read, write = create_engine(source), create_engine(target)
    with read.connect() as rows, write.begin() as connection:
        for statement in VERSION_1:
            connection.execute(text(statement.replace("BLOB", blob)))
        for table in metadata.sorted_tables:
            found = [row._asdict() for row in rows.execute(table.select())] if _is_old(table.name) else []
            if found:
                connection.execute(table.insert(), found)
        connection.execute(text("UPDATE network SET version = 1"))
    read.dispose()
    write.dispose()


def _is_old(name: str) -> bool:
    return any(statement.startswith(f"CREATE TABLE {name} ") for statement in VERSION_1)


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


@pytest.fixture
def today(tmp_path: Path) -> str:
    """A store of this program's version with 300 blocks and 900 log entries."""
    (tmp_path / "today").mkdir()
    url = f"sqlite:///{tmp_path / 'today' / 'ledger.db'}"
    store = Store(url, CHAIN)
    store.append(*(plain_record(height, entries=3) for height in range(1, 301)))
    store.close()
    return url


def test_migrations_make_the_tables_that_the_program_uses(store_url: str) -> None:
    Store(store_url, CHAIN).close()
    engine = create_engine(store_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert MigrationContext.configure(connection).get_current_revision() == str(SCHEMA_VERSION)
    engine.dispose()
    assert ask_sql(store_url, "SELECT version FROM network") == [(SCHEMA_VERSION,)]


def test_an_upgrade_makes_the_tiles_and_positions_of_every_stored_block(today: str, store_url: str) -> None:
    """P5: 900 entries are three full tiles and a part of one; each is where a store that always had them has it."""
    write_version_1(today, store_url)
    assert not tables(store_url) & NEW
    told: list[tuple[int, int]] = []
    store = Store(store_url, CHAIN, on_upgrade=lambda old, new: told.append((old, new)))
    assert told == [(1, SCHEMA_VERSION)]
    assert store.height == 300
    for height in (1, 86, 300):
        for at, leaf in enumerate(store.leaf_hashes(height)):
            assert store.leaf_position(leaf) == 3 * (height - 1) + at
    store.append(plain_record(301, entries=3))
    assert len(store.tile(0, 3)) == (903 - 768) * 32
    store.close()
    for query in ("SELECT * FROM log_tiles ORDER BY level, number",
                  "SELECT * FROM log_positions WHERE position < 900 ORDER BY position"):  # fmt: skip
        assert ask_sql(store_url, query) == ask_sql(today, query)
    Store(store_url, CHAIN, on_upgrade=lambda old, new: told.append((old, new))).close()
    assert len(told) == 1


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[World]:
    network = build_network(tmp_path / "nodes", time_ms=NOW)
    world = World(tmp_path, network, open_chain(tmp_path, network))
    for _ in range(3):
        world.grow(policy(), policy())
    yield world
    world.close()


def test_a_chain_opens_on_an_upgraded_store_with_the_same_root(grown: World, store_url: str, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    final = grown.chain.final
    grown.close()
    source = tmp_path / "source" / "ledger.db"
    (tmp_path / "ledger.db").rename(source)
    write_version_1(f"sqlite:///{source}", store_url)
    grown.chain, grown.url = open_chain(tmp_path, grown.network, store_url), store_url
    opened = grown.chain.final
    assert (opened.height, opened.header_hash) == (final.height, final.header_hash)
    assert opened.state_map.root == final.state_map.root
    assert opened.frontier == final.frontier
    grown.grow(policy())
    grown.reopen()
    assert grown.chain.height == final.height + 1


def test_an_upgrade_that_fails_leaves_the_old_store(today: str, store_url: str) -> None:
    write_version_1(today, store_url)
    run_sql(store_url, "UPDATE bodies SET leaves = x'00' WHERE height = 299")
    for _ in range(2):
        with pytest.raises(StoreError, match="damaged: leaves/299"):
            Store(store_url, CHAIN)
    assert not tables(store_url) & (NEW | {"alembic_version"})
    assert ask_sql(store_url, "SELECT version FROM network") == [(1,)]


def test_a_reader_makes_and_upgrades_nothing(today: str, store_url: str) -> None:
    with pytest.raises(StoreError, match="no_store"):
        Store(store_url, CHAIN, read_only=True)
    assert tables(store_url) == set()
    write_version_1(today, store_url)
    with pytest.raises(StoreError, match="schema"):
        Store(store_url, CHAIN, read_only=True)
    assert not tables(store_url) & NEW


def test_a_store_without_the_tables_of_alembic_is_as_good(store_url: str) -> None:
    """Stores of version 2 were made before there were migrations."""
    Store(store_url, CHAIN).close()
    run_sql(store_url, "DROP TABLE alembic_version")
    store = Store(store_url, CHAIN)
    store.append(plain_record(1))
    store.close()


def test_a_foreign_store_is_not_upgraded(today: str, store_url: str) -> None:
    write_version_1(today, store_url)
    with pytest.raises(StoreError, match="other_network"):
        Store(store_url, bytes(32))
    assert not tables(store_url) & NEW


def test_a_start_on_the_current_version_imports_no_migrations(today: str) -> None:
    code = (
        "import sys\nfrom ledger.store import Store\n"
        f"Store({today!r}, bytes(range(32))).close()\n"
        "found = {'alembic', 'mako', 'ledger.migrations', 'psycopg'} & set(sys.modules)\nassert not found, found"
    )
    done: Any = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
