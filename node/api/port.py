"""What the HTTP interface asks of a node: the port that `node.runtime` fills and tests fake.

Knows shapes only. Reads are of final state; the only ways in are signed bytes, bodies that this node signs itself,
and the automatic roles of this participant.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from contracts.execution import ChainState
from contracts.genesis import Genesis
from contracts.invoicekeys import Identity
from contracts.riskbodies import Level
from node.agents.backtesting import Order
from node.api.billingport import BillingPort
from node.api.officeport import OfficePort
from node.api.payments import DeskPort
from node.clock import Clock
from node.outcomes import FinalBlock, TransactionOutcome
from node.snapshots.shelf import Shelf
from node.witnessing.collector import Collector
from node.witnessing.log import PublishedLog


class IdentityPort(Protocol):
    """Whose node this is."""

    @property
    def participant(self) -> str: ...


class ChainPort(Protocol):
    """Final blocks and final state."""

    @property
    def final(self) -> ChainState: ...
    def block_at(self, height: int) -> FinalBlock: ...
    def listed_before_blocks(self) -> tuple[int, list[str], list[str]]:
        """(height, claims, payouts): what blocks up to that height reported, which are not here; 0 if all are."""
        ...

    def transaction(self, tx_id: str) -> TransactionOutcome | None: ...
    def subscribe(self, after: int | None = None) -> AsyncIterator[FinalBlock]: ...


class NodePort(Protocol):
    """One running node."""

    @property
    def identity(self) -> IdentityPort: ...
    @property
    def genesis(self) -> Genesis: ...
    @property
    def network(self) -> str: ...
    @property
    def chain(self) -> ChainPort: ...
    @property
    def published(self) -> PublishedLog: ...
    @property
    def witnesses(self) -> Collector: ...
    @property
    def shelf(self) -> Shelf: ...
    @property
    def clock(self) -> Clock: ...
    async def submit(self, kind: str, body: Struct) -> str: ...
    async def submit_bytes(self, data: bytes) -> str: ...
    async def outcome(self, tx_id: str, timeout_s: float) -> TransactionOutcome: ...
    def is_pending(self, tx_id: str) -> bool: ...
    def status(self) -> Mapping[str, Any]:
        """`ready` (bool), `height`, `time_ms`, `peers` (connected), `mempool`, `halted` (code or null), ..."""
        ...


class RolesPort(Protocol):
    """What this participant's automatic roles offer to its own staff."""

    async def publish(
        self,
        consent_id: str,
        documents: Sequence[tuple[str, dict[str, Any]]],
        case_id: str | None = None,
        replaces: str | None = None,
    ) -> tuple[str, list[str]]:
        """Hospital: publish documents. Returns the transaction id and the record ids."""
        ...

    async def commit_policies(self, policies: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
        """Insurer: commit to policies. Returns the transaction id and one policy certificate each."""
        ...

    async def decision(self, claim_id: str) -> Mapping[str, Any] | None:
        """Insurer and co-adjudicator: what was decided, with amounts and reasons."""
        ...

    @property
    def office(self) -> OfficePort:
        """Everybody: figures, clocks and the work of this participant's people."""
        ...

    @property
    def desk(self) -> DeskPort:
        """Insurer: payment files, answers of the bank, further attempts. Raises Unavailable `no_bank` when asked."""
        ...

    @property
    def billing(self) -> BillingPort:
        """Hospital, insurer, TPA: batches. Raises Unavailable `no_role`."""
        ...

    def relay_payee(self, token: str, envelope: bytes) -> None:
        """Customer: the payee's opening for the insurers that the consent token names."""
        ...

    def mail_of(self, consent_id: str) -> list[dict[str, Any]]:
        """Customer: ciphertexts kept for the consent's mailbox: kind, subject, digest, envelope (hex)."""
        ...

    def rejection(self, record_id: str) -> list[str]:
        """Hospital: the codes with which a commission rejected a record; empty if none came."""
        ...

    def warnings(self, record_id: str) -> list[str]:
        """Hospital: what a commission let an accepted invoice pass with; empty if nothing."""
        ...

    def invoice_errors(self, after: int, limit: int) -> dict[str, Any]:
        """Commission: {items, next, more} of faults of e-invoices by hospital and month. Raises NodeError `no_role`."""
        ...

    def risk_hospitals(self, after: int, limit: int) -> dict[str, Any]:
        """Commission: {items, next, more} of hospitals, RK04, RK11, counts from 20 on. Raises NodeError `no_role`."""
        ...

    def risk_signals(self, after: int, limit: int) -> dict[str, Any]:
        """Insurer, TPA, commission: {items, next, more} of others' signals that count. Raises NodeError `no_role`."""
        ...

    def give_signal(self, claim_id: str | None, hospital: str | None, level: Level, days: int) -> str:
        """The same: the id of a signal that is on its way. Raises NodeError."""
        ...

    def withdraw_signal(self, signal_id: str, reason: str) -> None:
        """The same: take a signal back. Raises NodeError `not_ours`, `no_role`."""
        ...

    def risk_statistics(self) -> list[dict[str, Any]]:
        """Insurer: {month, graded, grades, hits by rule}, ascending by month. Raises NodeError `no_role`."""
        ...

    def contract_report(self, proposal_id: str) -> dict[str, Any] | None:
        """Everybody: {ok, code, detail, ...} of a proposed claim contract; None while the check is not done."""
        ...

    def keep_vote_reason(self, proposal_id: str, reason: str) -> None:
        """Everybody: why this participant votes although its own check does not speak for it."""
        ...

    def start_backtest(self, order: Order) -> str:
        """Everybody: the id of a backtest that began. Raises Unavailable `backtest_running`, CandidateRefused."""
        ...

    def backtest(self, backtest_id: str) -> dict[str, Any] | None:
        """Everybody: {backtest_id, status, done, total, code, detail, report}; None for no such job."""
        ...

    def cancel_backtest(self, backtest_id: str) -> None:
        """Everybody: end a backtest."""
        ...

    async def switch_shadow(self, release: str | None) -> None:
        """Everybody: what runs beside the decisions from now on. Raises CandidateRefused."""
        ...

    async def shadow_view(self, after: int, limit: int, worst: int) -> dict[str, Any]:
        """Everybody: {setting, summary, items, next, more} of shadow mode."""
        ...

    def prove_header(self, height: int) -> dict[str, Any]:
        """`anchor` (last final header, certificate), `leaf_index` and `path` of the header under its `log_root`.

        Index null and path empty for the last final header itself.
        """
        ...

    async def prove_invoice(self, identity: Identity) -> tuple[str | None, bytes]:
        """(record that used the invoice, or None; the proof's binary form). Raises InputError, NodeError."""
        ...

    def prove_record(self, record_id: str) -> bytes | None:
        """The binary form of a record's inclusion; None for no record."""
        ...

    async def dossier(self, claim_id: str, disclose: Sequence[str] = ("all",)) -> bytes:
        """The dossier of a claim, with what this participant may disclose of the chosen fields."""
        ...
