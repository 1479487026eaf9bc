"""A hospital's batches between its node, the reviewer's and the insurer's: submitted, judged, paid, acknowledged.

People decide and this agent signs, seals and follows: what a commitment hides goes as a parcel that is held back until
the ledger took the transaction. Subjects are batch ids. Must always hold: a line is endorsed only if this node's own
opening of the draw says the same, nothing is paid but endorsed lines that open to their commitments, and a hospital
acknowledges only the sum that it says arrived.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from contracts.cases.batches import (
    DAY_MS,
    check_settlement,
    open_batch_settlement,
    open_line,
    open_totals,
    review_lines,
)
from contracts.cases.openings import Opening
from contracts.commitments import commit
from contracts.holdbodies import MAX_LINES, BatchAck, BatchLine, BatchReview, BatchSettle, BatchSubmit, LineVerdict
from contracts.holdstates import BatchState, read_batch, read_guarantee
from contracts.identifiers import derive_batch_id
from contracts.receipts import Event
from contracts.states import read_claim, read_policy
from node.agents.agent import AGAIN, Agent, Step, done, wait
from node.agents.batchbook import BatchBook, BillingRefused, is_line, opens
from node.agents.mail import post, seal_parcel
from node.agents.messages import DrawOpening
from node.agents.ports import Ports
from node.agents.submitting import RECEIPT_PRUNED
from node.vault import StoredParcel
from node.vault.parcels import Kind
from node.vault.worklist import WorkItem

ACTS: Final[Mapping[str, Kind | None]] = {
    "batch.submit": "batch",
    "batch.review": "batch-word",
    "batch.settle": "batch-payment",
    "batch.ack": None,
}
"""Transaction kind -> the parcel that leaves once it is final."""
RETURN_REASONS: Final = frozenset({"DOCUMENTS_MISSING", "NOT_OF_PERIOD", "DUPLICATE_SERVICE", "UNDER_DISPUTE"})
"""What people may return a line for. `UNKNOWN_DRAW`, `AMOUNT_DIFFERS`, `CURRENCY_DIFFERS` and `OPENING_DIFFERS` are
found by the node itself."""


class BillingAgent(Agent):
    """Batches of one participant: as hospital, reviewer or insurer."""

    name: ClassVar[str] = "billing"

    def __init__(self, ports: Ports) -> None:
        super().__init__(ports)
        self.book = BatchBook(ports)

    # --- the insurer's draws

    def tell_draw(self, guarantee_id: str, told_opening: DrawOpening) -> None:
        """Insurer: hospital and co-adjudicators get the opening of a draw that is final. Raises BillingRefused."""
        opening: Opening = msgspec.to_builtins(told_opening)
        read = self.ports.ledger.final.read
        guarantee = read_guarantee(read, guarantee_id)
        if guarantee is None or guarantee.insurer != self.ports.me:
            raise BillingRefused("not_found", "no such guarantee of this insurer")
        if not opens("draw", opening, guarantee.draw_commit) or opening.get("guarantee_id") != guarantee_id:
            raise BillingRefused("no_opening", "this is not the opening of the draw on the ledger")
        policy, claim = read_policy(read, guarantee.policy_id), read_claim(read, guarantee.claim_id)
        told = {guarantee.hospital, *(policy.co_adjudicators if policy else ())} - {self.ports.me}
        envelope = seal_parcel(self.ports, "draw", guarantee_id, opening, told)
        post(self.ports, "draw", guarantee_id, claim.case_id if claim else None, envelope, told)

    # --- what people see and ask for

    def batches(self, after: int, limit: int) -> dict[str, Any]:
        """{items, next, more} of this participant's batches."""
        return self.book.batches(after, limit)

    def batch(self, batch_id: str) -> dict[str, Any]:
        """One batch, line by line. Raises BillingRefused `not_found`."""
        return self.book.view(batch_id)

    def receivables(self) -> dict[str, Any]:
        """What is drawn and not paid, by the other side and by age."""
        return self.book.receivables()

    async def submit(
        self,
        insurer: str,
        reviewer: str | None = None,
        guarantees: Sequence[str] = (),
        period: tuple[int, int] | None = None,
    ) -> tuple[str, str]:
        """Hospital: the next batch to an insurer. Returns (batch id, transaction id). Raises BillingRefused, CaseError.

        Without guarantees all that are drawn and in no batch, the oldest first, as many as a batch takes; without a
        period (from, to; milliseconds) from the day of the oldest draw until now.
        """
        chosen = list(guarantees) or self.book.drawn(insurer)[:MAX_LINES]
        if not 0 < len(chosen) <= MAX_LINES:
            raise BillingRefused("too_many" if chosen else "no_lines", f"{len(chosen)} lines; 1 to {MAX_LINES}")
        lines = [open_line(self._require_draw(name), self.ports.salt()) for name in chosen]
        totals = open_totals(lines, self.ports.salt())
        sequence = self.book.next_sequence(insurer)
        from_ms, to_ms = period or self._period(chosen)
        body = BatchSubmit(
            insurer=insurer,
            reviewer=reviewer or insurer,
            sequence=sequence,
            from_ms=from_ms,
            to_ms=to_ms,
            totals_commit=commit("batch-totals", totals),
            lines=tuple(BatchLine(line["guarantee_id"], commit("batch-line", line)) for line in lines),
        )
        batch_id = derive_batch_id(self.ports.me, insurer, sequence)
        content = {"lines": lines, "totals": totals}
        return batch_id, await self._act(batch_id, "batch.submit", body, content, {insurer, body.reviewer})

    async def review(self, batch_id: str, returns: Mapping[int, str]) -> str:
        """Reviewer: a word on every open line; those in `returns` (place -> reason) go back. Returns the transaction
        id. Raises BillingRefused."""
        batch = self.book.require(batch_id)
        if batch.reviewer != self.ports.me:
            raise BillingRefused("not_found", f"the batch names {batch.reviewer} as its reviewer")
        unknown = sorted(set(returns.values()) - RETURN_REASONS)
        if unknown or any(not 0 <= place < len(batch.lines) for place in returns):
            known = ", ".join(sorted(RETURN_REASONS))
            raise BillingRefused("return_reason", f"name lines of the batch by their places, and one of {known}")
        words = self._judge(batch_id, batch, returns)
        if not words:
            raise BillingRefused("not_open", "every line has its word")
        verdicts = tuple(
            LineVerdict(place, "returned" if reason else "endorsed", commit("batch-reason", reason) if reason else None)
            for place, reason in words
        )
        content = {"reasons": [reason for _, reason in words if reason]}
        told = {batch.hospital, batch.insurer}
        return await self._act(batch_id, "batch.review", BatchReview(batch_id, verdicts), content, told)

    async def settle(self, batch_id: str, amount_fen: int, booking: Mapping[str, str]) -> str:
        """Insurer: the bank booked one payment for all endorsed lines. `booking` is account, booking_date,
        bank_reference. Returns the transaction id. Raises BillingRefused `amount` for another sum than theirs."""
        batch = self.book.require(batch_id)
        if batch.insurer != self.ports.me:
            raise BillingRefused("not_found", f"the batch is one to {batch.insurer}")
        if batch.status != "REVIEWED":
            raise BillingRefused("not_open", f"the batch is {batch.status}")
        lines = self._payable(batch_id, batch)
        opening = open_batch_settlement(batch_id, batch.lines, lines, booking, self.ports.salt())
        due = opening["amount_fen"]
        if due != amount_fen:
            raise BillingRefused("amount", f"the endorsed lines are {due}, the bank booked {amount_fen}")
        body = BatchSettle(batch_id, commit("batch-settlement", opening))
        return await self._act(batch_id, "batch.settle", body, opening, {batch.hospital})

    async def acknowledge(self, batch_id: str, amount_fen: int) -> str:
        """Hospital: `amount_fen` arrived. Returns the transaction id. Raises BillingRefused `amount`, CaseError
        `SETTLEMENT_DIFFERS` where the insurer's breakdown is not what the endorsed lines add up to."""
        batch = self.book.require(batch_id)
        if batch.hospital != self.ports.me:
            raise BillingRefused("not_found", f"the batch is one of {batch.hospital}")
        if batch.status != "SETTLED" or batch.settlement_commit is None:
            raise BillingRefused("not_open", f"the batch is {batch.status}")
        payment = self.book.payment(batch_id, batch)
        if payment is None:
            raise BillingRefused("no_opening", "the insurer's breakdown of this payment has not arrived here")
        check_settlement(payment, batch.lines, self.book.lines(batch_id, batch))
        if payment["amount_fen"] != amount_fen:
            raise BillingRefused("amount", f"the settlement says {payment['amount_fen']}, {amount_fen} arrived")
        return await self._act(batch_id, "batch.ack", BatchAck(batch_id, batch.settlement_commit), None, set())

    # --- following

    def interests(self, event: Event) -> Iterable[str]:
        return ()

    def arrivals(self, parcel: StoredParcel) -> Iterable[str]:
        return ()

    async def step(self, item: WorkItem) -> Step:
        """What became of the transactions about a batch: their parcels leave, or never do."""
        for kind, parcel in ACTS.items():
            key = f"{kind}/{item.subject}"
            if self.vault.work.submission(key) is None:
                continue
            try:
                progress = await self.submitter.submit_once(key, item.subject, kind, _sign_no_more)
            except BillingRefused:
                self._conclude(key, parcel, item.subject, is_taken=False)
                continue
            if progress.receipt is None and progress.code != RECEIPT_PRUNED:
                return wait(progress.code)
            batch = read_batch(self.ports.ledger.final.read, item.subject)
            is_taken = progress.receipt.code == "ok" if progress.receipt else batch is not None
            self._conclude(key, parcel, item.subject, is_taken=is_taken)
            return AGAIN
        return done("followed")

    def _conclude(self, key: str, parcel: Kind | None, batch_id: str, *, is_taken: bool) -> None:
        with self.vault.transaction():
            self.submitter.settle(key)
            if parcel is not None and is_taken:
                self.vault.outbox.release(parcel, batch_id)
            elif parcel is not None:
                self.vault.outbox.cancel(parcel, batch_id)

    async def _act(self, batch_id: str, kind: str, body: Any, content: Any, told: set[str]) -> str:
        key, parcel = f"{kind}/{batch_id}", ACTS[kind]
        if self.vault.work.submission(key) is not None:
            raise BillingRefused("under_way", f"a {kind} of this batch waits for its block")
        others = told - {self.ports.me}
        with self.vault.transaction():
            if parcel is not None:
                envelope = seal_parcel(self.ports, parcel, batch_id, content, others)
                post(self.ports, parcel, batch_id, None, envelope, others, held=True)
            self.vault.work.wake(self.name, batch_id)
        progress = await self.submitter.submit_once(key, batch_id, kind, lambda: body)
        submission = self.vault.work.submission(key)
        if submission is None:
            self._conclude(key, parcel, batch_id, is_taken=False)
            raise BillingRefused("rejected", f"this node did not take the transaction: {progress.code}")
        return submission.tx_id

    # --- rules

    def _judge(self, batch_id: str, batch: BatchState, returns: Mapping[int, str]) -> list[tuple[int, Opening | None]]:
        """(place, reason of a return or None) of every open line."""
        lines = self.book.lines(batch_id, batch)
        draws = {state.guarantee_id: self.book.draw(state.guarantee_id) for state in batch.lines}
        known = {name: draw for name, draw in draws.items() if draw is not None}
        words = []
        for place, reason in review_lines(lines, known, self.ports.salt):
            state = batch.lines[place]
            if state.status != "open":
                continue
            code = None if is_line(lines[place], state.amount_commit, state.guarantee_id) else "OPENING_DIFFERS"
            code = code or (reason["code"] if reason else returns.get(place))
            words.append((place, {"salt": self.ports.salt(), "line": place, "code": code} if code else None))
        return words

    def _payable(self, batch_id: str, batch: BatchState) -> tuple[Opening, ...]:
        """The lines, once every endorsed one opens and says what this insurer drew. Raises BillingRefused."""
        lines = self.book.lines(batch_id, batch)
        for line, state in zip(lines, batch.lines, strict=True):
            if state.status != "endorsed":
                continue
            draw = self._require_draw(state.guarantee_id)
            same = all(line.get(name) == draw[name] for name in ("guarantee_id", "claim_id", "amount_fen", "currency"))
            if not same or not is_line(line, state.amount_commit, state.guarantee_id):
                raise BillingRefused("amount", f"an endorsed line is not what was drawn: {state.guarantee_id}")
        return lines

    def _require_draw(self, guarantee_id: str) -> Opening:
        draw = self.book.draw(guarantee_id)
        if draw is None:
            raise BillingRefused("no_opening", f"no opening of a draw is here for guarantee {guarantee_id}")
        return draw

    def _period(self, guarantees: Sequence[str]) -> tuple[int, int]:
        now, read = self.ports.ledger.final.time_ms, self.ports.ledger.final.read
        times = [found.drawn_ms or now for name in guarantees if (found := read_guarantee(read, name)) is not None]
        return min(times, default=now) // DAY_MS * DAY_MS, now


def _sign_no_more() -> Any:
    raise BillingRefused("expired", "the transaction was not included in time; ask again")
