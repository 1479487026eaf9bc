"""Clusters of real nodes in one process, over links in memory: a network can be cut, nodes killed and restarted.

`build_network` makes folders and a genesis; `Cluster` runs nodes on them. Killing a node drops it without any
orderly stop, as a power cut would, apart from what the operating system already has.
"""

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from consensus.types import Timing
from contracts.bodies import Change, GovernancePropose, GovernanceVote, PolicyCommit, PolicyCommitment, SeatGiven
from contracts.genesis import (
    FinalityKey,
    Genesis,
    Limits,
    Parameters,
    Participant,
    Role,
    SigningKey,
    encode_genesis,
)
from ledger.crypto import bls
from ledger.crypto.keys import certificate_der, generate_key, generate_tls_identity, spki_hash
from ledger.errors import LedgerError
from ledger.transactions import SignedTransaction, build_transaction
from node.clock import SystemClock
from node.config import NodeConfig, OrderingConfig, StoreConfig
from node.identity import Identity, create_identity
from node.ordering.guardfile import GUARD
from node.ordering.journalfile import JOURNAL
from node.peers.errors import PeerError
from node.peers.frames import Lane
from node.peers.scores import Standing
from node.runtime import Node

ROLES: tuple[Role, ...] = ("hospital", "insurer", "commission", "tpa")
FAST = Timing(
    base=150, cap=2_000, heartbeat=60_000, settle=300, retry=200, standstill=400, fetch_grace=30, fetch_retry=80,
    behind=300,
)  # fmt: skip
NETWORK = "test.claims"


class RecordingLog:
    """Keeps lines instead of writing them; a test may look at them, a failing one prints them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        def write(event: str, **fields: Any) -> None:
            self.lines.append((level, event, fields))
            if level != "info":
                print(self._name, level, event, fields)  # noqa: T201 - shown by pytest when the test fails

        return write


class MemoryNetwork:
    """Delivers between links of one process, in order for each pair, unless the pair is cut."""

    def __init__(self) -> None:
        self.links: dict[str, MemoryLinks] = {}
        self.cut: set[frozenset[str]] = set()
        self.on_send: Callable[[str, str, Lane, bytes], bool] | None = None
        """Called for every message; False drops it."""

    def reaches(self, first: str, second: str) -> bool:
        return first in self.links and second in self.links and frozenset((first, second)) not in self.cut

    def isolate(self, name: str, others: list[str]) -> None:
        self.cut |= {frozenset((name, other)) for other in others if other != name}

    def heal(self) -> None:
        self.cut.clear()


class MemoryLinks:
    """One node's links (node.ordering.links.Links)."""

    def __init__(self, network: MemoryNetwork, name: str) -> None:
        self._network = network
        self._name = name
        self.receivers: dict[Lane, Callable[[str, bytes], None]] = {}
        self.handlers: dict[str, Callable[[str, bytes], Awaitable[bytes]]] = {}
        network.links[name] = self

    def close(self) -> None:
        if self._network.links.get(self._name) is self:
            del self._network.links[self._name]

    def send(self, to: str, lane: Lane, payload: bytes) -> bool:
        network = self._network
        if network.links.get(self._name) is not self or not network.reaches(self._name, to):
            return False
        if network.on_send is not None and not network.on_send(self._name, to, lane, payload):
            return True
        receiver = network.links[to].receivers.get(lane)
        if receiver is not None:
            asyncio.get_running_loop().call_soon(receiver, self._name, payload)
        return True

    def broadcast(self, lane: Lane, payload: bytes) -> None:
        for name in list(self._network.links):
            if name != self._name:
                self.send(name, lane, payload)

    async def request(self, to: str, method: str, payload: bytes, timeout_s: float = 10.0) -> bytes:
        await asyncio.sleep(0)
        if not self._network.reaches(self._name, to):
            raise PeerError("unreachable", f"no link to {to}")
        handler = self._network.links[to].handlers.get(method)
        if handler is None:
            raise PeerError("unknown_method", method)
        try:
            return await handler(self._name, payload)
        except LedgerError as error:  # as real links do
            raise PeerError(error.code, f"refused by {to}") from None

    def blame(self, peer: str, code: str) -> None:
        """Links in memory keep no scores."""

    def standings(self) -> dict[str, Standing]:
        return {}

    def protect(self, needed: Callable[[], tuple[frozenset[str], int]]) -> None:
        """Nobody is banned here."""

    def connected(self) -> frozenset[str]:
        return frozenset(n for n in self._network.links if n != self._name and self._network.reaches(self._name, n))

    def register(self, method: str, handler: Callable[[str, bytes], Awaitable[bytes]]) -> None:
        self.handlers[method] = handler

    def on_message(self, lane: Lane, receiver: Callable[[str, bytes], None]) -> None:
        self.receivers[lane] = receiver


