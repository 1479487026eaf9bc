"""Whole stories by number: storms, traitors, damage, then healing; and twins. A failure names its seed.

`.ci/nightly --seeds 1 --start SEED` repeats one; `.ci/nightly` runs far more of everything.
"""

import os
import subprocess
import sys

import pytest

from tests.support.simulator_nightly import TWIN_TURNS, explore_branch, play_samples
from tests.support.simulator_seeds import run_seed
from tests.support.simulator_twins import Tally, exchanged, explore, first_world, freeze, groupings, thaw

CHUNK = 25
"""Seeds of one test: few enough to balance over processes, many enough to cost no overhead."""
CI_SEEDS = 2_000
QUICK_SEEDS = 100
REAL_SEEDS = 20


def _stories(first: int) -> None:
    for seed in range(first, first + CHUNK):
        run_seed(seed)


@pytest.mark.parametrize("first", range(0, QUICK_SEEDS, CHUNK))
def test_stories(first: int) -> None:
    """N1 N2 N3 N4 N5 N6 N7 N8 N9 P1 P2 P4 P5 P7 P9 P10 P11 P12 P14 and every traitor, drawn by seed."""
    _stories(first)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK_SEEDS, CI_SEEDS, CHUNK))
def test_many_stories(first: int) -> None:
    """The rest of the seeds of every gate."""
    _stories(first)


@pytest.mark.parametrize("seed", range(2))
def test_stories_with_real_signatures(seed: int) -> None:
    """Ed25519 and BLS instead of stand-ins."""
    run_seed(seed, real=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, REAL_SEEDS))
def test_more_stories_with_real_signatures(seed: int) -> None:
    """The rest of them."""
    run_seed(seed, real=True)


def test_a_story_is_repeated_by_its_number() -> None:
    """The trace hash covers every message, crash and final block."""
    assert run_seed(6) == run_seed(6)
    assert run_seed(6).trace != run_seed(7).trace


def test_a_story_does_not_depend_on_the_order_of_hashes() -> None:
    """Stories with traitors, damage and changes of the set, in two processes that order sets differently."""
    program = "from tests.support.simulator_seeds import run_seed; print([run_seed(s) for s in (3, 47, 57)])"
    found = set()
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        found.add(run.stdout)
    assert len(found) == 1
    assert "trace" in found.pop()


# --- twins --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [1, 2])
def test_twins_under_every_cut_of_one_view(turn: int) -> None:
    """B21: all 52 ways to cut five instances apart in the first view."""
    tally = Tally()
    for first in groupings():
        explore(1, turn, first, tally)
    assert tally.scenarios == 52


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("turn", TWIN_TURNS)
def test_twins_under_every_cut_of_two_views(turn: int, part: int) -> None:
    """B21: all 2,704 ways to cut five instances apart in the first two views, for each turn of the twins to lead."""
    for first in list(groupings())[part::4]:
        assert not explore_branch((2, turn, first)).failures


@pytest.mark.parametrize("cut_views", [3, 4, 5])
def test_twins_under_sampled_cuts(cut_views: int) -> None:
    """B21: a sample of three to five cut views; `.ci/nightly` tries all of three."""
    batch = play_samples((cut_views, 77, 40))
    assert not batch.failures


def test_the_ways_to_cut() -> None:
    """52 groupings of five, and exchanging the twins twice changes nothing."""
    everything = list(groupings())
    assert len(everything) == len(set(everything)) == 52
    assert all(exchanged(groups) in everything and exchanged(exchanged(groups)) == groups for groups in everything)


def test_a_frozen_situation_goes_on_like_the_first() -> None:
    """The snapshot forgets nothing: the same cut played from it ends the same."""
    world = first_world(1, 1)
    copy = thaw(freeze(world))
    for one in (world, copy):
        one.groups.append((0, 0, 1, 1, 1))
        one.advance()
    assert (world.now, world.reached, world.chain) == (copy.now, copy.reached, copy.chain)
