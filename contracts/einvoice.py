"""E-invoice validation: V01 to V18 of the rule book, every fault of an invoice at once.

Knows the fields of medical e-invoices and pharmacy VAT invoices (fields and formats: stage 1 here; signs,
dates, identities, items and reversals: stage 2 in einvoice_rules). Must not know the ledger: the invoices
already on it come in with the request. Always true: the same request gives the same answer, tolerance is
zero, and no value inside `invoice` or `known`, of whatever JSON type, raises.
"""

import re
from typing import Any, Final

from contracts.calendar import is_date
from contracts.einvoice_rules import (
    amounts_of,
    arithmetic_faults,
    is_blank,
    is_integer,
    is_medical,
    is_red,
)
from contracts.errors import InputError

TYPES: Final = ("outpatient", "inpatient", "vat")
KINDS: Final = ("blue", "red")
LEVELS: Final = ("0", "1", "2", "3")
INSURANCE_TYPES: Final = ("employee", "resident", "other", "self_pay")
PAYMENT_MODES: Final = ("item", "drg", "dip", "disease", "bed_day")
MEDICAL_CHOICES: Final = (
    ("institution_level", LEVELS),
    ("insurance_type", INSURANCE_TYPES),
    ("payment_mode", PAYMENT_MODES),
)

REQUIRED_OF_ALL: Final = ("number", "issue_date", "payer_name", "items")
REQUIRED_OF_MEDICAL: Final = (
    "code",
    "check_code",
    "institution_name",
    "institution_type",
    "institution_level",
    "insurance_type",
)
REQUIRED_OF_TYPE: Final = {
    "outpatient": ("visit_date",),
    "inpatient": ("admission_date", "discharge_date", "inpatient_no"),
    "vat": ("seller_name", "seller_tax_no"),
}
DATES_OF_TYPE: Final = {
    "outpatient": ("issue_date", "visit_date"),
    "inpatient": ("issue_date", "admission_date", "discharge_date"),
    "vat": ("issue_date",),
}

_MEDICAL_FORMATS: Final = (
    ("code", re.compile(r"[0-9]{8}")),
    ("number", re.compile(r"[0-9]{10}")),
    ("check_code", re.compile(r"[0-9A-Za-z]{6}")),
)
_VAT_CODE: Final = re.compile(r"[0-9]{10}|[0-9]{12}")
_VAT_NUMBER_WITH_CODE: Final = re.compile(r"[0-9]{8}")
_VAT_NUMBER_ALONE: Final = re.compile(r"[0-9]{20}")


def validate(request: Any) -> dict[str, Any]:
    """`{"valid": bool, "violations": [sorted codes]}` for `{"invoice": {...}, "context": {...}}`.

    `context.as_of` (a date) and `context.known` (invoices already on the ledger) may be absent. Raises
    InputError only for what is no request: `type`, `missing`, or `date` for an `as_of` that is none.
    """
    invoice, as_of, known = _read_request(request)
    violations = _structure_faults(invoice) or arithmetic_faults(invoice, as_of, known)
    return {"valid": not violations, "violations": sorted(violations)}


def _read_request(request: Any) -> tuple[dict[str, Any], str | None, list[dict[str, Any]]]:
    if not isinstance(request, dict):
        raise InputError("type", "", 'expected an object with "invoice" and "context"')
    if "invoice" not in request:
        raise InputError("missing", "/invoice", "a request names the invoice to check")
    invoice = request["invoice"]
    if not isinstance(invoice, dict):
        raise InputError("type", "/invoice", "expected an object")
    context = request.get("context")
    if not isinstance(context, dict | None):
        raise InputError("type", "/context", "expected an object")
    return invoice, _read_as_of(context or {}), _read_known(context or {})


def _read_as_of(context: dict[str, Any]) -> str | None:
    as_of = context.get("as_of")
    if is_blank(as_of):
        return None
    if not isinstance(as_of, str):
        raise InputError("type", "/context/as_of", "expected a date as text")
    if not is_date(as_of):
        raise InputError("date", "/context/as_of", "expected a real date, YYYY-MM-DD")
    return as_of


def _read_known(context: dict[str, Any]) -> list[dict[str, Any]]:
    """The known invoices; an entry that is no object names no invoice."""
    known = context.get("known")
    if is_blank(known):
        return []
    if not isinstance(known, list):
        raise InputError("type", "/context/known", "expected a list of invoices")
    return [entry for entry in known if isinstance(entry, dict)]


def _structure_faults(invoice: dict[str, Any]) -> set[str]:
    """Stage 1, V01 to V05. An unknown type or kind hides everything else: no rule would know its fields."""
    if not _is_choice(invoice.get("type"), TYPES):
        return {"V01"}
    if not is_blank(invoice.get("kind")) and not _is_choice(invoice["kind"], KINDS):
        return {"V01"}
    faults = {f"V03:{field}" for field in _required_fields(invoice) if is_blank(invoice.get(field))}
    if is_medical(invoice) and not _has_known_choices(invoice):
        faults.add("V01")
    if not (_has_medical_format(invoice) if is_medical(invoice) else _has_vat_format(invoice)):
        faults.add("V02")
    if not _has_real_dates(invoice):
        faults.add("V04")
    if not _has_integer_amounts(invoice):
        faults.add("V05")
    return faults


def _is_choice(value: Any, choices: tuple[str, ...]) -> bool:
    return isinstance(value, str) and value in choices


def _has_known_choices(invoice: dict[str, Any]) -> bool:
    return all(
        is_blank(invoice.get(field)) or _is_choice(invoice[field], choices) for field, choices in MEDICAL_CHOICES
    )


def _required_fields(invoice: dict[str, Any]) -> list[str]:
    """V03. A blank insurance_type is not `self_pay`: then insurance_no is asked for too."""
    fields = [*REQUIRED_OF_ALL, *REQUIRED_OF_TYPE[invoice["type"]], *amounts_of(invoice)]
    if is_medical(invoice):
        fields.extend(REQUIRED_OF_MEDICAL)
        if invoice.get("insurance_type") != "self_pay":
            fields.append("insurance_no")
    if is_red(invoice):
        fields.append("reverses")
    return fields


def _matches(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _has_medical_format(invoice: dict[str, Any]) -> bool:
    return all(is_blank(invoice.get(field)) or _matches(invoice[field], pattern) for field, pattern in _MEDICAL_FORMATS)


def _has_vat_format(invoice: dict[str, Any]) -> bool:
    """V02 of a VAT invoice: paper has code and number, the fully digital one a long number alone."""
    code, number = invoice.get("code"), invoice.get("number")
    if not is_blank(code) and not _matches(code, _VAT_CODE):
        return False
    if is_blank(number):
        return True
    return _matches(number, _VAT_NUMBER_ALONE if is_blank(code) else _VAT_NUMBER_WITH_CODE)


def _has_real_dates(invoice: dict[str, Any]) -> bool:
    return all(is_blank(invoice.get(field)) or is_date(invoice[field]) for field in DATES_OF_TYPE[invoice["type"]])


def _has_integer_amounts(invoice: dict[str, Any]) -> bool:
    """V05. What stands in `items` and is no line with an amount has no integer amount either."""
    fields = [*amounts_of(invoice), *(("class_copay_fen",) if is_medical(invoice) else ())]
    if not all(is_blank(invoice.get(field)) or is_integer(invoice[field]) for field in fields):
        return False
    items = invoice.get("items")
    if is_blank(items):
        return True
    return isinstance(items, list) and all(
        isinstance(item, dict) and is_integer(item.get("amount_fen")) for item in items
    )
