"""Check 11 of the second verifier: the case made of documents and openings, and the claim program run on it.

Written from `ledger/README.md` and `contracts/programs/README.md`; imports nothing of the packages that it checks.
"""

import json
from functools import lru_cache
from typing import Any

import starlark

Json = dict[str, Any]
CLAIM = {"cause": "illness", "diagnoses": [], "first_onset": None, "diagnosis_date": None, "claimed_fen": None}
CLAIM |= {"claim_no": None, "returned_count": 0}
STAY = dict.fromkeys(("admission_date", "discharge_date", "half_days", "institution_level"))
INVOICE = {"type": None, "kind": "blue", "code": "", "number": None, "issue_date": None, "visit_date": None}
INVOICE |= {"third_party": [{"payer": "", "amount_fen": 0}], "insurance_type": "self_pay", "institution_level": None}
SUMS = ("pooled_fund_fen", "other_payment_fen", "self_funded_fen", "class_copay_fen", "disallowed_fen")
INVOICE |= {"total_fen": None, "prescription": False, "reverses": None} | dict.fromkeys(SUMS, 0)
USE = {"deductible_used_fen": 0, "paid_fen": 0, "days_paid": 0, "day_paid_fen": ("map", 0)}
TERMS = dict.fromkeys(("policy_no", "insurer", "relation", "first_effective"))
TERMS |= {"periods": [dict.fromkeys(("id", "start", "end", "plan"))], "excluded_icd_prefixes": []}
TERMS |= {"history": [{"icd": None, "date": None, "declared": False}]}
ACCOUNT = {"prior_use": ("map", ("map", USE)), "family_deductible_used_fen": ("map", ("map", 0)), "advance_fen": 0}
ACCOUNT |= {"lifetime_paid_fen": ("map", 0), "used_invoices": [{"code": "", "number": None}]}
RATIO = dict.fromkeys(("relation", "social_settled", "level", "ratio_bp"))
LIMITS = dict.fromkeys(("per_visit_limit_fen", "annual_limit_fen", "lifetime_limit_fen"))
EXPENSE = {"type": None, "scope": None, "ratios": [RATIO], "waiting_days": 0} | LIMITS
BENEFITS: Json = {
    "inpatient_expense": EXPENSE,
    "outpatient_expense": EXPENSE | {"per_day_limit_fen": None, "vat": "exclude"},
    "daily_allowance": {"type": None, "daily_fen": None, "deductible_days": 0, "waiting_days": 0}
    | dict.fromkeys(("max_days_per_stay", "max_days_per_year")),
    "lump_sum": {"type": None, "amount_fen": None, "icd_prefixes": [], "waiting_days": 0},
}
PLAN = {"annual_limit_fen": None, "covered_hospital_levels": None, "benefits": ("map", None)}
PRODUCT = {"product_code": None, "pre_existing": "exclude", "excluded_icd_prefixes": [], "run_off_days": 0}
PRODUCT |= {"review_threshold_fen": 500_000, "benefit_order": [], "plans": ("map", PLAN)}
LEVEL = """
def mul(a, b):
    if type(a) != "int" or type(b) != "int" or max(abs(a), abs(b)) >= 1 << 256:
        fail("mul")
    return a * b

def day_number(date):
    year, month = int(date[0:4]), int(date[5:7])
    if month < 3:
        year, month = year - 1, month + 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + int(date[8:10]) - 1

def round_half_up(numerator, denominator):
    return (2 * numerator + denominator) // (2 * denominator)

def second_run(text):
    return json.encode(adjudicate(json.decode(text), None))
"""


def fill(value: Any, form: Any) -> Any:
    """`value` with the fields of `form` alone and its defaults: {} names fields, [form] a list, (_, form) a map."""
    if isinstance(form, dict):
        return {name: fill(value.get(name), part) for name, part in form.items()}
    if isinstance(form, list):
        return [fill(item, form[0]) if form else item for item in value or []]
    if isinstance(form, tuple):
        return {name: fill(item, form[1]) for name, item in (value or {}).items()}
    return form if value is None else value


def fill_benefit(value: Json) -> Json:
    benefit: Json = fill(value, BENEFITS[value["type"]])
    if value["type"].endswith("_expense"):
        benefit["ratios"] = [
            {key: None if cell == "any" else cell for key, cell in r.items()} for r in benefit["ratios"]
        ]
        benefit["deductible"] = fill(value.get("deductible") or {}, {"type": "none", "amount_fen": 0})
    return benefit


