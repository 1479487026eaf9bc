"""A case of the adjudication specification, made of opened records, policy terms and coverage accounts.

Knows the field names of both sides. Must not know the ledger. Must always hold: the same records, terms, accounts and
pool give the same case, so that whoever holds them can run it again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.case import Case, read_case
from contracts.cases.documents import (
    INVOICE_FIELDS,
    Document,
    Record,
    amount_of,
    currency_of,
    loss_of,
    loss_of_invoice,
    pick_discharge,
    pick_invoices,
)
from contracts.cases.errors import CaseError
from contracts.errors import InputError

EARLIER_PAYER: Final = "earlier-rank"
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


def build_case(claim_no: str, records: Iterable[Record], policies: Sequence[PolicyInput], left_fen: int) -> Case:
    """The checked case of one claim, its policies in the order given.

    `left_fen` is the loss that the pool's current version says is left; what is missing from the whole loss was paid
    by insurers of a better rank and enters as a third party's payment. Raises CaseError `NO_DISCHARGE`, `NO_INVOICE`,
    `CURRENCY_MISMATCH`, `DOCUMENT_FORM`.
    """
    held = list(records)
    discharge, invoices = pick_discharge(held), pick_invoices(held)
    check_currency(invoices, policies)
    raw = {
        "claim": _build_claim(claim_no, discharge),
        "stay": _build_stay(discharge),
        "invoices": _with_earlier_payments([_build_invoice(item) for item in invoices], left_fen),
        "policies": [_build_policy(item) for item in policies],
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


def _build_invoice(invoice: Document) -> dict[str, Any]:
    return {name: invoice[name] for name in INVOICE_FIELDS if invoice.get(name) is not None}


def _build_policy(item: PolicyInput) -> dict[str, Any]:
    use = item.account.get("use")
    if not isinstance(use, dict):
        raise CaseError("DOCUMENT_FORM", f"the account of policy {item.policy_id} has no use")
    terms = {name: item.terms[name] for name in TERM_FIELDS if name in item.terms}
    return {**use, **terms, "product": item.tables}


def _with_earlier_payments(invoices: list[dict[str, Any]], left_fen: int) -> list[dict[str, Any]]:
    """Spread what better ranks paid: in-patient invoices first, in the order of issue, each up to its own loss."""
    paid = loss_of(invoices) - left_fen
    if paid < 0:
        raise CaseError("DOCUMENT_FORM", "the pool says that more loss is left than the invoices hold")
    order = sorted(range(len(invoices)), key=lambda index: _spread_key(invoices[index]))
    spread = [dict(invoice) for invoice in invoices]
    for index in order:
        part = min(paid, max(0, loss_of_invoice(invoices[index])))
        if part > 0:
            third = list(invoices[index].get("third_party") or [])
            spread[index]["third_party"] = [*third, {"payer": EARLIER_PAYER, "amount_fen": part}]
            paid -= part
    return spread


def _spread_key(invoice: dict[str, Any]) -> tuple[bool, str, str, str]:
    place = [str(invoice.get(name) or "") for name in ("issue_date", "code", "number")]
    return (invoice.get("type") != "inpatient", place[0], place[1], place[2])


def expense_total(case: Case, position: int, result: dict[str, Any]) -> int:
    """What a result pays for expenses, the part that uses up the loss pool: allowances and lump sums do not."""
    kinds: dict[str, str] = {}
    for plan in case["policies"][position]["product"]["plans"].values():
        kinds |= {code: benefit["type"] for code, benefit in plan["benefits"].items()}
    expense = [item for item in result["benefits"] if kinds.get(item["code"], "").endswith("_expense")]
    return sum(amount_of(item, "payable_fen") for item in expense)
