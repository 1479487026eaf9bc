"""Rows of the fault catalogue about processes and disks with the numbers they name: see tests/faults.md."""

from collections.abc import Callable

import pytest

from consensus.effects import Deliver, Effect, Evidence, Persist, RequestVerify, Rewrite
from consensus.inputs import Verified
from consensus.types import Verdict
from tests.support.simulator import Cluster
from tests.support.simulator_disk import SECTOR
from tests.support.simulator_faults import HOUR_MS, damage
from tests.support.simulator_node import Node
from tests.support.simulator_twins import TWIN, World, first_world

HEAL_MS = 30_000


def _others(cluster: Cluster, *nodes: Node) -> list[Node]:
    return [node for node in cluster.nodes if node not in nodes]


def _nth(number: int, what: tuple[type[Effect], ...] = ()) -> Callable[[Effect], bool]:
    """True once: for the effect of that number, counted among those of the given kinds."""
    seen = -1

    def hook(effect: Effect) -> bool:
        nonlocal seen
        seen += not what or isinstance(effect, what)
        return seen == number and (not what or isinstance(effect, what))

    return hook


@pytest.mark.parametrize("share", range(4))
def test_one_dies_before_each_effect_while_commits_lag(share: int) -> None:
    """P1: blocks become durable some time after they were delivered, so each crash also falls between delivery and
    commit; no two votes, no block lost or delivered twice (the checks compare every height)."""
    for number in range(share, 60, 4):
        cluster = Cluster(4, seed=320).start()
        victim = cluster.nodes[2]
        victim.commit_ms = 40
        victim.crash_hook = _nth(number)
        for _ in range(3):
            cluster.finish(HEAL_MS, nodes=_others(cluster, victim))
        victim.crash_hook = lambda effect: False
        victim.start()
        cluster.finish(HEAL_MS)
        assert [b.ref for b in victim.disk.blocks] == [b.ref for b in cluster.nodes[0].disk.blocks]


@pytest.mark.parametrize("fate", ["nothing", "a part", "all of it"])
def test_a_failed_fsync_ends_the_process(fate: str) -> None:
    """P8: fsync returns an error; nobody knows what reached the disk: nothing, a part or all of it. The process is
    gone before it says another word, and at its next start no fate of the write leads to a second vote."""
    for number in range(8):
        cluster = Cluster(4, seed=321).start()
        victim = cluster.nodes[1]
        fails = _nth(number, (Persist,))

        def hook(effect: Effect, victim: Node = victim, fails: Callable[[Effect], bool] = fails) -> bool:
            if not fails(effect):
                return False
            assert isinstance(effect, Persist)
            if fate == "all of it":
                victim.disk.persist(effect.records, None)
                victim.cluster.checks.persisted(victim, effect.records)
            elif fate == "a part":
                victim.disk.tear(effect.records, victim.cluster.chance)
            victim.disk.is_full = True  # nothing more is written by the dying process
            return True

        victim.crash_hook = hook
        for _ in range(5):  # a block costs two frames at most
            cluster.finish(HEAL_MS, nodes=_others(cluster, victim))
        assert not victim.alive
        victim.disk.is_full = False
        victim.start()
        cluster.finish(HEAL_MS)


@pytest.mark.parametrize("what", [Persist, Deliver, Rewrite])
def test_no_space_at_each_write(what: type[Effect], monkeypatch: pytest.MonkeyPatch) -> None:
    """P7: the disk is full at the journal's, the store's or the rewriting's write of each number, for a second."""
    monkeypatch.setattr("consensus.core.CHECKPOINT_BYTES", 300)
    for number in range(6):
        cluster = Cluster(4, seed=322).start()
        victim = cluster.nodes[0]
        fills = _nth(number, (what,))

        def hook(effect: Effect, victim: Node = victim, fills: Callable[[Effect], bool] = fills) -> bool:
            if fills(effect):
                victim.disk.is_full = True
            return False

        victim.crash_hook = hook
        for _ in range(80):
            cluster.finish(HEAL_MS, nodes=_others(cluster, victim))
            if victim.disk.is_full:
                break
        assert victim.disk.is_full, "the write came"
        signed = set(victim.disk.votes)
        cluster.finish(HEAL_MS, nodes=_others(cluster, victim))
        assert what is Deliver or victim.disk.votes == signed
        victim.disk.is_full = False
        cluster.finish(HEAL_MS)


