"""A second verifier of dossiers, written from `ledger/README.md`: it shares no code with the first.

It uses nacl (Ed25519), py_ecc (BLS) and starlark. `verify` makes checks 1 to 12 of that document or raises Refused: 1
to 8 in `history`, 9 to 12 here. The genesis is trusted. Every object is hashed whole or closed, so nothing is unbound.

Check 8 re-executes no contract: a quorum certified each result. Bound are transaction, author, key and kind of entries,
versions and predecessors, digests of carried values and of new policies, accounts, consents and loss pools, signatures
on statements. Only the first verifier checks roles, periods of keys, freezes, ranks, clocks, leases, consents' purposes
and times, customers' signatures, thresholds, control groups, what statements repeat of state, pinned programs, evidence
root, codes of refusals, all other values; ranges and rare forms of a case, how an account moves, lint and
limits of programs. Documents shown in part and witnessed checkpoints are not understood here, hence refused.
"""

import json
from base64 import b32encode
from typing import Any

import starlark
from nacl.exceptions import CryptoError
from py_ecc.bls import G2ProofOfPossession

from tests.second_verifier.history import History, Json, Refused, commit_document, named, need, tagged, unhex

MALFORMED = (LookupError, TypeError, ValueError, AttributeError, RecursionError, CryptoError, starlark.StarlarkError)
CLAIM: Json = dict.fromkeys(("first_onset", "diagnosis_date", "claimed_fen"))
CLAIM |= {"cause": "illness", "diagnoses": [], "returned_count": 0}
INVOICE: Json = {"visit_date": None, "kind": "blue", "code": "", "insurance_type": "self_pay", "third_party": []}
INVOICE |= dict.fromkeys(("pooled_fund_fen", "other_payment_fen", "self_funded_fen", "class_copay_fen"), 0)
INVOICE |= {"disallowed_fen": 0, "prescription": False, "reverses": None}
POLICY: Json = {"advance_fen": 0, "periods": [], "history": [], "excluded_icd_prefixes": []}
PRODUCT: Json = {"pre_existing": "exclude", "excluded_icd_prefixes": [], "run_off_days": 0}
PRODUCT |= {"review_threshold_fen": 500_000}
PLAN: Json = {"annual_limit_fen": None, "covered_hospital_levels": None}
BENEFIT: Json = dict.fromkeys(("per_visit_limit_fen", "per_day_limit_fen", "annual_limit_fen", "lifetime_limit_fen"))
BENEFIT |= {"ratios": [], "deductible": {}, "waiting_days": 0, "deductible_days": 0, "vat": "exclude"}
BENEFIT |= {"max_days_per_stay": None, "max_days_per_year": None, "icd_prefixes": []}
LEVEL = """
def mul(a, b):
    return a * b if type(a) == "int" and type(b) == "int" else fail("mul")
def day_number(date):
    year, month = int(date[0:4]), int(date[5:7])
    if month < 3:
        year, month = year - 1, month + 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + int(date[8:10]) - 1
def round_half_up(numerator, denominator):
    return (2 * numerator + denominator) // (2 * denominator)
"""


def verify(data: bytes, trusted: bytes, aggregate: Any = G2ProofOfPossession.FastAggregateVerify) -> Json:
    """{insurer, height, shown, results}; `shown`: which of checks 9 to 12 the file discloses enough for."""
    try:
        history = History(data, trusted, aggregate)
        shown, results = check_openings(history.file, history)
    except MALFORMED as error:
        raise Refused(1, f"malformed: {type(error).__name__}") from None
    return {"insurer": history.file["insurer"], "height": history.anchor["height"], "shown": shown, "results": results}


