"""A validator's disk in a simulation: journal and guard as bytes, and the application's store.

What `persist` returned from survives every crash. A write that is interrupted leaves any prefix of its bytes.
"""

from dataclasses import dataclass, field

from consensus.effects import Block
from consensus.journal import (
    Journal,
    Record,
    StoredPayload,
    decode_guard,
    decode_journal,
    encode_frame,
    encode_guard,
    encode_journal,
)
from consensus.types import Floor, Position, Ref
from ledger.certificates import Certificate


@dataclass(slots=True)
class Disk:
    """Files of one node."""

    salt: bytes
    journal: bytes = b""
    sequence: int = 1
    guard: bytes | None = None
    blocks: list[Block] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    """The finalization stored with each block."""
    epochs: list[int] = field(default_factory=list)
    """The epoch of each block."""
    durable: set[bytes] = field(default_factory=set)
    """Digests whose bytes are in the journal."""

    def __post_init__(self) -> None:
        self.journal = encode_journal(self.salt, ())

    def persist(self, records: tuple[Record, ...], guard: Position | None) -> None:
        self.journal += encode_frame(self.salt, self.sequence, records)
        self.sequence += 1
        self.durable |= {record.digest for record in records if isinstance(record, StoredPayload)}
        if guard is not None:
            self.guard = encode_guard(guard)

    def tear(self, records: tuple[Record, ...], share: float) -> None:
        """The crash comes while the frame is being written."""
        frame = encode_frame(self.salt, self.sequence, records)
        self.journal += frame[: int(len(frame) * share)]

    def rewrite(self, records: tuple[Record, ...]) -> None:
        self.journal = encode_journal(self.salt, records)
        self.sequence = 1
        self.durable = {record.digest for record in records if isinstance(record, StoredPayload)}

    def load(self) -> Journal:
        """Read the journal and cut off a torn end, as a host does at start."""
        journal = decode_journal(self.journal)
        self.journal = self.journal[: journal.good_bytes]
        self.sequence = journal.next_sequence
        return journal

    def load_guard(self) -> Position | None:
        return decode_guard(self.guard) if self.guard is not None else None

    def append(self, block: Block, certificate: Certificate) -> None:
        """One block, its ref and the certificate that covers it, in one transaction."""
        self.blocks.append(block)
        self.epochs.append(certificate.epoch)
        self.certificates.append(certificate)

    def floor(self, root: bytes) -> Floor:
        if not self.blocks or self.blocks[-1].ref.digest == root:
            return Floor(Ref(0, root), None)
        return Floor(self.blocks[-1].ref, self.certificates[-1])

    def holds(self, digest: bytes) -> bool:
        return digest in self.durable or any(block.ref.digest == digest for block in self.blocks)
