"""The vault's SQLite index: its tables, and one connection with nested transactions.

Knows SQLAlchemy Core. Must not know what a row is for. Must always hold: a transaction that returned is on the disk
(WAL, synchronous=FULL), deleted rows are overwritten (secure_delete), and only ledger ids stand in clear.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

metadata = sa.MetaData()

parcels = sa.Table(
    "parcels",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("case_id", sa.String(64)),
    sa.Column("sender", sa.String(40), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("received_ms", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("kind", "subject", "digest", "sender"),
    sa.Index("parcels_by_digest", "digest"),
    sa.Index("parcels_by_case", "case_id"),
    sa.Index("parcels_pending", "state", "sender"),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("recipient", sa.String(40), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("case_id", sa.String(64)),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due_ms", sa.BigInteger, nullable=False),
    sa.Column("code", sa.String(64)),
    sa.UniqueConstraint("recipient", "kind", "subject", "digest"),
    sa.Index("outbox_due", "state", "recipient", "due_ms"),
    sa.Index("outbox_by_digest", "digest"),
)

secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

work = sa.Table(
    "work",
    metadata,
    sa.Column("agent", sa.String(16), primary_key=True),
    sa.Column("subject", sa.String(100), primary_key=True),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("woken", sa.Integer, nullable=False),
    sa.Column("due_ms", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Index("work_due", "agent", "open", "due_ms"),
)

submissions = sa.Table(
    "submissions",
    metadata,
    sa.Column("key", sa.String(160), primary_key=True),
    sa.Column("tx_id", sa.String(64), nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Column("sent_ms", sa.BigInteger, nullable=False),
    sa.Column("agent", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(100), nullable=False),
    sa.Index("submissions_by_agent", "agent"),
)

timeline = sa.Table(
    "timeline",
    metadata,
    sa.Column("subject", sa.String(64), primary_key=True),
    sa.Column("topic", sa.String(40), primary_key=True),
    sa.Column("height", sa.BigInteger, nullable=False),
    sa.Column("time_ms", sa.BigInteger, nullable=False),
)

cursors = sa.Table(
    "cursors",
    metadata,
    sa.Column("agent", sa.String(16), primary_key=True),
    sa.Column("height", sa.BigInteger, nullable=False),
)

listing = sa.Table(
    "listing",
    metadata,
    sa.Column("agent", sa.String(16), primary_key=True),
    sa.Column("subject", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False, unique=True),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Index("listing_by_status", "agent", "status", "position"),
)


class Database:
    """One SQLite file. Calls from several threads wait for one another."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self._lock = threading.RLock()
        self._engine = sa.create_engine(
            f"sqlite:///{path}", poolclass=StaticPool, connect_args={"check_same_thread": False, "timeout": 10}
        )
        sa.event.listen(self._engine, "connect", _set_pragmas if durable else _set_pragmas_of_tests)
        metadata.create_all(self._engine)
        self._connection: sa.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A transaction, durable on exit; inside another one of this thread it is part of that one."""
        with self._lock:
            if self._connection is not None:
                yield self._connection
                return
            with self._engine.begin() as connection:
                self._connection = connection
                try:
                    yield connection
                finally:
                    self._connection = None

    def close(self) -> None:
        with self._lock:
            self._engine.dispose()


def _set_pragmas(connection: Any, _record: Any) -> None:
    _set_all(connection, "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "busy_timeout=10000")


def _set_pragmas_of_tests(connection: Any, _record: Any) -> None:
    _set_all(connection, "journal_mode=WAL", "synchronous=OFF", "secure_delete=ON")


def _set_all(connection: Any, *pragmas: str) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
