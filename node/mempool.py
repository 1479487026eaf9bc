"""What waits for a block: admitted transactions, bounded in number, bytes and one author's share.

Knows bytes, signatures and expiry; must not know what a transaction means: a contract refusal is a receipt, never
a reason to keep something out. Must always hold: admission depends on the bytes, the last final state and the
time alone, so nodes with the same chain admit the same; and a transaction leaves only when it is final,
expired, or can never stand in a block.
"""

from collections.abc import Iterator

from contracts.execution import ChainState
from contracts.genesis import Limits
from contracts.kinds import prepare
from contracts.limits import PROPOSAL_KIND, Budget, allowed_bytes, check_transaction
from contracts.states import read_parameters
from ledger.errors import InvalidTransaction, LedgerError
from ledger.transactions import SignedTransaction
from node.config import MempoolConfig
from node.errors import Overloaded, Rejected
from node.signatures import SignatureMemory

RETRY_AFTER_MS = 1_000
"""What a refused client is told to wait: several blocks."""
EXPIRY_SCAN_MS = 5_000
"""Expired transactions are looked for this often; until then the builder skips them."""


class Mempool:
    """Pending transactions in order of arrival."""

    def __init__(self, config: MempoolConfig, signatures: SignatureMemory) -> None:
        self._config = config
        self._signatures = signatures
        self._pending: dict[str, SignedTransaction] = {}
        self._bytes = 0
        self._by_author: dict[str, tuple[int, int]] = {}
        self._next_scan_ms = 0
        self._limits_of: tuple[int, Limits] | None = None

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, tx_id: str) -> bool:
        return tx_id in self._pending

    def __iter__(self) -> Iterator[SignedTransaction]:
        """Pending transactions, oldest first. The pool must not change while a caller iterates."""
        return iter(self._pending.values())

    @property
    def size_bytes(self) -> int:
        """Bytes of all pending transactions."""
        return self._bytes

    def get(self, tx_id: str) -> SignedTransaction | None:
        """The pending transaction of this id."""
        return self._pending.get(tx_id)

    def admit(self, data: bytes, final: ChainState, now_ms: int) -> tuple[SignedTransaction, bool]:
        """Take a transaction. Returns it and whether it is new here (False: pending or final already).

        Raises Rejected with the code of what is wrong with the bytes (`too_large`, `not_canonical`, `schema`,
        `network`, `expired`, `lifetime`, a limit, `unknown_signer`, `bad_signature`, ...), or Overloaded.
        The same bytes give the same answer however often they come, before and after bytes of the same id
        with another author's signature.
        """
        known = self._signatures.find(data)
        if known is not None and known.tx_id in self._pending and self._pending[known.tx_id].encoded == data:
            return known, False  # these very bytes passed every check and wait
        transaction = self._check(data, final, now_ms)
        if transaction.tx_id in self._pending or final.is_recent(transaction.tx_id):
            return transaction, False
        self._check_room(transaction)
        self._pending[transaction.tx_id] = transaction
        self._account(transaction, 1)
        return transaction, True

    def remove(self, tx_id: str) -> None:
        """It is final, or can never be. Not pending: nothing happens."""
        transaction = self._pending.pop(tx_id, None)
        if transaction is not None:
            self._account(transaction, -1)

    def drop_expired(self, final_time_ms: int) -> None:
        """Forget what no later block may contain. Cheap to call after every block: scans now and then."""
        if final_time_ms < self._next_scan_ms:
            return
        self._next_scan_ms = final_time_ms + EXPIRY_SCAN_MS
        expired = [item.tx_id for item in self if item.content.expires_time <= final_time_ms]
        for tx_id in expired:
            self.remove(tx_id)

    def _check(self, data: bytes, final: ChainState, now_ms: int) -> SignedTransaction:
        """Everything that would make a block with this transaction alone invalid, cheapest first."""
        limits = self._limits(final)
        _check_size(data, allowed_bytes(PROPOSAL_KIND, limits))
        try:
            transaction = self._signatures.decode(data)
            _check_size(data, allowed_bytes(transaction.content.kind, limits))
            prepared = prepare(transaction)
            check_transaction(prepared, limits, final.genesis.network, max(now_ms, final.time_ms + 1))
            exceeded = Budget(limits).exceeded(prepared)
            if exceeded is not None:
                raise InvalidTransaction(exceeded, "it would not fit into an empty block")
            self._signatures.verify(transaction, final.read)
        except LedgerError as error:
            raise Rejected(error.code, error.detail) from None
        return transaction

    def _limits(self, final: ChainState) -> Limits:
        """The limits in force, read again when the final state is another one."""
        if self._limits_of is None or self._limits_of[0] != final.height:
            self._limits_of = (final.height, read_parameters(final.read).limits)
        return self._limits_of[1]

    def _check_room(self, transaction: SignedTransaction) -> None:
        config = self._config
        size = len(transaction.encoded)
        if len(self._pending) >= config.max_transactions or self._bytes + size > config.max_bytes:
            raise Overloaded(f"{len(self._pending)} transactions are waiting; send it again later", RETRY_AFTER_MS)
        count, held = self._by_author.get(transaction.content.author, (0, 0))
        share = config.author_share_percent
        if (count + 1) * 100 > config.max_transactions * share or (held + size) * 100 > config.max_bytes * share:
            detail = f"{count} transactions of {transaction.content.author} are waiting, its share of this node"
            raise Overloaded(detail, RETRY_AFTER_MS)

    def _account(self, transaction: SignedTransaction, sign: int) -> None:
        author, size = transaction.content.author, len(transaction.encoded)
        count, held = self._by_author.get(author, (0, 0))
        self._bytes += sign * size
        if count + sign:
            self._by_author[author] = (count + sign, held + sign * size)
        else:
            self._by_author.pop(author, None)


def _check_size(data: bytes, most: int) -> None:
    if len(data) > most:
        raise Rejected("too_large", f"{len(data)} bytes, at most {most} in this network")
