"""Proposals, votes and freezes: how seats and keys change while the network runs, and how claim contracts pass.

Knows members, keys, seats and who may decide about them. Must always hold: one control group is one voice; a set in
force keeps the rules of membership (no group with more than f votes, no key with two purposes, every BLS key
possessed); what changes seats or keys acts from the next block on, which is the first one of a new epoch. What becomes
of a claim contract is in releases.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import convert, structs, to_builtins

from contracts.bodies import (
    Change,
    GovernanceFreeze,
    GovernancePropose,
    GovernanceVote,
    KeyRotated,
    SeatGiven,
    SeatTaken,
    Thawed,
)
from contracts.errors import Refusal
from contracts.identifiers import derive_proposal_id
from contracts.operations import Operation
from contracts.releases import apply_passed, is_about_contracts, keep_draft
from contracts.states import (
    CURRENT,
    CurrentEpochState,
    EpochState,
    FinalityKeyState,
    FreezeState,
    KeyState,
    ParticipantState,
    ProposalState,
)
from ledger.certificates import MAX_VALIDATORS, Validator, quorum
from ledger.crypto import bls, ed25519
from ledger.errors import SignatureError

MAX_OPEN_MS = 30 * 86_400_000
"""A proposal is open for a month at most: who voted long ago may not remember for what."""
MAX_LISTED_KEYS = 8
"""Signing keys named in a participant's entry, the newest first; older ones stay readable under their own keys."""


def apply_propose(operation: Operation, item: GovernancePropose) -> str:
    """`governance.propose`: kept if it could pass now. Possession of keys is proved here, once."""
    operation.participant(operation.author)
    if not operation.time_ms < item.expires_ms <= operation.time_ms + MAX_OPEN_MS:
        raise Refusal("PROPOSAL_PERIOD", f"open until {item.expires_ms}, the block time is {operation.time_ms}")
    proposal = to_builtins(item)
    proposal_id = derive_proposal_id(operation.block.network, operation.author, proposal)
    if operation.has(ProposalState, proposal_id):
        raise Refusal("PROPOSAL_EXISTS", "this proposal was made before", proposal_id)
    if is_about_contracts(item.changes):
        changes = (keep_draft(operation, proposal_id, item),)
    else:
        changes = tuple(proposal["changes"])
        _Plan(operation, item.changes).check()
        for change in item.changes:
            if isinstance(change, SeatGiven):
                _check_possession(change)
    state = ProposalState(
        author=operation.author,
        epoch=operation.electorate.validators.epoch,
        expires_ms=item.expires_ms,
        changes=changes,
        voters=(),
        passed_height=None,
    )
    operation.put(proposal_id, state)
    operation.emit("governance.proposed", proposal_id)
    return proposal_id


def apply_vote(operation: Operation, item: GovernanceVote) -> str:
    """`governance.vote`: the vote that completes a quorum of control groups applies the proposal."""
    proposal = operation.require(ProposalState, item.proposal_id, "PROPOSAL_UNKNOWN")
    validators = operation.electorate.validators
    is_over = proposal.passed_height is not None or operation.time_ms > proposal.expires_ms
    if is_over or proposal.epoch != validators.epoch:
        raise Refusal("PROPOSAL_OVER", "nothing more can be decided about it", item.proposal_id)
    _require_seat(operation, operation.author)
    if operation.author in proposal.voters:
        raise Refusal("ALREADY_VOTED", f"{operation.author} voted for it before", item.proposal_id)
    voters = (*proposal.voters, operation.author)
    electors = _groups(operation, (seat.id for seat in validators.validators))
    passed = len(_groups(operation, voters) & electors) >= quorum(len(electors))
    operation.put(
        item.proposal_id,
        structs.replace(proposal, voters=voters, passed_height=operation.block.height if passed else None),
    )
    if passed:
        if is_about_contracts(proposal.changes):
            apply_passed(operation, item.proposal_id, proposal)
        else:
            _Plan(operation, convert(proposal.changes, tuple[Change, ...])).apply()
        operation.emit("governance.passed", item.proposal_id)
    return item.proposal_id