def _zero_a_sector(node: Node) -> None:
    """A page of the journal reads as zeros, anywhere."""
    node.crash()
    node.disk._settle()
    sectors = range(0, len(node.disk.journal) - SECTOR, SECTOR)
    at = node.cluster.chance.choice(list(sectors))
    node.disk.journal = node.disk.journal[:at] + bytes(SECTOR) + node.disk.journal[at + SECTOR :]


def _misplace_a_sector(node: Node) -> None:
    """P6: a write landed at another place: one sector of the journal is there twice, another is gone."""
    node.crash()
    node.disk._settle()
    places = list(range(0, len(node.disk.journal) - SECTOR, SECTOR))
    source, target = node.cluster.chance.sample(places, 2)
    sector = node.disk.journal[source : source + SECTOR]
    node.disk.journal = node.disk.journal[:target] + sector + node.disk.journal[target + SECTOR :]


@pytest.mark.parametrize("how", [_zero_a_sector, _misplace_a_sector])
def test_a_page_of_the_journal_is_not_what_was_written(how: Callable[[Node], None]) -> None:
    """P5 P6: zeroed or misdirected sectors: found at the next start, and the node follows without a vote."""
    for seed in range(323, 331):
        cluster = Cluster(4, seed=seed).start()
        for _ in range(4):
            cluster.finish()
        victim = cluster.nodes[seed % 4]
        damage(victim, how)
        signed = len(victim.disk.votes)
        victim.start()
        cluster.finish(HEAL_MS)
        assert victim.halted is not None
        assert len(victim.disk.votes) == signed
        assert len(victim.disk.blocks) >= len(cluster.checks.chain) - 1, "it follows"


@pytest.mark.parametrize("moves", [(HOUR_MS, -HOUR_MS), (-HOUR_MS, HOUR_MS), (0, HOUR_MS, 0, -HOUR_MS, 0)])
def test_one_clock_that_is_set_again_and_again(moves: tuple[int, ...]) -> None:
    """P11: by an hour forward and back, as a wrong summer time or a bad time server would: timers do not notice,
    block times stay between the parent's and an honest clock (the checks look at each final block)."""
    cluster = Cluster(4, seed=331).start()
    cluster.finish()
    begun, blocks = cluster.now, 0
    for skew in moves * 2:
        cluster.nodes[1].skew = skew
        for _ in range(3):
            cluster.finish(HEAL_MS, nodes=_others(cluster, cluster.nodes[1]))
            blocks += 1
    assert (cluster.now - begun) / blocks < 2_000
    cluster.nodes[1].skew = 0
    cluster.finish(HEAL_MS)


class _Watched(World):
    """Remembers who was convicted, and by whom."""

    def __init__(self, world: World) -> None:
        super().__init__(world.cut_views, world.cores, queue=world.queue, entered=world.entered)
        self.now, self.count, self.wakes, self.held = world.now, world.count, world.wakes, world.held
        self.convicted: set[tuple[int, str]] = set()

    def _perform(self, index: int, effects: tuple[Effect, ...]) -> None:
        self.convicted |= {(index, one.signer) for one in effects if isinstance(one, Evidence)}
        super()._perform(index, effects)


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_one_key_on_two_hosts_is_caught(turn: int) -> None:
    """P12: both hosts started with empty folders at the same time, so neither could know of the other: whenever
    their turn to lead comes, all honest ones hold two signatures of theirs, and go on."""
    world = _Watched(first_world(turn, turn))
    for _ in range(turn):
        world.groups.append((0,) * 5)
    while not world.advance():
        world.groups.append((0,) * 5)
    assert {signer for _, signer in world.convicted} == {"v00"}
    assert {index for index, _ in world.convicted} >= set(range(1, TWIN)), "every honest one"


