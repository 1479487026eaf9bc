"""Brings kept proofs of misbehaviour onto the ledger: each until it is recorded, or can never be.

Knows proofs, final state and how to submit; judges nothing itself, contracts do. Must always hold: an offence that
every node saw is submitted by one of them, and by the next only if nothing came of it; few transactions wait at a
time; whatever a submission answers, this task goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from contracts.bodies import ConsensusEvidence
from contracts.limits import MAX_AUTHOR_EVIDENCE
from contracts.offences import MAX_OFFENCES, count_recent, is_recent, read_offence, read_offender
from ledger.errors import LedgerError
from ledger.offences import Proof, derive_offence_id
from node.chain import Chain
from node.errors import NodeError

KIND = "consensus.evidence"
TICK_S = 0.5
"""How often what waits is looked at; nothing is done while nothing waits."""
STAGGER_S = 3.0
"""Between one reporter's turn and the next one's: several blocks, so that the second sees what the first did."""
MAX_DELAY_S = 60.0
"""In a large set the last ones go together; the ledger refuses all but the first."""
MAX_UNDER_WAY = MAX_AUTHOR_EVIDENCE
"""Own transactions that wait at a time: what one block takes of one author."""
AGAIN_S = 10.0
"""After a submission that failed, or whose transaction was lost."""

Submit = Callable[[str, ConsensusEvidence], Awaitable[str]]


@dataclass(slots=True)
class _Case:
    """One offence on its way. `due` is in seconds of the event loop's clock."""

    proof: Proof
    due: float
    tx_id: str | None = None


class Accuser:
    """Takes proofs with `take`; `run` until cancelled."""

    def __init__(
        self, chain: Chain, me: str, submit: Submit, is_pending: Callable[[str], bool], log: Any, *, stagger_s: float
    ) -> None:
        """`submit` signs as this participant and raises NodeError; `is_pending` says whether a transaction waits."""
        self._chain = chain
        self._me = me
        self._submit = submit
        self._is_pending = is_pending
        self._log = log
        self._stagger_s = stagger_s
        self._cases: dict[str, _Case] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Offences that are not settled."""
        return len(self._cases)

    def take(self, proof: Proof) -> None:
        """A proof, new or from before a restart. Bounded by what the file keeps."""
        offence_id = derive_offence_id(self._chain.final.genesis.network, proof)
        delay = min(MAX_DELAY_S, self._rank(offence_id, proof) * self._stagger_s)
        self._cases.setdefault(offence_id, _Case(proof, asyncio.get_running_loop().time() + delay))
        self._wake.set()

    async def run(self) -> None:
        """Look after everything that waits."""
        while True:
            if not self._cases:
                self._wake.clear()
                await self._wake.wait()
            for offence_id in list(self._cases):
                await self._attend(offence_id)
            await asyncio.sleep(TICK_S)

    async def _attend(self, offence_id: str) -> None:
        case = self._cases[offence_id]
        now = asyncio.get_running_loop().time()
        if self._is_settled(offence_id, case):
            del self._cases[offence_id]
        elif case.tx_id is not None and self._is_pending(case.tx_id):
            return
        elif now >= case.due and self._under_way() < MAX_UNDER_WAY:
            case.due = now + AGAIN_S
            try:
                case.tx_id = await self._submit(
                    KIND,
                    ConsensusEvidence(
                        case.proof.epoch, case.proof.view, case.proof.signer, case.proof.first, case.proof.second
                    ),
                )
            except (NodeError, LedgerError) as error:
                self._log.warning("evidence_not_submitted", code=error.code, offence=offence_id)

    def _is_settled(self, offence_id: str, case: _Case) -> bool:
        """Recorded, or refused whatever is done. Judged by state first, so a restart needs no memory of its own."""
        final, proof = self._chain.final, case.proof
        if read_offence(final.read, offence_id) is not None:
            return True
        offender = read_offender(final.read, proof.signer)
        if offender is not None and count_recent(offender, proof.epoch) >= MAX_OFFENCES:
            return True
        if proof.epoch < final.validators.epoch and not is_recent(proof.epoch, final.validators.epoch):
            return True
        outcome = self._chain.transaction(case.tx_id) if case.tx_id is not None else None
        if outcome is None:
            return False
        self._log.warning("evidence_refused", code=outcome.receipt.code, offence=offence_id)
        return True

    def _under_way(self) -> int:
        return sum(case.tx_id is not None and self._is_pending(case.tx_id) for case in self._cases.values())

    def _rank(self, offence_id: str, proof: Proof) -> int:
        """Whose turn this node is: another order for each offence, the culprit left out, others than voters last."""
        names = [member.id for member in self._chain.final.validators.validators if member.id != proof.signer]
        if self._me not in names:
            return len(names)
        return (names.index(self._me) - int(offence_id[:8], 16)) % len(names)
