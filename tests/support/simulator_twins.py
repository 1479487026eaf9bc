"""Twins: two honest instances with one key, and every way the network can be cut in the views that matter.

Four identities, five instances, v00 twice. In each of the first views the instances fall into groups that hear only
their own group; a group assignment for each view is a scenario. All delays are equal and nothing is drawn by
chance, so a scenario is played from a snapshot taken when the first instance enters the view. What is checked
is safety among the three honest ones at every delivery, and progress after the cuts.
"""

import heapq
import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from consensus.core import Core
from consensus.effects import (
    AwaitTransactions,
    Blame,
    Deliver,
    Effect,
    Evidence,
    Halt,
    RequestBuild,
    RequestVerify,
    Send,
    Serve,
    SetTimer,
)
from consensus.inputs import Built, Input, Message, PayloadExpected, Start, TimerFired, Verified
from consensus.messages import encode_payload
from consensus.types import Config, Floor, Ref, Timing, Verdict
from ledger.crypto.hashing import tagged_hash
from tests.support.simulator_app import Payloads, digest_of
from tests.support.simulator_crypto import FakeScheme, FakeSigner, fake_validators

Groups: TypeAlias = tuple[int, ...]
"""For each instance the number of its group."""

IDENTITIES = 4
INSTANCES = 5
TWIN = 4
"""Instance 4 has the key of instance 0; instances 1 to 3 are honest."""
DELAY_MS = 1
BUILD_MS = 20
"""Blocks do not come faster than whoever was cut off can fetch them."""
HOLD_MS = 220
"""A cut lasts this long from the first entry into its view: until everybody cut off has given the view up."""
PROGRESS_MS = 6_000
"""After the cuts every honest instance delivers a block of an uncut view within this time."""
TIMING = Timing(
    base=40,
    cap=640,
    heartbeat=10_000,
    settle=100,
    retry=80,
    standstill=160,
    fetch_grace=8,
    fetch_retry=24,
    behind=10_000,
)


def groupings(count: int = INSTANCES) -> Iterator[Groups]:
    """Every way to split `count` instances into groups: 52 for five."""

    def extend(prefix: Groups) -> Iterator[Groups]:
        if len(prefix) == count:
            yield prefix
            return
        for group in range(max(prefix, default=-1) + 2):
            yield from extend((*prefix, group))

    return extend(())


