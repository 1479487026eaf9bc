"""The long search behind `.ci/nightly`: seeds, real signatures and twins, spread over processes.

A failing seed is repeated by `.ci/nightly --seeds 1 --start SEED`; a failing cut of twins prints its groups.
"""

import argparse
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.support.simulator_seeds import Story, fast_decoding, run_seed
from tests.support.simulator_twins import Groups, Tally, explore, groupings, play

BATCH = 25
"""Seeds of one task."""
TWIN_TURNS = (1, 2, 3, 4)
"""The first view that the twins lead: with four identities they lead every fourth."""


@dataclass(slots=True)
class Batch:
    """What one task found."""

    stories: list[Story] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    scenarios: int = 0
    played: int = 0


def run_batch(task: tuple[range, bool]) -> Batch:
    seeds, real = task
    batch = Batch()
    for seed in seeds:
        try:
            batch.stories.append(run_seed(seed, real))
        except AssertionError as error:
            batch.failures.append(str(error))
    return batch


def explore_branch(task: tuple[int, int, Groups]) -> Batch:
    cut_views, turn, first = task
    tally, batch = Tally(), Batch()
    try:
        with fast_decoding():
            explore(cut_views, turn, first, tally)
    except AssertionError as error:
        batch.failures.append(f"twins lead view {turn}: {error}")
    batch.scenarios, batch.played = tally.scenarios, tally.played
    return batch


def play_samples(task: tuple[int, int, int]) -> Batch:
    """Scenarios of `cut_views` cuts drawn from one seed."""
    cut_views, seed, count = task
    chance, everything, batch = random.Random(seed), list(groupings()), Batch()
    for _ in range(count):
        turn, choice = chance.randint(1, cut_views + 1), [chance.choice(everything) for _ in range(cut_views)]
        try:
            with fast_decoding():
                play(cut_views, min(turn, 4), choice)
        except AssertionError as error:
            batch.failures.append(f"twins seed {seed}: {error}")
        batch.scenarios += 1
        batch.played += 1
    return batch


def main() -> int:
    options = _read_options()
    failures = 0
    with multiprocessing.Pool(options.jobs) as pool:
        for real, count in ((False, options.seeds), (True, options.real)):
            end = options.start + count
            tasks = [(range(s, min(s + BATCH, end)), real) for s in range(options.start, end, BATCH)]
            name = "stories with real signatures" if real else "stories"
            failures += _run(pool, name, run_batch, tasks)
        if options.twins:
            for turn in TWIN_TURNS:
                branches = [(options.twins, turn, first) for first in groupings()]
                name = f"twins, every cut of {options.twins} views, twins lead view {turn}"
                failures += _run(pool, name, explore_branch, branches)
        for cut_views in (4, 5):
            samples = [(cut_views, options.start + i, BATCH) for i in range(0, options.twins_sampled, BATCH)]
            failures += _run(pool, f"twins, sampled cuts of {cut_views} views", play_samples, samples)
    return 1 if failures else 0


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=".ci/nightly")
    parser.add_argument("--seeds", type=int, help="stories with cheap signatures")
    parser.add_argument("--start", type=int, default=0, help="first seed")
    parser.add_argument("--real", type=int, help="stories with Ed25519 and BLS")
    parser.add_argument("--twins", type=int, choices=(0, 1, 2, 3), help="views whose cuts are all tried")
    parser.add_argument("--twins-sampled", type=int, help="drawn cuts of four and of five views")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    asked = [options.seeds, options.real, options.twins, options.twins_sampled]
    everything = all(one is None for one in asked)
    for name, usual in (("seeds", 20_000), ("real", 200), ("twins", 3), ("twins_sampled", 5_000)):
        if getattr(options, name) is None:
            setattr(options, name, usual if everything else 0)
    return options


def _run(pool: Any, name: str, work: Callable[[Any], Batch], tasks: Iterable[Any]) -> int:
    """All tasks of one kind; prints failures as they come and a summary at the end."""
    begun, tasks = time.monotonic(), list(tasks)
    if not tasks:
        return 0
    total = Batch()
    for batch in pool.imap_unordered(work, tasks):
        for failure in batch.failures:
            _say(f"FAILED {failure}")
        total.stories += batch.stories
        total.failures += batch.failures
        total.scenarios += batch.scenarios
        total.played += batch.played
    seconds = round(time.monotonic() - begun)
    if total.scenarios:
        _say(f"{name}: {total.scenarios} scenarios ({total.played} played), {len(total.failures)} failed, {seconds} s")
    else:
        _say(f"{name}: {len(total.stories)} good, {len(total.failures)} failed, {seconds} s; {_describe(total)}")
    return len(total.failures)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _describe(total: Batch) -> str:
    stories = total.stories
    traitors = Counter(name for story in stories for name in story.traitors)
    slowest = max(stories, key=lambda story: story.healed_ms, default=None)
    return (
        f"{sum(s.blocks for s in stories)} blocks, {sum(s.crashes for s in stories)} crashes, "
        f"{sum(s.epochs - 1 for s in stories)} changes of the set, {sum(traitors.values())} traitors, "
        f"{sum(bool(s.damage) for s in stories)} damaged, "
        f"slowest healing {slowest.healed_ms if slowest else 0} ms (seed {slowest.seed if slowest else '-'})"
    )


if __name__ == "__main__":
    sys.exit(main())
