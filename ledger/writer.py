"""The one connection that writes, and the lock that keeps every other process from writing to the same database.

Knows locks of files and of PostgreSQL; must not know tables. Must always hold: who writes holds the lock, and on
PostgreSQL the session that holds it is the one that writes, so a lock that was lost takes the transaction with it.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection, Engine, text

from ledger.database import translated
from ledger.errors import StoreError

LOCK_SPACE: Final = 0x636C616D
"""The upper half of the advisory lock's number; the lower is the schema's, so that schemas are separate stores."""
_CODES: Final = {errno.ENOSPC: "no_space", errno.EROFS: "read_only", errno.EMFILE: "no_descriptors"}
_TAKE: Final = text(
    "SELECT pg_try_advisory_lock((CAST(:space AS bigint) << 32) | CAST(CAST(oid AS text) AS bigint)) "
    "FROM pg_namespace WHERE nspname = current_schema()"
)


class Writer:
    """Takes the lock when it is made and keeps it until `close`. Used by one caller at a time."""

    def __init__(self, engine: Engine) -> None:
        """Raises StoreError `locked`, `no_connection`, `database`."""
        self._engine = engine
        self._is_server = engine.dialect.name == "postgresql"
        self._file: int | None = None
        self._connection: Connection | None = None
        self._is_doubtful = False
        self.is_new = False
        """Whether the connection is another one than the last time: what is stored must be looked at again."""
        if self._is_server:
            self._connection = self._locked_session()
        elif engine.url.database not in (None, "", ":memory:"):
            self._file = _lock_file(f"{engine.url.database}-lock")

    def connect(self) -> Connection:
        """The connection for one transaction; give it back with `release`. Raises StoreError `no_connection`."""
        if not self._is_server:
            with translated():
                return self._engine.connect()
        self.is_new = self._connection is None or self._is_doubtful
        self._is_doubtful = False
        if self._connection is None:
            try:
                self._connection = self._locked_session()
            except StoreError as error:
                if error.code != "locked":
                    raise
                raise StoreError("no_connection", "the lock of the lost connection is not free yet") from None
        return self._connection

    def doubt(self) -> None:
        """Whoever connects next looks at what is stored, as after a lost connection: this one did not settle it."""
        self._is_doubtful = True

    def release(self, connection: Connection) -> None:
        """Roll back what was not committed. A connection that does not answer is given up, and its lock with it."""
        if not self._is_server:
            connection.close()
            return
        try:
            connection.rollback()
            lost = connection.invalidated or connection.closed
        except Exception:  # whatever it is, this session cannot be trusted to hold the lock
            lost = True
        if lost:
            self._give_up(connection)

    def close(self) -> None:
        """Give the lock back."""
        if self._connection is not None:
            with suppress(Exception):  # the end of the session does the same, a moment later
                self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
                self._connection.commit()
            self._give_up(self._connection)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _give_up(self, connection: Connection) -> None:
        """End the session itself: in the pool it would keep the lock."""
        self._connection = None
        try:
            connection.invalidate()
        finally:
            connection.close()

    def _locked_session(self) -> Connection:
        with translated():
            connection = self._engine.connect()
            try:
                taken = connection.execute(_TAKE, {"space": LOCK_SPACE}).scalar()
                connection.commit()
            except BaseException:
                connection.close()
                raise
        if taken is None:
            connection.close()
            raise StoreError("database", "the schema of the search path does not exist in this database")
        if not taken:
            connection.close()
            raise StoreError("locked", "another process writes to this database; each node has its own")
        return connection


class PreparedWrite:
    """Statements that were made and are not durable yet. Exactly one of them exists at a time."""

    __slots__ = ("_connection", "_settle", "_writer")

    def __init__(self, writer: Writer, connection: Connection, settle: Callable[[], None] = lambda: None) -> None:
        """`settle` is called after the commit."""
        self._writer = writer
        self._connection = connection
        self._settle = settle

    def commit(self) -> None:
        """Make them durable. Raises StoreError `no_space` or `database`: nothing was written; `no_connection`: that is
        not known, and the same append finds it out."""
        with translated():
            try:
                self._connection.commit()
            finally:
                self._writer.release(self._connection)
        self._settle()

    def drop(self) -> None:
        """Let go of them: nothing was written."""
        self._writer.release(self._connection)


def _lock_file(path: str) -> int:
    """A file's lock, held by its descriptor; it ends with the process. Raises StoreError `locked`, `database`."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(_CODES.get(error.errno or 0, "database"), f"{path}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreError("locked", f"another process writes to this store ({path})") from None
    return descriptor
