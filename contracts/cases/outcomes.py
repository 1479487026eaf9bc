"""One claim's outcomes: the case is built, the program has run, its result becomes openings for every policy.

Pure. The insurer proposes with it, and a co-adjudicator or auditor computes the same values from the same openings.
Must always hold: policies follow the claim's order, each consuming the pool version that the one before left.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.case import Case
from contracts.cases.accounts import advance_account
from contracts.cases.building import PolicyInput, expense_total
from contracts.cases.errors import CaseError
from contracts.cases.movements import book_outcome
from contracts.cases.openings import Opening, Outcome, Salt, open_account, open_result
from contracts.cases.pools import book_outcome as book_losses
from contracts.cases.pools import earlier_attempts, open_pool, read_losses, without
from contracts.identifiers import derive_payout_id
from contracts.machine.errors import ProgramFailed
from contracts.machine.outputs import check_output, check_trace


@dataclass(frozen=True, slots=True)
class Adjudication:
    """What a program gave for a case: one result for each policy, and every step that led to them."""

    results: tuple[dict[str, Any], ...]
    trace: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """Names that the openings carry."""

    claim_id: str
    case_id: str
    attempt: int
    currency: str


def read_adjudication(case: Case, output: Any, trace: Iterable[Any]) -> Adjudication:
    """A program's output and explanation, checked so that both can be used. Raises CaseError `RESULT_FORM`."""
    steps = list(trace)
    try:
        check_output(output, [policy["policy_no"] for policy in case["policies"]])
        check_trace(steps)
    except ProgramFailed as error:
        raise CaseError("RESULT_FORM", error.detail) from None
    return Adjudication(tuple(output["results"]), tuple(steps))


def review_reasons(adjudication: Adjudication) -> list[str]:
    """Why a person must look, over all policies, sorted; empty if nobody must."""
    return sorted({str(reason) for item in adjudication.results if item["review"] for reason in item["review_reasons"]})


def build_outcomes(
    facts: ClaimFacts,
    case: Case,
    policies: Sequence[PolicyInput],
    adjudication: Adjudication,
    pool: Opening,
    event_date: Mapping[str, Any],
    salt: Salt,
    is_settled: Callable[[str], bool],
) -> tuple[Outcome, ...]:
    """Openings of every policy's outcome, in order. `pool` is the opening of the pool's current version; `is_settled`
    says whether the ledger holds the settlement of a payout: its reservation is captured. Raises CaseError."""
    outcomes = []
    own = earlier_attempts(facts.claim_id, [item.policy_id for item in policies], facts.attempt)
    losses = without(read_losses(pool), own)
    for position, (item, result) in enumerate(zip(policies, adjudication.results, strict=True)):
        use = advance_account(item.balance.use, case, position, result, adjudication.trace)
        balance = item.balance
        captured = [one.payout_id for one in balance.reserved if is_settled(one.payout_id)]
        payout_id = derive_payout_id(facts.claim_id, item.policy_id, facts.attempt)
        balance = book_outcome(balance, use, payout_id, captured)
        losses = book_losses(
            losses, case, position, expense_total(case, position, result), adjudication.trace, payout_id
        )
        account = open_account(item.account["account_id"], item.account["version"] + 1, balance, salt())
        pool_out = open_pool(facts.case_id, pool["version"] + 1, losses, salt())
        outcome = Outcome(
            policy_id=item.policy_id,
            account_in=item.account,
            account_out=account,
            pool_in=pool,
            pool_out=pool_out,
            event_date=dict(event_date),
            result=open_result(facts.claim_id, item.policy_id, facts.attempt, facts.currency, result, salt()),
        )
        outcomes.append(outcome)
        pool = pool_out
    return tuple(outcomes)
