"""One node's vault: ciphertexts in a folder, an index of parcels, its own secrets under the vault key.

Knows names, digests and states. Must not know contracts or roles. Must always hold: the ciphertext is on the disk
before the row that names it, a secret is on the disk before anything that depends on it is sent, and nothing
personal stands in clear anywhere below the folder.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from ledger.crypto.envelopes import Envelope, open_envelope
from ledger.encoding import decode
from ledger.errors import DecodeError, EnvelopeError
from node.vault import database as db
from node.vault.blobs import BlobStore
from node.vault.database import Database
from node.vault.errors import ParcelRefused, VaultError
from node.vault.outbox import Outbox
from node.vault.parcels import Parcel, StoredParcel
from node.vault.sealing import Sealer
from node.vault.worklist import Worklist

MAX_PENDING = 2_000
"""Parcels kept before the ledger confirms them: two busy blocks of records."""
MAX_PENDING_OF_SENDER = 500
"""One sender's share of them, so that no sender can fill the place."""
MAX_OF_SUBJECT = 100
"""Parcels of one kind about one subject from one sender: a claim adjudicated anew a hundred times is no claim."""
PENDING_MS = 600_000
"""A pending parcel that no block confirmed within ten minutes of local time is dropped; it can be pulled again."""


_SECRET = sa.select(db.secrets.c.sealed).where(db.secrets.c.name == sa.bindparam("name"))
_READY = (
    sa.select(db.parcels)
    .where(
        db.parcels.c.kind == sa.bindparam("kind"),
        db.parcels.c.subject == sa.bindparam("subject"),
        db.parcels.c.state == "ready",
    )
    .order_by(db.parcels.c.id.desc())
)
_COUNT = (
    sa.select(sa.func.count())
    .select_from(db.parcels)
    .where(
        db.parcels.c.kind == sa.bindparam("kind"),
        db.parcels.c.subject == sa.bindparam("subject"),
        db.parcels.c.sender == sa.bindparam("sender"),
    )
)
_PENDING = sa.select(db.parcels).where(db.parcels.c.state == "pending").order_by(db.parcels.c.id)