@dataclass
class TestNetwork:
    """Folders and genesis of a network that is not running."""

    __test__ = False
    root: Path
    genesis: bytes
    names: list[str]
    identities: dict[str, Identity] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)


def build_network(
    root: Path,
    *,
    validators: int = 4,
    observers: int = 0,
    spares: int = 0,
    time_ms: int | None = None,
    listen: bool = False,
) -> TestNetwork:
    """Keys and genesis for `validators` members that vote, `observers` that do not, and `spares` that have the keys to
    do so later; with `listen`, ports too."""
    names = [f"{ROLES[i % 4]}-{i}" for i in range(validators)] + [f"observer-{i}" for i in range(observers)]
    names += [f"spare-{i}" for i in range(spares)]
    if listen:
        identities = {
            name: create_identity(root / name, name, validator=i < validators) for i, name in enumerate(names)
        }
    else:
        votes = [i < validators or i >= validators + observers for i in range(len(names))]
        identities = {name: memory_identity(name, votes[i]) for i, name in enumerate(names)}
        for name in names:
            (root / name).mkdir(parents=True)
    ports = free_ports(len(names)) if listen else [0] * len(names)
    members = sorted(
        (_participant(identities[name], i, validators, ports[i]) for i, name in enumerate(names)), key=_by_id
    )
    genesis = Genesis(
        v=1,
        network=NETWORK,
        time_ms=time.time_ns() // 1_000_000 - 1_000 if time_ms is None else time_ms,
        limits=Limits(),
        parameters=Parameters(),
        participants=tuple(members),
        programs=(),
    )
    return TestNetwork(root, encode_genesis(genesis), names, identities, dict(zip(names, ports, strict=True)))


@lru_cache(maxsize=64)
def memory_identity(name: str, validator: bool) -> Identity:
    """Keys without files; the same for every test of a run."""
    return Identity(
        participant=name,
        signing=generate_key("ed25519"),
        finality=generate_key("bls12-381") if validator else None,
        envelope=generate_key("x25519"),
        note=generate_key("ed25519"),
        transport=generate_tls_identity(name),
        transport_files=(Path(), Path()),
    )


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, below the range from which outgoing connections take theirs."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            probe = stack.enter_context(socket.socket())
            port = random.randrange(10_240, 32_000)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
    return found


def _by_id(member: Participant) -> str:
    return member.id


def _participant(identity: Identity, index: int, validators: int, port: int) -> Participant:
    finality = identity.finality
    return Participant(
        id=identity.participant,
        name=f"Member {index}",
        roles=(ROLES[index % 4],) if index < validators else ("auditor",),
        control_group=f"group-{index}",
        validator=index < validators,
        signing_keys=(SigningKey(public_key=identity.signing.public.hex(), from_height=0, until_height=None),),
        finality_key=None
        if finality is None
        else FinalityKey(public_key=finality.public.hex(), possession=bls.prove_possession(finality.secret).hex()),
        envelope_key=identity.envelope.public.hex(),
        note_key=identity.note.public.hex(),
        transport_spki=spki_hash(certificate_der(identity.transport.certificate_pem)),
        endpoint=f"127.0.0.1:{port}" if port else None,
        invoice_keys=(),
    )


def policy_body(author: str, adjudicator: str, *, salt: bytes | None = None) -> PolicyCommit:
    """A small body that executes: one policy."""
    seed = (os.urandom(32) if salt is None else salt).hex()
    policy = PolicyCommitment(
        policy_id=seed[:32],
        terms_commit=seed,
        product_hash=seed,
        account_id=seed[32:],
        account_v0_commit=seed,
        co_adjudicators=(adjudicator,),
        threshold=1,
        escalation_to=adjudicator,
        look_back_days=30,
    )
    return PolicyCommit(policies=(policy,))


def sign_policy(
    identity: Identity, adjudicator: str, *, expires_ms: int, seed: bytes | None = None
) -> SignedTransaction:
    """A `policy.commit` by an insurer."""
    return build_transaction(
        network=NETWORK,
        kind="policy.commit",
        body=policy_body(identity.participant, adjudicator, salt=seed),
        author=identity.participant,
        key_id=identity.key_id,
        seed=identity.signing.secret,
        nonce=os.urandom(16).hex(),
        expires_time=expires_ms,
    )


