"""What this node still owes to others: parcels that are sent again until the other side has them on its disk.

Knows recipients, digests and due times. Must not know the wire (see delivery). Must always hold: a row leaves the
state `queued` only through an acknowledgement or a final refusal, and one recipient's rows are bounded.

A row is `held` until its cause is final on the ledger (a record leaves the hospital only after the ledger took it),
then `queued`, then `sent`, or `refused` with the other side's code, or `dropped` when its cause was refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from node.vault import database as db
from node.vault.database import Database
from node.vault.errors import VaultError

MAX_OF_RECIPIENT = 20_000
"""Parcels owed to one participant: a busy hospital's day while the other side is down."""
FIRST_RETRY_MS = 500
LONGEST_RETRY_MS = 600_000
"""A participant that was away for a day gets its parcels within ten minutes of its return."""


_DUE = (
    sa.select(db.outbox)
    .where(
        db.outbox.c.state == "queued",
        db.outbox.c.recipient == sa.bindparam("recipient"),
        db.outbox.c.due_ms <= sa.bindparam("now"),
    )
    .order_by(db.outbox.c.due_ms, db.outbox.c.id)
    .limit(sa.bindparam("most"))
)
_RECIPIENTS = (
    sa.select(db.outbox.c.recipient)
    .where(db.outbox.c.state == "queued", db.outbox.c.due_ms <= sa.bindparam("now"))
    .distinct()
    .order_by(db.outbox.c.recipient)
)


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One parcel for one recipient."""

    id: int
    recipient: str
    kind: Any
    subject: str
    case_id: str | None
    digest: str
    state: str
    attempts: int
    code: str | None


class Outbox:
    """The rows. `now_ms` is local time."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._db = database
        self._now_ms = now_ms

    def add(
        self,
        recipients: Sequence[str],
        kind: str,
        subject: str,
        case_id: str | None,
        digest: str,
        *,
        held: bool = False,
    ) -> None:
        """Owe a stored ciphertext to each recipient; the same one twice is one. Raises VaultError `outbox_full`."""
        with self._db.transaction() as tx:
            for recipient in recipients:
                self._check_room(tx, recipient)
                row = {
                    "recipient": recipient,
                    "kind": kind,
                    "subject": subject,
                    "case_id": case_id,
                    "digest": digest,
                    "state": "held" if held else "queued",
                    "attempts": 0,
                    "due_ms": 0,
                }
                tx.execute(insert(db.outbox).values(row).on_conflict_do_nothing())

    def release(self, kind: str, subject: str) -> int:
        """The cause is final: held rows about `subject` may leave. Returns how many."""
        return self._move(kind, subject, "queued")

    def cancel(self, kind: str, subject: str) -> int:
        """The cause was refused: held rows about `subject` never leave. Returns how many."""
        return self._move(kind, subject, "dropped")

    def recipients(self) -> tuple[str, ...]:
        """Participants to whom something is due now."""
        with self._db.transaction() as tx:
            return tuple(tx.execute(_RECIPIENTS, {"now": self._now_ms()}).scalars())

    def due(self, recipient: str, limit: int) -> tuple[OutboxItem, ...]:
        """Queued rows of a participant whose time has come, oldest due first."""
        with self._db.transaction() as tx:
            rows = tx.execute(_DUE, {"recipient": recipient, "now": self._now_ms(), "most": limit})
            return tuple(_item(row) for row in rows)

    def next_due_ms(self) -> int | None:
        """When the next queued row is due; None if nothing is owed."""
        query = sa.select(sa.func.min(db.outbox.c.due_ms)).where(db.outbox.c.state == "queued")
        with self._db.transaction() as tx:
            due: int | None = tx.execute(query).scalar()
        return due

    def acknowledge(self, item: OutboxItem) -> None:
        """The other side has it on its disk."""
        self._set(item, state="sent", code=None)

    def refuse(self, item: OutboxItem, code: str) -> None:
        """The other side will never take it; a person may look."""
        self._set(item, state="refused", code=code)

    def retry(self, item: OutboxItem, code: str) -> None:
        """Try again later, twice as long after each attempt up to the bound."""
        wait = min(LONGEST_RETRY_MS, FIRST_RETRY_MS << min(item.attempts, 20))
        self._set(item, attempts=item.attempts + 1, due_ms=self._now_ms() + wait, code=code)

    def items(self, kind: str, subject: str) -> tuple[OutboxItem, ...]:
        """Every row about a subject, whatever its state."""
        query = sa.select(db.outbox).where(db.outbox.c.kind == kind, db.outbox.c.subject == subject)
        with self._db.transaction() as tx:
            return tuple(_item(row) for row in tx.execute(query.order_by(db.outbox.c.id)))

    def owed(self) -> int:
        """Rows that are still to be delivered."""
        query = sa.select(sa.func.count()).select_from(db.outbox).where(db.outbox.c.state == "queued")
        with self._db.transaction() as tx:
            count: int = tx.execute(query).scalar_one()
        return count

    def _move(self, kind: str, subject: str, state: str) -> int:
        rows = sa.and_(db.outbox.c.kind == kind, db.outbox.c.subject == subject, db.outbox.c.state == "held")
        with self._db.transaction() as tx:
            return tx.execute(sa.update(db.outbox).where(rows).values(state=state, due_ms=0)).rowcount

    def _set(self, item: OutboxItem, **values: Any) -> None:
        with self._db.transaction() as tx:
            tx.execute(sa.update(db.outbox).where(db.outbox.c.id == item.id).values(**values))

    @staticmethod
    def _check_room(tx: sa.Connection, recipient: str) -> None:
        waiting = sa.and_(db.outbox.c.recipient == recipient, db.outbox.c.state.in_(("held", "queued")))
        count = tx.execute(sa.select(sa.func.count()).select_from(db.outbox).where(waiting)).scalar_one()
        if count >= MAX_OF_RECIPIENT:
            raise VaultError("outbox_full", f"{count} parcels wait for {recipient}; it has to come back first")


def _item(row: Any) -> OutboxItem:
    return OutboxItem(
        row.id, row.recipient, row.kind, row.subject, row.case_id, row.digest, row.state, row.attempts, row.code
    )
