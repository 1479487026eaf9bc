"""The database behind the store: opening one, its errors, and one statement for many rows.

Knows pragmas and what the two databases have in common (PostgreSQL's own part is in postgresql); must not know tables.
Must always hold: a database error leaves as StoreError, with a code that says whether waiting can help, and no error
repeats the URL: a password may stand in it.
"""

from collections.abc import Sequence
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ledger.errors import StoreError
from ledger.postgresql import code_of_state, open_postgresql

BUSY_TIMEOUT_MS = 10_000
"""How long a reader waits for the writer's checkpoint before it gives up."""
CHECKPOINT_PAGES = 4_000
"""Pages (16 MB) gathered before they move into the main file: random state keys then share page writes."""


_CODES = (
    ("disk is full", "no_space"),
    ("No space", "no_space"),
    ("readonly database", "read_only"),
    ("unable to open database", "no_descriptors"),
    ("malformed", "damaged"),
    ("not a database", "damaged"),
    ("Could not decode", "damaged"),
)
"""What SQLite says -> the code of StoreError. The first three lost nothing: the call may be repeated."""


class translated:  # noqa: N801 - reads as a word in `with translated():`
    """Database errors become StoreError: a code of `_CODES` or of PostgreSQL's states, else `database`.

    `no_connection`: the server is not there or went away. What was asked may be asked again; whether a commit that
    it interrupted was done has to be looked up.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, SQLAlchemyError):
            return
        if not isinstance(error, DBAPIError):
            raise StoreError("database", type(error).__name__) from error
        said = " ".join(str(error.orig).split())
        code = code_of_state(error.orig) or next((code for words, code in _CODES if words in said), "database")
        raise StoreError(code, said) from error


def open_engine(url: str) -> Engine:
    """An engine for this URL, prepared. Raises StoreError `database` for one that is not understood, `driver`."""
    try:
        target = make_url(url)
    except (SQLAlchemyError, ValueError):
        raise StoreError(
            "database", "the store's URL is not understood; expected sqlite:///PATH or postgresql+psycopg://..."
        ) from None
    if target.get_backend_name() == "postgresql":
        return open_postgresql(target)
    if target.get_backend_name() != "sqlite":
        raise StoreError("database", f"{target.get_backend_name()} is not supported; use SQLite or PostgreSQL")
    engine = create_engine(target)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class PointRead:
    """One statement asked again and again, on a connection of its own: a tenth of the cost of the general path."""

    def __init__(self, engine: Engine, statement: Any, names: tuple[str, ...]) -> None:
        """`names` are the statement's parameters in the order in which a caller gives their values."""
        self._engine = engine
        self._sql, self._order = _compiled(engine, statement, names)
        self._names = names
        self._lock = Lock()
        self._connection: Connection | None = None
        self._cursor: Any = None

    def __call__(self, *values: Any) -> list[Any]:
        """The rows, as tuples. A connection that was lost is opened again, once. Raises StoreError."""
        given: Any = dict(zip(self._names, values, strict=True))
        if self._order is not None:
            given = tuple(values[at] for at in self._order)
        with translated(), self._lock:
            try:
                return self._ask(given)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                self._give_back()
            return self._ask(given)

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._give_back()

    def _ask(self, given: Any) -> list[Any]:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._cursor = self._connection.connection.cursor()
        try:
            self._cursor.execute(self._sql, given)
            return list(self._cursor.fetchall())
        except self._engine.dialect.loaded_dbapi.Error as error:
            lost = self._engine.dialect.is_disconnect(error, self._connection.connection.dbapi_connection, self._cursor)
            if lost:
                self._connection.invalidate(error)
            raise DBAPIError(self._sql, None, error, connection_invalidated=lost) from error

    def _give_back(self) -> None:
        if self._connection is not None:
            self._cursor.close()
            self._connection.close()
            self._connection = None


class Bulk:
    """One statement for many rows (tuples in the order of `names`), through the driver's own executemany: a third
    of the cost of the general path."""

    def __init__(self, engine: Engine, statement: Any, names: tuple[str, ...]) -> None:
        self._sql, self._order = _compiled(engine, statement, names)
        self._names = names

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        connection.exec_driver_sql(self._sql, self._arranged(rows))

    def _arranged(self, rows: Sequence[tuple[Any, ...]]) -> Any:
        if self._order is None:
            return [dict(zip(self._names, row, strict=True)) for row in rows]
        if self._order == list(range(len(self._names))):
            return list(rows)
        return [tuple(row[at] for at in self._order) for row in rows]


def _compiled(engine: Engine, statement: Any, names: tuple[str, ...]) -> tuple[str, list[int] | None]:
    """The driver's text and, where its parameters have places and no names, which value stands where."""
    compiled = statement.compile(dialect=engine.dialect, column_keys=list(names))
    order = compiled.positiontup
    return str(compiled), None if order is None else [names.index(name) for name in order]
