"""The mutation gate: `python -m tests.mutation [GUARD ...]` takes each guard away and expects its test to go red.

A test that stays green while its guard is gone proves nothing. Each removal of `tests.mutation.guards` is made in a
copy of the sources in a temporary folder, never in the working tree, and its one test runs there in a process of its
own. Before that all named tests run once on the unchanged copy and must pass. Must always hold: only a failed test is
red; a test that cannot be collected, is skipped, hangs, or fails because the removal left a name undefined is a
defect of the table. Exit code 0: every removal was noticed. 1: one survived or broke. 2: the gate could not begin.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.guards import GUARDS, Guard, Removal, TableError, mutate

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("ledger", "consensus", "contracts", "node", "cli", "tests")
LINKED = ("network-config", "pyproject.toml", "README.md")
AT_ONCE = 2
"""Two processes: the gate is meant for a machine with two cores."""
PATIENCE_S = 120
"""A child that takes longer hangs; the named tests take a second or two."""
BROKEN_NAMES = re.compile(
    r"^E +(NameError|UnboundLocalError|ImportError|ModuleNotFoundError|SyntaxError|IndentationError)\b", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Run:
    """One child: `verdict` is red, SURVIVED or BROKEN."""

    verdict: str
    seconds: float
    output: str


def judge(returncode: int, output: str) -> str:
    """What the child's end says about the guard: only a test that ran and failed is red."""
    summary = output.strip().splitlines()[-1] if output.strip() else ""
    if returncode == 0 and re.search(r"\b\d+ passed\b", summary) and not re.search(r"\bskipped\b", summary):
        return "SURVIVED"
    is_failure = re.search(r"\b\d+ failed\b", summary) and not re.search(r"\b\d+ errors?\b", summary)
    return "red" if returncode == 1 and is_failure and not BROKEN_NAMES.search(output) else "BROKEN"


def copy_sources(target: Path) -> None:
    """The unchanged copy on which every mutant is based."""
    target.mkdir()
    for name in COPIED:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in LINKED:
        (target / name).symlink_to(ROOT / name)


def copy_mutant(base: Path, target: Path, guard: Guard, removal: Removal) -> None:
    """A tree like `base` but for one file: its package is copied, the rest is linked. Raises TableError."""
    mutated = mutate(base, guard, removal)
    target.mkdir()
    package = Path(removal.path).parts[0]
    for entry in base.iterdir():
        if entry.name == package:
            shutil.copytree(entry, target / package)
        else:
            (target / entry.name).symlink_to(entry)
    path = target / removal.path
    path.write_text(mutated, encoding="utf-8")
    for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        stale.unlink()


def run_tests(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Exit code and output of pytest in `tree`; the code is -1 when it took longer than PATIENCE_S."""
    env = os.environ | {"PYTHONPATH": str(tree), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"}
    env.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--rootdir", str(tree), *tests]
    try:
        done = subprocess.run(
            command, cwd=tree, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, f"no end after {PATIENCE_S} s"
    return done.returncode, done.stdout + done.stderr


def try_removal(folder: Path, base: Path, guard: Guard, removal: Removal, number: int) -> Run:
    """Take the guard away in a tree of its own and run its test there."""
    started = time.perf_counter()
    tree = folder / f"mutant-{number}"
    copy_mutant(base, tree, guard, removal)
    returncode, output = run_tests(tree, [guard.test])
    shutil.rmtree(tree)
    return Run(judge(returncode, output), time.perf_counter() - started, output)


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def chosen(names: Sequence[str]) -> tuple[Guard, ...]:
    """The guards of these names, all without a name. Raises TableError for one that does not exist."""
    unknown = sorted(set(names) - {guard.name for guard in GUARDS})
    if unknown:
        raise TableError(f"no such guard: {', '.join(unknown)}; the table is tests/mutation/guards.py")
    return tuple(guard for guard in GUARDS if not names or guard.name in names)


def main(names: Sequence[str]) -> int:
    """Run the gate for these guards; returns the exit code."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="claimnode-mutation-") as name:
        folder = Path(name)
        base = folder / "base"
        copy_sources(base)
        try:
            guards = chosen(names)
            jobs = [(guard, removal) for guard in guards for removal in guard.removals]
            for guard, removal in jobs:
                mutate(base, guard, removal)
        except TableError as error:
            say(f"mutation gate: {error}")
            return 2
        returncode, output = run_tests(base, sorted({guard.test for guard in guards}))
        if returncode != 0 or judge(returncode, output) != "SURVIVED":
            say(output)
            say("mutation gate: the named tests must pass, and none be skipped, while all guards are there")
            return 2
        say(f"{len(guards)} guards, {len(jobs)} removals; unchanged: {output.strip().splitlines()[-1]}")
        say(f"{'guard':<28}{'rules':<14}{'verdict':<10}{'s':>5}  test")
        failed = report(folder, base, jobs)
    say(f"{len(jobs) - failed} of {len(jobs)} removals noticed, {time.perf_counter() - started:.0f} s")
    return 1 if failed else 0


def report(folder: Path, base: Path, jobs: Sequence[tuple[Guard, Removal]]) -> int:
    """Try every removal, print one row each in order of the table; how many were not noticed."""
    failed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [pool.submit(try_removal, folder, base, *job, number) for number, job in enumerate(jobs)]
        for (guard, removal), future in zip(jobs, runs, strict=True):
            run = future.result()
            row = f"{guard.name:<28}{' '.join(guard.rules):<14}{run.verdict:<10}{run.seconds:>5.1f}"
            say(f"{row}  {guard.test.rpartition('/')[2]}")
            if run.verdict != "red":
                failed += 1
                say(f"    {removal.path}: {removal.old!r} -> {removal.new!r}")
                say("\n".join(f"    | {line}" for line in run.output.strip().splitlines()[-12:]))
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.partition("\n")[0])
    parser.add_argument("guard", nargs="*", help="names of guards; all when none is given")
    sys.exit(main(parser.parse_args().guard))
