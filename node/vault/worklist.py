"""What the agents still have to do, what they submitted, and how far they read the chain. Durable.

Knows subjects (ids), due times and transaction bytes. Must not know what a step does. Must always hold: the cursor
moves in the same transaction as the work that the block brought, so a crash repeats a block and never skips one; and
a transaction is on the disk before it is submitted, so a restart sends the same bytes and gets the same receipt.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from node.vault import database as db
from node.vault.database import Database

FIRST_RETRY_MS = 1_000
SKIPPED = 256
"""Blocks without work between two durable cursors: read again within a second after a restart."""
LONGEST_RETRY_MS = 300_000
"""Work that waits for nothing in particular is looked at every five minutes at the latest."""


_DUE = (
    sa.select(db.work)
    .where(db.work.c.agent == sa.bindparam("agent"), db.work.c.open, db.work.c.due_ms <= sa.bindparam("now"))
    .order_by(db.work.c.due_ms, db.work.c.subject)
    .limit(sa.bindparam("most"))
)
_CURSOR = sa.select(db.cursors.c.height).where(db.cursors.c.agent == sa.bindparam("agent"))
_MOVING = insert(db.cursors).values(agent=sa.bindparam("agent"), height=sa.bindparam("height"))
_MOVE = _MOVING.on_conflict_do_update(["agent"], set_={"height": _MOVING.excluded.height})
_SUBMITTED = sa.select(db.submissions.c.tx_id, db.submissions.c.subject).where(
    db.submissions.c.agent == sa.bindparam("agent")
)
_SUBMISSION = sa.select(db.submissions).where(db.submissions.c.key == sa.bindparam("key"))


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One open piece of work of one agent. `code` says what it waits for, `attempts` how often it was put off.

    `woken` counts the causes so far: what came in while the item was worked on must not be put off with it.
    """

    agent: str
    subject: str
    due_ms: int
    attempts: int
    code: str
    woken: int


@dataclass(frozen=True, slots=True)
class Submission:
    """A transaction of ours under way: its receipt wakes `subject` of `agent`."""

    key: str
    tx_id: str
    data: bytes
    expires_ms: int
    sent_ms: int
    agent: str
    subject: str


