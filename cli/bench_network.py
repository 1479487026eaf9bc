"""A network made for one measurement: keys, processes, transactions signed ahead, a run, and nothing left behind.

Knows folders and processes; load and figures are node.bench's. Always true: every participant is an author, because
one author may fill half of a block at most; automatic roles are off, so that what is measured is the ledger.
"""

import asyncio
import gc
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from cli.errors import NetworkFailure
from cli.network_config import NetworkConfig, ParticipantConfig
from cli.network_setup import create_network
from cli.node_options import OPERATOR_TOKEN
from cli.output import is_terminal
from cli.processes import NodeProcess, find_nodes, running, stop
from node.api.tokens import read_token_file
from node.bench.client import Target
from node.bench.machine import folder_bytes, measure_ed25519, percentile
from node.bench.run import WARM_UP_S, Figures, Lane, Plan, Rotation, run_load
from node.bench.workload import Author, build_consent, build_publications
from node.config import load_config
from node.errors import NodeError
from node.identity import load_identity

NETWORK: Final = "bench.claimnode"
RECORDS: Final = 1
"""Records of one transaction: the dearest way to publish, since every record then costs a signature."""
MAX_RATE: Final = 4_400
"""Transactions a second signed ahead for the rate `max`: the pipeline alone, without a network, does no more with
four validators on two cores. A faster machine runs out of them, which is said."""
ED25519_S: Final = 0.5
ED25519_ROUNDS: Final = 2
"""Before the run and again after it; the best counts, since other work on the machine can only lower it."""
SLOW_MS: Final = 100
"""One way: a validator on another continent, or behind a line that is full."""
RELAY_S: Final = 10.0
"""How long the relay of a slow validator may take to end."""
NO_ROLES: Final = "\n[agents]\nhospital = false\nauditor = false\n"


@dataclass(frozen=True, slots=True)
class Result:
    """The figures under their stable names, and remarks for people."""

    figures: dict[str, Any]
    notes: tuple[str, ...]


def measure_network(*, nodes: int, seconds: int, rate: float | None, kill: bool, slow: bool, orderer: str) -> Result:
    """Make a network, load it, end it. Raises NetworkFailure when it does not come up or stops taking part.

    `kill`: the last validator dies in the middle; `slow`: every byte to and from it comes SLOW_MS later.
    """
    speeds = [measure_ed25519(ED25519_S) for _ in range(ED25519_ROUNDS)]
    with tempfile.TemporaryDirectory(prefix="claimnode-bench-") as scratch:
        folder = Path(scratch) / "net"
        create_network(_describe(nodes), folder, base_ms=None)
        processes = find_nodes(folder)
        for item in processes:
            with open(item.folder / "node.toml", "a", encoding="utf-8") as stream:
                stream.write(NO_ROLES)
        run = _Run(processes, seconds, rate, kill)
        with progress() as tell, _delayed(processes, SLOW_MS if slow else 0):
            run.prepare(tell)
            with running(processes):
                before = run.stored_bytes()
                figures = run.measure(tell)
                stop(processes)
        disk = run.disk_figures(before)
    speeds += [measure_ed25519(ED25519_S) for _ in range(ED25519_ROUNDS)]
    return _result(figures, run, max(speeds), disk, orderer)


class _Run:
    """One network's processes with what is sent to them."""

    def __init__(self, processes: list[NodeProcess], seconds: int, rate: float | None, kill: bool) -> None:
        self.processes = processes
        self.seconds = seconds
        self.rate = rate
        self.kill = kill
        self.targets = [Target(item.client.url, read_token_file(item.folder / OPERATOR_TOKEN)) for item in processes]
        self.first: tuple[str, bytes] | None = None
        self.lanes: list[Lane] = []

    def prepare(self, tell: Callable[[str, float], None]) -> None:
        """Sign everything that a run can send."""
        now_ms = time.time_ns() // 1_000_000
        authors = [Author(item.name, load_identity(item.folder, item.name).signing.secret) for item in self.processes]
        consent_id, granted = build_consent(NETWORK, authors, authors[0].participant, now_ms)
        self.first = granted.tx_id, granted.encoded
        each = math.ceil((self.rate or MAX_RATE) * (self.seconds + WARM_UP_S) / len(authors)) + 100
        for place, (author, target) in enumerate(zip(authors, self.targets, strict=True)):
            source = build_publications(NETWORK, author, consent_id, now_ms, records=RECORDS)
            lane = Lane(target)
            for done in range(each):
                signed = next(source)
                lane.ready.append((signed.tx_id, signed.encoded))
                if done % 500 == 0:
                    tell("signing", (place + done / each) / len(authors))
            self.lanes.append(lane)
        gc.collect()
        gc.freeze()

    def measure(self, tell: Callable[[str, float], None]) -> Figures:
        """Load the running network. Raises NetworkFailure."""
        assert self.first is not None, "prepared before"
        rotation = Rotation(self.lanes)
        victim, heir = self.targets[-1], self.targets[0]

        def disturb() -> None:
            rotation.redirect(victim, heir)
            self.processes[-1].kill()

        plan = Plan(
            seconds=self.seconds,
            rate=self.rate,
            disturb=disturb if self.kill else None,
            progress=lambda passed: tell("running", passed / (self.seconds + WARM_UP_S)),
        )
        pids = [item.pid for item in self.processes]
        work = run_load(plan, self.targets[0], (self.targets[0], [self.first]), rotation, pids)
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                return runner.run(work)
        except NodeError as error:
            raise NetworkFailure(error.code, f"{error.detail}; the run was given up") from None

    @property
    def is_exhausted(self) -> bool:
        """Whether every transaction signed ahead was used."""
        return all(not lane.ready for lane in self.lanes)

    def stored_bytes(self) -> int:
        """Bytes that the first node keeps: database, journal, guard."""
        data = self.processes[0].folder / "data"
        return folder_bytes(data) - self.processes[0].log.stat().st_size

    def disk_figures(self, before: int) -> dict[str, Any]:
        """Bytes and fsyncs of the first node over its life, from its folder and its last figures."""
        found = _last_figures(self.processes[0].log)
        middle, high = found.get("fsync", (0.0, 0.0))
        syncs = found.get("journal_syncs", 0) + found.get("store_commits", 0)
        return {
            "bytes": self.stored_bytes() - before,
            "fsync_ms": {"p50": middle, "p99": high},
            "fsyncs_per_block": round(syncs / found["height"], 2) if found.get("height") else 0.0,
        }


