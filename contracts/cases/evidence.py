"""What a commission checks before it endorses a record, and the message that its invoice key signs.

Profiles: `cn-einvoice` (the V-rules of adjudication specification 4), `foreign-invoice` (the F-rules below, for bills
that are no Chinese fiscal e-invoices), `hospital-record` (admission, discharge, charges). Must not know keys or the
ledger. Must always hold: one invoice has one identity, however its number is spelt and whatever type it is given.

F-rules (amounts are whole minor units, dates YYYY-MM-DD):
  F01  `type` is inpatient, outpatient or vat; `kind` blue: a foreign bill is corrected by the hospital before it is
       published, it has no red form
  F02  `number` is the bill's identifier: at most 128 characters, with at least one letter or digit
  F03  `issuer` names who issued it: at most 200 characters, with at least one letter or digit
  F04  `issue_date` is a real date, not after `as_of`; a stay's `admission_date` <= `discharge_date` <= `issue_date`
  F05  `total_fen` and every other amount is a whole number, none below 0
  F06  pooled fund and other payment together do not exceed the total
  F07  `currency` is three capital letters (ISO 4217)
  F08  `items`, where there are any, add up to the total

V16 (an invoice endorsed before) is not judged here but by the ledger's nullifiers, which refuse it `DUPLICATE_OF`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts.calendar import date_after_epoch, is_date
from contracts.cases.documents import Document
from contracts.cases.holds import interim_faults
from contracts.einvoice_regions import validate_in_region
from contracts.identifiers import invoice_message

CN_EINVOICE: Final = "cn-einvoice"
FOREIGN_INVOICE: Final = "foreign-invoice"
HOSPITAL_RECORD: Final = "hospital-record"
LEVELS: Final = ("0", "1", "2", "3")
LEDGER_JUDGES: Final = "V16"
DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
MAX_NUMBER: Final = 128
MAX_ISSUER: Final = 200

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_AMOUNTS: Final = ("pooled_fund_fen", "other_payment_fen", "self_funded_fen", "class_copay_fen", "disallowed_fen")


def date_of(time_ms: int, utc_offset_minutes: int) -> str:
    """The calendar date of block time in the region's zone: what V07 calls `as_of`."""
    return date_after_epoch((time_ms + utc_offset_minutes * MINUTE_MS) // DAY_MS)


def profile_of(record_type: str, document: Document) -> str:
    """The rule set that a record is checked against."""
    if record_type != "invoice":
        return HOSPITAL_RECORD
    return FOREIGN_INVOICE if document.get("profile") == FOREIGN_INVOICE else CN_EINVOICE


def judge_record(
    record_type: str, document: Document, as_of: str, known: Sequence[Document]
) -> tuple[list[str], list[str]]:
    """(codes that refuse the record, codes that the invoice's region still lets pass), each sorted.

    `known` holds, for a red invoice, the original that this commission endorsed.
    """
    profile = profile_of(record_type, document)
    if profile == CN_EINVOICE:
        answer = validate_in_region({"invoice": document, "context": {"as_of": as_of, "known": list(known)}})
        return [code for code in answer["violations"] if code != LEDGER_JUDGES], answer["warnings"]
    if profile == FOREIGN_INVOICE:
        return sorted(_foreign_faults(document, as_of)), []
    return sorted(_record_faults(record_type, document, as_of)), []


def find_faults(record_type: str, document: Document, as_of: str, known: Sequence[Document]) -> list[str]:
    """Codes that refuse the record, sorted; empty if it is accepted."""
    return judge_record(record_type, document, as_of, known)[0]


def invoice_identity(invoice: Mapping[str, Any]) -> tuple[str, str, str]:
    """(family, code, number) of an invoice: what makes it the same invoice.

    Fiscal invoices: family `medical` or `vat`, code and number exactly as printed (V02 leaves one spelling). Code and
    number alone are the key (V16), so the type within the family is left out. Foreign bills: family `foreign`, the
    issuer and the identifier cut down to capital letters and digits, so that blanks and hyphens make no second bill.
    """
    number = str(invoice.get("number") or "")
    if invoice.get("profile") == FOREIGN_INVOICE:
        return "foreign", _plain(str(invoice.get("issuer") or "")), _plain(number)
    family = "vat" if invoice.get("type") == "vat" else "medical"
    return family, str(invoice.get("code") or ""), number


def identity_message(invoice: Mapping[str, Any]) -> bytes:
    """The 32 bytes that the commission's invoice key signs for an invoice."""
    return invoice_message(*invoice_identity(invoice))


def _plain(text: str) -> str:
    """Letters and digits in capitals; a letter outside ASCII stays as its code point."""
    kept = (letter for letter in text.upper() if letter.isalnum())
    return "".join(letter if letter.isascii() else f"U{ord(letter):X}" for letter in kept)


def _foreign_faults(invoice: Document, as_of: str) -> set[str]:
    faults = set()
    if invoice.get("type") not in ("inpatient", "outpatient", "vat") or invoice.get("kind", "blue") != "blue":
        faults.add("F01")
    if not _is_name(invoice.get("number"), MAX_NUMBER):
        faults.add("F02")
    if not _is_name(invoice.get("issuer"), MAX_ISSUER):
        faults.add("F03")
    if not _has_dates_in_order(invoice, as_of):
        faults.add("F04")
    if not _has_whole_amounts(invoice):
        return faults | {"F05"}
    if sum(invoice.get(name) or 0 for name in ("pooled_fund_fen", "other_payment_fen")) > invoice["total_fen"]:
        faults.add("F06")
    if not isinstance(invoice.get("currency"), str) or not _CURRENCY.fullmatch(invoice["currency"]):
        faults.add("F07")
    items = invoice.get("items") or []
    if items and sum(item["amount_fen"] for item in items) != invoice["total_fen"]:
        faults.add("F08")
    return faults


def _is_name(value: Any, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest and bool(_plain(value))


def _has_dates_in_order(invoice: Document, as_of: str) -> bool:
    named = ("admission_date", "discharge_date", "visit_date")
    dates = [invoice[name] for name in named if invoice.get(name) is not None] + [invoice.get("issue_date")]
    return all(is_date(date) for date in dates) and dates == sorted(dates) and dates[-1] <= as_of


def _has_whole_amounts(invoice: Document) -> bool:
    items = invoice.get("items") or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return False
    amounts = [invoice.get("total_fen"), *(invoice.get(name) or 0 for name in _AMOUNTS)]
    return all(_is_amount(amount) for amount in amounts) and all(_is_whole(item.get("amount_fen")) for item in items)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_amount(value: Any) -> bool:
    return _is_whole(value) and value >= 0


def _record_faults(record_type: str, document: Document, as_of: str) -> set[str]:
    if record_type == "admission":
        return set() if _is_past(document.get("admission_date"), as_of) else {"ADMISSION_DATE"}
    if record_type == "charges":
        return set() if _is_list_of_charges(document.get("items")) else {"CHARGE_ITEMS"}
    if record_type == "interim":
        return _discharge_faults(document, as_of) | interim_faults(document)
    return _discharge_faults(document, as_of)


def _discharge_faults(document: Document, as_of: str) -> set[str]:
    faults = set()
    diagnoses = document.get("diagnoses")
    if not isinstance(diagnoses, list) or not diagnoses or not all(isinstance(item, str) for item in diagnoses):
        faults.add("DIAGNOSES")
    stay = document.get("stay")
    if not isinstance(stay, dict):
        return faults | {"STAY"}
    admitted, left = stay.get("admission_date"), stay.get("discharge_date")
    if not _is_past(admitted, as_of) or not _is_past(left, as_of) or str(admitted) > str(left):
        faults.add("STAY_DATES")
    if stay.get("institution_level") not in LEVELS:
        faults.add("STAY_LEVEL")
    count = document.get("invoice_count", 1)
    if not _is_whole(count) or count < 1:
        faults.add("INVOICE_COUNT")
    return faults


def _is_past(value: Any, as_of: str) -> bool:
    return is_date(value) and bool(value <= as_of)


def _is_list_of_charges(items: Any) -> bool:
    return (
        isinstance(items, list)
        and bool(items)
        and all(isinstance(item, dict) and _is_whole(item.get("amount_fen")) for item in items)
    )
