"""All automatic roles of one participant: which agents run, the loop that drives them, and what they offer.

Knows agents and the delivery; holds no rule of a role. Must always hold: pending parcels are judged before agents look,
what agents owe is sent after, and a round that fails does not end the loop.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import structlog

from contracts.errors import ContractError
from contracts.riskbodies import Level
from contracts.risksignals import SIGNALLERS
from ledger.errors import LedgerError
from node.agents.adjudicator import AdjudicatorAgent
from node.agents.agent import Agent
from node.agents.backtesting import Backtester
from node.agents.billing import BillingAgent
from node.agents.commission import CommissionAgent
from node.agents.disclosure import Discloser
from node.agents.examiner import ExaminerAgent
from node.agents.grading import Grader
from node.agents.hospital import HospitalAgent
from node.agents.hospitalbook import HospitalBook
from node.agents.insurer import InsurerAgent
from node.agents.locks import LockDesk
from node.agents.mailroom import Mailroom
from node.agents.pastclaims import PastClaims
from node.agents.ports import Ports
from node.agents.shadow import ShadowAgent
from node.agents.signalling import SignalAgent, SignalRefused
from node.agents.submitting import Submitter
from node.errors import NodeError, Unavailable
from node.vault import StoredParcel

IDLE_S: Final = 0.5
"""Without any news the house looks around this often: retries and put-off work have their own times."""
MAX_ROUNDS: Final = 50
"""Rounds in one go before the loop lets the rest of the node work."""
CO_ADJUDICATING: Final = frozenset({"tpa", "commission", "auditor", "insurer"})
BILLING: Final = frozenset({"hospital", "insurer", "tpa"})
_log = structlog.get_logger()


class House:
    """The roles of one participant, as far as they are switched on (`node.api.port.RolesPort`)."""

    def __init__(self, ports: Ports, roles: Iterable[str], switched_off: Iterable[str] = ()) -> None:
        """`roles` as registered; `switched_off` names agents (node.toml `[agents]`, false)."""
        held, off = frozenset(roles), frozenset(switched_off)
        self.ports = ports
        self.hospital = HospitalAgent(ports) if "hospital" in held - off else None
        self.commission = CommissionAgent(ports) if "commission" in held - off else None
        self.insurer = InsurerAgent(ports) if "insurer" in held - off else None
        judges = bool(CO_ADJUDICATING & held) and "adjudicator" not in off and bool((CO_ADJUDICATING & held) - off)
        self.adjudicator = AdjudicatorAgent(ports) if judges else None
        self.mailroom = Mailroom(ports, Submitter(ports))
        self.discloser = Discloser(ports, self.insurer, self.adjudicator)
        self.locks = LockDesk(ports, self.commission)
        self.examiner = ExaminerAgent(ports)
        self._news = asyncio.Event()
        past = PastClaims(ports)
        self.backtester = Backtester(ports, past)
        self.shadow = ShadowAgent(ports, past, self.tell)
        signals = bool(SIGNALLERS & held) and "signals" not in off
        self.signals = SignalAgent(ports) if signals else None
        self.billing = BillingAgent(ports) if BILLING & held - off else None
        found = (
            self.hospital,
            self.commission,
            self.insurer,
            self.adjudicator,
            self.signals,
            self.billing,
            self.examiner,
            self.shadow,
        )
        self.agents: tuple[Agent, ...] = tuple(agent for agent in found if agent is not None)
        ports.delivery.on_arrival(self._receive)

    # --- the loop

    def start(self) -> None:
        """After the node started: open work is looked at again."""
        for agent in self.agents:
            agent.start()

    def tell(self) -> None:
        """There is news: a final block. Safe to call from any callback of the event loop."""
        self._news.set()

    async def run(self) -> None:
        """Work for ever; cancel to stop."""
        try:
            while True:
                self._news.clear()
                for _ in range(MAX_ROUNDS):
                    moved = await self._work_safely()
                    self.ports.delivery.dispatch()
                    if moved == 0:
                        break
                    await asyncio.sleep(0)
                await self._wait_for_news()
        finally:
            await self.examiner.close()
            await self.backtester.close()
            await self.shadow.close()
            await self.ports.delivery.close()

    async def round(self) -> int:
        """Work, and wait until what is owed was sent: for callers that take turns. Returns how much moved."""
        return await self._work() + await self.ports.delivery.drain()

    async def _work(self) -> int:
        """One look at everything: blocks, parcels, work. Returns how much moved."""
        moved = sum(agent.catch_up() for agent in self.agents)
        moved += self.ports.delivery.confirm_pending()
        for agent in self.agents:
            moved += await agent.reconcile()
        return moved

    async def _work_safely(self) -> int:
        try:
            return await self._work()
        except (NodeError, LedgerError, ContractError) as error:
            _log.error("agents.round_failed", code=error.code)
            return 0

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(IDLE_S):
                await self._news.wait()
        except TimeoutError:
            return

    def _receive(self, parcel: StoredParcel) -> None:
        for agent in self.agents:
            agent.receive(parcel)
        self._news.set()

    # --- what it offers (RolesPort)

    async def publish(
        self,
        consent_id: str,
        documents: Sequence[tuple[str, dict[str, Any]]],
        case_id: str | None = None,
        replaces: str | None = None,
    ) -> tuple[str, list[str]]:
        """Hospital: publish documents. Returns (transaction id, record ids). Raises Unavailable, PublicationRefused."""
        if self.hospital is None:
            raise _no_role("hospital")
        published = await self.hospital.publish_records(consent_id, documents, case_id=case_id, replaces=replaces)
        self._news.set()
        return published

    async def commit_policies(self, policies: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
        """Insurer: commit to policies. Returns (transaction id, certificates). Raises Unavailable, PolicyRefused."""
        if self.insurer is None:
            raise _no_role("insurer")
        return await self.insurer.commit_policies(policies)

    async def decision(self, claim_id: str) -> Mapping[str, Any] | None:
        """What was decided, for the insurer's or co-adjudicator's own staff."""
        return self.discloser.decision(claim_id)

    def invoice_errors(self, after: int, limit: int) -> dict[str, Any]:
        """Commission: faults of e-invoices by hospital and month, one page. Raises Unavailable."""
        if self.commission is None:
            raise _no_role("commission")
        return self.commission.book.errors(after=after, limit=limit)

    def risk_hospitals(self, after: int, limit: int) -> dict[str, Any]:
        """Commission: what RK04 and RK11 say of hospitals, one page. Raises Unavailable."""
        if self.commission is None:
            raise _no_role("commission")
        return HospitalBook(self.ports).view(after, limit)

    def risk_signals(self, after: int, limit: int) -> dict[str, Any]:
        """Insurer, TPA, commission: signals of others that count, one page. Raises Unavailable."""
        return self._require_signals().signals(after=after, limit=limit)

    def give_signal(self, claim_id: str | None, hospital: str | None, level: Level, days: int) -> str:
        """Signal what was found of a graded claim or a counted hospital. Raises SignalRefused, Unavailable."""
        agent = self._require_signals()
        if (claim_id is None) == (hospital is None):
            raise SignalRefused("one_subject", "name a claim or a hospital")
        if claim_id is not None:
            signal_id = agent.signal_claim(claim_id, level, days)
        else:
            if self.commission is None:
                raise _no_role("commission")
            assessment = HospitalBook(self.ports).assess(str(hospital))
            signal_id = agent.signal_hospital(str(hospital), assessment, level, days)
        self._news.set()
        return signal_id

    def withdraw_signal(self, signal_id: str, reason: str) -> None:
        """Take a signal of ours back. Raises SignalRefused, Unavailable."""
        self._require_signals().withdraw(signal_id, reason)
        self._news.set()

    def _require_signals(self) -> SignalAgent:
        if self.signals is None:
            raise _no_role("insurer, TPA or commission")
        return self.signals

    def risk_statistics(self) -> list[dict[str, Any]]:
        """Insurer: grades and hits of the risk rules by month. Raises Unavailable."""
        if self.insurer is None:
            raise _no_role("insurer")
        return Grader(self.ports).statistics()

    async def relay_token(self, token: str) -> str:
        """Submit a customer's consent, revocation or acknowledgement. Returns the transaction id."""
        return await self.mailroom.relay_token(token)


def _no_role(role: str) -> Unavailable:
    return Unavailable("no_role", f"this node does not act as {role}")
