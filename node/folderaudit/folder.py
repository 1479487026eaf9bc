"""A whole data folder checked: the blocks executed again, and every row of the store compared with what they give.

Knows the order of the checks; must not know how rows are read or blocks executed. Must always hold: nothing is written;
a fault does not end the audit as long as what follows can be checked without believing the row that was bad. After a
block that cannot be executed its stored changes are taken as stated, and the next block's roots prove or refuse them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from contracts.execution import ExecutedBlock
from ledger.blocks import decode_block
from ledger.errors import LedgerError, StoreError
from ledger.logtiles import Tail
from ledger.rowreader import StoreRows, missing_tiles
from ledger.storetables import SCHEMA_VERSION, decode_changes
from node.audit.ahead import NOTHING, Ahead, StoredBlock, Workers, read_ahead
from node.audit.replay import LedgerFault, Replay, Replayer, start_at_genesis
from node.folderaudit.base import start_above
from node.folderaudit.blockrows import BlockRows, check_executed, check_indexes, check_stated, read_block_rows
from node.folderaudit.faults import MAX_FAULTS, Fault, Faults, TooMany
from node.folderaudit.tables import check_map, check_state, check_state_root, check_surplus

MAX_FAILURES: Final = 3
"""Blocks one after the other that cannot be executed before the audit gives execution up."""


@dataclass(frozen=True, slots=True)
class TrustedHeader:
    """A header that the auditor vouches for: its height and hash."""

    height: int
    header_hash: bytes


@dataclass(slots=True)
class StoreAudit:
    """What was found. `complete` is false if there were more faults than are listed."""

    replay: Replay | None = None
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    complete: bool = True


def audit_store(
    rows: StoreRows,
    genesis_bytes: bytes,
    *,
    trusted: TrustedHeader | None = None,
    workers: Workers | None = None,
    progress: Callable[[int], None] = lambda height: None,
    most: int = MAX_FAULTS,
) -> StoreAudit:
    """Check everything that the store holds. Raises DecodeError or GenesisError for a genesis that is none."""
    found = StoreAudit()
    faults = Faults(most)
    audit = _Audit(rows, Replayer(start_at_genesis(genesis_bytes)), faults, found, trusted)
    try:
        audit.run(workers, progress)
    except TooMany:
        found.complete = False
    found.faults = faults.found
    return found


class _Audit:
    def __init__(
        self, rows: StoreRows, replayer: Replayer, faults: Faults, found: StoreAudit, trusted: TrustedHeader | None
    ) -> None:
        self._rows = rows
        self._replayer = replayer
        self._genesis_map = replayer.state.state_map
        self._faults = faults
        self._found = found
        self._trusted = trusted
        self._executes = self._follows = True
        self._failures = 0
        self._parent: bytes | None = replayer.state.header_hash
        self._tail: Tail | None = Tail()
        self._tiles = self._transactions = 0
        self._broken: set[str] = set()

    def run(self, workers: Workers | None, progress: Callable[[int], None]) -> None:
        if not self._begin():
            return
        first, last = self._rows.first(), self._rows.last()
        if first > 1:
            self._begin_above(first - 1)
        self._pass(first, last, workers, progress)
        self._guard("database", self._rows.begin)  # from here on a running node's new blocks are not seen
        self._pass(last + 1, self._rows.last(), None, progress)
        self._finish(first)

    def _begin_above(self, height: int) -> None:
        """Go on from state as of the last height without a whole block; if it cannot be had, links and rows remain."""
        self._tail = None
        if self._trusted is not None and self._trusted.height < height:
            detail = (
                f"whole blocks begin at height {height + 1} here: trust the header of {height} or of a later height"
            )
            self._faults.add("ledger", f"height {self._trusted.height}", "trusted", detail)
        begin = f"whole blocks begin at height {height + 1} here"
        try:
            start = start_above(self._rows, self._replayer.state, height)
        except StoreError as error:
            self._follows, self._executes, self._parent = False, False, None
            more = "they are checked for links and rows, not executed. Audit a node that keeps all blocks for more"
            self._found.notes.append(f"{begin}; {error.detail}; {more}")
            if not self._rows.is_from_snapshot:
                self._faults.add("kept_entries", f"height {height}", error.code, error.detail)
            return
        self._replayer = Replayer(start)
        digest = self._parent = start.state.header_hash
        if self._trusted is None:
            self._found.notes.append(
                f"{begin} and are executed from there, on the state that the store states for height {height}; compare "
                f"its header with a node that keeps all blocks, or name it: --from {height} --header {digest.hex()}"
            )
        elif self._trusted.height == height and self._trusted.header_hash != digest:
            detail = f"the header here is {digest.hex()}, you trust {self._trusted.header_hash.hex()}"
            self._faults.add("ledger", f"height {height}", "trusted", detail)

    def _begin(self) -> bool:
        """Whether the store can be read at all and belongs to the genesis."""
        try:
            self._faults.add_all(
                "database", (("file", "damaged", line) for line in self._rows.check_pages(MAX_FAULTS // 2))
            )
            version, chain = self._rows.chain()
        except StoreError as error:
            self._faults.add("database", "file", error.code, error.detail)
            return False
        if version != SCHEMA_VERSION:
            detail = f"the store has version {version}, this program reads {SCHEMA_VERSION}"
            self._faults.add("network", "version", "schema", detail)
        elif chain != self._replayer.state.chain:
            self._faults.add("network", "chain", "other_network", "the store belongs to a network of another genesis")
        return version == SCHEMA_VERSION and chain == self._replayer.state.chain

    def _pass(self, first: int, last: int, workers: Workers | None, progress: Callable[[int], None]) -> None:
        waiting: dict[int, BlockRows] = {}

        def source() -> Iterator[StoredBlock]:
            for height in range(first, last + 1):
                stored = waiting[height] = read_block_rows(self._rows, height, self._faults)
                yield StoredBlock(height, stored.block or b"", stored.spine.certificate if stored.spine else None)

        state = self._replayer
        submit = None
        if workers is not None:
            submit = lambda stored: workers.submit(stored, state.keys, state.state.validators, state.state.chain)  # noqa: E731
        for block, ahead in read_ahead(source(), submit):
            self._take(waiting.pop(block.height), block, ahead)
            progress(block.height)

    def _take(self, stored: BlockRows, block: StoredBlock, ahead: Ahead) -> None:
        executed = self._execute(stored, block, ahead)
        if executed is not None:
            check_executed(stored, executed, self._faults)
            self._parent = executed.header_hash
        else:
            check_stated(stored, self._parent, self._faults)
            self._parent = stored.spine.header_hash if stored.spine else None
            self._follow(stored)
        self._check_log(stored)

    def _execute(self, stored: BlockRows, block: StoredBlock, ahead: Ahead) -> ExecutedBlock | None:
        """The block executed; None if it cannot be, or if its height is taken as stated."""
        if not self._executes or stored.block is None or self._is_stated(stored.height):
            return None
        try:
            executed = self._replayer.take(block, ahead or NOTHING)
        except LedgerFault as fault:
            self._faults.add("ledger", f"height {stored.height}", fault.code, fault.detail)
            self._failures += 1
            if self._failures >= MAX_FAILURES:
                self._stop(stored.height, f"{MAX_FAILURES} blocks one after the other do not hold")
            return None
        self._failures = 0
        return executed

    def _is_stated(self, height: int) -> bool:
        return self._trusted is not None and height <= self._trusted.height

    def _stop(self, height: int, why: str) -> None:
        self._executes = False
        self._found.notes.append(f"from height {height} on blocks are not executed: {why}")

    def _follow(self, stored: BlockRows) -> None:
        """Take what a block wrote from its rows."""
        if not self._follows:
            return
        changes, leaves, spine = stored.bodies["changes"], stored.leaves, stored.spine
        try:
            if changes is None or leaves is None or spine is None:
                raise StoreError("damaged", "the rows that say what the block wrote cannot be read")
            written = decode_changes(changes)
            self._replayer.accept(stored.height, spine.header_hash, spine.time_ms, written, leaves)
        except (LedgerError, ValueError) as error:
            self._follows = False
            if self._executes:
                self._stop(stored.height, getattr(error, "detail", "the changes of this block are no state"))
            return
        self._replayer.remember(spine.transactions, spine.time_ms)
        if self._trusted is not None and stored.height == self._trusted.height:
            self._check_trusted(stored, self._trusted)

    def _check_trusted(self, stored: BlockRows, trusted: TrustedHeader) -> None:
        """What all blocks up to the trusted one state together is what its header names."""
        state = self._replayer.state
        place = f"height {stored.height}"
        if state.header_hash != trusted.header_hash or stored.block is None:
            detail = f"the header here is {state.header_hash.hex()}, you trust {trusted.header_hash.hex()}"
            self._faults.add("ledger", place, "trusted", detail)
            self._stop(stored.height + 1, "the trusted header is another one")
            return
        header = decode_block(stored.block).header
        for name, folded, named in (
            ("state", state.state_map.root.hex(), header.state_root),
            ("log", state.frontier.root.hex(), header.log_root),
        ):
            if folded != named:
                detail = f"the stored {name} up to here has the root {folded}, the trusted header says {named}"
                self._faults.add("ledger", place, "trusted", detail)
                self._executes = False
        self._replayer.trust()

    def _check_log(self, stored: BlockRows) -> None:
        """Indexes and tiles, against the leaves of the block."""
        spine, leaves = stored.spine, stored.leaves
        if spine is None or leaves is None:
            self._tail = None
            return
        self._transactions += len(spine.transactions)
        self._guard(
            "transactions",
            lambda: check_indexes(
                self._rows, stored.height, spine.transactions, spine.first_leaf, leaves, self._faults
            ),
        )
        if self._tail is not None:
            self._tail, tiles = self._tail.extend(leaves)
            self._tiles += len(tiles)
            self._guard("log_tiles", lambda: self._faults.add_all("log_tiles", missing_tiles(self._rows, tiles)))

    def _guard(self, table: str, check: Callable[[], object]) -> None:
        """A table that the database itself cannot read is a fault once, not with every block."""
        if table in self._broken:
            return
        try:
            check()
        except StoreError as error:
            self._broken.add(table)
            self._faults.add(table, "table", error.code, error.detail)

    def _finish(self, first: int) -> None:
        found, last = self._found, self._rows.last()
        self._guard("state", lambda: self._check_state(last))
        self._guard("map_pages", self._check_map)
        if first == 1 and self._tail is not None:
            size = self._tail.size
            self._guard(
                "log_positions",
                lambda: check_surplus(self._rows, self._transactions, size, self._tiles, self._faults),
            )
        found.rows |= {"blocks": last - first + 1, "transactions": self._transactions, "tiles": self._tiles}
        if not self._executes or self._replayer.state.height != last:
            return
        try:
            found.replay = self._replayer.finish()
        except LedgerFault as fault:
            self._faults.add("ledger", f"height {fault.height}", fault.code, fault.detail)

    def _check_state(self, last: int) -> None:
        if self._follows:
            self._found.rows["state"] = check_state(self._rows, self._replayer.values, self._faults)
        elif (root := self._state_root(last)) is not None:
            self._found.rows["state"] = check_state_root(self._rows, self._genesis_map, root, self._faults)

    def _check_map(self) -> None:
        self._found.rows["map_pages"] = check_map(self._rows, self._state_root, self._faults)

    def _state_root(self, height: int) -> str | None:
        try:
            return decode_block(self._rows.body(height, "block")).header.state_root
        except LedgerError:
            return None  # a fault of its own
