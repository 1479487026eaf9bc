"""Stage 2 of e-invoice validation: V06 to V18, each rule by itself.

Knows the arithmetic and the references of an invoice whose structure has passed stage 1: its required
fields are filled, its amounts are integers of fen, its dates are real. Must not know formats. Always true:
no rule looks at another rule's answer, and a known invoice of any shape can be compared without raising.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

Invoice: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, str]

DIFFERENCE_LINE: Final = "其他住院费用-差额结算"
"""The name that the one balancing line of a DRG or similar settlement must have."""
FULL_RATIO_BP: Final = 10_000
MEDICAL_AMOUNTS: Final = (
    "total_fen",
    "pooled_fund_fen",
    "other_payment_fen",
    "account_own_fen",
    "account_mutual_fen",
    "cash_fen",
    "self_pay_fen",
    "self_funded_fen",
)
VAT_AMOUNTS: Final = ("total_fen", "net_fen", "tax_fen")


def is_blank(value: Any) -> bool:
    """Absent, null, empty, or only white space of any kind (U+3000 included). 0 and false are not blank."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, list | dict) and not value)


def is_integer(value: Any) -> bool:
    """A JSON integer: neither 100.0 nor true is one."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_medical(invoice: Invoice) -> bool:
    """Outpatient or inpatient, as against a pharmacy's VAT invoice."""
    return bool(invoice["type"] != "vat")


def is_red(invoice: Invoice) -> bool:
    """A reversal (红字). A blank kind is blue."""
    return invoice.get("kind") == "red"


def amounts_of(invoice: Invoice) -> tuple[str, ...]:
    """The amounts that an invoice of this type must state."""
    return MEDICAL_AMOUNTS if is_medical(invoice) else VAT_AMOUNTS


def arithmetic_faults(invoice: Invoice, as_of: str | None, known: list[Invoice]) -> set[str]:
    """Stage 2 of `invoice` on the date `as_of` (None: no comparison) beside the `known` invoices."""
    faults = {code for code, is_fault in _RULES.items() if is_fault(invoice)}
    if is_medical(invoice):
        faults |= {code for code, is_fault in _MEDICAL_RULES.items() if is_fault(invoice)}
    elif invoice["net_fen"] + invoice["tax_fen"] != invoice["total_fen"]:
        faults.add("V18")
    if not _has_ordered_dates(invoice, as_of):
        faults.add("V07")
    key = _key(invoice)
    if any(_key(other) == key for other in known):
        faults.add("V16")
    if not _has_sound_reversal(invoice, known):
        faults.add("V17")
    return faults


def _header_amounts(invoice: Invoice) -> list[int]:
    return [_amount(invoice, field) for field in _header_fields(invoice)]


def _header_fields(invoice: Invoice) -> tuple[str, ...]:
    return (*amounts_of(invoice), "class_copay_fen") if is_medical(invoice) else VAT_AMOUNTS


def _amount(invoice: Invoice, field: str) -> Any:
    """A missing amount is 0; only an amount of a known invoice can be no integer."""
    value = invoice.get(field)
    return 0 if is_blank(value) else value


def _ordinary_items(invoice: Invoice) -> list[Invoice]:
    return [item for item in invoice["items"] if item.get("difference") is not True]


def _classed_items(invoice: Invoice) -> list[Invoice]:
    return [item for item in _ordinary_items(invoice) if _has_class(item)]


def _has_class(item: Invoice) -> bool:
    return item.get("class") in ("A", "B", "C") and not is_blank(item.get("code"))


def _has_wrong_sign(invoice: Invoice) -> bool:
    amounts = _header_amounts(invoice) + [item["amount_fen"] for item in _ordinary_items(invoice)]
    return any(amount > 0 if is_red(invoice) else amount < 0 for amount in amounts)


def _has_ordered_dates(invoice: Invoice, as_of: str | None) -> bool:
    issued: str = invoice["issue_date"]
    if as_of is not None and issued > as_of:
        return False
    if invoice["type"] == "outpatient":
        return bool(invoice["visit_date"] <= issued)
    if invoice["type"] == "inpatient":
        return bool(invoice["admission_date"] <= invoice["discharge_date"] <= issued)
    return True


def _breaks_identity_1(invoice: Invoice) -> bool:
    """Who paid: fund, others, own account, family account, cash."""
    paid = invoice["pooled_fund_fen"] + invoice["other_payment_fen"] + _personal(invoice)
    return bool(invoice["total_fen"] != paid)


