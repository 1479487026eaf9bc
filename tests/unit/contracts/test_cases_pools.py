"""The loss pool of a case, invoice by invoice: what is left, who paid what on which, and an outcome taken out again."""

from typing import Any

import pytest

from contracts.case import Case, encode_case
from contracts.cases.building import PolicyInput, build_case, expense_total
from contracts.cases.documents import Record
from contracts.cases.errors import CaseError
from contracts.cases.outcomes import Adjudication, ClaimFacts, build_outcomes, read_adjudication, review_reasons
from contracts.cases.pools import (
    Losses,
    book_outcome,
    check_pool,
    earlier_attempts,
    earlier_paid,
    open_pool,
    read_losses,
    whole_losses,
    without,
)
from contracts.identifiers import derive_payout_id
from contracts.machine.evaluation import LoadedProgram, load_program
from ledger.encoding import decode
from node.machine.programs import standard_program
from tests.support.agent_world import discharge, invoice, standard_policy, standard_product
from tests.support.network_builder import make_hex

CASE_ID, CLAIM_ID, SALT = make_hex("case"), make_hex("claim"), "11" * 32
POLICY, OTHER = "ab" * 16, "ef" * 16
LOSS = 205_000 - 205_000 // 3


@pytest.fixture(scope="module")
def program() -> LoadedProgram:
    return load_program(standard_program())


def records_of(*documents: tuple[str, dict[str, Any]]) -> list[Record]:
    return [Record(f"{at:064x}", kind, document, make_hex(f"s {at}")) for at, (kind, document) in enumerate(documents)]


def policy_of(policy_id: str = POLICY, levels: list[str] | None = None, ratio_bp: int | None = None) -> PolicyInput:
    """The standard product; where a level is covered, or another share is paid, as said."""
    terms = standard_policy("insurer")["terms"] | {"policy_id": policy_id, "policy_no": f"P-{policy_id[:2]}"}
    product = standard_product()
    if levels is not None:
        product["plans"]["STD"]["covered_hospital_levels"] = levels
    if ratio_bp is not None:
        product["plans"]["STD"]["benefits"]["IP"] |= {"ratios": [{"ratio_bp": ratio_bp}], "scope": "all"}
    account = {"salt": SALT, "account_id": policy_id, "version": 3, "use": {}}
    return PolicyInput(policy_id, terms, product, account)


def run(program: LoadedProgram, case: Case) -> Adjudication:
    found = program.explain(encode_case(case))
    return read_adjudication(case, decode(found.result.encode()), decode((found.trace or "[]").encode()))


def decide(
    program: LoadedProgram, held: list[Record], losses: Losses, policy: PolicyInput, name: str = "1"
) -> tuple[int, Losses]:
    """(what the policy pays for expenses, the pool after it)."""
    earlier = earlier_paid(open_pool(CASE_ID, 0, losses, SALT), held, ())
    case = build_case("c", held, [policy], earlier)
    adjudication = run(program, case)
    paid = expense_total(case, 0, adjudication.results[0])
    return paid, book_outcome(losses, case, 0, paid, adjudication.trace, make_hex(name))


def paid_on(losses: Losses) -> list[int]:
    return [sum(item.paid_fen.values()) for item in losses]


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(CaseError) as caught:
        call(*arguments)
    return caught.value.code


def test_a_pool_opens_with_the_loss_of_each_invoice() -> None:
    _, blue = invoice()
    red = {name: -value if name.endswith("_fen") else value for name, value in blue.items()} | {"kind": "red"}
    shared = invoice(2, third_party=[{"payer": "x", "amount_fen": 6_667}])
    losses = whole_losses(records_of(discharge(), ("invoice", blue), ("invoice", red), shared))
    assert [item.loss_fen for item in losses] == [LOSS, -LOSS, 130_000]
    assert open_pool(CASE_ID, 0, losses, SALT)["left_fen"] == 130_000
    assert open_pool(CASE_ID, 0, losses[1:2], SALT)["left_fen"] == 0, "never below zero"
    assert code_of(whole_losses, records_of(discharge(), invoice(third_party={"payer": "x"}))) == "DOCUMENT_FORM"
    assert code_of(whole_losses, records_of(discharge())) == "NO_INVOICE"


