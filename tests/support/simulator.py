"""A whole network of validators in virtual time: the real core on virtual disks, one seeded source of chance.

Nothing sleeps and nothing depends on the machine: the same seed gives the same trace, whose hash `trace` is.
"""

import hashlib
import heapq
import random
from collections.abc import Callable, Iterable

from consensus.types import Config, Timing
from ledger.certificates import SIGNATURES, Scheme
from ledger.crypto.hashing import tagged_hash
from tests.support.simulator_app import MAX_PAYLOAD, Payloads, build_transaction
from tests.support.simulator_checks import Checks
from tests.support.simulator_crypto import FakeScheme, Seats
from tests.support.simulator_epochs import Membership
from tests.support.simulator_network import Network
from tests.support.simulator_node import Node

MAX_EVENTS = 2_000_000
"""A run that needs more has a loop without progress of time."""
QUESTION_MS = 10
"""How long a question of a host takes; its answer goes through the network's faults like every message."""
CHAIN = tagged_hash("genesis", b"simulated")


class Cluster:
    """n validators and some spare nodes that may become such, a network, a clock that jumps from event to event, and
    the checks."""

    def __init__(
        self,
        n: int = 4,
        seed: int = 1,
        timing: Timing | None = None,
        real: bool = False,
        spares: int = 0,
        chain: bytes = CHAIN,
    ) -> None:
        self.seed, self.now, self.root = seed, 0, chain
        self.chance = random.Random(seed)
        self.network = Network(self.chance)
        self.timing = timing or Timing()
        self.scheme: Scheme = SIGNATURES if real else FakeScheme()
        self.membership = Membership(real)
        self.first = self.membership.first(n, chain)
        self.validators, self.seats = self.first.validators, self.first.seats
        """Those of the first epoch."""
        self.tolerated = self.first.faulty
        """How many machines may be wrong at a time: f of the smallest set there will be."""
        self.checks = Checks(self, self.first)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._trace = hashlib.sha256()
        self._submitted = 0
        self.traitors: set[str] = set()
        """Validators that may say anything."""
        self.damaged: set[str] = set()
        """Honest ones whose disk or application was tampered with: they may stop."""
        self.nodes = [Node(self, f"v{i:02}", self.chance.randint(0, 10_000_000)) for i in range(n + spares)]
        self.by_name = {node.name: node for node in self.nodes}

    def config_of(self, node: Node) -> Config:
        """What follows from a node's own blocks: the set in force, its seat, the root of the epoch, its leaders."""
        epoch = self.first
        if self.membership.changes:
            for block in node.disk.blocks:
                epoch = self.membership.following(epoch, block.ref.digest, block.payload)
        return Config(
            chain=self.root,
            validators=epoch.validators,
            me=epoch.validators.index_of(node.name),
            root=epoch.root,
            leader_seed=epoch.seed,
            payloads=Payloads(),
            signer=self.membership.signer(epoch, node.name),
            scheme=self.scheme,
            timing=self.timing,
            max_payload=MAX_PAYLOAD,
        )

    @property
    def trace(self) -> str:
        return self._trace.hexdigest()

    def note(self, what: str, detail: str) -> None:
        self._trace.update(f"{self.now} {what} {detail}\n".encode())

    def honest(self) -> list[Node]:
        return [node for node in self.nodes if node.name not in self.traitors]

    def sound(self) -> list[Node]:
        """Honest, and nobody touched their disks."""
        return [node for node in self.honest() if node.name not in self.damaged]

    # --- time ---------------------------------------------------------------------------------------------------

    def at(self, time: int, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (max(time, self.now), self._count, action))

    def after(self, delay: int, action: Callable[[], None]) -> None:
        self.at(self.now + delay, action)

    def run(self, milliseconds: int) -> None:
        """Let that much time pass."""
        until = self.now + milliseconds
        for _ in range(MAX_EVENTS):
            if not self._events or self._events[0][0] > until:
                self.now = until
                return
            self.now, _, action = heapq.heappop(self._events)
            action()
        raise AssertionError(f"seed {self.seed}: time stands still at {self.now} ms")

    def run_until(self, reached: Callable[[], bool], within: int) -> None:
        """Let time pass until something holds; fails when it does not in time."""
        end = self.now + within
        while not reached():
            assert self.now < end, f"seed {self.seed}: not reached within {within} ms; {self.describe()}"
            self.run(min(50, end - self.now))

    # --- network and clients ------------------------------------------------------------------------------------

    def post(self, sender: str, to: str | None, data: bytes) -> None:
        """Send to one or to all others, through the network's faults."""
        for name in [to] if to is not None else self._others(sender):
            for delay in self.network.arrivals(sender, name, data):
                self.note("send", f"{sender} {name} {hashlib.sha256(data).hexdigest()[:8]}")
                self.after(delay, lambda name=name: self._arrive(sender, name, data))  # type: ignore[misc]

    def _others(self, sender: str) -> list[str]:
        return [name for name in self.by_name if name != sender]

    def _arrive(self, sender: str, name: str, data: bytes) -> None:
        if (sender, name) in self.network.cuts:
            return
        self.by_name[name].hear(sender, data)

    def ask_neighbours(self, node: Node) -> None:
        """A host asks all others how far they are."""
        height = len(node.disk.blocks)
        for other in self.nodes:
            if other is not node and (node.name, other.name) not in self.network.cuts:
                self.after(QUESTION_MS, lambda other=other: other.tell_height(node.name, height))  # type: ignore[misc]

    def submit(self, nodes: Iterable[Node] | None = None) -> bytes:
        """A new transaction reaches every live node (or those given) within a few milliseconds."""
        self._submitted += 1
        tx = build_transaction(self._submitted)
        self.repeat(tx, nodes)
        return tx

    def submit_change(self, seats: Seats, nodes: Iterable[Node] | None = None) -> bytes:
        """A transaction after which the validators are these (name -> number of its keys)."""
        self.membership.changes[build_transaction(self._submitted + 1)] = seats
        return self.submit(nodes)

    def repeat(self, tx: bytes, nodes: Iterable[Node] | None = None) -> None:
        """The client sends a transaction, perhaps not for the first time."""
        for node in nodes if nodes is not None else self.nodes:
            self.after(self.chance.randint(1, 10), lambda node=node: node.receive_transaction(tx))  # type: ignore[misc]

    # --- whole-network actions ----------------------------------------------------------------------------------

    def start(self, names: Iterable[str] | None = None) -> "Cluster":
        for node in self.nodes:
            if names is None or node.name in set(names):
                node.start()
        return self

    def is_final(self, tx: bytes, nodes: Iterable[Node] | None = None) -> bool:
        """Whether every live honest node (or each of those given) has the transaction in its store."""
        watched = [node for node in self.honest() if node.alive] if nodes is None else list(nodes)
        return all(tx in node.final_transactions() for node in watched)

    def finish(self, within: int = 30_000, nodes: Iterable[Node] | None = None) -> None:
        """A fresh transaction becomes final everywhere: the network is alive."""
        watched = list(nodes) if nodes is not None else None
        tx = self.submit()
        self.run_until(lambda: self.is_final(tx, watched), within)

    def describe(self) -> str:
        parts = []
        for node in self.nodes:
            state = node.core._state if node.core is not None else None
            place = f"{node.config.epoch}/{state.view}" if state is not None else ""
            where = "down" if state is None else f"view {place} final {state.final_view} at {state.delivered.view}"
            parts.append(f"{node.name}: {where} blocks {len(node.disk.blocks)} {node.halted or ''}")
        return "; ".join(parts)
