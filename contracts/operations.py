"""One operation while it executes: what it reads and writes, who speaks, and the events it leaves.

Knows the block that executes (height, time, parameters) and state as it stands before the operation. Must not
know any subject's rules. It must always hold that a refused operation leaves nothing behind: writes go to the
operation's own scope, and values decoded on the way are kept only together with the bytes they came from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from contracts.errors import Refusal
from contracts.genesis import Limits, Parameters
from contracts.receipts import Event, Topic
from contracts.states import (
    FreezeState,
    KeyState,
    ParticipantState,
    ProgramIndexState,
    ProgramState,
    State,
    decode_state,
    encode_state,
    read_parameters,
    state_key,
)
from ledger.certificates import ValidatorSet
from ledger.state import Overlay, Reader, Scope, Versioned

S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Electorate:
    """Who votes on this block, every member there is, and what genesis fixed: the chain id in votes, the first set."""

    validators: ValidatorSet
    members: tuple[str, ...]
    chain: bytes
    first: ValidatorSet


class BlockContext:
    """What all operations of one block share: its place in the chain, its overlay, and values read before."""

    __slots__ = (
        "_decoded",
        "_known",
        "_parent",
        "electorate",
        "height",
        "limits",
        "network",
        "overlay",
        "parameters",
        "time_ms",
    )

    def __init__(
        self, network: str, height: int, time_ms: int, parent: Reader, electorate: "Electorate | None" = None
    ) -> None:
        """`electorate` is needed by what is about validators alone."""
        self.electorate = electorate
        self.network = network
        self.height = height
        self.time_ms = time_ms
        self._parent = parent
        self._known: dict[str, Versioned | None] = {}
        self._decoded: dict[str, tuple[bytes, Any]] = {}
        self.overlay = Overlay(self._read_parent)
        figures = read_parameters(parent)
        self.limits: Limits = figures.limits
        self.parameters: Parameters = figures.parameters

    def decode(self, key: str, data: bytes, kind: type[S]) -> S:
        """`data` as a value; decoded once for as long as the key holds these very bytes."""
        found = self._decoded.get(key)
        if found is not None and found[0] is data:
            value: S = found[1]
            return value
        value = decode_state(data, kind)
        self._decoded[key] = (data, value)
        return value

    def remember(self, key: str, data: bytes, value: State) -> None:
        """Keep a value beside the bytes that were just made of it."""
        self._decoded[key] = (data, value)

    def read(self, kind: type[S], identifier: str) -> S | None:
        """The value as the block has it now, outside any operation."""
        key = state_key(kind, identifier)
        found = self.overlay.read(key)
        return None if found is None or found.value is None else self.decode(key, found.value, kind)

    def _read_parent(self, key: str) -> Versioned | None:
        """The parent's state cannot change while a block executes, so each key is asked for once."""
        try:
            return self._known[key]
        except KeyError:
            found = self._known[key] = self._parent(key)
            return found


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who stands behind an operation: the author, and the endorsers whose keys are active at this height."""

    author: str
    endorsers: frozenset[str]


class Operation:
    """State as one operation sees and changes it."""

    __slots__ = ("_scope", "block", "events", "speaker")

    def __init__(self, block: BlockContext, speaker: Speaker) -> None:
        self.block = block
        self.speaker = speaker
        self.events: list[Event] = []
        self._scope = Scope(block.overlay.read)

    @property
    def author(self) -> str:
        """The participant that signed the transaction."""
        return self.speaker.author

    @property
    def time_ms(self) -> int:
        """Time of the block that executes."""
        return self.block.time_ms

    @property
    def electorate(self) -> Electorate:
        """Who votes on the block that executes."""
        found = self.block.electorate
        assert found is not None, "what is about validators is executed in whole blocks only"
        return found

    @property
    def writes(self) -> dict[str, bytes | None]:
        """Everything put so far, by state key."""
        return self._scope.writes

    def get(self, kind: type[S], identifier: str) -> S | None:
        """The value as this operation sees it."""
        key = state_key(kind, identifier)
        data = self._scope.get(key)
        return None if data is None else self.block.decode(key, data, kind)

    def has(self, kind: type[State], identifier: str) -> bool:
        """Whether there is such a value."""
        return self._scope.get(state_key(kind, identifier)) is not None

    def require(self, kind: type[S], identifier: str, code: str) -> S:
        """`get`, refused with `code` and the identifier as subject if there is none."""
        found = self.get(kind, identifier)
        if found is None:
            raise Refusal(code, f"no {kind.FAMILY} {identifier} on this ledger", identifier)
        return found

    def put(self, identifier: str, value: State) -> None:
        """Write a value of its family under `identifier`."""
        key = state_key(type(value), identifier)
        data = encode_state(value)
        self._scope.put(key, data)
        self.block.remember(key, data, value)

    def delete(self, kind: type[State], identifier: str) -> None:
        """Take a value out of state; its earlier versions stay in the log."""
        self._scope.put(state_key(kind, identifier), None)

    def emit(self, topic: Topic, subject: str) -> None:
        """Leave an event for those who act on final blocks."""
        self.events.append(Event(topic=topic, subject=subject))

    def participant(self, identifier: str) -> ParticipantState:
        """A member. Raises Refusal `PARTICIPANT_UNKNOWN`."""
        return self.require(ParticipantState, identifier, "PARTICIPANT_UNKNOWN")

    def require_role(self, role: str) -> ParticipantState:
        """The author, who must hold `role`. Raises Refusal `ROLE_MISSING`."""
        author = self.participant(self.author)
        if role not in author.roles:
            raise Refusal("ROLE_MISSING", f"{self.author} is no {role}", self.author)
        return author

    def is_outside(self, participant: str, control_group: str) -> bool:
        """Whether `participant` is a member that another control group owns."""
        found = self.get(ParticipantState, participant)
        return found is not None and found.control_group != control_group

    def programs(self) -> tuple[ProgramState, ...]:
        """Every approved claim program."""
        index = self.get(ProgramIndexState, "index")
        return index.programs if index else ()


Handler = Callable[[Operation, Any], str]
"""Applies one item of a body; returns the id of the object made. Raises Refusal."""


def is_frozen(block: BlockContext, participant: str) -> bool:
    """Whether the validators put this participant out of action before this block."""
    found = block.read(FreezeState, participant)
    return found is not None and found.from_height is not None and found.from_height <= block.height


def read_active_key(block: BlockContext, participant: str, key_id: str) -> bytes | None:
    """The Ed25519 key if it is this participant's, active at the height of the block, and it is not frozen; else
    None."""
    found = block.read(KeyState, key_id)
    if found is None or found.participant != participant or not found.is_active(block.height):
        return None
    if is_frozen(block, participant):
        return None
    return bytes.fromhex(found.public_key)
