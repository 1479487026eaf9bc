"""One block while it executes: each transaction becomes log entries, changed keys and a receipt.

Proposer, voter, follower and auditor all run this. It must always hold that an operation either writes all it
wanted or nothing, that every operation leaves one entry (refused ones too, without writes), and that nothing
here depends on anything but the parent state, the block's time and the transactions in their order.
"""

from contracts.errors import Refusal
from contracts.kinds import Prepared, Step
from contracts.operations import BlockContext, Operation, Speaker, is_frozen, read_active_key
from contracts.receipts import OperationResult, Receipt
from contracts.states import KeyState
from ledger.errors import InvalidTransaction
from ledger.state import Entry
from ledger.transactions import SignedTransaction

OK = "ok"
PARTIAL = "partial"


class BlockRun:
    """Entries, receipts and writes of a block so far. `entries[0]` is the hash of the parent header."""

    __slots__ = ("context", "entries", "receipts", "transactions", "writes")

    def __init__(self, context: BlockContext, parent_hash: bytes) -> None:
        self.context = context
        self.entries: list[bytes] = [parent_hash]
        self.transactions: list[SignedTransaction] = []
        self.receipts: list[Receipt] = []
        self.writes = 0

    def apply(self, prepared: Prepared) -> Receipt:
        """Execute one transaction whose signatures hold. Raises InvalidTransaction `unknown_signer`."""
        signed = prepared.signed
        check_signers(self.context, signed)
        fault = prepared.fault or self._author_fault(signed)
        if fault is not None:
            results = [self._leave(signed, 0, OperationResult(code=fault, subject=None, events=()), {})]
        else:
            speaker = Speaker(signed.content.author, self._active_endorsers(signed))
            left = self.context.limits.transaction_writes
            results = []
            for number, step in enumerate(prepared.steps):
                result, written = self._apply_step(signed, number, step, speaker, left)
                results.append(result)
                left -= written
        receipt = Receipt(tx_id=signed.tx_id, code=_summary(results), results=tuple(results))
        self.transactions.append(signed)
        self.receipts.append(receipt)
        return receipt

    def _apply_step(
        self, signed: SignedTransaction, number: int, step: Step, speaker: Speaker, left: int
    ) -> tuple[OperationResult, int]:
        operation = Operation(self.context, speaker)
        handler, item = step
        try:
            subject = handler(operation, item)
            if len(operation.writes) > left:
                raise Refusal("LIMIT_WRITES", "the transaction writes more keys than the network allows")
        except Refusal as refusal:
            refused = OperationResult(code=refusal.code, subject=refusal.subject, events=())
            return self._leave(signed, number, refused, {}), 0
        result = OperationResult(code=OK, subject=subject, events=tuple(operation.events))
        return self._leave(signed, number, result, operation.writes), len(operation.writes)

    def _leave(
        self, signed: SignedTransaction, number: int, result: OperationResult, writes: dict[str, bytes | None]
    ) -> OperationResult:
        """Append the operation's entry and make its writes current."""
        content, overlay = signed.content, self.context.overlay
        entry = Entry(
            height=self.context.height,
            index=len(self.transactions),
            op=number,
            tx_id=signed.tx_id,
            kind=content.kind,
            author=content.author,
            key_id=content.key_id,
            code=result.code,
            writes=overlay.planned(writes),
        )
        self.entries.append(overlay.apply(entry, writes))
        self.writes += len(writes)
        return result

    def _author_fault(self, signed: SignedTransaction) -> str | None:
        if is_frozen(self.context, signed.content.author):
            return "PARTICIPANT_FROZEN"
        active = read_active_key(self.context, signed.content.author, signed.content.key_id)
        return "KEY_NOT_ACTIVE" if active is None else None

    def _active_endorsers(self, signed: SignedTransaction) -> frozenset[str]:
        """An endorsement by a key that is not active at this height is void, not false (protocol rule 1)."""
        return frozenset(
            item.participant
            for item in signed.content.endorsements
            if read_active_key(self.context, item.participant, item.key_id) is not None
        )


def check_signers(context: BlockContext, signed: SignedTransaction) -> None:
    """Raise InvalidTransaction `unknown_signer` unless every key named was registered by whom it is named for."""
    content = signed.content
    named = [(content.author, content.key_id)]
    named += [(item.participant, item.key_id) for item in content.endorsements]
    for participant, key_id in named:
        key = context.read(KeyState, key_id)
        if key is None or key.participant != participant:
            raise InvalidTransaction("unknown_signer", f"{participant} never registered key {key_id}")


def _summary(results: list[OperationResult]) -> str:
    failed = [item for item in results if item.code != OK]
    if not failed:
        return OK
    return PARTIAL if len(failed) < len(results) else failed[0].code
