"""Every cell of the claim's table, as transactions: what it has happens, what it has not changes nothing."""

import pytest

from contracts.lifecycle import CLAIM_STEPS, REMEMBERED
from tests.support.claim_lives import ACTIONS, STATUSES, Lives, make_lives
from tests.support.network_builder import Customer


def escalated(lives: Lives, status: str, action: str) -> tuple[Customer, str]:
    """A claim of this status about which the action can decide: the arbiter needs an escalation first."""
    customer, claim_id = lives.reach(status)
    if action == "claim.adjudicate/substitute" and (status, "claim.escalate") in CLAIM_STEPS:
        lives.act("claim.escalate", customer, claim_id)
    return customer, claim_id


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("action", ACTIONS)
def test_cell(status: str, action: str) -> None:
    lives = make_lives()
    customer, claim_id = escalated(lives, status, action)
    before, root = lives.claim(claim_id), lives.state.state_map.root
    receipt = lives.act(action, customer, claim_id)
    step = CLAIM_STEPS.get((status, action))
    if step is None:
        assert receipt.code == "WRONG_STATE"
        assert lives.state.state_map.root == root, "a refusal leaves nothing behind"
        return
    if action == "claim.accept" and status != "REPORTED":
        assert receipt.code == "WRONG_STATE", "every lease is held"
        return
    assert receipt.code == "ok"
    expected = "EVIDENCE_COMPLETE" if step.to == REMEMBERED else step.to
    if (status, action) == ("REPORTED", "claim.accept"):
        expected = "EVIDENCE_COMPLETE"  # its case is complete: the ledger goes on by itself
    after = lives.claim(claim_id)
    assert after.status == expected
    again = action in ("claim.reopen", "claim.ruling/award") or (status, action) == ("DISPUTED", "claim.negotiate")
    assert after.attempt == before.attempt + again
    stands = after.status in ("EVIDENCE_PENDING", "SUSPENDED") and after.ready_ms is not None
    assert (after.lived.paused_since is not None) == stands