def test_a_long_pause_without_a_quorum_ends_at_once() -> None:
    """P13 P2: two of four, one of them with an empty folder, wait an hour for the others with a transaction pending: a
    view without a quorum does not lengthen timeouts, so the network moves as soon as the third is there."""
    cluster = Cluster(4, seed=332)
    cluster.start(["v00"])
    cluster.run(5_000)
    cluster.start(["v00", "v01"])
    cluster.submit()
    cluster.run(HOUR_MS)
    assert not cluster.checks.chain
    cluster.start(["v02"])
    begun = cluster.now
    cluster.finish(60_000, nodes=cluster.nodes[:3])
    assert cluster.now - begun < 15_000
    cluster.start()
    cluster.finish(HEAL_MS)


@pytest.mark.parametrize("failing", [1, 2])
def test_an_application_that_raises_stops_its_own_node_only(failing: int) -> None:
    """P15: on f of the nodes every execution raises: the process ends, at each of its restarts again, and signs
    nothing it could not verify; the others go on, and it is back when the defect is gone."""
    cluster = Cluster(4 if failing == 1 else 7, seed=333).start()
    cluster.finish()
    odd = cluster.nodes[:failing]
    for node in odd:
        node.crash_hook = lambda effect: isinstance(effect, RequestVerify)
    for _ in range(6):
        cluster.finish(HEAL_MS, nodes=_others(cluster, *odd))
        for node in odd:
            node.start()
    for node in odd:
        node.crash_hook = lambda effect: False
        node.start()
    cluster.finish(HEAL_MS)
    assert not any(node.halted for node in odd)


def test_both_roots_are_in_the_report_of_a_disagreement() -> None:
    """P15: one node computes another root than a quorum certified: the report has the certificate and both roots."""
    cluster = Cluster(4, seed=334).start()
    cluster.finish()
    odd = cluster.nodes[3]
    cluster.damaged.add(odd.name)

    def computes_otherwise(request: RequestVerify) -> Verified:
        found = request.payload[48:80].hex()
        detail = f"state_root {found[:16]}, computed {'ab' * 8}"
        return Verified(odd.now, request.view, request.digest, Verdict.INVALID, detail=detail)

    odd.verdict = computes_otherwise
    for _ in range(4):
        cluster.finish(HEAL_MS, nodes=_others(cluster, odd))
    assert odd.halted is not None
    (proof,) = odd.halted.certificates
    block = next(b for b in cluster.nodes[0].disk.blocks if b.ref.digest.hex() == proof.digest)
    assert block.payload[48:56].hex() in odd.halted.detail
    assert "ab" * 8 in odd.halted.detail


@pytest.mark.parametrize("n", [4, 7])
def test_a_rolling_restart_pauses_nothing(n: int) -> None:
    """O3: one validator after the other is stopped and started; clients wait less than five seconds each time, and
    nobody votes twice (the checks remember every vote over all restarts)."""
    cluster = Cluster(n, seed=335).start()
    cluster.finish()
    for node in cluster.nodes:
        node.crash()
        for _ in range(3):
            begun = cluster.now
            cluster.finish(HEAL_MS, nodes=_others(cluster, node))
            assert cluster.now - begun < 5_000
        node.start()
        begun = cluster.now
        cluster.finish(HEAL_MS)
        assert cluster.now - begun < 5_000


@pytest.mark.parametrize("power", [False, True])
def test_a_restart_of_all_is_short(power: bool) -> None:
    """O3: everybody stops at any moment of a view and starts again; the next block is final within ten seconds."""
    cluster = Cluster(4, seed=336).start()
    for _ in range(12):
        cluster.submit()
        cluster.run(cluster.chance.randint(1, 300))
        for node in cluster.nodes:
            node.crash(power)
        cluster.start()
        begun = cluster.now
        cluster.finish(HEAL_MS)
        assert cluster.now - begun < 10_000
