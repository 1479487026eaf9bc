"""Replaying a whole ledger from genesis: links, certificates, roots, execution.

Takes blocks from anywhere (a node's folder, a node's API) as an iterator and trusts none of them. A block without a
certificate of its own is proved by the next certified one, to which the chain of parent hashes leads, but not by one
of a later epoch: each set proves its own blocks and names the next set in the last of them.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace

from msgspec import Struct

from contracts.execution import ChainState, ExecutedBlock, execute_block, genesis_state
from contracts.states import KeyState, read_key
from contracts.validators import closes_epoch, read_validators
from ledger.blocks import Block, decode_block
from ledger.certificates import decode_certificate, verify_finality
from ledger.crypto.ed25519 import key_id
from ledger.errors import LedgerError
from ledger.state import Versioned, map_key, map_value
from ledger.transactions import MAX_LIFETIME_MS, SignedTransaction, decode_transaction, verify_transaction
from node.audit.ahead import NOTHING, Ahead, StoredBlock, Vouched, Workers, read_ahead, reopen

__all__ = ["LedgerFault", "Replay", "Replayer", "Start", "StoredBlock", "replay_ledger"]

RECENT_SWEEP = 200_000
"""Transaction ids kept before those outside the replay window are dropped."""
KEY_PREFIX = KeyState.FAMILY + "/"


@dataclass(frozen=True, slots=True)
class Start:
    """Where a replay begins: genesis, or a state under a header that the auditor trusts.

    `values` are those that were written since genesis, `recent` the transaction ids of the replay window with the times
    of their blocks.
    """

    state: ChainState
    values: Mapping[str, Versioned]
    recent: Mapping[str, int]


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
    start: int = 0


class LedgerFault(Exception):
    """The first thing in a ledger that does not hold."""

    def __init__(self, height: int, code: str, detail: str) -> None:
        super().__init__(f"height {height}: {code}: {detail}")
        self.height = height
        self.code = code
        self.detail = f"height {height}: {detail}"


def replay_ledger(
    genesis_bytes: bytes,
    blocks: Iterable[StoredBlock],
    progress: Callable[[int], None] = lambda height: None,
    workers: Workers | None = None,
) -> Replay:
    """Execute every block again from genesis. Raises LedgerFault at the first that does not hold."""
    replayer = Replayer(start_at_genesis(genesis_bytes))
    replayer.take_all(blocks, workers, lambda stored, _: progress(stored.height))
    return replayer.finish()


def start_at_genesis(genesis_bytes: bytes) -> Start:
    """Raises DecodeError, GenesisError."""
    return Start(genesis_state(genesis_bytes), {}, {})


class Replayer:
    """State after the blocks taken so far."""

    def __init__(self, start: Start) -> None:
        self._base = start.state.read
        self.values: dict[str, Versioned] = dict(start.values)
        """What was written since genesis, by key."""
        self._recent: dict[str, int] = dict(start.recent)
        self._start = self._proved = start.state.height
        self.state = replace(start.state, read=self._read, is_recent=self._is_recent)
        self.keys: dict[tuple[str, str], bytes] = {}
        """Registered keys by participant and key id, for workers."""
        self._transactions = self._operations = self._refused = self._certificates = 0
        genesis_keys = (key for member in self.state.genesis.participants for key in member.signing_keys)
        self._learn_keys(KEY_PREFIX + key_id(bytes.fromhex(key.public_key)) for key in genesis_keys)
        self._learn_keys(self.values)

    def take_all(
        self,
        blocks: Iterable[StoredBlock],
        workers: Workers | None = None,
        seen: Callable[[StoredBlock, ExecutedBlock], None] = lambda stored, executed: None,
    ) -> None:
        """Every block of a source; `seen` is called after each. Raises LedgerFault."""

        def submit(stored: StoredBlock) -> "Future[Ahead]":
            assert workers is not None
            return workers.submit(stored, self.keys, self.state.validators, self.state.chain)

        for stored, ahead in read_ahead(blocks, submit if workers else None):
            seen(stored, self.take(stored, ahead))

    def take(self, stored: StoredBlock, ahead: Ahead = NOTHING) -> ExecutedBlock:
        """One more block. Raises LedgerFault."""
        height = self.state.height + 1
        if stored.height != height:
            raise LedgerFault(height, "missing", f"the source continues with height {stored.height}")
        try:
            executed = self._execute(decode_block(stored.block), ahead)
            self._check_certificate(stored, executed.header_hash, ahead)
            if closes_epoch(executed.block.header) and self._proved != height:
                raise LedgerFault(height, "not_final", "the last block of an epoch needs the quorum of that epoch")
        except LedgerError as error:
            raise LedgerFault(height, error.code, error.detail) from None
        self._keep(executed)
        return executed

    def finish(self) -> Replay:
        """The summary. Raises LedgerFault `not_final` if the last blocks stand under no certificate."""
        state = self.state
        if self._proved != state.height:
            raise LedgerFault(state.height, "not_final", f"blocks after {self._proved} stand under no certificate")
        return Replay(
            blocks=state.height - self._start,
            transactions=self._transactions,
            operations=self._operations,
            refused=self._refused,
            certificates=self._certificates,
            height=state.height,
            state_root=state.state_map.root.hex(),
            log_size=state.frontier.size,
            log_root=state.frontier.root.hex(),
            header_hash=state.header_hash.hex(),
            start=self._start,
        )

    def accept(
        self, height: int, header_hash: bytes, time_ms: int, changes: Mapping[str, Versioned], leaves: Iterable[bytes]
    ) -> None:
        """A block taken as stated, not executed: what it wrote and added to the log. Raises LedgerError."""
        state = self.state
        self.values.update(changes)
        self._learn_keys(changes)
        written = {map_key(key): None if item.value is None else map_value(item) for key, item in changes.items()}
        self.state = replace(
            state,
            header=None,
            header_hash=header_hash,
            height=height,
            time_ms=time_ms,
            state_map=state.state_map.update(written),
            frontier=state.frontier.extend(leaves),
            validators=read_validators(self._read, state.genesis),
        )

    def remember(self, tx_ids: Iterable[bytes], time_ms: int) -> None:
        """The transactions of a block that was taken as stated: none may come again."""
        self._recent.update((tx_id.hex(), time_ms) for tx_id in tx_ids)

    def trust(self) -> None:
        """The auditor vouches for the block reached: what follows is counted from here."""
        self._start = self._proved = self.state.height

    def _execute(self, block: Block, ahead: Ahead) -> ExecutedBlock:
        vouched = dict(zip(block.transactions, ahead.transactions, strict=True)) if ahead.transactions else {}

        def decode(data: bytes) -> SignedTransaction:
            found = vouched.get(data)
            return decode_transaction(data) if found is None else reopen(data, found)

        def verify(transaction: SignedTransaction) -> None:
            self._verify(transaction, vouched.get(transaction.encoded))

        return execute_block(self.state, block, verify, decode)

    def _check_certificate(self, stored: StoredBlock, digest: bytes, ahead: Ahead) -> None:
        if stored.certificate is None:
            return
        if ahead.set_hash != self.state.validators.hash:
            certificate = decode_certificate(stored.certificate)
            verify_finality(certificate, digest, self.state.validators, self.state.chain)
        self._certificates += 1
        self._proved = stored.height

    def _verify(self, transaction: SignedTransaction, vouched: Vouched | None) -> None:
        if vouched is not None and all(self._resolve(name, at) == public for name, at, public in vouched.keys):
            return
        verify_transaction(transaction, self._resolve)

    def _resolve(self, participant: str, key_id: str) -> bytes | None:
        key = read_key(self.state.read, key_id)
        return bytes.fromhex(key.public_key) if key and key.participant == participant else None

    def _learn_keys(self, written: Iterable[str]) -> None:
        """Keys that workers may use; a hint, `_verify` compares them with state."""
        for name in written:
            if not name.startswith(KEY_PREFIX):
                continue
            identifier = name.removeprefix(KEY_PREFIX)
            key = read_key(self.state.read, identifier)
            if key is not None:
                self.keys[key.participant, identifier] = bytes.fromhex(key.public_key)

    def _keep(self, executed: ExecutedBlock) -> None:
        after = executed.after
        self.values.update(executed.changes)
        oldest = after.time_ms - MAX_LIFETIME_MS
        if len(self._recent) > RECENT_SWEEP:
            self._recent = {tx_id: time for tx_id, time in self._recent.items() if time >= oldest}
        self._recent.update((item.tx_id, after.time_ms) for item in executed.transactions)
        self.state = replace(after, read=self._read, is_recent=self._is_recent)
        self._learn_keys(executed.changes)
        results = [result for receipt in executed.receipts for result in receipt.results]
        self._transactions += len(executed.transactions)
        self._operations += len(results)
        self._refused += sum(result.code != "ok" for result in results)

    def _read(self, key: str) -> Versioned | None:
        return self.values.get(key) or self._base(key)

    def _is_recent(self, tx_id: str) -> bool:
        time = self._recent.get(tx_id)
        return time is not None and time >= self.state.time_ms - MAX_LIFETIME_MS