def test_a_pool_that_does_not_add_up_is_not_counted_with() -> None:
    opening = open_pool(CASE_ID, 3, whole_losses(records_of(invoice(), invoice(2))), SALT)
    assert check_pool(opening) == opening
    one, two = opening["invoices"]
    for broken in (
        {"left_fen": 1},
        {"left_fen": True},
        {"version": -1},
        {"invoices": None},
        {"invoices": [two, one]},
        {"invoices": [one, one]},
        {"invoices": [one, two | {"paid_fen": {make_hex("p"): 1}}]},
        {"invoices": [one, two | {"paid_fen": {make_hex("p"): -1}}]},
        {"invoices": [one, two | {"more": 1}]},
    ):
        assert code_of(check_pool, opening | broken) == "DOCUMENT_FORM", broken


def test_a_pool_of_other_documents_is_refused() -> None:
    held = records_of(invoice(), invoice(2))
    opening = open_pool(CASE_ID, 0, whole_losses(held), SALT)
    assert earlier_paid(opening, held, ()) == {held[0].record_id: 0, held[1].record_id: 0}
    for others in (held[:1], records_of(invoice(), invoice(2, total=206_000)), records_of(*[invoice()] * 3)):
        assert code_of(earlier_paid, opening, others, ()) == "DOCUMENT_FORM"


def test_a_stay_is_written_to_its_invoices_in_order_each_up_to_its_loss(program: LoadedProgram) -> None:
    """80 % of 2 x (2,050.00 - 683.33 - 50.00): the earlier invoice first, though its record id is the greater one."""
    held = records_of(discharge(), invoice(2), invoice(1))
    paid, losses = decide(program, held, whole_losses(held), policy_of())
    assert paid == 210_667
    assert paid_on(losses) == [210_667 - LOSS, LOSS]


def test_who_covers_only_some_invoices_counts_with_these_alone(program: LoadedProgram) -> None:
    held = records_of(discharge(), invoice(1, institution_level="3"), invoice(2, institution_level="1"))
    first, losses = decide(program, held, whole_losses(held), policy_of(levels=["3"]), "1")
    assert (first, paid_on(losses)) == (105_334, [105_334, 0])
    second, losses = decide(program, held, losses, policy_of(levels=["1"], ratio_bp=10_000), "2")
    assert (second, paid_on(losses)) == (LOSS, [105_334, LOSS]), "its own invoice is untouched by the first"
    third, losses = decide(program, held, losses, policy_of(ratio_bp=10_000), "3")
    assert (third, paid_on(losses)) == (LOSS - 105_334, [LOSS, LOSS])
    assert open_pool(CASE_ID, 3, losses, SALT)["left_fen"] == 0


def test_a_visit_is_paid_on_its_own_invoice(program: LoadedProgram) -> None:
    visit = {"type": "outpatient_expense", "scope": "all", "ratios": [{"ratio_bp": 5000}]}
    product = standard_product(benefit_order=["OP"], plans={"STD": {"benefits": {"OP": visit}}})
    plain = policy_of()
    policy = PolicyInput(plain.policy_id, plain.terms, product, plain.account)
    held = records_of(
        discharge(stay=None), *[invoice(n, type="outpatient", total=n * 9_000, pooled_fund_fen=0) for n in (2, 1)]
    )
    paid, losses = decide(program, held, whole_losses(held), policy)
    assert (paid, paid_on(losses)) == (13_500, [9_000, 4_500])
    for _ in range(2):
        _, losses = decide(program, held, losses, policy, f"{paid_on(losses)}")
    assert paid_on(losses) == [18_000, 9_000], "three halves are no more than the whole"


