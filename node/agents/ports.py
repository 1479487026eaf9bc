"""What an agent asks of the node around it: final state, submission, the claim machine, the bank, keys, chance.

Knows shapes only, so that agents run in a test without sockets, processes or waiting. Must always hold: `final` shows
final state alone, and bytes given to `submit_bytes` twice are one transaction.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from contracts.case import Case
from contracts.cases.openings import Opening
from contracts.execution import ChainState
from contracts.risk.parameters import Parameters
from ledger.crypto.keys import KeyPair
from ledger.state import Versioned
from node.machine.examining import Texts
from node.outcomes import FinalBlock, TransactionOutcome
from node.vault import Vault
from node.vault.delivery import Delivery


class Ledger(Protocol):
    """The node's chain, as agents see it."""

    @property
    def final(self) -> ChainState:
        """State after the last final block."""
        ...

    def block_at(self, height: int) -> FinalBlock:
        """A final block. Raises StoreError `pruned`: this node does not have it."""
        ...

    def whole_above(self) -> int:
        """The height above which every final block is here; 0 if all are."""
        ...

    def state_family(self, family: str) -> Iterable[tuple[str, Versioned]]:
        """Every key of final state that begins with `family` and a slash; read once after a gap in the blocks."""
        ...

    def transaction(self, tx_id: str) -> TransactionOutcome | None:
        """What came of a transaction, once it is final. Raises StoreError `pruned`: final, the receipt is not here."""
        ...

    async def submit_bytes(self, data: bytes) -> str:
        """Admit a signed transaction. Raises Rejected, Overloaded."""
        ...


class Machine(Protocol):
    """Runs claim programs. An implementation bounds memory and time."""

    async def explain(self, source: str, case: Case) -> tuple[Any, list[Any]]:
        """(output, trace) of a program bundle for a checked case. Raises MachineError."""
        ...

    async def examine(self, texts: Texts) -> dict[str, Any]:
        """The report on a proposed claim contract, whatever it holds: {ok, code, detail, ...}."""
        ...


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """What the bank is asked to pay. `end_to_end_id` is the same for every attempt of one payout."""

    payout_id: str
    attempt: int
    end_to_end_id: str
    amount_fen: int
    currency: str
    payee: Opening


@dataclass(frozen=True, slots=True)
class Booking:
    """The bank booked it."""

    booking_date: str
    bank_reference: str
    account: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """The bank refused the order, or sent the money back; then `bank_reference` and `booking_date` name the return."""

    message_id: str
    status: str
    reasons: tuple[str, ...]
    booking_date: str = ""
    bank_reference: str = ""


class Bank(Protocol):
    """The insurer's bank. One attempt of a payout is paid once, however often it is asked for."""

    def check_payee(self, payee: Opening) -> str | None:
        """Why this account cannot be paid by this bank, as a code; None if nothing speaks against it."""
        ...

    async def pay(self, order: PaymentOrder) -> Booking | Rejection | None:
        """What came of an attempt whose order is final on the ledger; None while the bank has not answered.

        Silence is no failure (protocol rule 8).
        """
        ...


class Keys(Protocol):
    """Who this node is: node.identity.Identity."""

    @property
    def participant(self) -> str: ...
    @property
    def signing(self) -> KeyPair: ...
    @property
    def envelope(self) -> KeyPair: ...
    @property
    def key_id(self) -> str: ...
    @property
    def invoice(self) -> Mapping[tuple[str, int], KeyPair]: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything around an agent. `now_ms` is the node's wall clock, `chance` the system's randomness."""

    keys: Keys
    ledger: Ledger
    vault: Vault
    delivery: Delivery
    machine: Machine
    bank: Bank
    now_ms: Callable[[], int]
    chance: Callable[[int], bytes]
    risk: Parameters | None = None
    """What an insurer grades its claims with (node.toml `[risk]`); None: no claim is graded."""

    @property
    def me(self) -> str:
        """This node's participant id."""
        return self.keys.participant

    @property
    def network(self) -> str:
        return self.ledger.final.genesis.network

    def salt(self) -> str:
        """A fresh salt or secret: 64 hexadecimal digits."""
        return self.chance(32).hex()
