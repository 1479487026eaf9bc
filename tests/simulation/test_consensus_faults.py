"""Named schedules that killed real implementations of this family, and a fixed set of random storms."""

from collections.abc import Callable

import pytest

import consensus.core
from consensus.effects import Deliver, Effect, Persist, RequestVerify, Send
from consensus.inputs import Verified
from consensus.journal import OwnVote, StoredCertificate
from consensus.messages import Certified, VoteCast, decode_message
from consensus.types import Timing, Verdict
from tests.support.simulator import Cluster
from tests.support.simulator_faults import storm
from tests.support.simulator_node import MAX_PAYLOAD, Node


def _persists(kind: str, what: type) -> Callable[[Effect], bool]:
    """Effects that make a vote or certificate of a kind durable."""

    def matches(effect: Effect) -> bool:
        if not isinstance(effect, Persist):
            return False
        said = [r.vote if isinstance(r, OwnVote) else r.certificate for r in effect.records if isinstance(r, what)]
        return any(one.kind == kind for one in said)

    return matches


def _says(kind: str, what: type) -> Callable[[Effect], bool]:
    """Effects that send a vote or certificate of a kind."""

    def matches(effect: Effect) -> bool:
        if not isinstance(effect, Send):
            return False
        message, _ = decode_message(effect.data, MAX_PAYLOAD)
        said = getattr(message, "vote", None) or getattr(message, "certificate", None)
        return isinstance(message, what) and said is not None and said.kind == kind

    return matches


def _crash_all_at(cluster: Cluster, matches: Callable[[Effect], bool]) -> None:
    """Every node dies at its first matching effect; those that never meet one are killed at the end."""
    for node in cluster.nodes:
        node.crash_hook = matches
    cluster.submit()
    cluster.run(4_000)
    for node in cluster.nodes:
        node.crash_hook = lambda effect: False
        if node.alive:
            node.crash()


@pytest.mark.parametrize(
    "moment",
    [
        _persists("notarize", OwnVote),
        _says("notarize", VoteCast),
        _persists("notarize", StoredCertificate),
        _says("notarize", Certified),
        _says("finalize", VoteCast),
        _persists("finalize", StoredCertificate),
        _says("finalize", Certified),
        lambda effect: isinstance(effect, Deliver),
    ],
    ids=[
        "vote_write", "vote_send", "notarization_write", "notarization_send",
        "finalize_send", "finalization_write", "finalization_send", "deliver",
    ],
)  # fmt: skip
@pytest.mark.parametrize("n", [1, 4, 5])
def test_all_crash_after_notarize(n: int, moment: Callable[[Effect], bool]) -> None:
    """A1 P2: all die at one moment around a notarization; the bytes survive and the network goes on."""
    cluster = Cluster(n, seed=7).start()
    cluster.finish()
    _crash_all_at(cluster, moment)
    cluster.start()
    cluster.finish(20_000)


@pytest.mark.parametrize("moment", [_persists("nullify", OwnVote), _says("nullify", VoteCast)], ids=["write", "send"])
def test_all_crash_after_nullify(moment: Callable[[Effect], bool]) -> None:
    """P3: all die right after they gave a view up."""
    cluster = Cluster(4, seed=8).start()
    cluster.finish()
    cluster.network.drop = lambda sender, to, data: len(data) > 4 and b'"proposal"' in data
    _crash_all_at(cluster, moment)
    cluster.network.heal()
    cluster.start()
    cluster.finish(20_000)


@pytest.mark.parametrize(("n", "certified"), [(4, 1), (4, 2), (5, 2), (5, 3), (7, 3), (7, 4)])
def test_certified_vs_nullified_split_heals(n: int, certified: int) -> None:
    """N10 N11. Some saw the notarization, the others gave the view up; neither side has a quorum of its own."""
    cluster = Cluster(n, seed=9).start()
    cluster.finish()
    names = [node.name for node in cluster.nodes]
    lucky = set(names[:certified])

    def censor(sender: str, to: str, data: bytes) -> bool:
        message, _ = decode_message(data, MAX_PAYLOAD)
        if isinstance(message, VoteCast) and message.vote.kind == "notarize":
            return to not in lucky
        return isinstance(message, (Certified,)) or (isinstance(message, VoteCast) and message.vote.kind != "notarize")

    cluster.network.drop = censor
    cluster.submit()
    cluster.run(6_000)
    states = [node.core._state for node in cluster.nodes if node.core is not None]
    view = min(state.view for state in states)
    assert sum("notarize" in state.at(view).certificates for state in states) == certified
    assert sum("nullify" in state.at(view).own for state in states) == n - certified
    cluster.network.heal()
    cluster.finish(10_000)


