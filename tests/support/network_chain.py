"""One node's view of a test chain: transactions signed by members, blocks built and executed again from their bytes."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import Struct, to_builtins

from contracts.execution import ChainState, ExecutedBlock, build_block, execute_block
from contracts.genesis import Genesis, encode_genesis
from contracts.receipts import Receipt
from contracts.states import read_key
from ledger.blocks import decode_block
from ledger.state import Versioned
from ledger.transactions import (
    Endorsement,
    SignedTransaction,
    build_transaction,
    compute_core_hash,
    endorsement_message,
    verify_transaction,
)
from tests.support.network_members import Member, make_genesis, make_hex, make_member, start_chain

BLOCK_MS = 1_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
YEAR_MS = 366 * DAY_MS


@dataclass
class NetworkChain:
    """A running chain. `store` is the final state by key; `blocks` are all executed blocks."""

    genesis: Genesis = field(default_factory=make_genesis)
    min_validators: int = 4

    def __post_init__(self) -> None:
        self.genesis_bytes = encode_genesis(self.genesis)
        self.state: ChainState = start_chain(self.genesis_bytes, self.min_validators)
        self.members = {item.id: make_member(item.id) for item in self.genesis.participants}
        self.store: dict[str, Versioned] = {}
        self.recent: set[str] = set()
        self.blocks: list[ExecutedBlock] = []
        self._counter = 0
        genesis_read = self.state.read
        self.state = replace(
            self.state, read=lambda key: self.store.get(key) or genesis_read(key), is_recent=self.recent.__contains__
        )

    @property
    def now_ms(self) -> int:
        """Time of the latest block."""
        return self.state.time_ms

    def count(self) -> int:
        """A number that was not used before."""
        self._counter += 1
        return self._counter

    def sign(
        self,
        kind: str,
        body: Struct | dict[str, Any],
        author: str,
        endorsers: Iterable[str] = (),
        *,
        member: Member | None = None,
        **changes: Any,
    ) -> SignedTransaction:
        """A transaction of `author`. `member` signs with another of its keys; `changes` replace signed fields."""
        signer = member or self.members[author]
        fields: dict[str, Any] = {
            "network": self.genesis.network,
            "kind": kind,
            "body": to_builtins(body) if isinstance(body, Struct) else body,
            "author": author,
            "nonce": make_hex(f"nonce {self.count()}", 16),
            "expires_time": self.now_ms + HOUR_MS,
        } | changes
        endorsements = [self.endorse(self.members[name], fields) for name in endorsers]
        return build_transaction(**fields, key_id=signer.key_id, seed=signer.seed, endorsements=endorsements)

    def endorse(self, member: Member, fields: dict[str, Any]) -> Endorsement:
        """An endorser's signature over the core of `fields`."""
        core_hash = compute_core_hash(**fields)
        message = endorsement_message(core_hash, member.id, member.key_id)
        return Endorsement(participant=member.id, key_id=member.key_id, signature=member.sign(message))

    def resolve(self, participant: str, key_id: str) -> bytes | None:
        """Key resolver for verify_transaction."""
        key = read_key(self.state.read, key_id)
        return bytes.fromhex(key.public_key) if key and key.participant == participant else None

    def verify(self, signed: SignedTransaction) -> None:
        """Signatures of one transaction against the registry."""
        verify_transaction(signed, self.resolve)

    def run(self, *transactions: SignedTransaction, time_ms: int | None = None) -> ExecutedBlock:
        """Build a block, execute its bytes as a voter would, and make it final."""
        built = build_block(self.state, transactions, time_ms=time_ms or self.now_ms + BLOCK_MS)
        executed = execute_block(self.state, decode_block(built.encoded), self.verify)
        assert executed.header_hash == built.header_hash
        assert len(executed.receipts) == len(transactions), "the builder left a transaction out"
        self.finalize(executed)
        return executed

    def finalize(self, executed: ExecutedBlock) -> None:
        """Flush a block into the final state."""
        self.store.update(executed.changes)
        self.recent.update(signed.tx_id for signed in executed.transactions)
        self.blocks.append(executed)
        self.state = replace(executed.after, read=self.state.read, is_recent=self.state.is_recent)

    def wait(self, milliseconds: int) -> None:
        """An empty block `milliseconds` later."""
        self.run(time_ms=self.now_ms + milliseconds)

    def do(
        self, kind: str, body: Struct | dict[str, Any], author: str, endorsers: Iterable[str] = (), **changes: Any
    ) -> Receipt:
        """One transaction in a block of its own; its receipt."""
        return self.run(self.sign(kind, body, author, endorsers, **changes)).receipts[0]
