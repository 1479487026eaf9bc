"""Dossiers of blocks in which one key was written more than once: each version is carried with the value it had."""

import pytest

from contracts.bodies import GovernanceFreeze
from node.audit.build import Material, build_dossier
from node.audit.dossier import encode_dossier
from node.audit.verify import read_trust, verify_dossier
from tests.support.ledger_source import MemorySource
from tests.support.network_builder import Network


def no_program(contract_hash: str, case_text: str) -> tuple[str, str]:
    raise AssertionError("nothing is disclosed, so nothing is run")


def status(network: Network, claim_id: str) -> str:
    dossier = build_dossier(MemorySource(network), claim_id, Material())
    return verify_dossier(encode_dossier(dossier), read_trust(network.genesis_bytes), no_program).status


@pytest.mark.parametrize("accused", ["insurer", "hospital"])
def test_two_requests_to_freeze_a_signer_in_one_block(accused: str) -> None:
    """Neither suffices; the claim goes on, and its dossier shows both."""
    network = Network()
    policy = network.commit_policy()
    _, claim_id = network.ready_claim(policy.policy_id)
    authors = [name for name in ("commission", "hospital", "insurer") if name != accused]
    block = network.run(*(network.sign("governance.freeze", GovernanceFreeze(accused), name) for name in authors))
    assert [receipt.code for receipt in block.receipts] == ["ok", "ok"]
    network.adjudicate(claim_id)
    assert status(network, claim_id) == "DECIDED"


def test_two_claims_that_move_one_account_in_one_block() -> None:
    """The second claim carries the first one's version of the account, which the same block replaced."""
    network = Network()
    policy = network.commit_policy()
    _, first = network.ready_claim(policy.policy_id)
    customer = network.grant(policy.policy_id)
    network.publish(customer, "admission")
    second = network.claim_id(customer)
    decided = network.sign("claim.adjudicate", network.make_adjudication(first), "insurer")
    version = network.make_accept(second)
    moved = type(version)(
        second,
        tuple(type(item)(item.policy_id, item.account_version + 1) for item in version.leases),
        version.escalation_digest,
    )
    block = network.run(decided, network.sign("claim.accept", moved, "insurer"))
    assert [receipt.code for receipt in block.receipts] == ["ok", "ok"]
    network.wait(1000)
    assert status(network, second) == "FILED"
    assert status(network, first) == "DECIDED"