def test_a_program_that_pays_more_than_the_loss_is_not_booked(program: LoadedProgram) -> None:
    held = records_of(discharge(), invoice())
    case = build_case("c", held, [policy_of()], {})
    adjudication = run(program, case)
    paid = expense_total(case, 0, adjudication.results[0])
    rest = tuple(item for item in whole_losses(held))
    less = without(read_losses(open_pool(CASE_ID, 0, rest, SALT)), ())
    short = [item.__class__(item.record_id, paid - 1, {}) for item in less]
    assert code_of(book_outcome, short, case, 0, paid, adjudication.trace, CLAIM_ID) == "LOSS_EXCEEDED"
    assert code_of(book_outcome, rest, case, 0, paid + 1, adjudication.trace, CLAIM_ID) == "UNEXPLAINED"
    unsaid = [step for step in adjudication.trace if step["what"] != "paid"]
    assert code_of(book_outcome, rest, case, 0, paid, unsaid, CLAIM_ID) == "UNEXPLAINED"
    unshared = [step for step in adjudication.trace if step["what"] != "share"]
    assert code_of(book_outcome, rest, case, 0, paid, unshared, CLAIM_ID) == "LOSS_EXCEEDED"
    assert code_of(book_outcome, rest, case, 0, paid, [{"at": {}}], CLAIM_ID) == "UNEXPLAINED"


def test_an_outcome_is_taken_out_as_if_it_had_never_been(program: LoadedProgram) -> None:
    held = records_of(discharge(), invoice(1), invoice(2))
    _, first = decide(program, held, whole_losses(held), policy_of(), "1")
    _, both = decide(program, held, first, policy_of(OTHER, ratio_bp=10_000), "2")
    assert without(both, {make_hex("2")}) == first
    assert without(without(both, {make_hex("1")}), {make_hex("2")}) == whole_losses(held)
    restored = without(both, {make_hex("1")})
    assert open_pool(CASE_ID, 3, restored, SALT)["left_fen"] == sum(paid_on(first))


def test_outcomes_chain_the_pool_through_the_policies(program: LoadedProgram) -> None:
    held = records_of(discharge(), invoice())
    policies = [policy_of(), policy_of(OTHER)]
    case = build_case(CLAIM_ID, held, policies, {})
    adjudication = run(program, case)
    pool = open_pool(CASE_ID, 0, whole_losses(held), SALT)
    one, two = build_outcomes(
        ClaimFacts(CLAIM_ID, CASE_ID, 1, "CNY"), case, policies, adjudication, pool, {}, lambda: SALT, lambda _: False
    )
    assert (one.pool_out["left_fen"], two.pool_out["left_fen"]) == (LOSS - 105_334, 0)
    assert two.pool_in == one.pool_out
    assert (one.pool_out["version"], two.pool_out["version"], one.account_out["version"]) == (1, 2, 4)
    assert expense_total(case, 0, adjudication.results[0]) == 105_334, "the allowance uses up no loss"
    assert review_reasons(adjudication) == []


def test_a_later_attempt_takes_the_place_of_the_earlier_one(program: LoadedProgram) -> None:
    """What the same claim paid before is neither an earlier rank's payment nor left in the next version."""
    held = records_of(discharge(), invoice())
    before = derive_payout_id(CLAIM_ID, POLICY, 1)
    losses = tuple(item.__class__(item.record_id, item.loss_fen, {before: 100_000}) for item in whole_losses(held))
    pool = open_pool(CASE_ID, 4, losses, SALT)
    own = earlier_attempts(CLAIM_ID, [POLICY], 2)
    assert before in own
    assert earlier_paid(pool, held, own) == {held[1].record_id: 0}
    case = build_case(CLAIM_ID, held, [policy_of()], earlier_paid(pool, held, own))
    facts = ClaimFacts(CLAIM_ID, CASE_ID, 2, "CNY")
    (outcome,) = build_outcomes(facts, case, [policy_of()], run(program, case), pool, {}, lambda: SALT, lambda _: False)
    assert outcome.pool_out["invoices"][0]["paid_fen"] == {derive_payout_id(CLAIM_ID, POLICY, 2): 105_334}