def test_minority_partition_heals() -> None:
    """N6: one node is cut off, catches up and keeps its votes."""
    cluster = Cluster(4, seed=10).start()
    cluster.finish()
    majority, lone = cluster.nodes[:3], cluster.nodes[3]
    cluster.network.partition([node.name for node in majority], [lone.name])
    before = len(lone.disk.blocks)
    for _ in range(10):
        cluster.finish(nodes=majority)
    assert len(lone.disk.blocks) == before
    cluster.network.heal()
    cluster.finish(10_000)
    assert [b.ref for b in lone.disk.blocks] == [b.ref for b in cluster.nodes[0].disk.blocks]


def test_no_quorum_means_no_progress_and_no_growth() -> None:
    """N5: two halves."""
    cluster = Cluster(4, seed=11).start()
    cluster.finish()
    names = [node.name for node in cluster.nodes]
    cluster.network.partition(names[:2], names[2:])
    final, sent = len(cluster.checks.chain), cluster._count
    cluster.submit()
    cluster.run(60_000)
    assert len(cluster.checks.chain) == final
    assert cluster._count - sent < 60 * 4 * 30, "repetition is bounded"
    assert all(node.core is not None and len(node.core._state.views) < 20 for node in cluster.nodes)
    cluster.network.heal()
    cluster.finish(20_000)


def test_a_dead_validator_costs_no_waiting() -> None:
    """A4: a leader known to be silent is skipped as soon as a block is expected."""
    cluster = Cluster(4, seed=12).start(["v00", "v01", "v02"])
    living = cluster.nodes[:3]
    for _ in range(8):
        cluster.finish(nodes=living)
    begun = cluster.now
    for _ in range(20):
        cluster.finish(nodes=living)
    assert (cluster.now - begun) / 20 < 250, "a block took as long as waiting for the dead leader"
    cluster.nodes[3].start()
    cluster.finish(10_000)
    begun = len(cluster.checks.chain)
    for _ in range(8):
        cluster.finish()
    leaders = {
        node.core._state.leader(b.ref.view) for node in living[:1] if node.core for b in node.disk.blocks[begun:]
    }
    assert 3 in leaders, "a validator that came back leads again"


def test_an_idle_ledger_beats_slowly() -> None:
    cluster = Cluster(4, seed=13).start()
    cluster.finish()
    blocks, events = len(cluster.checks.chain), cluster._count
    cluster.run(300_000)
    assert 8 <= len(cluster.checks.chain) - blocks <= 11, "one block in 30 s"
    assert cluster._count - events < 300 * 30, "an idle network is nearly silent"
    cluster.finish(1_000)


def test_laggard_catches_up_through_block_sync() -> None:
    """P13: a node that missed 120 blocks."""
    cluster = Cluster(4, seed=14).start()
    cluster.finish()
    lone = cluster.nodes[0]
    lone.crash()
    others = cluster.nodes[1:]
    for _ in range(120):
        cluster.finish(nodes=others)
    lone.start()
    cluster.finish(20_000)
    assert len(lone.disk.blocks) == len(cluster.checks.chain)


def test_real_signatures_end_to_end() -> None:
    """The same with Ed25519 and BLS: a few blocks, a dead leader, a restart."""
    cluster = Cluster(4, seed=23, real=True).start()
    for _ in range(4):
        cluster.finish()
    cluster.nodes[0].crash()
    for _ in range(2):
        cluster.finish(nodes=cluster.nodes[1:])
    cluster.nodes[0].start()
    cluster.finish(20_000)
    assert not any(node.blamed or node.halted for node in cluster.nodes)


def test_only_a_bridge_hears_everybody() -> None:
    """N8: two halves see each other through one node; no half has a quorum without the other's votes."""
    cluster = Cluster(5, seed=24).start()
    cluster.finish()
    names = [node.name for node in cluster.nodes]
    cluster.network.partition(names[:3], names[2:])
    cluster.finish(60_000)
    cluster.network.heal()
    cluster.finish(20_000)


def test_a_link_that_carries_one_way_only() -> None:
    """N7: one node is heard and does not hear, another hears and is not heard by one."""
    cluster = Cluster(4, seed=25).start()
    cluster.finish()
    a, b, c, d = [node.name for node in cluster.nodes]
    cluster.network.cuts = {(a, d), (b, d), (d, c)}
    for _ in range(5):
        cluster.finish(30_000, nodes=cluster.nodes[:3])
    cluster.network.heal()
    cluster.finish(20_000)