def check_openings(file: Json, history: History) -> tuple[list[int], list[Any]]:
    """(which of 9 to 12 are shown, results). Openings without all that they go with are refused."""
    for record in file["records"]:
        found = commit_document(record["document"], record["secret"])
        need(found == history.records[record["record_id"]]["commitment"], 9, "another document")
    documents = {record["record_id"]: record["document"] for record in file["records"]}
    opened, said = {item["policy_id"]: item for item in file["policies"]}, history.statements
    evidence = history.cases.get(history.case_id, [])
    if not said or said.keys() != opened.keys() or file["payee"] is None or not documents.keys() >= {*evidence}:
        need(not opened and not file["payments"] and file["payee"] is None, 10, "openings without all they go with")
        return [9] * bool(documents), []
    kinds, parts = [history.records[name]["record_type"] for name in evidence], [opened[n] for n in history.policies]
    typed = [(kind, documents[name]) for kind, name in zip(kinds, evidence, strict=True)]
    bills = [document for kind, document in typed if kind == "invoice"]
    case = build_case(file["claim_id"], [one for kind, one in typed if kind == "discharge"][-1], bills, parts)
    (program,) = {statement["contract_hash"] for statement in said.values()}
    source = next(item["source"] for item in history.genesis["programs"] if item["contract_hash"] == program)
    results = run_program(json.loads(source)["files"], case)
    (currency,) = {one.get("currency", "CNY") for one in (*bills, *(part["terms"] for part in parts))}
    dates = [bill.get("visit_date") or bill["issue_date"] for bill in bills]
    outcome = {"currency": currency, "event_date": case["stay"]["admission_date"] if case["stay"] else min(dates)}
    pool = history.before[f"pool/{named('pool-id', {'case_id': history.case_id})}"]
    for part, policy, result in zip(parts, case["policies"], results, strict=True):
        statement = said[part["policy_id"]]
        check_opening(10, "payee", file["payee"], statement["payee_commit"], {})
        check_policy(part, statement, history.before, pool, policy["product"], outcome | {"result": result})
        pool = {"commit": statement["pool_commit_out"], "version": pool["version"] + 1}
    payments = {item["payout_id"]: item for item in file["payments"]}
    need(payments.keys() <= history.payouts.keys(), 12, "a payment of another claim")
    paid = [check_payment(payments, one, opened[one["policy_id"]]["result"], history.payouts) for one in said.values()]
    return [9, 10, 11] + [12] * any(paid), results


def check_opening(number: int, kind: str, opening: Json, commitment: str, fields: Json, more: int = 99) -> None:
    """What was committed to has a salt, these fields, and no more than so many others."""
    need(opening | fields == opening and len(opening) <= 1 + len(fields) + more, number, f"another {kind}")
    need(named(f"commit-{kind}", opening) == commitment and len(unhex(opening["salt"])) == 32, number, kind)


def check_policy(part: Json, said: Json, before: Json, pool: Json, product: Json, outcome: Json) -> None:
    """Check 10 on state as the verdict found it; check 11: the outcome is what the statement commits to."""
    policy = before[f"policy/{part['policy_id']}"]
    account, result = before[f"account/{policy['account_id']}"], outcome["result"]
    used = {"account_id": policy["account_id"], "version": account["version"]}
    lost = {"pool_id": said["pool_id"], "version": pool["version"]}
    check_opening(10, "terms", part["terms"], policy["terms_commit"], {"policy_id": part["policy_id"]})
    check_opening(10, "account-version", part["account_in"], account["commit"], used)
    check_opening(10, "pool-version", part["pool_in"], pool["commit"], lost)
    need(named("tables", part["tables"]) == said["tables_hash"], 10, "tables")
    benefits = {code: one["type"] for plan in product["plans"].values() for code, one in plan["benefits"].items()}
    paid = [one["payable_fen"] for one in result["benefits"] if benefits[one["code"]].endswith("_expense")]
    used, lost = used | {"version": used["version"] + 1}, lost | {"version": lost["version"] + 1}
    lost |= {"left_fen": max(0, part["pool_in"]["left_fen"] - sum(paid))}
    date = {"event_date": outcome.pop("event_date")}
    outcome |= {name: said[name] for name in ("claim_id", "policy_id", "attempt")}
    check_opening(11, "result", part["result"], said["result_commit"], outcome, 0)
    check_opening(11, "event-date", part["event_date"], said["event_date_commit"], date, 0)
    check_opening(11, "account-version", part["account_out"], said["account_commit_out"], used, 2)
    check_opening(11, "pool-version", part["pool_out"], said["pool_commit_out"], lost, 0)


