"""Which old blocks stay whole because a claim that is not closed needs them, or because members and keys changed there.

Knows claims and how their dossiers are built; must not know rows. Must always hold: what a dossier reads is found by
building it, so this cannot differ from what a dossier needs; the accounts and loss pools that the claim will be decided
on are read as well. Only claims that this participant's interface shows count: of others it writes no dossier.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from contracts.identifiers import derive_pool_id
from contracts.states import (
    AccountState,
    ClaimState,
    EpochState,
    FinalityKeyState,
    FreezeState,
    KeyState,
    ParametersState,
    ParticipantState,
    PolicyState,
    PoolState,
    ProgramState,
    decode_state,
    read_policy,
    state_key,
)
from ledger.encoding import decode_as
from ledger.errors import StoreError
from ledger.state import Entry, Versioned
from node.api.parties import Viewer
from node.audit.build import Material, build_dossier
from node.audit.reads import ReadFinder
from node.chain import Chain
from node.proofs import ChainSource

GOVERNED: Final = frozenset(
    kind.FAMILY
    for kind in (EpochState, FinalityKeyState, FreezeState, KeyState, ParametersState, ParticipantState, ProgramState)
)
"""A block that wrote one of these stays whole for ever: few, and any later dossier may need it."""


def changes_members(changes: Mapping[str, Versioned]) -> bool:
    """Whether a block changed members, keys, validators, parameters or programs."""
    return any(key.split("/", 1)[0] in GOVERNED for key in changes)


def own_claims(chain: Chain, participant: str) -> Iterator[tuple[str, ClaimState]]:
    """Claims that this participant is a party of."""
    viewer = Viewer(chain.final.read, participant)
    for key, item in chain.store.state_family(ClaimState.FAMILY):
        if item.value is not None:
            claim = decode_state(item.value, ClaimState)
            if viewer.sees_claim(claim):
                yield key.split("/", 1)[1], claim


def is_open(claim: ClaimState) -> bool:
    """Whether the claim's dossier may still grow."""
    return claim.closed_ms is None


def open_claims(chain: Chain) -> list[str]:
    """Ids of everybody's claims that are not closed. Safe in any thread."""
    found = ((key, decode_state(v.value, ClaimState)) for key, v in chain.store.state_family("claim") if v.value)
    return [key.split("/", 1)[1] for key, claim in found if is_open(claim)]


def heights_of(chain: Chain, claim_id: str, claim: ClaimState) -> frozenset[int] | None:
    """Blocks without whose bodies the dossier of a claim cannot be built; None if it cannot be built here any more.
    Used between two awaits: all of one head. Raises StoreError `damaged`.
    """
    source = _Recording(chain)
    try:
        build_dossier(source, claim_id, Material())
        for key in _shared_keys(chain, claim):
            source.touch_current(key)
    except StoreError as error:
        if error.code != "pruned":
            raise
        return None
    return frozenset(source.heights)


def _shared_keys(chain: Chain, claim: ClaimState) -> Iterator[str]:
    yield state_key(PoolState, derive_pool_id(claim.case_id))
    for item in claim.policies:
        policy = read_policy(chain.final.read, item.policy_id)
        if policy is not None:
            yield state_key(PolicyState, item.policy_id)
            yield state_key(AccountState, policy.account_id)


class _Recording(ChainSource):
    """A source that remembers whose bodies it was asked for."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.heights: set[int] = set()

    def leaf(self, index: int) -> bytes:
        data = super().leaf(index)
        self.heights.add(self._chain.store.height_of_entry(index))
        return data

    def transaction(self, height: int, index: int) -> bytes:
        self.heights.add(height)
        return super().transaction(height, index)

    def value_written(self, height: int, key: str) -> bytes | None:
        self.heights.add(height)
        return super().value_written(height, key)

    def touch_current(self, key: str) -> None:
        """What a dossier reads that carries the current value of a key."""
        found = self.read(key)
        if found is None:
            return
        index = self.leaf_index(found.entry)
        entry: Any = decode_as(self.leaf(index), Entry)
        ReadFinder(self).value_of(key, entry, index)
