"""Real node processes under load while they are killed, stopped, restarted and cut off; then everything is checked.

Everything by seed: who, when, in which order. Checked at the end, whatever happened: no two roots at a height, what
a client was told is final is final everywhere, and no validator's journals hold two different votes (read by a second
reader). Run more of them: `python -m tests.support.storms --storms N --start SEED`, or `.ci/nightly --storms N`.
"""

import argparse
import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.cluster import sign_policy
from tests.support.fault_proxy import CALM, ROUGH, FaultProxy, Weather
from tests.support.journal_reader import check_votes
from tests.support.processes import ProcessCluster

FINAL_S = 40.0
"""Bound of every wait for progress; a sound network takes a second after its last node is back."""
BATCH = 20


@dataclass
class Load:
    """Clients that go on whatever the nodes do: each submits a batch and waits until one of it is final."""

    cluster: ProcessCluster
    seed: int
    finals: dict[str, int] = field(default_factory=dict)
    """tx id -> height, as a client was told."""
    times: list[float] = field(default_factory=list)
    failures: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._random = random.Random(self.seed)
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * FINAL_S)

    def longest_gap_s(self, since: float) -> float:
        """The longest time without any client being told of a final transaction."""
        marks = [since, *(at for at in list(self.times) if at > since), time.monotonic()]
        return max(after - before for before, after in itertools.pairwise(marks))

    def _run(self) -> None:
        identity = self.cluster.network.identities["insurer-1"]
        while not self._stop.is_set():
            expires_ms = time.time_ns() // 1_000_000 + 3_600_000
            signed = [sign_policy(identity, "tpa-3", expires_ms=expires_ms).encoded for _ in range(BATCH)]
            name = self._random.choice(self.cluster.network.names)
            try:
                self.cluster.request(name, "POST", "/v1/transactions", b"\n".join(signed[1:]), timeout_s=3)
                status, answer = self.cluster.request(name, "POST", "/v1/transactions?wait=3", signed[0], timeout_s=5)
            except (OSError, ValueError, KeyError, urllib.error.URLError):
                self.failures += 1
                self._stop.wait(0.05)
                continue
            if status == 200 and answer.get("status") == "final":
                self.times.append(time.monotonic())
                self.finals[answer["tx_id"]] = answer["height"]


