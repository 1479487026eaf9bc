"""Parcels between nodes: taking them in, handing them out, and sending what the outbox owes.

Knows the two methods `parcel.put` and `parcel.pull` and the bounds of one round. Must not know what an agent does with
a parcel. Must always hold: an acknowledgement is given only after the parcel, and the work it brings, are on the disk;
a node that is no party refuses.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from msgspec import Struct

from ledger.crypto.envelopes import ciphertext_digest
from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError
from ledger.state import Reader
from ledger.types import Hex32
from node.peers.errors import PeerError
from node.vault.acceptance import judge_parcel
from node.vault.errors import LINK_FAULTS, TRANSIENT, ParcelRefused, VaultError
from node.vault.outbox import OutboxItem
from node.vault.parcels import Kind, Parcel, StoredParcel, decode_parcel, encode_parcel
from node.vault.vault import Vault

PUT: Final = "parcel.put"
PULL: Final = "parcel.pull"
MAX_REQUEST = 256
"""Bytes of a pull request: a kind and an id."""
AT_ONCE = 4
"""Parcels on their way to one participant at the same time: at most 32 MB of payload in memory."""
TIMEOUT_S = 20.0
PULL_TIMEOUT_S = 5.0
"""An agent waits for a pull; what is large comes by itself."""
FIRST_PAUSE_MS = 250
LONGEST_PAUSE_MS = 5_000
"""A participant without a link is tried again this often: an attempt costs nothing, and its return is news."""


class Peers(Protocol):
    """The part of node.peers that parcels need."""

    def register(self, method: str, handler: Callable[[str, bytes], Awaitable[bytes]]) -> None: ...
    async def request(self, to: str, method: str, payload: bytes, timeout_s: float = 10.0) -> bytes: ...


class FinalView(Protocol):
    """The part of the chain's final state that acceptance reads."""

    @property
    def read(self) -> Reader: ...
    @property
    def time_ms(self) -> int: ...


Arrival = Callable[[StoredParcel], None]
"""Called when a parcel became usable, before it is acknowledged."""


class _Pull(Struct, frozen=True, forbid_unknown_fields=True):
    kind: Kind
    subject: Hex32


