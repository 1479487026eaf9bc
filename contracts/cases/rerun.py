"""The one way from openings to a result: insurer, co-adjudicator and auditor build the case and run it alike.

Pure but for the program, which is given as a function.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from contracts.case import Case
from contracts.cases.accounts import Use, advance_account
from contracts.cases.building import PolicyInput, build_case
from contracts.cases.checking import Package
from contracts.cases.outcomes import Adjudication, read_adjudication
from contracts.cases.pools import earlier_attempts, earlier_paid

Explain: TypeAlias = Callable[[Case], Awaitable[tuple[Any, list[Any]]]]
"""Runs the claim program: (output, trace)."""


def case_of(package: Package, inputs: Sequence[PolicyInput] | None = None) -> Case:
    """The case that a package was decided on, or is to be; with other `inputs` what it would have been. Raises
    CaseError."""
    own = earlier_attempts(package.claim_id, [item.policy_id for item in package.policies], package.attempt)
    earlier = earlier_paid(package.policies[0].pool_in, package.records, own)
    return build_case(package.claim_id, package.records, inputs or [item.input for item in package.policies], earlier)


async def rerun(package: Package, explain: Explain) -> tuple[Case, Adjudication, tuple[Use, ...]]:
    """The case of a package, what the program gives for it, and each account after it. Raises CaseError."""
    case = case_of(package)
    output, trace = await explain(case)
    adjudication = read_adjudication(case, output, trace)
    uses = tuple(
        advance_account(item.input.balance.use, case, position, adjudication.results[position], adjudication.trace)
        for position, item in enumerate(package.policies)
    )
    return case, adjudication, uses
