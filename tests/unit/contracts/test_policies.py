"""policy.commit: who may commit, which ids are free, and who must be able to say no."""

from typing import Any

import pytest

from contracts.bodies import PolicyCommit
from contracts.states import read_account, read_policy
from tests.support.network_builder import Network


def test_a_policy_makes_its_account_at_version_zero() -> None:
    network = Network()
    policy = network.commit_policy()
    stored = read_policy(network.state.read, policy.policy_id)
    account = read_account(network.state.read, policy.account_id)
    assert stored is not None
    assert account is not None
    assert (stored.insurer, stored.account_id, stored.threshold) == ("insurer", policy.account_id, 1)
    assert (account.version, account.commit, account.lease) == (0, policy.account_v0_commit, None)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"co_adjudicators": ("tpa", "tpa")}, "ADJUDICATOR_REPEATED"),
        ({"co_adjudicators": ("hospital",)}, "ADJUDICATOR_ROLE"),
        ({"co_adjudicators": ("nobody",)}, "PARTICIPANT_UNKNOWN"),
        ({"escalation_to": "nobody"}, "PARTICIPANT_UNKNOWN"),
        ({"escalation_to": "hospital"}, "ADJUDICATOR_ROLE"),
        ({"escalation_to": "tpa-owned"}, "CONTROL_GROUP"),
        ({"escalation_to": "insurer"}, "CONTROL_GROUP"),
        ({"co_adjudicators": ("tpa-owned",)}, "CONTROL_GROUP"),
        ({"co_adjudicators": ("insurer", "tpa-owned")}, "CONTROL_GROUP"),
        ({"co_adjudicators": ("tpa", "tpa-owned"), "threshold": 2}, "CONTROL_GROUP"),
    ],
)
def test_a_policy_that_one_group_could_satisfy_or_nobody_could_judge(changes: dict[str, Any], code: str) -> None:
    network = Network()
    policy = network.make_policy(**changes)
    receipt = network.do("policy.commit", PolicyCommit((policy,)), "insurer")
    assert receipt.code == code
    assert read_policy(network.state.read, policy.policy_id) is None


def test_two_outsiders_satisfy_a_threshold_of_two() -> None:
    network = Network()
    network.commit_policy(co_adjudicators=("auditor", "insurer-two", "tpa-owned"), threshold=2)


def test_only_an_insurer_commits() -> None:
    network = Network()
    receipt = network.do("policy.commit", PolicyCommit((network.make_policy(),)), "tpa")
    assert (receipt.code, receipt.results[0].subject) == ("ROLE_MISSING", "tpa")


def test_ids_are_used_once_even_within_one_transaction() -> None:
    network = Network()
    first = network.commit_policy()
    same_policy = network.make_policy(policy_id=first.policy_id)
    same_account = network.make_policy(account_id=first.account_id)
    fresh = network.make_policy()
    twin = network.make_policy(account_id=fresh.account_id)
    receipt = network.do("policy.commit", PolicyCommit((same_policy, same_account, fresh, twin)), "insurer")
    assert receipt.code == "partial"
    assert [item.code for item in receipt.results] == ["POLICY_EXISTS", "ACCOUNT_EXISTS", "ok", "ACCOUNT_EXISTS"]
