"""Who votes in which epoch of a simulated network, read from blocks alone.

A transaction that the test registered as a change names the next set; the block that carries it closes its epoch.
Knows nothing of nodes. Must always hold: the same blocks give the same sets, whoever reads them.
"""

from dataclasses import dataclass, field

from consensus.types import Signer
from ledger.certificates import ValidatorSet
from tests.support.simulator_app import HEADER_BYTES, transactions_of
from tests.support.simulator_crypto import Seats, seated_validators, signer_of


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: its set, the block it builds on, and what its leaders are drawn from."""

    number: int
    seats: Seats
    validators: ValidatorSet
    root: bytes
    seed: bytes

    @property
    def quorum(self) -> int:
        return self.validators.quorum

    @property
    def faulty(self) -> int:
        return (len(self.validators) - 1) // 3


@dataclass(slots=True)
class Membership:
    """The rules of governance of a simulated application."""

    real: bool
    changes: dict[bytes, Seats] = field(default_factory=dict)
    """Transactions that name the next set."""

    def first(self, n: int, root: bytes) -> Epoch:
        seats = {f"v{i:02}": i for i in range(n)}
        return Epoch(1, seats, seated_validators(seats, 1, self.real), root, root)

    def closes(self, payload: bytes) -> bool:
        """Whether a block is the last of its epoch."""
        if not self.changes or len(payload) <= HEADER_BYTES:
            return False
        return any(tx in self.changes for tx in transactions_of(payload))

    def following(self, epoch: Epoch, digest: bytes, payload: bytes) -> Epoch:
        """The epoch after a block: the same one, or the next if the block closes it. A2: leaders of the next epoch are
        drawn with the root of this one, which whoever made the block could not choose."""
        if not self.closes(payload):
            return epoch
        seats = [self.changes[tx] for tx in transactions_of(payload) if tx in self.changes][-1]
        number = epoch.number + 1
        return Epoch(number, seats, seated_validators(seats, number, self.real), digest, epoch.root)

    def signer(self, epoch: Epoch, name: str) -> Signer | None:
        return signer_of(epoch.seats[name], self.real) if name in epoch.seats else None
