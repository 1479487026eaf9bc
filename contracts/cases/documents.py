"""The documents of one in-patient case: their types, who may see them, and what is read from them.

A document is a JSON object: `admission`, `discharge` (diagnoses, first onset, stay, `invoice_count`), `invoice` (an
e-invoice, or a foreign one with `profile`), `charges` (the itemised list). A record is a document with a 32-byte
secret. Must not know policies or sums paid. Must always hold: what is read here is read the same way by the insurer,
by every co-adjudicator and by an auditor.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from contracts.cases.errors import CaseError
from contracts.commitments import commit_document
from ledger.encoding import encode

Document: TypeAlias = dict[str, Any]

DEFAULT_CURRENCY: Final = "CNY"
DATA_CLASSES: Final[Mapping[str, str]] = {
    "admission": "clinical",
    "discharge": "clinical",
    "invoice": "charges",
    "charges": "charges",
    "interim": "clinical",
}
"""Which data class of a consent covers which record type. Identity fields stand inside the documents."""
INVOICE_FIELDS: Final = (
    "type",
    "kind",
    "code",
    "number",
    "issue_date",
    "visit_date",
    "total_fen",
    "pooled_fund_fen",
    "other_payment_fen",
    "self_funded_fen",
    "class_copay_fen",
    "disallowed_fen",
    "third_party",
    "insurance_type",
    "institution_level",
    "prescription",
    "reverses",
)
"""What a case takes from an invoice (adjudication rule 1); names and insurance numbers stay out of it."""


@dataclass(frozen=True, slots=True)
class Record:
    """An opened record. The secret opens its commitment."""

    record_id: str
    record_type: str
    document: Document
    secret: str

    @property
    def commitment(self) -> str:
        """What stands on the ledger for it."""
        return commit_document(self.document, self.secret)


def encode_record(record_type: str, case_id: str, consent_id: str, document: Document, secret: str) -> bytes:
    """The plaintext of a record's envelope."""
    content = {
        "document": document,
        "secret": secret,
        "record_type": record_type,
        "case_id": case_id,
        "consent_id": consent_id,
    }
    return encode(content)


def read_record(record_id: str, content: Any) -> Record:
    """The opened content of an envelope. Raises CaseError `DOCUMENT_FORM`."""
    if not isinstance(content, dict):
        raise CaseError("DOCUMENT_FORM", f"record {record_id} holds no object")
    document, secret, record_type = content.get("document"), content.get("secret"), content.get("record_type")
    if not isinstance(document, dict) or not isinstance(secret, str):
        raise CaseError("DOCUMENT_FORM", f"record {record_id} lacks document or secret")
    if not isinstance(record_type, str) or record_type not in DATA_CLASSES:
        raise CaseError("DOCUMENT_FORM", f"record {record_id} has no known type")
    return Record(record_id, record_type, document, secret)


def pick_discharge(records: Iterable[Record]) -> Document:
    """The discharge document; of several the one with the greatest record id. Raises CaseError `NO_DISCHARGE`."""
    found = [record for record in records if record.record_type == "discharge"]
    if not found:
        raise CaseError("NO_DISCHARGE", "the evidence holds no discharge record")
    return max(found, key=lambda record: record.record_id).document


def pick_invoices(records: Iterable[Record]) -> list[Document]:
    """The invoices in the order of their record ids. Raises CaseError `NO_INVOICE`."""
    return [record.document for record in pick_invoice_records(records)]


def pick_invoice_records(records: Iterable[Record]) -> list[Record]:
    """The records of the invoices, ascending by id. Raises CaseError `NO_INVOICE`."""
    found = sorted((item for item in records if item.record_type == "invoice"), key=lambda item: item.record_id)
    if not found:
        raise CaseError("NO_INVOICE", "the evidence holds no invoice")
    return found


def invoice_count(discharge: Document) -> int:
    """How many invoices the hospital says belong to the stay; 1 where it does not say."""
    count = discharge.get("invoice_count", 1)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise CaseError("DOCUMENT_FORM", "invoice_count of the discharge record is a whole number from 1")
    return count


def currency_of(invoices: Iterable[Document]) -> str:
    """The one currency of the invoices. Raises CaseError `CURRENCY_MISMATCH`."""
    found = {str(invoice.get("currency") or DEFAULT_CURRENCY) for invoice in invoices}
    if len(found) != 1:
        raise CaseError("CURRENCY_MISMATCH", f"{len(found)} currencies in one case")
    return found.pop()


def loss_of_invoice(invoice: Document) -> int:
    """The loss on one invoice before any insurer pays, in minor units: total less pooled fund, other payment and third
    parties (protocol rule 4); negative for a red one. Raises CaseError `DOCUMENT_FORM`."""
    third = invoice.get("third_party") or []
    if not isinstance(third, list) or not all(isinstance(item, dict) for item in third):
        raise CaseError("DOCUMENT_FORM", "third_party of an invoice is a list of objects")
    others = [amount_of(invoice, name) for name in ("pooled_fund_fen", "other_payment_fen")]
    return amount_of(invoice, "total_fen") - sum(others) - sum(amount_of(item, "amount_fen") for item in third)


def amount_of(holder: Mapping[str, Any], name: str) -> int:
    """A whole amount in minor units, 0 if absent or null. Raises CaseError `DOCUMENT_FORM`."""
    value = holder.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise CaseError("DOCUMENT_FORM", f"{name} is not a whole number")
    return value
