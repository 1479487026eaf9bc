"""Databases for tests of the store: a file of SQLite, or a schema of its own on the server that the environment names.

The server's URL is in CLAIMNODE_TEST_POSTGRESQL (a user who may create schemas); `.ci/postgresql` starts one.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

VARIABLE = "CLAIMNODE_TEST_POSTGRESQL"
SQLITE, POSTGRESQL = "sqlite", "postgresql"
NO_SERVER = f"no PostgreSQL server: {VARIABLE} holds no URL (bash .ci/postgresql start; .ci/run does it)"


def server_url() -> str:
    """The server's URL; skips the test when there is none."""
    url = os.environ.get(VARIABLE)
    if not url:
        pytest.skip(NO_SERVER)
    return url


@contextlib.contextmanager
def new_schema() -> Iterator[str]:
    """The URL of an empty schema of its own; it is dropped at the end, whatever it holds."""
    server, name = server_url(), f"test_{secrets.token_hex(6)}"
    _administer(server, f"CREATE SCHEMA {name}")
    try:
        yield make_url(server).update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(False)
    finally:
        _administer(server, f"DROP SCHEMA {name} CASCADE")


@contextlib.contextmanager
def new_server_database() -> Iterator[str]:
    """The URL of an empty database of its own on the server: for tests that end sessions or set its defaults."""
    server, name = server_url(), f"test_{secrets.token_hex(6)}"
    _administer(server, f"CREATE DATABASE {name}")
    try:
        yield make_url(server).set(database=name).render_as_string(False)
    finally:
        _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def new_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty store of this kind; a file lies in `folder`."""
    if kind == SQLITE:
        yield f"sqlite:///{folder / 'ledger.db'}"
        return
    with new_schema() as url:
        yield url


def is_server(url: str) -> bool:
    return make_url(url).get_backend_name() == POSTGRESQL


def run_sql(url: str, statement: str, values: dict[str, Any] | None = None) -> int:
    """Change something behind the store's back; gives the number of rows. Written for SQLite: byte strings as x'..' and
    the type `blob` are said in the server's words."""
    if is_server(url):
        statement = statement.replace("x'", "'\\x").replace(" as blob)", " as bytea)")
    engine = create_engine(url)
    with engine.begin() as connection:
        rows = connection.execute(text(statement), values or {}).rowcount
    engine.dispose()
    return rows


def ask_sql(url: str, query: str) -> list[Any]:
    """Rows behind the store's back."""
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return rows


def end_sessions(url: str) -> None:
    """End every session of this URL's database, as a restart of the server does; returns when they are gone."""
    name = make_url(url).database
    query = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
    _administer(server_url(), query)


def _administer(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
