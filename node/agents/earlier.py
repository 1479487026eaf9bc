"""What the attempt before gave: kept by insurer and co-adjudicator, and taken into account by the next one.

    outcome/<claim_id>/<attempt>    {policy_id: {payout_id, result, effect}}

A reopened claim's decision takes the place of the one before: its effect leaves account and pool inside the new
outcome, and what it gave is what the insured has already, so that the difference is paid, or becomes recoverable. Must
always hold: nothing is counted as paid but a result that the ledger holds and whose payout is done with.
"""

from dataclasses import replace
from typing import Any, Final

from contracts.cases.checking import DONE_WITH, LedgerFacts, Package, PolicyPackage
from contracts.cases.movements import Use, outcome_effect
from contracts.cases.openings import Opening
from contracts.commitments import commit
from contracts.identifiers import derive_payout_id
from contracts.states import ClaimState, PayoutState, read_payout
from node.agents.gathering import Gathered, Missing
from node.agents.policies import HeldPolicy
from node.agents.ports import Ports

GOES_ON: Final = frozenset({"AUTHORISED", "ORDERED", "SETTLED_CLAIMED", "CONTESTED", "FAILED"})


def keep_outcome(ports: Ports, package: Package) -> None:
    """Keep what a package gives under each policy. Once, or again: the latest package of an attempt."""
    openings = {
        item.policy_id: {
            "payout_id": derive_payout_id(package.claim_id, item.policy_id, package.attempt),
            "result": item.result,
            "effect": outcome_effect(item.input.balance.use, item.account_out["use"]),
        }
        for item in package.policies
    }
    name = f"outcome/{package.claim_id}/{package.attempt}"
    if ports.vault.get_secret(name) != openings:
        ports.vault.put_secret(name, openings)


def recall_effects(ports: Ports, facts: LedgerFacts) -> dict[str, Use]:
    """What the attempt before added to each account, by payout, as far as this node signed for it."""
    return {item["payout_id"]: item["effect"] for item in _recalled(ports, facts).values()}


def with_earlier(ports: Ports, facts: LedgerFacts, gathered: Gathered) -> Gathered:
    """The inputs with what the attempt before gave under each policy.

    Raises Missing `EARLIER_UNPAID`: its payout is on its way; `EARLIER_RESTORED`: its outcome was taken back or given
    up; `EARLIER_ELSEWHERE`: somebody else decided it. The last two are for people.
    """
    known = _recalled(ports, facts)
    policies = tuple(_with_one(facts, held, known.get(held.policy.policy_id)) for held in gathered.policies)
    return replace(gathered, policies=policies)


def find_unpaid(ports: Ports, claim: ClaimState, package: Package) -> tuple[str, PayoutState, PolicyPackage] | None:
    """A payout of the decision before a reopening that goes on: what was authorised is paid all the same, whatever is
    decided next. After a reversal of an invoice nothing more is ordered; what the bank has goes on."""
    for item in package.policies if package.attempt < claim.attempt else ():
        payout_id = derive_payout_id(package.claim_id, item.policy_id, package.attempt)
        payout = read_payout(ports.ledger.final.read, payout_id)
        if payout is None or payout.status not in GOES_ON or commit("result", item.result) != payout.result_commit:
            continue
        reversed_before = payout.status in ("AUTHORISED", "FAILED") and claim.lived.reason_commit is None
        if item.result["result"]["net_fen"] > 0 and not reversed_before:
            return payout_id, payout, item
    return None


def _with_one(facts: LedgerFacts, held: HeldPolicy, earlier: Opening | None) -> HeldPolicy:
    policy_id = held.policy.policy_id
    payout = facts.payouts.get(derive_payout_id(facts.claim_id, policy_id, facts.claim.attempt - 1))
    if payout is None:
        return held
    if earlier is None:
        raise Missing("EARLIER_ELSEWHERE", f"policy {policy_id}: the attempt before was not decided here")
    if payout.status in ("RESTORED", "RELEASED"):
        raise Missing("EARLIER_RESTORED", f"policy {policy_id}: the outcome before was taken back")
    if payout.status not in DONE_WITH and earlier["result"]["result"]["net_fen"] > 0:
        raise Missing("EARLIER_UNPAID", f"policy {policy_id}: the payout of the attempt before is not paid")
    return replace(held, policy=replace(held.policy, earlier=earlier))


def _recalled(ports: Ports, facts: LedgerFacts) -> dict[str, Any]:
    """What was kept of the attempt before, where the ledger took just that result."""
    kept = ports.vault.get_secret(f"outcome/{facts.claim_id}/{facts.claim.attempt - 1}") or {}
    return {name: item for name, item in kept.items() if _is_taken(facts.payouts.get(item["payout_id"]), item)}


def _is_taken(payout: PayoutState | None, item: Opening) -> bool:
    return payout is not None and commit("result", item["result"]) == payout.result_commit