class Worklist:
    """Rows of one node, for all its agents. `now_ms` is local time."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._db = database
        self._now_ms = now_ms
        self._cursors: dict[str, int] = {}
        self._saved: dict[str, int] = {}

    # --- work

    def wake(self, agent: str, subject: str) -> None:
        """There is something to do for `subject`: new or known, it is due now."""
        row = {"agent": agent, "subject": subject, "open": True, "due_ms": 0, "attempts": 0, "code": "new", "woken": 1}
        again = {"open": True, "due_ms": 0, "attempts": 0, "woken": db.work.c.woken + 1}
        with self._db.transaction() as tx:
            tx.execute(insert(db.work).values(row).on_conflict_do_update(["agent", "subject"], set_=again))

    def nudge(self, agent: str, subject: str) -> None:
        """As `wake`, for work that is open already; unknown or finished work stays so."""
        rows = sa.and_(_is(agent, subject), db.work.c.open)
        with self._db.transaction() as tx:
            tx.execute(sa.update(db.work).where(rows).values(due_ms=0, woken=db.work.c.woken + 1))

    def wake_all(self, agent: str) -> None:
        """After a start: everything open is due."""
        with self._db.transaction() as tx:
            rows = sa.and_(db.work.c.agent == agent, db.work.c.open)
            tx.execute(sa.update(db.work).where(rows).values(due_ms=0))

    def due(self, agent: str, limit: int) -> tuple[WorkItem, ...]:
        """Open work whose time has come."""
        with self._db.transaction() as tx:
            rows = tx.execute(_DUE, {"agent": agent, "now": self._now_ms(), "most": limit})
            return tuple(_work(row) for row in rows)

    def put_off(self, item: WorkItem, code: str) -> None:
        """Not now. `code` says what is missing; an event wakes it before its time."""
        wait = min(LONGEST_RETRY_MS, FIRST_RETRY_MS << min(item.attempts, 20))
        values = {"due_ms": self._now_ms() + wait, "attempts": item.attempts + 1, "code": code}
        with self._db.transaction() as tx:
            tx.execute(sa.update(db.work).where(_unchanged(item)).values(**values))

    def finish(self, item: WorkItem, code: str) -> None:
        """Nothing is left to do for this subject."""
        with self._db.transaction() as tx:
            tx.execute(sa.update(db.work).where(_unchanged(item)).values(open=False, code=code))

    def item(self, agent: str, subject: str) -> WorkItem | None:
        with self._db.transaction() as tx:
            row = tx.execute(sa.select(db.work).where(_is(agent, subject))).first()
        return _work(row) if row else None

    def open_items(self, agent: str, prefix: str = "", limit: int = 1_000) -> tuple[WorkItem, ...]:
        """Open work of an agent whose subject starts with `prefix`, ascending."""
        query = sa.select(db.work).where(
            db.work.c.agent == agent, db.work.c.open, db.work.c.subject >= prefix, db.work.c.subject < prefix + "\x7f"
        )
        with self._db.transaction() as tx:
            return tuple(_work(row) for row in tx.execute(query.order_by(db.work.c.subject).limit(limit)))

    # --- submissions

    def submission(self, key: str) -> Submission | None:
        with self._db.transaction() as tx:
            row = tx.execute(_SUBMISSION, {"key": key}).first()
        return Submission(*row) if row else None

    def save_submission(self, item: Submission) -> None:
        """Durable before the bytes leave; replaces the one before under this key."""
        row = {name: getattr(item, name) for name in Submission.__dataclass_fields__}
        with self._db.transaction() as tx:
            tx.execute(insert(db.submissions).values(row).on_conflict_do_update(["key"], set_=row))

    def submitted(self, agent: str) -> dict[str, str]:
        """Transaction id -> subject of everything that an agent has under way."""
        with self._db.transaction() as tx:
            return {row.tx_id: row.subject for row in tx.execute(_SUBMITTED, {"agent": agent})}

    def delete_submission(self, key: str) -> None:
        with self._db.transaction() as tx:
            tx.execute(sa.delete(db.submissions).where(db.submissions.c.key == key))

    # --- chain

    def cursor(self, agent: str) -> int:
        """Height of the last block that this agent took its work from."""
        if agent not in self._cursors:
            with self._db.transaction() as tx:
                self._cursors[agent] = self._saved[agent] = tx.execute(_CURSOR, {"agent": agent}).scalar() or 0
        return self._cursors[agent]

    def move_cursor(self, agent: str, height: int) -> None:
        """Durable, with the transaction that it stands in: the block brought work."""
        with self._db.transaction() as tx:
            tx.execute(_MOVE, {"agent": agent, "height": height})
        self._cursors[agent] = self._saved[agent] = height

    def skip_to(self, agent: str, height: int) -> None:
        """The block brought nothing: after a crash it may be read again, so it is written down only now and then."""
        if height - self.cursor(agent) != 1 or height - self._saved[agent] >= SKIPPED:
            self.move_cursor(agent, height)
        self._cursors[agent] = height

    def note(self, subject: str, topic: str, height: int, time_ms: int) -> None:
        """When something happened, in block time. The first time stays."""
        row = {"subject": subject, "topic": topic, "height": height, "time_ms": time_ms}
        with self._db.transaction() as tx:
            tx.execute(insert(db.timeline).values(row).on_conflict_do_nothing())

    def times(self, subject: str) -> dict[str, int]:
        """Topic -> block time in milliseconds."""
        query = sa.select(db.timeline).where(db.timeline.c.subject == subject)
        with self._db.transaction() as tx:
            return {row.topic: row.time_ms for row in tx.execute(query)}

    # --- lists for people and programs

    def list_as(self, agent: str, subject: str, status: str) -> None:
        """Show `subject` in this agent's list under `status`; its place is that of its first appearance."""
        place = sa.select(sa.func.coalesce(sa.func.max(db.listing.c.position), 0) + 1).scalar_subquery()
        row = {"agent": agent, "subject": subject, "position": place, "status": status}
        with self._db.transaction() as tx:
            statement = insert(db.listing).values(row)
            tx.execute(statement.on_conflict_do_update(["agent", "subject"], set_={"status": status}))

    def listed_one(self, agent: str, subject: str) -> tuple[int, str, str] | None:
        """(position, subject, status) of one subject, None if it is not listed."""
        query = sa.select(db.listing).where(db.listing.c.agent == agent, db.listing.c.subject == subject)
        with self._db.transaction() as tx:
            row = tx.execute(query).first()
        return (row.position, row.subject, row.status) if row else None

    def listed(
        self, agent: str, *, statuses: Iterable[str] = (), after: int = 0, limit: int = 100
    ) -> tuple[tuple[int, str, str], ...]:
        """(position, subject, status) behind position `after`, ascending; every status if none is named."""
        query = sa.select(db.listing).where(db.listing.c.agent == agent, db.listing.c.position > after)
        wanted = tuple(statuses)
        if wanted:
            query = query.where(db.listing.c.status.in_(wanted))
        with self._db.transaction() as tx:
            rows = tx.execute(query.order_by(db.listing.c.position).limit(limit))
            return tuple((row.position, row.subject, row.status) for row in rows)


def _is(agent: str, subject: str) -> sa.ColumnElement[bool]:
    return sa.and_(db.work.c.agent == agent, db.work.c.subject == subject)


def _unchanged(item: WorkItem) -> sa.ColumnElement[bool]:
    return sa.and_(_is(item.agent, item.subject), db.work.c.woken == item.woken)


def _work(row: Any) -> WorkItem:
    return WorkItem(row.agent, row.subject, row.due_ms, row.attempts, row.code, row.woken)
