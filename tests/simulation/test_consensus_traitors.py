"""Up to f validators lie: nothing unsafe happens, blocks go on, and only the liar is named.

That no honest validator is blamed, accused or halted is checked at every step by the simulator itself.
"""

import sys
from collections.abc import Callable

import pytest

from consensus.effects import Effect, RequestVerify
from consensus.inputs import Verified
from tests.support.simulator import Cluster
from tests.support.simulator_faults import storm
from tests.support.simulator_node import Node
from tests.support.simulator_traitors import TRAITORS, Traitor, make_traitor
from tests.support.simulator_traitors.censor import Censor
from tests.support.simulator_traitors.endorsement_stripper import EndorsementStripper
from tests.support.simulator_traitors.flooder import Flooder
from tests.support.simulator_traitors.sync_liar import SyncLiar
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


def test_a_stripped_endorsement_never_becomes_final() -> None:
    """B7: blocks with a stripped transaction are refused; the whole one is final under the next honest leader, once."""
    cluster = Cluster(4, seed=31)
    make_traitor(cluster.nodes[2], EndorsementStripper())
    refused = 0
    cluster.start()
    honest = cluster.honest()

    def counts(node: Node) -> Callable[[RequestVerify], Verified]:
        def verdict(request: RequestVerify) -> Verified:
            nonlocal refused
            answer = node.judge(request)
            refused += "signature of a transaction" in answer.detail
            return answer

        return verdict

    for node in honest:
        node.verdict = counts(node)
    sent = []
    for _ in range(12):
        sent.append(cluster.submit())
        cluster.run_until(lambda: cluster.is_final(sent[-1], honest), 10_000)
    assert refused > 0, "it had its turn"
    assert set(sent) <= cluster.checks.history.transactions


@pytest.mark.parametrize("liars", [["v00"], ["v00", "v03"]], ids=["one", "f"])
def test_liars_in_sync_cost_a_laggard_time_only(liars: list[str]) -> None:
    """B18 P13: a node that missed a hundred blocks and a change of the set asks honest peers and liars alike."""
    cluster = Cluster(7 if len(liars) == 2 else 4, seed=32, spares=1)
    turns = [SyncLiar() for _ in liars]
    for name, liar in zip(liars, turns, strict=True):
        make_traitor(cluster.by_name[name], liar)
    cluster.start()
    cluster.finish(nodes=cluster.honest())
    late = cluster.nodes[1]
    late.crash()
    others = [node for node in cluster.honest() if node is not late]
    for number in range(100):
        cluster.finish(nodes=others)
        if number == 50:
            after = cluster.seats | {cluster.nodes[-1].name: len(cluster.nodes) - 1}
            tx = cluster.submit_change(after, others)
            cluster.run_until(lambda tx=tx: cluster.is_final(tx, others), 20_000)  # type: ignore[misc]
    late.start()
    cluster.finish(60_000, nodes=cluster.honest())
    assert late.config.epoch == 2
    assert sum(liar.turn for liar in turns) > 0, "they were asked"


def test_every_kind_of_traitor_has_a_file_and_a_part_in_the_stories() -> None:
    """The kinds that a search must not leave out, each in the list that seeds draw from."""
    wanted = {
        "equivocator", "conflicter", "nuller", "withholder", "outdated_replayer", "impersonator", "certificate_forger",
        "sync_liar", "time_mover", "flooder", "endorsement_stripper",
    }  # fmt: skip
    assert wanted <= {traitor.__module__.rpartition(".")[2] for traitor in TRAITORS}
    assert all((traitor.__doc__ or sys.modules[traitor.__module__].__doc__) and traitor.fault for traitor in TRAITORS)


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
