"""A validator's disk in a simulation: journal and guard as bytes, and the application's store.

What `persist` returned from survives every crash. A write that is interrupted leaves any prefix of its bytes, or
holes where sectors were written out of order. The guard is not synced: a power cut may leave the one before.
"""

import random
from dataclasses import dataclass, field

from consensus.effects import Block
from consensus.journal import (
    Journal,
    OwnVote,
    Record,
    StoredPayload,
    decode_guard,
    decode_journal,
    encode_frame,
    encode_guard,
    encode_journal,
)
from consensus.types import Floor, Position, Ref
from ledger.certificates import Certificate, Vote

SECTOR = 512


class NoSpace(Exception):
    """The disk is full; nothing was written."""


class SyncFailed(Exception):
    """An fsync returned an error (P8): what of the write is on the disk is unknown, and the process has to end."""


@dataclass(slots=True)
class Disk:
    """Files of one node."""

    salt: bytes
    journal: bytes = b""
    sequence: int = 1
    guard: bytes | None = None
    guard_before: bytes | None = None
    guard_newest: bytes | None = None
    is_full: bool = False
    fails_sync: bool = False
    """P8: the next fsync returns an error."""
    is_harmed: bool = False
    blocks: list[Block] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    """The finalization stored with each block, which is of the same epoch."""
    digests: set[bytes] = field(default_factory=set)
    """Names of the stored blocks."""
    durable: set[bytes] = field(default_factory=set)
    """Digests whose bytes are in the journal."""
    votes: set[Vote] = field(default_factory=set)
    """Own votes that ever became durable: what may be said."""

    def __post_init__(self) -> None:
        self.journal = encode_journal(self.salt, ())

    def persist(self, records: tuple[Record, ...], guard: Position | None) -> None:
        if self.is_full:
            raise NoSpace
        if self.fails_sync:
            self.fails_sync = False
            raise SyncFailed
        self.journal += encode_frame(self.salt, self.sequence, records)
        self.sequence += 1
        for record in records:
            if isinstance(record, StoredPayload):
                self.durable.add(record.digest)
            elif isinstance(record, OwnVote):
                self.votes.add(record.vote)
        if guard is not None:
            self.guard_before, self.guard = self.guard, encode_guard(guard)
            self.guard_newest = self.guard

    def tear(self, records: tuple[Record, ...], chance: random.Random) -> None:
        """The crash comes while the frame is being written: a prefix of it, or sectors with holes between."""
        frame = encode_frame(self.salt, self.sequence, records)
        written = bytearray(frame[: int(len(frame) * chance.random())])
        if chance.random() < 0.5:
            for at in range(0, len(written), SECTOR):
                if chance.random() < 0.5:
                    written[at : at + SECTOR] = bytes(len(written[at : at + SECTOR]))
        self.journal += bytes(written)

    def cut_power(self, chance: random.Random) -> None:
        """What was not synced may be lost."""
        if self.guard_before is not None and not self.is_harmed and chance.random() < 0.5:
            self.guard = self.guard_before

    def rewrite(self, records: tuple[Record, ...]) -> None:
        if self.is_full:
            raise NoSpace
        if self.fails_sync:
            self.fails_sync = False
            raise SyncFailed
        self.journal = encode_journal(self.salt, records)
        self.sequence = 1
        self.durable = {record.digest for record in records if isinstance(record, StoredPayload)}

    def rot(self, chance: random.Random) -> None:
        """One bit turns, anywhere."""
        self._settle()
        at = chance.randrange(len(self.journal))
        turned = self.journal[at] ^ 1 << chance.randrange(8)
        self.journal = self.journal[:at] + bytes((turned,)) + self.journal[at + 1 :]

    def lose_journal(self) -> None:
        self._settle()
        self.journal = encode_journal(self.salt, ())
        self.durable = set()

    def _settle(self) -> None:
        """One damage at a time: the guard is the newest one, as it is whenever no power cut came with the damage."""
        self.is_harmed, self.guard = True, self.guard_newest

    def copy(self) -> "Disk":
        """A backup of the whole folder."""
        twin = Disk(self.salt)
        for name in ("journal", "sequence", "guard", "guard_before", "guard_newest"):
            setattr(twin, name, getattr(self, name))
        for name in ("blocks", "certificates", "digests", "durable", "votes"):
            setattr(twin, name, getattr(self, name).copy())
        return twin

    def load(self) -> Journal:
        """Read the journal and cut off a torn end, as a host does at start. Raises JournalDamaged."""
        journal = decode_journal(self.journal)
        self.journal = self.journal[: journal.good_bytes]
        self.sequence = journal.next_sequence
        return journal

    def load_guard(self) -> Position | None:
        return decode_guard(self.guard) if self.guard is not None else None

    def append(self, block: Block, certificate: Certificate) -> None:
        """One block, its ref and the certificate that covers it, in one transaction."""
        self.blocks.append(block)
        self.certificates.append(certificate)
        self.digests.add(block.ref.digest)

    def closing_of(self, epoch: int) -> Certificate | None:
        """The last stored finalization of an epoch."""
        return next((one for one in reversed(self.certificates) if one.epoch == epoch), None)

    def floor(self, root: bytes) -> Floor:
        if not self.blocks or self.blocks[-1].ref.digest == root:
            return Floor(Ref(0, root), None)
        return Floor(self.blocks[-1].ref, self.certificates[-1])

    def holds(self, digest: bytes) -> bool:
        return digest in self.durable or digest in self.digests