@dataclass
class Storm:
    """One cluster behind a fault proxy, its load, and what was seen."""

    root: Path
    cluster: ProcessCluster
    proxy: FaultProxy
    load: Load
    chance: random.Random
    roots: dict[int, str] = field(default_factory=dict)
    journals: dict[str, list[Path]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return self.cluster.network.names

    def kill(self, names: Sequence[str]) -> None:
        """SIGKILL at once; what the journal held then is kept for the count of votes."""
        for name in names:
            self.cluster.nodes[name].process.send_signal(signal.SIGKILL)
        for name in names:
            self.cluster.nodes[name].process.wait(10)
            self._keep_journal(name)

    def restart(self, names: Sequence[str]) -> None:
        self.cluster.start(*names)
        self.cluster.until_ready(*names, timeout_s=FINAL_S)

    def pass_time(self, low_s: float, high_s: float) -> None:
        """Under load, other processes at work."""
        time.sleep(self.chance.uniform(low_s, high_s))  # the moment is drawn: nothing is awaited but time

    def progress(self, at: Sequence[str] | None = None) -> float:
        """A new transaction becomes final at each of the nodes; the seconds until then."""
        started = time.monotonic()
        for name in at or self.names:
            self._until(partial(self._is_made_final, name), f"nothing becomes final at {name}")
        return time.monotonic() - started

    def observe(self) -> None:
        """One height, one root, at every node at any time."""
        for name in self.names:
            with contextlib.suppress(OSError, urllib.error.URLError):
                status = self.cluster.request(name, "GET", "/v1/status", timeout_s=5)[1]
                held = self.roots.setdefault(status["height"], status["state_root"])
                assert held == status["state_root"], f"{name} has another root at height {status['height']}"

    def check(self) -> dict[str, int]:
        """End the load, let all nodes reach one height, compare everything, stop them, count votes."""
        self.load.stop()
        self.progress()
        heights = {name: self._status(name)["height"] for name in self.names}
        top = max(heights.values())
        for name in self.names:
            self._until(partial(self._has_height, name, top), f"{name} stays behind {top}")
        self.observe()
        sampled = sorted({*range(1, top + 1, max(1, top // 40)), top, *self.roots} & set(range(1, top + 1)))
        for height in sampled:
            blocks = [self.cluster.request(name, "GET", f"/v1/blocks/{height}")[1] for name in self.names]
            assert len({block["header_hash"] for block in blocks}) == 1, f"two blocks at height {height}"
            state_root = blocks[0]["header"]["state_root"]
            assert self.roots.setdefault(height, state_root) == state_root, f"two roots at height {height}"
        for tx_id, height in self.load.finals.items():
            found = self.cluster.request(self.chance.choice(self.names), "GET", f"/v1/transactions/{tx_id}")[1]
            assert (found.get("status"), found.get("height")) == ("final", height), f"{tx_id} was final at {height}"
        codes = [self.cluster.nodes[name].terminate() for name in self.names]
        assert codes == [0] * len(codes), codes
        votes = 0
        for name in self.names:
            self._keep_journal(name)
            votes += check_votes(name, self.journals[name])
            assert "Traceback" not in self.cluster.nodes[name].log.read_text(), name
        return {"blocks": top, "finals": len(self.load.finals), "votes": votes, "links": self.proxy.connections}

    def _status(self, name: str) -> Any:
        return self.cluster.request(name, "GET", "/v1/status")[1]

    def _has_height(self, name: str, height: int) -> bool:
        return bool(self._status(name)["height"] >= height)

    def _is_made_final(self, name: str) -> bool:
        expires_ms = time.time_ns() // 1_000_000 + 3_600_000
        signed = sign_policy(self.cluster.network.identities["insurer-1"], "tpa-3", expires_ms=expires_ms)
        status, answer = self.cluster.request(name, "POST", "/v1/transactions?wait=10", signed.encoded)
        return bool(status == 200 and answer.get("status") == "final")

    def _until(self, is_true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + FINAL_S
        while not is_true():
            assert time.monotonic() < deadline, what
            time.sleep(0.05)  # other processes work; the deadline bounds it

    def _keep_journal(self, name: str) -> None:
        kept = self.root / "kept"
        kept.mkdir(exist_ok=True)
        copies = self.journals.setdefault(name, [])
        found = [path for path in (self.root / name / "data").glob("journal*") if path.suffix != ".new"]
        assert found, f"{name} keeps no journal"
        for path in found:
            copies.append(Path(shutil.copy(path, kept / f"{name}-{len(copies)}")))


@contextlib.contextmanager
def storm(root: Path, seed: int) -> Iterator[Storm]:
    """A started cluster under load; processes, proxy and load are gone at the end whatever happens."""
    proxy = FaultProxy(seed)
    cluster = ProcessCluster(root, path=proxy.open_path, ordering="delta_ms = 300")
    try:
        cluster.start()
        cluster.until_ready()
        load = Load(cluster, seed)
        try:
            yield Storm(root, cluster, proxy, load, random.Random(seed))
        finally:
            load.stop()
    finally:
        for node in cluster.nodes.values():
            node.process.send_signal(signal.SIGCONT)
        cluster.stop()
        proxy.close()


# --- what can happen -----------------------------------------------------------------------------------------------


def kill_some(place: Storm, count: int) -> float:
    """P2: SIGKILL for `count` at once, back after a while; seconds from the restart until all make progress."""
    victims = place.chance.sample(place.names, count)
    place.pass_time(0.3, 1.5)
    place.kill(victims)
    place.pass_time(0.1, 1.0)
    if count == 1:
        place.progress([name for name in place.names if name not in victims][:1])
    started = time.monotonic()
    place.restart(victims)
    place.progress()
    place.observe()
    return time.monotonic() - started


def kill_while_starting(place: Storm) -> float:
    """P2: all killed, and one of them again in the middle of its start."""
    place.kill(place.names)
    place.cluster.start()
    place.kill([place.chance.choice(place.names)])
    started = time.monotonic()
    place.cluster.start(*[name for name in place.names if place.cluster.nodes[name].process.poll() is not None])
    place.cluster.until_ready(timeout_s=FINAL_S)
    place.progress()
    place.observe()
    return time.monotonic() - started


def pause(place: Storm, seconds: float) -> float:
    """P10: SIGSTOP of one under load; the others go on, and it votes again after SIGCONT."""
    victim = place.chance.choice(place.names)
    others = [name for name in place.names if name != victim]
    process = place.cluster.nodes[victim].process
    process.send_signal(signal.SIGSTOP)
    until = time.monotonic() + seconds
    place.progress(others[:1])
    time.sleep(max(0.0, until - time.monotonic()))  # it stands still for just so long
    process.send_signal(signal.SIGCONT)
    took = place.progress()
    place.observe()
    return took


def restart_all(place: Storm) -> float:
    """O3: all asked to end at once, started at once; the pause that clients see."""
    since = time.monotonic()
    for name in place.names:
        place.cluster.nodes[name].process.send_signal(signal.SIGTERM)
    codes = [place.cluster.nodes[name].process.wait(20) for name in place.names]
    assert codes == [0] * len(codes), codes
    place.restart(place.names)
    place.progress()
    return place.load.longest_gap_s(since)


def roll(place: Storm) -> float:
    """O3: one after the other, each back before the next goes; the longest pause that clients see."""
    since = time.monotonic()
    for name in place.names:
        assert place.cluster.nodes[name].terminate() == 0
        place.restart([name])
    place.progress()
    return place.load.longest_gap_s(since)


def rough_weather(place: Storm) -> float:
    """N1, N2, N13: delays, losses and resets on every path, one node cut off, another half-open; then calm."""
    place.proxy.set_weather(ROUGH)
    place.progress(place.names[:1])
    cut, swallowed = place.chance.sample(place.names, 2)
    place.proxy.set_weather(Weather(cut=True), [cut])
    place.progress([name for name in place.names if name != cut][:1])
    place.proxy.set_weather(ROUGH)
    place.progress([cut])
    place.proxy.set_weather(Weather(half_open=True), [swallowed])
    place.progress([name for name in place.names if name != swallowed][:1])
    place.proxy.set_weather(CALM)
    took = place.progress()
    place.observe()
    return took


def reconnect_storm(place: Storm) -> float:
    """N13: every connection is reset again and again; nobody is banned for it, and links are back soon."""
    before = place.proxy.connections
    for _ in range(8):
        place.proxy.set_weather(Weather(cut=True))
        place.pass_time(0.05, 0.2)
        place.proxy.set_weather(CALM)
        place.pass_time(0.1, 0.3)
    took = place.progress()
    assert place.proxy.connections - before < 600, "attempts are paced by back-off"
    for name in place.names:
        standings = place.cluster.request(name, "GET", "/v1/status")[1]["standings"]
        assert all(each["banned_until_ms"] is None for each in standings.values()), standings
    place.observe()
    return took


EVENTS: dict[str, Callable[[Storm], float]] = {
    "kill one (f)": lambda place: kill_some(place, 1),
    "kill two (f+1)": lambda place: kill_some(place, 2),
    "kill all": lambda place: kill_some(place, 4),
    "kill again while starting": kill_while_starting,
    "pause 3 s": lambda place: pause(place, 3.0),
    "restart all": restart_all,
    "rolling restart": roll,
    "rough weather": rough_weather,
    "reconnect storm": reconnect_storm,
}


def run_storm(seed: int, events: int = 6) -> str:
    """One storm of events drawn from `seed`; a line about it. Raises AssertionError with what was wrong."""
    chance = random.Random(f"events-{seed}")
    drawn = [chance.choice(list(EVENTS)) for _ in range(events)]
    with tempfile.TemporaryDirectory(prefix="claimnode-storm-") as folder, storm(Path(folder), seed) as place:
        done: list[str] = []
        try:
            for name in drawn:
                done.append(f"{name} {EVENTS[name](place):.1f} s")
            figures = place.check()
        except AssertionError as error:
            raise AssertionError(f"storm {seed}, after {done} of {drawn}: {error}") from error
    return f"storm {seed}: {', '.join(done)}; {figures}"


# --- faults of the kernel's own ------------------------------------------------------------------------------------

SHAPES = {
    "netem": "netem delay 10ms 10ms loss 2%",
    "tbf": "tbf rate 4mbit burst 16kb limit 48kb",  # a queue so short that the kernel itself drops and delays
}
_PREPARE = "ip link set lo up && ip link set lo mtu 1500 && tc qdisc add dev lo root"


def kernel_shape() -> tuple[str, str]:
    """(name of what this kernel can do to a loopback of its own, why not netem); an empty name: nothing."""
    reason = ""
    for name, shape in SHAPES.items():
        try:
            probe = subprocess.run(
                ["unshare", "-rn", "sh", "-c", f"{_PREPARE} {shape}"],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return "", f"unshare: {error}"
        if probe.returncode == 0:
            return name, reason
        reason = reason or f"{name}: {probe.stderr.strip() or 'refused'}"
    return "", reason


def run_in_namespace(shape: str, seed: int, events: int) -> subprocess.CompletedProcess[str]:
    """A storm in a network namespace whose loopback the kernel itself makes bad."""
    command = f"{_PREPARE} {SHAPES[shape]} && exec {sys.executable} -m tests.support.storms --storms 1"
    return subprocess.run(
        ["unshare", "-rn", "sh", "-c", f"{command} --start {seed} --events {events}"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="storms", description="storms of real processes, by seed")
    parser.add_argument("--storms", type=int, default=1)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--events", type=int, default=6)
    options = parser.parse_args()
    failures = 0
    for seed in range(options.start, options.start + options.storms):
        try:
            print(run_storm(seed, options.events), flush=True)  # noqa: T201 - a command's output
        except AssertionError as error:
            failures += 1
            print(f"FAILED {error}", flush=True)  # noqa: T201 - a command's output
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
