"""The automatic roles of a running node: vault, delivery, programs, bank and agents, put together and driven.

Knows the constructors and the order in which they start and stop. Holds no rule of a role. Must always hold: parcels
are answered before the links start, agents look at open work before anything new reaches them, and a dossier is built
from one head without an await in between.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from contracts.cases.evidence import date_of
from contracts.invoicekeys import Identity
from contracts.riskbodies import Level
from contracts.states import read_nullifier, read_participant, read_record
from ledger.crypto.keys import read_secret_file, write_secret_file
from ledger.logtiles import node_reader
from node.agents.backtesting import Order
from node.agents.bank import DemoBank
from node.agents.bankdesk import BankDesk
from node.agents.bankfolder import BankFolder, open_bank
from node.agents.billing import BillingAgent
from node.agents.house import House
from node.agents.ports import Ports
from node.agents.programs import Programs
from node.audit.build import build_dossier
from node.audit.dossier import encode_dossier
from node.audit.proofs import encode_proof
from node.audit.proving import UnknownRecord, build_inclusion, build_invoice_proof
from node.audit.selecting import select_fields
from node.audit.witnessed import add_checkpoint
from node.errors import Unavailable
from node.identity import KEYS
from node.proofs import ChainSource
from node.reports.office import Office
from node.riskfile import load_risk
from node.runtime import Node
from node.vault import Vault
from node.vault.delivery import Delivery

VAULT_KEY = "vault.key"
VAULT_KEY_BYTES = 32
VAULT_FOLDER = Path("data", "vault")


class NodeRoles:
    """What the participant's agents offer to its own staff (`node.api.port.RolesPort`)."""

    def __init__(self, node: Node, house: House, folder: BankFolder | None = None) -> None:
        self._node = node
        self.house = house
        self.desk = BankDesk(house.ports, house.insurer, folder)
        self.office = Office(house, node.config.reports.warn_bp, house.tell)

    async def publish(
        self,
        consent_id: str,
        documents: Sequence[tuple[str, dict[str, Any]]],
        case_id: str | None = None,
        replaces: str | None = None,
    ) -> tuple[str, list[str]]:
        """Hospital: publish documents. Returns the transaction id and the record ids."""
        return await self.house.publish(consent_id, documents, case_id, replaces)

    async def commit_policies(self, policies: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
        """Insurer: commit to policies. Returns the transaction id and one policy certificate each."""
        return await self.house.commit_policies(policies)

    async def decision(self, claim_id: str) -> Mapping[str, Any] | None:
        """Insurer and co-adjudicator: what was decided, with amounts and reasons."""
        return await self.house.decision(claim_id)

    @property
    def billing(self) -> BillingAgent:
        """Hospital, insurer, TPA: batches. Raises Unavailable `no_role`."""
        if self.house.billing is None:
            raise Unavailable("no_role", "this node does not act as hospital, insurer or tpa")
        return self.house.billing

    def relay_payee(self, token: str, envelope: bytes) -> None:
        """Customer: the payee's opening for the insurers that the consent token names."""
        self.house.mailroom.relay_payee(token, envelope)

    def mail_of(self, consent_id: str) -> list[dict[str, Any]]:
        """Customer: ciphertexts kept for the consent's mailbox."""
        return self.house.mailroom.mail_of(consent_id)

    def rejection(self, record_id: str) -> list[str]:
        """Hospital: the codes with which a commission rejected a record; empty if none came."""
        return self.house.hospital.rejection(record_id) if self.house.hospital else []

    def warnings(self, record_id: str) -> list[str]:
        """Hospital: what a commission let an accepted invoice pass with; empty if nothing."""
        return self.house.hospital.warnings(record_id) if self.house.hospital else []

    def invoice_errors(self, after: int, limit: int) -> dict[str, Any]:
        """Commission: faults of e-invoices by hospital and month, one page. Raises Unavailable."""
        return self.house.invoice_errors(after, limit)

    def risk_hospitals(self, after: int, limit: int) -> dict[str, Any]:
        """Commission: what RK04 and RK11 say of hospitals, one page. Raises Unavailable."""
        return self.house.risk_hospitals(after, limit)

    def risk_signals(self, after: int, limit: int) -> dict[str, Any]:
        """Insurer, TPA, commission: signals of others that count, one page. Raises Unavailable."""
        return self.house.risk_signals(after, limit)

    def give_signal(self, claim_id: str | None, hospital: str | None, level: Level, days: int) -> str:
        """The same: the id of a signal that is on its way. Raises SignalRefused, Unavailable."""
        return self.house.give_signal(claim_id, hospital, level, days)

    def withdraw_signal(self, signal_id: str, reason: str) -> None:
        """The same: take a signal back. Raises SignalRefused, Unavailable."""
        self.house.withdraw_signal(signal_id, reason)

    def risk_statistics(self) -> list[dict[str, Any]]:
        """Insurer: grades and hits of the risk rules by month. Raises Unavailable."""
        return self.house.risk_statistics()

    def contract_report(self, proposal_id: str) -> dict[str, Any] | None:
        """Everybody: what this node's own check made of a proposed claim contract; None while it is not done."""
        return self.house.examiner.report(proposal_id)

    def keep_vote_reason(self, proposal_id: str, reason: str) -> None:
        """Everybody: why this participant votes although its own check does not speak for it."""
        self.house.examiner.keep_reason(proposal_id, reason)

    def start_backtest(self, order: Order) -> str:
        """Everybody: the id of a backtest that began. Raises Unavailable `backtest_running`, CandidateRefused."""
        return self.house.backtester.start(order)

    def backtest(self, backtest_id: str) -> dict[str, Any] | None:
        """Everybody: how far a backtest is, its report once it is done; None for no such job."""
        return self.house.backtester.view(backtest_id)

    def cancel_backtest(self, backtest_id: str) -> None:
        """Everybody: end a backtest."""
        self.house.backtester.cancel(backtest_id)

    async def switch_shadow(self, release: str | None) -> None:
        """Everybody: what runs beside the decisions from now on. Raises CandidateRefused."""
        await self.house.shadow.switch(release)

    async def shadow_view(self, after: int, limit: int, worst: int) -> dict[str, Any]:
        """Everybody: what runs in shadow mode, its sum and a page of its results."""
        return await self.house.shadow.view(after, limit, worst)

    def prove_header(self, height: int) -> dict[str, Any]:
        """A header's way to finality: the last final header with its certificate, and the leaf path to it."""
        source = ChainSource(self._node.chain)
        header, certificate = source.head
        index = source.header_leaf_index(height) if height < header.height else None
        path = [] if index is None else [item.hex() for item in source.leaf_path(index)]
        anchor = {"header": to_builtins(header), "certificate": to_builtins(certificate)}
        return {"anchor": anchor, "leaf_index": index, "path": path}

    async def prove_invoice(self, identity: Identity) -> tuple[str | None, bytes]:
        """(record that used the invoice, or None; the proof). Raises InputError, NoInvoiceKey, Unavailable."""
        lock = await self.house.locks.lock_of(identity)
        used = read_nullifier(self._node.chain.final.read, lock.nullifier)
        source = ChainSource(self._node.chain)
        proof = build_invoice_proof(source, identity, bytes.fromhex(lock.signature))
        return (used.record_id if used else None), encode_proof(proof)

    def prove_record(self, record_id: str) -> bytes | None:
        """The binary form of a record's inclusion; None for no record."""
        try:
            return encode_proof(build_inclusion(ChainSource(self._node.chain), record_id))
        except UnknownRecord:
            return None

    async def dossier(self, claim_id: str, disclose: Sequence[str] = ("all",)) -> bytes:
        """The dossier of a claim, with what this participant may disclose of the chosen fields.

        Raises UnknownClaim, InputError `disclose`.
        """
        material, read = self.house.discloser.dossier_material(claim_id), self._node.chain.final.read
        known = {item.record_id: read_record(read, item.record_id) for item in material.records}
        types = {record_id: record.record_type for record_id, record in known.items() if record is not None}
        shown = select_fields(material, disclose, types)
        dossier = build_dossier(ChainSource(self._node.chain), claim_id, shown)
        tiles = node_reader(self._node.chain.store.tile)
        return encode_dossier(add_checkpoint(dossier, self._node.witnesses.witnessed(), tiles))


@asynccontextmanager
async def prepared_roles(node: Node) -> AsyncIterator[NodeRoles]:
    """Open the vault and register for parcels; call before the links start. `running_roles` drives what is returned."""
    vault = Vault(node.folder / VAULT_FOLDER, _vault_key(node.folder), now_ms=node.clock.now_ms)
    programs = Programs()
    try:
        delivery = Delivery(node.identity.participant, vault, node.peers, lambda: node.chain.final)
        delivery.register()
        folder = open_bank(node.folder, node.config.bank, vault, lambda: node.chain.final, node.clock.now_ms)
        ports = Ports(
            keys=node.keys,
            ledger=NodeLedger(node),
            vault=vault,
            delivery=delivery,
            machine=programs,
            bank=folder.bank if folder else DemoBank(lambda: _today(node)),
            now_ms=node.clock.now_ms,
            chance=os.urandom,
            risk=load_risk(node.folder, node.config.risk),
        )
        off = [name for name, on in node.config.agents.items() if not on]
        member = read_participant(node.chain.final.read, node.identity.participant)
        yield NodeRoles(node, House(ports, member.roles if member else (), off), folder)
    finally:
        programs.close()
        vault.close()


@asynccontextmanager
async def running_roles(node: Node, roles: NodeRoles) -> AsyncIterator[None]:
    """Drive the agents while the context lasts."""
    house = roles.house
    node.chain.on_commit.append(lambda _: house.tell())
    house.start()
    work = asyncio.get_running_loop().create_task(house.run())
    try:
        yield
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


class NodeLedger:
    """The agents' view of a node (`node.agents.ports.Ledger`)."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def final(self) -> Any:
        """The latest final state."""
        return self._node.chain.final

    def block_at(self, height: int) -> Any:
        """A final block."""
        return self._node.chain.block_at(height)

    def whole_above(self) -> int:
        """The height above which every final block is here."""
        return self._node.chain.store.whole_above()

    def state_family(self, family: str) -> Any:
        """Final state of all keys of a family."""
        return self._node.chain.store.state_family(family)

    def transaction(self, tx_id: str) -> Any:
        """The outcome of a final transaction, or None."""
        return self._node.chain.transaction(tx_id)

    async def submit_bytes(self, data: bytes) -> str:
        """Admit a signed transaction; its id."""
        return await self._node.submit_bytes(data)


def _today(node: Node) -> str:
    parameters = node.genesis.parameters
    return date_of(node.chain.final.time_ms, parameters.utc_offset_minutes)


def _vault_key(folder: Path) -> bytes:
    """The key of this node's vault, made on the first start. Raises KeyFileError."""
    path = folder / KEYS / VAULT_KEY
    if not path.exists():
        write_secret_file(path, os.urandom(VAULT_KEY_BYTES))
    return read_secret_file(path)
