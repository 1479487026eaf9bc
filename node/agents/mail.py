"""Sealing parcels to participants and to the customer's mailbox, and opening what came.

Knows envelope keys on the ledger. Must not know when something may leave: that is the caller's. Must always hold: the
ciphertext is in the vault before the outbox owes it, and this node is always a recipient of what it seals.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import structlog

from contracts.states import ConsentState, read_participant
from ledger.crypto.envelopes import Envelope, seal
from ledger.encoding import convert, encode
from ledger.errors import DecodeError
from node.agents.ports import Ports
from node.vault import Parcel, StoredParcel, VaultError
from node.vault.parcels import Kind, envelope_subject

T = TypeVar("T")
_log = structlog.get_logger()


def envelope_key(ports: Ports, participant: str) -> bytes:
    """The participant's registered envelope key. Raises VaultError `missing`."""
    member = read_participant(ports.ledger.final.read, participant)
    if member is None:
        raise VaultError("missing", f"{participant} is no participant")
    return bytes.fromhex(member.envelope_key)


def seal_parcel(
    ports: Ports, kind: Kind, subject: str, content: Any, recipients: Iterable[str], mailbox: str | None = None
) -> Envelope:
    """The content for these participants, this node, and the customer's mailbox key if one is given."""
    plain = content if isinstance(content, bytes) else encode(content)
    keys = {envelope_key(ports, name) for name in (*recipients, ports.me)}
    if mailbox is not None:
        keys.add(bytes.fromhex(mailbox))
    return seal(plain, network=ports.network, subject=envelope_subject(kind, subject), recipients=sorted(keys))


def post(
    ports: Ports,
    kind: Kind,
    subject: str,
    case_id: str | None,
    envelope: Envelope,
    recipients: Iterable[str],
    *,
    held: bool = False,
) -> str:
    """Keep the parcel as this node's own and owe it to the recipients. Returns the ciphertext digest."""
    with ports.vault.transaction():
        stored = ports.vault.store_parcel(Parcel(kind, subject, case_id, envelope), ports.me)
        ports.vault.outbox.add(sorted(set(recipients)), kind, subject, case_id, stored.digest, held=held)
    return stored.digest


def open_latest(ports: Ports, kind: Kind, subject: str, *, sender: str | None = None) -> Any | None:
    """The content of the latest parcel of a kind about a subject, None if there is none."""
    for parcel in ports.vault.parcels(kind, subject, sender=sender):
        return ports.vault.open_parcel(parcel, ports.keys.envelope.secret)
    return None


def read_parcels(
    ports: Ports, kind: Kind, subject: str, form: type[T], *, sender: str | None = None
) -> Iterator[tuple[StoredParcel, T]]:
    """The parcels of a kind about a subject in their closed form, latest first.

    What does not open or is in another form is passed over: one node's nonsense must not hide another's answer.
    """
    for parcel in ports.vault.parcels(kind, subject, sender=sender):
        try:
            yield parcel, convert(ports.vault.open_parcel(parcel, ports.keys.envelope.secret), form)
        except (VaultError, DecodeError) as error:
            _log.warning("parcel.unreadable", kind=kind, subject=subject, sender=parcel.sender, code=error.code)


def keepers_of(consent: ConsentState) -> list[str]:
    """The nodes that keep the customer's mail for pick-up: the hospitals and whoever endorses the records."""
    return [*consent.hospitals, *(item.participant for item in consent.grantees if "endorse" in item.purposes)]
