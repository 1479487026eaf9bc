"""One transaction per cause, whatever happens in between: durable before it is sent, the same bytes again after.

Knows how this node signs. Must not know what a body means. Must always hold: under one key at most one transaction
is under way; a new one is signed only when the one before has its receipt or can no longer get one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contracts.receipts import Receipt
from ledger.errors import StoreError
from ledger.transactions import Endorsement, SignedTransaction, build_transaction
from node.agents.ports import Ports
from node.errors import NodeError, Overloaded, Rejected
from node.vault.worklist import Submission

LIFETIME_MS = 3_600_000
"""A transaction of an agent is final within seconds or not at all; an hour survives a network's bad morning."""
RECEIPT_PRUNED = "RECEIPT_PRUNED"
"""The transaction is final in a block that this node does not have: what came of it is what state says now."""
RESEND_MS = 5_000
"""The same bytes are offered again this often: the mempool that held them may have been restarted."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`receipt` once final. Until then `code` says what is going on: `submitted`, or why the node did not take it.

    RECEIPT_PRUNED: final without a receipt here, and forgotten, so that the caller's next look at state decides.
    """

    receipt: Receipt | None
    code: str


class Submitter:
    """Signs and submits for one agent of this node."""

    def __init__(self, ports: Ports, agent: str = "") -> None:
        self._ports = ports
        self._agent = agent

    async def submit_once(self, key: str, subject: str, kind: str, build: Callable[[], Any]) -> Progress:
        """Submit what `build` gives under `key`, or follow what was submitted before. See `settle`.

        The receipt wakes `subject` of the agent.
        """
        return await self.submit_signed(key, subject, lambda: self.sign(kind, build()))

    async def submit_signed(self, key: str, subject: str, build: Callable[[], SignedTransaction]) -> Progress:
        """`submit_once` for a transaction that the caller signs itself."""
        work = self._ports.vault.work
        found = work.submission(key)
        try:
            if found is not None and self._is_dead(found):
                work.delete_submission(key)
                found = None
        except StoreError as error:
            if error.code != "pruned":
                raise
            work.delete_submission(key)
            return Progress(None, RECEIPT_PRUNED)
        if found is None:
            signed = build()
            expires = signed.content.expires_time
            found = Submission(key, signed.tx_id, signed.encoded, expires, 0, self._agent, subject)
            work.save_submission(found)
        outcome = self._ports.ledger.transaction(found.tx_id)
        if outcome is not None:
            return Progress(outcome.receipt, outcome.receipt.code)
        return await self._send(found)

    def settle(self, key: str) -> None:
        """The receipt was acted on: the next `submit_once` under this key signs anew."""
        self._ports.vault.work.delete_submission(key)

    def sign(
        self,
        kind: str,
        body: Any,
        endorsements: Sequence[Endorsement] = (),
        *,
        nonce: str | None = None,
        expires_ms: int | None = None,
    ) -> SignedTransaction:
        """A transaction by this node."""
        keys = self._ports.keys
        return build_transaction(
            network=self._ports.network,
            kind=kind,
            body=body,
            author=keys.participant,
            key_id=keys.key_id,
            seed=keys.signing.secret,
            nonce=nonce or self._ports.chance(16).hex(),
            expires_time=expires_ms or self.expiry_ms(),
            endorsements=endorsements,
        )

    def expiry_ms(self) -> int:
        """When a transaction signed now expires: on block time, which may run behind this clock or ahead of it."""
        return max(self._ports.now_ms(), self._ports.ledger.final.time_ms) + LIFETIME_MS

    def _is_dead(self, found: Submission) -> bool:
        missing = self._ports.ledger.transaction(found.tx_id) is None
        return missing and self._ports.ledger.final.time_ms > found.expires_ms

    async def _send(self, found: Submission) -> Progress:
        now = self._ports.now_ms()
        if found.sent_ms and now < found.sent_ms + RESEND_MS:
            return Progress(None, "submitted")
        code = "submitted"
        try:
            await self._ports.ledger.submit_bytes(found.data)
        except Overloaded:
            return Progress(None, "overloaded")
        except Rejected as error:
            code = error.code
            if found.sent_ms == 0:
                self.settle(found.key)
                return Progress(None, code)
        except NodeError as error:
            return Progress(None, error.code)
        self._ports.vault.work.save_submission(replace(found, sent_ms=now))
        return Progress(None, code)
