"""What a claim's operations read that its own history does not hold: found by executing them once more.

For the builder of a dossier. Each operation runs on the versions that stood before it; whatever it looked at (a policy
of another insurer in the same consent, another claim of the case, a record that was replaced, the account that another
claim wrote before) must travel with the dossier, or nobody could run it again.
"""

from functools import partial
from typing import Protocol

from contracts.genesis import decode_genesis, genesis_hash
from contracts.kinds import prepare
from contracts.membership import genesis_values
from contracts.operations import BlockContext, Electorate
from contracts.states import encode_state, state_key
from contracts.validators import first_validators, read_validators
from ledger.blocks import Header
from ledger.encoding import decode_as
from ledger.merkle import leaf_hash
from ledger.state import Entry, Versioned, value_digest
from ledger.transactions import decode_transaction
from node.audit.replay_claim import apply_step

Place = tuple[str, int, bytes]
"""State key, version, leaf hash of the entry that wrote it."""


class HistorySource(Protocol):
    """The part of a ledger that is looked at."""

    @property
    def genesis_bytes(self) -> bytes: ...
    def read(self, key: str) -> Versioned | None: ...
    def leaf_index(self, leaf: bytes) -> int: ...
    def leaf(self, index: int) -> bytes: ...
    def header(self, height: int) -> Header: ...
    def transaction(self, height: int, index: int) -> bytes: ...
    def value_written(self, height: int, key: str) -> bytes | None: ...


class ReadFinder:
    """Executes entries in their order and remembers what they read."""

    def __init__(self, source: HistorySource) -> None:
        self._source = source
        self._genesis = decode_genesis(source.genesis_bytes)
        self._chain = genesis_hash(source.genesis_bytes)
        self._origin = leaf_hash(self._chain)
        self._first = {
            state_key(type(value), identifier): encode_state(value)
            for identifier, value in genesis_values(self._genesis)
        }
        self._values: dict[tuple[str, int], bytes | None] = {}
        self._places: dict[tuple[str, int], Place] = {}

    def find(self, entries: dict[int, Entry]) -> set[Place]:
        """Versions, other than genesis', that these entries (by leaf index) read."""
        self._places.clear()
        for index in sorted(entries):
            self._execute(index, entries[index])
        return set(self._places.values())

    def value_of(self, key: str, entry: Entry, index: int) -> bytes | None:
        """What `entry`, the log's leaf `index`, wrote to `key`.

        A block keeps the last value of each key. Where a later operation of the same block replaced the value, the
        operation is executed once more; the values before it are found in the same way.
        """
        write = next(write for write in entry.writes if write.key == key)
        value = self._source.value_written(entry.height, key)
        if write.digest == (None if value is None else value_digest(value).hex()):
            return value
        places = dict(self._places)
        self._execute(index, entry, self._electorate(index))
        self._places = places
        return self._values[(key, write.version)]

    def _execute(self, index: int, entry: Entry, electorate: Electorate | None = None) -> None:
        header = self._source.header(entry.height)
        prepared = prepare(decode_transaction(self._source.transaction(entry.height, entry.index)))
        read = partial(self._before, index=index)
        context = BlockContext(header.network, header.height, header.time_ms, read, electorate)
        _, writes = apply_step(context, prepared, entry.op)
        for write in context.overlay.planned(writes):
            self._values[(write.key, write.version)] = writes[write.key]

    def _electorate(self, index: int) -> Electorate:
        """Who decided about members when leaf `index` was written: operations of others may have asked."""
        validators = read_validators(partial(self._before, index=index), self._genesis)
        members = tuple(member.id for member in self._genesis.participants)
        return Electorate(validators, members, self._chain, first_validators(self._genesis))

    def _before(self, key: str, index: int) -> Versioned | None:
        """The version that stood when leaf `index` was written."""
        found = self._source.read(key)
        leaf = found.entry if found else None
        while leaf is not None and leaf != self._origin:
            at = self._source.leaf_index(leaf)
            entry = decode_as(self._source.leaf(at), Entry)
            write = next(write for write in entry.writes if write.key == key)
            if at < index:
                return self._remember(key, write.version, entry, at, leaf)
            leaf = bytes.fromhex(write.prev) if write.prev else None
        return Versioned(version=1, entry=leaf, value=self._first[key]) if leaf else None

    def _remember(self, key: str, version: int, entry: Entry, index: int, leaf: bytes) -> Versioned:
        place = (key, version)
        self._places[place] = (key, version, leaf)
        if place not in self._values:
            self._values[place] = self.value_of(key, entry, index)
        return Versioned(version=version, entry=leaf, value=self._values[place])
