"""A whole network of validators in virtual time: the real core on virtual disks, one seeded source of chance.

Nothing sleeps and nothing depends on the machine: the same seed gives the same trace, whose hash `trace` is.
"""

import hashlib
import heapq
import random
from collections.abc import Callable, Iterable

from consensus.types import Config, Signer, Timing
from ledger.certificates import SIGNATURES, Certificate, Scheme, ValidatorSet
from ledger.crypto.hashing import tagged_hash
from tests.support.epoch_simulator_checks import Checks
from tests.support.epoch_simulator_network import Network
from tests.support.epoch_simulator_node import MAX_PAYLOAD, Node, Payloads, transactions_of
from tests.support.simulator_crypto import (
    FakeScheme,
    FakeSigner,
    Seats,
    fake_validators,
    real_validators,
    seated_validators,
)

MAX_EVENTS = 2_000_000
"""A run that needs more has a loop without progress of time."""
CHAIN = tagged_hash("genesis", b"simulated")


class Cluster:
    """n validators and some spare nodes that may become such, a network, a clock that jumps from event to event, and
    the checks."""

    def __init__(
        self, n: int = 4, seed: int = 1, timing: Timing | None = None, real: bool = False, spares: int = 0
    ) -> None:
        self.seed, self.now = seed, 0
        self.chance = random.Random(seed)
        self.network = Network(self.chance)
        self.scheme: Scheme = SIGNATURES if real else FakeScheme()
        self.signers: list[Signer] = []
        if real:
            self.validators, signers = real_validators(n)
            self.signers.extend(signers)
        else:
            self.validators = fake_validators(n)
            self.signers.extend(FakeSigner(i) for i in range(n))
        faulty = (n - 1) // 3
        self.checks = Checks(self.validators.quorum, faulty, CHAIN)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._trace = hashlib.sha256()
        self._submitted = 0
        self.traitors: set[str] = set()
        self.inboxes: dict[str, Callable[[str, bytes], None]] = {}
        """Traitors that are no nodes: name to what hears their messages."""
        self.timing = timing or Timing()
        self.seats: Seats = {f"v{i:02}": i for i in range(n)}
        """The first set: name -> number of its keys."""
        self.changes: dict[bytes, Seats] = {}
        """Transactions that name the next set."""
        self.nodes = [self._make_node(i) for i in range(n + spares)]
        self.by_name = {node.name: node for node in self.nodes}

    def _make_node(self, index: int) -> Node:
        name = f"v{index:02}"
        signer = self.signers[index] if name in self.seats else None
        config = self._config(self.validators, index if signer else None, signer, CHAIN, CHAIN)
        return Node(self, config, name, self.chance.randint(0, 10_000_000))

    def _config(
        self, validators: ValidatorSet, me: int | None, signer: Signer | None, root: bytes, seed: bytes
    ) -> Config:
        return Config(
            chain=CHAIN,
            validators=validators,
            me=me,
            root=root,
            leader_seed=seed,
            payloads=Payloads(),
            signer=signer,
            scheme=self.scheme,
            timing=self.timing,
            max_payload=MAX_PAYLOAD,
        )

    # --- epochs -------------------------------------------------------------------------------------------------

    def submit_change(self, seats: Seats, nodes: Iterable[Node] | None = None) -> bytes:
        """A transaction after which the validators are these (name -> number of its keys)."""
        tx = (self._submitted + 1).to_bytes(8, "big")
        self.changes[tx] = seats
        return self.submit(nodes)

    def closes(self, payload: bytes) -> bool:
        """Whether a block is the last of its epoch."""
        return any(tx in self.changes for tx in transactions_of(payload))

    def config_of(self, node: Node) -> Config:
        """What follows from a node's own blocks: the set in force, the root of its epoch, the seed of its leaders."""
        epoch, seats, root, seed = 1, self.seats, CHAIN, CHAIN
        for block in node.disk.blocks:
            for tx in transactions_of(block.payload):
                seats = self.changes.get(tx, seats)
            if self.closes(block.payload):
                epoch, root, seed = epoch + 1, block.ref.digest, root
        if epoch == 1:
            validators = self.validators
        else:
            validators = seated_validators(seats, epoch)
            self.checks.entered(epoch, validators.quorum, (len(validators) - 1) // 3)
        me = validators.index_of(node.name)
        signer = None if me is None else (self.signers[me] if epoch == 1 else FakeSigner(seats[node.name]))
        return self._config(validators, me, signer, root, seed)

    @property
    def trace(self) -> str:
        return self._trace.hexdigest()

    def note(self, what: str, detail: str) -> None:
        self._trace.update(f"{self.now} {what} {detail}\n".encode())

    def honest(self) -> list[Node]:
        return [node for node in self.nodes if node.name not in self.traitors]

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
        names = dict.fromkeys([v.id for v in self.validators.validators] + [node.name for node in self.nodes])
        return [name for name in names if name != sender]

    def _arrive(self, sender: str, name: str, data: bytes) -> None:
        if (sender, name) in self.network.cuts:
            return
        if name in self.inboxes:
            self.inboxes[name](sender, data)
        elif name in self.by_name:
            self.by_name[name].hear(sender, data)

    def submit(self, nodes: Iterable[Node] | None = None) -> bytes:
        """A new transaction reaches every live node (or those given) within a few milliseconds."""
        self._submitted += 1
        tx = self._submitted.to_bytes(8, "big")
        for node in nodes if nodes is not None else self.nodes:
            self.after(self.chance.randint(1, 10), lambda node=node: node.receive_transaction(tx))  # type: ignore[misc]
        return tx

    def sync(self, node: Node, target: Certificate) -> None:
        """The host's block sync: copy final blocks from a peer that has them, then tell the core."""
        life = node.life

        def attempt() -> None:
            if not node.alive or node.life != life:
                return
            for peer in self.honest():
                reachable = (peer.name, node.name) not in self.network.cuts and peer.alive and peer is not node
                if reachable and peer.has_reached(target):
                    self._copy_blocks(peer, node, target)
                    return
            self.after(500, attempt)

        self.after(50, attempt)

    def _copy_blocks(self, peer: Node, node: Node, target: Certificate) -> None:
        from consensus.inputs import CaughtUp

        start = len(node.disk.blocks)
        for epoch, block in list(zip(peer.disk.epochs, peer.disk.blocks, strict=True))[start:]:
            if epoch != target.epoch or block.ref.view > target.view:
                break
            node.commit(block, target)
        last = node.disk.blocks[-1]
        node.give(CaughtUp(node.now, target, last.ref.digest if self.closes(last.payload) else None))

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
            where = "down" if state is None else f"view {state.view} final {state.final_view} at {state.delivered.view}"
            parts.append(f"{node.name}: {where} blocks {len(node.disk.blocks)} {node.halted or ''}")
        return "; ".join(parts)