class Cluster:
    """Nodes of a network over memory links."""

    def __init__(self, network: TestNetwork, *, timing: Timing = FAST, ordering: OrderingConfig | None = None) -> None:
        self.network = network
        self.links = MemoryNetwork()
        self.nodes: dict[str, Node] = {}
        self._timing = timing
        self._ordering = ordering or OrderingConfig(block_interval_ms=10)

    async def start(self, *names: str) -> None:
        for name in names or self.network.names:
            await self.start_as(name, MemoryLinks(self.links, name))

    async def start_as(self, name: str, links: MemoryLinks, store: StoreConfig | None = None) -> None:
        """Start one node on these links."""
        node = Node(
            self.network.root / name,
            NodeConfig(participant=name, ordering=self._ordering, store=store or StoreConfig()),
            self.network.identities[name],
            self.network.genesis,
            links=links,
            clock=SystemClock(),
            log=RecordingLog(name),
            timing=self._timing,
        )
        self.nodes[name] = node
        await node.start()

    async def stop(self) -> None:
        for name in list(self.nodes):
            await self.kill(name)

    async def kill(self, name: str) -> None:
        """Away from the network first, so that nothing it does while it ends is heard."""
        node = self.nodes.pop(name)
        node.peers.close()  # type: ignore[attr-defined]
        await node.stop()

    async def until(self, condition: Callable[[], Any], timeout_s: float = 10.0) -> None:
        """Return as soon as `condition` holds."""
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.005)

    async def commit_one(self, at: str, *, timeout_s: float = 10.0) -> int:
        """Submit a policy at a node and wait until it is final there; gives the height."""
        insurer = next(n for n in self.network.names if n.startswith("insurer"))
        tpa = next(n for n in self.network.names if n.startswith("tpa"))
        node = self.nodes[at]
        signed = sign_policy(self.network.identities[insurer], tpa, expires_ms=node.clock.now_ms() + 3_600_000)
        tx_id = await node.submit_bytes(signed.encoded)
        outcome = await node.outcome(tx_id, timeout_s)
        assert outcome.receipt.code == "ok", outcome.receipt
        return outcome.height

    async def change_set(self, *changes: Change, voters: Sequence[str]) -> None:
        """Propose at the first voter, vote at each, and wait until all running nodes have seen the new epoch."""
        epoch = self.nodes[voters[0]].validators.epoch + 1
        node = self.nodes[voters[0]]
        body = GovernancePropose(changes, node.clock.now_ms() + 3_600_000)
        proposed = await node.outcome(await node.submit("governance.propose", body), 10)
        assert proposed.receipt.code == "ok", proposed.receipt
        subject = proposed.receipt.results[0].subject
        assert subject is not None
        for name in voters:
            voter = self.nodes[name]
            voted = await voter.outcome(await voter.submit("governance.vote", GovernanceVote(subject)), 10)
            assert voted.receipt.code == "ok", voted.receipt
        await self.until(lambda: all(node.validators.epoch == epoch for node in self.nodes.values()))

    def seat(self, name: str) -> SeatGiven:
        """A seat for a member with the keys of its folder."""
        identity = self.network.identities[name]
        assert identity.finality is not None
        possession = bls.prove_possession(identity.finality.secret).hex()
        key = FinalityKey(public_key=identity.finality.public.hex(), possession=possession)
        return SeatGiven(participant=name, signing_key=identity.signing.public.hex(), finality_key=key)

    def journal(self, name: str) -> Path:
        """The file of the votes of the key that a member has at the start."""
        return self.network.root / name / "data" / f"{JOURNAL}-{self.network.identities[name].vote_key_id}"

    def guard(self, name: str) -> Path:
        """The file beside that key."""
        return self.network.root / name / "keys" / f"{GUARD}-{self.network.identities[name].vote_key_id}"

    def heights(self) -> dict[str, int]:
        return {name: node.chain.height for name, node in self.nodes.items()}

    def check_agreement(self) -> None:
        """Equal headers wherever two nodes have the same height; the running checker of the invariant."""
        lowest = min(self.heights().values())
        for height in range(1, lowest + 1):
            assert len({node.chain.block_at(height).header_hash for node in self.nodes.values()}) == 1


Story = Callable[[Cluster], Awaitable[None]]


def run_story(folder: Path, story: Story, *, spares: int = 0, observers: int = 0) -> None:
    """A network in `folder` lives through a story, agrees at its end and is stopped, whatever happens."""

    async def scene() -> None:
        cluster = Cluster(build_network(folder, spares=spares, observers=observers))
        try:
            await story(cluster)
            cluster.check_agreement()
        finally:
            await cluster.stop()

    asyncio.run(scene())