def fill_product(value: Json) -> Json:
    product: Json = fill(value, PRODUCT)
    for plan in product["plans"].values():
        plan["benefits"] = {code: fill_benefit(benefit) for code, benefit in plan["benefits"].items()}
    return product


def fill_invoice(value: Json) -> Json:
    invoice: Json = fill(value, INVOICE)
    invoice["prescription"] = invoice["prescription"] and invoice["type"] == "vat"
    red = invoice["kind"] == "red" and invoice["reverses"]
    return invoice | {"reverses": fill(red, {"code": "", "number": None}) if red else None}


def loss_of(invoice: Json) -> int:
    others = sum(invoice[name] for name in ("pooled_fund_fen", "other_payment_fen"))
    return int(invoice["total_fen"] - others - sum(item["amount_fen"] for item in invoice["third_party"]))


def build_case(claim_no: str, discharge: Json, bills: list[Json], parts: list[Json]) -> Json:
    """The input of the program. What better ranks paid enters as a third party's payment, in-patient bills first."""
    invoices = [fill_invoice(item) for item in bills]
    order = sorted(invoices, key=lambda i: (i["type"] != "inpatient", i["issue_date"], i["code"], i["number"]))
    paid = max(0, sum(map(loss_of, invoices))) - parts[0]["pool_in"]["left_fen"]
    if paid < 0:
        raise ValueError("more loss is left than the invoices hold")
    for invoice in order:
        part = min(paid, max(0, loss_of(invoice)))
        if part > 0:
            invoice["third_party"] = [*invoice["third_party"], {"payer": "earlier-rank", "amount_fen": part}]
        paid -= max(0, part)
    stay = discharge.get("stay") if isinstance(discharge.get("stay"), dict) else None
    policies = [
        fill(part["account_in"]["use"], ACCOUNT)
        | fill(part["terms"], TERMS)
        | {"product": fill_product(part["tables"])}
        for part in parts
    ]
    claim = fill(discharge | {"claim_no": claim_no}, CLAIM)
    return {"claim": claim, "stay": stay and fill(stay, STAY), "invoices": invoices, "policies": policies}


def rerun(source: str, claim_no: str, records: list[tuple[str, Json]], parts: list[Json]) -> tuple[Any, ...]:
    """(results, what each takes from the loss pool, currency, event date); `records` ascend by id."""
    discharge = [document for kind, document in records if kind == "discharge"][-1]
    bills = [document for kind, document in records if kind == "invoice"]
    case = build_case(claim_no, discharge, bills, parts)
    results = json.loads(load(source)(json.dumps(case)))["results"]
    spent = []
    for result, policy in zip(results, case["policies"], strict=True):
        if result["policy_no"] != policy["policy_no"]:
            raise ValueError("results follow the order of the policies")
        kinds = {
            code: one["type"] for plan in policy["product"]["plans"].values() for code, one in plan["benefits"].items()
        }
        expense = [one for one in result["benefits"] if kinds.get(one["code"], "").endswith("_expense")]
        spent.append(sum(one["payable_fen"] or 0 for one in expense))
    currency = {str(bill.get("currency") or "CNY") for bill in bills} | {
        p["terms"].get("currency", "CNY") for p in parts
    }
    (only,) = currency
    dates = [bill.get("visit_date") or bill.get("issue_date") for bill in bills]
    return results, spent, only, case["stay"]["admission_date"] if case["stay"] else min(filter(None, dates))


@lru_cache(maxsize=8)
def load(source: str) -> Any:
    files = json.loads(source)["files"]
    ordered = sorted(files, key=lambda name: (name == "program.star", name))
    dialect, module = starlark.Dialect.standard(), starlark.Module()
    dialect.enable_load = dialect.enable_lambda = dialect.enable_f_strings = dialect.enable_top_level_stmt = False
    tree = starlark.parse("program", "".join(files[name] for name in ordered) + LEVEL, dialect)
    starlark.eval(module, tree, starlark.Globals.extended_by([starlark.LibraryExtension.Json]))
    frozen = module.freeze()
    return lambda text: frozen.call("second_run", text)
