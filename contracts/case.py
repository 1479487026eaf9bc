"""Reading a case: everything that one adjudication looks at, checked before it reaches the machine.

Knows the input of `adjudicate` (specification 1): required fields, defaults, ranges, and the two rules
between fields (policy years in order, a ratio for every invoice). Must not know what a rule pays. Always
true: a case that has been read needs no further check of shape, holds no field that the specification does
not name, and reading it again gives the same case.

A field is required when the specification names no default for it. `total_fen` of an invoice, `daily_fen`
and the lump sum's `amount_fen` are required too: without them there is nothing to adjudicate.

`earlier_paid_fen` of an invoice is what insurers that decided before paid on it, each in a case of its own. It comes
from the loss pool and never from a document.
"""

from typing import Any, Final, TypeAlias

import msgspec

from contracts.errors import InputError, pointer
from contracts.inputs import decode_document
from contracts.product import RELATIONS, read_amount, read_days, read_level, read_product
from contracts.schema import (
    Field,
    choice,
    integer,
    list_of,
    map_of,
    read_boolean,
    read_date,
    read_record,
    read_text,
    record,
)

Case: TypeAlias = dict[str, Any]

MAX_CASE_BYTES: Final = 2**20
"""One case as text. A case of a hundred invoices and ten policies is a tenth of it."""
MAX_INVOICES: Final = 1_000
"""Invoices of one case: a year of daily outpatient visits, thrice."""
MAX_POLICIES: Final = 50
"""Policies of one insured that are coordinated."""

_CLAIM: Final = record(
    Field("claim_no", read_text),
    Field("cause", choice("illness", "accident"), "illness"),
    Field("diagnoses", list_of(read_text), []),
    Field("first_onset", read_date, None),
    Field("diagnosis_date", read_date, None),
    Field("claimed_fen", integer(), None),
    Field("returned_count", integer(0), 0),
)
_STAY: Final = record(
    Field("admission_date", read_date),
    Field("discharge_date", read_date, None),
    Field("half_days", integer(1), None),
    Field("institution_level", read_level),
)
_INVOICE_KEY: Final = record(Field("code", read_text, ""), Field("number", read_text))
_THIRD_PARTY: Final = record(Field("payer", read_text, ""), Field("amount_fen", integer(), 0))
_INVOICE: Final = (
    Field("type", choice("outpatient", "inpatient", "vat")),
    Field("kind", choice("blue", "red"), "blue"),
    Field("code", read_text, ""),
    Field("number", read_text),
    Field("issue_date", read_date),
    Field("visit_date", read_date, None),
    Field("total_fen", integer()),
    Field("pooled_fund_fen", integer(), 0),
    Field("other_payment_fen", integer(), 0),
    Field("self_funded_fen", integer(), 0),
    Field("class_copay_fen", integer(), 0),
    Field("disallowed_fen", integer(), 0),
    Field("third_party", list_of(_THIRD_PARTY), []),
    Field("earlier_paid_fen", read_amount, 0),
    Field("insurance_type", choice("employee", "resident", "other", "self_pay"), "self_pay"),
)
_LEVEL_OF_MEDICAL: Final = (Field("institution_level", read_level),)
_LEVEL_OF_VAT: Final = (Field("institution_level", read_level, None),)
_PRESCRIPTION: Final = (Field("prescription", read_boolean, False),)
_REVERSES: Final = (Field("reverses", _INVOICE_KEY, None),)

_PERIOD: Final = record(
    Field("id", read_text), Field("start", read_date), Field("end", read_date), Field("plan", read_text)
)
_HISTORY: Final = record(
    Field("icd", read_text), Field("date", read_date, None), Field("declared", read_boolean, False)
)
_PRIOR_USE: Final = record(
    Field("deductible_used_fen", read_amount, 0),
    Field("paid_fen", read_amount, 0),
    Field("days_paid", read_days, 0),
    Field("day_paid_fen", map_of(read_amount, key_reader=read_date), {}),
)
_POLICY: Final = record(
    Field("policy_no", read_text),
    Field("insurer", read_text),
    Field("relation", choice(*RELATIONS)),
    Field("first_effective", read_date),
    Field("periods", list_of(_PERIOD), []),
    Field("product", read_product),
    Field("history", list_of(_HISTORY), []),
    Field("excluded_icd_prefixes", list_of(read_text), []),
    Field("prior_use", map_of(map_of(_PRIOR_USE)), {}),
    Field("family_deductible_used_fen", map_of(map_of(read_amount)), {}),
    Field("lifetime_paid_fen", map_of(read_amount), {}),
    Field("used_invoices", list_of(_INVOICE_KEY), []),
    Field("advance_fen", read_amount, 0),
)


