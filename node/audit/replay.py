"""Replaying a whole ledger from genesis: links, certificates, roots, execution.

Takes blocks from anywhere (a node's folder, a node's API) as an iterator and trusts none of them. A block without a
certificate of its own is proved by the next certified one, to which the chain of parent hashes leads, but not by one
of a later epoch: each set proves its own blocks and names the next set in the last of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from msgspec import Struct

from contracts.execution import ExecutedBlock, execute_block, genesis_state
from contracts.states import read_key
from contracts.validators import closes_epoch
from ledger.blocks import decode_block
from ledger.certificates import decode_certificate, verify_finality
from ledger.errors import LedgerError
from ledger.state import Versioned
from ledger.transactions import MAX_LIFETIME_MS, SignedTransaction, verify_transaction

RECENT_SWEEP = 200_000
"""Transaction ids kept before those outside the replay window are dropped."""


class StoredBlock(Struct, frozen=True):
    """What a source says about one height. `certificate` is null where only a later block was certified."""

    height: int
    block: bytes
    certificate: bytes | None


class Replay(Struct, frozen=True):
    """What was replayed, and where it ended."""

    blocks: int
    transactions: int
    operations: int
    refused: int
    certificates: int
    height: int
    state_root: str
    log_size: int
    log_root: str
    header_hash: str


class LedgerFault(Exception):
    """The first thing in a ledger that does not hold."""

    def __init__(self, height: int, code: str, detail: str) -> None:
        super().__init__(f"height {height}: {code}: {detail}")
        self.height = height
        self.code = code
        self.detail = f"height {height}: {detail}"


def replay_ledger(
    genesis_bytes: bytes, blocks: Iterable[StoredBlock], progress: Callable[[int], None] = lambda height: None
) -> Replay:
    """Execute every block again. Raises LedgerFault at the first that does not hold."""
    replayer = _Replayer(genesis_bytes)
    for stored in blocks:
        replayer.take(stored)
        progress(stored.height)
    return replayer.finish()


class _Replayer:
    """State after the blocks taken so far."""

    def __init__(self, genesis_bytes: bytes) -> None:
        self._state = genesis_state(genesis_bytes)
        self._base = self._state.read
        self._values: dict[str, Versioned] = {}
        self._recent: dict[str, int] = {}
        self._proved = self._transactions = self._operations = self._refused = self._certificates = 0

    def take(self, stored: StoredBlock) -> None:
        """One more block. Raises LedgerFault."""
        height = self._state.height + 1
        if stored.height != height:
            raise LedgerFault(height, "missing", f"the source continues with height {stored.height}")
        try:
            executed = execute_block(self._state, decode_block(stored.block), self._verify)
            self._check_certificate(stored, executed.header_hash)
            if closes_epoch(executed.block.header) and self._proved != height:
                raise LedgerFault(height, "not_final", "the last block of an epoch needs the quorum of that epoch")
        except LedgerError as error:
            raise LedgerFault(height, error.code, error.detail) from None
        self._keep(executed)

    def finish(self) -> Replay:
        """The summary. Raises LedgerFault `not_final` if the last blocks stand under no certificate."""
        state = self._state
        if self._proved != state.height:
            raise LedgerFault(state.height, "not_final", f"blocks after {self._proved} stand under no certificate")
        return Replay(
            blocks=state.height,
            transactions=self._transactions,
            operations=self._operations,
            refused=self._refused,
            certificates=self._certificates,
            height=state.height,
            state_root=state.state_map.root.hex(),
            log_size=state.frontier.size,
            log_root=state.frontier.root.hex(),
            header_hash=state.header_hash.hex(),
        )

    def _check_certificate(self, stored: StoredBlock, digest: bytes) -> None:
        if stored.certificate is None:
            return
        certificate = decode_certificate(stored.certificate)
        verify_finality(certificate, digest, self._state.validators, self._state.chain)
        self._certificates += 1
        self._proved = stored.height

    def _verify(self, transaction: SignedTransaction) -> None:
        verify_transaction(transaction, self._resolve)

    def _resolve(self, participant: str, key_id: str) -> bytes | None:
        key = read_key(self._state.read, key_id)
        return bytes.fromhex(key.public_key) if key and key.participant == participant else None

    def _keep(self, executed: ExecutedBlock) -> None:
        after = executed.after
        self._values.update(executed.changes)
        oldest = after.time_ms - MAX_LIFETIME_MS
        if len(self._recent) > RECENT_SWEEP:
            self._recent = {tx_id: time for tx_id, time in self._recent.items() if time >= oldest}
        self._recent.update((item.tx_id, after.time_ms) for item in executed.transactions)
        self._state = replace(after, read=self._read, is_recent=self._is_recent)
        results = [result for receipt in executed.receipts for result in receipt.results]
        self._transactions += len(executed.transactions)
        self._operations += len(results)
        self._refused += sum(result.code != "ok" for result in results)

    def _read(self, key: str) -> Versioned | None:
        return self._values.get(key) or self._base(key)

    def _is_recent(self, tx_id: str) -> bool:
        time = self._recent.get(tx_id)
        return time is not None and time >= self._state.time_ms - MAX_LIFETIME_MS