@dataclass(slots=True)
class World:
    """Five instances, what is on its way between them, and the cuts decided so far."""

    cut_views: int
    cores: list[Core]
    now: int = 0
    count: int = 0
    queue: list[tuple[int, int, int, Any]] = field(default_factory=list)
    groups: list[Groups] = field(default_factory=list)
    """Of view 1, 2, ...; later views are whole."""
    entered: list[int] = field(default_factory=list)
    """When the first instance entered view 1, 2, ..."""
    wakes: list[int] = field(default_factory=lambda: [0] * INSTANCES)
    held: tuple[int, tuple[Effect, ...]] | None = None
    """Effects of the step that entered a view whose groups are not decided yet."""
    chain: list[bytes] = field(default_factory=list)
    delivered: list[list[bytes]] = field(default_factory=lambda: [[] for _ in range(INSTANCES)])
    stores: list[dict[bytes, bytes]] = field(default_factory=lambda: [{} for _ in range(INSTANCES)])
    reached: list[int] = field(default_factory=lambda: [0] * INSTANCES)
    """The highest view that each instance delivered."""

    # --- running ----------------------------------------------------------------------------------------------------

    def advance(self) -> bool:
        """Play until groups for another view are needed (False) or everybody honest made progress (True)."""
        if self.held is not None:
            (index, effects), self.held = self.held, None
            self._perform(index, effects)
        while min(self.reached[1:TWIN]) <= self.cut_views:
            assert self.now < self.deadline, f"no progress: {self.describe()}"
            self.now, _, index, event = heapq.heappop(self.queue)
            if not self._give(index, event):
                return False
        return True

    @property
    def deadline(self) -> int:
        return self.entered[: self.cut_views][-1] + PROGRESS_MS

    def _give(self, index: int, event: Input | int) -> bool:
        """One input. False when the step entered a view that waits for its groups."""
        if isinstance(event, int):
            if event != self.wakes[index]:
                return True
            event = TimerFired(self.now)
        elif isinstance(event, Message):
            event = Message(self.now, event.sender, event.data)
        effects = self.cores[index].step(event)
        view = self.cores[index]._state.view
        if view > len(self.entered):
            self.entered.extend([self.now] * (view - len(self.entered)))
            if len(self.groups) < min(view, self.cut_views):
                self.held = (index, effects)
                return False
        self._perform(index, effects)
        return True

    def _at(self, time: int, index: int, event: Input | int) -> None:
        self.count += 1
        heapq.heappush(self.queue, (time, self.count, index, event))

    def _perform(self, index: int, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Send(to, data):
                    self._send(index, to, data)
                case Serve(to, digest):
                    if digest in self.stores[index]:
                        self._send(index, to, encode_payload(digest, self.stores[index][digest]))
                case SetTimer(at):
                    self.wakes[index] += 1
                    self._at(max(at, self.now), index, self.wakes[index])
                case AwaitTransactions(view):
                    self._at(self.now, index, PayloadExpected(self.now, view))
                case RequestBuild(view, parent):
                    payload = parent.digest + bytes((index,)) + view.to_bytes(4, "big")
                    self._at(self.now + BUILD_MS, index, Built(self.now, view, digest_of(payload), payload))
                case RequestVerify(view, digest, payload, parent):
                    good = payload[:32] == parent.digest
                    verdict = Verdict.VALID if good else Verdict.INVALID
                    self._at(self.now, index, Verified(self.now, view, digest, verdict))
                case Deliver(blocks):
                    for block in blocks:
                        self.stores[index][block.ref.digest] = block.payload
                        self._deliver(index, block.ref)
                case Evidence(signer) | Blame(signer):
                    assert signer == "v00" or index in (0, TWIN), f"an honest validator was named: {effect}"
                case Halt():
                    assert index in (0, TWIN), f"honest {index} halted: {effect}"

    def _send(self, index: int, to: str | None, data: bytes) -> None:
        view = self.cores[index]._state.view
        cut = view <= len(self.groups) and self.now < self.entered[view - 1] + HOLD_MS
        groups = self.groups[view - 1] if cut else None
        for other in range(INSTANCES):
            if other % IDENTITIES == index % IDENTITIES or to not in (None, f"v{other % IDENTITIES:02}"):
                continue
            if groups is None or groups[other] == groups[index]:
                self._at(self.now + DELAY_MS, other, Message(0, f"v{index % IDENTITIES:02}", data))

    def _deliver(self, index: int, ref: Ref) -> None:
        """Agreement among honest instances; the twins may be led anywhere."""
        mine = self.delivered[index]
        mine.append(ref.digest)
        self.reached[index] = ref.view
        if index in (0, TWIN):
            return
        if len(mine) > len(self.chain):
            self.chain.append(ref.digest)
        assert self.chain[len(mine) - 1] == ref.digest, f"two blocks at height {len(mine)}: {self.describe()}"

    def describe(self) -> str:
        views = [core._state.view for core in self.cores]
        return f"groups {self.groups}, at {self.now} ms in views {views}, delivered {self.reached}"


def first_world(cut_views: int, turn: int) -> World:
    """Everybody started; waiting for the groups of view 1. `turn` (1 to 4): the first view that the twins lead."""
    world = World(cut_views, [Core(config) for config in _configs(turn)], queue=[])
    for index, core in enumerate(world.cores):
        floor = Floor(Ref(0, core._state.config.root), None)
        effects = core.step(Start(0, (), floor, None, index + 1))
        core._state.may_vote = True  # fresh keys: the question to the peers has no part in this
        world._perform(index, tuple(one for one in effects if not isinstance(one, Send)))
    world.entered.append(0)
    return world


_CONFIGS: dict[bytes, Config] = {}


def _configs(turn: int) -> list[Config]:
    chain = tagged_hash("genesis", b"twins")
    seed = next(s for s in (bytes([i]) for i in range(256)) if _leader_of_view(Core(_config(0, chain, s)), turn) == 0)
    return [_config(index % IDENTITIES, chain, seed) for index in range(INSTANCES)]


def _leader_of_view(core: Core, view: int) -> int:
    return core._state.leader(view)


def _config(me: int, chain: bytes, seed: bytes) -> Config:
    key = bytes((me,)) + seed
    if key not in _CONFIGS:
        _CONFIGS[key] = Config(
            chain=chain,
            validators=fake_validators(IDENTITIES),
            me=me,
            root=chain,
            leader_seed=seed,
            payloads=Payloads(),
            signer=FakeSigner(me),
            scheme=FakeScheme(),
            timing=TIMING,
            max_payload=1_000,
        )
    return _CONFIGS[key]


def _config_of(key: bytes) -> Config:
    return _config(key[0], tagged_hash("genesis", b"twins"), key[1:])


def freeze(world: World) -> bytes:
    """The whole situation as bytes, so that every cut of the next view starts from the same."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, 5)
    pickler.dispatch_table = {  # type: ignore[assignment]
        Config: lambda config: (_config_of, (bytes((config.me,)) + config.leader_seed,)),
    }
    pickler.dump(world)
    return buffer.getvalue()


def thaw(frozen: bytes) -> World:
    found = pickle.loads(frozen)
    assert isinstance(found, World)
    return found


@dataclass(slots=True)
class Tally:
    """How much was played."""

    scenarios: int = 0
    """Assignments of groups to views that are covered."""
    played: int = 0
    """Of these, how many were played; the others are the same with the twins exchanged."""


def exchanged(groups: Groups) -> Groups:
    """The same cut with the two twins in each other's place, numbered as `groupings` does."""
    swapped = (groups[TWIN], *groups[1:TWIN], groups[0])
    names: dict[int, int] = {}
    return tuple(names.setdefault(group, len(names)) for group in swapped)


def explore(cut_views: int, turn: int, first: Groups, tally: Tally) -> None:
    """Play every assignment of groups to the first `cut_views` views that begins with `first`.

    Fewer cut views need no runs of their own: the cut with one group for all is no cut. As long as the cuts treat the
    twins alike, of a cut and its exchange only one is played: the twins have one key, one name and the same code, so
    exchanging them in every later cut exchanges what they do and nothing else. Nothing else is left out: leaders make
    the honest ones unlike, so their places cannot be exchanged.
    """
    everything = list(groupings())

    def descend(frozen: bytes, groups: Groups, symmetric: bool, ways: int) -> None:
        other = exchanged(groups)
        if symmetric and other < groups:
            return
        ways *= 2 if symmetric and other != groups else 1
        world = thaw(frozen)
        world.groups.append(groups)
        if world.advance():
            tally.scenarios += ways
            tally.played += 1
            return
        following = freeze(world)
        for further in everything:
            descend(following, further, symmetric and other == groups, ways)

    descend(freeze(first_world(cut_views, turn)), first, True, 1)


def play(cut_views: int, turn: int, choice: list[Groups]) -> None:
    """One scenario by its groups."""
    world = first_world(cut_views, turn)
    for groups in choice:
        world.groups.append(groups)
        world.advance()
