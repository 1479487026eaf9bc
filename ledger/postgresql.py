"""PostgreSQL as the store's database: what a connection must be before it is used, and what its errors mean.

Knows the server's settings and SQLSTATE codes; must not know tables. Must always hold: a commit that returned is on
the server's disk (`synchronous_commit` and `fsync` on), and no word of a password leaves through an error.
"""

from importlib.util import find_spec
from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine, event

from ledger.errors import StoreError

DRIVER: Final = "psycopg"
OLDEST_SERVER: Final = 140_000
"""`idle_session_timeout`, which would end the writer's connection, came with version 14."""
CONNECT_TIMEOUT_S: Final = 3
"""A server that does not answer holds up ordering for this long, once a second."""
SILENCE_MS: Final = 10_000
"""After so long without an acknowledgement on TCP the other end is taken for gone: at both ends, so that the server
gives back the writer's lock of a machine that vanished."""
_SETTINGS: Final = {
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "tcp_user_timeout": str(SILENCE_MS),
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "bytea_output": "hex",
}
"""Of each session, whatever the role's or the server's defaults are."""
_DURABLE: Final = frozenset({"on", "remote_apply"})

_STATES: Final = {
    "53100": "no_space",
    "25006": "read_only",
    "53300": "no_connection",
    "57P01": "no_connection",
    "57P02": "no_connection",
    "57P03": "no_connection",
    "57P05": "no_connection",
    "XX001": "damaged",
    "XX002": "damaged",
}
"""SQLSTATE -> the code of StoreError; every one of class 08 is `no_connection`, too."""


def open_postgresql(target: URL) -> Engine:
    """An engine whose connections are durable. Raises StoreError `driver`, `database`; nothing is connected yet."""
    if target.get_driver_name() != DRIVER:
        raise StoreError("database", f"PostgreSQL is reached with {DRIVER}: write postgresql+{DRIVER}://...")
    if find_spec(DRIVER) is None:
        raise StoreError("driver", "the driver of PostgreSQL is not installed: pip install 'claimnode[postgresql]'")
    engine = create_engine(
        target,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "claimnode",
            "tcp_user_timeout": SILENCE_MS,
            "client_encoding": "UTF8",
        },
    )
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    """Set up one session. Raises StoreError `not_durable`, `database`."""
    connection.autocommit = True  # in a transaction, a later rollback would take the settings back
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, current_setting('fsync')")
        version, fsync = cursor.fetchone()
        if version < OLDEST_SERVER:
            raise StoreError("database", f"PostgreSQL {OLDEST_SERVER // 10_000} or newer is needed, this is {version}")
        if fsync != "on":
            raise StoreError("not_durable", "the server runs with fsync off: blocks would be lost with its power")
        for name, value in _SETTINGS.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
        _make_durable(cursor)
    connection.autocommit = False


def _make_durable(cursor: Any) -> None:
    cursor.execute("SHOW synchronous_commit")
    if cursor.fetchone()[0] not in _DURABLE:  # what is stronger stays
        cursor.execute("SET synchronous_commit = on")
        cursor.execute("SHOW synchronous_commit")
    found = cursor.fetchone()
    if found is not None and found[0] not in _DURABLE:
        raise StoreError("not_durable", f"synchronous_commit stays {found[0]}: the role may not change it")


def code_of_state(error: BaseException | None) -> str | None:
    """The code for an error of the driver, None if its words must tell."""
    if error is None or not type(error).__module__.startswith(DRIVER):
        return None
    state = getattr(error, "sqlstate", None)
    if state is None:  # no answer from a server: not reached, or gone in the middle
        return "no_connection" if type(error).__name__ == "OperationalError" else None
    return "no_connection" if state.startswith("08") else _STATES.get(state)