def apply_freeze(operation: Operation, item: GovernanceFreeze) -> str:
    """`governance.freeze`: the one that completes a quorum of the other groups acts from the next block on."""
    target = operation.participant(item.participant)
    validators = operation.electorate.validators
    _require_seat(operation, operation.author)
    if not operation.is_outside(operation.author, target.control_group):
        raise Refusal("FREEZE_OWN_GROUP", f"{operation.author} belongs to {target.control_group}", item.participant)
    known = operation.get(FreezeState, item.participant)
    if known is not None and known.from_height is not None:
        raise Refusal("ALREADY_FROZEN", f"{item.participant} is frozen", item.participant)
    earlier = known.supporters if known is not None and known.epoch == validators.epoch else ()
    if operation.author in earlier:
        raise Refusal("ALREADY_VOTED", f"{operation.author} asked for it before", item.participant)
    supporters = (*earlier, operation.author)
    electors = _groups(operation, (seat.id for seat in validators.validators)) - {target.control_group}
    frozen = len(_groups(operation, supporters) & electors) >= quorum(len(electors))
    from_height = operation.block.height + 1 if frozen else None
    state = FreezeState(epoch=validators.epoch, supporters=supporters, from_height=from_height)
    operation.put(item.participant, state)
    if frozen:
        operation.emit("participant.frozen", item.participant)
    return item.participant


def _require_seat(operation: Operation, participant: str) -> None:
    if operation.electorate.validators.index_of(participant) is None:
        raise Refusal("NOT_A_VALIDATOR", f"{participant} does not vote in this epoch", participant)


def _groups(operation: Operation, participants: Iterable[str]) -> set[str]:
    return {operation.participant(name).control_group for name in participants}


def _check_possession(change: SeatGiven) -> None:
    key = change.finality_key
    try:
        bls.verify_possession(bytes.fromhex(key.public_key), bytes.fromhex(key.possession))
    except SignatureError as error:
        raise Refusal("KEY_UNSOUND", f"finality key: {error.code}", change.participant) from None


