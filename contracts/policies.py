"""Policies: what an insurer commits to before anything happens, and who must agree to a payment under it.

Must always hold: an account belongs to one policy, and no control group can satisfy a policy's endorsement rule
alone. Terms, persons and sums are inside commitments that only the parties can open.
"""

from contracts.bodies import PolicyCommitment
from contracts.errors import Refusal
from contracts.operations import Operation
from contracts.releases import is_withdrawn
from contracts.states import AccountState, PolicyState

ADJUDICATOR_ROLES = frozenset({"tpa", "commission", "auditor", "insurer"})
"""Who can re-run a claim and vouch for its result; a hospital is a party to the bill."""


def apply_commit(operation: Operation, item: PolicyCommitment) -> str:
    """`policy.commit`, one policy (protocol rule 3)."""
    insurer = operation.require_role("insurer")
    if operation.has(PolicyState, item.policy_id):
        raise Refusal("POLICY_EXISTS", "this policy id is taken", item.policy_id)
    if operation.has(AccountState, item.account_id):
        raise Refusal("ACCOUNT_EXISTS", "this account id is taken", item.account_id)
    _check_adjudicators(operation, item, insurer.control_group)
    if is_withdrawn(operation, operation.author, item.product_hash):
        raise Refusal("PRODUCT_WITHDRAWN", "the release was withdrawn; commit to another", item.product_hash)
    policy = PolicyState(
        insurer=operation.author,
        terms_commit=item.terms_commit,
        product_hash=item.product_hash,
        account_id=item.account_id,
        co_adjudicators=item.co_adjudicators,
        threshold=item.threshold,
        escalation_to=item.escalation_to,
        look_back_days=item.look_back_days,
    )
    account = AccountState(
        policy_id=item.policy_id,
        version=0,
        commit=item.account_v0_commit,
        cause=f"policy/{item.policy_id}",
        lease=None,
    )
    operation.put(item.policy_id, policy)
    operation.put(item.account_id, account)
    operation.emit("policy.committed", item.policy_id)
    return item.policy_id


def list_outside(operation: Operation, policy: PolicyState) -> frozenset[str]:
    """The co-adjudicators of a policy that the insurer's control group does not own: whose word counts."""
    control_group = operation.participant(policy.insurer).control_group
    return frozenset(name for name in policy.co_adjudicators if operation.is_outside(name, control_group))


def _check_adjudicators(operation: Operation, item: PolicyCommitment, control_group: str) -> None:
    if len(set(item.co_adjudicators)) != len(item.co_adjudicators):
        raise Refusal("ADJUDICATOR_REPEATED", "a co-adjudicator is listed twice", item.policy_id)
    for name in (*item.co_adjudicators, item.escalation_to):
        if ADJUDICATOR_ROLES.isdisjoint(operation.participant(name).roles):
            raise Refusal("ADJUDICATOR_ROLE", f"{name} holds no role that adjudicates", name)
    outside = [name for name in item.co_adjudicators if operation.is_outside(name, control_group)]
    if len(outside) < item.threshold:
        raise Refusal(
            "CONTROL_GROUP", f"{len(outside)} of {item.threshold} are outside {control_group}", item.policy_id
        )
    if not operation.is_outside(item.escalation_to, control_group):
        raise Refusal("CONTROL_GROUP", f"escalation_to belongs to {control_group}", item.escalation_to)
