"""The one way from openings to a result: insurer, co-adjudicator and auditor build the case and run it alike.

Pure but for the program, which is given as a function.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from contracts.case import Case
from contracts.cases.accounts import Use, advance_account
from contracts.cases.building import build_case
from contracts.cases.checking import Package
from contracts.cases.outcomes import Adjudication, read_adjudication

Explain: TypeAlias = Callable[[Case], Awaitable[tuple[Any, list[Any]]]]
"""Runs the claim program: (output, trace)."""


async def rerun(package: Package, explain: Explain) -> tuple[Case, Adjudication, tuple[Use, ...]]:
    """The case of a package, what the program gives for it, and each account after it. Raises CaseError."""
    left_fen = package.policies[0].pool_in["left_fen"]
    case = build_case(package.claim_id, package.records, [item.input for item in package.policies], left_fen)
    output, trace = await explain(case)
    adjudication = read_adjudication(case, output, trace)
    uses = tuple(
        advance_account(item.account_in["use"], case, position, adjudication.results[position], adjudication.trace)
        for position, item in enumerate(package.policies)
    )
    return case, adjudication, uses