def _read_invoice(value: Any) -> dict[str, Any]:
    """Fields that only one type or kind has are not looked at on the others."""
    invoice = read_record(value, _INVOICE)
    is_vat = invoice["type"] == "vat"
    invoice |= read_record(value, _LEVEL_OF_VAT if is_vat else _LEVEL_OF_MEDICAL)
    invoice |= read_record(value, _PRESCRIPTION) if is_vat else {"prescription": False}
    invoice |= read_record(value, _REVERSES) if invoice["kind"] == "red" else {"reverses": None}
    return invoice


_CASE: Final = (
    Field("claim", _CLAIM),
    Field("stay", _STAY, None),
    Field("invoices", list_of(_read_invoice, MAX_INVOICES), []),
    Field("policies", list_of(_POLICY, MAX_POLICIES)),
)


def decode_case(data: bytes | str) -> Case:
    """The case in a JSON text of at most MAX_CASE_BYTES. Raises InputError, whatever the text is."""
    return read_case(decode_document(data, limit=MAX_CASE_BYTES))


def read_case(value: Any) -> Case:
    """A decoded case with every default filled in and every unknown field dropped. Raises InputError."""
    case = read_record(value, _CASE)
    for index, policy in enumerate(case["policies"]):
        try:
            _check_periods(policy)
            _check_ratios(policy, _expense_invoices(case["invoices"]))
        except InputError as error:
            raise error.under(index).under("policies") from None
    return case


def encode_case(case: Case) -> str:
    """The text in which a checked case crosses to the machine: sorted keys, no white space."""
    return msgspec.json.encode(case, order="sorted").decode("utf-8")


def _check_periods(policy: dict[str, Any]) -> None:
    """Policy years have names of their own, known plans, and follow one another without overlap."""
    seen: set[str] = set()
    last_end = ""
    for index, period in enumerate(policy["periods"]):
        at = f"/periods/{index}"
        if period["end"] < period["start"]:
            raise InputError("range", f"{at}/end", "before the start of the period")
        if period["start"] <= last_end:
            raise InputError("periods_overlap", f"{at}/start", "not after the end of the period before it")
        if period["id"] in seen:
            raise InputError("periods_overlap", f"{at}/id", "another period has this id")
        if period["plan"] not in policy["product"]["plans"]:
            raise InputError("unknown_value", f"{at}/plan", "the product has no such plan")
        seen.add(period["id"])
        last_end = period["end"]


def _expense_invoices(invoices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The invoices that could be paid: neither red nor reversed by a red one of the case."""
    reversed_keys = {
        (red["reverses"]["code"], red["reverses"]["number"]) for red in invoices if red["reverses"] is not None
    }
    return [
        invoice
        for invoice in invoices
        if invoice["kind"] == "blue" and (invoice["code"], invoice["number"]) not in reversed_keys
    ]


def _check_ratios(policy: dict[str, Any], invoices: list[dict[str, Any]]) -> None:
    """Each expense benefit of a plan in use has a ratio row for each invoice of its kind."""
    plans = policy["product"]["plans"]
    for plan_id in dict.fromkeys(period["plan"] for period in policy["periods"]):
        for code in policy["product"]["benefit_order"]:
            benefit = plans[plan_id]["benefits"].get(code)
            if benefit is None or "ratios" not in benefit:
                continue
            for settled, level in {_ratio_keys(invoice) for invoice in invoices if _is_kind(invoice, benefit)}:
                if not _has_ratio(benefit["ratios"], policy["relation"], settled, level):
                    path = pointer(pointer("/product/plans", plan_id) + "/benefits", code) + "/ratios"
                    raise InputError("no_ratio", path, "no row matches an invoice of the case; add an open last row")


def _is_kind(invoice: dict[str, Any], benefit: dict[str, Any]) -> bool:
    if benefit["type"] == "inpatient_expense":
        return bool(invoice["type"] == "inpatient")
    return bool(invoice["type"] == "outpatient" or (invoice["type"] == "vat" and benefit["vat"] == "cover"))


def _ratio_keys(invoice: dict[str, Any]) -> tuple[bool, str | None]:
    settled = invoice["type"] != "vat" and invoice["insurance_type"] != "self_pay"
    return settled, invoice["institution_level"]


def _has_ratio(rows: list[dict[str, Any]], relation: str, settled: bool, level: str | None) -> bool:
    return any(
        row["relation"] in (None, relation)
        and row["social_settled"] in (None, settled)
        and row["level"] in (None, level)
        for row in rows
    )
