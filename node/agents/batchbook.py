"""What a participant knows of batches: openings that the ledger's commitments name, figures, ages of claims.

Reads state and parcels only; whoever acts is `billing`. Must always hold: an amount is shown or used only if its
opening has the commitment on the ledger, and nobody but hospital, insurer and reviewer sees a batch.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from contracts.cases.batches import Receivable, age_receivables
from contracts.cases.holds import drawn_fen
from contracts.cases.openings import Opening
from contracts.commitments import OpeningKind, commit
from contracts.errors import ContractError
from contracts.holdstates import BatchCountState, BatchState, GuaranteeState, read_batch, read_guarantee
from contracts.states import decode_state, read_state
from node.agents.mail import read_parcels
from node.agents.messages import BatchMessage, BatchWordMessage, DrawOpening
from node.agents.ports import Ports
from node.errors import NodeError

OWED: Final = frozenset({"DRAWN"})
"""Statuses of a guarantee that is drawn and not paid. SETTLED is paid, as the insurer says."""


class BillingRefused(NodeError):
    """A batch that cannot be made, judged, paid or acknowledged: `not_found`, `no_opening`, `no_lines`, `too_many`,
    `return_reason`, `under_way`, `rejected`, `amount`, `not_open`, `expired`."""


class BatchBook:
    """One participant's reading of batches and drawn guarantees."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def require(self, batch_id: str) -> BatchState:
        """A batch that this participant is a party of. Raises BillingRefused `not_found`."""
        batch = read_batch(self._ports.ledger.final.read, batch_id)
        if batch is None or self._ports.me not in (batch.hospital, batch.insurer, batch.reviewer):
            raise BillingRefused("not_found", "no such batch among those this participant is a party of")
        return batch

    def next_sequence(self, insurer: str) -> int:
        """The number that this hospital's next batch to an insurer has."""
        found = read_state(self._ports.ledger.final.read, BatchCountState, f"{self._ports.me}/{insurer}")
        return (found.count if found else 0) + 1

    def draw(self, guarantee_id: str) -> Opening | None:
        """The opening of a draw as its insurer sent or made it; None if none here has the ledger's commitment."""
        guarantee = read_guarantee(self._ports.ledger.final.read, guarantee_id)
        if guarantee is None or guarantee.draw_commit is None:
            return None
        named = (guarantee_id, guarantee.claim_id, guarantee.policy_id)
        for _, sent in read_parcels(self._ports, "draw", guarantee_id, DrawOpening, sender=guarantee.insurer):
            opening: Opening = msgspec.to_builtins(sent)
            same = (sent.guarantee_id, sent.claim_id, sent.policy_id) == named
            amount = drawn_fen(sent.expenses_fen, sent.net_fen, sent.guaranteed_fen)
            if same and sent.amount_fen == amount and opens("draw", opening, guarantee.draw_commit):
                return opening
        return None

    def drawn(self, insurer: str) -> list[str]:
        """Guarantees of an insurer to this hospital that are drawn, in no batch, and opened here; the oldest first."""
        found = [
            (guarantee.drawn_ms or 0, name)
            for name, guarantee in self._guarantees()
            if (guarantee.hospital, guarantee.insurer) == (self._ports.me, insurer)
            and guarantee.status in OWED
            and guarantee.batch_id is None
            and self.draw(name) is not None
        ]
        return [name for _, name in sorted(found)]

    def lines(self, batch_id: str, batch: BatchState) -> tuple[Opening, ...]:
        """What the hospital sent for this batch, line by line; `is_line` says which of them the ledger knows.

        Raises BillingRefused `no_opening`: nothing of the right form arrived yet.
        """
        for _, sent in read_parcels(self._ports, "batch", batch_id, BatchMessage, sender=batch.hospital):
            total = sum(line.amount_fen for line in sent.lines)
            whole = len(sent.lines) == len(batch.lines) and sent.totals.get("amount_fen") == total
            if whole and opens("batch-totals", sent.totals, batch.totals_commit):
                return tuple(msgspec.to_builtins(line) for line in sent.lines)
        raise BillingRefused("no_opening", "the hospital's lines of this batch have not arrived here")

    def reasons(self, batch_id: str, batch: BatchState) -> dict[int, str]:
        """Place of a returned line -> code of its reason, as far as the reviewer's word is here."""
        found: dict[int, str] = {}
        for _, sent in read_parcels(self._ports, "batch-word", batch_id, BatchWordMessage, sender=batch.reviewer):
            for reason in sent.reasons:
                place = reason.get("line")
                if not isinstance(place, int) or not 0 <= place < len(batch.lines):
                    continue
                if opens("batch-reason", reason, batch.lines[place].reason_commit):
                    found.setdefault(place, str(reason.get("code")))
        return found

    def payment(self, batch_id: str, batch: BatchState) -> Opening | None:
        """The opening of the one payment, if it is here and the ledger's."""
        found = read_parcels(self._ports, "batch-payment", batch_id, dict[str, Any], sender=batch.insurer)
        wanted = batch.settlement_commit
        return next((opening for _, opening in found if opens("batch-settlement", opening, wanted)), None)

    # --- views

    def batches(self, after: int, limit: int) -> dict[str, Any]:
        """{items, next, more} of this participant's batches, by the time they were submitted."""
        found = sorted((batch.submitted_ms, name) for name, batch in self._batches())
        page = [self.view(name, with_lines=False) for _, name in found[after : after + limit]]
        return {"items": page, "next": after + len(page), "more": after + len(page) < len(found)}

    def view(self, batch_id: str, *, with_lines: bool = True) -> dict[str, Any]:
        """One batch with its figures in minor units, null where an opening is not here. Raises BillingRefused."""
        batch = self.require(batch_id)
        shown: dict[str, Any] = msgspec.to_builtins(batch)
        try:
            lines: tuple[Opening, ...] | None = self.lines(batch_id, batch)
        except BillingRefused:
            lines = None
        items = list(self._lines_view(batch_id, batch, lines))
        figures = {word: _count(items, word) for word in ("open", "endorsed", "returned")}
        payment = self.payment(batch_id, batch)
        shown |= {"batch_id": batch_id, "figures": figures, "net_fen": payment.get("amount_fen") if payment else None}
        shown["currency"] = str(lines[0]["currency"]) if lines else None
        return shown | {"lines": items, "payment": payment} if with_lines else shown | {"lines": len(items)}

    def receivables(self) -> dict[str, Any]:
        """{time_ms, items: {other, age -> fen}, unopened}: what is owed to this hospital, or by this insurer.

        `other` is the insurer for a hospital, else the hospital. `unopened` counts draws whose opening is not here.
        """
        owed, unopened, me = [], 0, self._ports.me
        for name, guarantee in self._guarantees():
            if me not in (guarantee.hospital, guarantee.insurer) or guarantee.status not in OWED:
                continue
            opening = self.draw(name)
            if opening is None:
                unopened += 1
                continue
            other = guarantee.insurer if guarantee.hospital == me else guarantee.hospital
            owed.append(Receivable(other, guarantee.insurer, guarantee.drawn_ms or 0, int(opening["amount_fen"])))
        now = self._ports.ledger.final.time_ms
        items = [{"other": name, **ages} for name, ages in age_receivables(owed, now).items()]
        return {"time_ms": now, "items": items, "unopened": unopened}

    # --- inner workings

    def _lines_view(
        self, batch_id: str, batch: BatchState, lines: tuple[Opening, ...] | None
    ) -> Iterator[dict[str, Any]]:
        reasons = self.reasons(batch_id, batch)
        for place, state in enumerate(batch.lines):
            known = lines is not None and is_line(lines[place], state.amount_commit, state.guarantee_id)
            yield {
                "line": place,
                "guarantee_id": state.guarantee_id,
                "status": state.status,
                "claim_id": lines[place]["claim_id"] if lines is not None and known else None,
                "amount_fen": lines[place]["amount_fen"] if lines is not None and known else None,
                "reason": reasons.get(place),
            }

    def _batches(self) -> Iterator[tuple[str, BatchState]]:
        for key, item in self._ports.ledger.state_family(BatchState.FAMILY):
            batch = decode_state(item.value, BatchState) if item.value is not None else None
            if batch is not None and self._ports.me in (batch.hospital, batch.insurer, batch.reviewer):
                yield key.partition("/")[2], batch

    def _guarantees(self) -> Iterator[tuple[str, GuaranteeState]]:
        for key, item in self._ports.ledger.state_family(GuaranteeState.FAMILY):
            found = decode_state(item.value, GuaranteeState) if item.value is not None else None
            if found is not None:
                yield key.partition("/")[2], found


def opens(kind: OpeningKind, opening: Opening, commitment: str | None) -> bool:
    """Whether an opening has this commitment."""
    try:
        return commitment is not None and commit(kind, opening) == commitment
    except ContractError:
        return False


def is_line(opening: Opening, commitment: str, guarantee_id: str) -> bool:
    """Whether an opening is that of a line, about the guarantee that the ledger has in its place."""
    return opens("batch-line", opening, commitment) and opening.get("guarantee_id") == guarantee_id


def _count(items: Iterable[dict[str, Any]], word: str) -> dict[str, Any]:
    amounts = [item["amount_fen"] for item in items if item["status"] == word]
    return {"lines": len(amounts), "amount_fen": None if None in amounts else sum(amounts)}
