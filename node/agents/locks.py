"""Locks of invoices on request: the commission's signature over an identity, for who holds the invoice.

A proof that an invoice was not used needs the signature that only the commission can make. Any member that deals with
invoices may ask, over its authenticated link, and shows that it holds the invoice by naming type, code and number. Must
always hold: nothing of an invoice is logged or kept here, what another node answers is verified before it is used, and
nobody asks so often that a hospital's numbers could be tried one by one.
"""

from typing import Final

from msgspec import Struct

from contracts.errors import InputError
from contracts.identifiers import derive_nullifier, invoice_message
from contracts.invoicekeys import Identity, check_identity, find_lock_key
from contracts.states import FreezeState, read_participant, read_state
from ledger.crypto import bls
from ledger.encoding import convert, decode, decode_as, encode
from ledger.errors import DecodeError, SignatureError
from ledger.types import Hex96
from node.agents.commission import CommissionAgent, NoInvoiceKey, Nullifier
from node.agents.ports import Ports
from node.errors import Unavailable
from node.peers.errors import PeerError

METHOD: Final = "invoice.lock"
TIMEOUT_S: Final = 10.0
MAX_QUESTION: Final = 8_192
"""Bytes of a question: the longest foreign identity has 3,280 letters."""
MAX_ANSWER: Final = 512
ASKERS: Final = frozenset({"auditor", "commission", "hospital", "insurer", "tpa"})
"""Roles that are handed invoices by customers or read them for a claim."""
HOUR_MS: Final = 3_600_000
ASKS_AN_HOUR: Final = 500
"""Of one member: a busy insurer's day of doubtful ones. To try the 10^10 numbers of one code would take 2,000 years."""


class LockQuestion(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose lock is asked for: what makes the invoice the same one, and nothing else of it."""

    family: str
    code: str
    number: str


class _LockAnswer(Struct, frozen=True, forbid_unknown_fields=True):
    signature: Hex96


class LockDesk:
    """Answers for this node's own commission, and asks other nodes' commissions."""

    def __init__(self, ports: Ports, commission: CommissionAgent | None) -> None:
        self._ports = ports
        self._commission = commission
        self._asked: dict[str, tuple[int, int]] = {}
        if commission is not None:
            ports.delivery.peers.register(METHOD, self.handle)

    async def lock_of(self, identity: Identity) -> Nullifier:
        """The lock of an invoice. Raises InputError `identity`, NoInvoiceKey, Unavailable."""
        check_identity(identity)
        key = find_lock_key(self._ports.ledger.final.genesis, identity)
        if key is None:
            raise NoInvoiceKey("no_invoice_key", "no commission of this network has a key for this code and year")
        if key.participant == self._ports.me:
            return self._own(identity)
        try:
            data = await self._ports.delivery.peers.request(
                key.participant, METHOD, encode(LockQuestion(*identity)), TIMEOUT_S
            )
            signature = bytes.fromhex(decode_as(data, _LockAnswer, limit=MAX_ANSWER).signature)
            bls.verify(bytes.fromhex(key.public_key), invoice_message(*identity), signature)
        except PeerError as error:
            raise Unavailable(
                error.code, f"{key.participant}, which holds the key, does not answer: {error.code}"
            ) from None
        except (DecodeError, SignatureError):
            raise Unavailable("bad_lock", f"{key.participant} answers with what is no signature of its key") from None
        return Nullifier(derive_nullifier(signature), signature.hex())

    async def handle(self, asking: str, payload: bytes) -> bytes:
        """One question of another node. Raises PeerError `form`, `not_allowed`, `too_often` or `no_invoice_key`."""
        if not self._may_ask(asking):
            raise PeerError("not_allowed", f"{asking} has no role that deals with invoices, or is frozen")
        self._count(asking)
        try:
            question = convert(decode(payload, limit=MAX_QUESTION), LockQuestion)
            identity = (question.family, question.code, question.number)
            check_identity(identity)
            return encode(_LockAnswer(self._own(identity).signature))
        except (DecodeError, InputError):
            raise PeerError("form", "the question names no invoice") from None
        except NoInvoiceKey as error:
            raise PeerError(error.code, error.detail) from None

    def _own(self, identity: Identity) -> Nullifier:
        if self._commission is None:
            raise NoInvoiceKey("no_invoice_key", "this node's commission is switched off")
        return self._commission.lock_of(identity)

    def _may_ask(self, participant: str) -> bool:
        read = self._ports.ledger.final.read
        member, frozen = read_participant(read, participant), read_state(read, FreezeState, participant)
        is_frozen = frozen is not None and frozen.from_height is not None
        return member is not None and not is_frozen and not ASKERS.isdisjoint(member.roles)

    def _count(self, participant: str) -> None:
        """Bounded by the members: strangers have no link."""
        hour = self._ports.now_ms() // HOUR_MS
        known, asked = self._asked.get(participant, (hour, 0))
        asked = asked if known == hour else 0
        if asked >= ASKS_AN_HOUR:
            raise PeerError("too_often", f"more than {ASKS_AN_HOUR} questions in an hour")
        self._asked[participant] = (hour, asked + 1)
