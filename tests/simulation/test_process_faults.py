"""Faults of machines: processes that die, stop or lag, disks that fill, rot or are restored, clocks that jump."""

from collections.abc import Callable
from functools import cache

import pytest

from consensus.effects import Effect, Persist, RequestVerify
from consensus.inputs import Verified
from tests.support.simulator import Cluster
from tests.support.simulator_faults import HOUR_MS, damage, lose_journal, rot_journal
from tests.support.simulator_node import Node

HEAL_MS = 30_000


def _all_but(cluster: Cluster, *nodes: Node) -> list[Node]:
    return [node for node in cluster.nodes if node not in nodes]


def _dies_at(number: int) -> Callable[[Effect], bool]:
    """A crash just before the effect of that number, counted from now."""
    left = number

    def hook(effect: Effect) -> bool:
        nonlocal left
        left -= 1
        return left < 0

    return hook


@cache
def _effects_of_two_blocks() -> int:
    """How many effects one node performs while two blocks are made."""
    cluster, count = Cluster(4, seed=60), 0

    def hook(effect: Effect) -> bool:
        nonlocal count
        count += 1
        return False

    cluster.nodes[1].crash_hook = hook
    cluster.start()
    for _ in range(2):
        cluster.finish()
    assert count > 40
    return count


@pytest.mark.parametrize("share", range(6))
def test_one_dies_before_each_effect(share: int) -> None:
    """P1: between every pair of effects of one node, one run for each place; it comes back and votes on."""
    for number in range(share, _effects_of_two_blocks(), 6):
        cluster = Cluster(4, seed=60).start()
        victim = cluster.nodes[1]
        victim.crash_hook = _dies_at(number)
        others = _all_but(cluster, victim)
        for _ in range(2):
            cluster.finish(HEAL_MS, nodes=others)
        victim.crash_hook = lambda effect: False
        victim.start()
        cluster.finish(HEAL_MS)