@dataclass(slots=True)
class _Plan:
    """What the changes make of seats, members and keys. Nothing is written before everything was checked."""

    operation: Operation
    changes: tuple[Change, ...]
    seats: dict[str, Validator] = field(default_factory=dict)
    members: dict[str, ParticipantState] = field(default_factory=dict)
    keys: dict[str, KeyState] = field(default_factory=dict)
    finality: dict[str, str] = field(default_factory=dict)
    thawed: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise Refusal unless the changes lead to a set that may vote."""
        self.seats = {seat.id: seat for seat in self._newest().validators}
        for change in self.changes:
            match change:
                case SeatGiven():
                    self._give_seat(change)
                case SeatTaken(participant):
                    self._take_seat(participant)
                case KeyRotated():
                    self._rotate(change)
                case Thawed(participant):
                    self._thaw(participant)
        self._check_set()

    def apply(self) -> None:
        """Write it all. Raises Refusal as `check`: state may have moved since the proposal was made."""
        self.check()
        operation = self.operation
        for name in sorted(self.members):
            operation.put(name, self.members[name])
        for key_id in sorted(self.keys):
            operation.put(key_id, self.keys[key_id])
        for public_key in sorted(self.finality):
            operation.put(public_key, FinalityKeyState(participant=self.finality[public_key]))
        for name in self.thawed:
            operation.put(name, FreezeState(epoch=0, supporters=(), from_height=None))
        epoch = operation.electorate.validators.epoch + 1
        seats = tuple(self.seats[name] for name in sorted(self.seats))
        operation.put(str(epoch), EpochState(epoch=epoch, from_height=operation.block.height + 1, validators=seats))
        operation.put(CURRENT, CurrentEpochState(epoch=epoch))

    def _newest(self) -> EpochState:
        """The set of the next epoch as earlier operations of this block left it, else the one that votes now."""
        validators, height = self.operation.electorate.validators, self.operation.block.height
        pending = self.operation.get(EpochState, str(validators.epoch + 1))
        return pending or EpochState(epoch=validators.epoch, from_height=height, validators=validators.validators)

    def _member(self, participant: str) -> ParticipantState:
        return self.members.get(participant) or self.operation.participant(participant)

    def _key(self, key_id: str) -> KeyState | None:
        return self.keys.get(key_id) or self.operation.get(KeyState, key_id)

    def _give_seat(self, change: SeatGiven) -> None:
        name, member = change.participant, self._member(change.participant)
        known = self._key(ed25519.key_id(bytes.fromhex(change.signing_key)))
        following = self.operation.block.height + 1
        if (
            known is None
            or known.participant != name
            or not known.is_active(following)
            or known.until_height is not None
        ):
            raise Refusal("KEY_UNFIT", f"{name} has no such key without an end", name)
        public_key = change.finality_key.public_key
        holder = self._finality_holder(public_key)
        if holder not in (None, name):
            raise Refusal("KEY_IN_USE", f"the finality key is that of {holder}", name)
        if member.finality_key is not None:
            self.finality[member.finality_key] = name  # the key that it leaves stays its own for ever
        self.seats[name] = Validator(id=name, signing_key=change.signing_key, finality_key=public_key)
        self.members[name] = structs.replace(member, validator=True, finality_key=public_key)
        self.finality[public_key] = name

    def _finality_holder(self, public_key: str) -> str | None:
        """Whose BLS key this is or was, of whatever purpose."""
        registered = self.operation.get(FinalityKeyState, public_key)
        if registered is not None or public_key in self.finality:
            return self.finality.get(public_key) or (registered.participant if registered else None)
        for name in self.operation.electorate.members:
            member = self.operation.participant(name)
            if any(key.public_key == public_key for key in member.invoice_keys):
                return f"{name}, for invoices"
            if member.finality_key == public_key:
                return name
        return None

    def _take_seat(self, participant: str) -> None:
        if self.seats.pop(participant, None) is None:
            raise Refusal("NOT_A_VALIDATOR", f"{participant} has no seat", participant)
        member = self._member(participant)
        if member.finality_key is not None:
            self.finality[member.finality_key] = participant
        self.members[participant] = structs.replace(member, validator=False)

    def _rotate(self, change: KeyRotated) -> None:
        name, height = change.participant, self.operation.block.height
        member, old = self._member(name), self._key(change.retires)
        if old is None or old.participant != name or not old.is_active(height + 1) or old.until_height is not None:
            raise Refusal("KEY_UNFIT", f"{change.retires} is no key of {name} without an end", name)
        public_key = bytes.fromhex(change.public_key)
        try:
            ed25519.check_public_key(public_key)
        except SignatureError as error:
            raise Refusal("KEY_UNSOUND", f"signing key: {error.code}", name) from None
        key_id = ed25519.key_id(public_key)
        if self._key(key_id) is not None or self._is_note_key(change.public_key):
            raise Refusal("KEY_IN_USE", "the signing key is registered", name)
        self.keys[change.retires] = structs.replace(old, until_height=height + change.overlap_blocks)
        self.keys[key_id] = KeyState(name, change.public_key, from_height=height + 1, until_height=None)
        listed = (key_id, *member.signing_keys)[:MAX_LISTED_KEYS]
        self.members[name] = structs.replace(member, signing_keys=listed)
        seat = self.seats.get(name)
        if seat is not None and seat.signing_key == old.public_key:
            self.seats[name] = structs.replace(seat, signing_key=change.public_key)

    def _is_note_key(self, public_key: str) -> bool:
        names = self.operation.electorate.members
        return any(self.operation.participant(name).note_key == public_key for name in names)

    def _thaw(self, participant: str) -> None:
        known = self.operation.get(FreezeState, participant)
        if known is None or known.from_height is None or participant in self.thawed:
            raise Refusal("NOT_FROZEN", f"{participant} is not frozen", participant)
        self.thawed.append(participant)

    def _check_set(self) -> None:
        seats = len(self.seats)
        if seats < 1:
            raise Refusal("SET_EMPTY", "nobody would be left to vote")
        if seats > MAX_VALIDATORS:
            raise Refusal("SET_TOO_LARGE", f"{seats} seats, at most {MAX_VALIDATORS}")
        most = max(1, (seats - 1) // 3)
        groups = Counter(self._member(name).control_group for name in self.seats)
        for group, votes in sorted(groups.items()):
            if votes > most:
                raise Refusal("SET_CONTROL_GROUP", f"{group} would have {votes} of {seats} votes, at most {most}")
