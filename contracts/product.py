"""The shape of an insurance product: plans, benefits, ratios, as a case carries them.

Knows the fields of a product (specification 1, tables of plans and benefits) and what their absence means.
Must not know rules of adjudication. Always true: a product that has been read has every field that a claim
program may look at, and a benefit code has one type, and one deductible type, in all plans that have it.
"""

from typing import Any, Final

from contracts.errors import InputError, pointer
from contracts.schema import (
    MAX_INTEGER,
    Field,
    choice,
    integer,
    list_of,
    map_of,
    read_record,
    read_text,
    record,
)

LEVELS: Final = ("0", "1", "2", "3")
RELATIONS: Final = ("employee", "dependant")
FULL_RATIO_BP: Final = 10_000
DEFAULT_REVIEW_THRESHOLD_FEN: Final = 500_000
MAX_PLANS: Final = 100
"""Plans of one product; real ones have fewer than ten."""
MAX_BENEFITS: Final = 100
"""Benefits of one plan; real ones have fewer than twenty."""

read_amount: Final = integer(0, MAX_INTEGER)
read_days: Final = integer(0, MAX_INTEGER)
read_level: Final = choice(*LEVELS)


def _or_any(reader: Any) -> Any:
    """A ratio row's cell: "any" says the same as nothing."""
    return lambda value: None if value == "any" else reader(value)


def _read_settled(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError("type", "", 'expected true, false or "any"')
    return value


_RATIO_ROW: Final = record(
    Field("relation", _or_any(choice(*RELATIONS)), None),
    Field("social_settled", _or_any(_read_settled), None),
    Field("level", _or_any(read_level), None),
    Field("ratio_bp", integer(0, FULL_RATIO_BP)),
)
_NO_DEDUCTIBLE: Final = {"type": "none", "amount_fen": 0}
_DEDUCTIBLE: Final = record(
    Field("type", choice("none", "per_visit", "per_case", "per_year", "per_family_year")),
    Field("amount_fen", read_amount, 0),
)
_EXPENSE: Final = (
    Field("scope", choice("social_only", "social_strict", "all")),
    Field("ratios", list_of(_RATIO_ROW), []),
    Field("deductible", _DEDUCTIBLE, _NO_DEDUCTIBLE),
    Field("waiting_days", read_days, 0),
    Field("per_visit_limit_fen", read_amount, None),
    Field("annual_limit_fen", read_amount, None),
    Field("lifetime_limit_fen", read_amount, None),
)
_BENEFITS: Final = {
    "inpatient_expense": _EXPENSE,
    "outpatient_expense": (
        *_EXPENSE,
        Field("per_day_limit_fen", read_amount, None),
        Field("vat", choice("cover", "exclude"), "exclude"),
    ),
    "daily_allowance": (
        Field("daily_fen", read_amount),
        Field("deductible_days", read_days, 0),
        Field("max_days_per_stay", read_days, None),
        Field("max_days_per_year", read_days, None),
        Field("waiting_days", read_days, 0),
    ),
    "lump_sum": (
        Field("amount_fen", read_amount),
        Field("icd_prefixes", list_of(read_text), []),
        Field("waiting_days", read_days, 0),
    ),
}
_TYPE: Final = Field("type", choice(*_BENEFITS))


def _read_benefit(value: Any) -> dict[str, Any]:
    kind = read_record(value, (_TYPE,))
    return kind | read_record(value, _BENEFITS[kind["type"]])


_PLAN: Final = record(
    Field("annual_limit_fen", read_amount, None),
    Field("covered_hospital_levels", list_of(read_level), None),
    Field("benefits", map_of(_read_benefit, MAX_BENEFITS), {}),
)
_PRODUCT: Final = (
    Field("product_code", read_text),
    Field("pre_existing", choice("exclude", "cover"), "exclude"),
    Field("excluded_icd_prefixes", list_of(read_text), []),
    Field("review_threshold_fen", read_amount, DEFAULT_REVIEW_THRESHOLD_FEN),
    Field("run_off_days", read_days, 0),
    Field("benefit_order", list_of(read_text, MAX_BENEFITS), []),
    Field("plans", map_of(_PLAN, MAX_PLANS), {}),
)


def read_product(value: Any) -> dict[str, Any]:
    """A product with every default filled in. Raises InputError, its path relative to the product."""
    product = read_record(value, _PRODUCT)
    order = product["benefit_order"]
    for index, code in enumerate(order):
        if code in order[:index]:
            raise InputError("unknown_value", f"/benefit_order/{index}", "this benefit is named twice")
    _check_one_type_per_code(product["plans"])
    return product


def _check_one_type_per_code(plans: dict[str, Any]) -> None:
    seen: dict[str, tuple[str, str | None]] = {}
    for plan_id, plan in plans.items():
        for code, benefit in plan["benefits"].items():
            deductible = benefit.get("deductible")
            kind = (benefit["type"], deductible and deductible["type"])
            if seen.setdefault(code, kind) != kind:
                path = pointer(pointer("/plans", plan_id) + "/benefits", code)
                raise InputError("unknown_value", path, "another type or deductible type than in another plan")
