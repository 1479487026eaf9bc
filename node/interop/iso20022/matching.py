"""Payment orders against everything the bank said: how each of them stands. Pure.

The verdict on an order is a function of the set of facts: their order, and how often each came, change nothing, so a
file may be read twice, late, or never. Must always hold: silence is `unknown` and never leads to another order; money
that a statement shows outweighs every status; what does not fit goes to a person and settles nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from node.interop.iso20022.answers import REJECTED, EntryFact, Fact, StatusFact
from node.interop.iso20022.orders import instruction_id, uetr_of

Standing: TypeAlias = Literal["unknown", "settled", "rejected", "person"]
MAX_ATTEMPTS: Final = 99
"""Of one payout; the ledger takes no more."""
FAULTS: Final = {
    "AMOUNT_MISMATCH": "The bank booked another amount than was ordered.",
    "CURRENCY_MISMATCH": "The bank booked another currency than was ordered.",
    "PAID_TWICE": "The bank booked this order more than once.",
    "ATTEMPT_UNCLEAR": "The bank does not say which attempt it booked, and the notice of an earlier one is missing.",
    "RETURN_AMOUNT": "Another amount came back than was ordered.",
    "RETURN_UNCLEAR": "More came back, or more often, than one order can explain.",
    "REJECTED_BUT_BOOKED": "The bank rejected this order and booked it as well.",
}
"""What a person has to clear up with the bank. The payout stays as it is on the ledger."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """One attempt that left. `spent` names the bookings with which earlier attempts of the payout ended; `doubtful`:
    one of them came back, and its booking was not seen and may still arrive."""

    payout_id: str
    attempt: int
    message_id: str
    end_to_end_id: str
    instruction_id: str
    uetr: str
    amount_fen: int
    currency: str
    spent: frozenset[str] = frozenset()
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one attempt stands.

    `settled`: `entry` is the booking. `rejected`: the bank refused it (`reasons`) or sent it back (`entry`). `person`:
    `code` says why. `unknown`: `status` is the last word of the bank, empty if there is none.
    """

    payout_id: str
    attempt: int
    standing: Standing
    code: str = ""
    status: str = ""
    reasons: tuple[str, ...] = ()
    entry: EntryFact | None = None


def match_orders(orders: Sequence[Ordered], facts: Iterable[Fact]) -> tuple[Verdict, ...]:
    """One verdict for each order, in their order."""
    known = frozenset(facts)
    return tuple(match_order(order, known) for order in orders)


def foreign_facts(orders: Sequence[Ordered], facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Facts about nothing that was ordered here, ascending: payments of others, or of a payout under another name."""
    names = {order.end_to_end_id for order in orders} | {order.uetr for order in orders}
    names |= {order.instruction_id for order in orders}
    files = {order.message_id for order in orders}
    return tuple(sorted({fact for fact in facts if not _is_ours(fact, names, files)}, key=repr))


def match_order(order: Ordered, facts: Iterable[Fact]) -> Verdict:
    """How one attempt stands after these facts."""
    known = frozenset(facts)
    entries = sorted(fact for fact in known if isinstance(fact, EntryFact) and _is_entry_of(order, fact))
    debits = [fact for fact in entries if fact.direction == "debit"]
    returns = [fact for fact in entries if fact.direction == "return"]
    statuses = sorted(fact for fact in known if isinstance(fact, StatusFact) and _is_status_of(order, fact))
    said = _last_word(statuses)
    code = _find_fault(order, debits, returns, said)
    entry = next(iter((*returns, *debits)), None)
    if code:
        return Verdict(order.payout_id, order.attempt, "person", code=code, entry=entry)
    if returns:
        return Verdict(order.payout_id, order.attempt, "rejected", reasons=returns[0].reasons, entry=returns[0])
    if debits:
        return Verdict(order.payout_id, order.attempt, "settled", entry=debits[0])
    if said is None:
        return Verdict(order.payout_id, order.attempt, "unknown")
    standing: Standing = "rejected" if said.status == REJECTED else "unknown"
    return Verdict(order.payout_id, order.attempt, standing, status=said.status, reasons=said.reasons)


def _find_fault(
    order: Ordered, debits: list[EntryFact], returns: list[EntryFact], said: StatusFact | None
) -> str | None:
    for fact in (*debits, *returns):
        if fact.currency != order.currency:
            return "CURRENCY_MISMATCH"
        if fact.amount_fen != order.amount_fen:
            return "AMOUNT_MISMATCH" if fact.direction == "debit" else "RETURN_AMOUNT"
    if order.doubtful and any(not _names_own(order, fact) for fact in debits):
        return "ATTEMPT_UNCLEAR"
    booked, back = {fact.bank_reference for fact in debits}, {fact.bank_reference for fact in returns}
    if len(back) > 1 or (back and len(booked) > 1):
        return "RETURN_UNCLEAR"
    if len(booked) > 1:
        return "PAID_TWICE"
    if booked and not back and said is not None and said.status == REJECTED:
        return "REJECTED_BUT_BOOKED"
    return None


def _last_word(statuses: list[StatusFact]) -> StatusFact | None:
    """The most particular level speaks; a rejection is final there (a bank does not take one back)."""
    for level in ("transaction", "payment", "group"):
        found = [fact for fact in statuses if fact.level == level]
        rejected = [fact for fact in found if fact.status == REJECTED]
        if found:
            return (rejected or sorted(found, key=lambda fact: _progress(fact.status)))[-1]
    return None


def _progress(status: str) -> int:
    """How far a status is on an order's way; statuses come in no dependable order of time."""
    way = ("RCVD", "PDNG", "ACTC", "ACCP", "ACWC", "ACFC", "ACSP", "ACWP", "ACSC", "ACCC")
    return way.index(status) if status in way else -1


def _is_status_of(order: Ordered, fact: StatusFact) -> bool:
    """Files are named once, so the answer to one is never the answer to another attempt."""
    if fact.message_id != order.message_id:
        return False
    return fact.level != "transaction" or _names_order(order, fact)


def _is_entry_of(order: Ordered, fact: EntryFact) -> bool:
    return fact.bank_reference not in order.spent and _names_order(order, fact)


def _names_order(order: Ordered, fact: Fact) -> bool:
    """By a name of this attempt, or by the payout's where none of another attempt stands beside it.

    A bank that gives numbers of its own in these places says nothing about the attempt.
    """
    if _names_own(order, fact):
        return True
    return fact.names.end_to_end_id == order.end_to_end_id and not _names_another(order, fact)


def _names_own(order: Ordered, fact: Fact) -> bool:
    """Whether this very attempt is named."""
    return fact.names.instruction_id == order.instruction_id or fact.names.uetr == order.uetr


def _names_another(order: Ordered, fact: Fact) -> bool:
    """Whether another attempt of the same payout is named."""
    if fact.names.instruction_id.startswith(f"{order.end_to_end_id}-"):
        return True
    if not fact.names.uetr:
        return False
    others = (number for number in range(1, MAX_ATTEMPTS + 1) if number != order.attempt)
    return any(fact.names.uetr == uetr_of(instruction_id(order.end_to_end_id, number)) for number in others)


def _is_ours(fact: Fact, names: set[str], files: set[str]) -> bool:
    if isinstance(fact, StatusFact) and fact.message_id in files and fact.level != "transaction":
        return True
    return not names.isdisjoint({fact.names.end_to_end_id, fact.names.instruction_id, fact.names.uetr} - {""})
