"""A decided claim under another version of its product: the same evidence and terms, other tables, perhaps other use.

Pure; the program is run by the caller. Must always hold: nothing of the package changes but the tables of the chosen
policies and, if given, what their accounts had used; all policies of a case are decided by one program, as in earnest.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from contracts.case import Case
from contracts.cases.accounts import Use, advance_account, empty_use
from contracts.cases.checking import Package, PolicyPackage
from contracts.cases.errors import CaseError
from contracts.cases.outcomes import read_adjudication
from contracts.cases.rerun import case_of
from contracts.identifiers import derive_product_hash
from contracts.products.backtest import Difference, compare_results


@dataclass(frozen=True, slots=True)
class Version:
    """The version that is tried: its program, and the tables that take the place of those that decided."""

    contract_hash: str
    tables: dict[str, Any]


def product_of(item: PolicyPackage) -> str:
    """The product_hash by which a policy was decided."""
    return derive_product_hash(item.statement.contract_hash, item.statement.tables_hash)


def build_trial(package: Package, version: Version, chosen: Collection[str], uses: Mapping[str, Use]) -> Case:
    """The case with the tables of `version` for the policies in `chosen`. `uses`: by account, what stands in for the
    use that it had. Raises CaseError."""
    others = {item.statement.contract_hash for item in package.policies if item.policy_id not in chosen}
    if others - {version.contract_hash}:
        raise CaseError("PROGRAMS_DIFFER", "another policy of this claim is decided by another program")
    inputs = []
    for item in package.policies:
        use = uses.get(item.account_in["account_id"], item.account_in["use"])
        tables = version.tables if item.policy_id in chosen else item.tables
        inputs.append(replace(item.input, tables=tables, account={**item.account_in, "use": use}))
    return case_of(package, inputs)


def compare_trial(package: Package, case: Case, output: Any) -> tuple[Difference, ...]:
    """What was decided against what the program gave for the trial, policy by policy. Raises CaseError."""
    results = read_adjudication(case, output, ()).results
    return tuple(
        compare_results(
            package.claim_id, item.policy_id, str(item.result["currency"]), item.result["result"], results[position]
        )
        for position, item in enumerate(package.policies)
    )


def advance_trial(package: Package, case: Case, output: Any, trace: list[Any]) -> dict[str, Use]:
    """Each account's use after the trial, by account id. Raises CaseError."""
    adjudication = read_adjudication(case, output, trace)
    found: dict[str, Use] = {}
    for position, item in enumerate(package.policies):
        policy = case["policies"][position]
        use = {name: policy[name] for name in empty_use()}
        result = adjudication.results[position]
        found[item.account_in["account_id"]] = advance_account(use, case, position, result, adjudication.trace)
    return found
