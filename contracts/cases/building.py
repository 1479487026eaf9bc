"""A case of the adjudication specification, made of opened records, policy terms and coverage accounts.

Knows the field names of both sides. Must not know the ledger. Must always hold: the same records, terms, accounts and
pool give the same case, so that whoever holds them can run it again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.case import Case, read_case
from contracts.cases.documents import (
    INVOICE_FIELDS,
    Document,
    Record,
    amount_of,
    currency_of,
    pick_discharge,
    pick_invoice_records,
    pick_invoices,
)
from contracts.cases.errors import CaseError
from contracts.cases.movements import Balance, read_balance, take_back
from contracts.errors import InputError

TERM_FIELDS: Final = (
    "policy_no",
    "insurer",
    "relation",
    "first_effective",
    "periods",
    "history",
    "excluded_icd_prefixes",
)
"""What a case takes from the opening of a policy's terms."""


@dataclass(frozen=True, slots=True)
class PolicyInput:
    """One policy as it enters a case: openings of its terms and account version, and the product's tables."""

    policy_id: str
    terms: dict[str, Any]
    tables: dict[str, Any]
    account: dict[str, Any]
    holds: tuple[dict[str, Any], ...] = ()
    """Openings of what was advanced and guaranteed under it for this claim (holds)."""
    held: bool = True
    """Whether the account still has the reservations of `holds`: the first decision takes them over."""
    earlier: dict[str, Any] | None = None
    """What the attempt before gave under it: {payout_id, result, effect}."""

    @property
    def balance(self) -> Balance:
        """The account as the case finds it: without what it holds for this claim itself. Raises CaseError."""
        balance = read_balance(self.account)
        for item in self.holds if self.held else ():
            balance = take_back(balance, item["hold_id"], item["effect"])
        if self.earlier is not None:
            balance = take_back(balance, self.earlier["payout_id"], self.earlier["effect"])
        return balance

    @property
    def advance_fen(self) -> int:
        """What the insured has of this claim under the policy, in fen: all that the attempt before gave, which already
        counts advances, payouts and what is to come back; before the first decision its advances."""
        if self.earlier is not None:
            return amount_of(self.earlier["result"]["result"], "total_fen")
        return sum(int(one["amount_fen"]) for one in self.holds if one["kind"] == "advance")


def build_case(
    claim_no: str, records: Iterable[Record], policies: Sequence[PolicyInput], earlier: Mapping[str, int]
) -> Case:
    """The checked case of one claim, its policies in the order given, its invoices ascending by record id.

    `earlier` is what other insurers paid on each invoice, by record id (pools.earlier_paid). Raises CaseError
    `NO_DISCHARGE`, `NO_INVOICE`, `CURRENCY_MISMATCH`, `DOCUMENT_FORM`.
    """
    held = list(records)
    discharge, invoices = pick_discharge(held), pick_invoice_records(held)
    check_currency([item.document for item in invoices], policies)
    raw = {
        "claim": _build_claim(claim_no, discharge),
        "stay": _build_stay(discharge),
        "invoices": [_build_invoice(item.document, earlier.get(item.record_id, 0)) for item in invoices],
        "policies": [build_policy(item) for item in policies],
    }
    try:
        return read_case(raw)
    except InputError as error:
        raise CaseError("DOCUMENT_FORM", f"{error.code} at {error.path or 'the case'}") from None


def check_currency(invoices: Iterable[Document], policies: Iterable[PolicyInput]) -> str:
    """The currency of invoices and policies alike. Raises CaseError `CURRENCY_MISMATCH`."""
    currency = currency_of(invoices)
    for item in policies:
        if item.terms.get("currency", "CNY") != currency:
            raise CaseError("CURRENCY_MISMATCH", f"policy {item.policy_id} is kept in another currency")
    return currency


def event_date_of(records: Iterable[Record]) -> str:
    """The date that a statement commits to: the admission, else the earliest visit or issue date."""
    held = list(records)
    stay = _build_stay(pick_discharge(held))
    if stay is not None and isinstance(stay.get("admission_date"), str):
        return str(stay["admission_date"])
    dates = [item.get("visit_date") or item.get("issue_date") for item in pick_invoices(held)]
    found = [date for date in dates if isinstance(date, str)]
    if not found:
        raise CaseError("DOCUMENT_FORM", "neither stay nor invoice has a date")
    return min(found)


def _build_claim(claim_no: str, discharge: Document) -> dict[str, Any]:
    claim = {"claim_no": claim_no}
    for name in ("cause", "diagnoses", "first_onset", "diagnosis_date", "claimed_fen", "returned_count"):
        if discharge.get(name) is not None:
            claim[name] = discharge[name]
    return claim


def _build_stay(discharge: Document) -> dict[str, Any] | None:
    stay = discharge.get("stay")
    return dict(stay) if isinstance(stay, dict) else None


def _build_invoice(invoice: Document, earlier_fen: int) -> dict[str, Any]:
    fields = {name: invoice[name] for name in INVOICE_FIELDS if invoice.get(name) is not None}
    return fields | {"earlier_paid_fen": earlier_fen}


def build_policy(item: PolicyInput) -> dict[str, Any]:
    """A policy as a case has it. Raises CaseError `DOCUMENT_FORM`, and those of its balance."""
    use = item.account.get("use")
    if not isinstance(use, dict):
        raise CaseError("DOCUMENT_FORM", f"the account of policy {item.policy_id} has no use")
    terms: dict[str, Any] = {name: item.terms[name] for name in TERM_FIELDS if name in item.terms}
    if item.holds or item.earlier is not None:
        return {**item.balance.use, **terms, "advance_fen": item.advance_fen, "product": item.tables}
    return {**use, **terms, "product": item.tables}


def expense_total(case: Case, position: int, result: dict[str, Any]) -> int:
    """What a result pays for expenses, the part that uses up the loss pool: allowances and lump sums do not."""
    kinds: dict[str, str] = {}
    for plan in case["policies"][position]["product"]["plans"].values():
        kinds |= {code: benefit["type"] for code, benefit in plan["benefits"].items()}
    expense = [item for item in result["benefits"] if kinds.get(item["code"], "").endswith("_expense")]
    return sum(amount_of(item, "payable_fen") for item in expense)