@pytest.mark.parametrize("share", range(6))
def test_all_die_before_the_same_effect(share: int) -> None:
    """P1 P2: every node at its own effect of that number, so all are gone; what is final stays, and it goes on."""
    for number in range(share, _effects_of_two_blocks() // 2, 6):
        cluster = Cluster(4, seed=61).start()
        for node in cluster.nodes:
            node.crash_hook = _dies_at(number)
        cluster.submit()
        cluster.run(3_000)
        for node in cluster.nodes:
            node.crash_hook = lambda effect: False
            if node.alive:
                node.crash(power=True)
        cluster.start()
        cluster.finish(HEAL_MS)


@pytest.mark.parametrize("killed", [1, 2, 3, 7])
def test_some_are_killed_at_random_times(killed: int) -> None:
    """P2: one, f, f+1 and all of seven, again and again."""
    cluster = Cluster(7, seed=62).start()
    chance = cluster.chance
    for _ in range(6):
        cluster.submit()
        cluster.run(chance.randint(1, 400))
        victims = chance.sample(cluster.nodes, killed)
        for node in victims:
            node.crash(power=chance.random() < 0.5)
        cluster.run(chance.randint(1, 2_000))
        for node in victims:
            node.start()
    cluster.finish(HEAL_MS)


def test_torn_writes_lose_nothing_that_was_said() -> None:
    """P4: the process dies in the middle of every tenth write, with any prefix and any holes on the disk."""
    for seed in range(63, 69):
        cluster = Cluster(4, seed=seed).start()
        writes = 0

        def hook(effect: Effect) -> bool:
            nonlocal writes
            writes += isinstance(effect, Persist)
            return isinstance(effect, Persist) and writes % 10 == 9

        for node in cluster.nodes:
            node.crash_hook = hook
        for _ in range(20):
            cluster.submit()
            cluster.run(300)
            cluster.start()
        for node in cluster.nodes:
            node.crash_hook = lambda effect: False
        cluster.start()
        cluster.finish(HEAL_MS)


@pytest.mark.parametrize("how", [rot_journal, lose_journal])
def test_a_damaged_journal_is_never_voted_with(how: Callable[[Node], None]) -> None:
    """P5 P12: a turned bit anywhere, or no journal beside a guard: the node follows and signs nothing."""
    stopped = 0
    for seed in range(70, 82):
        cluster = Cluster(4, seed=seed).start()
        for _ in range(3):
            cluster.finish()
        victim = cluster.nodes[seed % 4]
        damage(victim, how)
        signed = len(victim.disk.votes)
        victim.start()
        cluster.finish(HEAL_MS)
        stopped += victim.halted is not None
        assert victim.halted is None or len(victim.disk.votes) == signed
    assert stopped == 12


def test_a_restored_backup_of_everything_is_found_out_by_asking_peers() -> None:
    """P12: journal, guard and store of last week: nothing on the machine can tell, but the peers can."""
    cluster = Cluster(4, seed=83).start()
    cluster.finish()
    victim = cluster.nodes[2]
    backup = victim.disk.copy()
    for _ in range(5):
        cluster.finish()
    victim.crash()
    victim.disk = backup
    cluster.damaged.add(victim.name)
    victim.start()
    cluster.finish(HEAL_MS)
    assert victim.halted is not None
    assert victim.halted.code == "unknown_vote"
    assert len(victim.disk.blocks) == len(cluster.checks.chain), "it follows"


def test_a_node_that_never_signed_may_start_late_and_empty() -> None:
    """P13: an empty folder and a fresh key: it syncs and then votes."""
    cluster = Cluster(4, seed=84)
    late = cluster.nodes[3]
    cluster.start([node.name for node in cluster.nodes[:3]])
    for _ in range(5):
        cluster.finish(nodes=cluster.nodes[:3])
    late.start()
    for _ in range(4):
        cluster.finish(HEAL_MS)
    assert late.disk.votes, "it votes"


def test_a_full_disk_silences_one_node_until_there_is_space() -> None:
    """P7: no vote is said that could not be written; the others go on; space brings it back."""
    cluster = Cluster(4, seed=85).start()
    cluster.finish()
    victim = cluster.nodes[0]
    victim.disk.is_full = True
    cluster.run(100)
    signed = set(victim.disk.votes)
    for _ in range(5):
        cluster.finish(HEAL_MS, nodes=_all_but(cluster, victim))
    assert victim.disk.votes == signed
    victim.disk.is_full = False
    cluster.finish(HEAL_MS)


def test_a_failing_fsync_ends_the_process_and_nothing_was_said() -> None:
    """P8: the write may be on the disk as a whole or in part; the process ends, is started again and votes on."""
    for seed in range(95, 105):
        cluster = Cluster(4, seed=seed).start()
        cluster.finish()
        victim = cluster.nodes[seed % 4]
        victim.disk.fails_sync = True
        cluster.submit()
        cluster.run(2_000)
        assert not victim.alive
        victim.start()
        cluster.finish(HEAL_MS)


@pytest.mark.parametrize("sync_ms", [50, 5_000])
def test_a_slow_disk_slows_only_its_node(sync_ms: int) -> None:
    """P9: each fsync takes up to five seconds."""
    cluster = Cluster(4, seed=86).start()
    cluster.finish()
    victim = cluster.nodes[0]
    victim.sync_ms = sync_ms
    others = _all_but(cluster, victim)
    for _ in range(6):
        cluster.finish(HEAL_MS, nodes=others)
    begun = cluster.now
    for _ in range(10):
        cluster.finish(HEAL_MS, nodes=others)
    assert (cluster.now - begun) / 10 < 1_500
    victim.sync_ms = 0
    victim.resume()
    cluster.finish(HEAL_MS)


@pytest.mark.parametrize("milliseconds", [1_000, 30_000])
def test_a_paused_process_is_skipped_and_says_nothing_wrong(milliseconds: int) -> None:
    """P10: stopped for up to thirty seconds, then it handles what came in meanwhile."""
    cluster = Cluster(4, seed=87).start()
    cluster.finish()
    victim = cluster.nodes[1]
    victim.pause(milliseconds)
    begun = cluster.now
    while cluster.now < begun + milliseconds:
        cluster.finish(HEAL_MS, nodes=_all_but(cluster, victim))
    cluster.finish(HEAL_MS)


def test_all_stop_for_half_a_minute() -> None:
    """P10: the whole network, as when a host of virtual machines is suspended."""
    cluster = Cluster(4, seed=88).start()
    cluster.finish()
    cluster.submit()
    cluster.run(10)
    for node in cluster.nodes:
        node.pause(30_000)
    cluster.run(31_000)
    cluster.finish(HEAL_MS)


@pytest.mark.parametrize("skew", [HOUR_MS, -HOUR_MS, 1_900, -1_900])
def test_one_wrong_clock(skew: int) -> None:
    """P11 B24: an hour ahead or behind: its blocks wait or are skipped, everybody else's are final."""
    cluster = Cluster(4, seed=89).start()
    cluster.finish()
    cluster.nodes[2].skew = skew
    for _ in range(8):
        cluster.finish(HEAL_MS)
    cluster.nodes[2].skew = 0
    cluster.finish(HEAL_MS)
    assert cluster.checks.history.highest_wall < 10 * HOUR_MS


def test_clocks_that_jump_back() -> None:
    """P11: all wall clocks go back at once; block times still rise, because a leader never goes below the parent."""
    cluster = Cluster(4, seed=90).start()
    for node in cluster.nodes:
        node.skew = 1_500
    cluster.finish()
    for node in cluster.nodes:
        node.skew = -3_000
    for _ in range(4):
        cluster.finish(HEAL_MS)


def test_a_crash_between_delivery_and_commit_loses_no_block() -> None:
    """P14: delivered and not yet durable when the process ends: the journal delivers it again, once."""
    cluster = Cluster(4, seed=91).start()
    cluster.finish()
    for node in cluster.nodes:
        node.commit_ms = 200
    for victim in cluster.nodes:
        cluster.submit()
        cluster.run(150)
        victim.crash()
        cluster.run(100)
        victim.start()
    cluster.finish(HEAL_MS)
    for node in cluster.nodes:
        refs = [block.ref for block in node.disk.blocks]
        assert len(refs) == len(set(refs))


@pytest.mark.parametrize("moment", ["build", "verify"])
def test_a_stop_during_build_or_verify(moment: str) -> None:
    """P14: the answer never comes because the process ended; the view is another's, nothing is lost."""
    cluster = Cluster(4, seed=92).start()
    cluster.finish()
    for victim in cluster.nodes:
        setattr(victim, f"{moment}_ms", 400)
        tx = cluster.submit()
        cluster.run(200)
        victim.crash()
        setattr(victim, f"{moment}_ms", 2)
        cluster.run(300)
        victim.start()
        cluster.run_until(lambda tx=tx: cluster.is_final(tx), HEAL_MS)  # type: ignore[misc]


def test_an_application_that_never_answers_stops_one_node_only() -> None:
    """P15: one node's application loops: it neither builds nor verifies; its turns are skipped."""
    cluster = Cluster(4, seed=93).start()
    cluster.finish()
    victim = cluster.nodes[3]
    victim.is_dumb = True
    for _ in range(6):
        cluster.finish(HEAL_MS, nodes=_all_but(cluster, victim))


def test_an_application_that_computes_another_root_stops_one_node_only() -> None:
    """P15: its own blocks are refused by all; the first one it refuses although a quorum certified it stops it."""
    cluster = Cluster(4, seed=94).start()
    cluster.finish()
    odd = cluster.nodes[0]
    cluster.damaged.add(odd.name)

    def differs(request: RequestVerify) -> Verified | None:
        answer = odd.judge(request)
        return Verified(answer.now, answer.view, answer.digest, type(answer.verdict).INVALID, detail="state_root")

    odd.verdict = differs
    for _ in range(4):
        cluster.finish(HEAL_MS, nodes=_all_but(cluster, odd))
    assert odd.halted is not None
    assert odd.halted.code == "disagreement"
    assert odd.halted.certificates, "the quorum's proof is in the report"
