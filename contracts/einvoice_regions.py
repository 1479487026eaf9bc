"""Since when a region's medical e-invoices must keep the filling rules: before that day a fault is a warning.

Knows the table of regions and which V-codes it is about. Must not know the rules themselves: contracts.einvoice holds
them. Always true: a fault that makes an invoice useless, changes its identity or its sign, or undoes another invoice
wrongly is a refusal on every day; a region without a row keeps every rule from the first day.
"""

from collections.abc import Mapping
from typing import Any, Final

from contracts.calendar import is_date
from contracts.einvoice import validate
from contracts.errors import InputError
from contracts.invoicekeys import province_and_year

EFFECTIVE: Final[Mapping[str, str]] = {
    # 桂财综〔2022〕30号 of Guangxi: institutions check until September 2022, the system refuses from 1 October 2022 on
    "45": "2022-10-01",
}
"""Province (the first two digits of an invoice's code) -> the first day of issue on which every rule refuses."""
TOLERATED: Final = frozenset(
    {"V03:institution_type", "V03:insurance_no", "V08", "V09", "V10", "V11", "V12", "V13", "V14", "V15"}
)
"""What such a circular is about: the face, the classes of items, the settlement and how they agree. All others refuse
always: V01 V02 V04 V05 and the other fields of V03 leave no invoice that could be told apart or computed with; V06 and
V07 put a sign or a date in doubt that decides what is paid; V16 and V17 would pay twice; V18 is about VAT invoices."""
_STANDS_IN: Final[Mapping[str, str]] = {"V03:institution_type": "institution_type", "V03:insurance_no": "insurance_no"}
"""Fields that no rule of stage 2 looks at: it is run in spite of them."""


def region_of(invoice: Mapping[str, Any]) -> str:
    """Two digits of the province that a medical invoice's code names; "" for VAT and for every other code."""
    code = invoice.get("code")
    if invoice.get("type") == "vat" or not isinstance(code, str):
        return ""
    return province_and_year(("medical", code, ""))[0]


def is_tolerant(invoice: Mapping[str, Any], region: str) -> bool:
    """Whether the invoice was issued before its region's day.

    A date of issue before the year in the invoice's own code is not believed: codes are allotted before they are used.
    """
    since, issued = EFFECTIVE.get(region), invoice.get("issue_date")
    if since is None or invoice.get("type") == "vat" or not is_date(issued) or not isinstance(issued, str):
        return False
    code = invoice.get("code")
    year = province_and_year(("medical", code, ""))[1] if isinstance(code, str) else 0
    return issued < since and int(issued[:4]) >= year


def validate_in_region(request: Any, region: str | None = None) -> dict[str, Any]:
    """`validate`, with the faults that the region still tolerates under `warnings` instead of `violations`.

    The region is `context.region`, else `region`, else that of the invoice's code. Raises InputError as `validate`
    does, and `type` for a region that is no text.
    """
    found = set(validate(request)["violations"])
    invoice, context = request["invoice"], request.get("context") or {}
    chosen = context.get("region", region)
    if not isinstance(chosen, str | None):
        raise InputError("type", "/context/region", "expected the two digits of a province as text")
    if not is_tolerant(invoice, region_of(invoice) if chosen is None else chosen):
        return _answer(found, set())
    if found and found <= _STANDS_IN.keys():
        filled = {**invoice, **{_STANDS_IN[code]: "-" for code in found}}
        found |= set(validate({**request, "invoice": filled})["violations"])
    return _answer(found - TOLERATED, found & TOLERATED)


def _answer(refusals: set[str], warnings: set[str]) -> dict[str, Any]:
    return {"valid": not refusals, "violations": sorted(refusals), "warnings": sorted(warnings)}