class Vault:
    """Everything this node keeps for itself. `now_ms` is local time and only paces retries and drops.

    `durable=False` leaves out every wait for the disk: for tests, which lose no power.
    """

    def __init__(
        self,
        folder: Path,
        key: bytes,
        *,
        now_ms: Callable[[], int],
        chance: Callable[[int], bytes] = os.urandom,
        durable: bool = True,
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.blobs = BlobStore(folder / "envelopes", durable=durable)
        self._db = Database(folder / "vault.db", durable=durable)
        self._sealer = Sealer(key, chance)
        self.now_ms = now_ms
        self.outbox = Outbox(self._db, now_ms)
        self.work = Worklist(self._db, now_ms)
        self.transaction = self._db.transaction
        self._may_have_pending = True
        self._check_key()

    def close(self) -> None:
        self._db.close()

    # --- parcels

    def store_parcel(self, parcel: Parcel, sender: str, *, pending: bool = False) -> StoredParcel:
        """Keep a parcel; durable on return, the same one twice is one.

        Raises ParcelRefused `pending_full`, `too_many`.
        """
        if pending:
            self._check_room(sender)
            self._may_have_pending = True
        self._check_count(parcel, sender)
        digest = self.blobs.put(parcel.envelope)
        row = {
            "kind": parcel.kind,
            "subject": parcel.subject,
            "case_id": parcel.case_id,
            "sender": sender,
            "digest": digest,
            "state": "pending" if pending else "ready",
            "received_ms": self.now_ms(),
        }
        with self._db.transaction() as tx:
            statement = insert(db.parcels).values(row).on_conflict_do_nothing()
            tx.execute(statement)
            if not pending:
                tx.execute(sa.update(db.parcels).where(_same(row)).values(state="ready"))
            found = tx.execute(sa.select(db.parcels).where(_same(row))).one()
        return _stored(found)

    def parcels(self, kind: str, subject: str, *, sender: str | None = None) -> tuple[StoredParcel, ...]:
        """Confirmed parcels of a kind about a subject, latest first."""
        with self._db.transaction() as tx:
            rows = tx.execute(_READY, {"kind": kind, "subject": subject})
            return tuple(_stored(row) for row in rows if sender is None or row.sender == sender)

    def parcels_of_case(self, kind: str, case_id: str) -> tuple[StoredParcel, ...]:
        """Confirmed parcels of a kind that belong to a case, latest first."""
        query = sa.select(db.parcels).where(
            db.parcels.c.kind == kind, db.parcels.c.case_id == case_id, db.parcels.c.state == "ready"
        )
        with self._db.transaction() as tx:
            return tuple(_stored(row) for row in tx.execute(query.order_by(db.parcels.c.id.desc())))

    def pending(self) -> tuple[StoredParcel, ...]:
        """Parcels that wait for the ledger; those that waited too long are dropped first."""
        if not self._may_have_pending:
            return ()
        oldest = self.now_ms() - PENDING_MS
        with self._db.transaction() as tx:
            rows = tuple(tx.execute(_PENDING))
        self._may_have_pending = bool(rows)
        for row in rows:
            if row.received_ms < oldest:
                self.drop(_stored(row))
        return tuple(_stored(row) for row in rows if row.received_ms >= oldest)

    def confirm(self, parcel: StoredParcel) -> None:
        """The ledger agrees with a pending parcel: from now on it can be used."""
        with self._db.transaction() as tx:
            tx.execute(sa.update(db.parcels).where(db.parcels.c.id == parcel.id).values(state="ready"))

    def drop(self, parcel: StoredParcel) -> None:
        """Forget a parcel, and its ciphertext when nothing else names it."""
        with self._db.transaction() as tx:
            tx.execute(sa.delete(db.parcels).where(db.parcels.c.id == parcel.id))
            if not self._is_referenced(tx, parcel.digest):
                self.blobs.delete(parcel.digest)

    def envelope(self, digest: str) -> Envelope:
        """A stored ciphertext. Raises VaultError `missing`, `damaged`."""
        return self.blobs.get(digest)

    def open_parcel(self, parcel: StoredParcel, secret: bytes) -> Any:
        """The JSON content of a parcel, opened with this node's envelope key.

        Raises VaultError `damaged` when it does not open or holds no canonical JSON.
        """
        try:
            return decode(open_envelope(self.blobs.get(parcel.digest), secret))
        except (EnvelopeError, DecodeError) as error:
            raise VaultError("damaged", f"{parcel.kind} {parcel.subject}: {error.code}") from None

    # --- secrets

    def put_secret(self, name: str, value: Any) -> None:
        """Keep a JSON value encrypted under `name` (letters, digits, `/`, `.`, `-`: ids of the ledger only)."""
        sealed = self._sealer.seal(name, value)
        with self._db.transaction() as tx:
            statement = insert(db.secrets).values(name=name, sealed=sealed)
            tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"sealed": sealed}))

    def get_secret(self, name: str) -> Any | None:
        """The value under `name`, or None. Raises VaultError `damaged`."""
        with self._db.transaction() as tx:
            sealed = tx.execute(_SECRET, {"name": name}).scalar()
        return None if sealed is None else self._sealer.open(name, sealed)

    def need_secret(self, name: str) -> Any:
        """`get_secret`, for a value that must be there. Raises VaultError `missing`."""
        value = self.get_secret(name)
        if value is None:
            raise VaultError("missing", f"the vault holds no {name}")
        return value

    def delete_secret(self, name: str) -> None:
        with self._db.transaction() as tx:
            tx.execute(sa.delete(db.secrets).where(db.secrets.c.name == name))

    # --- inner workings

    def _check_key(self) -> None:
        """Opening a vault with another key must fail at once, not at the first claim."""
        if self.get_secret("vault/check") is None:
            self.put_secret("vault/check", 1)

    def _check_count(self, parcel: Parcel, sender: str) -> None:
        """No sender fills the disk with variations of one thing."""
        with self._db.transaction() as tx:
            kept = tx.execute(_COUNT, {"kind": parcel.kind, "subject": parcel.subject, "sender": sender}).scalar_one()
        if kept >= MAX_OF_SUBJECT:
            raise ParcelRefused("too_many", f"{kept} parcels of kind {parcel.kind} about one subject")

    def _check_room(self, sender: str) -> None:
        waiting = sa.select(sa.func.count()).select_from(db.parcels).where(db.parcels.c.state == "pending")
        with self._db.transaction() as tx:
            total = tx.execute(waiting).scalar_one()
            own = tx.execute(waiting.where(db.parcels.c.sender == sender)).scalar_one()
        if total >= MAX_PENDING or own >= MAX_PENDING_OF_SENDER:
            raise ParcelRefused("pending_full", "too many parcels wait for their block; send it again later")

    @staticmethod
    def _is_referenced(tx: sa.Connection, digest: str) -> bool:
        for table in (db.parcels, db.outbox):
            if tx.execute(sa.select(table.c.id).where(table.c.digest == digest).limit(1)).first():
                return True
        return False


def _same(row: dict[str, Any]) -> sa.ColumnElement[bool]:
    return sa.and_(*(db.parcels.c[name] == row[name] for name in ("kind", "subject", "digest", "sender")))


def _stored(row: Any) -> StoredParcel:
    return StoredParcel(row.id, row.kind, row.subject, row.case_id, row.sender, row.digest, row.state)