class Delivery:
    """Parcel traffic of one node. `final` gives the latest final state."""

    def __init__(self, me: str, vault: Vault, peers: Peers, final: Callable[[], FinalView]) -> None:
        self._me = me
        self._vault = vault
        self._peers = peers
        self._final = final
        self._now_ms = vault.now_ms
        self._arrivals: list[Arrival] = []
        self._pauses: dict[str, tuple[int, int]] = {}
        self._serving: dict[str, asyncio.Task[int]] = {}

    @property
    def peers(self) -> Peers:
        """The links that parcels go over, for the few questions that need none."""
        return self._peers

    def register(self) -> None:
        """Answer the two methods. Once, before the links start."""
        self._peers.register(PUT, self.handle_put)
        self._peers.register(PULL, self.handle_pull)

    def on_arrival(self, arrival: Arrival) -> None:
        """Call `arrival` for every parcel that becomes usable, from now on."""
        self._arrivals.append(arrival)

    async def handle_put(self, sender: str, payload: bytes) -> bytes:
        """Take a parcel in. Answers `ready` or `pending`; raises PeerError with a code of node.vault.errors."""
        try:
            return self._take(sender, decode_parcel(payload)).encode("ascii")
        except (ParcelRefused, VaultError) as error:
            raise PeerError(error.code, error.detail) from None

    async def handle_pull(self, asking: str, payload: bytes) -> bytes:
        """Hand out the latest parcel of a kind about a subject, if the asking node may have it from this one."""
        try:
            wanted = decode_as(payload, _Pull, limit=MAX_REQUEST)
            return encode_parcel(self._find(asking, wanted))
        except DecodeError as error:
            raise PeerError("form", error.code) from None
        except (ParcelRefused, VaultError) as error:
            raise PeerError(error.code, error.detail) from None

    async def pull(self, holder: str, kind: Kind, subject: str) -> bool:
        """Ask another node for a parcel that did not arrive. True if it is in the vault now, usable."""
        if holder == self._me:
            return False
        try:
            answer = await self._peers.request(holder, PULL, encode(_Pull(kind, subject)), PULL_TIMEOUT_S)
            parcel = decode_parcel(answer)
            if (parcel.kind, parcel.subject) != (kind, subject):
                return False
            return self._take(holder, parcel) == "ready"
        except (PeerError, ParcelRefused, VaultError):
            return False

    def dispatch(self) -> None:
        """Begin to send what is due, each participant's by itself: a slow one delays nobody else's."""
        for recipient in self._vault.outbox.recipients():
            if recipient not in self._serving:
                task = asyncio.get_running_loop().create_task(self.serve(recipient))
                self._serving[recipient] = task
                task.add_done_callback(lambda _, name=recipient: self._serving.pop(name, None))  # type: ignore[misc]

    async def close(self) -> None:
        """Stop sending; what was not acknowledged stays owed."""
        for task in list(self._serving.values()):
            task.cancel()
        await asyncio.gather(*self._serving.values(), return_exceptions=True)

    async def drain(self) -> int:
        """Send what is due and wait for it. Returns how many parcels were acknowledged."""
        return sum(await asyncio.gather(*(self.serve(name) for name in self._vault.outbox.recipients())))

    async def serve(self, recipient: str) -> int:
        """Send one participant what is due, until nothing is or its link fails. Returns how many were acknowledged."""
        sent = 0
        while self._may_try(recipient):
            items = self._vault.outbox.due(recipient, AT_ONCE)
            if not items:
                break
            sent += sum(await asyncio.gather(*(self._send(item) for item in items)))
        return sent

    def _may_try(self, recipient: str) -> bool:
        return self._pauses.get(recipient, (0, 0))[0] <= self._now_ms()

    def _pause(self, recipient: str) -> None:
        """The link failed: leave all of this participant's parcels for a moment, longer each time."""
        wait = min(LONGEST_PAUSE_MS, max(FIRST_PAUSE_MS, 2 * self._pauses.get(recipient, (0, 0))[1]))
        self._pauses[recipient] = (self._now_ms() + wait, wait)

    def confirm_pending(self) -> int:
        """Judge again what arrived before its block. Returns how many parcels became usable."""
        confirmed = 0
        for stored in self._vault.pending():
            parcel = Parcel(stored.kind, stored.subject, stored.case_id, self._vault.envelope(stored.digest))
            try:
                if self._judge(stored.sender, self._me, parcel, stored.digest) == "pending":
                    continue
            except ParcelRefused:
                self._vault.drop(stored)
                continue
            with self._vault.transaction():
                self._vault.confirm(stored)
                self._announce(stored)
            confirmed += 1
        return confirmed

    async def _send(self, item: OutboxItem) -> int:
        """One parcel, if the ledger still lets it go: a consent may have ended since it was owed."""
        try:
            parcel = Parcel(item.kind, item.subject, item.case_id, self._vault.envelope(item.digest))
            self._judge(self._me, item.recipient, parcel, item.digest)
            if item.recipient == self._me:
                self._take(self._me, parcel)
            else:
                await self._peers.request(item.recipient, PUT, encode_parcel(parcel), TIMEOUT_S)
        except (PeerError, ParcelRefused, VaultError) as error:
            self._put_off(item, error.code)
            return 0
        self._pauses.pop(item.recipient, None)
        self._vault.outbox.acknowledge(item)
        return 1

    def _put_off(self, item: OutboxItem, code: str) -> None:
        if code in LINK_FAULTS:
            self._pause(item.recipient)
        elif code in TRANSIENT:
            self._vault.outbox.retry(item, code)
        else:
            self._vault.outbox.refuse(item, code)

    def _take(self, sender: str, parcel: Parcel) -> str:
        verdict = self._judge(sender, self._me, parcel, ciphertext_digest(parcel.envelope))
        with self._vault.transaction():
            stored = self._vault.store_parcel(parcel, sender, pending=verdict == "pending")
            if stored.state == "ready":
                self._announce(stored)
        return stored.state

    def _find(self, asking: str, wanted: _Pull) -> Parcel:
        for stored in self._vault.parcels(wanted.kind, wanted.subject):
            envelope = self._vault.envelope(stored.digest)
            parcel = Parcel(stored.kind, stored.subject, stored.case_id, envelope)
            if stored.sender == self._me and self._judge(self._me, asking, parcel, stored.digest) == "ready":
                return parcel
        raise ParcelRefused("unknown", f"no {wanted.kind} of this node about {wanted.subject}")

    def _judge(self, sender: str, receiver: str, parcel: Parcel, digest: str) -> str:
        final = self._final()
        return judge_parcel(final.read, final.time_ms, sender, receiver, parcel, digest)

    def _announce(self, stored: StoredParcel) -> None:
        for arrival in self._arrivals:
            arrival(stored)