@contextmanager
def _delayed(processes: list[NodeProcess], delay_ms: int) -> Iterator[None]:
    """The last node behind a relay: it dials nobody, since of two nodes that listen the smaller id dials."""
    if not delay_ms:
        yield
        return
    slow, others = processes[-1], processes[:-1]
    port = load_config(slow.folder).peers.listen_port
    command = [sys.executable, "-m", "node.bench.delays", "--port", str(port), "--delay-ms", str(delay_ms)]
    relay = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - numbers and our own interpreter
    try:
        assert relay.stdout is not None, "asked for"
        address = f"127.0.0.1:{int(relay.stdout.readline())}"
        for item in others:
            with open(item.folder / "node.toml", "a", encoding="utf-8") as stream:
                stream.write(f'\n[peers.addresses]\n{slow.name} = "{address}"\n')
        yield
    finally:
        relay.terminate()
        relay.wait(RELAY_S)


def _describe(nodes: int) -> NetworkConfig:
    return NetworkConfig(
        network=NETWORK,
        participants=[
            ParticipantConfig(
                id=f"node-{number:02d}",
                name=f"Bench {number}",
                roles=["hospital", "auditor"] if number == 1 else ["hospital"],
                control_group=f"group-{number:02d}",
                validator=True,
            )
            for number in range(1, nodes + 1)
        ],
    )


def _result(found: Figures, run: _Run, ed25519_per_s: float, disk: dict[str, Any], orderer: str) -> Result:
    nodes = len(run.processes)
    tx_per_s = found.committed / found.seconds
    thousands = max(found.committed, 1) / 1000
    figures = {
        "tx_per_s": round(tx_per_s, 1),
        "records_per_s": round(tx_per_s * RECORDS, 1),
        "submit_to_final_ms": {f"p{percent}": round(found.latency_ms(percent), 1) for percent in (50, 95, 99)},
        "ed25519_per_s": round(ed25519_per_s),
        "share_of_ed25519": round(tx_per_s / (ed25519_per_s / nodes), 3),
        "cpu_s_per_1000_tx": round(found.cpu_s / thousands, 3),
        "bytes_per_tx": round(disk["bytes"] / max(found.all_final, 1)),
        "fsync_ms": disk["fsync_ms"],
        "fsyncs_per_block": disk["fsyncs_per_block"],
        "longest_gap_ms": round(found.longest_gap_ms, 1),
        "p99_after_gap_ms": round(percentile(found.after_gap_ms, 99), 1),
        "blocks_per_s": round(found.blocks / found.seconds, 2),
        "tx_per_block": round(found.committed / max(found.blocks, 1), 1),
        "nodes": nodes,
        "orderer": orderer,
        "rate": "max" if run.rate is None else run.rate,
    }
    return Result(figures, tuple(_notes(found, run)))


def _notes(found: Figures, run: _Run) -> Iterator[str]:
    if found.unfinished:
        yield f"{found.unfinished} transactions were not final when the run ended; they are not in the latencies"
    if found.missed:
        yield f"{found.missed} transactions were never sent: the nodes answered too slowly for this rate"
    for code, count in sorted(found.refused.items()):
        yield f"{count} transactions were not taken ({code})"
    if run.is_exhausted and run.rate is None:
        yield f"all transactions signed ahead were used; this machine does more than {MAX_RATE} a second"


def _last_figures(log: Path) -> dict[str, Any]:
    """The line of figures that a node writes when it stops; empty if it wrote none."""
    for line in reversed(log.read_bytes().splitlines()):
        try:
            found = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        if isinstance(found, dict) and found.get("event") == "figures":
            return found
    return {}


@contextmanager
def progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on a terminal, nothing in a pipe: a function that takes what is being done and which part of it is."""
    if not is_terminal():
        yield lambda _what, _part: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bars: dict[str, Any] = {}

        def tell(what: str, part: float) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=1.0)
            progress.update(bars[what], completed=min(part, 1.0))

        yield tell


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
