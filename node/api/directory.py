"""Lists that state itself cannot give: claims in the order they were reported, payouts, and what was refused.

Fed with final blocks one after the other, from the first. Knows receipts and bodies; must not know statuses, which
are read from state when asked. Always true: a list only grows at its end, so a position in it is a cursor that
stays valid, and what a reader has seen is never shown in another order.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from contracts.bodies import BODIES
from contracts.errors import TokenError
from contracts.identifiers import derive_record_id
from contracts.receipts import Receipt
from contracts.tokens import decode_consent
from ledger.blocks import decode_block
from node.api.port import ChainPort
from node.outcomes import FinalBlock

MAX_REFUSALS: Final = 100_000
"""Subjects whose latest refusals are remembered, about 50 MB; the blocks hold all of them."""
REFUSALS_OF_SUBJECT: Final = 8
MAX_OFFENCES_LISTED: Final = 100
"""The latest offences of validators; the ledger holds all of them."""


class Refused(Struct, frozen=True):
    """An operation that broke a rule: its code, what it collided with, and where it stands."""

    code: str
    collided: str | None
    kind: str
    tx_id: str
    height: int


class Recorded(Struct, frozen=True):
    """An offence of a validator that was put on record, and the transaction that did it."""

    offence_id: str
    tx_id: str


class Directory:
    """What one node has seen since the first block."""

    def __init__(self, network: str) -> None:
        self._network = network
        self.height = 0
        self.claims: list[str] = []
        self.payouts: list[str] = []
        self.offences: deque[Recorded] = deque(maxlen=MAX_OFFENCES_LISTED)
        """The latest ones, oldest first."""
        self.offences_total = 0
        self._refusals: OrderedDict[str, list[Refused]] = OrderedDict()

    async def follow(self, chain: ChainPort) -> None:
        """Read every final block, for ever. Run it as a task."""
        height, claims, payouts = await asyncio.to_thread(chain.listed_before_blocks)
        if height > self.height:  # what older blocks reported is taken from state, by time
            self.height, self.claims[:], self.payouts[:] = height, claims, payouts
        async for block in chain.subscribe(self.height):
            self.add(block)

    def add(self, block: FinalBlock) -> None:
        """The next final block."""
        for receipt in block.receipts:
            for result in receipt.results:
                for event in result.events:
                    if event.topic == "claim.reported":
                        self.claims.append(event.subject)
                    elif event.topic == "payout.authorised":
                        self.payouts.append(event.subject)
                    elif event.topic == "validator.offence":
                        self.offences.append(Recorded(event.subject, receipt.tx_id))
                        self.offences_total += 1
        if any(receipt.code != "ok" for receipt in block.receipts):
            self._add_refusals(block)
        self.height = block.height

    def refusals(self, subject: str) -> list[Refused]:
        """Refused operations about an object, oldest first; the latest few."""
        return list(self._refusals.get(subject, ()))

    def _add_refusals(self, block: FinalBlock) -> None:
        transactions = decode_block(block.encoded).transactions
        for receipt, encoded in zip(block.receipts, transactions, strict=True):
            if receipt.code == "ok":
                continue
            transaction = msgspec.json.decode(encoded)
            for subject, refused in self._refused(receipt, transaction, block.height):
                self._remember(subject, refused)

    def _refused(self, receipt: Receipt, transaction: dict[str, Any], height: int) -> Iterator[tuple[str, Refused]]:
        kind = transaction["kind"]
        subjects = list(self._subjects(transaction))
        results = receipt.results or ()
        for index, subject in enumerate(subjects):
            result = results[index] if index < len(results) else None
            code = result.code if result else receipt.code
            if code != "ok" and subject:
                yield subject, Refused(code, result.subject if result else None, kind, receipt.tx_id, height)

    def _subjects(self, transaction: dict[str, Any]) -> Iterator[str]:
        """What each operation of a transaction is about, in the order of its operations."""
        reader = _SUBJECTS.get(transaction["kind"])
        kind = BODIES.get(transaction["kind"])
        if reader is None or kind is None:
            return
        try:
            body = msgspec.convert(transaction["body"], kind)
        except msgspec.ValidationError:
            return
        yield from reader(body, self._network, transaction["author"])

    def _remember(self, subject: str, refused: Refused) -> None:
        known = self._refusals.setdefault(subject, [])
        known.append(refused)
        del known[:-REFUSALS_OF_SUBJECT]
        self._refusals.move_to_end(subject)
        if len(self._refusals) > MAX_REFUSALS:
            self._refusals.popitem(last=False)


def _published(body: Any, network: str, author: str) -> Iterator[str]:
    for record in body.records:
        yield derive_record_id(network, author, record.commitment)


def _endorsed(body: Any, network: str, author: str) -> Iterator[str]:
    yield from (item.record_id for item in body.endorsements)
    yield from (item.case_id for item in body.completions)


def _granted(body: Any, network: str, author: str) -> Iterator[str]:
    """Consent ids; empty where the token is none, so that the order stays that of the operations."""
    for token in body.tokens:
        try:
            yield decode_consent(token).consent_id
        except TokenError:
            yield ""


_SUBJECTS: Final[dict[str, Callable[[Any, str, str], Iterator[str]]]] = {
    "consent.grant": _granted,
    "consent.revoke": lambda body, network, author: iter((body.consent_id,)),
    "record.publish": _published,
    "record.endorse": _endorsed,
    "claim.accept": lambda body, network, author: iter((body.claim_id,)),
    "claim.adjudicate": lambda body, network, author: iter((body.claim_id,)),
    "claim.close": lambda body, network, author: iter((body.claim_id,)),
    "payout.order": lambda body, network, author: iter((body.payout_id,)),
    "payout.settle": lambda body, network, author: iter((body.payout_id,)),
    "payout.fail": lambda body, network, author: iter((body.payout_id,)),
    "payout.lapse": lambda body, network, author: iter((body.payout_id,)),
    **{
        name: lambda body, network, author: iter((body.claim_id,))
        for name in ("advance.pay", "guarantee.issue", "recovery.open")
    },
    **{
        name: lambda body, network, author: iter((body.guarantee_id,))
        for name in ("guarantee.draw", "guarantee.release")
    },
    **{
        name: lambda body, network, author: iter((body.batch_id,))
        for name in ("batch.review", "batch.settle", "batch.ack")
    },
    **{name: lambda body, network, author: iter((body.signal_id,)) for name in ("risk.appeal", "risk.withdraw")},
}