def check_payment(payments: Json, said: Json, due: Json, payouts: Json) -> bool:
    """Check 12 of one policy: whether an order or a settlement is shown."""
    name = named("payout-id", {name: said[name] for name in ("claim_id", "policy_id", "attempt")})
    facts = {"payout_id": name, "amount_fen": due["result"]["net_fen"], "currency": due["currency"]}
    ordered = facts | {"end_to_end_id": b32encode(tagged("end-to-end-id", bytes.fromhex(name))[:20]).decode()}
    item = payments.get(name, {"order": None, "settlement": None})
    for kind, expected in (("order", ordered), ("settlement", facts)):
        if item[kind] is not None:
            check_opening(12, kind, item[kind], payouts[name][f"{kind}_commit"], expected)
    return item["order"] is not None or item["settlement"] is not None


def fill(value: Json, defaults: Json) -> Json:
    return defaults | {name: item for name, item in value.items() if item is not None}


def build_case(claim_no: str, discharge: Json, bills: list[Json], parts: list[Json]) -> Json:
    """The input of the program. What better ranks paid enters as a third party's payment, in-patient bills first."""
    invoices = [fill(bill, INVOICE) for bill in bills]
    for one in invoices:
        others = one["pooled_fund_fen"] + one["other_payment_fen"] + sum(p["amount_fen"] for p in one["third_party"])
        one |= {"loss": one["total_fen"] - others, "reverses": one["reverses"] if one["kind"] == "red" else None}
    paid = max(0, sum(one["loss"] for one in invoices)) - parts[0]["pool_in"]["left_fen"]
    need(paid >= 0, 10, "more loss is left than the invoices hold")
    for one in sorted(invoices, key=lambda i: (i["type"] != "inpatient", i["issue_date"], i["code"], i["number"])):
        part = min(paid, max(0, one.pop("loss")))
        one["third_party"] = one["third_party"] + [{"payer": "earlier-rank", "amount_fen": part}] * (part > 0)
        paid -= part
    policies = [part["account_in"]["use"] | fill(part["terms"], POLICY) for part in parts]
    for policy, part in zip(policies, parts, strict=True):
        plans = {name: fill(plan, PLAN) for name, plan in part["tables"]["plans"].items()}
        policy["product"] = fill(part["tables"], PRODUCT) | {"plans": plans}
        for plan in plans.values():
            plan["benefits"] = {code: fill(one, BENEFIT) for code, one in plan["benefits"].items()}
            for one in plan["benefits"].values():
                one["ratios"] = [dict.fromkeys(("relation", "social_settled", "level")) | row for row in one["ratios"]]
                one["deductible"] = {"type": "none", "amount_fen": 0} | one["deductible"]
                need(not any("any" in row.values() for row in one["ratios"]), 11, "not understood")
    stay = {"discharge_date": None, "half_days": None} | discharge["stay"] if discharge.get("stay") else None
    claim = fill(discharge, CLAIM) | {"claim_no": claim_no}
    return {"claim": claim, "stay": stay, "invoices": invoices, "policies": policies}


def run_program(files: dict[str, str], case: Json) -> list[Json]:
    """The results of the program, with what the language level gives it."""
    module, ordered = starlark.Module(), sorted(files, key=lambda name: (name == "program.star", name))
    tree = starlark.parse("program", "".join(files[name] for name in ordered) + LEVEL, starlark.Dialect.standard())
    starlark.eval(module, tree, starlark.Globals.standard())
    outcome: Any = module.freeze().call("adjudicate", case, None)
    return list(outcome["results"])