def _breaks_identity_2(invoice: Invoice) -> bool:
    """Why the person paid: within the catalogue, or outside it."""
    return bool(_personal(invoice) != invoice["self_pay_fen"] + invoice["self_funded_fen"])


def _personal(invoice: Invoice) -> int:
    own: int = invoice["account_own_fen"] + invoice["account_mutual_fen"] + invoice["cash_fen"]
    return own


def _breaks_item_sum(invoice: Invoice) -> bool:
    return bool(sum(item["amount_fen"] for item in invoice["items"]) != invoice["total_fen"])


def _has_unclassed_item(invoice: Invoice) -> bool:
    return any(not _has_class(item) for item in _ordinary_items(invoice))


def _has_wrong_ratio(invoice: Invoice) -> bool:
    return any(not _is_ratio_of_class(item) for item in _classed_items(invoice))


def _is_ratio_of_class(item: Invoice) -> bool:
    ratio: Any = item.get("self_ratio_bp")
    if not is_integer(ratio):
        return False
    if item["class"] == "B":
        return bool(1 <= ratio < FULL_RATIO_BP)
    return bool(ratio == (0 if item["class"] == "A" else FULL_RATIO_BP))


def _has_wrong_difference(invoice: Invoice) -> bool:
    lines = [item for item in invoice["items"] if item.get("difference") is True]
    if not lines:
        return False
    mode = invoice.get("payment_mode")
    by_item = is_blank(mode) or mode == "item"
    named = all(line.get("name") == DIFFERENCE_LINE for line in lines)
    return bool(invoice["type"] != "inpatient" or by_item or len(lines) > 1 or not named)


def _exceeds_own_part(invoice: Invoice) -> bool:
    class_c = sum(item["amount_fen"] for item in _classed_items(invoice) if item["class"] == "C")
    if abs(class_c) > abs(invoice["self_funded_fen"]):
        return True
    return bool(abs(_amount(invoice, "class_copay_fen")) > abs(invoice["self_pay_fen"]))


def _has_fund_without_insurance(invoice: Invoice) -> bool:
    if invoice["insurance_type"] != "self_pay":
        return False
    return bool(invoice["pooled_fund_fen"] != 0 or invoice["self_pay_fen"] != 0)


def _key(reference: Any) -> Key | None:
    """(code, number) of an invoice or of a `reverses`; None when it names no invoice."""
    if not isinstance(reference, dict):
        return None
    code, number = reference.get("code"), reference.get("number")
    if is_blank(code):
        code = ""
    return (code, number) if isinstance(code, str) and isinstance(number, str) else None


def _has_sound_reversal(invoice: Invoice, known: list[Invoice]) -> bool:
    """V17. A red invoice undoes one known blue invoice whole, and does so once."""
    reverses = invoice.get("reverses")
    if not is_red(invoice):
        return is_blank(reverses)
    target = _key(reverses)
    if target is None:
        return False
    originals = [
        other for other in known if _is_blue(other) and other.get("type") == invoice["type"] and _key(other) == target
    ]
    return (
        bool(originals)
        and _is_negative_of(invoice, originals[0])
        and not any(_is_other_reversal(other, target, _key(invoice)) for other in known)
    )


def _is_blue(other: Invoice) -> bool:
    return is_blank(other.get("kind")) or other["kind"] == "blue"


def _is_negative_of(invoice: Invoice, original: Invoice) -> bool:
    pairs = [(_amount(invoice, field), _amount(original, field)) for field in _header_fields(invoice)]
    return all(is_integer(was) and now == -was for now, was in pairs)


def _is_other_reversal(other: Invoice, target: Key, own: Key | None) -> bool:
    return is_red(other) and _key(other.get("reverses")) == target and _key(other) != own


_RULES: Final[dict[str, Callable[[Invoice], bool]]] = {
    "V06": _has_wrong_sign,
    "V10": _breaks_item_sum,
    "V13": _has_wrong_difference,
}
_MEDICAL_RULES: Final[dict[str, Callable[[Invoice], bool]]] = {
    "V08": _breaks_identity_1,
    "V09": _breaks_identity_2,
    "V11": _has_unclassed_item,
    "V12": _has_wrong_ratio,
    "V14": _exceeds_own_part,
    "V15": _has_fund_without_insurance,
}
