"""Two insurers, each with a case of its own and the loss pool between them, against one case with both policies.

In one case the second policy's pool is what its invoices lost less all that the first paid on the stay (rule 3.7.1).
Apart, it is what is left invoice by invoice. The two say the same wherever the first paid on the stay only what the
second covers too; what it paid on invoices that the second does not cover is not held against the others.
"""

import json
from collections import Counter
from random import Random
from typing import Any

from contracts.case import Case, encode_case, read_case
from contracts.cases.building import expense_total
from contracts.cases.documents import loss_of_invoice
from contracts.cases.pools import InvoiceLoss, Losses, book_outcome
from contracts.machine.evaluation import load_program
from node.machine.programs import standard_program
from tests.support import adjudication_oracle
from tests.support.adjudication_cases import build_paying_case, build_random_case

PROGRAM = load_program(standard_program())
CASES = 1_600
Told = tuple[dict[str, Any], list[dict[str, Any]]]


def draw_case(seed: int) -> dict[str, Any] | None:
    """A case with two policies whose invoices nobody paid on before."""
    case = (build_paying_case if seed % 3 else build_random_case)(Random(seed))
    if len(case["policies"]) < 2 or not case.get("invoices"):
        return None
    invoices = [{**item, "earlier_paid_fen": 0} for item in case["invoices"]]
    if seed % 2:
        for plan in case["policies"][1]["product"]["plans"].values():
            plan["covered_hospital_levels"] = ["1", "2"]
    return {**case, "invoices": invoices, "policies": case["policies"][:2]}


def explain(case: Case) -> Told:
    found = PROGRAM.explain(encode_case(case))
    return json.loads(found.result), json.loads(found.trace or "[]")


def losses_of(case: Case) -> Losses:
    return tuple(InvoiceLoss(f"{at:064x}", loss_of_invoice(bill), {}) for at, bill in enumerate(case["invoices"]))


def paid_by(losses: Losses, payout: str) -> list[int]:
    return [item.paid_fen.get(payout, 0) for item in losses]


def one_case(case: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Losses]:
    """Results, explanation and the pool after both policies in one case."""
    whole = read_case(case)
    result, trace = explain(whole)
    losses = losses_of(whole)
    for position, entry in enumerate(result["results"]):
        losses = book_outcome(losses, whole, position, expense_total(whole, position, entry), trace, f"{position:064x}")
    return result["results"], trace, losses


def two_cases(case: dict[str, Any]) -> tuple[list[dict[str, Any]], Losses]:
    """Results and the pool when each policy has a case of its own, in this order."""
    results: list[dict[str, Any]] = []
    losses = losses_of(read_case(case))
    for position, policy in enumerate(case["policies"]):
        earlier = [sum(item.paid_fen.values()) for item in losses]
        bills = [{**bill, "earlier_paid_fen": paid} for bill, paid in zip(case["invoices"], earlier, strict=True)]
        own = {**case, "invoices": bills, "policies": [policy]}
        checked = read_case(own)
        result, trace = explain(checked)
        assert result == adjudication_oracle.adjudicate(own)
        losses = book_outcome(
            losses, checked, 0, expense_total(checked, 0, result["results"][0]), trace, f"{position:064x}"
        )
        results += result["results"]
    return results, losses


def stay_is_shared(case: dict[str, Any], trace: list[dict[str, Any]], losses: Losses) -> bool:
    """Whether each benefit of the second policy that looks at the stay looks at all that the first paid on."""
    shared: dict[str, set[str]] = {}
    for step in trace:
        if step["what"] == "share" and step["policy_no"] == case["policies"][1]["policy_no"]:
            shared.setdefault(step["at"]["benefit"], set()).add(step["at"]["invoice"])
    paid = {
        f"{bill.get('code') or ''}/{bill['number']}"
        for bill, fen in zip(case["invoices"], paid_by(losses, f"{0:064x}"), strict=True)
        if bill["type"] == "inpatient" and fen
    }
    return all(paid <= names for names in shared.values())


def test_two_cases_pay_what_one_case_pays_and_never_more_than_the_loss() -> None:
    seen: Counter[str] = Counter()
    for seed in range(CASES):
        case = draw_case(seed)
        if case is None:
            continue
        together, trace, joint = one_case(case)
        apart, losses = two_cases(case)
        for item in losses:
            assert sum(item.paid_fen.values()) <= max(0, item.loss_fen), seed
        assert apart[0] == together[0], seed
        if stay_is_shared(case, trace, joint):
            assert apart[1] == together[1], seed
            assert losses == joint, seed
            count(seen, case, losses, apart[1])
        else:
            assert apart[1]["total_fen"] >= together[1]["total_fen"], seed
            seen["only some invoices"] += 1
    assert min(seen[name] for name in ("stay", "visit", "capped")) >= 15, seen
    assert seen["only some invoices"] >= 5, seen


def count(seen: Counter[str], case: dict[str, Any], losses: Losses, second: dict[str, Any]) -> None:
    """What the drawn case was about: both paid on one invoice, or the first left too little."""
    for bill, item in zip(case["invoices"], losses, strict=True):
        if len(item.paid_fen) == 2:
            seen["stay" if bill["type"] == "inpatient" else "visit"] += 1
    seen["capped"] += any("INDEMNITY_CAP" in benefit["reasons"] for benefit in second["benefits"])
