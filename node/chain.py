"""The chain as this node has it: final state, executed blocks above it, and the one way into the store.

Knows blocks, state and the store; must not know views, votes or peers beyond the certificate's bytes. Must always
hold: `commit` and `prune` are the only writers, one at a time, heights are appended one after the other, readers see
final state alone, and a start rebuilds state from disk and compares every root with the last header before anything is
served.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import msgspec

from contracts.execution import ChainState, ExecutedBlock, genesis_state
from contracts.receipts import Receipt
from contracts.states import ClaimState, PayoutState, decode_state
from contracts.validators import closes_epoch, read_validators
from ledger.blocks import Header, decode_block, header_hash
from ledger.certificates import Certificate
from ledger.encoding import decode_as, encode_trusted
from ledger.errors import DecodeError, LedgerError, StoreError
from ledger.merkle import Frontier, leaf_hash
from ledger.pruning import KeepWhole, Slice, prepare_slice
from ledger.state import Versioned, map_key, map_value
from ledger.statemap import StateMap
from ledger.store import Store
from ledger.storetables import FinalBlockRecord, SpineRow
from ledger.transactions import MAX_LIFETIME_MS
from node.outcomes import Feed, FinalBlock, Outcomes, TransactionOutcome, outcome_in
from node.overlays import MAX_RECENT, MAX_STATE_KEYS, FinalState, Layer, RecentIds
from node.statepages import StatePages

MAX_OVERLAYS = 4_096
"""Executed blocks above the last final one: one a view, so over an hour of blocks that nobody finalizes. Then this
node waits for a finalization before it executes more."""
_receipts_decoder = msgspec.json.Decoder(tuple[Receipt, ...])


@dataclass(frozen=True, slots=True)
class Overlay:
    """An executed block that may become final, and the state on which its children execute."""

    executed: ExecutedBlock
    layer: Layer
    after: ChainState


class Chain:
    """Final state and what is executed above it. Used from one event loop; only the append runs in a thread."""

    def __init__(
        self, store: Store, genesis: bytes, pages: StatePages | None = None, state_keys: int = MAX_STATE_KEYS
    ) -> None:
        """Load what is needed; at most twice `state_keys` keys of state are held in memory.

        Raises StoreError `damaged` if disk and header disagree, GenesisError.
        """
        self.store = store
        self.genesis_state = genesis_state(genesis)
        self.recent = RecentIds(lambda tx_id: store.transaction(tx_id) is not None)
        self._state = FinalState(self.genesis_state.read, store.state_rows(), self._look_up, state_keys)
        self._pages = pages or StatePages(store)
        self._map = self.genesis_state.state_map
        self._overlays: dict[bytes, Overlay] = {}
        self._feed = Feed(self._load_block)
        self._outcomes = Outcomes()
        self.certified: tuple[int, Certificate] | None = None  # of the head that proofs were made under last
        self._turn = asyncio.Lock()
        """Whoever writes to the store: one commit or one slice of pruning at a time."""
        self.commits = 0
        """Database transactions since the start: one fsync each, besides checkpoints."""
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self.on_commit: list[Callable[[FinalBlock], None]] = []
        """Called in the event loop after each block is durable, in order of height."""
        self.final = self._load_final()
        """The last final state. Its `read` follows later commits; its roots and maps do not."""
        self._load_recent()
        self._feed.start_at(self.final.height)

    def close(self) -> None:
        """Stop the writer. The store stays open for its owner."""
        self._writer.shutdown()

    @property
    def height(self) -> int:
        """The last final height."""
        return self.final.height

    @property
    def is_at_base(self) -> bool:
        """Whether the store began with a snapshot and no block above it was executed here yet."""
        return 0 < self.final.height <= self.store.remains.base_height

    def floor(self) -> SpineRow | None:
        """The last durable block as ordering needs it; its certificate is its own. None at genesis."""
        return self.store.spine(self.final.height) if self.final.height else None

    def state_after(self, digest: bytes) -> ChainState | None:
        """The state on which children of this block execute; None if it is neither final-last nor executed here."""
        if digest == self.final.header_hash:
            return self.final
        overlay = self._overlays.get(digest)
        return None if overlay is None else overlay.after

    def is_executed(self, digest: bytes) -> bool:
        """Whether the block can be committed without more work."""
        return digest in self._overlays

    def closes_epoch(self, digest: bytes) -> bool:
        """Whether an executed block is the last of its epoch."""
        overlay = self._overlays.get(digest)
        return overlay is not None and closes_epoch(overlay.executed.block.header)

    @property
    def is_full(self) -> bool:
        """Whether so many executed blocks wait to become final that no more are taken on."""
        return len(self._overlays) >= MAX_OVERLAYS

    def encoded(self, digest: bytes) -> bytes | None:
        """Bytes of a block that is executed here or final."""
        overlay = self._overlays.get(digest)
        if overlay is not None:
            return overlay.executed.encoded
        row = self.store.spine_of(digest)
        return None if row is None or not self.store.is_whole(row.height) else self.store.block(row.height)

    def changes_of(self, digest: bytes) -> Mapping[str, Versioned] | None:
        """What a block that is executed here or final wrote into state."""
        overlay = self._overlays.get(digest)
        if overlay is not None:
            return overlay.executed.changes
        row = self.store.spine_of(digest)
        return None if row is None or not self.store.is_whole(row.height) else self.store.changes(row.height)

    def add(self, executed: ExecutedBlock) -> None:
        """Keep an executed block; its parent is the last final block or one added before."""
        if executed.header_hash in self._overlays:
            return
        parent = bytes.fromhex(executed.block.header.parent)
        below = self._overlays.get(parent)
        if below is None and parent != self.final.header_hash:
            raise StoreError("orphan", f"block {executed.header_hash.hex()} has a parent that is not executed here")
        tx_ids = [item.tx_id for item in executed.transactions]
        layer = Layer(self._state, self.recent, below.layer if below else None, executed.changes, tx_ids)
        after = replace(executed.after, read=layer.read, is_recent=layer.is_recent)
        self._overlays[executed.header_hash] = Overlay(executed, layer, after)

    async def commit(self, blocks: Sequence[tuple[int, bytes]], certificate: bytes) -> None:
        """Make executed blocks final: (view, digest) ascending from the next height; `certificate` is of the last.

        Durable in one database transaction, then visible, then announced. Raises StoreError; after
        `no_space` nothing has changed and the call may be repeated.
        """
        overlays = [self._take(digest) for _, digest in blocks]
        last = len(blocks) - 1
        records = [
            _record(overlay.executed, view, certificate if at == last else None)
            for at, (overlay, (view, _)) in enumerate(zip(overlays, blocks, strict=True))
        ]
        async with self._turn:
            await self._write(overlays, records)

    async def prune(self, after: int, until: int, keep: KeepWhole) -> Slice:
        """One slice of the heights above `after` up to `until`, between two commits. Raises StoreError."""
        async with self._turn:
            prepared, done = prepare_slice(self.store, after, until, keep)
            await asyncio.get_running_loop().run_in_executor(self._writer, prepared.commit)
        return done

    async def _write(self, overlays: list[Overlay], records: list[FinalBlockRecord]) -> None:
        # The statements run here and only the commit in a thread: a thread that fetches the interpreter's lock for
        # every row waits for the event loop as many times.
        last = overlays[-1].executed.after
        state_map, nodes = None, None
        is_large = self._state.whole() is None  # else a start makes the map from the keys
        if self._pages.due(sum(len(record.changes) for record in records), last.height, is_large=is_large):
            state_map, nodes = self._pages.record(last.state_map, last.height)
        self._state.pin(key for record in records for key in record.changes)
        try:
            prepared = self.store.prepare(*records, state_map=state_map)
            await asyncio.get_running_loop().run_in_executor(self._writer, prepared.commit)
            self.commits += 1
            for overlay, record in zip(overlays, records, strict=True):
                self._advance(overlay, record)
        finally:
            self._state.unpin()
        self._prune()
        if state_map is not None and nodes is not None:
            self._pages.remember(state_map, nodes)
            if state_map.top is not None and is_large:
                self._trim()

    def header_at(self, height: int) -> Header:
        """A final header, also of a block that was pruned. Raises StoreError `unknown_height`, `pruned`, `damaged`."""
        return self._load_header(height)

    def block_at(self, height: int) -> FinalBlock:
        """A final block. Raises StoreError `unknown_height`, `damaged`."""
        if not 1 <= height <= self.final.height:
            raise StoreError("unknown_height", f"no block at height {height}; the last one is {self.final.height}")
        return self._feed.block(height)

    def transaction(self, tx_id: str) -> TransactionOutcome | None:
        """The outcome of a final transaction, None if it is not final. Raises StoreError `damaged`."""
        found = self.store.transaction(tx_id)
        if found is None or found[0] > self.final.height:
            return None
        height, index = found
        block = self.block_at(height)
        if index >= len(block.receipts) or block.receipts[index].tx_id != tx_id:
            raise StoreError("damaged", f"the index entry of transaction {tx_id} does not lead to its receipt")
        return outcome_in(block, index)

    def map_at(self, height: int) -> StateMap:
        """The state map after a final block: from the pages written last before it, and what blocks changed since.

        Raises StoreError `unknown_height`, `damaged`.
        """
        if not 0 <= height <= self.store.height:
            raise StoreError("unknown_height", f"no block at height {height}; the last one is {self.store.height}")
        written, state_map = self._pages.at(height) or (0, self.genesis_state.state_map)
        if written < self.store.remains.base_height:
            raise self.store.remains.pruned(f"state at height {height}")
        for between in range(written + 1, height + 1):
            state_map = state_map.update(_map_changes(self.store.changes(between)))
        return state_map

    def listed_before_blocks(self) -> tuple[int, list[str], list[str]]:
        """(height, claims, payouts) up to the height above which every block is here whole: by time, then by id.

        Raises StoreError.
        """
        height = self.store.whole_above()
        if not height:
            return 0, [], []
        until = self.store.spine(height).time_ms
        claims = [
            (decode_state(v.value, ClaimState).reported_ms, key)
            for key, v in self.store.state_family("claim")
            if v.value
        ]
        payouts = [
            (decode_state(v.value, PayoutState).authorised_ms, key)
            for key, v in self.store.state_family("payout")
            if v.value
        ]
        ids = [[key.split("/", 1)[1] for at, key in sorted(found) if at <= until] for found in (claims, payouts)]
        return height, ids[0], ids[1]

    async def wait_for(self, tx_id: str, timeout_s: float) -> TransactionOutcome:
        """The outcome as soon as it is final. Raises Unavailable `pending`, Overloaded."""
        found = self.transaction(tx_id)
        return found if found is not None else await self._outcomes.wait(tx_id, timeout_s)

    def subscribe(self, after: int | None = None) -> AsyncIterator[FinalBlock]:
        """Every final block above height `after` (default: from now on), in order, for ever."""
        return self._feed.follow(self.final.height if after is None else after)

    def _take(self, digest: bytes) -> Overlay:
        overlay = self._overlays.get(digest)
        if overlay is None:
            raise StoreError("not_executed", f"block {digest.hex()} is final but was not executed here")
        return overlay

    def _advance(self, overlay: Overlay, record: FinalBlockRecord) -> None:
        executed = overlay.executed
        overlay.layer.fold()
        tx_ids = tuple(item.tx_id for item in executed.transactions)
        self.recent.add(record.time_ms, tx_ids)
        self.final = replace(executed.after, read=self._state.read, is_recent=self.recent.contains)
        block = FinalBlock(
            height=record.height,
            header_hash=record.header_hash,
            header=executed.block.header,
            encoded=record.block,
            receipts=executed.receipts,
            certificate=record.certificate,
        )
        self._map = self.final.state_map
        self._feed.publish(block)
        self._outcomes.settle(block)
        for callback in self.on_commit:
            callback(block)

    def _prune(self) -> None:
        """Drop what is final now, and what builds on a block that lost."""
        base = self._overlays.get(self.final.header_hash)
        assert base is not None, "the block that became final was executed here"
        height = self.final.height
        self._overlays = {
            digest: item
            for digest, item in self._overlays.items()
            if item.executed.after.height > height and item.layer.descends_from(base.layer)
        }

    def _trim(self) -> None:
        """Let go of the map's nodes that are on disk now."""
        self._map = self._pages.trim(self.final.state_map)
        self.final = replace(self.final, state_map=self._map)
        for digest, item in self._overlays.items():
            after = replace(item.after, state_map=self._pages.trim(item.after.state_map))
            self._overlays[digest] = replace(item, after=after)

    def _look_up(self, key: str) -> Versioned | None:
        """A key's row, compared with the map: a lost, old or changed row is found when it is read."""
        found = self.store.state_value(key)
        known = found if found is not None else self.genesis_state.read(key)
        named = None if known is None or known.value is None else map_value(known)
        if self._map.get(map_key(key)) != named:
            raise StoreError("damaged", f"state {key.split('/')[0]} on disk is not what the state map names")
        return found

    def _load_block(self, height: int) -> FinalBlock:
        encoded = self.store.block(height)
        try:
            block = decode_block(encoded)
            receipts = _receipts_decoder.decode(self.store.receipts(height))
        except (LedgerError, msgspec.MsgspecError) as error:
            raise StoreError("damaged", f"block {height} cannot be read back: {error}") from None
        row = self.store.spine(height)
        return FinalBlock(height, row.header_hash, block.header, encoded, receipts, row.certificate)

    def _load_header(self, height: int) -> Header:
        try:
            return decode_as(self.store.header(height), Header)
        except DecodeError as error:
            raise StoreError("damaged", f"header {height} cannot be read back: {error}") from None

    def _load_final(self) -> ChainState:
        """The state of the last stored block, rebuilt and compared with its header."""
        start = self.genesis_state
        height = self.store.height
        if not height:
            return replace(start, read=self._state.read, is_recent=self.recent.contains)
        row, header = self.store.spine(height), self._load_header(height)
        state_map = self._map = self.map_at(height)
        rows = self._state.whole()  # else each key is compared with the map when it is read
        folded = state_map if rows is None else start.state_map.update(_map_changes(rows))
        frontier = Frontier(row.first_leaf + row.leaf_count, row.peaks)
        frontier.check()
        for name, stored, named in (
            ("header", row.header_hash.hex(), header_hash(header).hex()),
            ("state map", state_map.root.hex(), header.state_root),
            ("state", folded.root.hex(), header.state_root),
            ("log", frontier.root.hex(), header.log_root),
            ("log size", frontier.size, header.log_size),
        ):
            if stored != named:
                raise StoreError("damaged", f"{name} on disk is {stored}, block {height} says {named}")
        return replace(
            start,
            header=header,
            header_hash=row.header_hash,
            height=height,
            time_ms=header.time_ms,
            read=self._state.read,
            state_map=state_map,
            frontier=frontier,
            is_recent=self.recent.contains,
            validators=read_validators(self._state.read, start.genesis),
        )

    def _load_recent(self) -> None:
        """The replay window, newest first until it is full or 48 hours old."""
        rows, held = [], 0
        for row in self.store.spines_down(self.final.height):
            if row.time_ms < self.final.time_ms - MAX_LIFETIME_MS:
                break
            if held + len(row.transactions) > MAX_RECENT:
                self.recent.spill(row.time_ms, ())
                break
            rows.append(row)
            held += len(row.transactions)
        for row in reversed(rows):
            self.recent.add(row.time_ms, tuple(tx_id.hex() for tx_id in row.transactions))


def _map_changes(changes: Mapping[str, Versioned]) -> dict[bytes, bytes | None]:
    return {map_key(key): None if item.value is None else map_value(item) for key, item in changes.items()}


def _record(executed: ExecutedBlock, view: int, certificate: bytes | None) -> FinalBlockRecord:
    after = executed.after
    return FinalBlockRecord(
        height=after.height,
        view=view,
        time_ms=after.time_ms,
        header_hash=executed.header_hash,
        block=executed.encoded,
        certificate=certificate,
        receipts=encode_trusted(executed.receipts),
        transactions=tuple(bytes.fromhex(item.tx_id) for item in executed.transactions),
        first_leaf=after.frontier.size - len(executed.entries),
        entries=executed.entries,
        leaves=tuple(leaf_hash(entry) for entry in executed.entries),
        peaks=after.frontier.peaks,
        changes=executed.changes,
    )
