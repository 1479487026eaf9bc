"""The loss pool of a case: what each invoice cost, and what every outcome paid on it.

    pool    salt, pool_id, version, left_fen, invoices: [{record_id, loss_fen, paid_fen: {payout id: fen}}]

One pool covers a case, for every insurer; it is kept invoice by invoice, because an insurer that covers only some of
them counts with these alone (adjudication rule 3.7.1). Invoices ascend by record id. `loss_fen` is total less pooled
fund, other payment and third parties, negative for a red one; `left_fen` is what all of them leave, not below zero.

A visit's payment belongs to its invoice. A stay is paid as a whole: each of its payments is written to the invoices
that shared in it, ascending by issue date, code and number, each up to what is left of its loss. That needs no
fraction, never pays an invoice beyond its loss, and for an insurer that covers the same invoices it is all one.

Must not know programs, the ledger or the vault. Must always hold: no outcome pays an invoice beyond its loss, and a
version without an outcome is the same for whoever computes it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, structs

from contracts.case import Case
from contracts.cases.documents import Record, loss_of_invoice, pick_invoice_records
from contracts.cases.errors import CaseError
from contracts.cases.openings import Opening
from contracts.identifiers import derive_payout_id, derive_pool_id
from ledger.encoding import convert
from ledger.errors import DecodeError
from ledger.types import Count, Hex32


class InvoiceLoss(Struct, frozen=True, forbid_unknown_fields=True):
    """One invoice of a pool. Amounts in minor units."""

    record_id: Hex32
    loss_fen: int
    paid_fen: dict[Hex32, Count]

    @property
    def left_fen(self) -> int:
        """What nobody paid yet; negative for a red invoice."""
        return self.loss_fen - sum(self.paid_fen.values())


Losses = tuple[InvoiceLoss, ...]


def whole_losses(records: Iterable[Record]) -> Losses:
    """The invoices of the evidence before any insurer pays. Raises CaseError `NO_INVOICE`, `DOCUMENT_FORM`."""
    found = pick_invoice_records(records)
    return tuple(InvoiceLoss(item.record_id, loss_of_invoice(item.document), {}) for item in found)


def open_pool(case_id: str, version: int, losses: Losses, salt: str) -> Opening:
    """Opening of one version of a case's loss pool."""
    return {
        "salt": salt,
        "pool_id": derive_pool_id(case_id),
        "version": version,
        "left_fen": max(0, sum(item.left_fen for item in losses)),
        "invoices": [msgspec.to_builtins(item) for item in losses],
    }


def read_losses(opening: Mapping[str, Any]) -> Losses:
    """The invoices of a pool's opening, fit to be counted with. Raises CaseError `DOCUMENT_FORM`."""
    try:
        losses = convert(opening.get("invoices"), Losses)
        left, version = convert(opening.get("left_fen"), Count), convert(opening.get("version"), Count)
    except DecodeError:
        raise CaseError("DOCUMENT_FORM", "the loss pool is not in the form of this version") from None
    names = [item.record_id for item in losses]
    if names != sorted(set(names)) or left != max(0, sum(item.left_fen for item in losses)) or version < 0:
        raise CaseError("DOCUMENT_FORM", "the loss pool does not add up, or its invoices do not ascend")
    return losses


def check_pool(opening: Opening) -> Opening:
    """The opening of a pool version, fit to be counted with. Raises CaseError `DOCUMENT_FORM`."""
    read_losses(opening)
    return opening


def without(losses: Losses, payouts: Collection[str]) -> Losses:
    """The pool without these outcomes: withdrawn, failed for good, reversed, or about to be decided anew."""
    return tuple(
        structs.replace(item, paid_fen={name: paid for name, paid in item.paid_fen.items() if name not in payouts})
        for item in losses
    )


