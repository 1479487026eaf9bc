"""Up to f validators lie: nothing unsafe happens, blocks go on, and only the liar is named."""

import pytest

from consensus.effects import Effect
from ledger.certificates import verify_vote
from tests.support.simulator import Cluster
from tests.support.simulator_crypto import FakeScheme
from tests.support.simulator_faults import storm
from tests.support.simulator_traitors import (
    Treason,
    conflicter,
    equivocator,
    garbler,
    impersonator,
    liar_about_carry,
    make_traitor,
    nuller,
    silent,
    spoiler,
    withholder,
)

TRAITORS = [
    conflicter, equivocator, garbler, impersonator, liar_about_carry, nuller, silent, spoiler, withholder,
]  # fmt: skip
PROVABLE = {"conflicter", "equivocator", "nuller"}
"""Treasons that leave two contradicting signatures."""


def _judge(cluster: Cluster, treason: Treason) -> None:
    traitors = cluster.traitors
    for node in cluster.honest():
        assert node.halted is None
        assert {blame.peer for blame in node.blamed} <= traitors, "an honest node was blamed"
        assert {evidence.signer for evidence in node.evidence} <= traitors, "evidence against an honest node"
        for evidence in node.evidence:
            assert evidence.first.subject != evidence.second.subject
            for vote in (evidence.first, evidence.second):
                verify_vote(vote, cluster.validators, node.config.chain, FakeScheme())
    if treason.__name__ in PROVABLE:
        assert any(node.evidence for node in cluster.honest()), "the treason was not noticed"


@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("treason", TRAITORS)
def test_traitors_change_nothing(treason: Treason, n: int) -> None:
    cluster = Cluster(n, seed=21)
    for node in cluster.nodes[: (n - 1) // 3]:
        make_traitor(node, treason)
    cluster.start()
    honest = cluster.honest()
    for _ in range(3 * n):
        cluster.finish(20_000, nodes=honest)
    _judge(cluster, treason)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("treason", TRAITORS)
def test_traitors_in_a_storm(treason: Treason, seed: int) -> None:
    cluster = Cluster(4, seed + 100)
    make_traitor(cluster.nodes[seed % 4], treason)
    cluster.start()
    storm(cluster, 8_000, crash_share=0.002)
    cluster.finish(30_000, nodes=cluster.honest())
    for node in cluster.honest():
        assert {blame.peer for blame in node.blamed} <= cluster.traitors
        assert {evidence.signer for evidence in node.evidence} <= cluster.traitors


def test_bytes_of_a_block_survive_its_maker() -> None:
    """B6: the leader reaches a bare quorum and dies; the others fetch the bytes from those who voted."""
    cluster = Cluster(4, seed=22).start()
    cluster.finish()
    core = cluster.nodes[0].core
    assert core is not None
    leader = cluster.nodes[core._state.leader(core._state.view)]
    unlucky = next(node for node in cluster.nodes if node is not leader)
    cluster.network.drop = lambda sender, to, data: (
        sender == leader.name and to == unlucky.name and b'"proposal"' in data
    )
    said = 0

    def dies(effect: Effect) -> bool:
        nonlocal said
        said += type(effect).__name__ == "Send"
        return said > 1

    leader.crash_hook = dies
    others = [node for node in cluster.nodes if node is not leader]
    tx = cluster.submit()
    cluster.run_until(lambda: cluster.is_final(tx, others), 5_000)
    assert not leader.alive
    assert any(block.ref.view == unlucky.disk.blocks[-1].ref.view for block in others[0].disk.blocks)
