"""What the insurer needs for one adjudication, gathered from the vault: evidence, pool, payee, policies.

Knows the kinds of parcels and their senders. Must not know the claim program. Must always hold: nothing is used whose
commitment is not the one on the ledger; what is missing is asked for, and named.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from contracts.cases.building import event_date_of
from contracts.cases.checking import LedgerFacts
from contracts.cases.documents import Record, read_record
from contracts.cases.errors import CaseError
from contracts.cases.openings import Opening
from contracts.commitments import commit
from contracts.errors import InputError
from contracts.states import RecordState
from ledger.errors import DecodeError
from node.agents.holdbook import with_holds
from node.agents.mail import keepers_of, open_latest, read_parcels
from node.agents.policies import HeldPolicy, PolicyBook
from node.agents.pooling import find_pool
from node.agents.ports import Ports
from node.agents.rulebook import apply_pins
from node.errors import NodeError

PULL_AFTER_MS: Final = 2_000
"""Block time after which what the others send by themselves is asked for."""


class Missing(NodeError):
    """Something has not arrived: `MISSING_RECORD`, `MISSING_POOL`, `MISSING_PAYEE`."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """The inputs of one adjudication."""

    records: tuple[Record, ...]
    pool: Opening
    payee: Opening
    policies: tuple[HeldPolicy, ...]


class Gatherer:
    """Collects inputs; asks their holders for what is not here."""

    def __init__(self, ports: Ports, book: PolicyBook) -> None:
        self._ports = ports
        self._book = book

    async def gather(self, facts: LedgerFacts) -> Gathered:
        """Everything for a claim. Raises Missing, CaseError, VaultError."""
        records = [await self._record(facts, record_id, state) for record_id, state in sorted(facts.records.items())]
        pool, payee = await self._pool(facts), self._payee(facts)
        versions = {item.policy_id: facts.accounts[item.account_id].version for item in facts.claim.policies}
        held = [self._book.held(policy_id, version) for policy_id, version in versions.items()]
        final, event_date = self._ports.ledger.final, event_date_of(records)
        pairs = zip(facts.claim.policies, held, strict=True)
        policies = tuple(self._with_holds(facts, apply_pins(final, pinned, one, event_date)) for pinned, one in pairs)
        return Gathered(tuple(records), pool, payee, policies)

    def _with_holds(self, facts: LedgerFacts, held: HeldPolicy) -> HeldPolicy:
        return replace(held, policy=with_holds(self._ports, held.policy, facts.holds, facts.claim.attempt))

    async def _record(self, facts: LedgerFacts, record_id: str, state: RecordState) -> Record:
        content = open_latest(self._ports, "record", record_id, sender=state.hospital)
        if content is None and self._is_late(facts):
            await self._ports.delivery.pull(state.hospital, "record", record_id)
            content = open_latest(self._ports, "record", record_id, sender=state.hospital)
        if content is None:
            raise Missing("MISSING_RECORD", f"record {record_id} has not arrived from {state.hospital}")
        record = read_record(record_id, content)
        if not _opens(record, state):
            raise CaseError("DOCUMENT_FORM", f"record {record_id} is not what its hospital committed to")
        return record

    async def _pool(self, facts: LedgerFacts) -> Opening:
        """The opening of the pool's current version: the commission's, or of the insurer that decided before."""
        found = find_pool(self._ports, facts.claim.case_id)
        if found is None and self._is_late(facts):
            for holder in keepers_of(facts.consent):
                if await self._ports.delivery.pull(holder, "pool", facts.claim.case_id):
                    break
            found = find_pool(self._ports, facts.claim.case_id)
        if found is None:
            raise Missing("MISSING_POOL", f"no opening of pool version {facts.pool.version} has arrived")
        return found

    def _is_late(self, facts: LedgerFacts) -> bool:
        """Whether what is missing should have come by itself by now."""
        return facts.time_ms > (facts.claim.ready_ms or 0) + PULL_AFTER_MS

    def _payee(self, facts: LedgerFacts) -> Opening:
        for _, opening in read_parcels(self._ports, "payee", facts.claim.consent_id, dict[str, Any]):
            if _commits("payee", opening, facts.consent.payee_commit):
                return opening
        raise Missing("MISSING_PAYEE", "the opening of the consent's payee has not arrived")


def _opens(record: Record, state: RecordState) -> bool:
    try:
        return record.commitment == state.commitment and record.record_type == state.record_type
    except (InputError, DecodeError, ValueError):
        return False


def _commits(kind: Any, opening: Opening, expected: str) -> bool:
    try:
        return commit(kind, opening) == expected
    except (InputError, DecodeError):
        return False
