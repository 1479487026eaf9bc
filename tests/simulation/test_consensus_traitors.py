"""Up to f validators lie: nothing unsafe happens, blocks go on, and only the liar is named.

That no honest validator is blamed, accused or halted is checked at every step by the simulator itself.
"""

import pytest

from consensus.effects import Effect
from tests.support.simulator import Cluster
from tests.support.simulator_faults import storm
from tests.support.simulator_traitors import TRAITORS, Traitor, make_traitor
from tests.support.simulator_traitors.censor import Censor
from tests.support.simulator_traitors.flooder import Flooder
from tests.support.simulator_traitors.time_mover import TimeMover
from tests.support.simulator_traitors.two_faced import TwoFaced


def _ids(traitor: type[Traitor]) -> str:
    return f"{traitor.fault}-{traitor.__name__}"


@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("traitor", TRAITORS, ids=_ids)
def test_traitors_change_nothing(traitor: type[Traitor], n: int) -> None:
    """B1 B2 B3 B4 B5 B7 B8 B9 B10 B12 B14 B15 B16 B17 B18 B23 B24 N3 N12 X1 X3: f of them, all the time."""
    cluster = Cluster(n, seed=21)
    for node in cluster.nodes[: (n - 1) // 3]:
        make_traitor(node, traitor())
    cluster.start()
    honest = cluster.honest()
    for _ in range(3 * n):
        cluster.finish(20_000, nodes=honest)
    if traitor.is_provable:
        assert any(node.evidence for node in honest), "the treason was not noticed"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("traitor", TRAITORS, ids=_ids)
def test_traitors_in_a_storm(traitor: type[Traitor], seed: int) -> None:
    """The same while links fail and honest nodes crash."""
    cluster = Cluster(4, seed + 100)
    make_traitor(cluster.nodes[seed % 4], traitor())
    cluster.start()
    storm(cluster, 8_000, crash_share=0.002)
    cluster.finish(30_000, nodes=cluster.honest())


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


def test_a_flood_fills_no_memory_and_delays_nobody() -> None:
    """B16 X3: votes for views far away are dropped; the flooder's own network is its only victim."""
    cluster = Cluster(4, seed=27)
    make_traitor(cluster.nodes[0], Flooder())
    cluster.start()
    for _ in range(10):
        cluster.finish(5_000, nodes=cluster.honest())
    for node in cluster.honest():
        assert node.core is not None
        assert len(node.core._state.views) < 80
        assert max(node.core._state.views) <= node.core._state.view + 3


def test_a_censored_transaction_waits_for_an_honest_leader_only() -> None:
    """B23: included at the latest after the f views of leaders that leave it out."""
    cluster = Cluster(7, seed=28)
    for node in cluster.nodes[:2]:
        make_traitor(node, Censor())
    cluster.start()
    honest = cluster.honest()
    for _ in range(14):
        tx = cluster.submit()
        core = honest[0].core
        assert core is not None
        view = core._state.view
        cluster.run_until(lambda tx=tx: cluster.is_final(tx, honest), 10_000)  # type: ignore[misc]
        home = next(block.ref.view for block in honest[0].disk.blocks if tx in block.payload)
        assert home <= view + 4, f"known in view {view}, included in view {home}"


def test_no_leader_moves_the_time() -> None:
    """B24: what is final lies between its parent's time and an honest clock plus the tolerance."""
    cluster = Cluster(4, seed=29)
    make_traitor(cluster.nodes[1], TimeMover())
    cluster.start()
    for _ in range(16):
        cluster.finish(20_000, nodes=cluster.honest())
    assert cluster.checks.history.highest_wall > 0, "the check of block times ran"


def test_more_than_f_liars_are_noticed() -> None:
    """B22: two of four make two blocks final in one view; the honest stop with both certificates when they meet."""
    cluster = Cluster(4, seed=30)
    shown: dict[tuple[int, str], str] = {}
    first, second = cluster.nodes[2:]
    for node in cluster.nodes[:2]:
        make_traitor(node, TwoFaced(shown, dupe=second.name))
    cluster.checks.is_beyond = True
    cluster.network.partition(["v00", "v01", "v02"], ["v00", "v01", "v03"])
    cluster.start()
    for _ in range(6):
        cluster.submit()
        cluster.run(1_000)
    views = {b.ref.view: b.ref.digest for b in first.disk.blocks}
    assert any(views.get(b.ref.view, b.ref.digest) != b.ref.digest for b in second.disk.blocks), "safety was broken"
    cluster.network.heal()
    cluster.submit()
    cluster.run(10_000)
    for node in (first, second):
        assert node.halted is not None
        assert node.halted.code in {"conflicting_certificates", "finality_conflict"}
        assert len(node.halted.certificates) == 2 or node.halted.code == "finality_conflict"
    assert {evidence.signer for node in (first, second) for evidence in node.evidence} <= cluster.traitors