def earlier_attempts(claim_id: str, policy_ids: Iterable[str], attempt: int) -> frozenset[str]:
    """The payouts of a claim's attempts before this one: what is decided now takes their place in the pool."""
    return frozenset(derive_payout_id(claim_id, policy, number) for policy in policy_ids for number in range(attempt))


def earlier_paid(opening: Opening, records: Iterable[Record], own: Collection[str]) -> dict[str, int]:
    """What the others' outcomes paid on each invoice, by record id: `earlier_paid_fen` of the case.

    Raises CaseError `DOCUMENT_FORM` if the pool is not one of these documents.
    """
    losses = read_losses(opening)
    whole = [(item.record_id, item.loss_fen) for item in whole_losses(records)]
    if whole != [(item.record_id, item.loss_fen) for item in losses]:
        raise CaseError("DOCUMENT_FORM", "the loss pool is not that of the evidence's invoices")
    return {item.record_id: sum(item.paid_fen.values()) for item in without(losses, own)}


def book_outcome(
    losses: Losses, case: Case, position: int, expense_fen: int, trace: Iterable[Mapping[str, Any]], payout_id: str
) -> Losses:
    """The pool after the outcome of policy number `position`, which pays `expense_fen` for expenses by its explanation.

    Raises CaseError `UNEXPLAINED` if the explanation does not say on what it was paid, `LOSS_EXCEEDED` if that is
    more than is left.
    """
    left = [item.left_fen for item in losses]
    paid = [0] * len(losses)
    try:
        for amount, places in _read_payments(case, case["policies"][position]["policy_no"], trace):
            for place in places:
                part = max(0, min(amount, left[place] - paid[place]))
                paid[place] += part
                amount -= part
            if amount:
                raise CaseError("LOSS_EXCEEDED", "the program pays more on an invoice or stay than is left of its loss")
    except (LookupError, TypeError, ValueError):
        raise CaseError("UNEXPLAINED", "the explanation is not in the form of the specification") from None
    if sum(paid) != expense_fen:
        raise CaseError("UNEXPLAINED", "the explanation does not say on which invoices was paid")
    return tuple(
        structs.replace(item, paid_fen={**item.paid_fen, payout_id: part}) if part else item
        for item, part in zip(losses, paid, strict=True)
    )


def _read_payments(case: Case, policy_no: str, trace: Iterable[Mapping[str, Any]]) -> list[tuple[int, Sequence[int]]]:
    """(amount, places of the invoices it is for, in their order) of each payment of one policy."""
    places, order = _live_places(case), _sorted_places(case)
    shared: dict[tuple[str, str], set[int]] = defaultdict(set)
    found: list[tuple[int, Sequence[int]]] = []
    for step in trace:
        at = step["at"]
        if step["policy_no"] != policy_no or step["what"] not in ("share", "paid"):
            continue
        if step["what"] == "share":
            shared[at["benefit"], at["period"]].add(places[at["invoice"]])
        elif "invoice" in at:
            found.append((step["result"], [places[at["invoice"]]]))
        else:
            mine = shared[at["benefit"], at["period"]]
            found.append((step["result"], [place for place in order if place in mine]))
    return found


def _sorted_places(case: Case) -> list[int]:
    """Places of a case's invoices in the order of rule 3.2."""
    bills = case["invoices"]
    return sorted(range(len(bills)), key=lambda at: (bills[at]["issue_date"], bills[at]["code"], bills[at]["number"]))


def _live_places(case: Case) -> dict[str, int]:
    """Where the invoice stands that an explanation names; of copies the first, as rule 3.2 has it."""
    found: dict[str, tuple[tuple[str, str], int]] = {}
    for place in _sorted_places(case):
        bill = case["invoices"][place]
        key, name = (bill["code"], bill["number"]), f"{bill['code']}/{bill['number']}"
        if bill["kind"] == "blue" and found.setdefault(name, (key, place))[0] != key:
            raise CaseError("UNEXPLAINED", "two invoices have one name in the explanation")
    return {name: place for name, (_, place) in found.items()}