def test_a_partition_that_moves_every_half_second() -> None:
    """N9: no two views see the same network; then it rests."""
    cluster = Cluster(7, seed=26).start()
    names = [node.name for node in cluster.nodes]
    for _ in range(60):
        cluster.submit()
        some = cluster.chance.sample(names, 3)
        cluster.network.partition(some, [name for name in names if name not in some])
        cluster.run(500)
    cluster.network.heal()
    cluster.finish(10_000)


def test_slow_growing_network_still_finalizes() -> None:
    """N2. Delays far above D: the timeout grows until blocks become final, then shrinks again."""
    cluster = Cluster(4, seed=15, timing=Timing(base=100)).start()
    cluster.network.delay = (300, 900)
    cluster.finish(60_000)
    cluster.network.delay = (5, 25)
    cluster.finish(20_000)


def _restore(node: Node, journal: bytes, sequence: int) -> None:
    node.disk.journal, node.disk.sequence = journal, sequence


def test_an_old_journal_is_refused() -> None:
    """P6 P12: writes that never reached the disk, or an older copy, with the guard still there."""
    cluster = Cluster(4, seed=16).start()
    cluster.finish()
    node = cluster.nodes[1]
    old = node.disk.journal, node.disk.sequence
    floor = list(node.disk.blocks), list(node.disk.certificates)
    for _ in range(3):
        cluster.finish()
    node.crash()
    _restore(node, *old)
    node.disk.blocks, node.disk.certificates = floor
    cluster.damaged.add(node.name)
    node.start()
    assert node.halted is not None
    assert node.halted.code == "journal_behind_guard"
    cluster.finish(20_000, nodes=[one for one in cluster.nodes if one is not node])


def test_a_lost_journal_is_found_out_by_asking_peers() -> None:
    """P12. A9: journal, guard and store are gone, the key is not: peers show votes of ours, so nothing is signed."""
    cluster = Cluster(4, seed=17).start()
    for _ in range(3):
        cluster.finish()
    node = cluster.nodes[2]
    node.crash()
    node.disk.__init__(node.disk.salt)  # type: ignore[misc]
    cluster.damaged.add(node.name)
    node.start()
    cluster.run(2_000)
    assert node.halted is not None
    assert node.halted.code == "unknown_vote"
    cluster.finish(20_000, nodes=[one for one in cluster.nodes if one is not node])


def test_one_node_that_computes_otherwise_stops_alone() -> None:
    """P15. A7: it halts with both facts in its report; the others go on."""
    cluster = Cluster(4, seed=18).start()
    cluster.finish()
    odd = cluster.nodes[3]

    def disagree(request: RequestVerify) -> Verified:
        return Verified(odd.now, request.view, request.digest, Verdict.INVALID, detail="state_root aa, expected bb")

    odd.verdict = disagree
    cluster.damaged.add(odd.name)
    others = cluster.nodes[:3]
    for _ in range(4):
        cluster.finish(20_000, nodes=others)
    assert odd.halted is not None
    assert odd.halted.code == "disagreement"
    assert "state_root" in odd.halted.detail


def test_a_block_from_the_future_is_held_not_refused() -> None:
    """P11 B24. A5: two nodes are told to wait; the view survives and the block becomes final."""
    cluster = Cluster(4, seed=19).start()
    cluster.finish()
    asked: list[tuple[str, bool]] = []

    def patient(node: Node) -> Callable[[RequestVerify], Verified | None]:
        first = node.now

        def verdict(request: RequestVerify) -> Verified | None:
            asked.append((node.name, request.notarized))
            if node.now - first < 700 and not request.notarized:
                return Verified(node.now, request.view, request.digest, Verdict.LATER, retry_at=first + 700)
            return None

        return verdict

    for node in cluster.nodes:
        node.verdict = patient(node)
    before = cluster.nodes[0].disk.blocks[-1].ref.view
    begun = cluster.now
    cluster.finish(2_000)
    assert cluster.now - begun >= 650
    assert cluster.nodes[0].disk.blocks[-1].ref.view == before + 1, "no view was given up"


def test_journal_rewriting_under_storm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consensus.core, "CHECKPOINT_BYTES", 300)
    cluster = Cluster(4, seed=20).start()
    storm(cluster, 20_000, crash_share=0.01)
    cluster.finish(20_000)
    assert any(node.disk.sequence < len(node.disk.blocks) for node in cluster.nodes), "journals were rewritten"
